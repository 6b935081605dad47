"""Decide whether a rendered tree may become a project. Pure: it decides from a listing, before git runs.

A template is a stranger's. What git would take for more than a file of the project is refused, and so is what
leads out of the project. `.gitignore`, `.gitattributes`, `.gitmodules` and `.github` are plain files.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from scaffold.errors import ScaffoldError
from scaffold.generate.listing import Entry, Kind

_SHORT_NAME = re.compile(r"git~[0-9]+")
_MODULES = re.compile(r"\.gitmodules|gitmod~[0-9]+|gi7eba~[0-9]+")
# Characters that say in which direction the text goes on: a name with one of them is read as another one.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MOST_LINKS = 40  # on one way, as in the kernel


class HostileTree(ScaffoldError):
    """A tree holds what no template may write into a project."""


def check(tree: Iterable[Entry]) -> None:
    """Raise HostileTree for the first entry that no project may get from a template."""
    entries = tuple(tree)
    links = {entry.path: entry.target for entry in entries if entry.kind is Kind.LINK}
    for entry in entries:
        if reason := _fault(entry, links):
            raise HostileTree(f"The template writes {shown(entry.path)}, {reason}.", _HINT)
    if place := _bare_repository(entries):
        raise HostileTree(
            f"The template writes {place}, a folder that git takes for a repository"
            " with settings and hooks of its own.",
            _HINT,
        )


def check_template(tree: Iterable[Entry]) -> None:
    """Raise HostileTree for an entry of a template that cannot even be read: a pipe is waited for."""
    for entry in tree:
        if entry.kind in _SPECIAL:
            raise HostileTree(f"The template holds {shown(entry.path)}, a {entry.kind.value}.", _HINT)


_HINT = "Nothing was written. Use another template, or take this out of it."
_SPECIAL = (Kind.PIPE, Kind.SOCKET, Kind.DEVICE)


def shown(path: str) -> str:
    """A path as an error may show it: what cannot be seen is spelt out."""
    text = path if len(path) <= 120 else f"{path[:80]}…{path[-20:]}"
    return f'"{text}"' if text.isprintable() else ascii(text)


def is_git(name: str) -> bool:
    """Whether some file system or some git takes the name for `.git`.

    macOS drops characters that cannot be seen and does not tell cases apart; Windows drops dots and spaces at
    the end, reads what follows a colon as the name of a stream, and has a second, short name for each file.
    """
    bare = _plain(name)
    return bare == ".git" or _SHORT_NAME.fullmatch(bare) is not None


def _plain(name: str) -> str:
    if name.isascii():
        seen = name.lower()
    else:
        # Cf: joiners, marks of direction, byte order marks.
        kept = (sign for sign in name if unicodedata.category(sign) != "Cf" and not _is_selector(sign))
        seen = unicodedata.normalize("NFKC", "".join(kept)).casefold()
    return seen.partition(":")[0].rstrip(". ")


def _is_selector(sign: str) -> bool:
    return sign in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" or (
        unicodedata.category(sign) == "Mn" and unicodedata.name(sign, "").find("VARIATION SELECTOR") >= 0
    )


def _fault(entry: Entry, links: Mapping[str, str]) -> str | None:
    """Why the entry is refused, as the end of a sentence."""
    if reason := _name_fault(entry.path):
        return reason
    match entry.kind:
        case Kind.PIPE | Kind.SOCKET | Kind.DEVICE:
            return f"a {entry.kind.value}"
        case Kind.LINK:
            return _link_fault(entry, links)
        case _:
            return "a file that runs with the rights of its owner" if entry.is_privileged else None


def _name_fault(path: str) -> str | None:
    if path.startswith("/"):
        return "an absolute path"
    if not path.isprintable():
        # Other signs that are not printable, such as the joiners of some scripts, are names like any other.
        if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp") for sign in path):
            return "a name with control characters"
        if any(sign in _DIRECTIONS for sign in path):
            return "a name with characters that reverse how it reads"
        if any(unicodedata.category(sign) == "Cs" for sign in path):
            return "a name that is no text"
    if "\\" in path:
        return "a name with a backslash, which is two names elsewhere"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return "a path that leads out of its folder"
        if is_git(part):
            return "which git takes for its own: settings and hooks there run programs"
    return None


def _link_fault(entry: Entry, links: Mapping[str, str]) -> str | None:
    if any(_MODULES.fullmatch(_plain(part)) for part in entry.path.split("/")):
        return "a link in place of git's list of submodules"
    if entry.target.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry.target):
        return f"a link to the absolute path {shown(entry.target)}"
    if reason := _name_fault(re.sub(r"(^|/)(\.{0,2}(/|$))+", r"\1", entry.target) or "x"):
        return f"a link to {shown(entry.target)}, {reason}"
    if not _stays_inside(entry, links):
        return f"a link to {shown(entry.target)}, which leads out of the project or in a circle"
    return None


def _stays_inside(entry: Entry, links: Mapping[str, str]) -> bool:
    """Follow a link as the system would, through the other links of the tree."""
    at = entry.path.split("/")[:-1]
    waiting = list(reversed(entry.target.split("/")))
    followed = 0
    while waiting:
        part = waiting.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                return False
            at.pop()
            continue
        target = links.get("/".join((*at, part)))
        if target is None:
            at.append(part)
            continue
        followed += 1
        if followed > _MOST_LINKS or target.startswith("/"):
            return False
        waiting.extend(reversed(target.split("/")))
    return True


def _bare_repository(entries: tuple[Entry, ...]) -> str | None:
    """The first folder that git would use as a repository: it needs no `.git` around it."""
    below: dict[str, set[str]] = {}
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        below.setdefault(folder, set()).add(_plain(name))
    for folder in sorted(below):
        names = below[folder]
        # `commondir` names another folder that has the objects and references.
        if "head" in names and ("commondir" in names or {"objects", "refs"} <= names):
            return shown(folder) if folder else "the project's own folder"
    return None
