"""How the cost grows with services in a project, files in a build context, projects on the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench import measure, stacks
from tests.bench.measure import Figure, Samples

IMAGE = "python:3.13-slim"
UP = ("docker", "compose", "up", "-d", "--wait")
RUN = (stacks.SCAFFOLD, "run")
COMMANDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "scaffold": (RUN, (stacks.SCAFFOLD, "down")),
    "compose": (UP, ("docker", "compose", "down")),
}

_SLEEPER = """\
  {name}:
    image: {image}
    command: ["sleep", "infinity"]
    init: true
    stop_grace_period: 1s
"""


def services(folder: Path, rounds: int, sizes: tuple[int, ...] = (1, 5, 20)) -> tuple[Figure, ...]:
    """Start, look at and remove projects of several services that only sleep."""
    samples = Samples()
    with contextlib.ExitStack() as stack:
        for size in sizes:
            pair = [
                (hand, stack.enter_context(_sleepers(folder / f"{stacks.PREFIX}-{size}-{hand}", size)))
                for hand in ("scaffold", "compose")
            ]
            label = f"{size} service{'s' if size > 1 else ''}"
            for number in range(rounds):
                for hand, place in measure.alternately(number, pair):
                    up, down = COMMANDS[hand]
                    samples.add(f"{label}: start", hand, measure.command(*up, folder=place))
                    samples.add(f"{label}: nothing to do", hand, measure.command(*up, folder=place))
                    samples.add(f"{label}: down", hand, measure.command(*down, folder=place))
    return samples.figures()


def files(folder: Path, rounds: int, sizes: tuple[int, ...] = (100, 10_000)) -> tuple[Figure, ...]:
    """Look at a project whose build context holds many files; Compose reads them only when told to build."""
    samples = Samples()
    for size in sizes:
        label = f"{size:,} files"
        with contextlib.ExitStack() as stack:
            ours, theirs = (
                stack.enter_context(_built(folder / f"{stacks.PREFIX}-files-{size}-{hand}", size))
                for hand in ("scaffold", "compose")
            )
            measure.command(*RUN, folder=ours)
            measure.command(*UP, "--build", folder=theirs)
            candidates = (
                ("scaffold", ours, RUN),
                ("compose", theirs, UP),
                ("compose --build", theirs, (*UP, "--build")),
            )
            for number in range(rounds):
                for hand, place, words in measure.alternately(number, candidates):
                    samples.add(f"{label}: nothing to do", hand, measure.command(*words, folder=place))
    return samples.figures()


def projects(folder: Path, rounds: int, sizes: tuple[int, ...] = (1, 20)) -> tuple[Figure, ...]:
    """Look at one project while others run on the same engine."""
    samples = Samples()
    with contextlib.ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(_sleepers(folder / f"{stacks.PREFIX}-among-{hand}", 1))
            for hand in ("scaffold", "compose")
        )
        measure.command(*RUN, folder=ours)
        measure.command(*UP, folder=theirs)
        there = 1
        for size in sizes:
            while there < size:
                there += 1
                name = f"{stacks.PREFIX}-other-{there}"
                # The engine's own ranges are few, and other projects of this machine may need them.
                other = stack.enter_context(_sleepers(folder / name, 1, f"10.214.{there}.0/28"))
                measure.command(*RUN, folder=other)
            label = f"{size} project{'s' if size > 1 else ''}"
            candidates = (("scaffold", ours, RUN), ("compose", theirs, UP))
            for number in range(rounds):
                for hand, place, words in measure.alternately(number, candidates):
                    samples.add(f"{label}: nothing to do", hand, measure.command(*words, folder=place))
    return samples.figures()


@contextlib.contextmanager
def _sleepers(folder: Path, count: int, subnet: str = "") -> Iterator[Path]:
    """Yield a project of services that only sleep; nothing of it is left on the engine at the end."""
    names = (f"s{number:02}" for number in range(1, count + 1))
    compose = "services:\n" + "".join(_SLEEPER.format(name=name, image=IMAGE) for name in names)
    if subnet:
        compose += f"networks:\n  default:\n    ipam: {{config: [{{subnet: {subnet}}}]}}\n"
    with _made(folder, compose):
        yield folder


@contextlib.contextmanager
def _built(folder: Path, count: int) -> Iterator[Path]:
    """Yield a project with one service that is built from a context of many small files."""
    compose = (
        "services:\n" + _SLEEPER.format(name="app", image="${COMPOSE_PROJECT_NAME}-app") + "    build: .\n"
    )
    with _made(folder, compose):
        (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY data /data\n")
        for number in range(count):
            file = folder / "data" / f"{number // 100:03}" / f"{number:05}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}\n" * 100)
        yield folder


@contextlib.contextmanager
def _made(folder: Path, compose: str) -> Iterator[None]:
    folder.mkdir()
    (folder / "compose.yaml").write_text(compose)
    (folder / ".env.example").write_text(f"COMPOSE_PROJECT_NAME={folder.name}\n")
    try:
        measure.command(stacks.SCAFFOLD, "env", folder=folder)
        yield
    finally:
        stacks.clean(folder)
