"""What a Dockerfile takes of its context, and nothing else, makes another image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker
import pytest

from scaffold.engine.build import context, dockerfile
from scaffold.stack.desired import Build
from tests.projects import Project, generated, handwritten

EVERYTHING = None


@pytest.mark.parametrize(
    ("text", "target", "taken"),
    [
        ("FROM x\nCOPY a b/ /c/", "", ["a", "b"]),
        ("FROM x\nCOPY . /c/", "", [""]),
        ("FROM x\nCOPY ./src/*.py /c/", "", ["src"]),
        ("FROM x\nCOPY *.py /c/", "", [""]),
        ("FROM x\nADD --chown=1:1 a.tar /c/", "", ["a.tar"]),
        ("FROM x\nRUN --mount=type=bind,source=lock,target=/lock pip", "", ["lock"]),
        ("FROM x\nRUN --mount=type=bind,target=/all pip", "", [""]),
        ("FROM x\nRUN --mount=type=cache,target=/root pip install $X", "", []),
        ("FROM x\nCOPY <<END /a\n$HOME\nEND\nCOPY a /", "", ["a"]),
        # Only the stages that the target stands on.
        (
            "FROM x AS b\nCOPY a /\nFROM b AS test\nCOPY tests /\nFROM b\nCOPY src /",
            "",
            ["src", "a"],
        ),
        ("FROM x AS base\nCOPY a /\nFROM base AS test\nCOPY tests /\nFROM base", "test", ["tests", "a"]),
        ("FROM x AS one\nCOPY a /\nFROM y\nCOPY --from=one /a /\nCOPY b /", "", ["b", "a"]),
        ("FROM x\nCOPY a /\nFROM y\nCOPY --from=0 /a /", "", ["a"]),
        ("ARG V=1\nFROM x:${V} AS b1\nCOPY a /\nFROM b${V}\nCOPY b /", "", ["b", "a"]),
        # Whatever leaves open what it means.
        ("FROM x\nCOPY $A /c/", "", EVERYTHING),
        ("FROM x\nCOPY ${A:-a}/b /c/", "", EVERYTHING),
        ('FROM x\nCOPY ["a b", "/c/"]', "", EVERYTHING),
        ("FROM x\nCOPY a\\ b /c/", "", EVERYTHING),
        ("FROM x\nONBUILD COPY a /c/", "", EVERYTHING),
        ("# syntax=example.org/mine:1\nFROM x\nCOPY a /c/", "", EVERYTHING),
        ("# syntax=docker/dockerfile:1\nFROM x\nCOPY a /c/", "", ["a"]),
        ("FROM x\nCOPY a /c/", "nowhere", EVERYTHING),
        ("COPY a /c/", "", EVERYTHING),
    ],
)
def test_what_is_taken(text: str, target: str, taken: list[str] | None) -> None:
    found = dockerfile.taken(text, {}, target)
    assert (found if found is None else [path for origin, path in found if not origin]) == taken


def test_link_counts_for_everything(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY link /a\n")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("1")
    (tmp_path / "link").symlink_to("real")
    before = context.read(Build(str(tmp_path), "Dockerfile")).digest
    (tmp_path / "real" / "file").write_text("2")
    assert context.read(Build(str(tmp_path), "Dockerfile")).digest != before


def running(engine: docker.DockerClient, project: Project) -> dict[str, tuple[str, str]]:
    """Return id and image of each container of the project, by name."""
    label = f"com.docker.compose.project={project.name}"
    found = engine.containers.list(all=True, filters={"label": label})
    return {str(item.name): (str(item.id), str(item.attrs["Image"])) for item in found}


TAKEN = ("app", "src", "migrations", "alembic.ini", "requirements.lock", "package.json", "package-lock.json")
"""What the images of the generated projects are made of."""
READ = ("compose.yaml", "Dockerfile", ".env", ".env.example", ".dockerignore", ".npmrc", ".git")
"""What says how they are made."""


@pytest.mark.engine
@pytest.mark.parametrize("language", ["python", "node"])
def test_edit_of_what_is_in_no_image_replaces_nothing(
    language: str, engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = generated(tmp_path / project_name, f"language={language}")
    project.scaffold("run")
    before = running(engine, project)
    others = [
        path
        for path in project.folder.rglob("*")
        if path.is_file() and path.relative_to(project.folder).parts[0] not in (*TAKEN, *READ)
    ]
    assert len(others) > 5
    for path in others:
        path.write_bytes(path.read_bytes() + b"\n")
    (project.folder / "notes.txt").write_text("note\n")
    (project.folder / "dump.sql").write_text("select 1;\n")
    project.scaffold("plan", "--exit-code")
    project.scaffold("run")
    assert running(engine, project) == before

    # What is in the image replaces it, and leaves none without a name behind.
    source = project.folder / {"python": "app/main.py", "node": "src/main.ts"}[language]
    source.write_bytes(source.read_bytes() + b"\n")
    project.scaffold("run")
    after = running(engine, project)
    assert {name for name in before if before[name] != after[name]} == {
        f"{project.name}-app-1",
        *(name for name in before if name.endswith("-migrate-1")),
    }
    label = f"com.docker.compose.project={project.name}"
    assert not engine.images.list(filters={"dangling": True, "label": label})


BASE = "FROM debian:trixie-slim\nONBUILD COPY . /src\n"


@pytest.mark.engine
def test_what_a_base_image_copies_counts(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    text = "services:\n  app:\n    build: .\n    command: [sleep, infinity]\n    init: true\n"
    name = f"{project_name}-base"
    project = handwritten(tmp_path / project_name, text, files={"Dockerfile": f"FROM {name}\nCOPY b /\n"})
    base = tmp_path / "base"
    base.mkdir()
    (base / "Dockerfile").write_text(BASE)
    subprocess.run(("docker", "build", "-q", "-t", name, str(base)), check=True)
    try:
        (project.folder / "a").write_text("1")
        (project.folder / "b").write_text("1")
        project.scaffold("run")
        project.scaffold("run")
        project.scaffold("plan", "--exit-code")
        (project.folder / "a").write_text("2")
        project.scaffold("run")
        assert project.scaffold("exec", "app", "cat", "/src/a").out == "2"
    finally:
        project.scaffold("down")
        subprocess.run(("docker", "image", "rm", "-f", name), check=False)
