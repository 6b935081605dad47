"""What a .env lacks is added, and said; the password of a database that has data is never made anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker
import pytest

from scaffold.stack import environment
from tests.projects import Project, handwritten

EXAMPLE = "DB_PORT=27432\nDB_PASSWORD=\nLEVEL=info\n"
COMPOSE = """\
services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: "${DB_PASSWORD}", LEVEL: "${LEVEL}"}
    ports: ["127.0.0.1:${DB_PORT}:5432"]
    volumes: ["data:/var/lib/postgresql/data"]
volumes:
  data: {}
"""
INSIDE = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    environment: {DB_PORT: "${DB_PORT}", APP_PORT: "${APP_PORT}"}
    ports: ["127.0.0.1:${APP_PORT}:80"]
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\n", ("B", "C_PASSWORD")),
        ("A=\nB=x\nC_PASSWORD=mine\n", ()),
        ("export A=1\nB='x'\nC_PASSWORD=\n", ("C_PASSWORD",)),
        ("", ("A", "B", "C_PASSWORD")),
    ],
)
def test_what_a_file_lacks(text: str, found: tuple[str, ...]) -> None:
    assert environment.lacking("A=1\nB=2\nC_PASSWORD=\n", text) == found


def test_what_a_person_wrote_stays_when_something_is_added() -> None:
    text = "# mine\nA=1 # one\n\nC_PASSWORD=\n  B = 2\n"
    done = environment.completed(text, {"C_PASSWORD": "a b", "D": "4"})
    assert done == "# mine\nA=1 # one\n\nC_PASSWORD='a b'\n  B = 2\nD=4\n"


@pytest.fixture
def shop(project_name: str, tmp_path: Path) -> Project:
    return handwritten(tmp_path / project_name, COMPOSE, EXAMPLE)


def without(project: Project, *names: str) -> None:
    lines = project.env_file.read_text().splitlines(keepends=True)
    project.env_file.write_text("".join(line for line in lines if line.partition("=")[0] not in names))


@pytest.mark.engine
def test_missing_key_is_added_and_a_lost_password_is_found_in_the_container(shop: Project) -> None:
    shop.scaffold("run")
    before = shop.variables
    without(shop, "DB_PASSWORD", "LEVEL", "COMPOSE_PROJECT_NAME")
    planned = shop.scaffold("plan", "--exit-code")
    assert "COMPOSE_PROJECT_NAME" not in shop.variables
    done = shop.scaffold("run")
    assert shop.variables == before, (done, planned)
    for name in ("COMPOSE_PROJECT_NAME", "DB_PASSWORD", "LEVEL"):
        assert name in done.err, done
    assert before["DB_PASSWORD"] not in done.out + done.err + planned.out + planned.err
    assert shop.env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.engine
def test_password_is_not_made_anew_beside_data(shop: Project, engine: docker.DockerClient) -> None:
    shop.scaffold("run")
    volume = f"{shop.variables['COMPOSE_PROJECT_NAME']}_data"
    shop.scaffold("down")
    for lost in ("password", "file"):
        without(shop, "DB_PASSWORD")
        if lost == "file":
            shop.env_file.unlink()
        done = shop.scaffold("run", code=2)
        assert volume in done.err, done
        assert "DB_PASSWORD" in done.err, done
        assert shop.env_file.exists() == (lost == "password")
        assert engine.volumes.get(volume).name == volume
        # The way on that it names.
        with shop.env_file.open("a") as file:
            file.write(f"DB_PASSWORD=another-{lost}\n")
        refused = shop.scaffold("run", code=1)
        assert "scaffold db --set-password" in refused.err, refused
        shop.scaffold("db", "--set-password")
        shop.scaffold("run")
        shop.scaffold("down")


@pytest.mark.engine
def test_copied_file_without_its_name_is_refused(shop: Project, tmp_path: Path) -> None:
    shop.scaffold("env")
    copy = handwritten(tmp_path / "copy" / shop.folder.name, COMPOSE, EXAMPLE)
    copy.env_file.write_text(shop.env_file.read_text())
    without(copy, "COMPOSE_PROJECT_NAME")
    done = copy.scaffold("run", code=2)
    assert f"the ports of {shop.folder}" in done.err, done
    copy.env_file.unlink()
    copy.scaffold("env")
    assert copy.variables["DB_PORT"] != shop.variables["DB_PORT"]


@pytest.mark.engine
def test_only_what_is_published_gets_a_free_port(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, INSIDE, "DB_PORT=22\nAPP_PORT=27433\n")
    listener = subprocess.Popen(["python3", "-m", "http.server", "27433", "--bind", "127.0.0.1"])
    try:
        project.scaffold("env")
    finally:
        listener.kill()
        listener.wait()
    assert project.variables["DB_PORT"] == "22"
    assert int(project.variables["APP_PORT"]) > 27432


@pytest.mark.engine
def test_renew_keeps_what_is_a_persons_own(shop: Project) -> None:
    shop.scaffold("env")
    before = shop.variables
    without(shop, "LEVEL")
    with shop.env_file.open("a") as file:
        file.write("# my own\nEXTRA=1\n")
    listener = subprocess.Popen(["python3", "-m", "http.server", before["DB_PORT"], "--bind", "127.0.0.1"])
    try:
        done = shop.scaffold("env", "--renew")
    finally:
        listener.kill()
        listener.wait()
    after = shop.variables
    assert after["DB_PORT"] != before["DB_PORT"], done
    assert after | {"DB_PORT": before["DB_PORT"]} == before | {"EXTRA": "1"}
    assert "# my own\n" in shop.env_file.read_text()
    assert "DB_PORT" in done.out + done.err


@pytest.mark.engine
def test_rename_is_refused_while_the_old_name_has_volumes(shop: Project) -> None:
    shop.scaffold("env")
    old = shop.variables["COMPOSE_PROJECT_NAME"]
    shop.scaffold("env", "--rename", f"{shop.folder.name}-other")
    assert shop.variables["COMPOSE_PROJECT_NAME"] == f"{shop.folder.name}-other"
    shop.scaffold("env", "--rename", old)
    shop.scaffold("run")
    for _ in range(2):
        done = shop.scaffold("env", "--rename", f"{shop.folder.name}-other", code=2)
        assert f"{old}_data" in done.err, done
        assert shop.variables["COMPOSE_PROJECT_NAME"] == old
        shop.scaffold("down")
    assert "scaffold env --rename" in shop.scaffold("env", "--rename", "No Name!", code=2).err
