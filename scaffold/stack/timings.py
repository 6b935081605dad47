"""Explain where the time of a run went: its phases, and the steps that decided how long it took. Pure.

Light to import: the clock is needed before the plan is, while Compose is not at work yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.stack.plan import Plan


@dataclass(frozen=True)
class Span:
    """Something that took time; seconds since the process began."""

    name: str
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Timings:
    """The whole run, and the parts of it one after the other."""

    total: float
    parts: tuple[Span, ...]

    @property
    def explained(self) -> float:
        """Return the share of the total that the parts cover, 0 to 1."""
        return sum(part.seconds for part in self.parts) / self.total if self.total else 1.0


def critical_path(
    plan: Plan, spans: Mapping[int, tuple[float, float]]
) -> tuple[tuple[int, float, float], ...]:
    """Return (index, begin, end) of the steps that decided how long the plan took, first one first.

    `spans` are begin and duration by step index, for the steps that were done.
    """
    if not spans:
        return ()
    index = max(spans, key=lambda item: sum(spans[item]))
    path = []
    while True:
        begin, seconds = spans[index]
        path.append((index, begin, begin + seconds))
        before = [item for item in plan.steps[index].after if item in spans]
        if not before:
            return tuple(reversed(path))
        index = max(before, key=lambda item: sum(spans[item]))


def explain(
    phases: tuple[Span, ...],
    total: float,
    plan: Plan,
    spans: Mapping[int, tuple[float, float]],
    offset: float,
) -> Timings:
    """Return the timings of a run: `phases` with the one named `apply` replaced by its critical path.

    `offset` is when the apply began, `total` when the run ended, both since the process began.
    """
    from scaffold.stack.steps import words

    steps = tuple(
        Span(" ".join(words(plan.steps[index].step)), offset + begin, offset + end)
        for index, begin, end in critical_path(plan, spans)
    )
    parts: list[Span] = []
    for phase in phases:
        if phase.name == "apply" and steps:
            parts += steps
        else:
            parts.append(phase)
    return Timings(total, tuple(parts))
