"""What one check found, and what mends it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """The answer of one check; a note is a fact that may be as it should be."""

    check: str
    state: State
    said: str
    hint: str = ""
    commands: tuple[str, ...] = ()
    """What mends it, for a shell; empty where only a person can decide."""


def fine(check: str, said: str) -> Finding:
    return Finding(check, "fine", said)


def note(check: str, said: str, hint: str = "") -> Finding:
    return Finding(check, "note", said, hint)


def wrong(check: str, said: str, hint: str = "", commands: tuple[str, ...] = ()) -> Finding:
    """Return what is wrong; without a hint of its own the commands are the hint."""
    return Finding(check, "wrong", said, hint or " && ".join(f"`{item}`" for item in commands), commands)
