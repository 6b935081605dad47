"""Decide what of a project's secrets may not be in an image, and what is said when it is there. Pure."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
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
_LONGEST = 128
"""Characters that stand for a longer value: what searches costs the more the longer they are."""
_MANY = 60
"""Values from which on each is looked for in fewer forms: what searches is made anew for each build."""
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
        if item.is_part:
            continue
        names.setdefault(item.value.reveal(), []).append(item.name)
    found: dict[bytes, Needle] = {}
    forms = _forms if len(names) <= _MANY else _common
    for value, owners in names.items():
        # One that is let through is let through under each of its names.
        if value in public or set(owners) & set(allowed):
            continue
        for pattern, form in forms(value) if is_strong(value) else _beside(value, owners):
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


def _common(value: str) -> Iterator[tuple[bytes, str]]:
    """Yield the value as it stands and as most programs write it: what is looked for of each of many."""
    value = _middle(value)
    raw = value.encode(errors="surrogateescape")
    yield raw, ""
    yield quote(value, safe="", errors="replace").encode(), "URL-encoded"
    yield json.dumps(value)[1:-1].encode(), "JSON"
    yield from _based(raw)


def _forms(value: str) -> Iterator[tuple[bytes, str]]:
    """Yield the ways in which programs write a value."""
    value = _middle(value)
    raw = value.encode(errors="surrogateescape")
    yield raw, ""
    for text, form in _texts(value):
        if text != value:
            yield text.encode(errors="replace"), form
    # As Kubernetes has the URLs of databases, and files of settings.
    for text in dict.fromkeys((quote(value, safe="", errors="replace"), json.dumps(value)[1:-1])):
        yield from _based(text.encode()) if text != value else ()
    if value != value[::-1]:
        yield raw[::-1], "backwards"
    for encoding in ("utf-16-le", "utf-16-be"):
        yield value.encode(encoding, errors="replace"), "UTF-16"
    # As PowerShell takes commands.
    yield from _based(value.encode("utf-16-le", errors="replace"))
    if not value.isascii():
        with contextlib.suppress(UnicodeEncodeError):
            yield value.encode("cp1252"), "Latin-1"
    yield from ((half, "hex") for half in _halves(raw.hex()))
    yield from ((half, "hex") for half in _halves(raw.hex().upper()))
    yield from _based(raw)
    # As Kubernetes has the logins of registries.
    for text in _shifted(raw):
        yield from _based(text.encode())
    for shift in range(5):
        text = _inner(base64.b32encode(b"\0" * shift + raw).decode(), shift * 8, len(raw) * 8, 5)
        yield from ((half, "base32") for half in _halves(text))


def _middle(value: str) -> str:
    """Return what stands for a value: of a long one the middle, where keys have what is private."""
    spare = len(value) - _LONGEST
    return value if spare <= 0 else value[spare // 2 : spare // 2 + _LONGEST]


def _texts(value: str) -> Iterator[tuple[str, str]]:
    """Yield the value as programs quote it for others."""
    for quoted in (
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
    ):
        yield quoted, "URL-encoded"
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted), "URL-encoded"
    escaped = json.dumps(value)[1:-1]
    for written in (
        escaped,
        json.dumps(value, ensure_ascii=False)[1:-1],
        # As Go writes it, and with it the engine; and as PHP does.
        escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        escaped.replace("/", "\\/"),
    ):
        yield written, "JSON"
        yield json.dumps(written)[1:-1], "JSON"
    yield html.escape(value), "HTML"
    for written in (
        value.replace("$", "$$"),
        value.replace("'", "'\\''"),
        value.replace("'", "\\'"),
        value.replace("'", "''"),
        "".join(f"\\x{byte:02x}" for byte in value.encode(errors="surrogateescape")),
        *(re.sub(special, r"\\\g<0>", value) for special in _SPECIAL),
    ):
        yield written, "escaped"


_SPECIAL = (r"[=:#!\\]", r"[^\w@%+=:,./-]", r"[^\w@%+:,./-]", r"\W")
"""What gets a backslash before it: in properties of Java, in words of bash and of zsh, in patterns."""


def _based(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the forms in base64, at each place at which it can begin."""
    for text in _shifted(data):
        yield from ((half, "base64") for half in _halves(text))
        if "+" in text or "/" in text:
            yield from ((half, "base64") for half in _halves(text.replace("+", "-").replace("/", "_")))


def _shifted(data: bytes) -> Iterator[str]:
    for shift in range(3):
        yield _inner(base64.b64encode(b"\0" * shift + data).decode(), shift * 8, len(data) * 8, 6)


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
