"""Take the time of a run's phases, from the moment the process began."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scaffold.stack.timings import Span


class Clock:
    """Seconds since the process began, and the phases measured so far."""

    def __init__(self) -> None:
        self._origin = time.monotonic() - _age()
        self.phases: list[Span] = [Span("start Python, read the command line", 0.0, self.now())]

    def now(self) -> float:
        return time.monotonic() - self._origin

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a block."""
        begin = self.now()
        try:
            yield
        finally:
            self.phases.append(Span(name, begin, self.now()))


def _age() -> float:
    """Return how long this process has been running, in seconds; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0.0
    # proc(5): field 22, in clock ticks since boot; the name in field 2 may hold spaces.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
