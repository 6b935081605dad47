"""The benchmark runs and prints its figures; what they say is not for a test, the machine may be busy."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.bench import measure
from tests.bench.measure import Aim, Figure, alternately
from tests.bench.report import ratios, table
from tests.conftest import Inventory, take_inventory
from tests.projects import until

ROOT = Path(__file__).parents[1]
NOTHING = Inventory(frozenset(), frozenset(), frozenset(), frozenset())
FIGURE = Figure(
    "down", {"scaffold": (0.2, 0.1, 0.3), "compose": (0.4, 0.5, 0.3)}, (Aim("scaffold", "compose", 0.4),)
)


def test_ratios_stand_beside_their_aims() -> None:
    assert ratios(FIGURE) == ["0.50 of compose, aim ≤ 0.40: MISSED"]


def test_table_shows_median_and_range() -> None:
    assert "scaffold 0.200 (0.100–0.300)   compose 0.400 (0.300–0.500)" in table("stack", [FIGURE])


def test_every_candidate_goes_first_in_its_turn() -> None:
    assert [alternately(number, "abc") for number in range(3)] == [list("abc"), list("bca"), list("cab")]


def test_command_that_fails_or_hangs_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="`false` failed with 1"):
        measure.command("false", folder=tmp_path)
    monkeypatch.setattr(measure, "PATIENCE", 0.2)
    with pytest.raises(RuntimeError, match="`sleep 60` failed with -9"):
        measure.command("sleep", "60", folder=tmp_path)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("start", {"--version": {"scaffold", "python"}}),
        ("new", {"new, with git": {"scaffold", "copier"}, "new --no-git": {"scaffold"}}),
        ("services", {"2 services: nothing to do": {"scaffold", "compose"}}),
        ("files", {"100 files: nothing to do": {"scaffold", "compose", "compose --build"}}),
        ("projects", {"2 projects: nothing to do": {"scaffold", "compose"}}),
        (
            "stack",
            {
                "nothing to do": {"scaffold", "compose"},
                "warm start, to the first 200": {"scaffold", "compose", "floor"},
                "empty volume, to the first 200": {"scaffold", "compose", "floor"},
                "down": {"scaffold", "compose", "floor"},
            },
        ),
    ],
)
def test_bench_measures_and_leaves_nothing(
    engine: docker.DockerClient, project_name: str, part: str, expected: dict[str, set[str]]
) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench", "--quick", "--json", "--only", part),
        cwd=ROOT,
        env={**os.environ, "BENCH_PREFIX": project_name},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    figures = {figure["what"]: figure for figure in document["parts"][part]}
    for what, candidates in expected.items():
        assert set(figures[what]["medians"]) == candidates
        assert all(seconds > 0 for seconds in figures[what]["medians"].values())
    assert _named(engine, project_name) == NOTHING


@pytest.mark.engine
def test_interrupted_bench_leaves_nothing(engine: docker.DockerClient, project_name: str) -> None:
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.bench", "--quick", "--only", "services"),
        cwd=ROOT,
        env={**os.environ, "BENCH_PREFIX": project_name},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: _named(engine, project_name) != NOTHING, "a container of the benchmark")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said.strip()) == (130, "Interrupted; what it made is removed.")
    assert _named(engine, project_name) == NOTHING


def _named(engine: docker.DockerClient, name: str) -> Inventory:
    """Return what the engine has of the projects whose names begin like this."""
    return take_inventory(engine).only(lambda other: other.startswith(name))
