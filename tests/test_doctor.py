"""`scaffold doctor`: what it says of a machine and a project, and what `--fix` mends."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from scaffold.console.findings import text
from scaffold.console.terminal import Look
from scaffold.doctor import packages
from scaffold.doctor.finding import fine, note, wrong
from tests.projects import Done, Project, handwritten

COMPOSE = """\
services:
  app:
    image: python:3.13-slim
    ports: ["127.0.0.1:${APP_PORT}:8000"]
"""
DEBIAN = {"ID": "debian", "VERSION_CODENAME": "trixie"}
UBUNTU = {"ID": "ubuntu", "ID_LIKE": "debian"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = handwritten(tmp_path / "shop", COMPOSE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made.env_file.write_text(f"COMPOSE_PROJECT_NAME=shop\nAPP_PORT={port}\n")
    made.env_file.chmod(0o600)
    return made


def findings(done: Done) -> dict[str, dict[str, Any]]:
    return {item["check"]: item for item in done.json["findings"]}


def test_lines_say_what_is_wrong_and_what_mends_it() -> None:
    lines = (
        fine("engine", "29.1"),
        note("registry", "No registry reachable.", "That is fine while the images are here."),
        wrong(".env", "Others may read it.", commands=("chmod 600 .env",)),
    )
    assert text(lines, Look()) == (
        "✓ engine    29.1\n"
        "• registry  No registry reachable.\n"
        "            → That is fine while the images are here.\n"
        "✗ .env      Others may read it.\n"
        "            → `chmod 600 .env`\n"
        "\n"
        "1 thing wrong. `scaffold doctor --fix` mends what it can, after asking."
    )


def test_nothing_wrong_is_said_too() -> None:
    assert text((fine("engine", "29.1"),), Look()).endswith("\n\nEverything is fine.")


def apt(**versions: str) -> Any:
    """Return what apt would install, by package; underscores stand for dashes."""
    known = {name.replace("__", ".").replace("_", "-"): version for name, version in versions.items()}
    return lambda name: known.get(name, "")


@pytest.mark.parametrize(
    ("system", "versions", "chosen"),
    [
        (
            DEBIAN,
            {"docker__io": "26.1.5", "docker_cli": "26.1", "docker_buildx": "0.13", "docker_compose": "2.26"},
            "docker.io docker-cli docker-buildx docker-compose",
        ),
        (
            UBUNTU,
            {"docker__io": "28.2", "docker_buildx": "0.20", "docker_compose_v2": "2.37"},
            "docker.io docker-buildx docker-compose-v2",
        ),
        (
            UBUNTU,
            {
                "docker__io": "28.2",
                "docker_buildx": "0.20",
                "docker_compose_v2": "2.37",
                "docker_ce": "5:29.1.2-1~ubuntu",
                "docker_ce_cli": "5:29.1.2",
                "containerd__io": "2.1",
                "docker_buildx_plugin": "0.30",
                "docker_compose_plugin": "5.0",
            },
            "docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin",
        ),
        (DEBIAN, {"docker__io": "20.10.24", "docker_compose": "1.29"}, None),
        ({"ID": "fedora"}, {"docker__io": "28.2"}, None),
    ],
    ids=["debian", "ubuntu", "docker's own", "debian 12", "fedora"],
)
def test_engine_is_installed_from_what_apt_has(
    system: dict[str, str], versions: dict[str, str], chosen: str | None
) -> None:
    commands = packages.commands(system, apt(**versions))
    expected = f"apt-get install --yes --no-install-recommends {chosen} iptables"
    assert [item.removeprefix("sudo ") for item in commands] == ([expected] if chosen else [])


def test_debians_old_compose_is_no_plugin() -> None:
    assert packages.plugin_command("compose", apt(docker_compose="1.29.2-3")) == ()
    assert "docker-compose" in packages.plugin_command("compose", apt(docker_compose="2.26.1-4"))[0]


@pytest.mark.engine
def test_outside_of_a_project_the_machine_is_checked(engine: docker.DockerClient, tmp_path: Path) -> None:
    done = Project(tmp_path).scaffold("doctor", "--json")
    found = findings(done)
    assert done.json["fine"] is True
    assert set(done.json["findings"][0]) == {"check", "state", "said", "hint", "commands"}
    assert {"docker command", "context", "socket", "engine", "buildx", "compose", "clock"} <= found.keys()
    assert {"disk of the project", "registry", "build", "proxy", "certificates"} <= found.keys()
    assert "compose.yaml" not in found
    assert engine.version()["Version"] in found["engine"]["said"]


@pytest.mark.engine
def test_sound_project_is_fine(engine: docker.DockerClient, project: Project) -> None:
    found = findings(project.scaffold("doctor", "--json"))
    assert [found[name]["state"] for name in ("compose.yaml", ".env", "files", "ports")] == ["fine"] * 4
    assert found["ports"]["said"] == f"{project.variables['APP_PORT']}: free"


@pytest.mark.engine
def test_fix_mends_what_can_be_mended(engine: docker.DockerClient, project: Project) -> None:
    project.env_file.chmod(0o644)
    found = findings(project.scaffold("doctor", "--json", code=1))
    assert found[".env"]["commands"] == [f"chmod 600 {project.env_file}"]
    done = project.scaffold("doctor", "--fix", "--yes")
    assert f"$ chmod 600 {project.env_file}" in done.err
    assert stat.S_IMODE(project.env_file.stat().st_mode) == 0o600


@pytest.mark.engine
def test_fix_asks_first(engine: docker.DockerClient, project: Project) -> None:
    project.env_file.chmod(0o644)
    done = project.scaffold("doctor", "--fix", code=2)
    assert "Answer with --yes." in done.err
    assert stat.S_IMODE(project.env_file.stat().st_mode) == 0o644


@pytest.mark.engine
def test_taken_port_names_its_holder(engine: docker.DockerClient, project: Project) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", int(project.variables["APP_PORT"])))
        server.listen()
        found = findings(project.scaffold("doctor", "--json", code=1))
    assert f"(pid {os.getpid()})" in found["ports"]["said"]
    assert f"kill {os.getpid()}" in found["ports"]["hint"]


@pytest.mark.engine
def test_settings_that_lead_nowhere_are_named(engine: docker.DockerClient, project: Project) -> None:
    with project.env_file.open("a") as file:
        file.write("CA_BUNDLE=/nowhere.pem\nREGISTRY=mirror.example\n")
    done = project.scaffold(
        "doctor", "--json", code=1, SSL_CERT_FILE="/gone.pem", HTTPS_PROXY="http://127.0.0.1:3128"
    )
    said = " ".join(item["said"] for item in done.json["findings"] if item["state"] == "wrong")
    assert "CA_BUNDLE names /nowhere.pem" in said
    assert "REGISTRY=mirror.example does not end in a slash" in said
    assert "SSL_CERT_FILE names /gone.pem" in said
    assert "HTTPS_PROXY names 127.0.0.1" in said


def test_broken_compose_file_is_one_finding(project: Project) -> None:
    (project.folder / "compose.yaml").write_text("services:\n  app: {imag: x}\n")
    found = findings(project.scaffold("doctor", "--json", code=1))
    assert "no key `imag`" in found["compose.yaml"]["said"]
    assert "`image`" in found["compose.yaml"]["hint"]


def test_engine_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/nothing.sock"
    found = findings(Project(tmp_path).scaffold("doctor", "--json", code=1, DOCKER_HOST=nowhere))
    assert [name for name, item in found.items() if item["state"] == "wrong"] == ["engine"]
    assert "unset DOCKER_HOST" in found["engine"]["hint"]


def test_unknown_context_is_named(tmp_path: Path) -> None:
    found = findings(
        Project(tmp_path).scaffold("doctor", "--json", code=1, DOCKER_CONTEXT="production", DOCKER_HOST="")
    )
    assert found["context"]["said"] == "There is no docker context production."
    assert "with `unset DOCKER_CONTEXT`" in found["context"]["hint"]


INSTALL = """\
export PYTHONPATH={root}:{libraries} PYTHONDONTWRITEBYTECODE=1
cd /tmp
apt-get update >/dev/null 2>&1 && apt-get install --simulate docker.io >/dev/null 2>&1 || exit 77
rm -rf /var/lib/apt/lists/*
python -m scaffold doctor --fix --yes --json >fixed.json
docker version >/dev/null 2>&1 || {{
  # The service's script asks for limits that a container may not have.
  dockerd >dockerd.log 2>&1 &
  for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
}}
python -m scaffold doctor --json
"""


@pytest.mark.engine
def test_fix_installs_docker_on_debian(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    root = Path(__file__).parents[1]
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    script = INSTALL.format(root=root, libraries=libraries)
    mounts = (
        "--volume",
        f"{root}:{root}:ro",
        "--volume",
        f"{libraries}:{libraries}:ro",
        "--volume",
        "/var/lib/docker",
    )
    command = ("docker", "run", "--rm", "--privileged", "--name", f"{project_name}-debian", *mounts)
    done = subprocess.run([*command, "python:3.13-slim", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this machine's containers have no apt with Docker in it")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {item["check"]: item for item in json.loads(done.stdout)["findings"]}
    assert {
        name: found[name]["state"] for name in ("docker command", "engine", "buildx", "compose", "socket")
    } == {
        "docker command": "fine",
        "engine": "fine",
        "buildx": "fine",
        "compose": "fine",
        "socket": "fine",
    }
