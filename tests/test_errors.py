"""Bad input and bad luck: one clear error with the way on, the right exit code, and nothing lost."""

import contextlib
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import docker
import pytest

from scaffold.engine import plugins
from tests.conftest import take_inventory
from tests.projects import (
    GATED,
    SCAFFOLD,
    SERVES,
    Done,
    Project,
    app_of,
    command_lines,
    get,
    handwritten,
    interrupt,
    until,
)

pytestmark = pytest.mark.engine

SOCKET = Path("/var/run/docker.sock")


def explained(done: Done, *named: str) -> str:
    """Return the one error of a command, on one line; it names these things and says how to go on."""
    assert done.err.count("error:") == 1, done
    text = " ".join(done.err[done.err.index("error:") :].split())
    assert "→" in text, done
    for thing in named:
        assert thing in text, done
    return text


def nothing_of(engine: docker.DockerClient, project: Project) -> bool:
    found = take_inventory(engine).only(lambda name: project.folder.name in name)
    return not (found.containers | found.networks | found.volumes | found.images)


def without_privileges(*command: str) -> tuple[str, ...]:
    """Return the command as somebody runs it whom file permissions stop, which root otherwise is not."""
    if os.geteuid() != 0:
        return command
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *command)


def where(script: str, *command: str) -> tuple[str, ...]:
    """Return the command in a mount namespace of its own, in which the script has changed what is mounted."""
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return ("unshare", "--mount", *user, "sh", "-ec", f'{script}\nexec "$@"', "sh", *command)


def hidden(plugin: str) -> str:
    """Return mounts that take a plugin of the docker command away."""
    (binary,) = plugins.command(plugin)
    return f"mount --bind /dev/null {binary}"


# ── the project's files ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "command",
    [("run",), ("plan",), ("status",), ("logs",), ("shell",), ("exec", "app", "ls"), ("db",), ("stop",)],
)
def test_outside_a_project_is_said_with_the_folder(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = Project(tmp_path).scaffold(*command, code=2)
    explained(done, "no compose.yaml", str(tmp_path), "scaffold new")


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    explained(Project(tmp_path).scaffold("run", "missing", code=2), "missing", "not a folder")


@pytest.mark.parametrize(
    ("compose", "named"),
    [
        ("services:\n  app:\n   image: [\n", "line 4"),
        ("services:\n  app: {imagine: debian}\n", "services.app"),
        ("services:\n  app: {image: debian, ports: [a:b:c:d]}\n", "a:b"),
        ("services:\n  app: {image: debian, depends_on: [db]}\n", '"db"'),
        ("services:\n  app: {image: debian, mem_limit: lots}\n", "lots"),
        ("", "compose.yaml"),
    ],
    ids=["yaml", "unknown key", "ports", "dependency", "size", "empty"],
)
def test_broken_compose_file_is_quoted(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, compose: str, named: str
) -> None:
    project = handwritten(tmp_path / project_name, compose)
    explained(project.scaffold("run", code=2), "compose.yaml", named)
    assert nothing_of(engine, project)


@pytest.mark.parametrize(
    ("key", "value"),
    [("credential_spec", "{file: a.json}"), ("volumes_from", "[db]"), ("external_links", "[a:b]")],
)
def test_key_that_cannot_be_honoured_is_refused_by_service_and_name(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, key: str, value: str
) -> None:
    compose = f"services:\n  db: {{image: debian}}\n  app:\n    image: debian\n    {key}: {value}\n"
    project = handwritten(tmp_path / project_name, compose)
    explained(project.scaffold("run", code=2), f"services.app.{key}", "docker compose up")
    assert nothing_of(engine, project)


def test_variable_missing_in_env_is_named_with_the_file(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    (project.folder / ".env.example").write_text("COMPOSE_PROJECT_NAME=\n")
    explained(project.scaffold("run", code=2), "APP_PORT", str(project.env_file))
    assert nothing_of(engine, project)


def test_unreadable_env_is_said_and_left_alone(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    project.env_file.write_text("secret")
    project.env_file.chmod(0)
    done = project.run(*without_privileges(SCAFFOLD, "run"), code=2)
    explained(done, str(project.env_file), "ermission denied")
    project.env_file.chmod(0o600)
    assert project.env_file.read_text() == "secret"


def test_disk_that_is_full_leaves_no_half_written_env(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / "source" / project_name, SERVES)
    folder = tmp_path / project_name
    folder.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {folder}\ncp -r {project.folder}/. {folder}\ncd {folder}\n"
        "cat /dev/zero >ballast 2>/dev/null || true"
    )
    after = 'code=0; "$@" || code=$?; ls -A; exit $code'
    done = Project(tmp_path).run(*where(script, "sh", "-c", after, "sh", SCAFFOLD, "run"), code=1)
    explained(done, str(folder / ".env"), "the disk of this machine is full")
    assert sorted(done.out.split()) == [".env.example", "ballast", "compose.yaml", "gate"]
    assert nothing_of(engine, project)


# ── the engine and its tools ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with a shell's usual tools and without docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "mount", "env"):
        (folder / name).symlink_to(shutil.which(name) or "")
    return str(folder)


def test_machine_without_docker_is_told_how_to_install_it(
    tmp_path: Path, project_name: str, bare_path: str
) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    script = f"mount -t tmpfs tmpfs {SOCKET.parent.resolve()}\n{hidden('compose')}\n{hidden('buildx')}"
    bare = ("env", f"PATH={bare_path}", SCAFFOLD)
    for command in ("run", "status"):
        done = project.run(*where(script, *bare, command), code=1)
        explained(done, "Docker is not installed", "https://docs.docker.com/engine/install/")
    assert not project.env_file.exists()


def test_engine_that_is_not_running_is_told_from_docker_that_is_missing(
    tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    nowhere = f"unix://{tmp_path}/nothing.sock"
    done = project.scaffold("run", code=1, DOCKER_HOST=nowhere)
    explained(done, f"does not answer at {tmp_path}/nothing.sock", "unset DOCKER_HOST")
    done = project.run(*where(f"mount -t tmpfs tmpfs {SOCKET.parent.resolve()}", SCAFFOLD, "run"), code=1)
    explained(done, f"does not answer at {SOCKET}", "Start")
    assert not project.env_file.exists()


def test_socket_of_others_is_said_to_need_a_group(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        done = project.run(*without_privileges(SCAFFOLD, "run"), code=1, DOCKER_HOST=f"unix://{path}")
    explained(done, "No permission", str(path), "sudo usermod -aG")


class OldEngine(BaseHTTPRequestHandler):
    """What Docker 20.10 answers when it is asked for its version."""

    def do_GET(self) -> None:
        body = b'{"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}'
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return


def test_engine_that_is_too_old_is_told_from_what_is_needed(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), OldEngine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = project.scaffold("run", code=1, DOCKER_HOST=f"unix://{path}")
        server.shutdown()
    explained(done, "too old", "1.41", "Docker 25", "Upgrade")


def test_missing_compose_plugin_is_named(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    done = project.run(*where(hidden("compose"), SCAFFOLD, "run"), code=1)
    explained(done, "no `compose` plugin", "apt-get install docker-compose-plugin")


def test_missing_buildx_plugin_is_named_before_anything_is_started(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = built(tmp_path / project_name, "RUN true")
    done = project.run(*where(hidden("buildx"), SCAFFOLD, "run"), code=1)
    explained(done, "no `buildx` plugin", "apt-get install docker-buildx-plugin")
    project.scaffold("run")


def test_image_that_no_registry_has_is_named(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    image = f"127.0.0.1:9/{project_name}:1"  # nothing listens on the discard port
    project = handwritten(tmp_path / project_name, f"services:\n  app: {{image: '{image}'}}\n")
    explained(project.scaffold("run", code=1), image, "cannot be pulled", "127.0.0.1:9 cannot be reached")


# ── builds ──────────────────────────────────────────────────────────────────────────────────────────────


def built(folder: Path, step: str) -> Project:
    """Return a project whose image has one step of its own."""
    compose = (
        "services:\n  app:\n    build: .\n    init: true\n"
        "    ports: ['127.0.0.1:${APP_PORT}:8000']\n    labels: {dev.scaffold.ready: /}\n"
    )
    project = handwritten(folder, compose, "APP_PORT=8600\n")
    set_step(project, step)
    return project


def set_step(project: Project, step: str) -> None:
    serve = 'CMD ["python", "-m", "http.server", "8000"]'
    (project.folder / "Dockerfile").write_text(f"FROM python:3.13-slim\n{step}\n{serve}\n")


def test_failed_build_shows_its_output_and_leaves_the_old_container_running(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = built(tmp_path / project_name, "RUN true")
    project.scaffold("run")
    before = engine.api.inspect_container(project.container("app"))["Id"]
    set_step(project, "RUN echo no such wheel >&2 && exit 7")

    done = project.scaffold("run", code=1)
    explained(done, "no such wheel", "7")
    assert engine.api.inspect_container(project.container("app"))["Id"] == before
    assert get(project.url)[0] == 200
    set_step(project, "RUN true")
    assert project.scaffold("plan", "--json").json["changes"] == 0


def test_dockerfile_that_is_not_there(tmp_path: Path, project_name: str) -> None:
    project = built(tmp_path / project_name, "RUN true")
    (project.folder / "Dockerfile").unlink()
    explained(project.scaffold("run", code=2), "Dockerfile")


# ── ports ───────────────────────────────────────────────────────────────────────────────────────────────


def test_port_of_a_process_is_said_with_its_name_and_number(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, SERVES)
    project.scaffold("env")
    with socket.create_server(("127.0.0.1", int(project.variables["APP_PORT"]))):
        done = project.scaffold("run", code=1)
    name = Path(sys.executable).resolve().name
    text = explained(
        done, f"Port {project.variables['APP_PORT']}", '"app"', f"(pid {os.getpid()})", "env --renew"
    )
    assert re.search(rf"taken by \S*({name}|pytest|python)", text)
    assert nothing_of(engine, project)
    project.scaffold("run")


def test_port_of_another_project_is_said_with_its_folder(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    first = app_of(tmp_path / f"{project_name}-a", SERVES)
    first.scaffold("run")
    second = app_of(tmp_path / f"{project_name}-b", SERVES)
    second.scaffold("env")
    assert second.variables["APP_PORT"] != first.variables["APP_PORT"]
    text = second.env_file.read_text()
    second.env_file.write_text(text.replace(second.variables["APP_PORT"], first.variables["APP_PORT"]))
    explained(second.scaffold("run", code=1), first.container("app"), f"scaffold stop {first.folder}")
    assert get(first.url)[0] == 200


# ── apps that do not get ready ──────────────────────────────────────────────────────────────────────────


def test_app_that_exits_at_once_shows_its_last_words(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, "import sys; sys.exit('no configuration')")
    explained(project.scaffold("run", code=1), "app", "code 1", "no configuration", "scaffold logs app")
    (project.folder / "compose.yaml").write_text(
        app_of(tmp_path / "good", SERVES).folder.joinpath("compose.yaml").read_text()
    )
    project.scaffold("run")


def test_app_that_ends_well_is_not_ready_either(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, "print('done')")
    explained(project.scaffold("run", code=1), "code 0", "done")


def test_app_that_never_gets_ready_is_given_up_after_the_timeout(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, SERVES.replace("200", "503"))
    text = explained(project.scaffold("run", "--timeout", "3", code=1), f"{project.url}/", "answers 503")
    assert "scaffold logs app" in text


def test_app_that_crashes_again_and_again_is_not_waited_for(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, "import sys; sys.exit('no configuration')", restart="always")
    begun = time.monotonic()
    explained(project.scaffold("run", code=1), "exited 3 times with code 1", "no configuration")
    assert time.monotonic() - begun < 30


def test_app_that_has_crashed_before_anybody_looks_is_not_called_running(
    tmp_path: Path, project_name: str
) -> None:
    """While it restarts it has no address: the path that it is asked for is not left out."""
    project = app_of(tmp_path / project_name, "import sys; sys.exit('no configuration')", restart="always")
    file = project.folder / "compose.yaml"
    file.write_text(re.sub("command: .*", "command: ['false']", file.read_text()))
    for _ in range(3):
        explained(project.scaffold("run", code=1), "exited 3 times with code 1")


def test_app_that_listens_on_loopback_inside_its_container(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, f"import os; os.environ['HOST'] = '127.0.0.1'\n{SERVES}")
    explained(project.scaffold("run", "--timeout", "3", code=1), "127.0.0.1:8000 only", "0.0.0.0")


def test_app_that_needs_more_memory_than_its_limit(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, "x = bytearray(500_000_000); print(len(x))")
    explained(project.scaffold("run", code=1), "app", "out of memory")


# ── in the middle ───────────────────────────────────────────────────────────────────────────────────────


class Line:
    """A socket before the engine's own that can be cut."""

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._open: list[socket.socket] = []
        self._path = path
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(SOCKET))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._path.unlink(missing_ok=True)
        for end in (self._server, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "line.sock")
    yield made
    made.cut()


def test_engine_that_goes_away_is_said_and_the_next_run_goes_on(
    tmp_path: Path, project_name: str, line: Line, engine: docker.DockerClient
) -> None:
    project = app_of(tmp_path / project_name, GATED)
    process = project.start("run", DOCKER_HOST=line.host)
    at_the_gate(engine, project)
    line.cut()
    done = project.end(process, code=1)
    explained(done, "engine")
    (project.folder / "gate" / "open").touch()
    project.scaffold("run")
    assert get(project.url) == (200, "1")


def at_the_gate(engine: docker.DockerClient, project: Project) -> None:
    """Wait until the app runs, and is not ready."""
    until(project.env_file.exists, ".env is there")
    name = project.container("app")

    def waits() -> bool:
        with contextlib.suppress(docker.errors.NotFound):
            return b"at the gate" in engine.api.logs(name)
        return False

    until(waits, "the app waits at its gate")


def test_ctrl_c_while_waiting_says_what_is_there_and_the_next_run_completes(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, GATED)
    process = project.start("run")
    at_the_gate(engine, project)
    interrupt(process)
    done = project.end(process, code=130)
    assert "Interrupted. Now there: running: app." in done.err
    assert "Repeat the command: it goes on from here." in done.err
    assert "error:" not in done.err

    before = engine.api.inspect_container(project.container("app"))["Id"]
    (project.folder / "gate" / "open").touch()
    project.scaffold("run")
    assert engine.api.inspect_container(project.container("app"))["Id"] == before


def test_ctrl_c_during_a_build_ends_it_and_the_next_run_completes(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    step = f"RUN echo {project_name} has begun && sleep 300"
    project = built(tmp_path / project_name, step)
    process = project.start("run", "--verbose")
    until(lambda: builds(project_name), "the build sleeps")
    begun = time.monotonic()
    interrupt(process)
    done = project.end(process, code=130)
    assert time.monotonic() - begun < 20
    assert "Interrupted. Now there:" in done.err
    until(lambda: not builds(project_name), "the build has ended")

    set_step(project, "RUN true")
    project.scaffold("run")
    assert get(project.url)[0] == 200


def builds(name: str) -> bool:
    """Whether the step of this name runs on the engine."""
    return any(f"echo {name} has begun" in line for line in command_lines())


def test_second_ctrl_c_ends_at_once_and_the_next_run_completes(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    stubborn = SERVES.replace("sys.exit(0)", "print('no', flush=True)")
    project = app_of(tmp_path / project_name, stubborn)
    project.scaffold("run")
    process = project.start("stop")
    until(lambda: b"no" in engine.api.logs(project.container("app")), "the app is asked to stop")
    begun = time.monotonic()
    interrupt(process)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert said == "Stopping: finishing what was begun. Ctrl-C again ends at once.\n"
    assert process.poll() is None
    interrupt(process)
    project.end(process, code=130)
    assert time.monotonic() - begun < 10  # the app has 20 s
    subprocess.run(("docker", "kill", project.container("app")), check=False, capture_output=True)
    project.scaffold("run")
    assert get(project.url) == (200, "1")


def test_sigterm_ends_it_politely_too(engine: docker.DockerClient, tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, GATED)
    process = project.start("run")
    at_the_gate(engine, project)
    process.terminate()
    assert "Interrupted. Now there: running: app." in project.end(process, code=130).err
