"""What holds for every change of compose.yaml: random projects and edits, in a model and for real."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import docker
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaffold.interrupt import Cancellation
from scaffold.project import checkout
from scaffold.run import workflow
from scaffold.run.session import opened
from scaffold.stack import desired as wish
from scaffold.stack.desired import Desired
from scaffold.stack.plan import Plan, Wishes, plan, stop, teardown
from scaffold.stack.steps import (
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Impact,
    RemoveContainer,
    RemoveNetwork,
    SetAsideContainer,
    StartContainer,
    StopContainer,
)
from tests import changes
from tests.changes import Document
from tests.model import MISHAPS, Model, view, walk
from tests.projects import Project, handwritten
from tests.soak import SOAK

CHAINS = 1000 if SOAK else 120
LENGTH = 5
"""Chains of changes in the model, and changes in each."""
APPLIED = 500 if SOAK else 30
"""Changes that are applied on the real engine."""
PROJECTS = 25 if SOAK else 3

KINDS = (
    *(CreateContainer, CreateNetwork, CreateVolume, StartContainer, StopContainer),
    *(RemoveContainer, RemoveNetwork, SetAsideContainer),
)

counted: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _numbers(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    shown = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nchanges of compose.yaml: {shown}")


def read(document: Document) -> Desired:
    return wish.read(json.loads(changes.text(document)), "/project")


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=CHAINS, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_every_change_converges(random: Random) -> None:
    """Plan, do it in any order that the plan allows, and nothing is left to do; whatever happened before."""
    model = Model()
    document = changes.project(random, "p")
    converge(model, read(document), random, "first start")
    for change in changes.chain(random, document, LENGTH):
        random.choice(MISHAPS)(model, random)
        converge(model, read(change.document), random, change.words)
        counted["planned in the model"] += 1


def test_changes_are_of_many_kinds() -> None:
    """What the chains never do is not proven by them: each kind of step follows from some change."""
    kinds: set[str] = set()
    random = Random(20261126)
    for _ in range(CHAINS):
        model, document = Model(), changes.project(random, "p")
        for text in (document, *(change.document for change in changes.chain(random, document, LENGTH))):
            made = plan(read(text), model.observed)
            kinds |= {type(item.step).__name__ for item in made.steps}
            walk(model, made, read(text), random)
    assert {kind.__name__ for kind in KINDS} <= kinds


def converge(model: Model, desired: Desired, random: Random, words: str) -> None:
    before = model.copy()
    made = plan(desired, model.observed)
    assert made == plan(desired, model.observed), words
    assert_ordered(made)
    assert not made.data_steps, words
    walk(model, made, desired, random)
    assert str(plan(desired, model.observed)) == "", words
    assert_data_is_there(before, model, desired)

    # Killed after any number of steps, the next run arrives at the same.
    cut = before.copy()
    walk(cut, made, desired, random, steps=random.randint(0, len(made.steps)))
    again = plan(desired, cut.observed)
    assert_ordered(again)
    assert not again.data_steps, words
    walk(cut, again, desired, random)
    assert str(plan(desired, cut.observed)) == "", words
    assert view(cut) == view(model), words
    assert_data_is_there(before, cut, desired)
    counted["interrupted in the model"] += 1


def assert_ordered(made: Plan) -> None:
    assert all(before < index for index, item in enumerate(made.steps) for before in item.after)


def assert_data_is_there(before: Model, after: Model, desired: Desired) -> None:
    """No volume is gone, and a service that stays finds the same data under the same path."""
    assert before.volumes.keys() <= after.volumes.keys()
    for name, container in before.containers.items():
        successor = after.containers.get(name)
        if successor is None or successor.service != container.service:
            continue
        if container.service not in {service.name for service in desired.services}:
            assert successor.anonymous == container.anonymous  # it stays because of them
            continue
        taken = {target for _, target in mounted(desired, container.service)}
        kept = {target: volume for volume, target in successor.anonymous}
        for volume, target in container.anonymous:
            assert target in taken or kept[target] == volume


def mounted(desired: Desired, service: str) -> list[tuple[str, str]]:
    """Return what has a name of its own: (source, target)."""
    host: Any = desired.service(service).body["HostConfig"]
    binds = [tuple(bind.split(":")[:2]) for bind in host.get("Binds", ())]
    mounts = [(m.get("Source", ""), m["Target"]) for m in host.get("Mounts", ())]
    return [*binds, *((source, target) for source, target in mounts if source)]


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=CHAINS // 4, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_whatever_is_asked_for_data_goes_only_by_name(random: Random) -> None:
    model = Model()
    desired = read(changes.project(random, "p"))
    walk(model, plan(desired, model.observed), desired, random)
    everything = plan(desired, model.observed, Wishes(recreate=True, build=True))
    assert not everything.data_steps
    walk(model, everything, desired, random)
    assert str(plan(desired, model.observed)) == ""
    walk(model, stop(desired, model.observed), desired, random)
    assert not [c for c in model.containers.values() if c.state == "running"]

    volumes = [volume.name for volume in model.observed.volumes]
    named = random.sample(volumes, random.randint(0, len(volumes)))
    down = teardown(desired, model.observed, "destroy", volumes=named)
    assert sorted(step.name for step in down.data_steps if hasattr(step, "name")) == sorted(named)
    assert all(step.impact is not Impact.DATA for step in teardown(desired, model.observed, "down").changes)
    walk(model, down, desired, random)
    assert not model.containers
    assert not model.networks
    assert sorted(set(volumes) - set(named)) == [volume.name for volume in model.observed.volumes]


class Stream:
    """The engine's events of one project, as they come."""

    def __init__(self, client: docker.DockerClient, project: str) -> None:
        self._client = client
        self._project = project
        self._events: list[tuple[str, str, str]] = []
        self._marks: set[str] = set()
        self._news = threading.Condition()
        self._serial = 0
        self._source = client.api.events(
            decode=True, filters={"type": ["container", "network", "volume", "image"]}
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for event in self._source:
            attributes = event["Actor"].get("Attributes") or {}
            name = event["Actor"]["ID"] if event["Type"] == "volume" else attributes.get("name", "")
            action = event["Action"].split(":")[0]
            if name.startswith(f"{self._project}-mark-"):
                with self._news:
                    self._marks.add(name)
                    self._news.notify_all()
            elif name.startswith(self._project) and action in ACTIONS:
                self._events.append((event["Type"], action, name))

    def taken(self) -> Counter[tuple[str, str, str]]:
        """Return the events since the last call; a volume made and removed for it marks where they end."""
        self._serial += 1
        mark = f"{self._project}-mark-{self._serial}"
        self._client.api.create_volume(mark)
        self._client.api.remove_volume(mark)
        with self._news:
            assert self._news.wait_for(lambda: mark in self._marks, timeout=30), (
                "the engine's events do not come"
            )
        found, self._events = Counter(self._events), []
        return found

    def close(self) -> None:
        self._source.close()


# Everything that changes what is there; `connect`, `mount`, `attach` and `exec_…` follow from these.
ACTIONS = (
    *("create", "start", "restart", "kill", "die", "stop", "destroy", "remove", "rename", "update"),
    *("pause", "unpause", "oom", "pull", "tag", "untag", "delete", "prune", "commit"),
)


def expected(made: Plan, desired: Desired) -> Counter[tuple[str, str, str]]:
    """Return the events that a plan announces."""
    events: Counter[tuple[str, str, str]] = Counter()
    shots = {
        name
        for service in desired.services
        if service.one_shot
        for name in wish.container_names(desired, service)
    }
    for step in made.changes:
        match step:
            case CreateContainer(name=name):
                events["container", "create", name] += 1
            case StartContainer(name=name):
                events["container", "start", name] += 1
                events["container", "die", name] += name in shots  # it ends by itself
            case StopContainer(name=name):
                for action in ("kill", "die", "stop"):
                    events["container", action, name] += 1
            case RemoveContainer(name=name):
                events["container", "destroy", name] += 1
            case SetAsideContainer():
                events["container", "rename", step.aside] += 1
            case CreateNetwork(network=network):
                events["network", "create", network.name] += 1
            case RemoveNetwork(name=name):
                events["network", "destroy", name] += 1
            case CreateVolume(volume=volume):
                events["volume", "create", volume.name] += 1
            case _:
                raise AssertionError(f"not expected here: {step}")
    return +events


@pytest.mark.engine
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(PROJECTS))
def test_engine_does_exactly_what_was_planned(
    seed: int, engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    random = Random(seed)
    engine.api.tag(changes.IMAGE, f"{project_name}-other", "v1")
    document = changes.project(random, project_name, free_ports())
    project = handwritten(tmp_path / project_name, changes.text(document))
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    stream = Stream(engine, project_name)
    try:
        stream.taken()
        apply(project, stream, "first start")
        for change in changes.chain(random, document, APPLIED // PROJECTS):
            (project.folder / "compose.yaml").write_text(changes.text(change.document))
            apply(project, stream, change.words)
            counted["applied on the engine"] += 1
    finally:
        stream.close()


def apply(project: Project, stream: Stream, words: str) -> None:
    with opened(checkout.find(project.folder), write_env=True) as session:
        situation = workflow.examine(session)
        assert not situation.plan.data_steps, words
        workflow.apply(session, situation, lambda _: None, Cancellation(), timeout=60)
        after = workflow.after(session, situation)
    assert str(after.plan) == "", words
    assert stream.taken() == expected(situation.plan, situation.desired), words


def free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(3)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
