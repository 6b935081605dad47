"""A checkout's .env: written from .env.example, mode 0600, and completed when the example has more.

No Docker: what the engine knows comes in as values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from scaffold import files
from scaffold.errors import ProjectError
from scaffold.project import private
from scaffold.project.checkout import Checkout
from scaffold.project.ports import free_port, registry
from scaffold.stack import environment


@dataclass(frozen=True)
class Known:
    """What the engine knows that a new .env has to fit."""

    taken: frozenset[int] = frozenset()
    """Host ports that containers ask for, the stopped ones included."""
    own: frozenset[int] = frozenset()
    """Those of them that belong to this checkout's own containers."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The project's name, and values of an earlier .env that containers still carry, passwords among them."""
    published: Collection[str] | None = None
    """The variables that `published:` uses; None where compose.yaml could not be read without .env."""
    guarded: Mapping[str, str] = field(default_factory=dict)
    """Passwords of databases whose data is there already, each with where that is."""


@dataclass(frozen=True)
class Filled:
    """What a .env was filled with."""

    text: str
    ports: frozenset[int]
    """Those chosen now."""
    added: tuple[str, ...] = ()
    """Variables that a .env that was there did not have."""


Asked = Callable[[str, Mapping[str, str]], Known]
"""Called with the default name, and with what the example says of the variables that are missing."""


def lacking(checkout: Checkout) -> tuple[str, ...]:
    """Return the variables of .env.example that this checkout's .env has not; none where there is no .env."""
    try:
        return environment.lacking(_example(checkout), files.text(checkout.env_file))
    except (OSError, UnicodeDecodeError):
        return ()


def write(checkout: Checkout, known: Asked) -> Filled:
    """Write .env, or add to it what it lacks. Raises ProjectError when a password cannot be known."""
    with registry() as reserved:
        filled = _filled(checkout, known, reserved)
        private.write(checkout.env_file, filled.text)
        reserved.update(dict.fromkeys(filled.ports, str(checkout.path)))
    return filled


def renew(checkout: Checkout, known: Asked) -> Mapping[str, tuple[str, str]]:
    """Choose every published port anew, and add what is missing; return (before, now) of what has changed."""
    before = checkout.variables
    example = environment.parse(_example(checkout))
    with registry() as reserved:
        ports = tuple(name for name in example if name.endswith("_PORT"))
        filled = _filled(checkout, known, reserved, anew=ports)
        private.write(checkout.env_file, filled.text)
        reserved.update(dict.fromkeys(filled.ports, str(checkout.path)))
    now = environment.parse(filled.text)
    return {name: (before.get(name, ""), value) for name, value in now.items() if value != before.get(name)}


def rename(checkout: Checkout, name: str) -> None:
    """Give the project another name in .env; whether it may have it is for the caller to know."""
    text = files.text(checkout.env_file)
    private.write(checkout.env_file, environment.completed(text, {environment.PROJECT_NAME: name}))


def preview(checkout: Checkout, known: Asked) -> dict[str, str]:
    """Return the variables that .env would have after `write`, and write nothing."""
    with registry() as reserved:
        return environment.parse(_filled(checkout, known, reserved).text)


def _example(checkout: Checkout) -> str:
    example = checkout.path / ".env.example"
    try:
        return files.text(example)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{example} cannot be read: {files.why(error)}.", "Correct it.") from error


def _filled(
    checkout: Checkout, known: Asked, reserved: Mapping[int, str], *, anew: Collection[str] = ()
) -> Filled:
    """Return what .env is to hold; `anew` are ports that are chosen again although it has them."""
    example = _example(checkout)
    declared = environment.parse(example)
    there = checkout.env_file.exists()
    missing = lacking(checkout) if there else tuple(declared)
    missing += tuple(name for name in anew if name not in missing)
    # What a person has put there wins over everything.
    own = {name: value for name, value in checkout.variables.items() if name not in missing}
    if there and environment.PROJECT_NAME in missing:
        _refuse_copied(checkout, own, reserved)
    prefix = declared.get(environment.PROJECT_NAME) or checkout.path.name
    project = environment.unique(prefix, str(checkout.path))
    facts = known(project, {name: declared[name] for name in missing})
    others = facts.taken - facts.own
    others |= {port for port, owner in reserved.items() if owner != str(checkout.path)}
    kept = {value for name, value in facts.variables.items() if name.endswith("_PORT")}
    held = {number for value in kept if (number := environment.port_of(value))}
    chosen = set(held)

    def port(wanted: int) -> int:
        found = free_port(wanted, others | chosen, facts.own)
        chosen.add(found)
        return found

    def secret(name: str) -> str:
        if name in facts.guarded:
            raise _locked_out(checkout, name, facts.guarded[name], there=there)
        return os.urandom(16).hex()

    choices = environment.Choices(port, secret, facts.published)
    # One that compose.yaml does not publish is no port of this machine, whatever it is called.
    own |= {
        name: value
        for name, value in checkout.variables.items()
        if name in anew and not _is_published(name, facts)
    }
    kept_values = {
        name: value for name, value in {**facts.variables, **own}.items() if name in own or name not in anew
    }
    text = environment.fill(example, str(checkout.path), checkout.path.name, choices, kept_values)
    if not there:
        return Filled(text, frozenset(chosen))
    values = environment.parse(text)
    added = {name: values[name] for name in missing}
    completed = environment.completed(files.text(checkout.env_file), added)
    return Filled(completed, frozenset(chosen), tuple(added))


def _is_published(name: str, facts: Known) -> bool:
    return facts.published is None or name in facts.published


def _refuse_copied(checkout: Checkout, own: Mapping[str, str], reserved: Mapping[int, str]) -> None:
    """Raise ProjectError for a .env whose ports are another checkout's: only its name would become its own.

    What listens at the other one's address would then be this one's database.
    """
    ports = {number for value in own.values() if (number := environment.port_of(value))}
    others = sorted({reserved[port] for port in ports & reserved.keys()} - {str(checkout.path)})
    if others:
        raise ProjectError(
            f"{checkout.env_file} has no {environment.PROJECT_NAME}, and the ports of {others[0]}: it was "
            "copied from there. Nothing was changed.",
            f"Remove {checkout.env_file}; the next `scaffold run` writes one of its own.",
        )


def _locked_out(checkout: Checkout, name: str, place: str, *, there: bool) -> ProjectError:
    """Return what is said instead of generating a password that the database would turn down."""
    lost = f"{checkout.env_file} has no {name}" if there else f"There is no {checkout.env_file}"
    return ProjectError(
        f"{lost}, and {place} was made with a {name} that nothing here knows. Nothing was changed.",
        f"Put it back: `{name}=…` in {checkout.env_file}. If it is lost, put a new one there: `scaffold run` "
        "is turned down with it, and then `scaffold db --set-password` gives it to the database.",
    )
