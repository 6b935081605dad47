"""`scaffold update` and `scaffold diff`: follow the template that a project was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaffold import console
from scaffold.cli import consent, options
from scaffold.console import prompts
from scaffold.errors import UsageError
from scaffold.generate import journal

if TYPE_CHECKING:
    from scaffold.generate.sources import Template
    from scaffold.generate.update import Consent, Update

AnswersFile = Annotated[
    str | None,
    typer.Option(
        "--answers-file",
        metavar="PATH",
        help="The answers file, where a project follows several templates.",
        show_default=False,
    ),
]


def update(
    project: options.Project = options.HERE,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="REF", help="A version of the template, instead of the newest one."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("-d", "--data", metavar="KEY=VALUE", help="Change an answer. Repeatable."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: new questions get their defaults.")
    ] = False,
    conflict: Annotated[
        str,
        typer.Option(
            "--conflict",
            metavar="inline|rej",
            help="Mark conflicts in the file, or keep yours and write a .rej file beside it.",
        ),
    ] = "inline",
    answers_file: AnswersFile = None,
    trust: consent.Trust = False,
    skip_tasks: Annotated[
        bool, typer.Option("--skip-tasks", help="Run no tasks and no migrations of the template.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the diff of what would change, and change nothing.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Bring the project to a newer version of its template.

    What the template changed between the two versions is merged into the project; what you changed stays.
    Files of a known format (YAML, TOML, JSON) are merged by key. What only you can decide is listed at the
    end, with what to do, and the exit code is 1. With -d at the newest version, what the answer brings is
    added. Everything has to be committed before; a killed update is undone by the next command. Programs of
    the template run only if you trust the old and the new version, and in a copy of the project.

    \b
    Examples:
      scaffold update --dry-run
      scaffold update
      scaffold update --to v2.1.0
      scaffold update -d github_actions=yes
    """
    from scaffold.console import updates
    from scaffold.generate import apply, update

    folder = folder_of(project)
    if not dry_run:
        apply.check(apply.locate(folder))
    wishes = update.Wishes(
        to=to,
        data=tuple(data or ()),
        answers_file=answers_file,
        style=_style(conflict),
        asking=not defaults and not as_json and prompts.has_terminal(),
        skip_tasks=skip_tasks,
        consent=looking(trust=trust) if skip_tasks else _working(trust=trust),
    )
    with update.prepared(folder, wishes) as prepared:
        if dry_run:
            _show(prepared, as_json=as_json)
        elif not prepared.is_nothing:
            prepared.apply()
        if not dry_run:
            console.result(
                updates.document(prepared, applied=not prepared.is_nothing),
                as_json=as_json,
                text=updates.text(prepared, applied=True),
            )
    if prepared.merge.conflicts:
        raise typer.Exit(1)


def diff(
    project: options.Project = options.HERE,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="REF", help="A version of the template, instead of the newest one."),
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Show what this project has changed since, instead.")
    ] = False,
    answers_file: AnswersFile = None,
    trust: consent.Trust = False,
    as_json: options.Json = False,
) -> None:
    """Show what an update would change, or what you have changed since.

    \b
    Examples:
      scaffold diff
      scaffold diff --to v2.1.0
      scaffold diff --mine
    """
    from scaffold.generate import update

    folder = folder_of(project)
    if mine and to is not None:
        raise UsageError("--mine compares with the version that the project has.", "Leave out --to.")
    if mine:
        with update.followed(folder, answers_file, committed=False, consent=looking(trust=trust)) as followed:
            drift, _ = update.drift(followed)
            text = drift.diff or f"Nothing of what the template wrote was changed since {followed.old.ref}."
            console.result(drift, as_json=as_json, text=text.rstrip("\n"))
        return
    wishes = update.Wishes(to=to, answers_file=answers_file, skip_tasks=True, consent=looking(trust=trust))
    with update.prepared(folder, wishes) as prepared:
        _show(prepared, as_json=as_json)


def _show(prepared: Update, *, as_json: bool) -> None:
    from scaffold.console import updates

    patch = prepared.diff()
    document = {**updates.document(prepared, applied=False), "diff": patch}
    said = updates.text(prepared, applied=False)
    console.result(document, as_json=as_json, text=f"{patch}\n{said}" if patch else said)


def folder_of(project: Path) -> Path:
    """Return the folder of a project, with an update that was cut off undone."""
    folder = project.resolve()
    if not folder.is_dir():
        raise UsageError(f"{project} is not a folder.", "Give the path of a project.")
    if journal.recover(folder):
        console.note("An update that was cut off has been undone first.")
    return folder


def _working(*, trust: bool) -> Consent:
    """Ask before the code of a version runs: tasks, migrations and extensions."""
    return lambda template: consent.given(template, trust=trust, migrations=True)


def looking(*, trust: bool) -> Consent:
    """Ask only where a version cannot even be rendered without its code: no task runs."""
    from scaffold.generate import trust as trusts

    def given(template: Template) -> Template:
        has_extensions = bool(trusts.code(template).extensions)
        return consent.given(template, trust=trust) if has_extensions else template

    return given


def _style(conflict: str) -> Literal["inline", "rej"]:
    match conflict:
        case "inline" | "rej":
            return conflict
        case _:
            raise UsageError(f"--conflict {conflict}: choose inline or rej.")
