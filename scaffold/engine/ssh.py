"""An engine behind ssh: the docker command of that machine passes its API on, as for docker's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from typing import IO
from urllib.parse import urlsplit

from scaffold.engine import children
from scaffold.errors import EngineUnavailable

PATIENCE = 10
"""Seconds for ssh to connect."""


class Tunnel:
    """One ssh with a socket for its standard streams. Raises EngineUnavailable where there is no ssh."""

    def __init__(self, host: str, theirs: socket.socket) -> None:
        command = shutil.which("ssh")
        if not command:
            raise EngineUnavailable(
                f"The Docker engine at {host} is reached with ssh, which is not installed.",
                "Install it, e.g. the package openssh-client.",
            )
        self.host = host
        # A file, not a pipe: nobody reads from it until ssh has failed.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - read after the end
        self._process = subprocess.Popen(
            [command, *words(host)],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=self._said,
            **children.ours_alone(),
        )

    def failure(self) -> EngineUnavailable | None:
        """Return why there is no way to the engine; None while ssh has nothing to say."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.poll()
        self._said.seek(0)
        lines = self._said.read(4096).decode(errors="replace").strip().splitlines()
        if code in (None, 0) or (code < 0 and not lines):
            return None  # still there, or ended by this program
        why = lines[-1].strip().rstrip(".") if lines else f"ssh ended with {code}"
        command = f"ssh {' '.join(words(self.host))}".replace("-o BatchMode=yes ", "")
        return EngineUnavailable(
            f"The Docker engine at {self.host} cannot be reached: {why}.",
            f"Try `{command.partition(' docker ')[0]} docker version`: ssh has to log in without a question "
            "(a key in an agent, a known host), and that machine needs the docker command.",
        )

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()


def words(host: str) -> tuple[str, ...]:
    """Return the words after `ssh`. It must not ask for a password: nobody would see the question."""
    parts = urlsplit(host)
    options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={PATIENCE}"]
    options += ["-l", parts.username] if parts.username else []
    options += ["-p", str(parts.port)] if parts.port else []
    remote = ["docker", *(["--host", f"unix://{parts.path}"] if parts.path.strip("/") else [])]
    return (*options, "--", parts.hostname or "", *remote, "system", "dial-stdio")
