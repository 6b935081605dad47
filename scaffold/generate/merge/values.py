"""Merge parsed documents by key. Pure: three values in, one value out, with the places that stay undecided.

A key that one side changed gets that side's value. A key that both changed differently keeps the project's
value and is noted as open: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Absent(Enum):
    """The value of a key that is not there."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Identity = tuple[str, Hashable]


@dataclass(frozen=True)
class Open:
    """A place that both sides changed: the project's value was kept, the template's is `theirs`."""

    place: tuple[str, ...]
    ours: object
    theirs: object

    def __str__(self) -> str:
        return ".".join(self.place) or "the whole document"


@dataclass(frozen=True)
class Merged:
    """A document that both sides agree on, but for the open places."""

    value: object
    open: tuple[Open, ...]


def merge(base: object, ours: object, theirs: object) -> Merged:
    """Return the merged document; `base` is ABSENT where both sides have added it."""
    undecided: list[Open] = []
    return Merged(_merge((base, ours, theirs), (), undecided), tuple(undecided))


def equal(one: object, other: object) -> bool:
    """Tell whether two values mean the same: 1, 1.0 and true do not."""
    if type(one) is not type(other):
        return False
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(equal, one, other))
        case _:
            return one == other or (one != one and other != other)


def same(one: object, other: object) -> bool:
    """Tell whether two documents mean the same; words of a list may be in another order."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        case list(), list():
            if len(one) != len(other):
                return False
            if all(map(same, one, other)):
                return True
            return all(isinstance(item, str) for item in one + other) and sorted(one) == sorted(other)
        case _:
            return equal(one, other)


def _merge(sides: tuple[object, object, object], place: tuple[str, ...], undecided: list[Open]) -> object:
    base, ours, theirs = sides
    if equal(ours, theirs) or equal(base, theirs):
        return ours
    if equal(base, ours):
        return theirs
    match ours, theirs, base:
        case dict(), dict(), dict() | Absent.ABSENT:
            return _mappings(base if isinstance(base, dict) else {}, ours, theirs, place, undecided)
        case list(), list(), list() | Absent.ABSENT:
            merged = _lists(base if isinstance(base, list) else [], ours, theirs, place, undecided)
            if merged is not None:
                return merged
        case _:
            pass
    undecided.append(Open(place, ours, theirs))
    return ours


def _mappings(
    base: Mapping[object, object],
    ours: Mapping[object, object],
    theirs: Mapping[object, object],
    place: tuple[str, ...],
    undecided: list[Open],
) -> dict[object, object]:
    merged: dict[object, object] = {}
    for key in (*ours, *(key for key in theirs if key not in ours)):
        sides = (base.get(key, ABSENT), ours.get(key, ABSENT), theirs.get(key, ABSENT))
        value = _merge(sides, (*place, str(key)), undecided)
        if value is not ABSENT:
            merged[key] = value
    return merged


def _lists(
    base: Sequence[object],
    ours: Sequence[object],
    theirs: Sequence[object],
    place: tuple[str, ...],
    undecided: list[Open],
) -> list[object] | None:
    """Return the merged list, or None where its items cannot be told apart or both sides have moved some."""
    named = [_by_identity(items) for items in (base, ours, theirs)]
    before, mine, new = named
    if before is None or mine is None or new is None:
        return None
    common = [name for name in before if name in mine and name in new]
    we_moved = [name for name in mine if name in common] != common
    they_moved = [name for name in new if name in common] != common
    if we_moved and they_moved:
        return None
    order = _order(new, mine) if they_moved else _order(mine, new)
    merged: list[object] = []
    for name in order:
        sides = (before.get(name, ABSENT), mine.get(name, ABSENT), new.get(name, ABSENT))
        value = _merge(sides, (*place, str(name[1])), undecided)
        if value is not ABSENT:
            merged.append(value)
    return merged


def _order(leading: Iterable[Identity], other: Iterable[Identity]) -> list[Identity]:
    """The leading side's order; each name that only the other side has comes after its predecessor there."""
    order = list(leading)
    before: list[Identity] = []
    for name in other:
        if name not in order:
            previous = next((earlier for earlier in reversed(before) if earlier in order), None)
            order.insert(0 if previous is None else order.index(previous) + 1, name)
        before.append(name)
    return order


# ── what makes an item of a list the same item on both sides ───────────────────────────────────────────

_VARIABLE = re.compile(r"([A-Z_][A-Z0-9_]*)=")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*[<>=!~;@ ].*")
_NAMES = ("id", "name", "repo", "uses", "target", "source", "run")


def identity(item: object) -> Identity | None:
    """Return what an item is known by: a requirement's name, KEY of KEY=value, an id; or None."""
    match item:
        case dict():
            for key in _NAMES:
                value = item.get(key)
                if isinstance(value, str):
                    return key, value.partition("@")[0] if key == "uses" else value
            return None
        case str():
            if found := _VARIABLE.match(item):
                return "variable", found[1]
            if found := _REQUIREMENT.fullmatch(item):
                return "requirement", re.sub(r"[-_.]+", "-", found[1]).lower()
            return "text", item
        case bool() | int() | float():
            return "value", item
        case _:
            return None


def _by_identity(items: Sequence[object]) -> dict[Identity, object] | None:
    """The items by what they are known by; None where one has no name or two have the same."""
    named: dict[Identity, object] = {}
    for item in items:
        name = identity(item)
        if name is None or name in named:
            return None
        named[name] = item
    return named
