"""Ways in which an answer can be wrong: bytes that are no HTTP, HTTP that lies, JSON of another shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.lying.honest import Answer

Part = bytes | float
"""What is sent, or the seconds until it goes on."""
Told = Callable[[Answer], Iterator[Part]]

_DIGITS = b'{"Id": ' + b"9" * 5000 + b', "ApiVersion": ' + b"9" * 5000 + b"}"
FOREVER = 10_000
STILL = 3600.0


@dataclass(frozen=True)
class Lie:
    """One way to be wrong; after it the connection is closed, unless it goes on."""

    name: str
    tell: Told
    goes_on: bool = False
    is_slow: bool = False
    """Whether only a time limit ends it."""


def plainly(answer: Answer) -> bytes:
    """Return an answer as an honest server sends it."""
    head = f"HTTP/1.1 {answer.status} Said\r\nContent-Type: {answer.kind}\r\n"
    if answer.status == 204:
        return f"{head}\r\n".encode()
    return f"{head}Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body


def _raw(*parts: Part) -> Told:
    return lambda _: iter(parts)


def _head(*lines: str, status: str = "200 OK") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, "")).encode()


def _body(made: Callable[[bytes], bytes]) -> Told:
    def tell(answer: Answer) -> Iterator[Part]:
        yield plainly(Answer(200 if answer.status < 300 else answer.status, made(answer.body), answer.kind))

    return tell


def _json(changed: Callable[[object], object]) -> Told:
    """Change an answer's JSON; what is none becomes what `changed` makes of an empty object."""

    def made(body: bytes) -> bytes:
        try:
            value = json.loads(body)
        except ValueError:
            value = {}
        return json.dumps(changed(value)).encode()

    return _body(made)


def every(change: Callable[[object], object]) -> Callable[[object], object]:
    """Return what changes each value of a document that is no list and no object."""

    def walk(value: object) -> object:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return change(value)

    return walk


def _emptied(value: object) -> object:
    if isinstance(value, list):
        return [{} for _ in value] or [{}]
    return {}


def _items_null(value: object) -> object:
    if isinstance(value, list):
        return [None]
    return dict.fromkeys(value) if isinstance(value, dict) else None


def _turned(value: object) -> object:
    """Make lists of objects and objects of lists, at every depth."""
    if isinstance(value, dict):
        return [_turned(item) for item in value.values()]
    if isinstance(value, list):
        return {str(place): _turned(item) for place, item in enumerate(value)}
    return value


def _cut(share: float) -> Told:
    def tell(answer: Answer) -> Iterator[Part]:
        whole = plainly(answer)
        yield whole[: int(len(whole) * share)]

    return tell


def _length(said: Callable[[int], str]) -> Told:
    def tell(answer: Answer) -> Iterator[Part]:
        yield _head(*said(len(answer.body)).split("\n")) + answer.body

    return tell


def _chunked(answer: Answer, *, end: bytes = b"0\r\n\r\n") -> Iterator[Part]:
    yield _head("Transfer-Encoding: chunked")
    yield f"{len(answer.body):x}\r\n".encode() + answer.body + b"\r\n" + end


def _slow(answer: Answer) -> Iterator[Part]:
    whole = plainly(answer)
    for place in range(len(whole)):
        yield whole[place : place + 1]
        yield 2.0


def _slow_body(answer: Answer) -> Iterator[Part]:
    yield _head("Transfer-Encoding: chunked")
    for _ in range(FOREVER):
        yield b"1\r\n \r\n"
        yield 2.0


def _endless(answer: Answer) -> Iterator[Part]:
    yield _head("Transfer-Encoding: chunked")
    while True:
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"


def _endless_items(answer: Answer) -> Iterator[Part]:
    yield _head("Transfer-Encoding: chunked") + b"1\r\n[\r\n"
    while True:
        yield b"10000\r\n" + b"{},{}," * 10922 + b"1,1," + b"\r\n"


def _endless_head(answer: Answer) -> Iterator[Part]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: " + b"x" * 1000 + b"\r\n"


def _endless_welcome(answer: Answer) -> Iterator[Part]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def _as_status(status: str, *lines: str, body: bytes = b"") -> Told:
    length = () if any("ength" in line for line in lines) else (f"Content-Length: {len(body)}",)
    return _raw(_head(*lines, *length, status=status) + body)


def _held(answer: Answer) -> Iterator[Part]:
    yield from _length(lambda size: f"Content-Length: {size + 9}")(answer)
    yield STILL


def _twice(answer: Answer) -> Iterator[Part]:
    yield plainly(answer) + plainly(Answer(200, b"[]"))


def _compressed(answer: Answer) -> Iterator[Part]:
    yield _head("Content-Encoding: gzip", f"Content-Length: {len(answer.body)}") + answer.body[::-1]


_PAGE = b"<html><body>oh no</body></html>"
_NO_PAGE = b'{"message": "page not found"}'
_NO_WORDS = b'{"message": [1, {"a": null}]}'


def _numbers(to: object) -> Told:
    return _json(every(lambda value: to if isinstance(value, int) else value))


def _texts(to: str) -> Told:
    return _json(every(lambda value: to if isinstance(value, str) else value))


LIES: tuple[Lie, ...] = (
    # no HTTP
    Lie("garbage", _raw(bytes(range(256)) * 16)),
    Lie("closed at once", _raw()),
    Lie("greeting of another protocol", _raw(b"SSH-2.0-OpenSSH_9.6\r\n", STILL), is_slow=True),
    Lie("HTTP of the future", _raw(b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}")),
    Lie("status that is no number", _raw(b"HTTP/1.1 fine OK\r\n\r\n{}")),
    Lie("closed within the head", _cut(0.05)),
    Lie("closed within the body", _cut(0.9)),
    # HTTP that lies
    Lie("length too long", _length(lambda size: f"Content-Length: {size + 100}")),
    Lie(
        "length too long, and open",
        _held,
        is_slow=True,
    ),
    Lie("length too short", _length(lambda size: f"Content-Length: {max(1, size - 5)}"), goes_on=True),
    Lie("length below zero", _length(lambda _: "Content-Length: -7")),
    Lie("length that is no number", _length(lambda _: "Content-Length: many")),
    Lie("length of digits without end", _length(lambda _: f"Content-Length: {'9' * 5000}")),
    Lie("two lengths", _length(lambda size: f"Content-Length: {size}\nContent-Length: 3"), goes_on=True),
    Lie("length and chunks", _length(lambda size: f"Content-Length: {size}\nTransfer-Encoding: chunked")),
    Lie("chunks of garbage", _raw(_head("Transfer-Encoding: chunked") + b"zz\r\n{}\r\nyy\r\n")),
    Lie("chunks cut", lambda answer: _chunked(answer, end=b"ffff\r\n{")),
    Lie("chunk of an exabyte", _raw(_head("Transfer-Encoding: chunked") + b"fffffffffffffff\r\n{}")),
    Lie("more than was asked for", _twice, goes_on=True),
    Lie(
        "compressed, it says",
        _compressed,
    ),
    Lie("header of a megabyte", _raw(_head(f"X-Large: {'x' * 2**20}", "Content-Length: 2") + b"{}")),
    Lie("a thousand headers", _raw(_head(*(f"X-{n}: y" for n in range(1000)), "Content-Length: 2") + b"{}")),
    Lie("head without end", _endless_head),
    Lie("welcome without end", _endless_welcome),
    Lie("redirect", _as_status("302 Found", "Location: http://localhost:1/")),
    Lie("redirect to itself", _as_status("307 Temporary Redirect", "Location: /version")),
    Lie("nothing", _as_status("204 No Content"), goes_on=True),
    Lie("not modified", _as_status("304 Not Modified"), goes_on=True),
    Lie("another protocol from now on", _raw(_head("Upgrade: tcp", status="101 Switching Protocols"))),
    Lie(
        "error as a page",
        _as_status("500 Internal Server Error", body=_PAGE),
        goes_on=True,
    ),
    Lie(
        "not found, everything",
        _as_status("404 Not Found", body=_NO_PAGE),
        goes_on=True,
    ),
    Lie("error without words", _as_status("500 Internal Server Error"), goes_on=True),
    Lie(
        "error whose words are a list",
        _as_status("500 Oh", body=_NO_WORDS),
        goes_on=True,
    ),
    Lie("status 999", _as_status("999 Whatever", body=b"{}"), goes_on=True),
    # too slow, too much
    Lie("silence", _raw(STILL), is_slow=True),
    Lie("a byte every two seconds", _slow, is_slow=True),
    Lie("a body of a byte every two seconds", _slow_body, is_slow=True),
    Lie("spaces without end", _endless),
    Lie("a list without end", _endless_items),
    # another body
    Lie("a page", _body(lambda _: b"<!doctype html><title>Log in</title>"), goes_on=True),
    Lie("JSON cut", _body(lambda body: body[: len(body) // 2]), goes_on=True),
    Lie("bad UTF-8", _body(lambda body: b'{"Id": "\xff\xfe\xc3"}'), goes_on=True),
    Lie("nested a hundred thousand deep", _body(lambda _: b"[" * 100_000 + b"]" * 100_000), goes_on=True),
    Lie("nested nine hundred deep", _body(lambda _: b'{"a":' * 900 + b"1" + b"}" * 900), goes_on=True),
    Lie("a number of five thousand digits", _body(lambda _: _DIGITS), goes_on=True),
    Lie("no number", _body(lambda _: b'[NaN, Infinity, {"Id": NaN}]'), goes_on=True),
    # another shape
    Lie("null", _body(lambda _: b"null"), goes_on=True),
    Lie("a text", _body(lambda _: b'"fine"'), goes_on=True),
    Lie("a list of null, an object of null", _json(_items_null), goes_on=True),
    Lie("objects without keys", _json(_emptied), goes_on=True),
    Lie("lists for objects and objects for lists", _json(_turned), goes_on=True),
    Lie("null for every value", _json(every(lambda _: None)), goes_on=True),
    Lie("numbers for every value", _json(every(lambda _: 7)), goes_on=True),
    Lie("numbers below zero", _numbers(-1), goes_on=True),
    Lie(
        "numbers beyond all measure",
        _numbers(10**400),
        goes_on=True,
    ),
    Lie("fractions for numbers", _numbers(0.5), goes_on=True),
    Lie("numbers too large for any float", _body(lambda _: b'[1e999, {"Size": 1e999}]'), goes_on=True),
    Lie("texts for every value", _json(every(lambda _: "x")), goes_on=True),
    Lie("empty texts", _texts(""), goes_on=True),
    Lie(
        "texts with half a character",
        _texts("\ud800\0\x1b[2J"),
        goes_on=True,
    ),
    Lie("lists for every value", _json(every(lambda v: [v])), goes_on=True),
    Lie("objects for every value", _json(every(lambda v: {"v": v})), goes_on=True),
    Lie("texts of a megabyte", _texts("x" * 2**20), goes_on=True),
)

BY_NAME = {lie.name: lie for lie in LIES}
