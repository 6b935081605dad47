"""Every lie to every command: print how many end badly, and how."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lying.lies import LIES, Lie
from tests.lying.trial import COMMANDS, Ending, attempt


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--lies", default="")
    parser.add_argument("--about")
    parser.add_argument("--limit", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    pairs = [(name, lie) for lie in LIES if options.lies in lie.name for name in options.commands]
    base = Path(tempfile.mkdtemp(prefix="lying-", dir="/tmp"))

    def one(item: tuple[int, tuple[str, Lie]]) -> tuple[str, Lie, Ending]:
        place, (name, lie) = item
        folder = base / str(place)
        folder.mkdir()
        return name, lie, attempt(folder, COMMANDS[name], lie, options.about, options.limit)

    bad: Counter[str] = Counter()
    with ThreadPoolExecutor(options.workers) as pool:
        for name, lie, ending in pool.map(one, enumerate(pairs)):
            if ending.fault:
                bad[ending.fault.split(" ")[0]] += 1
                said = ending.err.strip()[-200:]
                print(f"{lie.name:40} {name:9} {ending.fault:8} {ending.seconds:5.1f} s {said!r}", flush=True)
            elif options.v:
                said = ending.err.strip()[:200]
                print(f"{lie.name:40} {name:9} {ending.code} {ending.seconds:5.1f} s {said!r}", flush=True)
    shutil.rmtree(base, ignore_errors=True)
    print(f"{sum(bad.values())} of {len(pairs)} end badly: {dict(bad)}; {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
