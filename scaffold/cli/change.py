"""Commands that change what is on the engine: run, plan, stop, down, destroy."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import options
from scaffold.cli.working import carry_out, changing, explained, tear_down, told, working
from scaffold.console import prompts
from scaffold.errors import Interrupted, ScaffoldError, UsageError
from scaffold.interrupt import Cancellation, Flag, on_signals
from scaffold.project import checkout as checkouts
from scaffold.run.clock import Clock
from scaffold.run.session import Session, opened

if TYPE_CHECKING:
    from scaffold.run.workflow import Situation
    from scaffold.stack.plan import Plan

Where = Annotated[
    Path | None,
    typer.Argument(metavar="DIR", help="The same as -C.", show_default=False),
]


def run(
    where: Where = None,
    project: options.Project = options.HERE,
    build: Annotated[bool, typer.Option("--build", help="Build images even when nothing changed.")] = False,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Replace every container even when nothing changed.")
    ] = False,
    attach: Annotated[
        bool, typer.Option("--attach", "-a", help="Follow the logs; Ctrl-C then stops the project.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    explain: options.Explain = False,
    timings: Annotated[bool, typer.Option("--timings", help="Show at the end where the time went.")] = False,
    profile: options.Profiles = None,
    new_data: Annotated[
        list[str] | None,
        typer.Option(
            "--new-data",
            metavar="NAME",
            help="Begin without data under this name, although there is some that may be meant.",
        ),
    ] = None,
    timeout: options.Timeout = 120.0,
    allow_secret: options.AllowSecret = None,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    show_secrets: options.ShowSecrets = False,
    as_json: options.Json = False,
) -> None:
    """Build, start and prove the project and its database.

    Returns once the project is proven healthy. The first time it writes .env: names of this checkout's own,
    free ports, a generated password. Run again, it changes only what differs. Data is never removed.

    \b
    Examples:
      scaffold run
      scaffold run --attach
      scaffold run path/to/myapp --json
    """
    if attach and as_json:
        raise UsageError("--attach shows logs and --json one document: only one of them can be had.")
    checkout = checkouts.find(place(where, project))
    profiles = tuple(profile or ())
    clock = Clock()
    with contextlib.ExitStack() as stack:
        if dry_run or explain:
            cancellation = Cancellation()
        else:
            cancellation = stack.enter_context(working(checkout, "run", no_wait=no_wait))
        acts = not (dry_run or explain)
        session = stack.enter_context(
            opened(
                checkout,
                profiles=profiles,
                write_env=acts,
                changes=acts,
                allowed=frozenset(allow_secret or ()),
            )
        )
        session.new_data = tuple(new_data or ())
        # Compose is at work already; these take as long as it does.
        with clock.phase("import"):
            from scaffold.run import workflow
            from scaffold.stack.plan import Wishes

        wishes = Wishes(build=build, recreate=recreate, show_secrets=show_secrets, new_data=session.new_data)
        situation = workflow.examine(session, wishes, clock)
        workflow.check_builds(session, situation.plan)
        situation = workflow.guarded(session, situation, wishes, clock)
        if dry_run or explain:
            told(situation, quiet=quiet)
            _show(situation, session, commands=explain, show_secrets=show_secrets, as_json=as_json)
            return
        with clock.phase("check ports"):
            workflow.check_ports(session, situation)
        images = workflow.images_first(situation)
        if images:
            if not quiet:
                console.announce(images.plan, session.desired.project)
            with clock.phase("make the images"):
                carry_out(session, images, cancellation, timeout, quiet=quiet, verbose=verbose)
            wishes = replace(wishes, made=workflow.images_made(images))
            situation = workflow.guarded(session, workflow.examine(session, wishes, clock), wishes, clock)
        told(situation, quiet=quiet)
        workflow.settle_in(session)
        moved = workflow.moved_from(situation)
        if moved and not quiet:
            console.note(f"This project was in {moved} before. It goes on here, with its data.")
        if situation.plan.changes and not quiet:
            _tell_of_git(checkout)
        if situation.observed.containers and situation.plan.changes and not quiet:
            console.announce(situation.plan, session.desired.project)
        situation = workflow.proving(situation)
        began = clock.now()
        with clock.phase("apply"):
            applied = carry_out(session, situation, cancellation, timeout, quiet=quiet, verbose=verbose)
        with clock.phase("read the result"):
            after = workflow.after(session, situation)
            workflow.look_again(session, after, cancellation)
    if as_json:
        console.status(workflow.status_of(after), as_json=True)
    elif not quiet and not attach:
        ended = workflow.summary(situation, after, clock.now(), show_secrets=show_secrets)
        console.summary(ended, as_json=False, show_secrets=show_secrets)
    if timings:
        from scaffold.stack import timings as measured

        phases = tuple(clock.phases)
        console.timings(measured.explain(phases, clock.now(), situation.plan, applied.spans, began))
    if attach:
        _attach(checkout, profiles)


def env(
    where: Where = None,
    project: options.Project = options.HERE,
    export: Annotated[
        bool,
        typer.Option(
            "--export", help="Print the project's secrets, quoted for a shell: what printed commands use."
        ),
    ] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="Choose free ports anew, and keep everything that is your own.")
    ] = False,
    rename: Annotated[
        str | None,
        typer.Option(
            "--rename",
            metavar="NAME",
            help="Give the project another name; refused while the old one has containers or volumes.",
            show_default=False,
        ),
    ] = None,
    profile: options.Profiles = None,
    show_secrets: options.ShowSecrets = False,
    as_json: options.Json = False,
) -> None:
    """Write .env, or add to it what .env.example has and it has not.

    `scaffold run` does it by itself. It holds names of this checkout's own, free ports and generated
    passwords; its mode is 0600.

    \b
    Examples:
      scaffold env && docker compose up --wait
      scaffold env --renew
      scaffold env --rename myapp-two
    """
    checkout = checkouts.find(place(where, project))
    if sum((export, renew, rename is not None)) > 1:
        raise UsageError("--export, --renew and --rename are three things: give one of them.")
    if export:
        _export(checkout, tuple(profile or ()), show_secrets=show_secrets, as_json=as_json)
        return
    with working(checkout, "env", no_wait=False):
        there = checkout.env_file.exists()
        with opened(checkout, write_env=True) as session:
            variables = session.variables
            changed = session.renew() if renew else {}
            if rename is not None:
                from scaffold.run import claims

                claims.rename(session.engine, checkout, rename)
            for note in session.notes:
                console.note(note)
    _tell_of_git(checkout)
    said = f"{checkout.env_file} is there already." if there else f"Wrote {checkout.env_file}."
    if renew:
        lines = [f"{name} is {now} now; it was {before}." for name, (before, now) in changed.items()]
        said = "\n".join(lines) or "Every port is free, or this project's own: nothing has changed."
    if rename is not None:
        said = f"The project is called {rename} now."
    document = {
        "path": str(checkout.env_file),
        "written": not there,
        "changed": sorted(changed),
        "variables": sorted(variables),
    }
    console.result(document, as_json=as_json, text=said)


def _export(
    checkout: checkouts.Checkout, profiles: tuple[str, ...], *, show_secrets: bool, as_json: bool
) -> None:
    if sys.stdout.isatty() and not show_secrets:
        raise UsageError(
            "These are the project's secrets, and this is a terminal.",
            'A shell learns them with `eval "$(scaffold env --export)"`; --show-secrets shows them here.',
        )
    with opened(checkout, profiles=profiles) as session:
        from scaffold.dockercli import explain

        found = explain.holders(session.desired, session.variables)
    console.result({"secrets": found}, as_json=as_json, text=explain.exported(found))


def plan(
    where: Where = None,
    project: options.Project = options.HERE,
    profile: options.Profiles = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 2 when there is something to do.")
    ] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Show the docker commands that a person would type for it.")
    ] = False,
    allow_secret: options.AllowSecret = None,
    show_secrets: options.ShowSecrets = False,
    as_json: options.Json = False,
) -> None:
    """Show what `scaffold run` would do, step by step, and why.

    \b
    Examples:
      scaffold plan
      scaffold plan --commands
      scaffold plan --exit-code --json
    """
    checkout = checkouts.find(place(where, project))
    allowed = frozenset(allow_secret or ())
    with opened(checkout, profiles=tuple(profile or ()), allowed=allowed) as session:
        from scaffold.run import workflow
        from scaffold.stack.plan import Wishes

        situation = workflow.examine(session, Wishes(show_secrets=show_secrets))
        workflow.check_builds(session, situation.plan)
        situation = workflow.guarded(session, situation)
        told(situation)
        _show(situation, session, commands=commands, show_secrets=show_secrets, as_json=as_json)
    if exit_code and situation.plan.changes:
        raise typer.Exit(2)


def stop(
    where: Where = None,
    project: options.Project = options.HERE,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Stop the project's containers; they stay, and so does the data.

    \b
    Examples:
      scaffold stop
      scaffold stop --explain
    """
    checkout = checkouts.find(place(where, project))
    with changing(checkout, "stop", no_wait=no_wait, explain=explain) as (cancellation, session):
        from scaffold.run import workflow
        from scaffold.stack import plan as planning

        steps = planning.stop(session.desired, workflow.observe(session))
        if explain:
            _commands(session, steps, as_json=as_json)
            return
        tear_down(session, steps, cancellation, quiet=quiet)
    said = "Stopped. `scaffold run` starts it again." if steps.changes else "Nothing was running."
    _ended(session, steps, said, as_json=as_json, quiet=quiet)


def down(
    where: Where = None,
    project: options.Project = options.HERE,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Remove the project's containers and networks; the data stays.

    \b
    Examples:
      scaffold down
      scaffold down --explain
    """
    checkout = checkouts.find(place(where, project))
    with changing(checkout, "down", no_wait=no_wait, explain=explain) as (cancellation, session):
        from scaffold.run import workflow
        from scaffold.stack import plan as planning

        observed = workflow.observe(session)
        steps = planning.teardown(session.desired, observed, "the project is taken down")
        if explain:
            _commands(session, steps, as_json=as_json)
            return
        workflow.removable(session, observed, steps)
        workflow.remember(session, observed)
        tear_down(session, steps, cancellation, quiet=quiet)
    kept = workflow.keeping_data(session.desired, observed)
    said = "Removed." if steps.changes else "There was nothing to remove."
    said += f" The data stays in volume {', '.join(kept)}." if kept else ""
    lost = _nameless(planning.nameless(observed))
    said += lost + _others(planning.others(observed))
    _ended(session, steps, said, as_json=as_json, quiet=quiet, data=lost)


def destroy(
    where: Where = None,
    project: options.Project = options.HERE,
    yes_delete_data: Annotated[
        str | None,
        typer.Option(
            "--yes-delete-data", metavar="NAME", help="Consent without a prompt: the project's full name."
        ),
    ] = None,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Remove the project from the engine, its DATA included.

    Containers, networks, volumes and built images go, once the project's name is typed. The folder, .env
    included, stays as it is.

    \b
    Examples:
      scaffold destroy
      scaffold destroy --yes-delete-data myapp-1a2b3c4d
    """
    checkout = checkouts.find(place(where, project))
    with changing(checkout, "destroy", no_wait=no_wait, explain=explain) as (cancellation, session):
        from scaffold.run import workflow
        from scaffold.stack import plan as planning

        _check_name(session.desired.project, yes_delete_data)
        observed = workflow.observe(session)
        found = workflow.destruction(session, observed)
        steps = found.plan
        if explain:
            _commands(session, steps, as_json=as_json)
            return
        if steps.changes and yes_delete_data is None:
            _consent(session.desired.project, steps)
        tear_down(session, steps, cancellation, quiet=quiet)
    left = _nameless(planning.nameless(observed))
    kept = planning.strange_volumes(session.desired, observed)
    left += "".join(
        f"\nVolume {name} stays: nothing says that this compose.yaml made it. `docker volume rm {name}` "
        "removes it."
        for name in kept
    )
    left += _others((*found.kept, *planning.others(observed)))
    if not left:
        workflow.move_out(session)
    said = f"Removed.{left}" if left else "Nothing of it is left on the engine."
    _ended(session, steps, said, as_json=as_json, quiet=quiet, data=left)


def _others(notes: tuple[str, ...]) -> str:
    return "".join(f"\n{note}" for note in notes)


def _nameless(volumes: tuple[tuple[str, str, str], ...]) -> str:
    """Return what is to be said of volumes without a name of their own, which nothing will find again."""
    lines = [f"\n  {volume}  ({service}: {target})" for service, target, volume in volumes]
    if not lines:
        return ""
    return "\nWhat was in volumes without a name stays, until `docker volume rm` names it:" + "".join(lines)


def _check_name(project: str, named: str | None) -> None:
    """Raise UsageError for another project's name, also where there is nothing to remove."""
    if named is not None and named != project:
        raise UsageError(
            f'"{named}" is not this project\'s name: nothing was removed.', f"Its name is {project}."
        )


def _consent(project: str, steps: Plan) -> None:
    console.announce(steps, project)
    prompts.confirm_name(
        project,
        f"This deletes data for good. Type {project} to go on:",
        option=f"--yes-delete-data {project}",
    )


def _commands(session: Session, steps: Plan, *, as_json: bool) -> None:
    """Print the docker commands for a plan that stops or removes."""
    from scaffold.dockercli import explain

    lines = explain.commands(steps, session.desired, session.variables)
    explained(lines, session.desired.project, as_json=as_json)


def _tell_of_git(checkout: checkouts.Checkout) -> None:
    """Say that git would take .env, where it would."""
    from scaffold.project import unignored

    if found := unignored.state(checkout):
        console.warn(f"{unignored.sentence(found)} `scaffold doctor --fix` keeps it out, after asking.")


def _show(
    situation: Situation, session: Session, *, commands: bool, show_secrets: bool, as_json: bool
) -> None:
    """Print a plan, or the docker commands for it."""
    if not commands:
        from scaffold.run import workflow

        console.plan(workflow.telling(situation).plan, session.desired.project, as_json=as_json)
        return
    from scaffold.dockercli import explain
    from scaffold.run import workflow

    desired = workflow.hashed(session, situation).desired
    lines = explain.commands(situation.plan, desired, session.variables, show_secrets=show_secrets)
    if lines and not session.checkout.env_file.exists():
        lines = (explain.Command("names, ports and passwords of this checkout, once", "scaffold env"), *lines)
        console.note("Without .env this is a sketch. After `scaffold env`, ask again for the exact commands.")
    explained(lines, session.desired.project, as_json=as_json)


def place(where: Path | None, project: Path) -> Path:
    """Return the folder given, whichever way; raise UsageError when both are."""
    if where is not None and project != options.HERE:
        raise UsageError("The project's folder is given twice: as an argument and with -C.")
    return where or project


def _ended(session: Session, steps: Plan, said: str, *, as_json: bool, quiet: bool, data: str = "") -> None:
    """Print how a command ended; `data`, what stays and nothing will find again, is said when quiet too."""
    document = {"project": session.desired.project, "changes": len(steps.changes), "message": said}
    if as_json or not quiet:
        console.result(document, as_json=as_json, text=said)
    elif data:
        console.note(data.strip())


def _attach(checkout: checkouts.Checkout, profiles: tuple[str, ...]) -> None:
    """Follow the logs until Ctrl-C, then stop the project; end also when everything has ended by itself."""
    from scaffold.engine.listing import logs
    from scaffold.run import selection, workflow
    from scaffold.stack import plan as planning

    interrupted = Flag()
    cancellation = Cancellation()
    with opened(checkout, profiles=profiles) as session:
        console.note("Following the logs. Ctrl-C stops the project.")
        with (
            on_signals(cancellation, lambda: console.note("Stopping …")),
            cancellation.wakes(interrupted.set),
            # Ctrl-C stops the project, whenever it comes.
            cancellation.finishing(),
        ):
            sources = selection.log_sources(session, None)
            write = console.log([label for label, _ in sources], cancellation.request)
            logs.show(session.engine, sources, write, follow=True, tail_lines=20, stop=interrupted)
            if cancellation.requested:
                with working(checkout, "run --attach", no_wait=False) as stopping:
                    steps = planning.stop(session.desired, workflow.observe(session))
                    tear_down(session, steps, stopping, quiet=False)
    if cancellation.requested:
        raise Interrupted("Stopped.", "`scaffold run` starts it again.")
    raise ScaffoldError("Every container has ended.", "See `scaffold status`.")
