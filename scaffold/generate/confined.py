"""Run a function in a process of its own, within limits of time, memory and disk.

A template's expressions are a program, though they can start none: one that never ends, or doubles a text
for ever, must not take the machine with it. The limits are the kernel's, so that they hold in the middle of
a multiplication too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from scaffold.errors import ScaffoldError

_T = TypeVar("_T")

_LOOK = 0.5  # seconds between two looks at what has been written


@dataclass(frozen=True)
class Limits:
    """What the function may use. `seconds` are the processor's: waiting for a person costs none."""

    seconds: int = 10
    memory: int = 2**30  # bytes, on top of what this process has
    file: int = 2**28
    written: int = 2**30


class Exceeded(ScaffoldError):
    """The function wanted more than its limits; the message is the second half of a sentence."""


def run(work: Callable[[], _T], limits: Limits, folder: Path) -> _T:
    """Return what the function returns, or raise the error that it raises; it writes into `folder`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, limits, writing)
    os.close(writing)
    answer = b""
    try:
        with _ended(child), os.fdopen(reading, "rb", buffering=0) as stream:
            answer = _answer(stream.fileno(), limits, folder)
            _, status = os.waitpid(child, 0)
    except ChildProcessError:  # somebody ignores the ends of children
        status = 0
    if answer:
        done, value = pickle.loads(answer)  # noqa: S301 - written by `_work`
        if done:
            return value  # type: ignore[no-any-return]
        raise value
    raise _exceeded(status, limits)


def _work(work: Callable[[], object], limits: Limits, writing: int) -> NoReturn:
    """Be the child: never return into what the parent was doing."""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _limit(limits)
        try:
            answer = pickle.dumps((True, work()))
        except MemoryError:
            answer = pickle.dumps((False, _memory(limits)))
        except OSError as error:
            is_large = error.errno == errno.EFBIG
            answer = pickle.dumps((False, _large(limits) if is_large else error))
        except ScaffoldError as error:
            answer = pickle.dumps((False, error))
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:
            stream.write(answer)
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException:  # noqa: BLE001 - there is nobody else to tell
        import traceback

        with contextlib.suppress(BaseException):
            traceback.print_exc()
    os._exit(70)


def _limit(limits: Limits) -> None:
    bounds = {
        resource.RLIMIT_CPU: limits.seconds,
        resource.RLIMIT_AS: _memory_in_use() + limits.memory,
        resource.RLIMIT_FSIZE: limits.file,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        _, hard = resource.getrlimit(kind)
        most = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of addresses
            resource.setrlimit(kind, (most, hard))


def _memory_in_use() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 2**33
    return pages * resource.getpagesize()


def _answer(reading: int, limits: Limits, folder: Path) -> bytes:
    """All that the child says, as long as what it writes stays within the limit."""
    parts: list[bytes] = []
    while True:
        if not select.select([reading], [], [], _LOOK)[0]:
            if _size(folder) > limits.written:
                raise Exceeded(f"it writes more than {limits.written // 2**20} MiB")
            continue
        part = os.read(reading, 2**16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).lstat().st_blocks * 512
    return total


@contextlib.contextmanager
def _ended(child: int) -> Iterator[None]:
    """Leave no child behind, whatever ends the block."""
    try:
        yield
    except BaseException:
        # Interrupted first: a question that is open puts the terminal back as it was.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGINT)
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                if os.waitpid(child, os.WNOHANG)[0]:
                    raise
                time.sleep(0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise


def _exceeded(status: int, limits: Limits) -> BaseException:
    if os.WIFSIGNALED(status):
        match os.WTERMSIG(status):
            case signal.SIGXCPU:
                return Exceeded(f"it takes more than {limits.seconds} seconds")
            case signal.SIGKILL | signal.SIGSEGV | signal.SIGBUS | signal.SIGABRT:
                return _memory(limits)
            case _:
                pass
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 130:
        return KeyboardInterrupt()
    return Exceeded("its process ended without an answer")


def _memory(limits: Limits) -> Exceeded:
    return Exceeded(f"it takes more memory than a template may have, {limits.memory // 2**20} MiB")


def _large(limits: Limits) -> Exceeded:
    return Exceeded(f"it writes a file larger than {limits.file // 2**20} MiB")
