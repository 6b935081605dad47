"""The engine's API over its own socket: where that is, and what is made of the answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaffold.engine import answers, observe
from scaffold.engine.client import Engine
from scaffold.engine.endpoint import Endpoint
from scaffold.engine.wire import Refused, Wire, with_query
from scaffold.errors import EngineError, EngineUnavailable


@pytest.fixture(autouse=True)
def _plain_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def here(path: str) -> Endpoint:
    """The engine behind the socket of a server of the test's own."""
    return Endpoint(f"unix://{path}")


def test_query_leaves_out_what_is_none() -> None:
    query = {"all": True, "name": None, "t": 10, "filters": {"label": ["a=b"]}}
    assert with_query("/x", query) == "/x?all=true&t=10&filters=%7B%22label%22%3A+%5B%22a%3Db%22%5D%7D"
    assert with_query("/x", {"name": None}) == "/x"


@contextlib.contextmanager
def server(folder: Path, *connections: tuple[bytes, ...]) -> Iterator[str]:
    """Serve canned answers on a socket: one tuple for each connection, which is closed after its last one."""
    path = str(folder / "engine.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        for canned in connections:
            peer, _ = listener.accept()
            with peer, peer.makefile("rb") as asked:
                for answer in canned:
                    length = 0
                    while line := asked.readline().strip():
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    asked.read(length)
                    peer.sendall(answer)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield path
    serving.join(5)
    listener.close()


def answer(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def test_one_connection_serves_several_calls(tmp_path: Path) -> None:
    with server(tmp_path, (answer("200 OK", '{"a": 1}'), answer("204 No Content", ""))) as path:
        wire = Wire(here(path))
        assert wire.send("GET", "/a", None, 5) == {"a": 1}
        assert wire.send("POST", "/b", {"x": 1}, 5) is None
        wire.close()


def test_dropped_connection_is_opened_anew(tmp_path: Path) -> None:
    with server(tmp_path, (answer("200 OK", "1"),), (answer("200 OK", "2"),)) as path:
        wire = Wire(here(path))
        assert wire.send("GET", "/a", None, 5) == 1
        dropped = wire._connection
        assert dropped is not None
        while not dropped.is_dropped():
            pass
        assert wire.send("POST", "/b", None, 5) == 2
        wire.close()


def test_error_carries_the_engines_own_words(tmp_path: Path) -> None:
    with server(tmp_path, (answer("404 Not Found", '{"message": "no such container"}'),)) as path:
        with pytest.raises(Refused, match="no such container") as caught:
            Wire(here(path)).send("GET", "/a", None, 5)
        assert caught.value.status == 404


@pytest.mark.parametrize(
    "look",
    [
        lambda engine: observe.containers(engine, "shop"),
        lambda engine: observe.images(engine, ["app:1"]),
        lambda engine: observe.image_id(engine, "app:1"),
    ],
    ids=["containers", "images", "image_id"],
)
def test_refused_look_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Engine], object]
) -> None:
    broken = answer("500 Internal Server Error", '{"message": "layer store is broken"}')
    with server(tmp_path, (answer("200 OK", '{"ApiVersion": "1.44"}'), broken)) as path:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with Engine() as engine, pytest.raises(EngineError, match="layer store is broken"):
            look(engine)


def test_cut_answer_is_an_error_and_the_next_call_begins_anew(tmp_path: Path) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with server(tmp_path, (cut,), (answer("200 OK", "3"),)) as path:
        wire = Wire(here(path))
        with pytest.raises(EngineUnavailable, match="went away"):
            wire.send("GET", "/a", None, 5)
        assert wire.send("GET", "/a", None, 5) == 3
        wire.close()


def test_stream_ends_when_it_is_closed_under_its_reader(tmp_path: Path) -> None:
    event = b'{"Action": "die"}\n'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    path = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        streams = []
        opening = threading.Thread(target=lambda: streams.append(Wire(here(path)).stream("GET", "/events")))
        opening.start()
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(head + f"{len(event):x}\r\n".encode() + event + b"\r\n")
            opening.join(5)
            events = streams[0].documents(answers.EVENT)
            assert next(events) == {"Action": "die"}

            rest: list[object] = []
            reading = threading.Thread(target=lambda: rest.extend(events), daemon=True)
            reading.start()
            streams[0].close()
            reading.join(5)
            assert not reading.is_alive()
            assert rest == []
