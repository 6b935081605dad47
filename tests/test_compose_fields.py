"""Every key of a service that `scaffold run` honours makes the container that `docker compose up` makes.

One compose.yaml with a service for each key is started by both, one after the other under one name, and what
the engine then says of each container is compared field by field.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from scaffold.errors import ProjectError
from scaffold.stack import desired as wish
from tests.conftest import named
from tests.inspected import documents, flat, typed
from tests.projects import Project, handwritten

pytestmark = pytest.mark.engine

FOLDER = Path(__file__).parent / "fields"
COMPOSE = (FOLDER / "compose.yaml").read_text()

FILES = {
    "Dockerfile": (FOLDER / "Dockerfile").read_text(),
    "first.env": "FIRST=1\n",
    "second.env": 'SECOND="two words"\n',
    "token.txt": "build-token",
}
SERVICES = sorted(yaml.safe_load(COMPOSE)["services"])
INACTIVE = ("profile",)
OTHERWISE = {
    "mac-address": "Compose 2.26 forgets the service's own mac_address; later ones do what is asked",
    "expose": "Compose 2.26 sends the text of a range as the name of one port; later ones spread it",
}
"""Services whose container is not the same, with the reason; each has a test of its own."""


@dataclass(frozen=True)
class Both:
    """The inspect documents by container name, and the project's networks and volumes, of both tools."""

    project: Project
    by_compose: Mapping[str, Any]
    by_scaffold: Mapping[str, Any]
    by_commands: Mapping[str, Any]
    commands: str


def variables() -> dict[str, str]:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(3):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        first = free_pair()
    a, b, c = map(str, ports)
    return {"A_PORT": a, "B_PORT": b, "C_PORT": c, "RANGE": f"{first}-{first + 1}"}


def free_pair() -> int:
    """Return a port that is free together with the next one."""
    for first in range(21000, 30000, 2):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in (first, first + 1):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no two free ports side by side")


@pytest.fixture(scope="module")
def both(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(engine.info()["Architecture"], "amd64")
    with named(engine) as name:
        project = handwritten(tmp_path_factory.mktemp("fields") / name, COMPOSE, files=FILES)
        (project.folder / "data").mkdir()
        (project.folder / "odd:data").mkdir()
        settings = {"COMPOSE_PROJECT_NAME": name, "PLATFORM": f"linux/{machine}", **variables()}
        settings |= {
            "SECRET_TEXT": "hidden",
            "CONFIG_TEXT": "configured",
            "FROM_ENV": "variable",
            "SET_HERE": "here",
        }
        project.env_file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        engine.api.create_network(f"{name}-outside")
        engine.api.create_volume(f"{name}-outside")
        project.run("docker", "compose", "up", "--detach")
        by_compose = documents(engine, name)
        project.run("docker", "compose", "down", "--volumes", "--timeout", "0")
        commands = project.scaffold("plan", "--commands").out
        project.run("bash", "-euo", "pipefail", "-c", commands)
        by_commands = documents(engine, name)
        left = [line for line in project.scaffold("plan").out.splitlines() if not line.startswith("+ build")]
        assert [line for line in left if "is built anew" not in line and not line.startswith("◦")] == []
        project.run("docker", "compose", "down", "--volumes", "--timeout", "0")
        project.scaffold("run", "--quiet")
        yield Both(project, by_compose, documents(engine, name), by_commands, commands)
        project.run("docker", "compose", "down", "--timeout", "0")  # side by side; the rest is the fixture's


def names_of(both: Both, service: str) -> list[str]:
    of = "com.docker.compose.service"
    return sorted(
        name
        for name, item in both.by_compose.items()
        if "Config" in item and item["Config"]["Labels"][of] == service
    )


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in (*INACTIVE, *OTHERWISE)])
def test_container_equals_the_one_that_compose_makes(both: Both, service: str) -> None:
    names = names_of(both, service)
    assert names
    for name in names:
        assert flat(both.by_scaffold[name]) == flat(both.by_compose[name])


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in INACTIVE])
def test_container_equals_the_one_that_the_printed_commands_make(both: Both, service: str) -> None:
    for name in names_of(both, service):
        assert typed(both.by_commands[name]) == typed(both.by_scaffold[name])


def test_printed_commands_hold_no_secret(both: Both) -> None:
    assert "hidden" not in both.commands
    assert "build-token" not in both.commands


def test_service_gets_its_mac_address(both: Both) -> None:
    (name,) = names_of(both, "mac-address")
    (endpoint,) = both.by_scaffold[name]["NetworkSettings"]["Networks"].values()
    assert endpoint["MacAddress"] == "02:42:ac:11:00:42"


def test_service_exposes_every_port_of_a_range(both: Both) -> None:
    (name,) = names_of(both, "expose")
    exposed = both.by_scaffold[name]["Config"]["ExposedPorts"]
    assert exposed == ["3000/tcp", "4000/tcp", "4001/tcp", "4002/tcp", "5000/udp"]


def test_inline_secrets_and_configs_have_their_content(both: Both) -> None:
    read = "stat -c '%a %u:%g' /etc/inline.conf; cat /etc/inline.conf /etc/variable.conf /from-file"
    done = both.project.run("docker", "exec", f"{both.project.name}-configs-1", "sh", "-c", read)
    assert done.out == f"440 1:2\nname = {both.project.name}configuredFIRST=1\n"
    read = "stat -c '%a' /run/secrets/from-variable; cat /run/secrets/from-variable"
    done = both.project.run("docker", "exec", f"{both.project.name}-secrets-1", "sh", "-c", read)
    assert done.out == "400\nhidden"


def test_networks_and_volumes_equal_those_that_compose_makes(both: Both) -> None:
    assert both.by_scaffold.keys() == both.by_compose.keys()
    for name, item in both.by_compose.items():
        if "Config" not in item:
            assert flat(both.by_scaffold[name]) == flat(item)


def test_afterwards_there_is_nothing_to_do(both: Both) -> None:
    assert both.project.scaffold("plan", "--exit-code").out.endswith("is up to date: nothing to do.\n")


SMALL = """\
services:
  one: {image: "debian:trixie-slim", command: [sleep, infinity], init: true, volumes: [/anonymous]}
  two: {image: "debian:trixie-slim", command: [sleep, infinity], init: true, profiles: [extra]}
  three: {image: "debian:trixie-slim", command: [sleep, infinity], init: true, networks: [spare]}
networks: {spare: }
"""


@pytest.fixture
def small(project_name: str, tmp_path: Path) -> Project:
    project = handwritten(tmp_path / project_name, SMALL)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    return project


def test_profiles_orphans_and_anonymous_volumes(small: Project, engine: docker.DockerClient) -> None:
    """One project, four changes: a first start is the slow part."""
    small.scaffold("run", "--profile", "extra")
    compose = small.folder / "compose.yaml"

    # A service of a profile that is not active any more is left alone.
    assert small.scaffold("run").out.count("two") == 0
    assert engine.api.inspect_container(small.container("two"))["State"]["Running"]

    # A removed service is an orphan, and its network goes with it.
    compose.write_text("\n".join(line for line in SMALL.splitlines() if "spare" not in line) + "\n")
    plan = small.scaffold("plan").out
    assert f"remove container {small.container('three')}: its service is no longer in compose.yaml" in plan
    assert f"remove network {small.name}_spare: no longer in compose.yaml" in plan
    small.scaffold("run")
    assert small.scaffold("plan", "--exit-code").code == 0
    label = {"label": f"com.docker.compose.project={small.name}"}
    assert [network["Name"] for network in engine.api.networks(filters=label)] == [f"{small.name}_default"]

    # What is in a volume without a name outlives its container.
    small.run("docker", "exec", small.container("one"), "sh", "-c", "echo kept > /anonymous/row")
    compose.write_text(compose.read_text().replace("init: true, volumes", "init: true, tty: true, volumes"))
    small.scaffold("run")
    assert small.run("docker", "exec", small.container("one"), "cat", "/anonymous/row").out.strip() == "kept"
    assert small.scaffold("plan", "--exit-code").code == 0

    # Interrupted between the two containers, it still does.
    small.run("docker", "stop", "--time", "0", small.container("one"))
    small.run("docker", "rename", small.container("one"), f"{small.container('one')}-replaced")
    small.scaffold("run")
    assert small.run("docker", "exec", small.container("one"), "cat", "/anonymous/row").out.strip() == "kept"
    assert small.scaffold("plan", "--exit-code").code == 0

    # `down` says where it stays.
    (mount,) = engine.api.inspect_container(small.container("one"))["Mounts"]
    assert mount["Name"][:12] in small.scaffold("down", "--explain").out
    engine.api.remove_container(small.container("one"), v=True, force=True)
    engine.api.remove_volume(mount["Name"])


REFUSED: Mapping[str, Any] = {
    "credential_spec": {"config": "x"},
    "external_links": ["other"],
    "links": ["db"],
    "models": {"llm": None},
    "post_start": [{"command": ["true"]}],
    "pre_stop": [{"command": ["true"]}],
    "provider": {"type": "cloud"},
    "use_api_socket": True,
    "volume_driver": "other",
    "volumes_from": ["db"],
}
REFUSED_INSIDE: Mapping[str, Mapping[str, Any]] = {
    "volumes[0].bind.selinux": {
        "volumes": [{"type": "bind", "source": "/a:b", "target": "/t", "bind": {"selinux": "z"}}]
    },
    "gpus[0]": {"gpus": [{"count": 1, "device_ids": ["0"]}]},
    "security_opt": {"security_opt": ["seccomp=profile.json"]},
    "healthcheck.start_interval": {"healthcheck": {"test": "true", "start_interval": "1s"}},
    "container_name": {"container_name": "one", "scale": 2},
    "ports": {"scale": 2, "ports": [{"target": 80, "published": "8123"}]},
    "deploy.mode": {"deploy": {"mode": "global"}},
}


@pytest.mark.parametrize("key", REFUSED)
def test_key_that_cannot_be_honoured_is_refused_by_name(key: str) -> None:
    service = {"image": "x", key: REFUSED[key]}
    with pytest.raises(ProjectError, match=rf"^services\.app\.{key}: "):
        wish.read({"name": "p", "services": {"app": service}}, "/project")


@pytest.mark.parametrize("path", REFUSED_INSIDE)
def test_part_of_a_key_that_cannot_be_honoured_is_refused_by_its_path(path: str) -> None:
    service = {"image": "x", **REFUSED_INSIDE[path]}
    with pytest.raises(ProjectError, match=rf"^services\.app\.{re.escape(path)}: "):
        wish.read({"name": "p", "services": {"app": service}}, "/project")


@pytest.mark.parametrize("definition", [{"external": True, "name": "theirs"}, {"driver": "vault"}])
def test_secret_from_elsewhere_is_refused(definition: dict[str, Any]) -> None:
    document = {
        "name": "p",
        "services": {"app": {"image": "x", "secrets": [{"source": "token"}]}},
        "secrets": {"token": definition},
    }
    with pytest.raises(ProjectError, match=r"^secrets\.token\.\w+: "):
        wish.read(document, "/project")


def test_secret_from_a_variable_that_is_not_set_is_refused() -> None:
    document = {
        "name": "p",
        "services": {"app": {"image": "x", "secrets": [{"source": "token"}]}},
        "secrets": {"token": {"environment": "TOKEN"}},
    }
    with pytest.raises(ProjectError, match=r"^secrets\.token: variable TOKEN is not set"):
        wish.read(document, "/project")
