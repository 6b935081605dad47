"""Ctrl-C and SIGTERM: a look ends at once, a change politely, and at the second one at once."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class Flag:
    """What a signal's handler may raise while the thread that it interrupts waits for it.

    `threading.Event.set` takes a lock that the interrupted thread may hold just then: neither goes on. The
    queue's `put` is made for that: "reentrant", says the documentation of `queue.SimpleQueue`.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._is_set = True
        self._news.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """Return whether it was raised, after `timeout` seconds at the latest."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=timeout)
                self._news.put(None)  # for the next one that waits
        return self._is_set


class Cancellation:
    """Whether the person gave up; what waits registers how to be woken."""

    def __init__(self) -> None:
        self._requested = False
        self._callbacks: set[Callable[[], None]] = set()
        # A signal's handler runs in the midst of whatever the main thread does.
        self._guard = threading.RLock()
        self._finishing = 0
        self._since = 0.0

    @property
    def requested(self) -> bool:
        return self._requested

    @property
    def is_finishing(self) -> bool:
        """Return whether what was begun has to come to its end first."""
        return self._finishing > 0

    @property
    def seconds(self) -> float:
        """Return how long ago the person gave up; zero before that."""
        return time.monotonic() - self._since if self.requested else 0.0

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Let what is begun in the block, by any thread, come to its end; the block looks for the request."""
        self._finishing += 1
        try:
            yield
        finally:
            self._finishing -= 1

    def request(self) -> None:
        """Ask everything that waits to stop."""
        self._since = self._since or time.monotonic()
        self._requested = True
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
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

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

    Where nothing has to come to its end first, the wait of the main thread ends at once, whatever it is for.
    What the engine is doing then is finished by the engine, and the next run goes on from there.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        if cancellation.requested:
            sys.stderr.write("\x1b[?25h\n" if sys.stderr.isatty() else "\n")
            os._exit(130)
        cancellation.request()
        if not cancellation.is_finishing:
            raise KeyboardInterrupt
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


@contextlib.contextmanager
def side_by_side(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads for looks; once the block fails, or is interrupted, nobody waits for them."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
