"""Whatever is done to checkouts of a project, and by whom: no acknowledged row is lost, none changes hands.

In `make test` a few sequences; `make soak PART=oracle` goes on for SCAFFOLD_ORACLE_SECONDS, an hour.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.conftest import MEASURED, named
from tests.crash.rounds import Score
from tests.oracle.world import world
from tests.soak import SOAK

LONGEST = float(os.environ.get("SCAFFOLD_ORACLE_SECONDS", "3600")) if SOAK else 30.0
"""Seconds after which no new sequence is begun."""
SEQUENCES = 10**6 if SOAK else 2
ACTIONS = 15
SEED = int(os.environ.get("SCAFFOLD_ORACLE_SEED", "20261126"))

pytestmark = [pytest.mark.engine, pytest.mark.timeout(LONGEST + 600)]


def test_no_acknowledged_row_is_lost_whatever_is_done(
    engine: docker.DockerClient, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    score = Score("rows written all the time, in sequences")
    actions = rows = 0
    for number in range(SEQUENCES):
        if number and time.monotonic() - score.began > LONGEST:
            break
        seed = SEED + number
        with (
            named(engine) as name,
            world(
                tmp_path / str(number), name, ("18", "17")[number % 2], seed, shared=number % 3 == 1
            ) as made,
        ):

            def sequence() -> None:
                for _ in range(ACTIONS):
                    made.act()
                made.check()

            before = len(score.failures)
            score.take(f"seed {seed}", sequence)
            if len(score.failures) > before:
                score.failures[-1] += "\n    after: " + "; ".join(made.done)
            actions += len(made.done)
            rows += made.acknowledged
    record_property(MEASURED, f"{score}\n  {actions} commands, {rows} rows acknowledged")
    assert not score.failures, str(score)
