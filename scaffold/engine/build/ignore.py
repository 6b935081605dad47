"""Decide which paths a .dockerignore keeps out of a build, exactly as BuildKit does. Pure.

The SDK's own matcher ignores case and loses directories below `**`; BuildKit does neither.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from scaffold.errors import ProjectError

_WILD = frozenset("*?[]\\")
# What means something in a regular expression and nothing in a pattern.
_LITERAL = frozenset(".+()|{}$")

State = tuple[bool, ...]
"""Which groups of rules a folder matched: what is below it matches them too."""


@dataclass(frozen=True)
class _Group:
    """Neighbouring rules that all ignore, or all re-include: one question instead of one a rule."""

    ignores: bool
    paths: frozenset[str]
    names: frozenset[str]
    path_pattern: re.Pattern[str] | None
    name_pattern: re.Pattern[str] | None

    def matches(self, path: str, name: str) -> bool:
        return (
            name in self.names
            or path in self.paths
            or (self.name_pattern is not None and self.name_pattern.fullmatch(name) is not None)
            or (self.path_pattern is not None and self.path_pattern.fullmatch(path) is not None)
        )


@dataclass(frozen=True)
class Rules:
    """The rules of one ignore file; `start` is the state of the context's root."""

    groups: tuple[_Group, ...] = ()
    exceptions: tuple[str, ...] = ()
    text: str = ""

    @property
    def start(self) -> State:
        return (False,) * len(self.groups)

    def judge(self, path: str, name: str, parent: State) -> tuple[bool, State]:
        """Return whether `path` is ignored, and its state for what is below it."""
        ignored = False
        state = []
        for group, above in zip(self.groups, parent, strict=True):
            # A rule that cannot change the verdict is not asked, and then counts as not matched below.
            hit = above or (group.ignores != ignored and group.matches(path, name))
            state.append(hit)
            if hit:
                ignored = group.ignores
        return ignored, tuple(state)

    def ignores(self, path: str) -> bool:
        """Return whether one path is ignored, by itself or by a folder above it."""
        ignored, state, above = False, self.start, ""
        for name in path.split("/"):
            above += name
            ignored, state = self.judge(above, name, state)
            above += "/"
        return ignored

    def may_include_below(self, folder: str) -> bool:
        """Return whether something inside an ignored folder could be re-included."""
        inside = folder + "/"
        for exception in self.exceptions:
            if exception.startswith(inside):
                return True
            literal = _literal_prefix(exception)
            if literal != exception and f"{literal}/".startswith(inside):
                return True
            if literal != exception and (not literal or inside.startswith(f"{literal}/")):
                return True
        return False


def parse(text: str, where: str = ".dockerignore") -> Rules:
    """Return the rules of an ignore file; raise ProjectError for a pattern that BuildKit refuses."""
    groups: list[_Group] = []
    exceptions: list[str] = []
    pending: list[str] = []
    ignores = True
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        excepts = pattern.startswith("!")
        pattern = pattern[1:].strip() if excepts else pattern
        if not pattern:
            raise ProjectError(f"{where}, line {number}: `!` needs a pattern behind it.")
        pattern = posixpath.normpath(pattern)
        pattern = pattern.lstrip("/") or pattern
        try:
            re.compile(_expression(pattern))
        except re.error as error:
            raise ProjectError(f"{where}, line {number}: {line.strip()} is not a pattern: {error}.") from None
        if excepts:
            exceptions.append(pattern)
        if pending and ignores == excepts:
            groups.append(_group(pending, ignores=ignores))
            pending = []
        ignores = not excepts
        pending.append(pattern)
    if pending:
        groups.append(_group(pending, ignores=ignores))
    return Rules(tuple(groups), tuple(exceptions), text)


def _group(patterns: Iterable[str], *, ignores: bool) -> _Group:
    paths, names, path_patterns, name_patterns = set(), set(), [], []
    for pattern in patterns:
        # `**/name` asks for the last part alone, which is much quicker.
        name = pattern.removeprefix("**/")
        anywhere = name != pattern and "/" not in name and "**" not in name
        if anywhere and not _WILD & set(name):
            names.add(name)
        elif anywhere:
            name_patterns.append(_expression(name))
        elif not _WILD & set(pattern):
            paths.add(pattern)
        else:
            path_patterns.append(_expression(pattern))
    return _Group(ignores, frozenset(paths), frozenset(names), _union(path_patterns), _union(name_patterns))


def _union(expressions: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{item})" for item in expressions)) if expressions else None


def _expression(pattern: str) -> str:
    """Return the regular expression for one pattern, as moby/patternmatcher builds it."""
    made: list[str] = []
    place, in_class = 0, False
    if pattern.startswith("**") and not _WILD & set(pattern[2:].removeprefix("/")):
        # `**foo` is any path that ends so; `**/foo` any path whose last part it is.
        rest = pattern[2:]
        return f"(?:.*/)?{re.escape(rest[1:])}" if rest.startswith("/") else f".*{re.escape(rest)}"
    while place < len(pattern):
        char = pattern[place]
        place += 1
        if in_class:
            in_class = char != "]"
            made.append("\\[" if char == "[" else char)
            if char == "\\" and place < len(pattern):
                made.append(pattern[place])
                place += 1
        elif char == "*" and pattern.startswith("*", place):
            place += 1
            slash = pattern.startswith("/", place)
            place += slash
            made.append(".*" if place >= len(pattern) else "(?:.*/)?")
        elif char == "*":
            made.append("[^/]*")
        elif char == "?":
            made.append("[^/]")
        elif char == "\\":
            made.append(re.escape(pattern[place : place + 1] or "\\"))
            place += 1
        else:
            in_class = char == "["
            made.append(f"\\{char}" if char in _LITERAL else char)
    return "".join(made)


def _literal_prefix(pattern: str) -> str:
    parts = pattern.split("/")
    for index, part in enumerate(parts):
        if _WILD & set(part):
            return "/".join(parts[:index])
    return pattern
