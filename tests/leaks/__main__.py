"""Measure what the proof costs: `python -m tests.leaks IMAGE BASE FOLDER`; IMAGE was built from FOLDER.

Alternating with `docker save IMAGE | cat >/dev/null`, which the search of the layers is held against.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from scaffold.engine.build import context, leaks
from scaffold.engine.client import Engine
from scaffold.stack.desired import Build
from scaffold.stack.secrets import Known, Secret

ROUNDS = 9


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main(image: str, base: str, folder: str) -> None:
    known = [Known(f"A{index}_PASSWORD", Secret(os.urandom(16).hex())) for index in range(3)]
    search = leaks.searcher(known, "/", ())
    build = context.read(Build(str(Path(folder).resolve()), "Dockerfile"))
    with Engine() as engine:
        layers = engine.get(f"/images/{quote(base)}/json")["RootFS"]["Layers"]
        left_out = {layer.removeprefix("sha256:") for layer in layers}

        def in_layers() -> None:
            stream = engine.stream("GET", f"/images/{quote(image)}/get", {})
            with contextlib.closing(stream):
                assert not leaks.in_layers(stream.pieces(60), search, left_out)

        def save() -> None:
            command = 'docker save "$1" | cat >/dev/null'
            subprocess.run(["sh", "-c", command, "sh", image], check=True)

        pairs = [(seconds(save), seconds(in_layers)) for _ in range(ROUNDS)]
        every = [
            seconds(
                lambda: (list(leaks.in_context(build, search)), leaks.in_configuration(engine, image, search))
            )
            for _ in range(ROUNDS)
        ]
    for name, times in (
        ("docker save | cat", [pair[0] for pair in pairs]),
        ("layers", [pair[1] for pair in pairs]),
        ("context, configuration, history", every),
    ):
        print(f"{name:34}{statistics.median(times):8.3f} s  ({min(times):.3f}–{max(times):.3f})")
    print(f"{'layers / docker save':34}{statistics.median(b / a for a, b in pairs):8.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
