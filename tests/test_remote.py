"""An engine that is reached in another way than by this machine's socket: everything goes to that one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from scaffold.engine.client import place
from tests.crash.proxy import proxied
from tests.projects import Project, handwritten

pytestmark = pytest.mark.engine

COMPOSE = """\
services:
  app:
    build: {context: ., network: none}
    command: [sleep, infinity]
    init: true
    healthcheck: {test: [CMD, "true"], interval: 1s}
    volumes: ["data:/data"]
volumes:
  data: {}
"""
FILES = {"Dockerfile": "FROM debian:trixie-slim\nLABEL made=here\n"}


@pytest.fixture
def project(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> Iterator[Project]:
    made = handwritten(tmp_path / project_name, COMPOSE, files=FILES)
    made.scaffold("env")
    yield made
    made.scaffold("destroy", "--yes-delete-data", made.name)


def test_context_without_config_json_is_meant_for_builds_containers_and_data(
    project: Project, tmp_path: Path
) -> None:
    """`docker context create` writes no config.json; the SDK fell back to the local socket."""
    settings = tmp_path / "docker"
    with proxied(tmp_path / "far.sock", place()) as proxy:
        digest = hashlib.sha256(b"far").hexdigest()
        folder = settings / "contexts" / "meta" / digest
        folder.mkdir(parents=True)
        described = {"Name": "far", "Endpoints": {"docker": {"Host": proxy.host}}}
        (folder / "meta.json").write_text(json.dumps(described))
        project.scaffold("run", DOCKER_CONTEXT="far", DOCKER_CONFIG=str(settings))
        calls = "\n".join(proxy.calls)
    assert "/session" in calls or "/grpc" in calls, calls  # the build
    for call in ("/containers/create", "/volumes/create", "/networks/create", "/start"):
        assert call in calls


def test_engine_of_env_does_not_count_for_builds(project: Project) -> None:
    with project.env_file.open("a") as file:
        file.write("DOCKER_HOST=tcp://127.0.0.1:9\nDOCKER_TLS_VERIFY=1\n")
    project.scaffold("run")


def forwarded(target: str) -> int:
    """Pass TCP connections on to a socket; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            peer, _ = listener.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(target)
            threading.Thread(target=pump, args=(peer, engine), daemon=True).start()
            threading.Thread(target=pump, args=(engine, peer), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_run_over_tcp_comes_to_its_end(project: Project) -> None:
    """Closing a stream waited for the lock of its reader, for ever."""
    host = f"tcp://127.0.0.1:{forwarded(place())}"
    done = project.scaffold("run", DOCKER_HOST=host)
    assert "The engine is on" not in done.err
    project.scaffold("down", DOCKER_HOST=host)


def test_run_over_ssh(project: Project, tmp_path: Path) -> None:
    """An ssh that stays here: what it is asked for is what a real one would run on the other machine."""
    script = tmp_path / "bin" / "ssh"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nunset DOCKER_HOST\nexec "$@"\n'
    )
    script.chmod(0o755)
    path = f"{script.parent}:{os.environ['PATH']}"
    done = project.scaffold("run", DOCKER_HOST="ssh://me@far.example", PATH=path)
    assert "The engine is on far.example." in done.err
    assert project.scaffold("plan", "--exit-code", DOCKER_HOST="ssh://me@far.example", PATH=path).code == 0
