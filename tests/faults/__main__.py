"""Print the score of `scaffold run` and of `docker compose up --wait`, fault by fault.

`--only TEXT` takes the faults whose name holds the text; `--no-compose` leaves the comparison out;
`--verdicts` prints what scaffold said.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.faults.bench import FAULTS, WORKERS, Fault, Outcome, ask_compose, safely

_LINE = "{:<56} {:<6} {:<7} {:>7}  {}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--no-compose", action="store_true")
    parser.add_argument("--verdicts", action="store_true")
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args()
    faults = [item for item in FAULTS.values() if options.only in item.name]
    prefix = f"f{secrets.token_hex(2)}"

    def one(fault: Fault) -> Outcome:
        outcome = safely(fault, prefix)
        return outcome if options.no_compose else replace(outcome, compose=ask_compose(fault, prefix))

    print(_LINE.format("FAULT", "NAMED", "MENDED", "SECONDS", "COMPOSE"))
    begun = time.monotonic()
    outcomes = []
    with ThreadPoolExecutor(options.workers) as pool:
        for outcome in pool.map(one, faults):
            outcomes.append(outcome)
            _print(outcome, verdicts=options.verdicts)
    total = len(outcomes)
    named = sum(item.named for item in outcomes)
    mended = sum(item.named and item.mended for item in outcomes)
    print(f"\nscaffold run: names the cause of {named} of {total} faults, and its hint mends {mended}.")
    if not options.no_compose:
        compared = [item.compose for item in outcomes if item.compose is not None]
        print(f"docker compose up --wait: its output names the cause of {sum(compared)} of {len(compared)}.")
    middle = statistics.median(item.seconds for item in outcomes) if outcomes else 0.0
    print(f"From command to verdict: {middle:.1f} s (median). In all: {time.monotonic() - begun:.0f} s.")
    return 0 if mended == total else 1


def _print(outcome: Outcome, *, verdicts: bool) -> None:
    words = {True: "yes", False: "NO", None: "-"}
    theirs = {True: "yes", False: "no", None: "-"}[outcome.compose]
    cells = (words[outcome.named], words[outcome.mended], f"{outcome.seconds:.1f}", theirs)
    print(_LINE.format(outcome.fault.name, *cells), flush=True)
    if outcome.trouble:
        print(textwrap.indent(outcome.trouble, "    ! "))
    if verdicts or outcome.trouble:
        print(textwrap.indent(outcome.verdict, "    "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
