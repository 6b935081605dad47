"""What a plan says of a change, and that it gives no secret away."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import pytest

from scaffold.stack.desired import Service
from scaffold.stack.difference import differences
from scaffold.stack.observed import Container, Image
from scaffold.stack.secrets import mask_urls, secrets_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://u:p@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p@ss@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p/ss@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p@ss/w@rd@host/db", "postgres://u:•••@host/db"),
        ("postgres://u:p@s?s/w@host/db", "postgres://u:•••@host/db"),
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
    assert set(secrets_of(environment)) == {"ghp_tok", "p@ss", "p", "t", "k"}


OLD, NEW = "oldsecret99", "hunter2hunter2"


def changes(then: Mapping[str, object], now: Mapping[str, object]) -> tuple[str, ...]:
    """What is said of a container made from `then` when `now` is wanted; both are create requests."""
    pairs = (str(entry).partition("=")[::2] for entry in cast("list[str]", now.get("Env", [])))
    service = Service("app", "app", now, environment=tuple(pairs))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    container = Container("id", "app-1", "running", "app", "sha256:app", {}, moment, body={"Config": then})
    return differences(service, container, None)


def test_variables_of_two_images_are_no_reason() -> None:
    then = {"Env": ["PATH=/old", "PGDATA=/old", "OWN=1"]}
    wanted = Service("db", "db:2", {"Env": ["OWN=2"]}, environment=(("OWN", "2"),))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    container = Container("id", "db-1", "running", "db:1", "sha256:db", {}, moment, body={"Config": then})
    image = Image("db:2", "sha256:two", {}, moment, environment=("PATH=/new", "PGDATA=/new"))
    assert differences(wanted, container, image) == ("image: db:1 → db:2", "environment OWN: 1 → 2")


def test_label_is_hidden_by_its_name() -> None:
    then, now = ({"Labels": {"traefik.password": value, "a": value[:3]}} for value in (OLD, NEW))
    assert changes(then, now) == ("label a: old → hun", "label traefik.password: changed")


def test_secret_of_the_environment_is_hidden_wherever_it_stands() -> None:
    then, now = (
        {
            "Env": [f"REDIS_PASSWORD={value}", f"CONNECTION=user=a {value}"],
            "Cmd": ["sh", "-c", f"redis -a {value} --{value[:3]}"],
            "Labels": {"check": f"echo {value}"},
        }
        for value in (OLD, NEW)
    )
    assert changes(then, now) == (
        "environment CONNECTION: changed",
        "environment REDIS_PASSWORD: changed",
        "label check: changed",
        "command: sh -c redis -a ••• --old → sh -c redis -a ••• --hun",
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["redis", "--requirepass", "p"], "redis --requirepass •••"),
        (["redis", "--requirepass", "two words", "--port", "1"], "redis --requirepass ••• --port 1"),
        (["app", "--api-key=k", "-token", "t"], "app --api-key=••• -token •••"),
        (["app", "--pass", "--token", "t"], "app --pass ••• •••"),
        (
            ["java", "-Dspring.datasource.password=p", "-jar", "a"],
            "java -Dspring.datasource.password=••• -jar a",
        ),
        (["sh", "-c", "PGPASSWORD='p p' psql  -c x"], "sh -c PGPASSWORD=••• psql  -c x"),
        (["sh", "-c", "su -c 'psql --password p'"], "sh -c su -c 'psql --password •••"),
        (["app", "https://h/?token=t", "--level", "info"], "app https://h/?token=••• --level info"),
        (["monkey", "turkey", "see", "password"], "monkey turkey see password"),
    ],
)
def test_word_of_an_option_for_a_secret_is_hidden(command: list[str], expected: str) -> None:
    assert changes({"Cmd": ["old"]}, {"Cmd": command}) == (f"command: old → {expected}",)
