"""Run a command inside a container with this terminal: nobody does that better than the docker command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from scaffold.engine import children
from scaffold.engine.endpoint import chosen
from scaffold.engine.wire import TIMEOUT
from scaffold.errors import EngineError, EngineUnavailable

PATIENCE = 600.0
"""Seconds for a command inside a container that works on its data."""
SHELL = ("sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi")
"""bash where the image has one; tests run in the image, so nothing of it is guessed from outside."""


def feed(container: str, command: Sequence[str], text: str) -> str:
    """Return what a command prints that reads `text` on standard input. Raises EngineError when it fails."""
    try:
        done = subprocess.run(
            [_docker(), "exec", "--interactive", container, *command],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env=_environment(),
            **children.ours_alone(),
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"`{command[0]}` did not end in {container} within {PATIENCE:g} seconds.") from None
    if done.returncode != 0:
        lines = tuple((done.stderr or done.stdout).strip().splitlines()[-10:])
        raise EngineError(
            f"`{command[0]}` failed in {container} with exit code {done.returncode}.", evidence=lines
        )
    return done.stdout


def succeeds(container: str, command: Sequence[str]) -> bool:
    """Return whether a command inside the container exits with 0."""
    try:
        done = subprocess.run(
            [_docker(), "exec", container, *command],
            # Outside of the terminal's own group, whoever reads from it is stopped.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            env=_environment(),
            **children.ours_alone(),
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def flags() -> tuple[str, ...]:
    """Return the options of `docker exec` for the standard streams that this process has."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return ("--interactive", "--tty") if terminal else ("--interactive",)


def copy(source: str, target: str) -> None:
    """Copy as docker does, `-` for a tar on a standard stream. Raises EngineError with docker's own words."""
    done = subprocess.run(
        [_docker(), "cp", "--quiet", source, target],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(),
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise EngineError(
            f"{source} cannot be copied to {target}: "
            f"{said[-1].removeprefix('Error response from daemon: ') if said else 'docker cp failed'}."
        )


def interactive(container: str, command: Sequence[str]) -> int:
    """Return the exit code of a command that had this process's standard streams and terminal."""
    words = [_docker(), "exec", *flags(), container, *command]
    with subprocess.Popen(words, env=_environment()) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # Ctrl-C is for the command inside; without a terminal docker passes it on as well.
                continue


def _environment() -> dict[str, str]:
    return chosen().environment(os.environ)


def _docker() -> str:
    docker = shutil.which("docker")
    if not docker:
        raise EngineUnavailable(
            "There is no docker command.",
            "Install it (package docker-ce-cli): https://docs.docker.com/engine/install/",
        )
    return docker
