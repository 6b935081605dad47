"""Refuse names on the command line that nothing in the project has: a typing error would do nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from scaffold.errors import UsageError
from scaffold.stack import environment
from scaffold.stack.desired import Desired


def check(
    desired: Desired, profiles: Iterable[str], allowed: Iterable[str], variables: Iterable[str]
) -> None:
    """Raise UsageError for a profile or a secret, as typed, that the project does not have."""
    for name in profiles:
        if name not in (*desired.profiles, "*"):
            raise _unknown(f"--profile {name}", "no service has this profile", name, desired.profiles)
    secrets = _secrets(desired, variables)
    for name in allowed:
        if name not in secrets:
            raise _unknown(f"--allow-secret {name}", "no variable or secret has this name", name, secrets)


def _secrets(desired: Desired, variables: Iterable[str]) -> frozenset[str]:
    """Return every name under which something may be let into an image."""
    names = {environment.FILE, *variables, *(item.name for item in desired.confidential.known)}
    names |= set(desired.secrets)
    for service in desired.services:
        names |= {name for name, _ in service.environment}
        names |= {name for name, _ in service.build.args} if service.build else set()
    return frozenset(names)


def _unknown(option: str, said: str, name: str, known: Collection[str]) -> UsageError:
    near = get_close_matches(name, sorted(known), n=1)
    if near:
        return UsageError(f"{option}: {said}.", f"Did you mean {near[0]}?")
    listed = ", ".join(sorted(known)[:20])
    return UsageError(f"{option}: {said}.", f"There are {listed}." if known else "There is none.")
