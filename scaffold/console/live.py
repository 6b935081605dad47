"""Show an apply while it happens: running steps redrawn in place on a terminal, plain lines elsewhere.

The cursor is never hidden and the terminal's modes are never changed, so there is nothing to restore,
whatever ends the process.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

from scaffold import characters
from scaffold.console import plans, terminal
from scaffold.console.plans import Change
from scaffold.console.tables import duration
from scaffold.console.terminal import Look, cells, clean, cut, quote
from scaffold.errors import Interrupted
from scaffold.stack.plan import Plan
from scaffold.stack.progress import Event, Failed, Finished, Output, Report, Said, Started
from scaffold.stack.steps import Prove, Step, words

PATIENCE = 0.15
"""Seconds before anything moves: what is done by then only leaves its line."""
INTERVAL = 0.1
"""Seconds between two pictures."""
TAIL = 20
"""Lines of output that a failed step shows."""
BESIDE = 12
"""Columns for the symbol before a label and the time after it."""
SHORT = 0.05
"""Seconds: below that a time says nothing."""

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER = "|/-\\"


@dataclass
class _Running:
    """A step that is under way."""

    step: Step
    since: float
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))


class Progress:
    """Turn the events of one apply into lines on a stream; events may come from any thread."""

    def __init__(
        self, plan: Plan, stream: TextIO, look: Look, *, verbose: bool = False, quiet: bool = False
    ) -> None:
        self._stream = stream
        self._look = look
        self._verbose = verbose
        self._quiet = quiet
        self._plan = plan
        self._changes = plans.changes(plan)
        self._of = {index: change for change in self._changes for index in change.indexes}
        self._longest = max((cells(change.label) for change in self._changes if not change.proves), default=0)
        """Width of the column before the times; how a proof went stands where its time would."""
        self._seconds: dict[int, float] = {}
        self._failed: set[Change] = set()
        self._running: dict[int, _Running] = {}
        self._drawn: list[int] = []
        """Widths of the lines that are drawn now."""
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="progress", daemon=True)

    def __enter__(self) -> Report:
        if self._look.live and not self._quiet:
            self._painter.start()
        return self.report

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._painter.is_alive():
            self._painter.join()
        with self._lock:
            self._running.clear()
            self._print(self._left_half_done())

    def say(self, text: str) -> None:
        """Write lines that stay, above what is being redrawn."""
        with self._lock:
            # Where nothing moves now, the terminal's echo of Ctrl-C may stand at the cursor.
            echo = terminal.WIPE if self._look.live and not self._drawn else ""
            self._print((echo + text).split("\n"))

    def report(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            match event:
                case Started(index=index, step=step):
                    self._running[index] = _Running(step, time.monotonic())
                    self._print(self._announced(index, step))
                case Output(index=index, line=line):
                    self._print(self._heard(index, clean(line)))
                case Said():
                    self._print(self._told(event))
                case Finished(index=index):
                    self._running.pop(index, None)
                    self._seconds[index] = event.seconds
                    self._print(self._finished(event))
                case Failed(index=index):
                    lines = self._running.pop(index).lines if index in self._running else ()
                    self._failed.add(self._of[index])
                    self._print(self._told_failure(event, tuple(lines)))

    def _announced(self, index: int, step: Step) -> list[str]:
        if self._quiet or self._look.live or not plans.is_long(step):
            return []
        return [f"{self._of[index].label}: {self._look.safe(characters.line(step.reason))}"]

    def _heard(self, index: int, line: str) -> list[str]:
        if not line.strip():
            return []
        if index in self._running:
            self._running[index].lines.append(line)
        if not self._verbose or self._quiet:
            return []
        return quote([line], self._look)

    def _told(self, event: Said) -> list[str]:
        """Return what is said also to who wants to hear nothing: it is about data."""
        text = terminal.wrap(self._look.safe(event.text), self._look.width)
        return self._look.commands(text).split("\n")

    def _finished(self, event: Finished) -> list[str]:
        change = self._of[event.index]
        if isinstance(event.step, Prove) and event.step.left_alone:
            return []
        if self._quiet or any(index not in self._seconds for index in change.indexes):
            return []
        seconds = sum(self._seconds[index] for index in change.indexes)
        sign = self._look.paint("green", self._look.safe("✓"))
        if isinstance(event.step, Prove):
            text = plans.proved(event.step, event.detail)
            if event.step.service.one_shot:
                return [f"{sign} {self._timed(self._within(characters.line(text)), seconds)}"]
            return [f"{sign} {self._within(self._look.safe(characters.line(text)))}"]
        return [f"{sign} {self._timed(self._label(change), seconds)}"]

    def _told_failure(self, event: Failed, output: tuple[str, ...]) -> list[str]:
        # What the error itself shows as evidence would otherwise appear twice.
        tail = [] if event.error.evidence or self._verbose else quote(output, self._look)
        if self._quiet:
            return tail
        label = self._label(self._of[event.index])
        if isinstance(event.error, Interrupted):
            return [f"{self._look.safe('·')} {self._within(f'{label}: interrupted')}"]
        sign = self._look.paint("bold red", self._look.safe("✗"))
        return [f"{sign} {self._timed(label, event.seconds)}", *tail]

    def _left_half_done(self) -> list[str]:
        """Say what was begun and not completed, because something else went wrong."""
        lines = []
        for change in self._changes:
            done = [index for index in change.indexes if index in self._seconds]
            if done and len(done) < len(change.indexes) and change not in self._failed:
                verbs = ", ".join(words(self._plan.steps[index].step)[0] for index in done)
                lines.append(f"{self._look.safe('·')} {self._within(f'{change.label}: only {verbs}')}")
        return lines

    def _timed(self, label: str, seconds: float) -> str:
        """Return a label and its time; on a terminal the times stand in one column."""
        took = duration(seconds) if seconds >= SHORT else ""
        if not took:
            return label
        return label + " " * self._space_after(label) + "  " + self._look.paint("dim", took)

    def _label(self, change: Change) -> str:
        columns = self._columns()
        return change.fitted(columns - BESIDE, self._look) if columns else change.label

    def _space_after(self, label: str) -> int:
        columns = self._columns()
        return max(0, min(self._longest, columns - BESIDE) - cells(label)) if columns else 0

    def _within(self, text: str) -> str:
        columns = self._columns()
        return cut(text, columns - 3 if columns else None, self._look)

    def _columns(self) -> int | None:
        return terminal.size(self._stream)[0] if self._look.width else None

    # Drawing: everything below holds the lock.

    def _paint(self) -> None:
        if self._over.wait(PATIENCE):
            return
        while not self._over.wait(INTERVAL):
            with self._lock:
                self._print([])

    def _print(self, permanent: list[str]) -> None:
        """Write permanent lines in place of the picture, and the picture again below them, in one go."""
        picture = self._picture() if self._painting() else []
        if not permanent and not picture and not self._drawn:
            return
        text = self._erased() + "".join(f"{line}\n" for line in (*permanent, *picture))
        self._drawn = [cells(line) for line in picture]
        terminal.write(self._stream, text)

    def _painting(self) -> bool:
        """Return whether there is a picture now: not before its time, and not after the end."""
        return self._look.live and not self._quiet and self._begun() and not self._over.is_set()

    def _begun(self) -> bool:
        oldest = min((item.since for item in self._running.values()), default=None)
        return bool(self._drawn) or (oldest is not None and time.monotonic() - oldest >= PATIENCE)

    def _erased(self) -> str:
        if not self._drawn:
            return ""
        columns = self._columns() or 80
        # A terminal that has become narrower has broken our lines.
        rows = sum(max(1, -(-width // columns)) for width in self._drawn)
        return f"{terminal.OWN}\r{terminal.OWN}[{rows}A{terminal.OWN}[J"

    def _picture(self) -> list[str]:
        columns, height = terminal.size(self._stream)
        lines = []
        for index, running in self._running.items():
            lines += self._moving(index, running, columns)
        room = max(1, height - 2)
        return lines if len(lines) <= room else lines[:room]

    def _moving(self, index: int, running: _Running, columns: int) -> list[str]:
        look = self._look
        now = time.monotonic()
        signs = _SPINNER if look.unicode else _ASCII_SPINNER
        change = self._of[index]
        verb = words(running.step)[0]
        label = self._label(change)
        doing = f" ({verb})"
        if not change.proves and verb != change.verb and cells(label + doing) <= columns - BESIDE:
            label += doing
        sign = look.paint("cyan", signs[int(now / INTERVAL) % len(signs)])
        seconds = look.paint("dim", duration(now - running.since))
        lines = [f"{sign} {label}{' ' * self._space_after(label)}  {seconds}"]
        if running.lines and not self._verbose:
            lines.append(look.paint("dim", cut(f"    {running.lines[-1]}", columns - 1, look)))
        return lines
