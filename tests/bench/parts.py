"""What is measured: each part makes its own projects, takes its rounds and leaves nothing behind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import growth, measure, stacks
from tests.bench.measure import Aim, Figure, Samples

TEMPLATE = Path(__file__).resolve().parents[2] / "templates" / "backend"
COPIER = str(Path(sys.executable).with_name("copier"))

AGAIN = "nothing to do"
WARM = "warm start, to the first 200"
WARM_DONE = "warm start, until it returns"
EMPTY = "empty volume, to the first 200"
EMPTY_DONE = "empty volume, until it returns"
DOWN = "down"
NEW = "new, with git"
NEW_PLAIN = "new --no-git"
VERSION = "--version"

AIMS = {
    AGAIN: (Aim("scaffold", "compose", 0.25),),
    WARM: (Aim("scaffold", "compose", 0.40), Aim("scaffold", "floor", 1.5)),
    EMPTY: (Aim("scaffold", "compose", 0.70),),
    NEW: (Aim("scaffold", "copier", 1.1),),
}


def stack(folder: Path, rounds: int) -> tuple[Figure, ...]:
    """Start the default project; each round takes every step once for each hand."""
    samples = Samples()
    with stacks.project(folder) as (scaffold, compose, floor):
        for number in range(rounds):
            hands: tuple[stacks.Stack, ...] = (scaffold, compose, floor)
            for hand in measure.alternately(number, hands):
                hand.empty()
                first, done = hand.up()
                samples.add(EMPTY, hand.name, first)
                samples.add(EMPTY_DONE, hand.name, done)
                hand.down()
            for hand in measure.alternately(number, hands):
                first, done = hand.up()
                samples.add(WARM, hand.name, first)
                samples.add(WARM_DONE, hand.name, done)
                if isinstance(hand, stacks.Scaffold | stacks.Compose):
                    samples.add(AGAIN, hand.name, hand.again())
                samples.add(DOWN, hand.name, hand.down())
    return samples.figures(AIMS)


def new(folder: Path, rounds: int) -> tuple[Figure, ...]:
    """Render the bundled template with its defaults."""
    samples = Samples()
    copier = (COPIER, "copy", "--defaults", "--trust", "--quiet", "-d", "project_name=bench", str(TEMPLATE))
    scaffold = (stacks.SCAFFOLD, "new", "--defaults")

    def take(what: str, candidate: str, *words: str) -> None:
        target = folder / f"{stacks.PREFIX}-new"
        samples.add(what, candidate, measure.command(*words, str(target), folder=folder))
        shutil.rmtree(target)

    for number in range(rounds):
        turns: tuple[Callable[[], None], ...] = (
            lambda: take(NEW, "scaffold", *scaffold),
            lambda: take(NEW_PLAIN, "scaffold", *scaffold, "--no-git"),
            lambda: take(NEW, "copier", *copier),
        )
        for turn in measure.alternately(number, turns):
            turn()
    return samples.figures(AIMS)


def start(folder: Path, rounds: int) -> tuple[Figure, ...]:
    """Start the program alone, beside Python with nothing to do."""
    samples = Samples()
    candidates = {"scaffold": (stacks.SCAFFOLD, "--version"), "python": (sys.executable, "-c", "pass")}
    for number in range(rounds):
        for name in measure.alternately(number, tuple(candidates)):
            samples.add(VERSION, name, measure.command(*candidates[name], folder=folder))
    return samples.figures()


Part = Callable[[Path, int], tuple[Figure, ...]]

PARTS: dict[str, Part] = {
    "stack": stack,
    "new": new,
    "start": start,
    "services": growth.services,
    "files": growth.files,
    "projects": growth.projects,
}

QUICK: dict[str, Part] = {
    **PARTS,
    "services": lambda folder, rounds: growth.services(folder, rounds, sizes=(1, 2)),
    "files": lambda folder, rounds: growth.files(folder, rounds, sizes=(10, 100)),
    "projects": lambda folder, rounds: growth.projects(folder, rounds, sizes=(1, 2)),
}
"""The same with sizes that only show that it works."""
