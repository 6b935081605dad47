"""Commands that put a person inside a container: shell, exec, db. The docker command holds the terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from scaffold import console
from scaffold.cli import completion, options
from scaffold.cli.working import explained, working
from scaffold.errors import UsageError
from scaffold.project import checkout as checkouts
from scaffold.run.session import opened

Arguments = Annotated[list[str] | None, typer.Argument(metavar="ARGS", help="Passed on as they are.")]


def shell(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Where.", autocompletion=completion.services)
    ] = "app",
    project: options.Project = options.HERE,
    explain: options.Explain = False,
) -> None:
    """Open a shell inside a running container.

    It is bash where the image has one, otherwise sh. Its exit code is passed on.

    \b
    Examples:
      scaffold shell
      scaffold shell db
    """
    from scaffold.dockercli import typed
    from scaffold.engine import inside
    from scaffold.run import selection

    with opened(checkouts.find(project)) as session:
        container = selection.entered(session, service)
        name = session.desired.project
    if explain:
        why = "a shell beside its first process"
        explained(typed.inside(why, inside.flags(), container, inside.SHELL), name)
        return
    raise typer.Exit(inside.interactive(container, inside.SHELL))


def execute(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Where.", autocompletion=completion.services)
    ],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND [ARGS]...", help="What to run.")],
    project: options.Project = options.HERE,
    explain: options.Explain = False,
) -> None:
    """Run a command inside a running container.

    Its exit code is passed on.

    \b
    Examples:
      scaffold exec app env
      scaffold exec db df -h
      scaffold exec --explain app env
    """
    from scaffold.dockercli import typed
    from scaffold.engine import inside
    from scaffold.run import selection

    with opened(checkouts.find(project)) as session:
        container = selection.entered(session, service)
        name = session.desired.project
    if explain:
        why = "a command beside its first process"
        explained(typed.inside(why, inside.flags(), container, command), name)
        return
    raise typer.Exit(inside.interactive(container, command))


def db(
    arguments: Arguments = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            "-s",
            metavar="SERVICE",
            help="Which database, where there are several.",
            autocompletion=completion.services,
            show_default=False,
        ),
    ] = None,
    project: options.Project = options.HERE,
    set_password: Annotated[
        bool,
        typer.Option(
            "--set-password",
            help="Give the existing data the password that .env has now; nothing else changes.",
        ),
    ] = False,
    explain: options.Explain = False,
) -> None:
    """Open psql or mongosh, already logged in.

    \b
    Examples:
      scaffold db
      scaffold db -s reports
      scaffold db --set-password
      scaffold db -- -c 'select count(*) from items'
      scaffold db < script.sql
    """
    from scaffold.data import database as databases
    from scaffold.dockercli import typed
    from scaffold.engine import inside
    from scaffold.run import passwords, selection

    checkout = checkouts.find(project)
    with contextlib.ExitStack() as stack:
        if set_password and not explain:
            # It may stop the database and start it again.
            cancellation = stack.enter_context(working(checkout, "db --set-password", no_wait=False))
            stack.enter_context(cancellation.finishing())
        session = stack.enter_context(opened(checkout, changes=set_password and not explain))
        found = selection.database(session, service)
        if set_password and explain:
            raise UsageError(
                "--set-password is more than docker commands can say: it asks the database itself.",
                "Leave out --explain.",
            )
        if set_password:
            passwords.put(session, found)
            console.note(f"{found.service} has the password of .env now. Go on with `scaffold run`.")
            return
        container = selection.entered(session, found.service)
        name = session.desired.project
    command = databases.client_command(found, arguments or (), terminal=sys.stdin.isatty())
    if explain:
        explained(
            typed.inside("the database's own client, logged in", inside.flags(), container, command), name
        )
        return
    raise typer.Exit(inside.interactive(container, command))
