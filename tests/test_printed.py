"""Printed commands make the same containers for every value, and run none of them: a shell says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scaffold.dockercli import explain
from scaffold.stack import desired as wish
from scaffold.stack import environment
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Observed
from scaffold.stack.plan import plan
from scaffold.stack.requests.labelled import container_request
from tests.inspected import documents, typed
from tests.projects import SCAFFOLD, handwritten, surroundings
from tests.soak import SOAK

RECORDER = f"""#!{sys.executable} -SE
import json, os, sys
words = sys.argv[1:]
given = sys.stdin.buffer.read().decode() if "/dev/stdin" in words else ""
with open(os.environ["RECORD"], "a") as file:
    file.write(json.dumps([words, dict(os.environ), given]) + "\\n")
"""

NASTY = (
    "pa;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a b  c ",
    "a&b|c>pwned",
    'it\'s "quoted"',
    "$HOME ${HOME} $$",
    "back\\slash\\",
    "!history!",
    "two\nlines\n",
    "#no comment",
    "*?[a]~",
    "-n",
    "ümläut → ✓",
    "\ttab\r",
)
value = st.sampled_from(NASTY) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30
)
NAMES = "DB_PASSWORD API_TOKEN LOG_LEVEL my.dotted.token a-b PATH LD_PRELOAD_KEY DOCKER_HOST"
name = st.sampled_from(NAMES.split())


def project(variables: Mapping[str, str], command: list[str]) -> Desired:
    service = {"image": "x", "environment": variables, "command": command, "labels": {"note": command[-1]}}
    return wish.read({"name": "p", "services": {"app": service}}, "/project")


def recorded(desired: Desired, variables: Mapping[str, str], folder: Path, shell: str) -> list[Any]:
    """Return words, environment and standard input of each docker command that a shell ran."""
    folder.mkdir(exist_ok=True)
    lines = explain.commands(plan(desired, Observed()), desired, variables)
    (folder / "exported").write_bytes(explain.exported(explain.holders(desired, variables)).encode())
    for tool, text in (("docker", RECORDER), ("scaffold", f"#!/bin/sh\ncat '{folder}/exported'\n")):
        (folder / tool).write_text(text)
        (folder / tool).chmod(0o755)
    record = folder / "record"
    record.unlink(missing_ok=True)
    done = subprocess.run(
        [*shell.split(), "-c", "\n".join(f"# {line.why}\n{line.text}" for line in lines)],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "RECORD": str(record), "HOME": "/home/me", "LANG": "C.UTF-8"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "pwned").exists()
    return [json.loads(line) for line in record.read_text().splitlines()]


def container(found: list[Any]) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Return environment, command and labels of the container that docker was asked for."""
    words, around, read = next(item for item in found if item[0][0] == "create")
    made: dict[str, str] = {}
    labels: dict[str, str] = {}
    place = 1
    while words[place].startswith("--"):
        option, text = words[place], words[place + 1]
        if option == "--env":
            key, equals, rest = text.partition("=")
            made[key] = rest if equals else around[key]
        if option == "--env-file":
            made |= dict(line.split("=", 1) for line in read.split("\n") if line)
        if option == "--label":
            labels |= [text.split("=", 1)]
        place += 2
    return made, words[place + 1 :], labels


@pytest.mark.parametrize("shell", ["bash -euo pipefail", "sh -eu"])
@given(variables=st.dictionaries(name, value, max_size=4), literal=value, word=value)
@settings(
    max_examples=300 if SOAK else 15,
    deadline=None,
    # What fails is small already, and shrinking it starts a shell hundreds of times.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_shell_makes_the_container_that_is_meant(
    shell: str, variables: dict[str, str], literal: str, word: str, tmp_path: Path
) -> None:
    given_to = {**variables, "OTHER_SECRET": literal, "URL": f"postgres://u:{literal}@db/x"}
    desired = project(given_to, ["run", f"--level={word}", literal, word])
    request = container_request(desired, desired.services[0], 1)
    found = recorded(desired, variables, tmp_path / "bin", shell)
    made, command, labels = container(found)
    entries = request["Env"]
    assert isinstance(entries, list)
    assert made == dict(str(entry).split("=", 1) for entry in entries)
    assert command == request["Cmd"]
    assert labels.pop("com.docker.compose.image") == ""  # no engine is asked here
    assert labels == request["Labels"]


@pytest.mark.parametrize("key", ["DB_PASSWORD", "my.dotted.token", "LD_PRELOAD_KEY"])
def test_secret_is_not_in_the_list_of_processes(key: str, tmp_path: Path) -> None:
    secret = "pa;ss & more"
    for words, _, _ in recorded(project({key: secret}, ["run"]), {key: secret}, tmp_path / "bin", "sh -eu"):
        assert not any(secret in word for word in words)


@pytest.mark.engine
def test_engine_makes_the_containers_that_run_makes(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    names = [f"V{index}_PASSWORD" for index in range(len(NASTY))]
    lines = "".join(f"      {key}: ${{{key}}}\n      dotted.{key}: ${{{key}}}\n" for key in names)
    compose = (
        "services:\n  app:\n    image: debian:trixie-slim\n    command: [sleep, infinity]\n    init: true\n"
        f"    environment:\n{lines}"
    )
    made = handwritten(tmp_path / project_name, compose)
    values = "".join(f"{key}={environment.written(text)}\n" for key, text in zip(names, NASTY, strict=True))
    made.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n{values}")

    def run(*words: str) -> str:
        ended = subprocess.run(words, cwd=made.folder, env=surroundings(), capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    text = run(SCAFFOLD, "plan", "--commands")
    assert not [secret for secret in NASTY if len(secret) >= 6 and secret in text]
    run("bash", "-euo", "pipefail", "-c", text)
    assert not (made.folder / "pwned").exists()
    app = f"{project_name}-app-1"
    by_commands = typed(documents(engine, project_name)[app])
    run(SCAFFOLD, "down")
    run(SCAFFOLD, "run", "--quiet")
    by_scaffold = documents(engine, project_name)[app]
    assert by_commands == typed(by_scaffold)
    entries = dict(item.split("=", 1) for item in by_scaffold["Config"]["Env"])
    assert [entries[key] for key in names] == list(NASTY)
