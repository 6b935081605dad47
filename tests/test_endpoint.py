"""Which engine is meant: one decision for every call, build and command, and no other engine in its place."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from scaffold.engine import endpoint
from scaffold.engine.client import place, socket_path
from scaffold.engine.endpoint import Endpoint, Tls, chosen
from scaffold.errors import EngineUnavailable

VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of the docker command's settings that does not exist yet."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    endpoint._chosen.cache_clear()
    return tmp_path / "docker"


def add_context(settings: Path, name: str, host: object, *, tls: bool = False, skips: bool = False) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    folder = settings / "contexts" / "meta" / digest
    folder.mkdir(parents=True)
    described = {"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": skips}}}
    (folder / "meta.json").write_text(json.dumps(described))
    if tls:
        (settings / "contexts" / "tls" / digest / "docker").mkdir(parents=True)
    return digest


def test_without_settings_it_is_the_default_socket() -> None:
    assert chosen() == Endpoint("unix:///var/run/docker.sock")
    assert (place(), socket_path()) == ("/var/run/docker.sock", Path("/var/run/docker.sock"))


@pytest.mark.parametrize(
    ("said", "host", "machine"),
    [
        ("unix:///run/own.sock", "unix:///run/own.sock", ""),
        ("unix://", "unix:///var/run/docker.sock", ""),
        ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376", "10.0.0.1"),
        ("tcp://build.example", "tcp://build.example:2375", "build.example"),
        ("build.example:1234", "tcp://build.example:1234", "build.example"),
        ("tcp://[fe80::1]:1234", "tcp://[fe80::1]:1234", "fe80::1"),
        ("tcp://:1234", "tcp://127.0.0.1:1234", ""),
        ("tcp://localhost:1234/", "tcp://localhost:1234", ""),
        ("ssh://me@there:222", "ssh://me@there:222", "there"),
    ],
)
def test_docker_host_decides(monkeypatch: pytest.MonkeyPatch, said: str, host: str, machine: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", said)
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert (chosen().host, chosen().machine, chosen().named_by) == (host, machine, "DOCKER_HOST")


@pytest.mark.parametrize(
    "said",
    ["npipe:////./pipe/docker_engine", "http://x:1", "tcp://x:port", "tcp://x:99999", "ssh://-oProxyCommand=x",
     "ssh://", "tcp://a b", "tcp://x:1/path", "ssh://me:word@there"],
)  # fmt: skip
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", said)
    with pytest.raises(EngineUnavailable, match="is no address of an engine"):
        chosen()


def test_relative_paths_mean_the_same_for_a_program_in_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix://own.sock")
    monkeypatch.setenv("DOCKER_CONFIG", "docker")
    given = chosen().environment({})
    assert given == {"DOCKER_HOST": f"unix://{tmp_path}/own.sock", "DOCKER_CONFIG": f"{tmp_path}/docker"}


def test_context_counts_without_config_json(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    """`docker context create` writes no config.json."""
    add_context(settings, "remote", "tcp://10.0.0.1:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "remote")
    assert chosen() == Endpoint("tcp://10.0.0.1:2375", "DOCKER_CONTEXT", "remote")


def test_current_context_of_config_json(settings: Path) -> None:
    add_context(settings, "desktop", "unix:///home/me/desktop.sock")
    (settings / "config.json").write_text('{"currentContext": "desktop"}')
    assert chosen().socket == "/home/me/desktop.sock"
    assert chosen().context == "desktop"


def test_decision_stays_when_the_context_is_switched_meanwhile(settings: Path) -> None:
    add_context(settings, "one", "unix:///one.sock")
    add_context(settings, "two", "unix:///two.sock")
    (settings / "config.json").write_text('{"currentContext": "one"}')
    assert chosen().context == "one"
    (settings / "config.json").write_text('{"currentContext": "two"}')
    assert chosen().environment({})["DOCKER_CONTEXT"] == "one"


@pytest.mark.parametrize("content", ["", "null", "[]", "{", '{"currentContext": 7}', "[" * 100_000, "\xff"])
def test_broken_config_json_is_an_error(settings: Path, content: str) -> None:
    settings.mkdir()
    (settings / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(EngineUnavailable, match=r"config\.json cannot be used"):
        chosen()


def test_pipe_as_config_json_is_an_error_and_no_wait(settings: Path) -> None:
    settings.mkdir()
    os.mkfifo(settings / "config.json")
    with pytest.raises(EngineUnavailable, match="it is a named pipe"):
        chosen()


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_broken_config_json_does_not_matter_when_the_engine_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: Path, name: str
) -> None:
    add_context(settings, "own", "unix:///own.sock")
    (settings / "config.json").write_text("{")
    monkeypatch.setenv(name, "unix:///own.sock" if name == "DOCKER_HOST" else "own")
    assert chosen().socket == "/own.sock"


def test_missing_context_is_an_error_and_no_other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(EngineUnavailable, match="There is no docker context nowhere") as caught:
        chosen()
    assert "unset DOCKER_CONTEXT" in str(caught.value.hint)


@pytest.mark.parametrize("host", ["", None, 7, [], "ftp://x", "tcp://x:y"])
def test_context_without_a_host_is_an_error(
    monkeypatch: pytest.MonkeyPatch, settings: Path, host: object
) -> None:
    add_context(settings, "broken", host)
    monkeypatch.setenv("DOCKER_CONTEXT", "broken")
    with pytest.raises(EngineUnavailable, match="context broken"):
        chosen()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"Endpoints": null}', '{"Endpoints": {"docker": 1}}'])
def test_garbage_as_context_is_an_error(
    monkeypatch: pytest.MonkeyPatch, settings: Path, content: str
) -> None:
    digest = add_context(settings, "broken", "unix:///x")
    (settings / "contexts" / "meta" / digest / "meta.json").write_text(content)
    monkeypatch.setenv("DOCKER_CONTEXT", "broken")
    with pytest.raises(EngineUnavailable, match="The docker context broken"):
        chosen()


def test_tls_of_variables_and_of_a_context(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://far.example")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert chosen() == Endpoint("tcp://far.example:2376", "DOCKER_HOST", tls=Tls(settings, verifies=True))
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certificates")
    assert chosen().tls == Tls(Path("/certificates"), verifies=True)
    monkeypatch.delenv("DOCKER_HOST")
    digest = add_context(settings, "far", "tcp://far.example:2376", tls=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert chosen().tls == Tls(settings / "contexts" / "tls" / digest / "docker", verifies=True)
    add_context(settings, "lax", "tcp://far.example:2376", skips=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "lax")
    found = chosen().tls
    assert found
    assert not found.verifies


def test_commands_get_the_same_engine_whatever_env_says(
    monkeypatch: pytest.MonkeyPatch, settings: Path
) -> None:
    add_context(settings, "far", "tcp://far.example:2375")
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("DOCKER_CONFIG", str(settings))
    file = {"DOCKER_HOST": "tcp://other:1", "DOCKER_CONFIG": "/x", "DOCKER_TLS_VERIFY": "1", "PATH": "/bin"}
    assert chosen().environment(file) == {
        "DOCKER_CONTEXT": "far",
        "DOCKER_CONFIG": str(settings),
        "PATH": "/bin",
    }
    monkeypatch.delenv("DOCKER_CONTEXT")
    assert chosen().environment(file)["DOCKER_HOST"] == "unix:///var/run/docker.sock"
    assert "DOCKER_CONTEXT" not in chosen().environment(file | {"DOCKER_CONTEXT": "far"})


def test_the_docker_command_decides_alike(monkeypatch: pytest.MonkeyPatch, settings: Path) -> None:
    add_context(settings, "one", "unix:///one.sock")
    add_context(settings, "two", "tcp://127.0.0.1:9")
    (settings / "config.json").write_text('{"currentContext": "two"}')
    cases: tuple[dict[str, str], ...] = (
        {},
        {"DOCKER_CONTEXT": "one"},
        {"DOCKER_CONTEXT": "default"},
        {"DOCKER_HOST": "unix:///own.sock", "DOCKER_CONTEXT": "one"},
    )
    for case in cases:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in case.items():
                patch.setenv(name, value)
            asked = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
            done = subprocess.run(asked, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == chosen().host, case
