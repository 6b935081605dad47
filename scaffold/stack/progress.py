"""What an apply reports while it works: one small event for each thing that happens to a step. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scaffold.errors import ScaffoldError
from scaffold.stack.steps import Step


@dataclass(frozen=True)
class Started:
    index: int
    """The step's place in the plan."""
    step: Step


@dataclass(frozen=True)
class Output:
    """A line that the step printed: of a build, a pull, a health check."""

    index: int
    step: Step
    line: str


@dataclass(frozen=True)
class Said:
    """What a person has to know of what the step has done to data."""

    index: int
    step: Step
    text: str


@dataclass(frozen=True)
class Finished:
    index: int
    step: Step
    seconds: float
    detail: str = ""
    """How it went, for a proof: `login as app to postgres 18 after 0.21 s`."""


@dataclass(frozen=True)
class Failed:
    index: int
    step: Step
    seconds: float
    error: ScaffoldError


Event = Started | Output | Said | Finished | Failed

Report = Callable[[Event], None]
"""Is called from several threads."""
