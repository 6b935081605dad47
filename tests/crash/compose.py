"""The same for docker compose: killed while it replaces a container, then asked once more."""

from __future__ import annotations

import random
import subprocess
from functools import partial

from tests.crash.rounds import Score
from tests.crash.subject import Subject
from tests.projects import surroundings

UP = ("docker", "compose", "up", "--detach", "--wait", "--build", "--quiet-pull")
TIMEOUT = 180.0


def killed_recreates(subject: Subject, count: int, seed: int) -> Score:
    """Kill `docker compose up` at random moments of a recreate, and look at what the next one makes of it."""
    random_source = random.Random(seed)
    score = Score("SIGKILL of docker compose during a recreate")
    _up(subject)
    for _ in range(count):
        moment = random_source.uniform(0.2, 3.0)
        score.take(f"{moment:.3f} s", partial(_killed, subject, moment))
    return score


def _up(subject: Subject) -> None:
    subprocess.run(
        UP,
        cwd=subject.project.folder,
        env=surroundings(subject.project.environment),
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )


def _killed(subject: Subject, moment: float) -> None:
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
    _up(subject)
    containers = subject.engine.api.containers(
        all=True, filters={"label": f"com.docker.compose.project={subject.project.name}"}
    )
    names = sorted(item["Names"][0].lstrip("/") for item in containers)
    assert names == [subject.project.container(service) for service in ("app", "db", "migrate")], names
