"""Where the time of a run went: the critical path, and that nothing of the wall time is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import docker
import pytest

from scaffold.stack.plan import Plan, Planned
from scaffold.stack.steps import RemoveContainer, RemoveNetwork, StopContainer
from scaffold.stack.timings import Span, critical_path, explain
from tests.projects import handwritten

# app stops, then db; the slow worker beside them decides when the network can go.
PLAN = Plan(
    (
        Planned(StopContainer("app", 10, "down")),
        Planned(StopContainer("db", 10, "down"), after=(0,)),
        Planned(StopContainer("worker", 10, "down")),
        Planned(RemoveContainer("worker", "down"), after=(2,)),
        Planned(RemoveNetwork("backend", "down"), after=(1, 3)),
    )
)
SPANS = {0: (0.0, 0.2), 1: (0.2, 0.3), 2: (0.0, 0.8), 3: (0.8, 0.1), 4: (0.9, 0.05)}


def test_critical_path_holds_the_steps_that_the_last_one_waited_for() -> None:
    assert [index for index, _, _ in critical_path(PLAN, SPANS)] == [2, 3, 4]


def test_critical_path_of_nothing_is_empty() -> None:
    assert critical_path(Plan(), {}) == ()


def test_critical_path_passes_over_steps_that_were_not_done() -> None:
    assert [index for index, _, _ in critical_path(PLAN, {0: (0.0, 0.2), 2: (0.0, 0.1)})] == [0]


def test_steps_stand_in_the_place_of_the_apply() -> None:
    phases = (Span("start", 0.0, 0.1), Span("apply", 0.1, 1.05), Span("read the result", 1.05, 1.1))

    timings = explain(phases, 1.1, PLAN, SPANS, offset=0.1)

    assert [(part.name, round(part.seconds, 3)) for part in timings.parts] == [
        ("start", 0.1),
        ("stop container worker", 0.8),
        ("remove container worker", 0.1),
        ("remove network backend", 0.05),
        ("read the result", 0.05),
    ]
    assert timings.explained == pytest.approx(1.0)


def test_apply_without_steps_stays_one_part() -> None:
    timings = explain((Span("apply", 0.0, 0.5),), 1.0, Plan(), {}, offset=0.0)
    assert [part.name for part in timings.parts] == ["apply"]
    assert timings.explained == pytest.approx(0.5)


@pytest.mark.engine
def test_timings_explain_a_real_run(engine: docker.DockerClient, tmp_path: Path, project_name: str) -> None:
    compose = (
        "services:\n"
        "  first: {image: python:3.13-slim, command: [sleep, infinity], init: true}\n"
        "  second: {image: python:3.13-slim, command: [sleep, infinity], init: true, depends_on: [first]}\n"
    )
    project = handwritten(tmp_path / project_name, compose)
    project.scaffold("env")

    for expected in (f"start container {project.container('second')}", "apply"):
        said = project.scaffold("run", "--timings", "--json").err
        rows = re.findall(r"^(\S.*?)  +(\d+\.\d+) s +(\d+)%( explained)?$", said, re.MULTILINE)
        assert expected in {name for name, *_ in rows}, said
        (total, explained), *parts = [
            (float(seconds), int(share)) for name, seconds, share, last in rows[::-1] if name
        ]
        assert explained >= 95, said
        assert sum(seconds for seconds, _ in parts) <= total + 0.01, said
    assert json.loads(project.scaffold("status", "--json").out)["up_to_date"]
    project.scaffold("down")
