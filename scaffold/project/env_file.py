"""A checkout's .env: written once from .env.example, mode 0600. No Docker: what the engine knows comes in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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


def write(checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known]) -> None:
    """Write .env from .env.example; `known` is asked with the project's name and the example's variables."""
    with registry() as reserved:
        text, chosen = _filled(checkout, known, reserved)
        private.write(checkout.env_file, text)
        reserved.update(dict.fromkeys(chosen, str(checkout.path)))


def preview(checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known]) -> dict[str, str]:
    """Return the variables that `write` would write now, and write nothing."""
    with registry() as reserved:
        text, _ = _filled(checkout, known, reserved)
    return environment.parse(text)


def _filled(
    checkout: Checkout, known: Callable[[str, Mapping[str, str]], Known], reserved: Mapping[int, str]
) -> tuple[str, set[int]]:
    """Return the text of a new .env and the ports chosen in it."""
    example = checkout.path / ".env.example"
    try:
        text = files.text(example)
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{example} cannot be read: {files.why(error)}.", "Correct it.") from error
    declared = environment.parse(text)
    prefix = declared.get(environment.PROJECT_NAME) or checkout.path.name
    project = environment.unique(prefix, str(checkout.path))
    facts = known(project, declared)
    others = facts.taken - facts.own
    others |= {port for port, owner in reserved.items() if owner != str(checkout.path)}
    kept = {value for name, value in facts.variables.items() if name.endswith("_PORT")}
    chosen = {number for value in kept if (number := environment.port_of(value))}

    def port(wanted: int) -> int:
        found = free_port(wanted, others | chosen, facts.own)
        chosen.add(found)
        return found

    choices = environment.Choices(port=port, secret=lambda: os.urandom(16).hex())
    filled = environment.fill(text, str(checkout.path), checkout.path.name, choices, facts.variables)
    return filled, chosen
