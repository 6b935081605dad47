"""Decide the text of a checkout's .env from .env.example, which is its schema. Pure.

`COMPOSE_PROJECT_NAME=<prefix>` gets the checkout's hash, `*_PORT=<n>` the next free port, an empty
`*_PASSWORD=` or `*_SECRET=` a generated value; every other line is copied as it is. `run.sh` does the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from scaffold.numbers import whole
from scaffold.stack import names

PROJECT_NAME = "COMPOSE_PROJECT_NAME"
FILE = ".env"
DRAFT = ".env.scaffold-"
"""What the name of a file begins with that is about to become .env."""
_QUOTED = re.compile(r"""'((?:\\'|[^'])*)'|"((?:\\.|[^"\\])*)["]""")
_PLAIN = re.compile(r"[\w./:@%+,=-]*")
"""What neither Compose nor a shell that reads .env takes for anything else."""
_LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


@dataclass(frozen=True)
class Choices:
    """What a person or a machine decides: a free port from the wanted one on, and a new secret."""

    port: Callable[[int], int]
    secret: Callable[[str], str]
    """Makes the secret for a variable; raises ProjectError where a new one would lock somebody out."""
    published: Collection[str] | None = None
    """The variables that a `published:` of compose.yaml uses: only they are ports of this machine. None where
    that is not known."""


def fill(example: str, real_path: str, default_name: str, choices: Choices, kept: Mapping[str, str]) -> str:
    """Return the text of .env; `kept` holds values that are known already and win over new ones.

    Without a COMPOSE_PROJECT_NAME in the example, one is put first, made of `default_name`.
    """
    lines = []
    named = False
    for line in example.splitlines():
        match = _LINE.match(line)
        if not match:
            lines.append(line)
            continue
        name, text = match[1], match[2].strip()
        named = named or name == PROJECT_NAME
        value = _read(text)
        filled = _value(name, value, real_path, default_name, choices, kept)
        # What the example says stays as it says it, with its quotes and its comment.
        lines.append(f"{name}={text if filled == value else written(filled)}")
    if not named:
        lines.insert(0, f"{PROJECT_NAME}={_project(default_name, real_path, kept)}")
    return "\n".join(lines) + "\n"


def _value(
    name: str, value: str, real_path: str, default_name: str, choices: Choices, kept: Mapping[str, str]
) -> str:
    if name == PROJECT_NAME:
        return _project(value or default_name, real_path, kept)
    if name in kept:
        return kept[name]
    is_published = choices.published is None or name in choices.published
    if name.endswith("_PORT") and is_published and (wanted := port_of(value)) is not None:
        return str(choices.port(wanted))
    if not value and is_generated(name):
        return choices.secret(name)
    return value


def is_generated(name: str) -> bool:
    """Return whether an empty variable of this name is generated."""
    return name.endswith(("_PASSWORD", "_SECRET"))


def lacking(example: str, text: str) -> tuple[str, ...]:
    """Return the variables of .env.example that a .env has not: those to be generated may be empty in it."""
    wanted, there = parse(example), parse(text)
    return tuple(
        name
        for name, value in wanted.items()
        if name not in there or (not value and not there[name] and is_generated(name))
    )


def completed(text: str, values: Mapping[str, str]) -> str:
    """Return a .env with these variables: in their places where it has them empty, else at its end."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match and match[1] in left:
            lines.append(f"{match[1]}={written(left.pop(match[1]))}")
        else:
            lines.append(line)
    return "\n".join([*lines, *(f"{name}={written(value)}" for name, value in left.items())]) + "\n"


def port_of(text: str) -> int | None:
    """Return the port that a value is; None for anything else, however many digits it has."""
    number = whole(text, 5)
    return number if number is not None and number < 65536 else None


def _project(prefix: str, real_path: str, kept: Mapping[str, str]) -> str:
    return kept.get(PROJECT_NAME) or unique(prefix, real_path)


def unique(prefix: str, real_path: str) -> str:
    """Return the project's name that no other folder of this machine has."""
    return f"{slug(prefix)}-{names.checkout_hash(real_path)}"


def slug(name: str) -> str:
    """Return a name that Compose accepts: lower case, digits, dashes, underscores."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "project"


def numbered(name: str, number: int = 2) -> str:
    """Return the name of another project at the same path."""
    return f"{name}-{number}"


def folder_name(name: str) -> str:
    """Return the project's name that Compose makes of a folder's name when nothing else gives one."""
    return re.sub(r"[^a-z0-9_-]+", "", name.lower()).lstrip("_-")


def parse(text: str) -> dict[str, str]:
    """Return the variables of a .env file as Compose reads them, but `$` is not expanded in them."""
    matches = (_LINE.match(line.strip()) for line in text.splitlines())
    return {match[1]: _read(match[2].strip()) for match in matches if match}


def _read(text: str) -> str:
    """Return the value of what follows the `=`: a quoted one ends at its quote, another at ` #`."""
    match = _QUOTED.match(text)
    if match is None:
        return text.partition(" #")[0].rstrip()
    if match[1] is not None:
        return match[1].replace("\\'", "'")
    return re.sub(r'\\([nrt"$\\])', lambda found: _ESCAPES.get(found[1], found[1]), match[2])


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def written(value: str) -> str:
    """Return the value as it stands in .env: in quotes where Compose, or a shell, would change it."""
    if _PLAIN.fullmatch(value):
        return value
    if "'" not in value and not value.endswith("\\") and value.isprintable():
        return f"'{value}'"
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    for letter, character in _ESCAPES.items():
        escaped = escaped.replace(character, f"\\{letter}")
    return f'"{escaped}"'
