"""The versions and answers that explain a project, with their evidence, as text and as a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.generate.adopt import Candidate, Guess

SHOWN = 3


def line(found: Candidate) -> str:
    """One candidate on a line, to choose from."""
    missing = len(found.missing)
    gone = f", {missing} of its files missing" if missing else ""
    return (
        f"{found.version.ref}: {found.found} of {found.lines} lines are here ({found.share:.0%}), "
        f"{found.distance} lines differ{gone}"
    )


def text(candidates: Sequence[Candidate], guess: Guess) -> str:
    """Return the best candidates, and the answers of the first with where they were seen."""
    lines = ["Versions that explain this project, the likeliest first:"]
    lines += [f"  {line(found)}" for found in candidates[:SHOWN]]
    lines += ["", "Answers:"]
    for name, value in candidates[0].answers.items():
        lines.append(f"  {name} = {_value(value)}  ({_evidence(name, value, guess)})")
    return "\n".join(lines)


def _evidence(name: str, value: object, guess: Guess) -> str:
    if name in guess.evidence and guess.answers[name] == value:
        return guess.evidence[name]
    return "fits best, or shows nowhere"


def _value(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def document(candidates: Sequence[Candidate], guess: Guess, written: str | None) -> Mapping[str, object]:
    """Return it for programs."""
    return {
        "candidates": [
            {
                "version": found.version.ref,
                "commit": found.version.commit,
                "lines": found.lines,
                "found": found.found,
                "differing": found.distance,
                "missing": list(found.missing),
            }
            for found in candidates
        ],
        "answers": {
            name: {"value": value, "evidence": _evidence(name, value, guess)}
            for name, value in candidates[0].answers.items()
        },
        "written": written,
    }
