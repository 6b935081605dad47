"""What a person and their team have registered: short names of templates, and answers to begin with.

Both stand in one TOML file, and in lists that a team shares: files of the same form, in a git repository or
at a URL, of which a copy is kept. What stands in the person's own file wins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import store

_FILE = "settings.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_BYTES = 2**20


@dataclass(frozen=True)
class Registered:
    """A short name for a template; `origin` is the shared list that it comes from, or None."""

    name: str
    source: str
    origin: str | None = None


@dataclass(frozen=True)
class Shared:
    """A list that a team shares: its names, and the answers to begin with."""

    origin: str
    templates: Mapping[str, str]
    defaults: Mapping[str, object]


def registered() -> dict[str, Registered]:
    """Every short name."""
    document = store.read(_FILE)
    found: dict[str, Registered] = {}
    for shared in reversed(_shared(document)):
        found |= {name: Registered(name, source, shared.origin) for name, source in shared.templates.items()}
    own = _texts(document.get("templates", {}), f"{store.folder() / _FILE}, templates")
    found |= {name: Registered(name, source) for name, source in own.items()}
    return dict(sorted(found.items()))


def defaults() -> dict[str, object]:
    """Answers to begin with, by the names of questions."""
    document = store.read(_FILE)
    found: dict[str, object] = {}
    for shared in reversed(_shared(document)):
        found |= shared.defaults
    own = document.get("defaults", {})
    return found | (dict(own) if isinstance(own, Mapping) else {})


def lists() -> tuple[Shared, ...]:
    """The lists that were added, the first one first."""
    return _shared(store.read(_FILE))


def add(name: str, source: str) -> None:
    """Register a template under a short name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" is no short name for a template.', "Use letters, digits, dots, hyphens: `team-api`."
        )
    with store.changing(_FILE) as document:
        known = document.get("templates", {}).get(name)
        if known is not None and known != source:
            raise UsageError(
                f'"{name}" is {known} already.', f"Remove it first: `scaffold template remove {name}`."
            )
        document.setdefault("templates", {})[name] = source


def remove(name: str) -> bool:
    """Take a short name, or a shared list by its origin, out of the settings; whether it was there."""
    with store.changing(_FILE) as document:
        if document.get("templates", {}).pop(name, None) is not None:
            return True
        return document.get("lists", {}).pop(name, None) is not None


def add_list(shared: Shared) -> None:
    """Keep a copy of a shared list, in place of the one from the same origin."""
    with store.changing(_FILE) as document:
        document.setdefault("lists", {})[shared.origin] = {
            "templates": dict(shared.templates),
            "defaults": dict(shared.defaults),
        }


def parsed(content: bytes, origin: str) -> Shared:
    """A shared list from its TOML; a wrong one is an error."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScaffoldError(f"{origin} is not TOML: {error}.", _FORM) from error
    if unknown := sorted(document.keys() - {"templates", "defaults"}):
        raise ScaffoldError(f"{origin} has the unknown key {unknown[0]}.", _FORM)
    templates = _texts(document.get("templates", {}), f"{origin}, templates")
    if wrong := next((name for name in templates if not _NAME.fullmatch(name)), None):
        raise ScaffoldError(f'{origin}: "{wrong}" is no short name for a template.')
    answers = document.get("defaults", {})
    if not isinstance(answers, dict):
        raise ScaffoldError(f"{origin}: defaults is no table.", _FORM)
    if not templates and not answers:
        raise ScaffoldError(f"{origin} has neither templates nor defaults.", _FORM)
    return Shared(origin, templates, answers)


_FORM = 'It has a table [templates] with `name = "source"`, and may have a table [defaults] with answers.'


def downloaded(url: str) -> bytes:
    """The content of a list at a URL."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "scaffold"})  # noqa: S310 - checked before
    shown = urlsplit(url)._replace(query="").geturl()
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            content: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise ScaffoldError(f"{shown} answers {error.code} {error.reason}.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ScaffoldError(f"{shown} cannot be read: {reason}.", "Look at the address.") from error
    if len(content) > MOST_BYTES:
        raise ScaffoldError(f"{shown} is larger than 1 MiB.")
    return content


def _shared(document: Mapping[str, Any]) -> tuple[Shared, ...]:
    found = document.get("lists", {})
    if not isinstance(found, Mapping):
        raise ScaffoldError(f"{store.folder() / _FILE}: lists is no table.")
    return tuple(
        Shared(origin, _texts(each.get("templates", {}), origin), dict(each.get("defaults", {})))
        for origin, each in found.items()
        if isinstance(each, Mapping)
    )


def _texts(table: object, where: str) -> dict[str, str]:
    if not isinstance(table, Mapping) or not all(isinstance(value, str) for value in table.values()):
        raise ScaffoldError(f'{where}: write one template a line, as `name = "source"`.')
    return {str(name): str(value) for name, value in table.items()}
