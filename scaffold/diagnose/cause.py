"""What a text that a program, an engine or a server prints means: one cause, and one thing to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LONGEST = 200
"""Letters of somebody else's line that a message repeats."""


@dataclass(frozen=True)
class Cause:
    """What a text means. Named groups of the pattern are filled in, as are the words of the caller.

    `message` is the matched text itself when it is empty.
    """

    pattern: str
    message: str
    hint: str


@dataclass(frozen=True)
class Verdict:
    """Why, and what to do about it."""

    message: str
    hint: str


def first(causes: Iterable[Cause], text: str, words: Mapping[str, str] | None = None) -> Verdict | None:
    """Return the verdict of the first cause whose pattern is in the text: special ones come first."""
    for cause in causes:
        found = re.search(cause.pattern, text, re.MULTILINE)
        if found:
            groups = {name: value or "" for name, value in found.groupdict().items()}
            filled = {"found": shortened(found[0]), **(words or {}), **groups}
            return Verdict((cause.message or "{found}").format(**filled), cause.hint.format(**filled))
    return None


def shortened(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
