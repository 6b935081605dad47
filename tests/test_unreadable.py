"""A look that did not see everything is never taken for an empty place, and nothing is removed after it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from scaffold.data import guards
from scaffold.data.guards import Looks
from scaffold.engine import oneoff, volume_files, volume_look
from scaffold.engine.answers import WrongShape, fit, shape_of
from scaffold.engine.client import Engine
from scaffold.errors import DataRefused, EngineError
from scaffold.stack import names
from scaffold.stack.desired import Service
from scaffold.stack.look import Contents, Glance, Medium, Source, Window
from scaffold.stack.observed import Container, Observed, Volume
from scaffold.stack.plan import plan
from scaffold.stack.projects import NOWHERE
from scaffold.stack.steps import RemoveContainer, SetAsideContainer, Step
from tests.test_plan import EARLY, read
from tests.test_wire import answer, server

EXCUSE = b'{"message":"reading the volume: input/output error"}'
"""What an engine adds to an answer that it cannot go on with."""


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            made.addfile(member)
    return buffer.getvalue()


WHOLE = archive("./", "./PG_VERSION", "./base/")
HALF = WHOLE[: 2 * tarfile.BLOCKSIZE]
"""It ends between two files, where tarfile sees nothing amiss."""


def connections(content: bytes, status: str = "200 OK") -> tuple[tuple[bytes, ...], ...]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    return (answer("200 OK", '{"ApiVersion": "1.44"}'),), (head + content,)


@pytest.mark.parametrize("content", [HALF, HALF + EXCUSE, EXCUSE, b"", archive()])
def test_listing_that_is_not_whole_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    with server(tmp_path, *connections(content)) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with Engine() as engine, pytest.raises(EngineError, match="cannot be read whole"):
            volume_files.listing(engine, "helper", "/volume")


def test_whole_listing_and_missing_path_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(tmp_path, *connections(WHOLE)) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with Engine() as engine:
            assert volume_files.listing(engine, "helper", "/volume").top == ("PG_VERSION", "base")
    (tmp_path / "engine.sock").unlink()
    with (
        server(tmp_path, *connections(b'{"message": "no such path"}', "404 Not Found")),
        Engine() as engine,
    ):
        assert volume_files.listing(engine, "helper", "/volume").entries == {}


@pytest.mark.parametrize("content", [EXCUSE, b"", archive()])
def test_folder_that_cannot_be_read_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    source = Source(Medium.VOLUME, "v")
    glance = Glance(source, "", "PG_VERSION", windows=(Window("server", "/data"),))
    with server(tmp_path, *connections(content)) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with Engine() as engine:
            (found,) = volume_look.look(engine, "shop", None, [glance])
    assert "/data cannot be read" in found.failed


def test_task_whose_container_somebody_removes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        answer("200 OK", '{"ApiVersion": "1.44"}'),
        answer("201 Created", '{"Id": "1"}'),
        answer("404 Not Found", '{"message": "no such container"}'),
    )
    with server(tmp_path, told) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with (
            Engine() as engine,
            pytest.raises(EngineError, match="removed while it was needed"),
            oneoff.created(engine, NOWHERE, Service("db", "postgres:17", {}), "v:/volume:ro"),
        ):
            pass


def test_volume_that_nobody_uses_and_that_cannot_be_seen_is_named() -> None:
    desired = read(db={"image": "postgres:17", "volumes": []})
    lost = Volume("p_old", EARLY, {names.PROJECT: desired.project})
    observed = Observed(volumes=(lost,))
    steps = [item.step for item in plan(desired, observed).steps]
    found = guards.subjects(desired, observed, steps)
    unseen = Contents(Source(Medium.VOLUME, "p_old"), "", failed="it hangs")
    said = guards.judge(desired, observed, found, Looks((unseen,)))
    assert any("volume p_old could not be seen: it hangs" in note for note in said), said


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ("bind source path does not exist: /srv/pg", ""),
        ("stat /srv/pg: permission denied", "stat /srv/pg: permission denied"),
    ],
)
def test_folder_that_the_engine_may_not_see_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, failed: str
) -> None:
    refusal = json.dumps({"message": f'invalid mount config for type "bind": {said}'})
    told = (answer("200 OK", '{"ApiVersion": "1.44"}'), answer("400 Bad Request", refusal))
    glance = Glance(Source(Medium.BIND, "/srv/pg"), "", "PG_VERSION")
    with server(tmp_path, told) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with Engine() as engine:
            (found,) = volume_look.look(engine, "shop", "an-image", [glance])
    assert failed in found.failed
    assert bool(found.failed) == bool(failed)


@pytest.mark.parametrize("step", [RemoveContainer, SetAsideContainer])
@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"failed": "it does not answer"}, "it does not answer"),
        ({"files": {"srv/pg/PG_VERSION": b"17"}}, "17"),
    ],
    ids=["unseen", "seen"],
)
def test_container_that_may_have_rows_in_itself_is_not_removed(
    step: type[RemoveContainer | SetAsideContainer], contents: dict[str, object], said: str
) -> None:
    config = {"Env": ["PG_MAJOR=17", "PGDATA=/srv/pg"], "Entrypoint": ["docker-entrypoint.sh"]}
    body = {"Config": config | {"Cmd": ["postgres"]}, "HostConfig": {}}
    container = Container("1", "shop-db-1", "exited", "postgres:17", "sha256:1", {}, EARLY, body=body)
    steps: Sequence[Step] = [step("shop-db-1", "the image is new")]
    leaving = guards.leaving(Observed(containers=(container,)), steps)
    assert leaving == (container,)
    source = Source(Medium.CONTAINER, "1")
    with pytest.raises(DataRefused, match=said):
        guards.refuse_to_remove(leaving, Looks((Contents(source, "srv/pg", **contents),)))  # type: ignore[arg-type]
    guards.refuse_to_remove(leaving, Looks((Contents(source, "srv/pg"),)))


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("GET /volumes", {"Volumes": [{"Name": "v", "Options": ["o"]}]}),
        ("GET /images/app:1/json", {"Id": "1", "RootFS": {"Layers": [1]}}),
    ],
)
def test_what_is_read_of_volumes_and_images_has_a_shape(call: str, wrong: object) -> None:
    shape = shape_of(call)
    assert shape is not None
    with pytest.raises(WrongShape):
        fit(wrong, shape, "")
