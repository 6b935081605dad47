"""Commands about all projects on the engine: list, clean. They need no project around them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import completion, options
from scaffold.cli.working import explained, politely
from scaffold.console import prompts
from scaffold.errors import ScaffoldError, UsageError
from scaffold.interrupt import Cancellation
from scaffold.project import checkout as checkouts
from scaffold.stack import environment

if TYPE_CHECKING:
    from scaffold.engine.client import Engine
    from scaffold.stack.plan import Plan
    from scaffold.stack.projects import Data, Project, Remains


def list_projects(
    everybody: Annotated[
        bool, typer.Option("--all", "-a", help="Also the Compose projects that scaffold did not make.")
    ] = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show all projects on this engine.

    Where they are, whether they run, how much data they have. A project whose folder no longer exists is
    marked; `scaffold clean` removes what is left of it.

    \b
    Examples:
      scaffold list
      scaffold list --all --json
    """
    if explain:
        from scaffold.dockercli import typed

        explained(typed.projects(), as_json=as_json)
        return
    from scaffold.engine.client import Engine
    from scaffold.engine.listing import projects

    with Engine() as engine:
        found = [item for item in projects.every(engine, _known()) if item.ours or everybody]
    document = [asdict(item) | {"data_size": item.data_size} for item in found]
    text = _table(found) if found else "There is no project on this engine. Begin with `scaffold new myapp`."
    console.result({"projects": document}, as_json=as_json, text=text)


def _known() -> dict[str, str]:
    """Return name and folder of the project around this folder: it may have been moved here."""
    with contextlib.suppress(ScaffoldError):
        checkout = checkouts.find(Path())
        name = checkout.variables.get(environment.PROJECT_NAME)
        return {name: str(checkout.path)} if name else {}
    return {}


def _table(found: Sequence[Project]) -> str:
    from scaffold.console.tables import Column

    rows = [
        (
            item.name,
            item.state if item.state != "absent" else "no container",
            _data(item.volumes, item.data_size),
            item.path or "unknown",
            _note(item),
        )
        for item in found
    ]
    columns = ("PROJECT", "STATE", Column("DATA", drop=2, right=True), Column("FOLDER", drop=1), "NOTE")
    return console.table(rows, columns)


def _data(volumes: Sequence[Data], size: int | None) -> str:
    if not volumes:
        return "none"
    return console.size(size) if size is not None else f"{len(volumes)} of unknown size"


def _note(item: Project) -> str:
    if item.gone:
        return "the folder is gone"
    if item.ours and not item.in_sight:
        return "runs, but its folder is out of sight"
    if item.moved_from:
        return f"moved from {item.moved_from}"
    return "" if item.ours else "not made by scaffold"


def clean(
    projects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PROJECT]...",
            help="Only these; without them every one whose folder is gone.",
            autocompletion=completion.gone_projects,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Data still stays.")] = False,
    delete_data: Annotated[
        list[str] | None,
        typer.Option(
            "--delete-data",
            metavar="VOLUME",
            help="Delete this volume too: consent to losing what is in it. Repeatable.",
            autocompletion=completion.gone_volumes,
        ),
    ] = None,
    explain: options.Explain = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Remove what projects left whose folder is gone.

    That is containers, networks and images. It shows what would go, and asks. Data goes only by name: each
    volume named with --delete-data, or typed when asked. What scaffold did not make is never touched, nor
    what belongs to a folder that exists, what runs, or a container with a volume without a name, or with a
    database in itself.

    \b
    Examples:
      scaffold clean
      scaffold clean --yes
      scaffold clean myapp-1a2b3c4d --delete-data myapp-1a2b3c4d_db-data
    """
    named = tuple(delete_data or ())
    from scaffold.engine import oneoff
    from scaffold.engine.client import Engine
    from scaffold.engine.listing import projects as reader
    from scaffold.run import guard
    from scaffold.stack import projects as planning

    with Engine() as engine:
        gone = _gone(engine, tuple(projects or ()))
        _check_named(named, gone)
        left = tuple(
            replace(item, holding=guard.holding(engine, item.project.name, item.observed.containers))
            for item in reader.remains(engine, gone)
        )
        _check_used(named, left)
        staying = planning.staying(left)
        steps = planning.cleaning(left, named)
        if explain:
            from scaffold.dockercli import explain as explaining

            explained(explaining.commands(steps, planning.NOWHERE, {}), as_json=as_json)
            return
        if steps.changes and not yes:
            console.announce(steps, "What is left of projects without a folder")
            if not prompts.confirm("Remove all this?", option="--yes"):
                raise ScaffoldError("Nothing was removed.")
        if not yes:
            named = (*named, *_typed(_data_of(gone, but=named)))
            steps = planning.cleaning(left, named)
        reader.still_gone(engine, left)
        for item in gone:
            oneoff.sweep(engine, item.name)
        _remove(engine, steps, quiet=quiet)
    kept = _data_of(gone, but=named)
    document = {
        "projects": [item.name for item in gone],
        "removed": removed(steps),
        "kept": kept,
    }
    for note in staying:
        console.note(note)
    if as_json or not quiet:
        console.result(document, as_json=as_json, text=_said(gone, steps, kept))


def _gone(engine: Engine, asked: Collection[str]) -> tuple[Project, ...]:
    """Return the projects to clean up. Raises UsageError for a name that is none of them."""
    from scaffold.engine.listing import projects

    if not engine.is_local:
        raise UsageError(
            "This engine is on another machine: whether a project's folder exists there cannot be seen.",
            "Run `scaffold clean` on that machine.",
        )
    every = {item.name: item for item in projects.every(engine, _known()) if item.ours}
    gone = tuple(item for item in every.values() if item.gone)
    for name in asked:
        if name not in every:
            known = ", ".join(item.name for item in gone) or "none"
            raise UsageError(f"There is no project {name} on this engine.", f"Without a folder: {known}.")
        if not every[name].in_sight and not every[name].gone:
            raise UsageError(
                f"Project {name} is running: its folder {every[name].path} is not gone, but out of sight.",
                f"If it is not needed: `docker stop {' '.join(every[name].running)}`, then again.",
            )
        if not every[name].gone:
            raise UsageError(
                f"Project {name} has its folder: {every[name].path}.",
                f"Remove it with `scaffold destroy -C {every[name].path}`.",
            )
    return tuple(item for item in gone if not asked or item.name in asked)


def _check_named(named: Iterable[str], gone: Sequence[Project]) -> None:
    volumes = [volume.name for item in gone for volume in item.volumes]
    for name in named:
        if name not in volumes:
            raise UsageError(
                f"--delete-data {name}: no project without a folder has that volume. Nothing was removed.",
                f"Theirs: {', '.join(volumes) or 'none'}.",
            )


def _check_used(named: Iterable[str], left: Sequence[Remains]) -> None:
    """Raise UsageError for a volume of a container that is not removed."""
    for name in named:
        user = next((kept.name for item in left for kept in item.apart.others if name in kept.volumes), None)
        if user is not None:
            raise UsageError(
                f"--delete-data {name}: container {user} uses it, and stays: what it has in itself, or in a "
                "volume without a name, may be data. Nothing was removed.",
                f"`docker rm {user}` removes that container and keeps its volumes.",
            )


def _data_of(gone: Iterable[Project], but: Collection[str]) -> tuple[Data, ...]:
    return tuple(volume for item in gone for volume in item.volumes if volume.name not in but)


def _typed(volumes: Iterable[Data]) -> tuple[str, ...]:
    """Return the volumes whose names the person types; an empty answer keeps one."""
    chosen = []
    for volume in volumes if prompts.has_terminal() else ():
        size = f" ({console.size(volume.size)})" if volume.size is not None else ""
        question = (
            f"Data in {volume.name}{size} stays. Type its name to delete it for good, or Enter to keep it:"
        )
        typed = prompts.text(question)
        if typed == volume.name:
            chosen.append(volume.name)
        elif typed:
            console.note(f'"{typed}" is not its name: it stays.')
    return tuple(chosen)


def _remove(engine: Engine, steps: Plan, *, quiet: bool) -> None:
    from scaffold.engine.apply import Work, apply
    from scaffold.stack import projects as planning

    cancellation = Cancellation()
    with politely(cancellation), console.progress(steps, quiet=quiet) as report:
        apply(steps, Work(planning.NOWHERE, engine, report, lambda _: "", cancellation))


def removed(steps: Plan) -> list[dict[str, str]]:
    """Return what a plan removes, by kind and name."""
    from scaffold.stack.steps import words

    found = [words(step) for step in steps.changes]
    return [{"kind": kind, "name": name} for verb, kind, name in found if verb == "remove"]


def _said(gone: Sequence[Project], steps: Plan, kept: Sequence[Data]) -> str:
    if not gone:
        return "Nothing to clean: every project on this engine has its folder."
    lines = [f"Removed what was left of {', '.join(item.name for item in gone)}."] if steps.changes else []
    for volume in kept:
        size = f" ({console.size(volume.size)})" if volume.size is not None else ""
        lines.append(f"Data stays in {volume.name}{size}: scaffold clean --delete-data {volume.name}")
    return "\n".join(lines)
