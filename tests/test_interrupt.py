"""Ctrl-C at any moment: what was begun is finished or undone, and the last line says what is there now."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from scaffold.engine import plugins
from tests.projects import SCAFFOLD, Done, Project, command_lines, handwritten, interrupt, surroundings, until

pytestmark = pytest.mark.engine

SOON = 8.0
"""Seconds for a polite end, on a busy machine."""
COMPOSE = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    volumes: ["data:/data"]
    depends_on: {task: {condition: service_completed_successfully}}
  task:
    image: debian:trixie-slim
    command: [sleep, "%s"]
    init: true
volumes:
  data: {}
"""
BUILDING = """\
services:
  app:
    build: {context: ., network: none}
    command: [sleep, infinity]
    init: true
"""
WAITING = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    labels: {dev.scaffold.ready: /}
    ports: ["127.0.0.1:${APP_PORT}:8000"]
"""
LINGERING = """\
services:
  app:
    image: debian:trixie-slim
    command: [sh, -c, "trap 'sleep 4; exit 0' TERM; while :; do sleep 0.1; done"]
"""
STUBBORN = """\
services:
  app:
    image: debian:trixie-slim
    command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]
    stop_grace_period: %s
"""
DATABASE = """\
services:
  db:
    image: postgres:18
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}"}
    ports: ["127.0.0.1:${DB_PORT}:5432"]
    volumes: ["data:/var/lib/postgresql"]
volumes:
  data: {}
"""


def state(engine: docker.DockerClient, project: Project, service: str) -> str:
    try:
        return str(engine.api.inspect_container(project.container(service))["State"]["Status"])
    except NotFound:
        return ""


def interrupted(project: Project, process: subprocess.Popen[str]) -> Done:
    """Claim that a process which was told to stop does so soon, and says what is there."""
    told = time.monotonic()
    done = project.end(process, code=130)
    assert time.monotonic() - told < SOON
    assert "Now there: " in done.err, done
    assert "Repeat the command: it goes on from here." in done.err, done
    return done


def builds(project: Project) -> list[str]:
    return [line for line in command_lines() if "docker-buildx" in line and project.name in line]


SLOW_COMPOSE = """\
#!/bin/sh
sleep 2
exec "%s" "$@"
"""


@pytest.fixture
def slow_compose(tmp_path: Path) -> Path:
    """A folder of the docker command's settings whose Compose takes two seconds more."""
    folder = tmp_path / "docker"
    plugin = folder / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True)
    (real,) = plugins.command("compose")
    plugin.write_text(SLOW_COMPOSE % real)
    plugin.chmod(0o755)
    return folder


@pytest.mark.parametrize("command", ["run", "status"])
def test_ctrl_c_while_compose_resolves_blames_no_file(
    engine: docker.DockerClient, project_name: str, tmp_path: Path, slow_compose: Path, command: str
) -> None:
    project = handwritten(tmp_path / project_name, LINGERING)
    project.scaffold("env")

    def resolving() -> bool:
        return any(str(slow_compose) in line for line in command_lines())

    process = project.start(command, DOCKER_CONFIG=str(slow_compose))
    until(resolving, "Compose resolves")
    time.sleep(1)
    interrupt(process)
    done = project.end(process, code=130)
    assert "compose.yaml" not in done.err, done
    assert not resolving()
    assert state(engine, project, "app") == ""


INSIDE = """
import sys
from scaffold.engine import inside
from scaffold.interrupt import Cancellation, on_signals
container, mark = sys.argv[1:]
script = ("sh", "-c", f"touch /begun; sleep 3; : {mark}")
cancellation = Cancellation()
with on_signals(cancellation, lambda: None), cancellation.finishing():
    print("ready", flush=True)
    if sys.stdin.readline() == "feed\\n":
        inside.feed(container, script, "")
    else:
        assert inside.succeeds(container, script)
"""


@pytest.fixture
def sleeper(engine: docker.DockerClient, project_name: str) -> str:
    """The name of a container in which commands can be run; it goes when the test ends."""
    name = f"{project_name}-sleeper"
    engine.containers.run("debian:trixie-slim", ["sleep", "infinity"], name=name, init=True, detach=True)
    return name


def begun(engine: docker.DockerClient, sleeper: str, how: str) -> subprocess.Popen[str]:
    """Return a process that waits for a command inside the container."""
    process = subprocess.Popen(
        (sys.executable, "-c", INSIDE, sleeper, sleeper),
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(f"{how}\n")
    process.stdin.flush()
    container = engine.containers.get(sleeper)
    until(lambda: container.exec_run(["test", "-e", "/begun"]).exit_code == 0, "the command runs inside")
    return process


@pytest.mark.parametrize("how", ["feed", "succeeds"])
def test_ctrl_c_lets_a_command_inside_finish(engine: docker.DockerClient, sleeper: str, how: str) -> None:
    process = begun(engine, sleeper, how)
    interrupt(process)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends with the command inside")
@pytest.mark.parametrize("how", ["feed", "succeeds"])
def test_command_inside_is_not_waited_for_by_anybody_once_scaffold_is_killed(
    engine: docker.DockerClient, sleeper: str, how: str
) -> None:
    process = begun(engine, sleeper, how)
    process.kill()
    process.communicate()
    killed = time.monotonic()
    until(
        lambda: (
            not any(
                f"exec {sleeper}" in line or f"--interactive {sleeper}" in line for line in command_lines()
            )
        ),
        "docker exec has ended",
    )
    assert time.monotonic() - killed < 2


def slow_build(folder: Path) -> tuple[Project, subprocess.Popen[str]]:
    """Return a project, and a run of it whose build has begun and would take for ever."""
    slow = f"FROM debian:trixie-slim\nRUN echo {folder.name} && sleep 300\n"
    project = handwritten(folder, BUILDING, files={"Dockerfile": slow})
    project.scaffold("env")
    process = project.start("run")
    until(lambda: bool(builds(project)), "buildx works")
    return project, process


@pytest.mark.parametrize("delay", [0, 0.02, 0.04, 0.08])
def test_build_is_given_up_before_its_first_step(
    engine: docker.DockerClient, project_name: str, tmp_path: Path, delay: float
) -> None:
    project, process = slow_build(tmp_path / project_name)
    time.sleep(delay)  # buildx has other words at each of its own first moments
    interrupt(process)
    interrupted(project, process)
    assert builds(project) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_build_is_given_up(
    engine: docker.DockerClient, project_name: str, tmp_path: Path, number: signal.Signals
) -> None:
    project, process = slow_build(tmp_path / project_name)
    time.sleep(1)
    os.kill(process.pid, number)
    done = interrupted(project, process)
    assert "Now there: no container." in done.err, done
    assert builds(project) == []
    (project.folder / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    project.scaffold("run")
    project.scaffold("plan", "--exit-code")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when it next writes")
def test_build_ends_with_a_killed_scaffold(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project, process = slow_build(tmp_path / project_name)
    process.kill()
    process.communicate()
    until(lambda: not builds(project), "buildx has ended", patience=SOON)
    (project.folder / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    project.scaffold("run")
    project.scaffold("plan", "--exit-code")


def test_pull_is_given_up_although_the_registry_is_silent(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    with silent_registry() as port:
        compose = STUBBORN.replace("debian:trixie-slim", f"127.0.0.1:{port}/{project_name}:1") % "1s"
        project = handwritten(tmp_path / project_name, compose)
        process = project.start("run")
        assert process.stderr is not None
        assert "pull" in process.stderr.readline()
        time.sleep(1)
        interrupt(process)
        interrupted(project, process)


@contextlib.contextmanager
def silent_registry() -> Iterator[int]:
    """Yield the port of a registry that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for item in held:
                item.close()


def test_database_start_is_gone_on_with(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = handwritten(tmp_path / project_name, DATABASE, "DB_PORT=27300\nPOSTGRES_PASSWORD=\n")
    project.scaffold("env")
    process = project.start("run")
    until(lambda: state(engine, project, "db") == "running", "the database starts")
    interrupt(process)
    done = interrupted(project, process)
    assert "running: db" in done.err, done
    project.scaffold("run")
    project.scaffold("plan", "--exit-code")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_shot_is_not_waited_for(
    engine: docker.DockerClient, project_name: str, tmp_path: Path, number: signal.Signals
) -> None:
    project = handwritten(tmp_path / project_name, COMPOSE % "300")
    project.scaffold("env")
    process = project.start("run")
    until(lambda: state(engine, project, "task") == "running", "the task runs")
    os.kill(process.pid, number)
    done = interrupted(project, process)
    assert "running: task" in done.err, done
    (project.folder / "compose.yaml").write_text(COMPOSE % "0")
    project.scaffold("run")
    project.scaffold("plan", "--exit-code")


def test_app_is_not_waited_for(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, WAITING, "APP_PORT=27400\n")
    project.scaffold("env")
    process = project.start("run")
    until(lambda: state(engine, project, "app") == "running", "the app runs")
    interrupt(process)
    assert "running: app" in interrupted(project, process).err


def test_down_finishes_the_stop_that_it_began(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = handwritten(tmp_path / project_name, STUBBORN % "2s")
    project.scaffold("run")
    since = int(time.time()) - 1
    process = project.start("down")

    def stopping() -> bool:
        now = int(time.time())
        wanted = {"type": "container", "event": "kill", "container": project.container("app")}
        return any(engine.events(since=since, until=now, filters=wanted))

    until(stopping, "the stop has begun")
    interrupt(process)
    done = interrupted(project, process)
    assert "exited: app" in done.err, done
    project.scaffold("run")
    project.scaffold("plan", "--exit-code")


def test_second_ctrl_c_is_at_once_and_the_next_run_waits_for_the_stop(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = handwritten(tmp_path / project_name, LINGERING)
    project.scaffold("run")
    process = project.start("down")
    assert process.stderr is not None
    time.sleep(1)
    interrupt(process)
    assert "Ctrl-C again ends at once" in process.stderr.readline()
    told = time.monotonic()
    interrupt(process)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - told < 1.5
    # The engine calls it running, although it has got its signal and ends in a moment.
    assert state(engine, project, "app") == "running"
    project.scaffold("run")
    until(lambda: time.monotonic() > told + 6, "the app has had its time to end")
    project.scaffold("plan", "--exit-code")
    assert state(engine, project, "app") == "running"


def test_terminal_is_as_before(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, COMPOSE % "300")
    project.scaffold("env")
    control, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        (SCAFFOLD, "run"),
        cwd=project.folder,
        env=surroundings({"TERM": "xterm-256color"}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    shown = b""
    try:
        until(lambda: state(engine, project, "task") == "running", "the task runs")
        os.kill(process.pid, signal.SIGINT)
        while process.poll() is None or select.select([control], [], [], 0.2)[0]:
            if select.select([control], [], [], 0.2)[0]:
                shown += os.read(control, 65536)
        assert process.returncode == 130, shown.decode()
        assert termios.tcgetattr(terminal) == before
    finally:
        process.kill()
        os.close(control)
        os.close(terminal)
    assert b"Now there: " in shown
    assert shown.rfind(b"\x1b[?25h") >= shown.rfind(b"\x1b[?25l")
