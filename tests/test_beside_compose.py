"""After one of `scaffold run` and `docker compose`, the other finds nothing to replace."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.projects import Project, handwritten

pytestmark = pytest.mark.engine

COMPOSE = """\
services:
  app:
    build: {context: ., target: app}
    command: [sleep, infinity]
    init: true
    env_file: [app.env]
    environment: {PRICE: "$$5", NAMED: "${NAMED}"}
    depends_on: {db: {condition: service_started}, once: {condition: service_completed_successfully}}
  db:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    volumes: [data:/data, /nameless]
    networks: {default: {aliases: [store]}}
  once: {image: "debian:trixie-slim", command: ["true"], depends_on: [db]}
  test: {build: {context: ., target: test}, profiles: [test], command: ["true"], depends_on: [app]}
volumes: {data: }
"""
FILES = {
    "Dockerfile": "FROM debian:trixie-slim AS app\nCOPY source /source\nFROM app AS test\nRUN true\n",
    ".dockerignore": ".env\n",
    "source": "one\n",
    "app.env": "FROM_FILE=1\nQUOTED='a b'\n",
}
UP = ("docker", "compose", "up", "--detach", "--wait")


def seen(engine: docker.DockerClient, project: Project) -> dict[str, str]:
    """Return the id of every container, by name."""
    label = {"label": f"com.docker.compose.project={project.name}"}
    found = engine.api.containers(all=True, filters=label)
    return {item["Names"][0]: item["Id"] for item in found}


def test_neither_replaces_what_the_other_has_made(
    project_name: str, tmp_path: Path, engine: docker.DockerClient
) -> None:
    project = handwritten(tmp_path / project_name, COMPOSE, files=FILES)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\nNAMED='x y'\n")

    project.scaffold("run")
    ours = seen(engine, project)
    for command in (
        UP,
        (*UP, "--build"),
        ("docker", "compose", "run", "--rm", "--no-TTY", "test"),
        ("scaffold", "run", "--build"),
    ):
        project.scaffold(*command[1:]) if command[0] == "scaffold" else project.run(*command)
        assert seen(engine, project) == ours, command
    # Compose runs a one-shot that has ended anew; its container stays, and the next run has nothing to do.
    assert project.scaffold("plan", "--exit-code").code == 0

    project.run(*UP, "--force-recreate")
    theirs = seen(engine, project)
    assert not set(theirs.values()) & set(ours.values())
    assert project.scaffold("plan", "--exit-code").out.endswith("is up to date: nothing to do.\n")
    project.scaffold("run")
    assert seen(engine, project) == theirs

    # What Compose has built of an edit is built once more, from the cache, and is the same.
    (project.folder / "source").write_text("two\n")
    project.run(*UP, "--build")
    theirs = seen(engine, project)
    assert "it is not known what the image was built from" in project.scaffold("plan").out
    project.scaffold("run")
    assert seen(engine, project) == theirs

    # A change that neither has brought up yet is one to both.
    (project.folder / "app.env").write_text("FROM_FILE=2\n")
    plan = project.scaffold("plan").out
    assert f"recreate container {project_name}-app-1: made by another tool" in plan
    project.scaffold("run")
    ours = seen(engine, project)
    assert {name for name in ours if ours[name] != theirs[name]} == {f"/{project_name}-app-1"}
    project.run(*UP)
    assert seen(engine, project) == ours
