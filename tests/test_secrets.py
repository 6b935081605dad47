"""What is taken for a secret, and that a secret shows itself to nobody."""

from __future__ import annotations

import pytest

from scaffold.stack import desired as wish
from scaffold.stack.secrets import MASK, Secret, declared, hide, masked, secrets_of, values

RANDOM = "9f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "JWT",
            "APP_JWT",
            "AUTH",
            "BASIC_AUTH",
            "SIGNING_KEY",
            "SIGNING",
            "STRIPE_SK",
            "DB_PWD",
            "COOKIE",
            "API_KEYS",
        ),
        *("SLACK_WEBHOOK", "ENCRYPTION", "GITHUB_PAT", "PASSPHRASE", "PASSWORD", "OAUTH_X", "TOKEN"),
    ],
)
def test_name_says_that_a_value_is_secret(name: str) -> None:
    assert masked(name, "x") == MASK


@pytest.mark.parametrize(
    "name", ["AUTHOR", "PWD", "OLDPWD", "MONKEY", "DESKTOP", "TASK", "PATTERN", "LOG_LEVEL"]
)
def test_name_that_only_looks_like_one_does_not(name: str) -> None:
    assert masked(name, "/home/me") == "/home/me"


def test_random_value_is_secret_unless_its_name_explains_it() -> None:
    assert masked("SOMETHING", RANDOM) == MASK
    for name in ("GIT_COMMIT", "IMAGE_DIGEST", "TENANT_ID", "PUBLIC_X"):
        assert masked(name, RANDOM) == RANDOM
    for value in ("postgres-service-of-the-shop", "2026-11-26T01:02:03.000Z", "aaaaaaaaaaaaaaaaaaaaaaaaaa1"):
        assert masked("SOMETHING", value) == value


def test_what_is_set_about_a_secret_is_masked_and_not_looked_for() -> None:
    pairs = [("POSTGRES_HOST_AUTH_METHOD", "scram-sha-256"), ("DB_PASSWORD_FILE", "/run/secrets/x")]
    assert [masked(name, value) for name, value in pairs] == [MASK, MASK]
    assert secrets_of(pairs) == ()


def test_secret_shows_itself_to_nobody() -> None:
    secret = Secret("hunter2hunter2")
    assert f"{secret} {secret!r} {[secret]} %s" % secret == f"{MASK} Secret({MASK}) [Secret({MASK})] {MASK}"
    assert secret.reveal() == "hunter2hunter2"
    assert {secret} == {Secret("hunter2hunter2")}


def test_declared_secret_is_hidden_as_a_whole_and_by_its_lines() -> None:
    text = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ4v\nWcZ0jXqk1abc\n-----END KEY-----\n"
    hidden = values(declared("key", text))
    assert hide("read WcZ0jXqk1abc", hidden) == f"read {MASK}"
    assert hide(text, hidden).strip() == MASK
    certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ4vW\n-----END CERTIFICATE-----"
    assert values(declared("ca", certificate)) == ()


def test_secret_of_compose_is_hidden_in_what_every_service_says() -> None:
    document = {
        "name": "p",
        "services": {"app": {"image": "x"}, "db": {"image": "y", "secrets": [{"source": "token"}]}},
        "secrets": {"token": {"content": "c0mpose-secret"}, "file": {"file": "/somewhere"}},
    }
    desired = wish.read(document, "/p").with_secrets(
        lambda: [("file", "fr0m-a-file\n")], {"X_TOKEN": "fr0m-env"}
    )
    for service in desired.services:
        said = hide("c0mpose-secret fr0m-a-file fr0m-env", service.hidden)
        assert said == f"{MASK} {MASK} {MASK}"
    assert "c0mpose-secret" not in repr(desired)
