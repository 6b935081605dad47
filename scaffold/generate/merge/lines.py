"""Merge texts line by line. Pure: no git, no files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Side = Literal["ours", "theirs"]


@dataclass(frozen=True, order=True)
class _Edit:
    """Lines start to end of the base are replaced."""

    start: int
    end: int
    lines: tuple[str, ...]


def touching(base: str, ours: str, theirs: str, first: Side) -> str | None:
    """Return both sides' edits in one text, where edits may touch each other; None where they overlap.

    git takes edits of neighbouring lines for a conflict. Here two insertions at one place come one after the
    other, `first` first, so the result has to be checked by what it means.
    """
    old = base.splitlines(keepends=True)
    edits = [(edit, "ours") for edit in _edits(old, ours.splitlines(keepends=True))]
    edits += [(edit, "theirs") for edit in _edits(old, theirs.splitlines(keepends=True))]
    edits.sort(key=lambda item: (item[0].start, item[0].end, item[1] != first))
    merged: list[str] = []
    position = 0
    last: tuple[_Edit, str] | None = None
    for edit, side in edits:
        if last and last[0] == edit and last[1] != side:
            continue  # both sides did the same
        if edit.start < position:
            return None
        merged += old[position : edit.start]
        merged += edit.lines
        position = edit.end
        last = (edit, side)
    return "".join(merged + old[position:])


def _edits(old: list[str], new: list[str]) -> Iterator[_Edit]:
    """The edits that lead from one text to the other, as small as they can be."""
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            continue
        lines = new[new_start:new_end]
        if end - start != len(lines):
            yield _Edit(start, end, tuple(lines))
            continue
        for number, line in enumerate(lines, start):
            if old[number] != line:
                yield _Edit(number, number + 1, (line,))


def comments(text: str) -> frozenset[str]:
    """Return the comments after a # of a TOML or YAML text; a # inside quotes may be among them."""
    return frozenset(
        line[at:].rstrip() for line in text.splitlines() for at in [_comment_start(line)] if at is not None
    )


def commented(text: str) -> frozenset[str]:
    """Return the lines that carry a comment beside a value."""
    return frozenset(line.strip() for line in text.splitlines() if (_comment_start(line.strip()) or 0) > 0)


def _comment_start(line: str) -> int | None:
    if line.startswith("#"):
        return 0
    at = line.find(" #")
    return None if at < 0 else at + 1


# ── conflicts ──────────────────────────────────────────────────────────────────────────────────────────

MARKER = 7


@dataclass(frozen=True)
class Block:
    """A conflict; `line` is where it stands in the text that has the project's side of each conflict."""

    line: int
    ours: tuple[str, ...]
    base: tuple[str, ...]
    theirs: tuple[str, ...]


def blocks(marked: str, size: int) -> tuple[Block, ...]:
    """Return the conflicts of a text with diff3 markers of a size."""
    found: list[Block] = []
    parts: dict[str, list[str]] | None = None
    where = "ours"
    number = 0
    for line in marked.splitlines(keepends=True):
        mark = line[:size]
        if parts is None:
            if mark == "<" * size:
                parts, where = {"ours": [], "base": [], "theirs": []}, "ours"
            else:
                number += 1
        elif mark == "|" * size:
            where = "base"
        elif mark == "=" * size:
            where = "theirs"
        elif mark == ">" * size:
            found.append(
                Block(number + 1, tuple(parts["ours"]), tuple(parts["base"]), tuple(parts["theirs"]))
            )
            number += len(parts["ours"])
            parts = None
        else:
            parts[where].append(line)
    return tuple(found)


def rejected(path: str, found: tuple[Block, ...]) -> str:
    """Return what the template wanted to change there, as a patch that people read."""
    lines = [f"--- {path}\n", f"+++ {path}\n"]
    for block in found:
        lines.append(f"@@ -{block.line},{len(block.base)} +{block.line},{len(block.theirs)} @@\n")
        for sign, text in (("-", block.base), ("+", block.theirs)):
            lines += [sign + (line if line.endswith("\n") else line + "\n") for line in text]
    return "".join(lines)


def marker(text: str) -> int | None:
    """Return the line of the first conflict that was written into a text, if there is one."""
    order = iter(("<" * MARKER + " ", "=" * MARKER, ">" * MARKER + " "))
    wanted = next(order)
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(wanted) and (not wanted.startswith("=") or line == wanted):
            following = next(order, None)
            if following is None:
                return first
            first = first or number
            wanted = following
    return None
