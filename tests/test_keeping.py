"""What is somebody else's stays when a project is destroyed; and that a database is up is never assumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from scaffold.doctor.project import taking_over
from scaffold.engine import oneoff
from scaffold.engine.client import Engine
from scaffold.stack.desired import Desired, Service
from tests.projects import Project, handwritten, surroundings

POSTGRES = """\
services:
  db:
    image: postgres:18
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    ports: ["127.0.0.1:${DB_PORT:?}:5432"]
    volumes: ["db-data:/var/lib/postgresql"]
volumes:
  db-data:
"""
BUILT = """\
services:
  app:
    build: {context: ., network: none}
    command: [sleep, infinity]
    init: true
    volumes: ["mine:/mine", "shared:/shared"]
  old:
    build: {context: ., network: none}
    image: NAME-old
    command: [sleep, infinity]
    init: true
volumes:
  mine:
  shared:
"""


@pytest.fixture
def shop(tmp_path: Path, project_name: str) -> Project:
    return handwritten(tmp_path / project_name, POSTGRES, "DB_PORT=8800\nPOSTGRES_PASSWORD=\n")


def docker_(*words: str) -> str:
    done = subprocess.run(("docker", *words), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded(project: Project) -> set[str]:
    """Run once more, and return the database drivers that were loaded for it."""
    code = (
        "import sys; from scaffold.cli import app; code = app.run(sys.argv[1:]); "
        "print('LOADED', *sorted({'pg8000', 'pymongo', 'bson'} & set(sys.modules)), file=sys.stderr); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        (sys.executable, "-c", code, "run", "-C", str(project.folder)),
        env=surroundings(project.environment),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:])


@pytest.mark.engine
def test_run_with_nothing_to_do_loads_no_driver_until_the_database_starts_again(shop: Project) -> None:
    shop.scaffold("run")
    assert loaded(shop) == set()
    docker_("restart", shop.container("db"))
    assert loaded(shop) == {"pg8000"}
    assert loaded(shop) == set()


@pytest.mark.engine
def test_database_that_refuses_the_login_is_never_up_to_date(shop: Project) -> None:
    shop.scaffold("run")
    db = shop.container("db")
    words = ("psql", "-h", "/var/run/postgresql", "-U", "app", "-d", "app", "-c")
    docker_("exec", db, *words, "alter user app password 'another'")
    docker_("restart", db)
    for _ in range(2):
        refused = shop.scaffold("run", code=1)
        assert "scaffold db --set-password" in " ".join(refused.err.split())
        assert shop.scaffold("plan").out == "◦ wait until db is ready\n"
        assert "not proven (db)" in shop.scaffold("status").out
    shop.scaffold("db", "--set-password")
    assert "up to date" in shop.scaffold("run").out


@pytest.mark.engine
def test_password_is_in_no_file_of_the_state_folder(shop: Project) -> None:
    shop.scaffold("run")
    (secret,) = shop.secrets()
    state = Path(os.environ["XDG_STATE_HOME"]) / "scaffold"
    for path in state.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.engine
def test_destroy_keeps_and_names_what_others_use_and_goes_on_with_the_rest(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    shop = handwritten(tmp_path / project_name, BUILT.replace("NAME", project_name))
    (shop.folder / "Dockerfile").write_text("FROM debian:trixie-slim\nRUN echo app >/app\n")
    shop.scaffold("run")
    with (
        Engine() as ours,
        oneoff.created(
            ours,
            Desired(shop.name, str(shop.folder)),
            Service("app", f"{shop.name}-app", {}),
            f"{shop.name}_mine:/volume",
        ) as helper,
    ):
        # Its image has the project's label.
        found = engine.api.containers(all=True, filters={"label": f"com.docker.compose.project={shop.name}"})
        assert helper not in [item["Id"] for item in found]
    # Somebody else gives the name of the second image to another one, and uses the first one, and a volume.
    docker_("tag", "debian:trixie-slim", f"{project_name}-old")
    other = f"{project_name}-other"
    image = engine.api.inspect_image(f"{shop.name}-app")["Id"]
    docker_(
        # It inherits the project label of the image, and is none of the project's all the same.
        *("run", "--detach", "--name", other),
        *("--volume", f"{shop.name}_shared:/shared", image),
        *("sleep", "infinity"),
    )
    done = shop.destroy()
    said = " ".join((done.out + done.err).split())
    assert f"Volume {shop.name}_shared stays: container {other} uses it" in said
    assert f"container {other} of another project uses it" in said
    assert f"Image {project_name}-old stays" in said
    volumes = {item["Name"] for item in engine.api.volumes()["Volumes"]}
    assert f"{shop.name}_shared" in volumes
    assert f"{shop.name}_mine" not in volumes
    assert engine.api.inspect_image(f"{project_name}-old")["Id"]
    assert engine.api.inspect_container(other)["State"]["Running"]
    docker_("rm", "--force", other)


def test_doctor_takes_over_nothing_that_is_mounted_into_a_container(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of somebody else's")
    folder = tmp_path / "a [shop]"
    for name in ("data*/base", "src"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text("")
        os.chown(folder / name / "file", 999, 999)
    os.chown(folder / "data*", 999, 999)
    subprocess.run(taking_over(folder, [folder / "data*"]), shell=True, check=True)
    assert (folder / "src/file").stat().st_uid == 0
    assert (folder / "data*").stat().st_uid == 999
    assert (folder / "data*/base/file").stat().st_uid == 999
