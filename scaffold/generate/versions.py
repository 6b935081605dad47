"""Order a template's version tags as copier orders them: by PEP 440. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import Version as Parsed


@dataclass(frozen=True)
class Version:
    """One state of a template: what its tag or `git describe` calls it, and the hash of its commit."""

    ref: str
    commit: str

    def __str__(self) -> str:
        return self.ref


def ordered(tags: Iterable[str], *, prereleases: bool = True) -> tuple[str, ...]:
    """The tags that are versions, newest first; any other tag is left out."""
    found = [(version, tag) for tag in tags if (version := _parsed(tag))]
    return tuple(
        tag for version, tag in sorted(found, reverse=True) if prereleases or not version.is_prerelease
    )


def parsed(ref: str) -> Parsed | None:
    """What can be compared with another version; a commit after a tag comes after it."""
    if found := re.fullmatch(r"(.+)-(\d+)-g(\w+)", ref):
        return _parsed(f"{found[1]}.post{found[2]}+{found[3]}")
    return _parsed(ref)


def _parsed(tag: str) -> Parsed | None:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(tag)
    except InvalidVersion:
        return None


def newest(tags: Iterable[str]) -> str | None:
    """The tag that is taken where none is named; pre-releases have to be named."""
    return next(iter(ordered(tags, prereleases=False)), None)


def nearest(ref: str, tags: Iterable[str]) -> str | None:
    """The tag that was probably meant."""
    known = tuple(tags)
    for other in (f"v{ref}", ref.removeprefix("v")):
        if other in known and other != ref:
            return other
    return next(iter(get_close_matches(ref, known, n=1)), None)
