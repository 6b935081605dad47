"""Choose the name of a folder without .env: the one that it had before, or one of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scaffold.stack import environment
from scaffold.stack.identity import Facts, Trace, rival


@dataclass(frozen=True)
class Candidate:
    """A name that a folder without one could go on with."""

    facts: Facts
    here: tuple[Trace, ...] = ()
    """What was made in this folder under it."""
    foreign: bool = False
    """The record says that another folder at this path has made it."""
    doubt: str = ""
    """A folder whose .env has this name, and of which nothing says whether it was moved or copied."""

    @property
    def name(self) -> str:
        return self.facts.name


@dataclass(frozen=True)
class Chosen:
    """The name for a folder that has none yet, and what is to be said about it."""

    name: str
    kept: bool = False
    note: str = ""


@dataclass(frozen=True)
class Undecided:
    """Why no name can be chosen without a person."""

    names: tuple[str, ...]
    doubt: str = ""


def choose(default: str, candidates: Iterable[Candidate], taken: Iterable[str]) -> Chosen | Undecided:
    """Return the name of a folder without one: what it had before, else the default, else one with a number.

    `candidates` are the names under which something was made here, the most likely one first.
    """
    left = []
    passed = []
    for candidate in candidates:
        if candidate.foreign or rival(candidate.facts):
            passed.append(candidate)
        else:
            left.append(candidate)
    best = next((item for item in left if item.name == default), None)
    if best is None and len(left) > 1:
        return Undecided(tuple(item.name for item in left))
    best = best or next(iter(left), None)
    if best is not None:
        if best.doubt:
            return Undecided((best.name,), best.doubt)
        return Chosen(best.name, kept=True, note=_kept(best) if best.name != default else "")
    used = set(taken) | {item.name for item in passed}
    name = default
    number = 2
    while name in used:
        name, number = environment.numbered(default, number), number + 1
    return Chosen(name, note=" ".join(_passed(item, name) for item in passed))


def _kept(candidate: Candidate) -> str:
    there = ", ".join(item.name for item in candidate.here)
    return f"This folder goes on as {candidate.name}, the name that it had before: {there}."


def _passed(candidate: Candidate, name: str) -> str:
    owner = rival(candidate.facts)
    if owner is not None:
        return f"The name {candidate.name} belongs to the project in {owner.path}: this one is {name}."
    data = [item.name for item in candidate.here if item.kind == "volume"]
    there = f" Its data stays in volume {', '.join(data)}." if data else ""
    back = f" COMPOSE_PROJECT_NAME={candidate.name} in .env goes on with it."
    return (
        f"{candidate.name} was made by another folder at this path (moved, removed, or on another "
        f"machine): this one is {name}.{there}{back}"
    )
