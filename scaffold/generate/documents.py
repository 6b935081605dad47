"""Read YAML that a stranger wrote: bounded in size, in depth, and in what its aliases stand for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast

_MOST_BYTES = 2**20
_DEEPEST = 100
_MOST_NODES = 100_000  # written out: an alias counts as all that it stands for


class TooMuch(yaml.YAMLError):
    """A document that would take all memory, or every reader's stack."""


def read(path: Path) -> BinaryIO:
    """A YAML file that can be loaded without harm; OSError and YAMLError say why not."""
    if not path.is_file() and path.exists() and not path.is_dir():  # a pipe would be waited for
        raise TooMuch("it is no ordinary file")
    with path.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise TooMuch("it is larger than 1 MiB")
    found = io.BytesIO(content)
    found.name = str(path)  # the parser's messages name what it reads
    check(found)
    found.seek(0)
    return found


def check(content: BinaryIO) -> None:
    """Raise TooMuch for a document that grows when it is loaded or used."""
    sizes: dict[str, int] = {}  # of what an anchor names
    opened: list[tuple[str | None, int]] = []
    size = 0
    for event in _events(content):
        match event:
            case yaml.DocumentStartEvent():
                sizes, opened, size = {}, [], 0
            case yaml.AliasEvent(anchor=anchor):
                if any(anchor == name for name, _ in opened):
                    raise TooMuch(f"*{anchor} stands inside of what it names")
                size += sizes.get(str(anchor), 1)
            case yaml.ScalarEvent(anchor=anchor):
                size += 1
                if anchor:
                    sizes[anchor] = 1
            case yaml.CollectionStartEvent(anchor=anchor):
                opened.append((anchor, size))
                size += 1
                if len(opened) > _DEEPEST:
                    raise TooMuch(f"it is nested more than {_DEEPEST} levels deep")
            case yaml.CollectionEndEvent():
                anchor, before = opened.pop()
                if anchor:
                    sizes[anchor] = size - before
            case _:
                pass
        if size > _MOST_NODES:
            raise TooMuch(f"its aliases stand for more than {_MOST_NODES} values")


def _events(content: BinaryIO) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(content, LOADER)
    return events
