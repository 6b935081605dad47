"""Commands about images: images, build, pull. Containers stay: `scaffold run` puts images to use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import completion, options
from scaffold.cli.working import carry_out, changing, explained
from scaffold.errors import UsageError
from scaffold.project import checkout as checkouts
from scaffold.run.session import Session, opened

if TYPE_CHECKING:
    from scaffold.stack.everyday import ProjectImage
    from scaffold.stack.images import Made

CLEAN = "clean"


def images(
    action: Annotated[
        str | None,
        typer.Argument(
            metavar=f"[{CLEAN}]",
            help="Remove the project's images that nothing uses any more.",
            show_default=False,
            autocompletion=lambda: [CLEAN],
        ),
    ] = None,
    project: options.Project = options.HERE,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show the project's images, and the unused ones.

    Every build leaves the image before it without a name. `scaffold images clean` removes those of this
    project, and no other's; an image that any container still stands on stays.

    \b
    Examples:
      scaffold images
      scaffold images clean
      scaffold images clean --explain
    """
    if action not in (None, CLEAN):
        raise UsageError(f'"{action}" is not something to do with images.', f"There is `{CLEAN}`.")
    checkout = checkouts.find(project)
    if action == CLEAN:
        with changing(checkout, "images clean", no_wait=False, explain=explain) as (_, session):
            _clean(session, explain=explain, as_json=as_json)
        return
    with opened(checkout) as session:
        from scaffold.dockercli import typed
        from scaffold.engine.listing import images as reader

        if explain:
            explained(typed.images(session.desired), session.desired.project, as_json=as_json)
            return
        found = reader.of_project(session.engine, session.desired)
        name = session.desired.project
    console.result({"project": name, "images": found}, as_json=as_json, text=_table(found))


def _clean(session: Session, *, explain: bool, as_json: bool) -> None:
    from scaffold.dockercli import typed
    from scaffold.engine.listing import images as reader
    from scaffold.run import workflow

    name = session.desired.project
    workflow.observe(session)  # refuses a name that is another checkout's
    unused = [item for item in reader.of_project(session.engine, session.desired) if not item.used]
    if explain:
        references = [reference for item in unused for reference in item.tags or (item.short_id,)]
        explained(typed.remove_images(references), name, as_json=as_json)
        return
    removed = reader.remove(session.engine, unused)
    count = len(removed.ids)
    said = f"Removed {count} image{'' if count == 1 else 's'}, freed {console.size(removed.freed)}."
    document = {"project": name, "removed": removed.ids, "freed": removed.freed}
    console.result(document, as_json=as_json, text=said if count else "There is no unused image.")


def _table(found: tuple[ProjectImage, ...]) -> str:
    if not found:
        return "There is no image yet: `scaffold run` builds and pulls what is needed."
    from scaffold.console.tables import Column

    now = datetime.now(UTC)
    rows = [
        (
            item.name or "<none>",
            item.short_id,
            console.size(item.size),
            console.age(item.created, now),
            ", ".join(item.services) or ("a container" if item.used else "nothing"),
        )
        for item in found
    ]
    columns = ("IMAGE", Column("ID", drop=2), Column("SIZE", right=True), Column("AGE", drop=1), "USED BY")
    text = console.table(rows, columns)
    unused = sum(not item.used for item in found)
    return text + (f"\n\n{unused} not used any more: scaffold images clean" if unused else "")


def build(
    service: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE",
            help="One service; without it all that are built.",
            show_default=False,
            autocompletion=completion.services,
        ),
    ] = None,
    project: options.Project = options.HERE,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Repeat every step of the Dockerfile.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Look for a newer base image first.")] = False,
    profile: options.Profiles = None,
    allow_secret: options.AllowSecret = None,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    explain: options.Explain = False,
    show_secrets: options.ShowSecrets = False,
    as_json: options.Json = False,
) -> None:
    """Build images now, even when nothing changed.

    `scaffold run` builds by itself when a file of the image changed, and puts the new image to use.

    \b
    Examples:
      scaffold build
      scaffold build app --no-cache
      scaffold build --pull
    """
    checkout = checkouts.find(project)
    with changing(
        checkout,
        "build",
        no_wait=no_wait,
        explain=explain,
        profiles=tuple(profile or ()),
        write_env=True,
        allowed=frozenset(allow_secret or ()),
    ) as (cancellation, session):
        from scaffold.dockercli import explain as explaining
        from scaffold.run import workflow
        from scaffold.stack import images as planning

        situation = workflow.examine(session)
        before = situation.observed.images
        steps = planning.build(situation.desired, service, no_cache=no_cache, pull=pull)
        workflow.check_builds(session, steps)
        session.thorough = True
        if explain:
            lines = explaining.commands(
                steps, situation.desired, session.variables, show_secrets=show_secrets
            )
            explained(lines, situation.desired.project, as_json=as_json)
            return
        situation = replace(situation, plan=steps)
        carry_out(
            session,
            situation,
            cancellation,
            timeout=0.0,
            quiet=quiet,
            verbose=verbose,
        )
        after = workflow.after(session, situation).observed.images
    made = planning.made(steps, before, after)
    _ended(situation.desired.project, "built", made, as_json=as_json, quiet=quiet)


def pull(
    service: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE",
            help="One service; without it all that are not built.",
            show_default=False,
            autocompletion=completion.services,
        ),
    ] = None,
    project: options.Project = options.HERE,
    profile: options.Profiles = None,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Pull the newest images of services that are not built.

    \b
    Examples:
      scaffold pull
      scaffold pull db
    """
    checkout = checkouts.find(project)
    with changing(
        checkout,
        "pull",
        no_wait=no_wait,
        explain=explain,
        profiles=tuple(profile or ()),
        write_env=True,
    ) as (cancellation, session):
        from scaffold.dockercli import explain as explaining
        from scaffold.run import workflow
        from scaffold.stack import images as planning

        steps = planning.pull(session.desired, service)
        if explain:
            lines = explaining.commands(steps, session.desired, session.variables)
            explained(lines, session.desired.project, as_json=as_json)
            return
        situation = workflow.Situation(session.desired, workflow.observe(session), steps)
        before = situation.observed.images
        carry_out(session, situation, cancellation, timeout=0.0, quiet=quiet)
        after = workflow.observe(session).images
    made = planning.made(steps, before, after)
    _ended(session.desired.project, "pulled", made, as_json=as_json, quiet=quiet)


def _ended(project: str, done: str, images: tuple[Made, ...], *, as_json: bool, quiet: bool) -> None:
    if quiet and not as_json:
        return
    lines = [f"{item.name}: {'new' if item.changed else 'the same as before'}" for item in images]
    if any(item.changed for item in images):
        lines.append("`scaffold run` puts what is new to use.")
    text = "\n".join(lines) or f"There is no image that is {done}."
    console.result({"project": project, "images": images}, as_json=as_json, text=text)
