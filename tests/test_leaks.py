"""No secret of a project gets into an image: every planted one is found, and nothing else is."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from tests.conftest import named
from tests.leaks.blind import BLIND
from tests.leaks.cases import CASES, CLEAN, Case, Clean
from tests.projects import Project, generated, handwritten
from tests.soak import sample

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def name(engine: docker.DockerClient) -> Iterator[str]:
    with named(engine) as found:
        yield found


def planted(folder: Path, case: Case | Clean, name: str) -> Project:
    example = case.example if isinstance(case, Clean) else ""
    compose = f"services:\n  app:\n    image: {name}-app\n    {case.compose}\n{case.extra}"
    project = handwritten(folder / "app", compose, example)
    for path, content in case.files.items():
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        made = (
            content.replace("NONCE", secrets.token_hex(8)).encode() if isinstance(content, str) else content
        )
        (project.folder / path).write_bytes(made)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={name}\n{case.env}")
    return project


def sampled(cases: tuple[Case, ...]) -> list[Case]:
    """Leave most forms of a secret in a file to the soak: tests/test_needles.py looks for each of them."""
    forms = [case for case in cases if case.is_form]
    return [case for case in cases if not case.is_form] + forms[::9]


@pytest.mark.parametrize(
    "case", sample(CASES + BLIND, sampled(CASES + BLIND)), ids=[case.name for case in CASES + BLIND]
)
def test_leak_is_found(case: Case, name: str, engine: docker.DockerClient, tmp_path: Path) -> None:
    project = planted(tmp_path, case, name)
    with contextlib.suppress(ImageNotFound):
        engine.images.get(f"{name}-app").remove(force=True)  # what a test that failed has left
    said = " ".join(project.scaffold("build", code=1).err.split())
    assert "the build puts secrets into the image" in said
    for wanted in case.finds:
        assert f"{wanted} in " in said
        assert f"--allow-secret {wanted}" in said
    assert case.place in said
    for value in case.env.splitlines():
        assert value.partition("=")[2].strip("'") not in said
    for image in (f"{name}-app:latest", f"{name}-app:unproven-latest"):
        with pytest.raises(ImageNotFound):
            engine.images.get(image)


@pytest.mark.parametrize("case", CLEAN, ids=[case.name for case in CLEAN])
def test_nothing_is_found_where_there_is_nothing(
    case: Clean, name: str, engine: docker.DockerClient, tmp_path: Path
) -> None:
    planted(tmp_path, case, name).scaffold("build", "--quiet")
    engine.images.get(f"{name}-app").remove(force=True)


def test_secret_that_is_let_through_is_let_through(
    name: str, engine: docker.DockerClient, tmp_path: Path
) -> None:
    case = next(case for case in CASES if case.name == "a settings file")
    project = planted(tmp_path, case, name)
    project.scaffold("build", "--allow-secret", "DB_PASSWORD", "--quiet")
    engine.images.get(f"{name}-app").remove(force=True)


@pytest.mark.parametrize(
    ("language", "database"),
    sample(product(("python", "node"), ("postgres", "mongo")), (("python", "mongo"), ("node", "postgres"))),
)
def test_generated_project_has_no_secret_in_its_image(
    language: str, database: str, project_name: str, tmp_path: Path
) -> None:
    project = generated(tmp_path / project_name, f"language={language}", f"database={database}")
    project.scaffold("build", "--quiet")


def test_image_that_was_never_proven_is_built_again(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    case = next(case for case in CLEAN if case.name == "a file that is ignored")
    project = planted(tmp_path, case, project_name)
    project.scaffold("build", "--quiet")
    # What a run leaves that is killed between the build and the end of the proof.
    image = engine.images.get(f"{project_name}-app")
    image.tag(f"{project_name}-app", "unproven-latest")
    engine.images.remove(f"{project_name}-app:latest")
    assert f"build image {project_name}-app" in project.scaffold("plan").out
    project.scaffold("build", "--quiet")
    engine.images.get(f"{project_name}-app:latest")
    with pytest.raises(ImageNotFound):
        engine.images.get(f"{project_name}-app:unproven-latest")
