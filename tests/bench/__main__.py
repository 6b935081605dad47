"""Compare scaffold with docker compose, copier and the engine's own floor: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import compileall
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import scaffold
from tests.bench import parts, report
from tests.bench.measure import Figure


def main() -> int:
    """Run the parts asked for, one after the other, and print each as soon as it is there."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    chosen = parts.QUICK if options.quick else parts.PARTS
    rounds = options.rounds or (1 if options.quick else 5)
    found: dict[str, tuple[Figure, ...]] = {}
    if not options.json:
        print(report.heading(rounds), flush=True)
    with tempfile.TemporaryDirectory(prefix="scaffold-bench-") as name:
        folder = Path(name)
        # Locks, reserved ports and caches of the person at the keyboard are none of ours.
        os.environ |= {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
        # An installed program is compiled; a checkout is, once Python may write beside it.
        for switch in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            os.environ.pop(switch, None)
        compileall.compile_dir(Path(scaffold.__file__).parent, quiet=1)
        try:
            for part in options.only or chosen:
                place = folder / part
                place.mkdir()
                found[part] = chosen[part](place, rounds)
                if not options.json:
                    print(report.table(part, found[part]), flush=True)
        except KeyboardInterrupt:
            print("\nInterrupted; what it made is removed.", file=sys.stderr)
            return 130
    if options.json:
        print(report.document(found, rounds))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=parts.PARTS,
        metavar="PART",
        help=f"one of {', '.join(parts.PARTS)}; repeatable",
    )
    parser.add_argument("--rounds", type=int, help="how often everything is measured (5; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: shows that it works")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
