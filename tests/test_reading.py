"""What compose.yaml and .env mean is what Docker Compose reads in them, byte for byte, from any place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scaffold.diagnose import compose
from tests.projects import Project, handwritten

COMPOSE = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    environment: {A: "grüße 日本", "k$$ey": "a$$b", HERE: "${PWD}", NONE: "${NOT_SET_ANYWHERE}"}
    secrets: [several, dollar, quoted, exported, empty]
    configs: [{source: colon, target: /colon}]
    volumes: ["./mounted:/mounted:ro"]
  off:
    image: debian:trixie-slim
    profiles: [later]
    env_file: missing.env
secrets:
  several: {environment: SEVERAL}
  dollar: {environment: DOLLAR}
  quoted: {environment: QUOTED}
  exported: {environment: EXPORTED}
  empty: {environment: EMPTY}
configs:
  colon: {environment: COLON}
"""
ENV = """\
COMPOSE_PROJECT_NAME={name}
BASE=base
SEVERAL="line 1
line 2
"
DOLLAR=${{BASE}}-x$$y
QUOTED='it is "q" $x'  # comment
export EXPORTED = spaced value
EMPTY=
COLON: yaml style
"""
LOOK = 'cd /run/secrets && for name in * /colon; do echo "$name:"; cat $name; echo .; done; env | sort'


def seen(project: Project) -> str:
    """Return the secrets, the config and the environment as the program has them."""
    words = ("docker", "exec", f"{project.name}-app-1", "sh", "-c", LOOK)
    out = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout
    return "\n".join(line for line in out.splitlines() if not line.startswith("HOSTNAME="))


@pytest.mark.engine
def test_everything_arrives_as_compose_gives_it(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / "shop", COMPOSE)
    (project.folder / "mounted").mkdir()
    project.env_file.write_text(ENV.format(name=project_name))
    project.run("docker", "compose", "up", "-d", PWD=str(project.folder))  # as a shell says it
    by_compose = seen(project)
    project.run("docker", "compose", "down", "-t", "0")
    assert "line 1\nline 2" in by_compose
    assert "grüße 日本" in by_compose

    # Compose's output is UTF-8 whatever the locale says; what it warns of is passed on.
    done = project.scaffold("run", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert seen(project) == by_compose
    assert '"NOT_SET_ANYWHERE" variable is not set' in done.err, done

    # A link, -C and a folder further down lead to the same project with the same plan.
    (tmp_path / "link").symlink_to(project.folder)
    Project(tmp_path / "link").scaffold("plan", "--exit-code", PWD=str(tmp_path / "link"))
    Project(tmp_path).scaffold("plan", "--exit-code", "-C", "link")
    Project(project.folder / "mounted").scaffold("plan", "--exit-code")

    # What is switched off may lack its file, and is refused once it is asked for.
    done = project.scaffold("run", "--profile", "later", code=2)
    assert "missing.env" in done.err, done
    assert "touch" in done.err, done


@pytest.mark.engine
def test_file_that_compose_file_lacks_is_named(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / "shop", "services: {app: {image: debian:trixie-slim}}\n")
    name = f"COMPOSE_PROJECT_NAME={project_name}\n"
    project.env_file.write_text(f"{name}COMPOSE_FILE=compose.yaml:more.yaml\n")
    done = project.scaffold("plan", code=2)
    assert f"{project.folder}/more.yaml, which COMPOSE_FILE names, does not exist" in done.err, done
    (project.folder / "more.yaml").write_text("services:\n  app: [\n")
    assert "more.yaml, line" in project.scaffold("plan", code=2).err
    (project.folder / "more.yaml").write_text("services: {more: {image: debian:trixie-slim}}\n")
    assert f"{project_name}-more-1" in project.scaffold("plan").out
    project.env_file.write_text(f"{name}COMPOSE_FILE=a.yaml:b.yaml\n")
    assert "COMPOSE_FILE names a.yaml:b.yaml" in project.scaffold("plan", code=2).err


def test_warnings_are_passed_on_once() -> None:
    said = (
        'time="2026-11-26T19:41:03Z" level=warning msg="The \\"A\\" variable is not set."\n'
        'time="2026-11-26T19:41:04Z" level=warning msg="The \\"A\\" variable is not set."\n'
        'time="2026-11-26T19:41:04Z" level=warning msg="/x/compose.yaml: `version` is obsolete"\n'
    )
    assert compose.warnings(said) == ('The "A" variable is not set.',)
