"""The fault bench: break a tiny real project, run it, judge the verdict, do what its hint says, run it again.

A fault is a generator function: what stands before its `yield` breaks the project; the verdict of the failed
run comes out of it; what follows does what the hint told. Whatever it opened, it closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import docker

from tests.conftest import remove, remove_outdated_images, take_inventory
from tests.projects import SCAFFOLD, surroundings

PATIENCE = "30"
"""Seconds that a service may take to get ready, or to fail by itself; most need one, on a busy machine."""
IN_VAIN = "4"
"""Seconds for a service that neither gets ready nor ends."""
HEALTHY_PATIENCE = "90"
LONGEST = 180
"""Seconds after which a command is taken to hang."""
API = "1.44"
"""The version of the engine's interface spoken here: dozens of clients at once need not each ask for it."""
WORKERS = 3

APP = """\
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
PROBE = r"""exec 3<>/dev/tcp/127.0.0.1/8000 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && grep -q " 200 " <&3"""
"""Without Python, whose start would be most of what a broken project costs."""
COMPOSE = f"""\
services:
  app:
    image: python:3.13-slim
    command: ["python", "-u", "/app.py"]
    init: true
    stop_grace_period: 1s
    ports: ["127.0.0.1:${{APP_PORT}}:8000"]
    volumes: ["./app.py:/app.py:ro"]
    labels: {{dev.scaffold.ready: /}}
    healthcheck: {{test: [CMD, bash, -c, '{PROBE}'], interval: 1s, timeout: 3s, retries: 3}}
"""
POSTGRES = """\
  db:
    image: postgres:18
    stop_grace_period: 5s
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}"}
    ports: ["127.0.0.1:${DB_PORT}:5432"]
    volumes: ["db-data:/var/lib/postgresql"]
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1, -U, app], interval: 1s, retries: 60}
volumes: {db-data: {}}
"""


@dataclass(frozen=True)
class Verdict:
    """What a failed run ended with."""

    message: str
    hint: str
    evidence: tuple[str, ...]
    command: str
    """The first group of the fault's `hint` pattern: what the person is told to type, or to write."""


Fate = Generator[None, Verdict, None]


@dataclass(frozen=True)
class Fault:
    """One way to break a project, what its verdict has to say, and what its hint has to tell."""

    name: str
    cause: str
    hint: str
    body: Callable[[Scene], Fate] = field(repr=False)
    compared: bool = True
    """Whether `docker compose up` meets this fault too."""


@dataclass
class Scene:
    """One project in its folder, and how commands are run in it."""

    folder: Path
    name: str
    environment: dict[str, str] = field(default_factory=dict)
    patience: str = PATIENCE
    prefix: tuple[str, ...] = ()
    """What the command line begins with: a program that takes something away from the one that follows."""

    def __post_init__(self) -> None:
        self.write("app.py", APP)
        self.write("compose.yaml", COMPOSE)
        self.write(".env", f"COMPOSE_PROJECT_NAME={self.name}\nAPP_PORT={free_port()}\n")
        (self.folder / ".env").chmod(0o600)

    def write(self, file: str, text: str, mode: int | None = None) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if mode is not None:
            path.chmod(mode)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that has to be there."""
        text = (self.folder / file).read_text()
        assert old in text, f"{file} does not hold {old!r}"
        self.write(file, text.replace(old, new, 1))

    def add(self, file: str, text: str) -> None:
        path = self.folder / file
        path.write_text(path.read_text() + text)

    def variable(self, name: str) -> str:
        lines = (self.folder / ".env").read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))

    def with_database(self) -> None:
        """Add PostgreSQL to the project; its first start takes a while on a busy machine."""
        self.patience = HEALTHY_PATIENCE
        self.add("compose.yaml", POSTGRES)
        self.add(".env", f"POSTGRES_PASSWORD={secrets.token_hex(8)}\nDB_PORT={free_port()}\n")

    def built(self, dockerfile: str) -> None:
        """Build the app's image from a Dockerfile, instead of using one that is there."""
        self.edit("compose.yaml", "image: python:3.13-slim", "build: .")
        self.write("Dockerfile", dockerfile)

    def service(self, **keys: object) -> None:
        """Add keys to the service `app`."""
        self.edit(
            "compose.yaml",
            "    init: true\n",
            "    init: true\n" + "".join(f"    {key}: {json.dumps(value)}\n" for key, value in keys.items()),
        )

    def do(self, *command: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the folder, as it is without the fault's `prefix`."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def shell(self, command: str) -> None:
        """Type a command that a hint printed."""
        self.do("sh", "-c", command)

    def start_anew(self, verdict: Verdict) -> None:
        """Do the second half of the hint for a program that runs and whose files are mounted."""
        command = "scaffold run --recreate"
        assert f"`{command}`" in verdict.hint, verdict.hint
        self.shell(f"{command} --timeout {HEALTHY_PATIENCE}")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.do(*self.prefix, SCAFFOLD, "run", *arguments, check=False)

    def compose(self) -> str:
        """Return everything that `docker compose up --wait` says."""
        command = ("docker", "compose", "up", "--wait", "--wait-timeout", "15")
        done = self.do(*self.prefix, *command, check=False)
        return done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        path = f"{Path(SCAFFOLD).parent}:{os.environ['PATH']}"
        return surroundings({"PATH": path}, self.environment)


_ports = iter(range(21000 + secrets.randbelow(300) * 20, 32000))


def free_port() -> int:
    """Return a port that nothing listens on, another one every time."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise AssertionError("no free port")


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, cause: str, hint: str, compared: bool = True
) -> Callable[[Callable[[Scene], Fate]], None]:
    """Register a fault; `cause` has to be found in the verdict's message, `hint` in its hint, in any case."""

    def register(body: Callable[[Scene], Fate]) -> None:
        assert name not in FAULTS, name
        FAULTS[name] = Fault(name, cause, hint, body, compared)

    return register


@dataclass(frozen=True)
class Outcome:
    """How one fault went."""

    fault: Fault
    named: bool
    mended: bool
    seconds: float
    """From the start of the failing run to its verdict."""
    verdict: str
    trouble: str = ""
    compose: bool | None = None
    """Whether the output of `docker compose up --wait` names the cause; None when it was not asked."""


@contextlib.contextmanager
def scene(client: docker.DockerClient, prefix: str) -> Iterator[Scene]:
    """Yield a healthy project; everything that is named after it goes at the end."""
    name = f"{prefix}{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        state = Path(folder) / ".state"
        environment = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(state)}
        project = Path(folder) / name
        project.mkdir()
        try:
            yield Scene(project, name, environment)
        finally:
            remove(client, take_inventory(client).only(lambda other: name in other))
            remove_outdated_images(client, name)


def examine(fault: Fault, prefix: str) -> Outcome:
    """Break a project, run it, and do what the verdict says."""
    with contextlib.closing(docker.from_env(version=API)) as client, scene(client, prefix) as stage:
        fate = fault.body(stage)
        next(fate)
        with contextlib.closing(fate):
            begun = time.monotonic()
            done = stage.run("--json", "--timeout", stage.patience)
            seconds = time.monotonic() - begun
            said = done.stderr.strip()
            if done.returncode == 0:
                return Outcome(fault, False, False, seconds, said, "it did not fail")
            try:
                error = json.loads(done.stdout)["error"]
            except (ValueError, KeyError):
                return Outcome(fault, False, False, seconds, said, "no verdict")
            message, hint = error["message"], error["hint"] or ""
            named = bool(re.search(fault.cause, message, re.IGNORECASE | re.DOTALL))
            told = re.search(fault.hint, hint, re.IGNORECASE | re.DOTALL)
            trouble = "" if named else "the message does not name the cause"
            trouble = trouble or ("" if told else "the hint does not say what mends it")
            mended = False
            if told:
                mended, why = _mend(
                    stage, fate, Verdict(message, hint, tuple(error["evidence"]), _group(told))
                )
                trouble = trouble or why
            return Outcome(fault, named, mended, seconds, said, trouble)


def _group(found: re.Match[str]) -> str:
    return found[1] if found.re.groups else ""


def _mend(stage: Scene, fate: Fate, verdict: Verdict) -> tuple[bool, str]:
    try:
        with contextlib.suppress(StopIteration):
            fate.send(verdict)
        again = stage.run("--timeout", HEALTHY_PATIENCE)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        return False, f"what the hint says cannot be done: {error}"
    if again.returncode != 0:
        return False, f"the hint does not mend it: {again.stderr.strip()}"
    return True, ""


def ask_compose(fault: Fault, prefix: str) -> bool | None:
    """Return whether what `docker compose up --wait` prints on the same fault names its cause."""
    if not fault.compared:
        return None
    with contextlib.closing(docker.from_env(version=API)) as client, scene(client, prefix) as stage:
        fate = fault.body(stage)
        next(fate)
        with contextlib.closing(fate):
            return bool(re.search(fault.cause, stage.compose(), re.IGNORECASE | re.DOTALL))


def safely(fault: Fault, prefix: str) -> Outcome:
    """Examine a fault; what goes wrong in the bench itself is a failure of that fault."""
    try:
        return examine(fault, prefix)
    except Exception as error:  # noqa: BLE001 - one broken fault must not hide the others
        said = f"{type(error).__name__}: {error}"
        return Outcome(fault, False, False, 0.0, "", f"the bench: {said}")


def examine_all(faults: list[Fault], prefix: str, workers: int = WORKERS) -> Iterator[Outcome]:
    """Yield the outcome of each fault in order; several are examined at once, since most of it is waiting."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda item: safely(item, prefix), faults)
