"""Ask once whether the programs of a template may run on this machine, and show which ones they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.console import prompts
from scaffold.errors import ScaffoldError

if TYPE_CHECKING:
    from scaffold.generate.sources import Template
    from scaffold.generate.trust import Code

Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Let the template run its tasks and extensions, now and while they stay so."
    ),
]


def given(template: Template, *, trust: bool, migrations: bool = False) -> Template:
    """The template with leave to run its code, if it has any; an error if there is no leave.

    `migrations`: they would run too, as in an update, so that they need leave as well.
    """
    from scaffold.generate import trust as trusts

    code = trusts.code(template)
    if not (code.runs_at_all if migrations else code.runs_at_creation):
        return template
    trusts.check_installed(template, code)
    if not trusts.is_trusted(template.source, code):
        if not trust and not prompts.has_terminal():
            raise trusts.refusal(template)
        if not trust:
            console.note(described(template, code))
            if not prompts.confirm("Trust it, as long as it runs just this?", option="--trust"):
                raise ScaffoldError("Not trusted: nothing was done.")
        trusts.remember(template.source, code)
    return replace(template, is_trusted=True)


def described(template: Template, code: Code) -> str:
    """What a template would run, for a person to read."""
    version = f" {template.version}" if template.version else ""
    lines = [f"This template runs programs on this machine: {template.name}{version}, {template.source}"]
    return "\n".join((*lines, *listed(code)))


def listed(code: Code) -> tuple[str, ...]:
    """One line for each task, migration, extension and file."""
    kinds = {
        "task": code.tasks,
        "migration": code.migrations,
        "Jinja extension": code.extensions,
        "program": code.files,
    }
    return tuple(f"  {kind:<15}  {text}" for kind, texts in kinds.items() for text in texts)
