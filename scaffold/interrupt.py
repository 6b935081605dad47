"""Ctrl-C while the project's state changes: the first one stops politely, the second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Cancellation:
    """Whether the person gave up; what waits registers how to be woken."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: set[Callable[[], None]] = set()
        # A signal's handler runs in the midst of whatever the main thread does.
        self._guard = threading.RLock()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        """Ask everything that waits to stop."""
        self._event.set()
        with self._guard:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    @contextlib.contextmanager
    def wakes(self, callback: Callable[[], None]) -> Iterator[None]:
        """Have `callback` called at the request, also when it came before."""
        with self._guard:
            self._callbacks.add(callback)
        if self.requested:
            callback()
        try:
            yield
        finally:
            with self._guard:
                self._callbacks.discard(callback)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a wait in which nothing was begun yet, as Ctrl-C does by itself."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def on_signals(cancellation: Cancellation, notice: Callable[[], None]) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a request; a second one ends the process with exit code 130.

    What the engine is doing then is finished by the engine, and the next run goes on from there.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        if cancellation.requested:
            sys.stderr.write("\x1b[?25h\n" if sys.stderr.isatty() else "\n")
            os._exit(130)
        cancellation.request()
        # A terminal that cannot be written to now must not keep anything from ending.
        with contextlib.suppress(OSError, RuntimeError):
            notice()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
