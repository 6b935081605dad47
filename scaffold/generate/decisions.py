"""Remember the values that an update left to a person, in a file that `scaffold check` fails on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaffold.errors import ProjectError
from scaffold.generate.merge import formats
from scaffold.generate.merge.values import ABSENT, Open, equal, identity

FILE = ".scaffold-decisions.yaml"
_HEADER = """\
# Values that both the template and this project have changed: the project's were kept.
# Decide each of them, put the right value into its file, and remove its entry here (or this whole file).
# `scaffold check` fails as long as one is open.
"""


@dataclass(frozen=True)
class Decision:
    """A value of a file that a person has to decide; `at` is the way to it inside the document."""

    file: str
    at: tuple[str, ...]
    yours: object
    template: object
    version: str

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.at)}"


def of(file: str, places: Iterable[Open], version: str) -> tuple[Decision, ...]:
    """Return the decisions that a merge has left open in a file."""
    return tuple(
        Decision(file, place.place, _plain(place.ours), _plain(place.theirs), version) for place in places
    )


def _plain(value: object) -> object:
    """A value in YAML's own words; one with a tag of somebody else's becomes a text."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case tuple():
            return "!" + " ".join(map(str, value))
        case _:
            return None if value is ABSENT else value


def read(content: bytes | None) -> tuple[Decision, ...]:
    """Return the entries of the file; ProjectError if it cannot be read."""
    if content is None:
        return ()
    import yaml

    try:
        found = formats.parse("yaml", content.decode())
    except (formats.Unreadable, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProjectError(
            f"{FILE} cannot be read: {' '.join(str(error).split())}", "Mend or remove it."
        ) from error
    if found is None:
        return ()
    try:
        assert isinstance(found, list)
        return tuple(_entry(item) for item in found)
    except (AssertionError, KeyError, TypeError) as error:
        raise ProjectError(f"{FILE} is not a list of decisions.", "Mend or remove it.") from error


def _entry(item: Mapping[str, Any]) -> Decision:
    at = item["at"]
    assert isinstance(at, list)
    return Decision(
        str(item["file"]), tuple(map(str, at)), item["yours"], item["template"], str(item["version"])
    )


def text(decisions: Sequence[Decision]) -> bytes | None:
    """Return the content of the file; None: no decision is open, and there is no file."""
    if not decisions:
        return None
    import yaml

    entries = [
        {
            "file": item.file,
            "at": list(item.at),
            "yours": item.yours,
            "template": item.template,
            "version": item.version,
        }
        for item in decisions
    ]
    body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    return (_HEADER + body).encode()


def shown(value: object) -> str:
    """A value as people read it, not longer than a line."""
    if value is ABSENT or value is None:
        return "not there" if value is ABSENT else "empty"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def joined(before: Sequence[Decision], new: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return all that is open: a newer question about the same value replaces the older one."""
    places = {(item.file, item.at) for item in new}
    return (*(item for item in before if (item.file, item.at) not in places), *new)


def is_open(decision: Decision, content: str | None) -> bool:
    """Tell whether the value still stands as the update left it; one that was changed is decided."""
    form = formats.format_of(decision.file)
    if content is None or form is None:
        return False
    try:
        value = formats.parse(form, content)
    except formats.Unreadable:
        return True
    for step in decision.at:
        value = _at(value, step)
    return equal(_plain(value), decision.yours)


def _at(value: object, step: str) -> object:
    match value:
        case dict():
            return next((item for key, item in value.items() if str(key) == step), ABSENT)
        case list():
            for item in value:
                name = identity(item)
                if name is not None and str(name[1]) == step:
                    return item
            return ABSENT
        case _:
            return ABSENT
