"""The printed docker commands make what `scaffold run` makes and hold no secret; plans as they are shown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import docker
import pytest

from scaffold.dockercli import buildx
from scaffold.dockercli.explain import commands
from scaffold.stack import desired as wish
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Observed
from scaffold.stack.plan import plan
from tests.inspected import documents, typed
from tests.projects import generated, handwritten


@pytest.mark.engine
@pytest.mark.parametrize(
    "answers", [("language=python", "database=postgres"), ("language=node", "database=mongo")]
)
def test_typed_commands_make_what_run_makes(
    answers: tuple[str, ...], engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = generated(tmp_path / project_name, *answers)
    project.scaffold("env")
    text = project.scaffold("plan", "--commands").out
    assert project.scaffold("run", "--explain").out == text
    project.run("bash", "-euo", "pipefail", "-c", text)
    by_commands = documents(engine, project.name)
    before = project.run("docker", "compose", "ps", "--all", "--quiet").out
    # What somebody else's build was made of is not known: ours has the same result, and replaces nothing.
    project.scaffold("run")
    assert project.run("docker", "compose", "ps", "--all", "--quiet").out == before
    assert project.scaffold("plan", "--exit-code").code == 0

    project.scaffold("down")
    project.scaffold("run", "--recreate", "--quiet")  # the migration, which is done, as well
    by_scaffold = documents(engine, project.name)
    assert by_commands.keys() == by_scaffold.keys()
    for name, document in by_scaffold.items():
        if "Config" in document:
            assert typed(by_commands[name]) == typed(document)
        else:
            assert by_commands[name] == document


@pytest.mark.engine
def test_plan_as_people_and_programs_see_it(project_name: str, tmp_path: Path) -> None:
    compose = (
        "services:\n  app:\n    image: debian:trixie-slim\n    command: [sleep, infinity]\n    init: true\n"
        "    environment: {LOG_LEVEL: info, API_TOKEN: first-secret}\n"
    )
    project = handwritten(tmp_path / project_name, compose)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    assert "+ create container" in project.scaffold("plan", "--exit-code", code=2).out
    project.scaffold("run")
    assert project.scaffold("plan", "--exit-code").out == f"{project_name} is up to date: nothing to do.\n"
    assert project.scaffold("plan", "--json").json == {"project": project_name, "changes": 0, "steps": []}
    assert project.scaffold("plan", "--commands").out == "# nothing to do\n"

    changed = compose.replace("info", "debug").replace("first-secret", "second-secret")
    (project.folder / "compose.yaml").write_text(changed)
    text = project.scaffold("plan", "--exit-code", code=2).out
    reason = "environment API_TOKEN: changed; environment LOG_LEVEL: info → debug"
    assert f"~ recreate container {project_name}-app-1: {reason} [recreate]\n" in text
    assert "\x1b" not in text
    assert project.scaffold("run", "--dry-run").out == text
    document = project.scaffold("plan", "--json").json
    assert [(step["verb"], step["impact"]) for step in document["steps"]] == [
        ("stop", "recreate"),
        ("remove", "recreate"),
        ("create", "none"),
        ("start", "none"),
        ("prove", "none"),
    ]
    assert [step["after"] for step in document["steps"]] == [[], [0], [1], [2], [3]]
    explained = project.scaffold("run", "--explain").out
    for output in (text, json.dumps(document), explained):
        assert "first-secret" not in output
        assert "second-secret" not in output


SERVICE = {
    "image": "postgres:18",
    "environment": {
        "POSTGRES_PASSWORD": "p4ss",
        "URL": "postgres://app:p4ss@db/app",
        "LITERAL_SECRET": "l1teral",
    },
    "command": ["postgres", "-c", "app.key=p4ss $HOME"],
    "networks": {"back": None},
    "volumes": [{"type": "volume", "source": "data", "target": "/data", "volume": {}}],
    "healthcheck": {"test": ["CMD", "pg_isready", "-U", "my app"], "interval": "10s"},
}
DOCUMENT = {
    "name": "p",
    "services": {"db": SERVICE},
    "networks": {"back": {"name": "p_back"}},
    "volumes": {"data": {"name": "p_data"}},
}


def explained() -> str:
    desired = wish.read(DOCUMENT, "/project")
    lines = commands(plan(desired, Observed()), desired, {"DB_PASSWORD": "p4ss", "PORT": "80"})
    return "\n".join(f"# {line.why}\n{line.text}" for line in lines)


def test_commands_can_be_followed_by_somebody_who_learns() -> None:
    whys = [line.removeprefix("# ") for line in explained().splitlines() if line.startswith("# ")]
    assert whys == [
        "secrets stay where they are: this shell learns them",
        "get the image postgres:18: not on this engine",
        "a network on which containers find each other by service name",
        "a volume: the data in it outlives the containers",
        "make the container of db; it does not run yet",
        "start it",
        "wait until db is healthy",
    ]


def test_commands_hold_variables_instead_of_secrets() -> None:
    text = explained()
    assert "p4ss" not in text
    assert "l1teral" not in text
    assert 'POSTGRES_PASSWORD="${DB_PASSWORD:?}"' in text
    assert 'URL="postgres://app:${DB_PASSWORD:?}@db/app"' in text
    assert 'LITERAL_SECRET="${LITERAL_SECRET:?}"' in text
    assert r'"app.key=${DB_PASSWORD:?} \$HOME"' in text
    assert "'pg_isready -U '\"'\"'my app'\"'\"''" in text


def test_project_without_passwords_needs_no_env_file() -> None:
    desired = wish.read({"name": "p", "services": {"app": {"image": "x"}}}, "/project")
    lines = commands(plan(desired, Observed()), desired, {"DB_PASSWORD": "p4ss"})
    assert [line.text.split()[:2] for line in lines] == [
        ["docker", "pull"],
        ["docker", "create"],
        ["docker", "start"],
    ]


BUILD = {
    "context": "/project",
    "dockerfile": "docker/Dockerfile",
    "args": {"VERSION": "1", "FROM_HERE": None},
    "secrets": [{"source": "pip"}],
    "ssh": ["default"],
    "cache_from": ["type=registry,ref=cache"],
    "cache_to": ["type=inline"],
    "shm_size": "1024",
    "extra_hosts": ["there=10.1.2.3"],
    "platforms": ["linux/amd64"],
}


def built(build: Mapping[str, object]) -> Desired:
    document = {
        "name": "p",
        "services": {"app": {"image": "p-app", "build": build}},
        "secrets": {"pip": {"file": "/home/me/pip,conf"}},
    }
    return wish.read(document, "/project")


def printed_build(build: Mapping[str, object], variables: Mapping[str, str] | None = None) -> str:
    desired = built(build)
    lines = commands(plan(desired, Observed()), desired, variables or {})
    return next(line.text for line in lines if "buildx" in line.text).replace("\\\n", "")


def test_printed_build_is_the_one_that_runs() -> None:
    wanted = built(BUILD).services[0].build
    assert wanted is not None
    labels = buildx.labels("p", "app", "")
    words = shlex.split(printed_build(BUILD))
    assert words == ["docker", "buildx", "build", *buildx.arguments("p-app", wanted, labels)]
    for option, value in (
        ("--file", "/project/docker/Dockerfile"),
        ("--secret", 'id=pip,"src=/home/me/pip,conf"'),
        ("--ssh", "default"),
        ("--cache-from", "type=registry,ref=cache"),
        ("--cache-to", "type=inline"),
        ("--shm-size", "1024"),
        ("--add-host", "there:10.1.2.3"),
    ):
        assert words[words.index(option) + 1] == value


def test_printed_build_of_a_repository_looks_for_the_dockerfile_there() -> None:
    url = "https://example.org/a.git#main"
    assert "--file" not in printed_build({"context": url, "dockerfile": "Dockerfile"})
    assert "--file sub/Dockerfile" in printed_build({"context": url, "dockerfile": "sub/Dockerfile"})


def test_printed_build_holds_no_secret_argument() -> None:
    arguments = {
        "NPM_TOKEN": "s3cretvalue",
        "INDEX": "https://ghp_tok@example.org/simple",
        "PASSWORD": "p4ss",
        "HOST": "app:p4ss@db",
        "VERSION": "1",
    }
    text = printed_build({**BUILD, "args": arguments}, {"DB_PASSWORD": "p4ss"})
    for secret in ("s3cretvalue", "ghp_tok", "p4ss"):
        assert secret not in text
    assert text.startswith(
        'HOST="app:${DB_PASSWORD:?}@db" INDEX="${INDEX:?}" NPM_TOKEN="${NPM_TOKEN:?}" '
        'PASSWORD="${DB_PASSWORD:?}" docker buildx build'
    )
    words = shlex.split(text)
    given = [value for option, value in pairwise(words) if option == "--build-arg"]
    assert given == ["HOST", "INDEX", "NPM_TOKEN", "PASSWORD", "VERSION=1"]
