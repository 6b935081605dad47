"""The same for docker compose: killed while it replaces a container, then asked once more."""

from __future__ import annotations

import random
import subprocess
from functools import partial

from tests.crash.rounds import Score
from tests.crash.subject import Subject
from tests.projects import surroundings

COMPOSE = ("docker", "compose")
# Without --wait, for which a one-shot that has done its work is a failure.
UP = (*COMPOSE, "up", "--detach", "--build", "--quiet-pull")
TIMEOUT = 180.0


def killed_recreates(subject: Subject, count: int, seed: int) -> Score:
    """Kill `docker compose up` at random moments of a recreate, and look at what the next one makes of it."""
    random_source = random.Random(seed)
    score = Score("SIGKILL of docker compose during a recreate")
    for _ in range(count):
        moment = random_source.uniform(0.2, 3.0)
        score.take(f"{moment:.3f} s", partial(_killed, subject, moment))
    return score


def _run(subject: Subject, command: tuple[str, ...]) -> None:
    done = subprocess.run(
        command,
        cwd=subject.project.folder,
        env=surroundings(subject.project.environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"


def _killed(subject: Subject, moment: float) -> None:
    if not subject.is_up:
        # What the last one left is not held against this one.
        _run(subject, (*COMPOSE, "down", "--remove-orphans"))
        _run(subject, UP)
    subject.is_up = False
    subject.change()
    process = subprocess.Popen(
        UP,
        cwd=subject.project.folder,
        env=surroundings(subject.project.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()
    _run(subject, UP)
    containers = subject.engine.api.containers(
        all=True, filters={"label": f"com.docker.compose.project={subject.project.name}"}
    )
    names = sorted(item["Names"][0].lstrip("/") for item in containers)
    assert names == [subject.project.container(service) for service in ("app", "db", "migrate")], names
    subject.is_up = True
