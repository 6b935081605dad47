"""A name on the command line that nothing has is refused, with the names that there are."""

from __future__ import annotations

import pytest

from scaffold.errors import UsageError
from scaffold.stack import asked, desired

PROJECT = desired.read(
    {
        "name": "p",
        "services": {
            "app": {
                "image": "x",
                "environment": {"API_TOKEN": "s3cr3tValue9"},
                "build": {"context": "/p", "args": {"NPM_TOKEN": "t"}},
            },
            "mail": {"image": "y", "profiles": ["extras", "mail"]},
        },
    },
    "/p",
)


@pytest.mark.parametrize(
    ("profiles", "secrets", "said", "hint"),
    [
        (("extra",), (), "--profile extra: no service has this profile", "Did you mean extras?"),
        (("zzz",), (), "--profile zzz", "There are extras, mail."),
        ((), ("API_TOKN",), "--allow-secret API_TOKN: no variable or secret", "Did you mean API_TOKEN?"),
        ((), (".evn",), "--allow-secret .evn", "Did you mean .env?"),
    ],
)
def test_typing_error_is_refused(
    profiles: tuple[str, ...], secrets: tuple[str, ...], said: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        asked.check(PROJECT, profiles, secrets, ["DB_PASSWORD"])
    assert caught.value.hint == hint


def test_what_is_there_may_be_named() -> None:
    asked.check(
        PROJECT, ["extras", "mail", "*"], ["API_TOKEN", "NPM_TOKEN", ".env", "DB_PASSWORD"], ["DB_PASSWORD"]
    )


def test_project_without_profiles_says_so() -> None:
    bare = desired.read({"name": "p", "services": {"app": {"image": "x"}}}, "/p")
    with pytest.raises(UsageError) as caught:
        asked.check(bare, ["a"], [], [])
    assert caught.value.hint == "There is none."
