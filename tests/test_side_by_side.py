"""Several runs, several checkouts, one engine: nobody is in anybody's way, and no data changes hands."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from tests.conftest import MEASURED, named
from tests.crash.daemon import daemon
from tests.projects import Project, get, handwritten, until
from tests.soak import SOAK

pytestmark = pytest.mark.engine

CHECKOUTS = 20 if SOAK else 5
COMPOSE = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    volumes: ["data:/data"]
volumes:
  data: {}
"""
SLOW = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    depends_on: {slow: {condition: service_completed_successfully}}
  slow:
    image: debian:trixie-slim
    command: [sleep, "4"]
    init: true
"""
SERVING = """\
services:
  app:
    image: python:3.13-slim
    command: [python, /server.py]
    init: true
    labels:
      dev.scaffold.ready: /
    ports: ["127.0.0.1:${APP_PORT}:8000"]
    volumes: ["data:/data", "./server.py:/server.py:ro", "./number:/number:ro"]
volumes:
  data: {}
"""
SERVER = """\
import http.server
with open("/number") as file, open("/data/log", "a") as log:
    log.write(file.read())
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with open("/data/log", "rb") as log:
            self.wfile.write(log.read())
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


@pytest.fixture
def tiny(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> Project:
    return handwritten(tmp_path / project_name, COMPOSE)


@pytest.fixture
def slow(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> Project:
    return handwritten(tmp_path / project_name, SLOW)


def inside(project: Project, *command: str) -> str:
    done = subprocess.run(
        ["docker", "exec", project.container("app"), *command], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def remember(project: Project, word: str) -> None:
    inside(project, "sh", "-c", f"echo {word} >/data/word")


def word(project: Project) -> str:
    return inside(project, "cat", "/data/word")


def begun(project: Project, engine: docker.DockerClient) -> bool:
    try:
        return bool(engine.api.inspect_container(project.container("slow"))["State"]["Running"])
    except NotFound:
        return False


def copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project(folder)


def refused(copy: Project, owner: Project) -> None:
    """Claim that no command touches anything from a copy, and that each says whose it is."""
    destroy = ("destroy", "--yes-delete-data", owner.name)
    others = (("run",), ("plan",), ("status",), ("stop",), ("down",), ("images", "clean"))
    for command in (*others, destroy):
        done = copy.scaffold(*command, code=2)
        assert str(owner.folder) in done.err, done
        assert f"Remove {copy.env_file}" in done.err, done


# One project, several runs


def test_second_run_waits_for_the_first(slow: Project, engine: docker.DockerClient) -> None:
    slow.scaffold("env")
    first = slow.start("run")
    until(lambda: begun(slow, engine), "the first run has begun")
    second = slow.start("run")
    slow.end(first, code=0)
    done = slow.end(second, code=0)
    assert f"Waiting for `scaffold run` (pid {first.pid}, since " in done.err, done
    slow.scaffold("plan", "--exit-code")


def test_every_command_gives_up_at_once_when_asked(slow: Project, engine: docker.DockerClient) -> None:
    slow.scaffold("env")
    first = slow.start("run")
    until(lambda: begun(slow, engine), "the first run has begun")
    attempts = [slow.start(command, "--no-wait") for command in ("run", "stop", "down", "destroy")]
    for attempt in attempts:
        done = slow.end(attempt, code=1)
        assert f"is in use by `scaffold run` (pid {first.pid}, since " in done.err, done
    slow.end(first, code=0)
    slow.scaffold("plan", "--exit-code")


def test_lock_of_a_dead_run_is_taken_over(slow: Project, engine: docker.DockerClient) -> None:
    slow.scaffold("env")
    first = slow.start("run")
    until(lambda: begun(slow, engine), "the first run has begun")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    done = slow.scaffold("run", "--no-wait")
    assert "Waiting" not in done.err, done
    slow.scaffold("plan", "--exit-code")


def test_waiting_run_ends_with_ctrl_c(slow: Project, engine: docker.DockerClient) -> None:
    slow.scaffold("env")
    first = slow.start("run")
    until(lambda: begun(slow, engine), "the first run has begun")
    for number in (signal.SIGINT, signal.SIGTERM):
        second = slow.start("run")
        assert second.stderr is not None
        assert "Waiting for" in second.stderr.readline()
        os.kill(second.pid, number)
        slow.end(second, code=130)
    slow.end(first, code=0)


# Several checkouts


def test_many_checkouts_at_once_get_names_ports_and_data_of_their_own(
    engine: docker.DockerClient, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    port = 26000 + secrets.randbelow(2000)
    with daemon(["python:3.13-slim"]) as own:
        client = docker.DockerClient(own.host, version="1.44")
        files = {"server.py": SERVER}
        first = handwritten(tmp_path / "origin", SERVING, f"APP_PORT={port}\n", files)
        projects = []
        for number in range(CHECKOUTS):
            copy = copied(first, tmp_path / f"copy-{number}" / "origin")
            (copy.folder / "number").write_text(f"{number}\n")
            projects.append(Project(copy.folder, {"DOCKER_HOST": own.host}))
        for turn in (1, 2):
            runs = [project.start("run", "--timeout", "300") for project in projects]
            for project, process in zip(projects, runs, strict=True):
                project.end(process, code=0)
            for number, project in enumerate(projects):
                assert get(project.url) == (200, f"{number}\n" * turn)
            if turn == 1:
                downs = [project.start("down") for project in projects]
                for project, process in zip(projects, downs, strict=True):
                    project.end(process, code=0)
        assert len({project.name for project in projects}) == CHECKOUTS
        assert len({project.variables["APP_PORT"] for project in projects}) == CHECKOUTS
        projects[0].destroy()
        left = {item["Labels"]["com.docker.compose.project"] for item in client.api.containers(all=True)}
        assert left == {project.name for project in projects[1:]}
        client.close()
    said = f"{CHECKOUTS} checkouts of one project at once, twice: no name, port or datum in common"
    record_property(MEASURED, said)


def test_copy_with_its_env_is_refused_and_gets_its_own(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    copy = copied(tiny, tmp_path / "copy" / tiny.folder.name)
    refused(copy, tiny)
    copy.env_file.unlink()
    copy.scaffold("run")
    assert copy.name != tiny.name
    remember(copy, "second")
    assert word(tiny) == "first"
    copy.destroy()
    assert word(tiny) == "first"
    tiny.scaffold("plan", "--exit-code")


def test_copy_is_refused_when_only_the_data_is_left(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    tiny.scaffold("down")
    copy = copied(tiny, tmp_path / "copy" / tiny.folder.name)
    refused(copy, tiny)


def test_copy_is_refused_although_the_other_env_was_deleted(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    name = tiny.name
    copy = copied(tiny, tmp_path / "copy" / tiny.folder.name)
    tiny.env_file.unlink()
    for command in ("run", "down"):
        assert str(tiny.folder) in copy.scaffold(command, code=2).err
    tiny.scaffold("run")
    assert (tiny.name, word(tiny)) == (name, "first")


def test_copy_whose_original_is_gone_goes_on_with_its_data(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    copy = copied(tiny, tmp_path / "copy" / tiny.folder.name)
    shutil.rmtree(tiny.folder)
    assert str(tiny.folder) in copy.scaffold("run").err
    assert word(copy) == "first"


def test_moved_folder_goes_on_with_its_data_and_says_so_once(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    moved = Project(tmp_path / "moved" / tiny.folder.name)
    moved.folder.parent.mkdir()
    tiny.folder.rename(moved.folder)
    done = moved.scaffold("run")
    assert f"This project was in {tiny.folder} before." in done.err, done
    assert word(moved) == "first"
    assert str(tiny.folder) not in moved.scaffold("run").err
    moved.scaffold("plan", "--exit-code")


def test_link_at_the_old_place_is_the_same_project(tiny: Project, tmp_path: Path) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    moved = Project(tmp_path / "moved")
    tiny.folder.rename(moved.folder)
    tiny.folder.symlink_to(moved.folder)
    moved.scaffold("run")
    assert word(moved) == "first"
    tiny.scaffold("plan", "--exit-code")


def test_deleted_env_comes_back_as_it_was(tiny: Project) -> None:
    tiny.scaffold("run")
    remember(tiny, "first")
    before = tiny.env_file.read_text()
    tiny.env_file.unlink()
    tiny.scaffold("run")
    assert tiny.env_file.read_text() == before
    assert word(tiny) == "first"
    tiny.scaffold("plan", "--exit-code")


def test_two_projects_do_not_disturb_each_other(
    tiny: Project, engine: docker.DockerClient, tmp_path: Path
) -> None:
    with named(engine) as name:
        other = handwritten(tmp_path / name, COMPOSE)
        both = [tiny.start("run"), other.start("run")]
        tiny.end(both[0], code=0)
        other.end(both[1], code=0)
        remember(tiny, "first")
        other.destroy()
        assert word(tiny) == "first"
        tiny.scaffold("plan", "--exit-code")
