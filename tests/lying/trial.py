"""Run a command against a liar in a process of its own, and say how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lying import honest
from tests.lying.engine import lying
from tests.lying.lies import Lie

COMMANDS = {
    "list": ("list",),
    "status": ("status",),
    "ps": ("ps", "--json"),
    "plan": ("plan",),
    "run": ("run", "--no-wait", "--timeout", "2"),
    "logs": ("logs",),
    "logs -f": ("logs", "--follow"),
    "down": ("down", "--no-wait"),
    "stop": ("stop", "--no-wait"),
    "doctor": ("doctor",),
    "clean": ("clean", "--yes"),
    "stats": ("stats",),
    "events": ("events", "--since", "10m"),
    "volumes": ("volumes",),
    "networks": ("networks",),
    "images": ("images",),
    "pull": ("pull",),
    "restart": ("restart",),
    "kill": ("kill", "db"),
    "destroy": ("destroy", "--yes-delete-data", honest.PROJECT),
    "exec": ("exec", "db", "true"),
}
MEMORY = 600
"""Megabytes: what a command may hold at the most."""
_PROGRAM = """
import resource, sys
sys.argv = ["scaffold", *sys.argv[1:]]
import os
real = os._exit
def leave(code):
    sys.stderr.write(f"\\npeak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}\\n")
    sys.stderr.flush()
    real(code)
os._exit = leave
from scaffold.__main__ import main
main()
"""


@dataclass(frozen=True)
class Ending:
    """How a command ended: what is wrong with that, nothing for a good end."""

    code: int | None
    seconds: float
    megabytes: int
    out: str
    err: str
    limit: float

    @property
    def fault(self) -> str:
        if self.code is None:
            return "hangs"
        if "bug in scaffold" in self.err or "Traceback" in self.err + self.out:
            return "bug"
        if self.code not in (0, 1, 2, 130):
            return f"exit {self.code}"
        if self.seconds > self.limit:
            return "late"
        if self.megabytes > MEMORY:
            return f"{self.megabytes} MB"
        if self.code == 1 and "doctor" not in self.out and self.err.count("error: ") != 1 and not self.out:
            return "no error"
        return ""


def project(folder: Path) -> Path:
    """Make the project that the honest engine holds."""
    (folder / "compose.yaml").write_text(honest.COMPOSE)
    (folder / ".env").write_text(honest.ENV)
    (folder / ".env").chmod(0o600)
    return folder


def attempt(
    folder: Path,
    words: tuple[str, ...],
    lie: Lie | None,
    about: str | None,
    limit: float,
    *,
    patience: float = 2.0,
    number: signal.Signals | None = None,
) -> Ending:
    """Return how a command ends that has to do with this lie; `folder` is new and empty.

    `patience` are the seconds for each of its calls. With a signal it gets that while it waits for the lie.
    """
    project(folder)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))
    }
    with lying(folder, lie, about) as liar:
        environment |= {
            "DOCKER_HOST": liar.host,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "SCAFFOLD_ENGINE_TIMEOUT": str(patience),
        }
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        code: int | None = None
        try:
            if number is not None:
                liar.lied.wait(limit)
                time.sleep(0.3)
                begun = time.monotonic()
                process.send_signal(number)
            out, err = process.communicate(timeout=limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
    seconds = time.monotonic() - begun
    err, _, peak = err.rpartition("\npeak ")
    return Ending(code, seconds, int(peak or 0), out, err, limit)
