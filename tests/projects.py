"""Projects as people have them: a folder, the `scaffold` command, HTTP; and what must hold for every command.

Each project made here is named after its folder, so that the `project_name` fixture removes all of it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
PATIENCE = 60.0
"""Seconds after which something that has to happen is taken to have failed."""

# What somebody's own shell may have set, and these tests must not see.
_FOREIGN = re.compile(
    r"CI$|COMPOSE_|SCAFFOLD_|APP_PORT|DB_PORT|DATABASE_URL|POSTGRES_|MONGO_|LOG_LEVEL|CA_BUNDLE"
)

SERVER = """\
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("version", VERSION, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(VERSION).encode())
http.server.ThreadingHTTPServer((os.environ.get("HOST", "0.0.0.0"), 8000), Handler).serve_forever()
"""
"""An app that answers its version to every GET; the smallest thing that a plan has to build and prove."""

APP = """\
services:
  app:
    image: python:3.13-slim
    init: true
    command: ["python", "-c", {code}]
    ports: ["127.0.0.1:${{APP_PORT:?}}:8000"]
    labels: {{dev.scaffold.ready: /}}
    volumes: ["./gate:/gate:ro"]
    mem_limit: 64m
    stop_grace_period: 20s
    restart: "{restart}"
"""
SERVES = f"VERSION = 1\n{SERVER}"
GATED = f"""\
import os, time
print("at the gate", flush=True)
while not os.path.exists("/gate/open"): time.sleep(0.02)
{SERVES}"""
"""It listens once somebody opens the gate."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the document on standard output; a second one, or other text beside it, does not parse."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"$ {' '.join(self.command)} → {self.code}\n{self.out}\n--\n{self.err}"


@dataclass(frozen=True)
class Project:
    """One folder with a compose.yaml."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """On top of this process's own."""

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def variables(self) -> dict[str, str]:
        lines = self.env_file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    @property
    def name(self) -> str:
        return self.variables["COMPOSE_PROJECT_NAME"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.variables['APP_PORT']}"

    def scaffold(self, *arguments: str, code: int = 0, stdin: str = "", **environment: str) -> Done:
        """Run `scaffold` in the folder and return how it ended, which has to be as `code` says."""
        return self.run(SCAFFOLD, *arguments, code=code, stdin=stdin, **environment)

    def run(self, *command: str, code: int = 0, stdin: str = "", **environment: str) -> Done:
        """Run any command in the folder; whatever it prints must hold no secret and no traceback."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=surroundings(self.environment, environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
        )
        done = Done(command, ended.returncode, ended.stdout, ended.stderr)
        assert done.code == code, done
        self.check_output(done.out + done.err)
        return done

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a `scaffold` in the folder, in a process group of its own."""
        return subprocess.Popen(
            (SCAFFOLD, *arguments),
            cwd=self.folder,
            env=surroundings(self.environment, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str], *, code: int) -> Done:
        """Wait for a process that `start` began."""
        out, err = process.communicate(timeout=120)
        done = Done(
            tuple(map(str, process.args)) if isinstance(process.args, tuple) else (),
            process.returncode,
            out,
            err,
        )
        assert done.code == code, done
        self.check_output(out + err)
        return done

    def check_output(self, text: str) -> None:
        assert "Traceback" not in text, text
        assert "bug in scaffold" not in text, text
        for secret in self.secrets():
            assert secret not in text, text

    def secrets(self) -> tuple[str, ...]:
        if not self.env_file.exists() or not os.access(self.env_file, os.R_OK):
            return ()
        return tuple(v for k, v in self.variables.items() if k.endswith(("_PASSWORD", "_SECRET")) and v)

    def container(self, service: str) -> str:
        return f"{self.name}-{service}-1"

    def destroy(self) -> Done:
        return self.scaffold("destroy", "--yes-delete-data", self.name)


def surroundings(*more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would reach into a project, and with `more`."""
    # A copy first: pytest changes its own variables while other threads read them.
    found = {name: os.environ.get(name, "") for name in tuple(os.environ) if not _FOREIGN.match(name)}
    # Printed commands call it by its name.
    found["PATH"] = f"{Path(SCAFFOLD).parent}:{found['PATH']}"
    for extra in more:
        found |= extra
    return found


def generated(folder: Path, *answers: str) -> Project:
    """Return a project made by `scaffold new`, with answers such as `database=mongo`."""
    flags = [word for answer in answers for word in ("-d", answer)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    Project(folder.parent).scaffold("new", str(folder), "--defaults", "--no-git", *flags)
    return Project(folder)


def handwritten(
    folder: Path, compose: str, example: str = "", files: Mapping[str, str] | None = None
) -> Project:
    """Return a project of a compose.yaml that a person wrote: the least that shows what a test is about."""
    folder.mkdir(parents=True)
    (folder / "compose.yaml").write_text(compose)
    (folder / ".env.example").write_text(f"COMPOSE_PROJECT_NAME={folder.name}\n{example}")
    for path, text in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Project(folder)


def app_of(folder: Path, code: str, restart: str = "no") -> Project:
    """Return a project whose app is this Python code."""
    compose = APP.format(code=json.dumps(code.replace("$", "$$")), restart=restart)
    project = handwritten(folder, compose, "APP_PORT=8600\n")
    (folder / "gate").mkdir()
    return project


def until(claim: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Return once the claim holds; there is no event for what is asked here."""
    deadline = time.monotonic() + patience
    while not claim():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def get(url: str) -> tuple[int, str]:
    """Return status and body of one GET."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def send(method: str, url: str, body: object) -> tuple[int, Any]:
    """Return status and JSON body of a request with a JSON body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, parts.path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def add_item(project: Project, name: str) -> None:
    status, _ = send("POST", f"{project.url}/items", {"name": name})
    assert status == 201


def item_names(project: Project) -> set[str]:
    status, body = get(f"{project.url}/items")
    assert status == 200, body
    return {item["name"] for item in json.loads(body)["items"]}


def unused_port() -> int:
    """Return a port that nothing listens on now, far from those that projects ask for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: the terminal sends it to the whole process group."""
    os.killpg(process.pid, signal.SIGINT)


def command_lines() -> Iterable[str]:
    """Yield what every process of the machine shows to `ps`."""
    # A glob of their files fails on one that ends meanwhile.
    for process in (path for path in Path("/proc").iterdir() if path.name.isdecimal()):
        try:
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
