"""The command that looks at everything a run stands on, and mends what it can."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from scaffold import console
from scaffold.cli import options
from scaffold.cli.change import Where, place
from scaffold.console import prompts
from scaffold.doctor.finding import Finding
from scaffold.errors import UsageError
from scaffold.project import checkout as checkouts

ROUNDS = 3
"""A mended thing can show the next one: an installed engine is not running yet."""


def doctor(
    where: Where = None,
    project: options.Project = options.HERE,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended, after asking.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix: do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Check Docker, this machine and the project.

    Says how to mend what is wrong. Works outside of a project too. Exits with 1 when something is wrong.

    \b
    Examples:
      scaffold doctor
      scaffold doctor --fix
      scaffold doctor --json
    """
    folder = place(where, project).resolve()
    checkout = _checkout(folder)
    found = _examined(checkout, folder)
    tried: set[str] = set()
    for _ in range(ROUNDS if fix else 0):
        commands = [item for finding in found for item in finding.commands if item not in tried]
        if not sum(_mended(command, tried, yes=yes) for command in dict.fromkeys(commands)):
            break
        found = _examined(checkout, folder)
    console.checkup(found, as_json=as_json)
    if any(finding.state == "wrong" for finding in found):
        raise typer.Exit(1)


def _checkout(folder: Path) -> checkouts.Checkout | None:
    try:
        return checkouts.find(folder)
    except UsageError:
        if not folder.is_dir():
            raise
        return None


def _examined(checkout: checkouts.Checkout | None, folder: Path) -> tuple[Finding, ...]:
    from scaffold.doctor.examination import examine

    return examine(checkout, folder)


def _mended(command: str, tried: set[str], *, yes: bool) -> bool:
    """Run one command, after asking; its own output goes to standard error. Return whether it was run."""
    tried.add(command)
    if not yes and not prompts.confirm(f"Run `{command}`?", default=True, option="--yes"):
        return False
    console.note(f"$ {command}")
    done = subprocess.run(["sh", "-c", f"({command}) 1>&2"])
    if done.returncode != 0:
        console.warn(f"`{command}` failed with exit code {done.returncode}.")
    return True
