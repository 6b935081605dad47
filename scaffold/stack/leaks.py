"""Decide what of a project's secrets may not be in an image, and what is said when it is there. Pure."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from urllib.parse import quote, quote_plus

from scaffold.errors import ProjectError, SecretFound
from scaffold.stack import environment
from scaffold.stack.desired import Build
from scaffold.stack.secrets import Known

SHORTEST = 8
"""Characters of a value that is looked for by itself."""
_WORD = 12
"""Characters below which letters alone are a word, such as `postgres`, that stands in many a file."""
_NUMBER = 10
_HALF = 16
"""Characters of half an encoded value from which it is as good as the whole: tools break long lines."""


@dataclass(frozen=True, order=True)
class Finding:
    """A secret, by the name that the project knows it by, and where it was found."""

    name: str
    place: str
    form: str = ""

    def __str__(self) -> str:
        return f"{self.place} ({self.form})" if self.form else self.place


@dataclass(frozen=True, repr=False)
class Needle:
    """Bytes that give a secret away."""

    name: str
    pattern: bytes
    form: str = ""


def check(build: Build, where: str, allowed: Collection[str]) -> None:
    """Raise ProjectError for a Dockerfile that asks for what no build may get, unless a person lets it."""
    if environment.FILE in allowed:
        return
    for path, line in build.exposed:
        raise ProjectError(
            f"{where}{line} puts {path}, with this checkout's passwords, into the image.",
            "Give the container its variables in compose.yaml, with `environment:` or `env_file:`; or let it "
            f"through with `--allow-secret {environment.FILE}`.",
        )


def needles(
    known: Iterable[Known], public: Collection[str] = (), allowed: Collection[str] = ()
) -> tuple[Needle, ...]:
    """Return what is looked for; `public` values stand in .env.example, which everybody has."""
    names: dict[str, list[str]] = {}
    for item in known:
        names.setdefault(item.value.reveal(), []).append(item.name)
    found: dict[bytes, Needle] = {}
    for value, owners in names.items():
        # One that is let through is let through under each of its names.
        if value in public or set(owners) & set(allowed):
            continue
        for pattern, form in _forms(value) if is_strong(value) else _beside(value, owners):
            found.setdefault(pattern, Needle(owners[0], pattern, form))
    return tuple(found.values())


def is_strong(value: str) -> bool:
    """Return whether a value is found where it is meant and nowhere else: no word, no small number."""
    if len(value) < SHORTEST:
        return False
    return not (value.isalpha() and len(value) < _WORD) and not (value.isdigit() and len(value) < _NUMBER)


def _beside(value: str, names: Iterable[str]) -> Iterator[tuple[bytes, str]]:
    """Yield a word together with its name, as programs write the two."""
    if len(value) < 3:
        return
    for name in names:
        for text in (
            f"{name}={value}",
            f"{name}='{value}",
            f'{name}="{value}',
            f"{name}: {value}",
            f'"{name}": "{value}',
            f'"{name}":"{value}',
        ):
            yield text.encode(errors="surrogateescape"), ""


def _forms(value: str) -> Iterator[tuple[bytes, str]]:
    """Yield the ways in which programs write a value."""
    raw = value.encode(errors="surrogateescape")
    yield raw, ""
    escaped = json.dumps(value)[1:-1]
    for text, form in (
        (quote(value, safe="", errors="replace"), "URL-encoded"),
        (quote(value, errors="replace"), "URL-encoded"),
        (quote_plus(value, errors="replace"), "URL-encoded"),
        (escaped, "JSON"),
        (json.dumps(value, ensure_ascii=False)[1:-1], "JSON"),
        # As Go writes it, and with it the engine.
        (escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"), "JSON"),
        (html.escape(value), "HTML"),
        (value.replace("$", "$$"), "escaped"),
        (value.replace("'", "'\\''"), "escaped"),
        (value.replace("'", "''"), "escaped"),
        ("\\x" + "\\x".join(f"{byte:02x}" for byte in raw), "escaped"),
    ):
        if text != value:
            yield text.encode(errors="replace"), form
    if value != value[::-1]:
        yield raw[::-1], "backwards"
    yield value.encode("utf-16-le", errors="replace"), "UTF-16"
    yield value.encode("utf-16-be", errors="replace"), "UTF-16"
    yield from ((half, "hex") for half in _halves(raw.hex()))
    yield from ((half, "hex") for half in _halves(raw.hex().upper()))
    for shift in range(3):
        text = _inner(base64.b64encode(b"\0" * shift + raw).decode(), shift * 8, len(raw) * 8, 6)
        yield from ((half, "base64") for half in _halves(text))
        if "+" in text or "/" in text:
            yield from ((half, "base64") for half in _halves(text.replace("+", "-").replace("/", "_")))
    for shift in range(5):
        text = _inner(base64.b32encode(b"\0" * shift + raw).decode(), shift * 8, len(raw) * 8, 5)
        yield from ((half, "base32") for half in _halves(text))


def _inner(encoded: str, shift: int, length: int, bits: int) -> str:
    """Return the characters that say nothing of what stands before the value or behind it."""
    return encoded[-(-shift // bits) : (shift + length) // bits]


def _halves(text: str) -> tuple[bytes, ...]:
    middle = len(text) // 2
    parts = (text,) if middle < _HALF else (text[:middle], text[middle:])
    return tuple(part.encode() for part in parts)


def verdict(image: str, findings: Iterable[Finding], done: str) -> SecretFound:
    """Return what is said of an image that has secrets in it: which ones, where, and the ways on."""
    ordered = sorted(set(findings))
    names = list(dict.fromkeys(finding.name for finding in ordered))
    places = {name: [str(item) for item in ordered if item.name == name] for name in names}
    said = "; ".join(f"{name} in {', '.join(found[:_PLACES])}" for name, found in places.items())
    options = " ".join(f"--allow-secret {name}" for name in names)
    return SecretFound(
        f"{image}: the build puts secrets into the image: {said}. {done}",
        "Take them out of the build: .dockerignore keeps files out, and `RUN --mount=type=secret` leaves no "
        f"trace. `{options}` lets them through.",
        evidence=tuple(chain.from_iterable(found[_PLACES:_MOST] for found in places.values())),
    )


_PLACES = 3
_MOST = 20


def is_sent(build: Build, context: str, path: str) -> bool:
    """Return whether the Dockerfile takes a file of a context: only such files are sent at all."""
    if build.sources is None:
        return True
    from fnmatch import fnmatchcase

    for origin, source in build.sources:
        if origin != context:
            continue
        parts = source.split("/") if source else []
        own = path.split("/")
        if len(parts) <= len(own) and all(map(fnmatchcase, own, parts)):
            return True
    return False
