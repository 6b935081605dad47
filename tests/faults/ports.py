"""Faults of published ports: somebody else has them."""

from __future__ import annotations

import subprocess
import sys

from tests.faults.bench import Fate, Scene, fault

_LISTEN = (
    "import socket, sys, time; s = socket.socket(socket.AF_INET, getattr(socket, sys.argv[2])); "
    "s.bind(('127.0.0.1', int(sys.argv[1])))"
)


def _listener(port: str, kind: str) -> subprocess.Popen[bytes]:
    code = _LISTEN + ("; s.listen()" if kind == "SOCK_STREAM" else "") + "; print(flush=True); time.sleep(99)"
    process = subprocess.Popen([sys.executable, "-c", code, port, kind], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@fault("port held by a process", cause=r"python\S* \(pid \d+\)|address already in use", hint=r"`(kill \d+)`")
def _(scene: Scene) -> Fate:
    with _listener(scene.variable("APP_PORT"), "SOCK_STREAM") as process:
        try:
            verdict = yield
            scene.shell(verdict.command)
        finally:
            process.kill()


@fault(
    "UDP port held by a process",
    cause=r"udp.*python\S* \(pid \d+\)|udp.*address already in use",
    hint=r"`(kill \d+)`",
)
def _(scene: Scene) -> Fate:
    port = scene.variable("APP_PORT")
    scene.edit("compose.yaml", '${APP_PORT}:8000"]', '${APP_PORT}:8000", "127.0.0.1:${APP_PORT}:8000/udp"]')
    with _listener(port, "SOCK_DGRAM") as process:
        try:
            verdict = yield
            scene.shell(verdict.command)
        finally:
            process.kill()


@fault(
    "port held by a container",
    cause=r"container other-|port is already allocated",
    hint=r"`(docker stop \S+)`",
)
def _(scene: Scene) -> Fate:
    port = scene.variable("APP_PORT")
    scene.do(
        *("docker", "run", "--detach", "--init", "--name", f"other-{scene.name}"),
        *("--publish", f"127.0.0.1:{port}:80", "python:3.13-slim", "sleep", "99"),
    )
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "port held by another project",
    cause=r"project in \S+/other|port is already allocated",
    hint=r"`(scaffold stop \S+/other)`",
)
def _(scene: Scene) -> Fate:
    other = scene.folder.parent / "other"
    other.mkdir()
    for file in ("compose.yaml", "app.py", ".env"):
        (other / file).write_text((scene.folder / file).read_text())
    (other / ".env").write_text((other / ".env").read_text().replace(scene.name, f"{scene.name}-other"))
    assert scene.do("scaffold", "run", "--project", str(other)).returncode == 0
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "two services publish one port",
    cause=r"\bapp and other publish the same port|port is already allocated",
    hint=r"ports",
)
def _(scene: Scene) -> Fate:
    scene.add(
        "compose.yaml",
        "  other: {image: 'python:3.13-slim', command: [sleep, '99'], ports: ['127.0.0.1:${APP_PORT}:1']}\n",
    )
    yield
    scene.edit("compose.yaml", "${APP_PORT}:1", "0:1")


@fault("address that this machine does not have", cause=r"192\.0\.2\.1", hint=r"127\.0\.0\.1")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "127.0.0.1:${APP_PORT}", "192.0.2.1:${APP_PORT}")
    yield
    scene.edit("compose.yaml", "192.0.2.1:${APP_PORT}", "127.0.0.1:${APP_PORT}")
