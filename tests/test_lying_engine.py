"""An engine whose answers are wrong: one clear error, in time, whatever it says. See tests/lying."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold.engine import answers, endpoint, inventory, observe
from scaffold.engine.client import Engine
from scaffold.engine.endpoint import Endpoint
from scaffold.engine.listing import events, holdings, images, logs, projects
from scaffold.engine.wire import LARGEST, LONGEST, Lost, Unusable, Wire, document, unframed
from scaffold.errors import EngineError, EngineUnavailable, ScaffoldError
from scaffold.stack.desired import Desired
from tests.lying import honest
from tests.lying.engine import lying
from tests.lying.lies import BY_NAME, LIES, Lie
from tests.lying.trial import COMMANDS, attempt
from tests.soak import SOAK

LIMIT = 25.0
"""Seconds for a command whose calls may take two each, on a busy machine."""
SOON = 5.0
"""Seconds from a signal to the end of a command, on a busy machine."""
_ROUND = sorted(COMMANDS)
PAIRS = [
    (lie, name)
    for place, lie in enumerate(LIES)
    for name in (_ROUND if SOAK else (_ROUND[place % len(_ROUND)],))
]
"""Every lie to one command, or to each of them in the long run."""


@pytest.mark.parametrize(("lie", "command"), PAIRS, ids=lambda value: getattr(value, "name", value))
def test_lie_ends_in_one_clear_error(tmp_path: Path, lie: Lie, command: str) -> None:
    ending = attempt(tmp_path, COMMANDS[command], lie, None, LIMIT)
    assert ending.fault == "", ending


@pytest.mark.parametrize("lie", LIES if SOAK else LIES[::5], ids=lambda lie: lie.name)
def test_lie_from_the_first_call_on(tmp_path: Path, lie: Lie) -> None:
    ending = attempt(tmp_path, COMMANDS["list"], lie, ".*", LIMIT)
    assert ending.fault == "", ending


@pytest.mark.parametrize(
    "about",
    [
        r"POST",
        r"GET /containers/[a-z0-9-]+/json",
        r"GET /images",
        r"GET /events",
        r"(GET|POST) /.*(logs|exec)",
    ],
)
@pytest.mark.parametrize("name", ["null", "closed within the body", "redirect", "numbers for every value"])
def test_lie_in_the_midst_of_a_run(tmp_path: Path, name: str, about: str) -> None:
    ending = attempt(tmp_path, COMMANDS["run"], BY_NAME[name], about, LIMIT)
    assert ending.fault == "", ending


def test_the_honest_engine_is_believed(tmp_path: Path) -> None:
    """Otherwise the lies would be refused for what they share with the truth."""
    for name in ("list", "ps", "status", "plan", "logs", "volumes", "networks", "images", "stats"):
        folder = tmp_path / name
        folder.mkdir()
        ending = attempt(folder, COMMANDS[name], None, None, LIMIT)
        assert (ending.code, "error: " in ending.err) == (0, False), ending


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "exec"])
def test_every_wait_ends_by_signal(tmp_path: Path, command: str, number: signal.Signals) -> None:
    if not SOAK and number is signal.SIGINT and command not in ("list", "run", "logs -f", "doctor"):
        pytest.skip("in the long run")
    ending = attempt(
        tmp_path, COMMANDS[command], BY_NAME["silence"], None, LIMIT, patience=60.0, number=number
    )
    assert ending.code == 130, ending
    assert ending.seconds < SOON, ending
    quiet = command in ("stats", "events", "logs -f")  # what goes on until then ends without a word
    assert ending.err.strip() in ("Interrupted.", *([""] if quiet else [])), ending


def test_step_that_does_not_come_to_its_end_is_left_to_the_engine(tmp_path: Path) -> None:
    ending = attempt(
        tmp_path,
        COMMANDS["down"],
        BY_NAME["silence"],
        "POST .*/stop",
        60.0,
        patience=60.0,
        number=signal.SIGTERM,
    )
    assert ending.code == 130, ending
    assert ending.seconds < 55.0, ending
    # A stop takes its ten seconds each, and some more on a busy machine; at 60 it would be killed.
    assert "Now there: running: db, task." in ending.err, ending


NOBODY = Desired("lied", "/nowhere")
LOOKS: dict[str, Callable[[Engine], object]] = {
    "containers": lambda engine: observe.containers(engine, "lied"),
    "networks": lambda engine: observe.networks(engine, "lied"),
    "volumes": lambda engine: observe.volumes(engine, "lied"),
    "images": lambda engine: observe.images(engine, ["postgres:18"]),
    "sizes": lambda engine: observe.volume_sizes(engine, ["lied_data"]),
    "ports": inventory.ports,
    "projects": lambda engine: projects.every(engine, {}),
    "attached": lambda engine: (holdings.volumes(engine, NOBODY), holdings.networks(engine, NOBODY)),
    "unused": lambda engine: images.of_project(engine, NOBODY),
    "past events": lambda engine: [
        events.event(item, NOBODY) for item in engine.past_events(0.0, type=["container"])
    ],
    "tail": lambda engine: logs.tail(engine, "lied-db-1", 5),
    "file": lambda engine: engine.beginning("lied-db-1", "/x", 2**16, 5.0),
    "exec": lambda engine: engine.printed("lied-db-1", ["true"]),
}


@pytest.mark.parametrize("lie", [lie for lie in LIES if not lie.is_slow], ids=lambda lie: lie.name)
def test_every_look_fails_as_ours_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Lie
) -> None:
    if "without end" in lie.name or "megabyte" in lie.name:
        pytest.skip("takes as long as it is large; the commands are tried with it")
    with lying(tmp_path, lie) as liar:
        monkeypatch.setenv("DOCKER_HOST", liar.host)
        endpoint._chosen.cache_clear()
        with Engine() as engine:
            for look in LOOKS.values():
                try:
                    look(engine)
                except ScaffoldError as error:
                    assert error.message  # noqa: PT017 - anything else is what must not happen


def test_call_has_one_deadline_for_all_of_it(tmp_path: Path) -> None:
    with lying(tmp_path, BY_NAME["a body of a byte every two seconds"], ".*") as liar:
        wire = Wire(Endpoint(liar.host))
        begun = time.monotonic()
        with pytest.raises(Lost, match="has not answered"):
            wire.send("GET", "/networks", None, 1.0)
        assert time.monotonic() - begun < 2.0


def test_answer_of_any_length_takes_no_more_memory_than_allowed(tmp_path: Path) -> None:
    with (
        lying(tmp_path, BY_NAME["spaces without end"], ".*") as liar,
        pytest.raises(Unusable, match="larger than 32 MB"),
    ):
        Wire(Endpoint(liar.host)).raw("GET", "/networks", 60.0)


def test_line_without_end_is_refused(tmp_path: Path) -> None:
    with lying(tmp_path, BY_NAME["spaces without end"], ".*") as liar:
        stream = Wire(Endpoint(liar.host)).stream("GET", "/events")
        with pytest.raises(Unusable, match="a line of more than 1 MB"):
            next(stream.documents(answers.EVENT))
        stream.close()


def test_closing_wakes_a_call_that_another_thread_waits_for(tmp_path: Path) -> None:
    with lying(tmp_path, BY_NAME["silence"], ".*") as liar:
        wire = Wire(Endpoint(liar.host))
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                wire.send("GET", "/networks", None, 60.0)
            except Exception as error:  # noqa: BLE001 - which one is the claim
                failed.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        while not liar.calls:
            time.sleep(0.01)
        wire.close()
        asking.join(5)
        assert failed


def test_more_than_the_answer_does_not_become_the_next_one(tmp_path: Path) -> None:
    with lying(tmp_path, BY_NAME["more than was asked for"], ".*") as liar:
        wire = Wire(Endpoint(liar.host))
        assert wire.send("GET", "/version", None, 5.0)["ApiVersion"] == "1.44"
        assert wire.send("GET", "/version", None, 5.0)["ApiVersion"] == "1.44"


@pytest.mark.parametrize("said", [b'{"a": "\\ud800"}', b'{"a": "\\u0000"}', b'{"\\udc00": "\\uDBFF"}'])
def test_texts_can_be_written_and_be_part_of_a_path(said: bytes) -> None:
    for key, text in document("GET /x", said).items():
        assert "\0" not in text
        (key + text).encode()


def test_whole_characters_beyond_the_first_plane_stay() -> None:
    assert document("GET /x", b'"\\ud83d\\ude00 \\\\u0000"') == "\U0001f600 \\u0000"


@pytest.mark.parametrize("size", [1, 3, 8, 9, 100])
def test_output_is_put_together_whatever_the_pieces(size: int) -> None:
    parts = ((1, b"one\n"), (2, b"two"))
    framed = b"".join(bytes([kind, 0, 0, 0, 0, 0, 0, len(text)]) + text for kind, text in parts)
    pieces = [framed[place : place + size] for place in range(0, len(framed), size)]
    assert b"".join(unframed("GET /x", pieces)) == b"one\ntwo"


def test_limits_leave_room_for_a_large_engine() -> None:
    listed = len(honest.answer("GET", "/containers/json", "/home/somebody/projects/shop").body) / 2
    assert listed * 5_000 < LARGEST
    assert 10 * len(honest.answer("GET", "/events", "/").body) < LONGEST


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ca.pem, and cert.pem and key.pem for a server at 127.0.0.1."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    subject = ["-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    made += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


def tls_server(folder: Path) -> int:
    """Serve /version once for each connection over TLS; return the port."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            peer, _ = listener.accept()
            try:
                with context.wrap_socket(peer, server_side=True) as line:
                    line.recv(65536)
                    body = b'{"ApiVersion": "1.44", "Version": "28"}'
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch, certificates: Path) -> Path:
    endpoint._chosen.cache_clear()
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{tls_server(certificates)}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    return certificates


def test_tls_counts_whatever_other_programs_trust(monkeypatch: pytest.MonkeyPatch, tls: Path) -> None:
    (tls / "other.pem").write_text("nothing")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / "other.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tls / "other.pem"))
    with Engine() as engine:
        assert engine.get("/version")["Version"] == "28"


def test_untrusted_certificate_is_named_as_that(tls: Path) -> None:
    (tls / "ca.pem").unlink()
    with pytest.raises(EngineUnavailable, match="a certificate that is not trusted") as caught:
        Engine()
    assert "DOCKER_CERT_PATH" in str(caught.value.hint)


def test_certificate_that_is_none_is_named(tls: Path) -> None:
    (tls / "ca.pem").write_text("nothing")
    with pytest.raises(EngineUnavailable, match=r"certificates cannot be used: .*ca\.pem"):
        Engine()


def test_engine_without_tls_is_named_as_that(monkeypatch: pytest.MonkeyPatch, tls: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    with pytest.raises(EngineUnavailable, match="does not speak TLS"):
        Engine()


def test_nobody_at_a_port_is_no_missing_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(EngineUnavailable, match=r"does not answer at tcp://127\.0\.0\.1:9") as caught:
        Engine()
    assert "usermod" not in str(caught.value.hint)


def test_ssh_that_cannot_log_in_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2\nexit 255\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far")
    endpoint._chosen.cache_clear()
    with pytest.raises(EngineError, match="Permission denied") as caught:
        Engine()
    assert "ssh -T -o ConnectTimeout=10 -l me -- far docker version" in str(caught.value.hint)
