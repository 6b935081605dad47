"""What a plan says of a change, and that it gives no secret away."""

import pytest

from scaffold.stack.desired import Service
from scaffold.stack.difference import mask_urls, secrets_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:p@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p@ss@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p/ss@host/db", "postgres://u:•••@host/db"),
        ("at redis://:p@host now", "at redis://:•••@host now"),
        ("https://me@example.org:p@host/", "https://me@example.org:•••@host/"),
        ("://u:p@host", "://u:•••@host"),
        ("amqp://a:p@h1,amqp://b:p@h2", "amqp://a:•••@h1,amqp://b:•••@h2"),
        ("http://h1:80,amqp://b:p@h2", "http://h1:80,amqp://b:•••@h2"),
        ("https://ghp_tok@github.com/a", "https://•••@github.com/a"),
        ("git+https://ghp_tok@github.com:443/a.git@v1", "git+https://•••@github.com:443/a.git@v1"),
        ("https://ghp_tok:@github.com", "https://•••:@github.com"),
        ("https://ghp_tok:x-oauth-basic@github.com", "https://•••:x-oauth-basic@github.com"),
        ("git+https://u:p@host/a.git@v1", "git+https://u:•••@host/a.git@v1"),
        (
            "jdbc:postgresql://h/db?user=a&password=p&ssl=1",
            "jdbc:postgresql://h/db?user=a&password=•••&ssl=1",
        ),
        ("https://h/?token=t http://h/?a=1&api_key=k#b", "https://h/?token=••• http://h/?a=1&api_key=•••"),
        ("sqlserver://h;user=a;password=p", "sqlserver://h;user=a;password=•••"),
        ("postgres://u:p?token=t@h", "postgres://u:•••"),
    ],
)
def test_secrets_of_urls_are_hidden(text: str, expected: str) -> None:
    assert mask_urls(text) == expected
    assert mask_urls(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "write to user@host: password=x is not a URL",
        "name@sha256:0123456789abcdef",
        "docker-image://debian@sha256:0123456789abcdef",
        "docker-image://host:5000/debian:trixie@sha256:0123456789abcdef",
        "ssh://git@github.com/a.git",
        "postgres://app@db/app",
        "http://h/a@b?mail=me@example.org",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert mask_urls(text) == text


def test_secrets_of_a_service_are_those_of_its_urls_too() -> None:
    environment = (("A", "https://ghp_tok@h/"), ("B", "x://u:p@ss@h"), ("C", "x://h?token=t"), ("D_KEY", "k"))
    service = Service("app", "app", {}, environment=environment)
    assert set(secrets_of(service)) == {"ghp_tok", "p@ss", "t", "k"}
