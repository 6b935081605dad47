"""What is wrong with a template: where, what, and with which choice it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class Problem:
    """One fault; `case` names the choices that show it, `line` is 0 where none is meant."""

    file: str
    line: int
    text: str
    case: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        kind = "warning: " if self.is_warning else ""
        return f"{where}: {kind}{self.text}" + (f" [{self.case}]" if self.case else "")


def joined(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once: of those that differ only in the case, the first one and how many more there are."""
    found: dict[Problem, list[str]] = {}
    for problem in problems:
        found.setdefault(replace(problem, case=""), []).append(problem.case)
    return tuple(
        sorted(
            replace(problem, case=_cases([case for case in cases if case]))
            for problem, cases in found.items()
        )
    )


def _cases(cases: list[str]) -> str:
    if len(cases) <= 1:
        return "".join(cases)
    return f"{min(cases, key=len)} and {len(cases) - 1} more"
