"""What is looked for in images, and how packed files are looked into, without an engine."""

from __future__ import annotations

import base64
import gzip
import random

import pytest

from scaffold.engine.build.leaks import Searcher, _Looking
from scaffold.stack import environment
from scaffold.stack.leaks import needles
from scaffold.stack.secrets import Known, Secret, declared, known_of, values
from tests.leaks.blind import BLIND, pack, tar, zip_of
from tests.leaks.cases import CASES, CERTIFICATE_LINES, CERTIFICATE_PEM, KEY_PEM, PASSWORD, Case

PACKED = {
    "a pack of git": pack(),
    "gzip in two parts": gzip.compress(b"started\n") + gzip.compress(PASSWORD.encode()),
    "gzip in a tar file": tar("a.gz", gzip.compress(PASSWORD.encode())),
    "zip in a zip file": zip_of("a.jar", zip_of("a.properties", PASSWORD.encode() * 3)),
}


def found(search: Searcher, data: bytes, step: int = 1 << 20) -> set[tuple[str, str]]:
    looking = _Looking(search)
    for start in range(0, len(data), step):
        looking.feed(data[start : start + step])
    return looking.end()


@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED.keys())
def test_packed_file_is_looked_into_however_it_comes(data: bytes, step: int) -> None:
    search = Searcher(needles([Known("DB_PASSWORD", Secret(PASSWORD))]))
    assert found(search, data, step) == {("DB_PASSWORD", "packed")}


FORMS = [case for case in CASES + BLIND if case.is_form]


@pytest.mark.parametrize("case", FORMS, ids=[case.name for case in FORMS])
def test_secret_is_found_in_every_form(case: Case) -> None:
    search = Searcher(needles(known_of(environment.parse(case.env).items())))
    files = [content for path, content in case.files.items() if path != "Dockerfile"]
    names = {
        name
        for content in files
        for name, _ in found(search, content.encode() if isinstance(content, str) else content)
    }
    assert set(case.finds) <= names


def test_key_is_found_and_its_certificate_is_not() -> None:
    search = Searcher(needles(declared("key", KEY_PEM)))
    certificate = base64.b64decode(CERTIFICATE_LINES)
    for shift in range(3):
        assert not found(search, base64.b64encode(b"." * shift + certificate))
    assert not found(search, CERTIFICATE_PEM.encode())
    assert not found(search, certificate)
    assert found(search, base64.b64decode("".join(KEY_PEM.splitlines()[1:-1])))
    assert found(search, KEY_PEM.replace("\n", "\r\n    ").encode())


def test_every_line_of_a_key_is_hidden_where_it_is_printed() -> None:
    assert set(KEY_PEM.splitlines()[1:-1]) <= set(values(declared("key", KEY_PEM)))


def test_beside_a_secret_setting_no_other_is_looked_for() -> None:
    settings = "registry=https://r.example.com/npm\n//r.example.com/npm/:_authToken=Zx81kQv55TtR0aYw2\n"
    search = Searcher(needles(declared("npmrc", settings)))
    assert not found(search, b"registry=https://r.example.com/npm\n")
    assert found(search, b"npmAuthToken: Zx81kQv55TtR0aYw2")
    assert "registry=https://r.example.com/npm" in values(declared("npmrc", settings))


def test_search_stays_quick_to_make() -> None:
    noise = base64.b64encode(random.Random(1).randbytes(12000)).decode()
    lines = [noise[start : start + 64] for start in range(0, len(noise), 64)]
    key = "\n".join(("-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"))
    for text in (noise, key):
        # More than this took a third of a second and longer, in every build.
        assert sum(len(needle.pattern) for needle in needles(declared("a", text))) < 64 << 10
