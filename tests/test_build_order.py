"""Images that stand on one another are built in order; a build whose result is the same replaces nothing."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from scaffold.engine.build import context
from scaffold.errors import ProjectError
from scaffold.stack.desired import Build
from tests.projects import Project, handwritten

COMPOSE = """\
x-quiet: &quiet {command: [sleep, infinity], init: true, network_mode: none}
services:
  # By name they come in the wrong order.
  app: {<<: *quiet, build: {context: app, args: {BASE: "${COMPOSE_PROJECT_NAME}-middle"}}}
  beside: {<<: *quiet, build: {context: beside, additional_contexts: {root: "service:root"}}}
  middle: {<<: *quiet, build: middle, image: "${COMPOSE_PROJECT_NAME}-middle", deploy: {replicas: 0}}
  root: {<<: *quiet, build: root, deploy: {replicas: 0}}
"""
FILES = {
    "root/Dockerfile": "FROM debian:trixie-slim\nCOPY word /word\n",
    "root/word": "one\n",
    "middle/Dockerfile": "ARG R\nFROM ${R:-NAME-root}\nRUN cat /word >/middle\n",
    "app/Dockerfile": "ARG BASE\nFROM $BASE\nRUN cat /middle >/app\n",
    "beside/Dockerfile": "FROM debian:trixie-slim\nCOPY --from=root /word /beside\n",
}


def project_of(name: str, folder: Path) -> Project:
    files = {path: text.replace("NAME", name) for path, text in FILES.items()}
    project = handwritten(folder / name, COMPOSE, files=files)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    return project


@pytest.mark.engine
def test_one_run_brings_a_change_through_all_images(
    project_name: str, tmp_path: Path, engine: docker.DockerClient
) -> None:
    project = project_of(project_name, tmp_path)

    def seen() -> list[str]:
        ask = [("app", "/app"), ("beside", "/beside")]
        return [project.run("docker", "exec", project.container(at), "cat", path).out for at, path in ask]

    project.scaffold("run")
    assert seen() == ["one\n", "one\n"]
    assert project.scaffold("plan", "--exit-code").code == 0
    assert engine.api.containers(all=True, filters={"name": f"{project_name}-middle"}) == []

    (project.folder / "root" / "word").write_text("two\n")
    plan = project.scaffold("plan").out
    assert f"build image {project_name}-middle: built upon {project_name}-root, which is built anew" in plan
    project.scaffold("run")
    assert seen() == ["two\n", "two\n"]
    assert project.scaffold("plan", "--exit-code").code == 0

    # A build that has the same result replaces nothing.
    before = {item["Id"] for item in engine.api.containers(filters={"name": project_name})}
    project.scaffold("run", "--build")
    assert {item["Id"] for item in engine.api.containers(filters={"name": project_name})} == before

    # Only one is asked for: it comes with those that it stands on.
    lines = project.scaffold("build", "app", "--explain").out
    order = [
        lines.index(f"--tag {name} ")
        for name in ("root", "middle", "app")
        for name in [f"{project_name}-{name}"]
    ]
    assert order == sorted(order)
    assert f"{project_name}-beside" not in lines


def builds(tmp_path: Path, **texts: str) -> dict[str, Build]:
    return {name: Build(str(tmp_path), "Dockerfile", inline=text) for name, text in texts.items()}


def test_image_that_is_built_upon_one_of_its_own_name_stands_upon_nobody(tmp_path: Path) -> None:
    """`image: postgres:18` beside a `build:` whose Dockerfile begins with it is nothing rare."""
    asked = builds(tmp_path, db="FROM postgres:18\n", copy="FROM postgres:18\n")
    images = {"db": "postgres:18", "copy": "p-copy"}
    alone = context.read_all({"db": asked["db"]}, lambda _: "id", images=images)["db"]
    assert alone.needs == ()
    assert alone.digest == context.read(asked["db"], lambda _: "id").digest
    assert context.read_all(asked, lambda _: "id", images=images)["copy"].needs == ("db",)


def test_circle_of_images_is_refused(tmp_path: Path) -> None:
    asked = builds(tmp_path, a="FROM p-b\n", b="FROM p-a:latest\n")
    with pytest.raises(ProjectError, match=r"built upon each other: [ab] → [ab] → [ab]"):
        context.read_all(asked, images={"a": "p-a", "b": "p-b"})


def test_digest_of_what_is_built_upon_counts_and_not_the_id_of_its_image(tmp_path: Path) -> None:
    images = {"a": "p-a", "b": "docker.io/library/p-b"}
    first = context.read_all(builds(tmp_path, a="FROM x\n", b="FROM p-a\n"), lambda _: "same", images=images)
    other = context.read_all(
        builds(tmp_path, a="FROM x\nRUN y\n", b="FROM p-a\n"), lambda _: "same", images=images
    )
    again = context.read_all(
        builds(tmp_path, a="FROM x\n", b="FROM p-a\n"),
        lambda name: "another" if name == "p-a" else "same",
        images=images,
    )
    assert first["b"].needs == ("a",)
    assert first["b"].digest != other["b"].digest
    assert first["b"].digest == again["b"].digest
