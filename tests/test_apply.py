"""The walk through a plan: whatever goes wrong on the way, it ends, and says so."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from scaffold.engine.apply import Work, apply
from scaffold.engine.client import Engine
from scaffold.errors import EngineError
from scaffold.interrupt import Cancellation
from scaffold.stack.desired import Service
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.progress import Event, Finished, Started
from scaffold.stack.projects import NOWHERE
from scaffold.stack.steps import Prove
from tests.projects import SCAFFOLD, handwritten

pytestmark = pytest.mark.engine

PLAN = Plan((Planned(Prove(Service("app", "shop-app", {}), ("shop-app-1",), "it was started"), ()),))


def outcome(report: Callable[[Event], None]) -> list[BaseException | None]:
    """Return what an apply raised, or nothing at all when it does not end."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            with Engine() as engine:
                apply(PLAN, Work(NOWHERE, engine, report, lambda _: "healthy", Cancellation()))
        except BaseException as error:  # noqa: BLE001 - it is what is asked for
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    return ended


@pytest.mark.parametrize("at", [Started, Finished])
def test_reporter_that_fails_ends_the_apply_with_its_error(engine: docker.DockerClient, at: type) -> None:
    def report(event: Event) -> None:
        if isinstance(event, at):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    (error,) = outcome(report)
    assert isinstance(error, EngineError)
    assert os.strerror(errno.EIO) in error.message


SLEEPS = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
"""


def test_full_disk_behind_standard_error_does_not_stop_a_run(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = handwritten(tmp_path / project_name, SLEEPS)
    project.run("sh", "-c", f"{SCAFFOLD} run 2>/dev/full")
    project.scaffold("plan", "--exit-code")
