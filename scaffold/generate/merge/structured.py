"""Merge a file of a known format by key: meaning from the data, layout from the text.

The parsed documents are merged first. Then the first text that means exactly that is taken: from git's line
merge, from one that lets edits touch, from git's with the project's side of each conflict, and last from a
library that writes into the project's text. A comment that either side wrote is never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scaffold.generate.merge import formats, layout, lines
from scaffold.generate.merge.formats import Format
from scaffold.generate.merge.values import ABSENT, Merged, Open, merge, same


@dataclass(frozen=True)
class Texts:
    """One file as it was in the old version, in the project, and in the new version of the template."""

    base: str | None
    ours: str
    theirs: str


@dataclass(frozen=True)
class LineMerge:
    """What git makes of the three texts: `clean` if nothing conflicts, `ours` with our side of conflicts."""

    clean: str | None
    ours: str


@dataclass(frozen=True)
class Resolved:
    """The text that both sides agree on; `open` are the places where the project's value was kept."""

    text: str
    open: tuple[Open, ...] = field(default=())


def is_valid(path: str, text: str) -> bool:
    """Tell whether a file is what its name promises; one of no known format always is."""
    form = formats.format_of(path)
    if form is None:
        return True
    try:
        formats.parse(form, text)
    except formats.Unreadable:
        return False
    return True


def resolve(path: str, texts: Texts, by_line: LineMerge) -> Resolved | None:
    """Return the merged file, or None where only a person can tell."""
    form = formats.format_of(path)
    if form is None:
        return None
    try:
        base = ABSENT if texts.base is None else formats.parse(form, texts.base)
        ours, theirs = formats.parse(form, texts.ours), formats.parse(form, texts.theirs)
    except formats.Unreadable:
        return None
    merged = merge(base, ours, theirs)
    if any(not place.place for place in merged.open):
        return None  # all of it is undecided
    for text, is_strict in _candidates(form, texts, by_line, merged):
        if _means(form, text, merged.value) and _keeps_comments(form, texts, text, strict=is_strict):
            return Resolved(text, merged.open)
    return None


def _candidates(form: Format, texts: Texts, by_line: LineMerge, merged: Merged) -> Iterator[tuple[str, bool]]:
    """Texts, the best first; whether one has to keep the comments of both sides, or of the project only."""
    if by_line.clean is not None:
        yield by_line.clean, True
    base = texts.base or ""
    for text in (
        lines.touching(base, texts.ours, texts.theirs, "ours"),
        lines.touching(base, texts.ours, texts.theirs, "theirs"),
    ):
        if text is not None:
            yield text, True
    if merged.open:
        yield by_line.ours, False
    text = _written(form, texts, merged.value)
    if text is not None:
        yield text, not merged.open


def _written(form: Format, texts: Texts, value: object) -> str | None:
    try:
        return layout.written(form, texts.ours, texts.theirs, value)
    except Exception:  # noqa: BLE001 - the libraries raise whatever they like on what they do not expect
        return None


def _means(form: Format, text: str, value: object) -> bool:
    try:
        return same(formats.parse(form, text), value)
    except formats.Unreadable:
        return False


def _keeps_comments(form: Format, texts: Texts, text: str, *, strict: bool) -> bool:
    if form == "json":
        return True
    wanted = lines.comments(texts.ours)
    if strict:
        wanted |= lines.comments(texts.theirs)
    if not wanted - lines.comments(texts.base or "") <= lines.comments(text):
        return False
    # A library may leave one side's comment beside the other side's value: `uses: …@SHA # v4`.
    return lines.commented(text) <= lines.commented(texts.ours) | lines.commented(texts.theirs)
