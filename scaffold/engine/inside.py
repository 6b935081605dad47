"""Run a command inside a container with this terminal: nobody does that better than the docker command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

from scaffold.errors import EngineUnavailable

SHELL = ("sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi")
"""bash where the image has one; tests run in the image, so nothing of it is guessed from outside."""


def interactive(container: str, command: Sequence[str]) -> int:
    """Return the exit code of a command that had this process's standard streams and terminal."""
    docker = shutil.which("docker")
    if not docker:
        raise EngineUnavailable(
            "There is no docker command.",
            "Install it (package docker-ce-cli): https://docs.docker.com/engine/install/",
        )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    flags = ("--interactive", "--tty") if terminal else ("--interactive",)
    with subprocess.Popen([docker, "exec", *flags, container, *command]) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # Ctrl-C is for the command inside; without a terminal docker passes it on as well.
                continue
