"""What scaffold writes is sent to no build, whatever ignore files say; printed commands do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.dockercli import buildx
from scaffold.engine.build import context, dockerfile
from scaffold.engine.build import image as images
from scaffold.stack.desired import Build, BuildSecret
from tests.projects import Project, handwritten

BASE = "FROM debian:trixie-slim\n"
COPY_ALL = f"{BASE}COPY . /sent\n"
EXAMPLE = "DB_PASSWORD=\n"


def project_of(folder: Path, build: str, files: Mapping[str, str]) -> Project:
    """Return a project with one service that is built; `build` is what stands below `build:`."""
    compose = f"services:\n  app:\n    image: {folder.name}-app\n    build: {build}\n"
    compose += "    command: [sleep, infinity]\n    init: true\n"
    project = handwritten(folder, compose, EXAMPLE)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return project


def sent(project: Project) -> set[str]:
    """Return the paths below /sent in the image."""
    command = ("docker", "run", "--rm", f"{project.folder.name}-app", "find", "/sent", "-type", "f")
    return {line.removeprefix("/sent/") for line in project.run(*command).out.splitlines()}


SPELLINGS = {
    "no ignore file": (
        "{context: .}",
        {"Dockerfile": COPY_ALL, "a": ""},
        {"a", "Dockerfile", "compose.yaml", ".env.example"},
    ),
    "an ignore file that takes it back in": (
        "{context: .}",
        {"Dockerfile": COPY_ALL, ".dockerignore": "*\n!.env\n!a", "a": ""},
        {"a"},
    ),
    "an ignore file of the Dockerfile": (
        "{context: ., dockerfile: docker/Dockerfile}",
        {
            "docker/Dockerfile": COPY_ALL,
            "docker/Dockerfile.dockerignore": "docker\ncompose.yaml\n.env.example",
            "a": "",
        },
        {"a"},
    ),
    "an inline Dockerfile": (
        '{context: ., dockerfile_inline: "FROM debian:trixie-slim\\nCOPY . /sent\\n"}',
        {".dockerignore": "compose.yaml\n.env.example", "a": ""},
        {"a", ".dockerignore"},
    ),
    "a wildcard": ("{context: .}", {"Dockerfile": f"{BASE}COPY .env* /sent/\n"}, {".env.example"}),
    "another context": (
        "{context: app, additional_contexts: {all: .}}",
        {"app/Dockerfile": f"{BASE}COPY --from=all . /sent\n", "a": "", ".dockerignore": "compose.yaml"},
        {"a", "app/Dockerfile", ".dockerignore", ".env.example"},
    ),
    "the folder of another checkout": (
        "{context: .}",
        {
            "Dockerfile": COPY_ALL,
            ".dockerignore": "compose.yaml\n.env.example\nDockerfile\n.dockerignore",
            "other/compose.yaml": "services: {}",
            "other/.env": "DB_PASSWORD=x",
            "frontend/.env": "VITE_TITLE=hello",
            ".env.scaffold-draft": "DB_PASSWORD=y",
        },
        {"other/compose.yaml", "frontend/.env"},
    ),
}


@pytest.mark.engine
@pytest.mark.parametrize(("build", "files", "expected"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_env_is_not_sent(
    build: str, files: Mapping[str, str], expected: set[str], project_name: str, tmp_path: Path
) -> None:
    project = project_of(tmp_path / project_name, build, files)
    project.scaffold("build", "--quiet")
    assert project.env_file.exists()
    assert sent(project) == expected
    built = project.run("docker", "images", "--quiet", f"{project_name}-app").out
    assert "Dockerfile" not in project.scaffold("plan").out  # nothing has changed since
    assert f"build image {project_name}-app" not in project.scaffold("plan").out

    # The commands that are printed send the same.
    text = project.scaffold("build", "--explain").out
    project.run("bash", "-euo", "pipefail", "-c", text)
    assert sent(project) == expected
    assert project.run("docker", "images", "--quiet", f"{project_name}-app").out == built


@pytest.mark.engine
def test_dockerfile_that_asks_for_env_is_refused_with_its_line(project_name: str, tmp_path: Path) -> None:
    text = f"{BASE}WORKDIR /sent\n# more\nCOPY --chmod=600 \\\n  .env ./\n"
    project = project_of(tmp_path / project_name, "{context: .}", {"Dockerfile": text})
    refused = project.scaffold("run", code=2).err
    assert "services.app.build: Dockerfile, line 4: COPY --chmod=600 .env ./ puts .env" in " ".join(
        refused.split()
    )
    assert "--allow-secret .env" in refused
    assert project.scaffold("plan", code=2).err
    project.scaffold("status")
    project.scaffold("build", "--allow-secret", ".env", "--quiet")
    assert sent(project) == {".env"}


@pytest.mark.parametrize(
    "line",
    [
        "COPY .env /a",
        "COPY ./.env /a",
        "COPY /.env /a",
        'COPY ["a", ".env", "/b"]',
        "ADD x/../.env /a",
        "ARG F=.env\nCOPY $F /a",
        "RUN --mount=type=bind,source=.env,target=/e cat /e",
        "RUN --mount=source=.env,target=/e cat /e",
        "COPY .en[v] /a",
    ],
)
def test_every_way_to_name_env_is_seen(line: str, tmp_path: Path) -> None:
    for name, text in {"Dockerfile": f"{BASE}{line}\n", ".env": "", "compose.yaml": "", "a": ""}.items():
        (tmp_path / name).write_text(text)
    read = context.read(Build(str(tmp_path), "Dockerfile"))
    assert [path for path, _ in read.exposed] == [".env"]
    assert read.withheld == ()
    assert ".env" in read.files


def test_stage_of_the_same_file_is_not_the_context() -> None:
    found = dockerfile.copies(f"{BASE}COPY --from=build .env /a\nRUN <<E\nCOPY .env /b\nE\n", {})
    assert [(copy.source, copy.context) for copy in found] == [(".env", "build")]


def test_sound_project_is_built_as_it_always_was(tmp_path: Path) -> None:
    for name, text in {
        "Dockerfile": BASE,
        ".env": "",
        "compose.yaml": "",
        ".dockerignore": "**/.env*",
    }.items():
        (tmp_path / name).write_text(text)
    read = context.read(Build(str(tmp_path), "Dockerfile"), home=str(tmp_path))
    assert not buildx.is_filtered(read)


def test_env_is_withheld_before_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(BASE)
    before = context.read(Build(str(tmp_path), "Dockerfile"), home=str(tmp_path))
    (tmp_path / ".env").write_text("A_PASSWORD=x")
    after = context.read(Build(str(tmp_path), "Dockerfile"), home=str(tmp_path))
    assert before.withheld == after.withheld == (".env",)
    assert before.digest == after.digest


def test_names_in_an_ignore_file_mean_themselves() -> None:
    from scaffold.engine.build import ignore

    for path in ("a*b/.env", "[x]/.env", "#a/.env", "!a/.env", "a b/.env", "a\\b/.env", "a?/.env"):
        rules = ignore.parse(f"*\n!**\n{buildx.ignored(path)}\n")
        assert rules.ignores(path), path
        assert not rules.ignores("axb/.env")


@pytest.mark.engine
def test_buildx_gets_no_variable_that_no_secret_names(
    tmp_path: Path, project_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dockerfile").write_text(BASE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: dict[str, str] = {}

    def look(process: object) -> None:
        text = Path(f"/proc/{process.pid}/environ").read_text(errors="replace")  # type: ignore[attr-defined]
        seen.update(entry.partition("=")[::2] for entry in text.split("\0") if entry)

    variables = {"LD_PRELOAD": "/nowhere.so", "DOCKER_HOST": "tcp://nowhere:1", "ONE": "1", "OTHER": "2"}
    build = replace(
        context.read(Build(str(tmp_path), "Dockerfile")), secrets=(BuildSecret("one", environment="ONE"),)
    )
    images.build(
        f"{project_name}-app", build, lambda _: None, images.Options(environment=variables), process_hook=look
    )
    assert seen.get("ONE") == "1"
    assert seen.get("OTHER") is None
    assert seen.get("LD_PRELOAD") != "/nowhere.so"
    assert seen.get("DOCKER_HOST") != "tcp://nowhere:1"
