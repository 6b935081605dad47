"""Garbage, pipes and full disks in place of files: one clear error at once, or none at all."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaffold import files
from scaffold.errors import ProjectError, ScaffoldError
from scaffold.project import checkout as checkouts
from scaffold.project import completions, folders, ports
from scaffold.project import lock as locks
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_folder
from scaffold.stack import environment
from tests.lying.engine import lying
from tests.lying.trial import project

SOON = 15.0
"""Seconds for a command that has nothing to wait for, on a busy machine."""
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"7",
    "a list": b"[[], {}, null]",
    "another object": b'{"a": null, "47000": 7, "-1": "/", "99999": "/x", "47001": "\\u0000", "47002": "x"}',
    "cut": b'{"47000": "/',
    "no UTF-8": b"\xff\xfe\x00",
    "NUL": b"\0" * 100,
    "deep": b"[" * 100_000,
    "many digits": b"9" * 10_000,
}
Put = Callable[[Path], object]
IN_PLACE: dict[str, Put] = {
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "garbage": lambda path: path.write_bytes(b"\xff\xfe\x00=\n" * 100),
}


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run scaffold for a project whose engine is the honest one of tests/lying; it has to end soon."""
    with lying(folder, None) as liar:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("DOCKER_")}
        environ |= {"DOCKER_HOST": liar.host, "XDG_STATE_HOME": str(folder / "state"), **variables}
        return subprocess.run(
            [sys.executable, "-m", "scaffold", *words],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SOON,
        )


def failed(done: subprocess.CompletedProcess[str], *codes: int) -> str:
    """Claim that a command has ended in one clear error; return it."""
    assert done.returncode in codes, done
    assert done.stderr.count("error: ") == 1, done
    assert "bug in scaffold" not in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize("command", ["plan", "run", "status", "env"])
def test_what_is_no_env_file_is_named(tmp_path: Path, kind: str, command: str) -> None:
    project(tmp_path)
    (tmp_path / ".env").unlink()
    IN_PLACE[kind](tmp_path / ".env")
    said = failed(run(tmp_path, command), 2)
    assert f"{tmp_path}/.env cannot be read: it is " in " ".join(said.split())


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_no_example_is_named(tmp_path: Path, kind: str) -> None:
    project(tmp_path)
    (tmp_path / ".env").unlink()
    IN_PLACE[kind](tmp_path / ".env.example")
    assert ".env.example cannot be read: it is " in " ".join(failed(run(tmp_path, "env"), 2).split())


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_compose_file_is_named(tmp_path: Path, kind: str) -> None:
    project(tmp_path)
    (tmp_path / "compose.yaml").unlink()
    IN_PLACE[kind](tmp_path / "compose.yaml")
    assert "compose.yaml cannot be read: it is " in " ".join(failed(run(tmp_path, "plan"), 2).split())


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_settings_file_is_named(tmp_path: Path, kind: str) -> None:
    project(tmp_path)
    (tmp_path / "docker").mkdir()
    IN_PLACE[kind](tmp_path / "docker" / "config.json")
    said = failed(run(tmp_path, "plan", DOCKER_CONFIG=str(tmp_path / "docker")), 1)
    assert "config.json cannot be used: it is " in " ".join(said.split())


def test_pipe_that_compose_waits_for_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaffold.engine import resolve

    (tmp_path / "compose.yaml").write_text("services: {app: {image: x, env_file: [pipe]}}\n")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(resolve, "PATIENCE", 0.5)
    resolving = resolve.Resolving.begin(checkouts.find(tmp_path))
    with pytest.raises(ProjectError, match="has not said within"):
        resolving.result()
    resolving.end()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return checkouts.find(project(tmp_path))


def hold(checkout: Checkout, *, wait: bool = True) -> contextlib.AbstractContextManager[None]:
    return locks.lock(checkout, "test", wait=wait, waiting=lambda _: None)


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_state_folder_is_as_if_it_were_not_there(checkout: Checkout, content: bytes) -> None:
    state = state_folder()
    (state / "ports.json").write_bytes(content)
    (state / "projects").mkdir(exist_ok=True)
    (state / "projects" / "lied.json").write_bytes(content)
    completions._file(checkout).write_bytes(content)
    locks._lock_file(checkout).write_bytes(content)
    assert ports.reserved_by_others(checkout) == frozenset()
    assert folders.record("lied") is None
    assert completions.read(checkout) == ()
    with hold(checkout):
        assert locks.is_unsettled(checkout) is bool(content)
        with (
            pytest.raises(ScaffoldError, match="is in use by `scaffold test` \\(pid"),
            hold(checkout, wait=False),
        ):
            pass
    folders.remember("lied", checkout.path)
    completions.write(checkout, ())


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_a_lock_that_is_held_names_nobody(checkout: Checkout, content: bytes) -> None:
    with hold(checkout):
        locks._lock_file(checkout).write_bytes(content or b"\x1b[2J\n")
        with pytest.raises(ScaffoldError, match="is in use by another scaffold"), hold(checkout, wait=False):
            pass


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_lock_that_is_no_file_is_an_error(checkout: Checkout, kind: str) -> None:
    IN_PLACE[kind](locks._lock_file(checkout))
    with pytest.raises(ScaffoldError, match=r"\.lock cannot be used"), hold(checkout):
        pass


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_tables_that_are_no_files_are_an_error_when_they_are_written(checkout: Checkout, kind: str) -> None:
    state = state_folder()
    IN_PLACE[kind](state / "ports.json")
    IN_PLACE[kind](completions._file(checkout))
    assert ports.reserved_by_others(checkout) == frozenset()
    assert completions.read(checkout) == ()
    (state / "ports.lock").unlink()
    IN_PLACE[kind](state / "ports.lock")
    with pytest.raises(ScaffoldError, match=r"ports\.lock cannot be used"):
        ports.reserved_by_others(checkout)


def test_relative_state_folder_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG standard has it: every folder would have locks of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert state_folder() == tmp_path / "home" / ".local" / "state" / "scaffold"


@pytest.mark.parametrize("place", ["/proc/state", "/dev/null"])
def test_state_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", place)
    with pytest.raises(ScaffoldError, match="scaffold cannot be made") as caught:
        state_folder()
    assert "XDG_STATE_HOME" in str(caught.value.hint)


def test_numbers_that_are_no_ports_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {app: {image: x}}\n")
    (tmp_path / ".env").write_text(f"A_PORT={'9' * 5000}\nB_PORT=²\nC_PORT=99999\nD_PORT=٣\n")
    assert ports.reserved_by_others(checkouts.find(tmp_path)) == frozenset()
    assert [environment.port_of(text) for text in ("0", "65535", "65536", "²", "", "-1", "9" * 5000)] == [
        0,
        65535,
        *[None] * 5,
    ]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without room."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a disk of the test's own needs root")
    try:
        (folder / "scaffold").mkdir()
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_of_this_machine_is_named_as_that(tmp_path: Path, full_disk: Path) -> None:
    project(tmp_path)
    said = failed(run(tmp_path, "down", XDG_STATE_HOME=str(full_disk)), 1)
    assert "the disk of this machine is full" in " ".join(said.split())


def test_reading_begins_at_once_and_ends(tmp_path: Path) -> None:
    begun = time.monotonic()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero", "/dev/tty"):
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the terminal
            files.read(path)
    (tmp_path / "large").write_bytes(b"x" * (files.LARGEST + 1))
    with pytest.raises(OSError, match="larger than 8 MB"):
        files.read(tmp_path / "large")
    assert files.begin(tmp_path / "large", 3) == b"xxx"
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_cache_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    from scaffold.engine.build import context
    from scaffold.stack.desired import Build

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM x\n")
    os.utime(folder / "Dockerfile", (1, 1))
    before = context.read(Build(str(folder), "Dockerfile")).digest
    for path in (tmp_path / "cache").rglob("*.json"):
        wrapped = json.dumps({"version": context.VERSION, "files": {"Dockerfile": []}}).encode()
        path.write_bytes(content or wrapped)
    assert context.read(Build(str(folder), "Dockerfile")).digest == before
