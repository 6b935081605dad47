"""docs/docker-in-ten-commands.md, typed: each command prints what the page says."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from scaffold.cli.app import COMMANDS
from tests.projects import surroundings

PAGE = Path(__file__).parents[1] / "docs" / "docker-in-ten-commands.md"
ANYTHING = "…"


@dataclass(frozen=True)
class Typed:
    """A command, and the lines that the page shows below it."""

    command: str
    printed: tuple[str, ...]


def typed(page: str) -> Iterator[Typed]:
    """Yield what the page lets somebody type; a line after `> ` goes on with a command."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            more = [line.removeprefix("> ") for line in lines[1:] if line.startswith("> ")]
            shown = [line for line in lines[1:] if not line.startswith("> ")]
            yield Typed("\n".join([lines[0], *more]), tuple(shown))


def in_terminal(command: str, folder: Path) -> tuple[int, str]:
    """Return the exit code of a shell's command, typed at a terminal, and what the screen shows."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            ("bash", "-c", command),
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=surroundings({"TERM": "dumb"}),
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = screen.read(65536)
            except OSError:  # the terminal has no other end any more
                break
            if not piece:
                break
            shown += piece
        return process.wait(), shown.decode().replace("\r\n", "\n")


def is_shown(expected: tuple[str, ...], printed: str) -> bool:
    """Return whether the lines are what was printed; `…` stands for anything, a line of it for many."""
    pattern = "\n".join(
        r"[\s\S]*" if line == ANYTHING else re.escape(line).replace(ANYTHING, ".*") for line in expected
    )
    return re.fullmatch(pattern, printed.strip()) is not None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def prefix(engine: docker.DockerClient, project_name: str) -> Iterator[str]:
    """What names begin with here in place of `learn`: others may learn on the same engine."""
    yield project_name
    subprocess.run(("docker", "rm", "-f", f"{project_name}-db"), capture_output=True)
    for kind, name in (("volume", f"{project_name}-data"), ("network", project_name)):
        subprocess.run(("docker", kind, "rm", name), capture_output=True)
    for name in (f"{project_name}-app", f"{project_name}_app"):
        subprocess.run(("docker", "image", "rm", "-f", name), capture_output=True)


@pytest.mark.engine
def test_page_prints_what_it_says(prefix: str, tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("learn", prefix).replace("27018", str(free_port()))
    steps = list(typed(page))
    assert len(steps) > 20
    for step in steps:
        code, printed = in_terminal(step.command, tmp_path)
        if step.command.startswith("docker pull") and code:
            continue  # no registry answers here; the image is there all the same
        assert code == 0, (step.command, printed)
        if "compose" in step.command and step.command.endswith("{{.State}}'"):
            # The app has ended by now, or it has not yet.
            assert "db running" in printed, printed
            continue
        assert is_shown(step.printed, printed), (step.command, printed)


def test_page_names_commands_that_are_there() -> None:
    words = re.findall(r"`scaffold\s+(\w+)", PAGE.read_text(encoding="utf-8"))
    assert len(words) > 10
    assert set(words) <= set(COMMANDS)
