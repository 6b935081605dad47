"""Break a command in one way, run once more, and say whether all is as it should be."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.proxy import Cut, proxied
from tests.crash.subject import Subject
from tests.projects import SCAFFOLD, surroundings
from tests.soak import SOAK

SCENES = ("first start", "recreate", "down")
ENGINE_ERROR = 1


def spread(count: int, wanted: int) -> range | list[int]:
    """Return which of so many calls to break: all of them in a soak, otherwise some, evenly spread."""
    if SOAK or count <= wanted:
        return range(1, count + 1)
    return sorted({1 + round((index + 0.5) * (count - 1) / wanted) for index in range(wanted)})


@dataclass
class Score:
    """How many of the broken runs recovered, and what was wrong after the others."""

    title: str
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def take(self, what: str, attempt: Callable[[], object]) -> None:
        """Count one attempt; a failed one does not stop the rest."""
        self.tried += 1
        try:
            attempt()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            self.failures.append(f"{what}: {error}")

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began
        good = self.tried - len(self.failures)
        lines = [f"{self.title}: {good} of {self.tried} runs recovered ({seconds:.0f} s)", *self.failures]
        return "\n  ".join(lines)


def prepare(subject: Subject, scene: str) -> tuple[str, ...]:
    """Bring the project to where the scene begins; return the command that is to be broken."""
    try:
        return _prepared(subject, scene)
    finally:
        subject.is_up = False


def _prepared(subject: Subject, scene: str) -> tuple[str, ...]:
    if scene == "first start":
        subject.wipe()
        return ("run", "--no-wait")
    if not subject.is_up:
        subject.recover()
    subject.insert(3)
    if subject.anonymous and not subject.stash:
        subject.hide()
    if scene == "recreate":
        subject.change()
        return ("run", "--no-wait")
    subject.was_down = True
    return ("down", "--no-wait")


def recovered(subject: Subject) -> None:
    """Run once more; then everything has to be there, and no row may be missing."""
    subject.recover()
    subject.check()


def calls(subject: Subject, scene: str, socket: Path, upstream: str) -> list[str]:
    """Return the API calls of the scene's command when nothing goes wrong."""
    command = prepare(subject, scene)
    with proxied(socket, upstream) as proxy:
        subject.project.scaffold(*command, DOCKER_HOST=proxy.host)
    return proxy.calls


def cut_off(subject: Subject, scene: str, socket: Path, upstream: str, at: int, cut: Cut) -> None:
    """Cut the command off from the engine at one call; it has to say so, and the next run to recover."""
    command = prepare(subject, scene)
    with proxied(socket, upstream, at, cut) as proxy:
        process = subject.project.start(*command, DOCKER_HOST=proxy.host)
        out, err = process.communicate(timeout=60)
    subject.project.check_output(out + err)
    if len(proxy.calls) >= at:
        assert process.returncode == ENGINE_ERROR, f"exit code {process.returncode}\n{err}"
        assert "engine" in err, err
    recovered(subject)


def killed(subject: Subject, scene: str, moment: float) -> bool:
    """Kill the command with SIGKILL so many seconds after its start; return whether it was still at work."""
    command = prepare(subject, scene)
    # No pipes: what it started may live on and hold them.
    process = subprocess.Popen(
        (SCAFFOLD, *command, "--quiet"),
        cwd=subject.project.folder,
        env=surroundings(subject.project.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=moment)
        early = False
    except subprocess.TimeoutExpired:
        early = True
    process.send_signal(signal.SIGKILL)
    process.wait()
    recovered(subject)
    return early
