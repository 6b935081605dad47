"""Take the time of things, side by side: in each round every candidate has its turn."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL = 0.005
"""Seconds between two questions to an app that does not answer yet."""
PATIENCE = 300.0
"""Seconds after which a command is taken to hang."""


@dataclass(frozen=True)
class Aim:
    """A ratio that has to be reached: the median of `of` divided by that of `against`."""

    of: str
    against: str
    limit: float


@dataclass(frozen=True)
class Figure:
    """One line of the result: what was done, and the seconds that each candidate took for it, by round."""

    what: str
    samples: Mapping[str, tuple[float, ...]]
    aims: tuple[Aim, ...] = ()

    def median(self, candidate: str) -> float:
        return statistics.median(self.samples[candidate])

    def ratio(self, aim: Aim) -> float:
        return self.median(aim.of) / self.median(aim.against)


@dataclass
class Samples:
    """Seconds by what was done and by candidate, while the rounds go on."""

    taken: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, what: str, candidate: str, seconds: float) -> None:
        self.taken.setdefault(what, {}).setdefault(candidate, []).append(seconds)

    def figures(self, aims: Mapping[str, tuple[Aim, ...]] | None = None) -> tuple[Figure, ...]:
        """Return a figure for each thing that was done, in the order of its first time."""
        known = aims or {}
        return tuple(
            Figure(what, {name: tuple(taken) for name, taken in found.items()}, known.get(what, ()))
            for what, found in self.taken.items()
        )


def alternately(round_number: int, candidates: Sequence[T]) -> Sequence[T]:
    """Return the candidates in the order of this round: each one goes first in its turn.

    >>> [alternately(n, "ab") for n in range(2)]
    ['ab', 'ba']
    """
    first = round_number % len(candidates)
    return [*candidates[first:], *candidates[:first]]


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def command(*words: str, folder: Path) -> float:
    """Run a command as a script does, its output in a file; return how long it took. Raises when it fails.

    The wait is one system call that ends with the process: with a timeout, `subprocess` asks again and again
    in steps that grow to 50 ms, and 70 ms would read as 115.
    """
    output = folder.parent / f"{folder.name}.log"
    with output.open("w") as sink:
        begun = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        patience = threading.Timer(PATIENCE, process.kill)
        patience.daemon = True
        patience.start()
        try:
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            patience.cancel()
        took = time.perf_counter() - begun
    if code != 0:
        said = output.read_text()[-2000:]
        raise RuntimeError(f"`{' '.join(words)}` failed with {code}:\n{said}")
    return took


@dataclass
class Answer:
    """When the first 200 came, in seconds since the watch began."""

    after: float | None = None


@contextmanager
def first_answer(port: int, path: str) -> Iterator[Answer]:
    """Ask for `path` again and again from another thread until the first 200; wait for that at the end."""
    answer = Answer()
    over = threading.Event()
    begun = time.perf_counter()

    def ask() -> None:
        while not over.is_set():
            if status(port, path) == 200:
                answer.after = time.perf_counter() - begun
                return
            over.wait(POLL)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield answer
        asking.join(PATIENCE)
    finally:
        over.set()


def status(port: int, path: str) -> int | None:
    """Return the status of one GET, None when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
