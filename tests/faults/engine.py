"""Faults of the engine itself and of the way to it. The engine that the tests use stays as it is."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.faults.bench import HEALTHY_PATIENCE, Fate, Scene, fault, free_port

_ENGINE = "/var/run/docker.sock"


class _Pipe(socketserver.BaseRequestHandler):
    """Passes one connection on to the engine; `server.cut` says when it is cut off."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(_ENGINE)
            done = threading.Event()
            for source, target in ((self.request, engine), (engine, self.request)):
                threading.Thread(target=self._copy, args=(source, target, done), daemon=True).start()
            done.wait()

    def _copy(self, source: socket.socket, target: socket.socket, done: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if b"/start HTTP" in data and getattr(self.server, "cut", False):
                    break
                target.sendall(data)
        done.set()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    cut = False


@contextlib.contextmanager
def _proxy(path: Path, *, cut: bool) -> Iterator[_Server]:
    with _Server(str(path), _Pipe) as server:
        server.cut = cut
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
        path.unlink()


@fault("engine not running", cause=r"does not answer|cannot connect", hint=r"`(unset DOCKER_HOST)`|start")
def _(scene: Scene) -> Fate:
    scene.environment["DOCKER_HOST"] = f"unix://{scene.folder}/nothing.sock"
    verdict = yield
    assert "unset DOCKER_HOST" in verdict.hint
    del scene.environment["DOCKER_HOST"]


@fault(
    "engine of another machine that does not answer",
    cause=r"tcp://127\.0\.0\.1:\d+",
    hint=r"`(unset DOCKER_HOST)`",
)
def _(scene: Scene) -> Fate:
    scene.environment["DOCKER_HOST"] = f"tcp://127.0.0.1:{free_port()}"
    yield
    del scene.environment["DOCKER_HOST"]


@fault(
    "docker context that does not exist",
    cause=r"context.*\bproduction\b",
    hint=r"`(unset DOCKER_CONTEXT|docker context use default)`",
)
def _(scene: Scene) -> Fate:
    scene.environment["DOCKER_CONTEXT"] = "production"
    yield
    del scene.environment["DOCKER_CONTEXT"]


@fault(
    "engine gone in the middle",
    cause=r"went away|error during connect|cannot connect|EOF|connection reset",
    hint=r"repeat|again",
)
def _(scene: Scene) -> Fate:
    path = scene.folder / "cut.sock"
    with _proxy(path, cut=True):
        scene.environment["DOCKER_HOST"] = f"unix://{path}"
        yield
        del scene.environment["DOCKER_HOST"]


@fault("no permission to use the engine", cause=r"permission", hint=r"`sudo usermod -aG (\S+) \$USER`")
def _(scene: Scene) -> Fate:
    path = scene.folder / "private.sock"
    group = 54321
    with _proxy(path, cut=False):
        os.chown(path, 12345, group)
        path.chmod(0o660)
        scene.environment["DOCKER_HOST"] = f"unix://{path}"
        scene.prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
        verdict = yield
        # What usermod and a new login do.
        assert verdict.command == str(group)
        scene.prefix = ("setpriv", "--groups", verdict.command, *scene.prefix[1:])
        assert scene.run("--timeout", HEALTHY_PATIENCE).returncode == 0
        scene.prefix = ()
        del scene.environment["DOCKER_HOST"]


class _OldEngine(http.server.BaseHTTPRequestHandler):
    """An engine of 2020, as far as anybody asks it."""

    def do_GET(self) -> None:
        version = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        body = json.dumps(version).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server looks for this name

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "engine"


@fault(
    "engine too old",
    cause=r"too old.*(1\.41|20\.10)",
    hint=r"https://docs\.docker\.com/engine/install",
    compared=False,
)
def _(scene: Scene) -> Fate:
    path = scene.folder / "old.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _OldEngine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scene.environment["DOCKER_HOST"] = f"unix://{path}"
        try:
            yield
            del scene.environment["DOCKER_HOST"]
        finally:
            server.shutdown()


def _plugin_folder(plugin: str) -> str:
    found = subprocess.run(
        ["docker", "info", "--format", "{{range .ClientInfo.Plugins}}{{println .Name .Path}}{{end}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    paths = dict(line.split() for line in found.stdout.splitlines() if line)
    return str(Path(paths[plugin]).parent)


def _without_plugin(plugin: str) -> tuple[str, ...]:
    """Return what hides one plugin from the program that follows, and from nobody else."""
    hide = f'mount --bind /dev/null "$0/docker-{plugin}" && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", hide, _plugin_folder(plugin))


@fault("no Compose plugin", cause=r"\bcompose\b.*plugin", hint=r"`scaffold doctor --fix`", compared=False)
def _(scene: Scene) -> Fate:
    scene.prefix = _without_plugin("compose")
    yield
    scene.prefix = ()


@fault("no buildx plugin", cause=r"\bbuildx\b.*plugin", hint=r"`scaffold doctor --fix`", compared=False)
def _(scene: Scene) -> Fate:
    scene.built("FROM python:3.13-slim\n")
    scene.prefix = _without_plugin("buildx")
    yield
    scene.prefix = ()
