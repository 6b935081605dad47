"""Processes that are this program's alone: Ctrl-C does not reach them, and they do not outlive it."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from typing import TypedDict

_PR_SET_PDEATHSIG = 1


class Alone(TypedDict):
    """Arguments of subprocess.Popen."""

    process_group: int
    preexec_fn: Callable[[], object] | None


def ours_alone() -> Alone:
    """Return what starts a process in a group of its own that ends with this program, or is ended by it.

    A terminal sends Ctrl-C to the whole group of this program: a child that it reached would fail, and be
    reported as a failure.
    """
    return {"process_group": 0, "preexec_fn": _end_with_parent()}


@functools.cache
def _end_with_parent() -> Callable[[], object] | None:
    """Return what lets the kernel end a child when this program is killed; nothing outside Linux.

    A build that lives on could put its image in the place of the one that the next run makes. It is one
    system call, looked up before the fork.
    """
    if sys.platform != "linux":
        return None
    import ctypes  # takes milliseconds, and most runs start no such child

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    # It is sent when the thread ends that started the child: the one that waits for it.
    return functools.partial(prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM))
