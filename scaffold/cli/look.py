"""Commands that only look: status and logs."""

from __future__ import annotations

from typing import Annotated

import typer

from scaffold import console
from scaffold.cli import completion, options
from scaffold.cli.change import Where, place
from scaffold.cli.working import explained
from scaffold.errors import Interrupted
from scaffold.interrupt import Cancellation, Flag, on_signals
from scaffold.project import checkout as checkouts
from scaffold.run.session import opened


def status(
    where: Where = None,
    project: options.Project = options.HERE,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show services, URL, network, volumes, and what is out of date.

    \b
    Examples:
      scaffold status
      scaffold status --json
    """
    checkout = checkouts.find(place(where, project))
    with opened(checkout) as session:
        from scaffold.dockercli import typed
        from scaffold.run import workflow

        if explain:
            explained(typed.status(session.desired), session.desired.project, as_json=as_json)
            return
        situation = workflow.examine(session)
        sizes = workflow.volume_sizes(session, situation)
        for note in situation.notes if session.engine.machine else ():
            console.note(note)
    console.status(workflow.status_of(situation, sizes), as_json=as_json)


def logs(
    service: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE",
            help="One service; all without it.",
            show_default=False,
            autocompletion=completion.services,
        ),
    ] = None,
    project: options.Project = options.HERE,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[
        int | None, typer.Option("-n", "--tail", metavar="LINES", min=0, help="The last lines only.")
    ] = None,
    timestamps: Annotated[bool, typer.Option("-t", "--timestamps", help="Show when each line came.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="On a terminal too: every byte as the container printed it.")
    ] = False,
    explain: options.Explain = False,
) -> None:
    """Show what the containers print.

    A terminal gets the lines with their colours; other sequences in them, which could move its cursor or
    change its settings, are spelt out. A pipe or a file gets each line byte for byte.

    \b
    Examples:
      scaffold logs
      scaffold logs -f app
      scaffold logs db --tail 50
    """
    from scaffold.dockercli import typed
    from scaffold.engine.listing import logs as reader
    from scaffold.run import selection

    checkout = checkouts.find(project)
    ended = Flag()
    cancellation = Cancellation()
    with opened(checkout) as session:
        sources = selection.log_sources(session, service)
        if explain:
            names = [name for _, name in sources]
            lines = typed.logs(names, follow=follow, tail=tail, timestamps=timestamps)
            explained(lines, session.desired.project)
            return
        with on_signals(cancellation, lambda: None), cancellation.wakes(ended.set), cancellation.finishing():
            reader.show(
                session.engine,
                sources,
                console.log([label for label, _ in sources], ended.set, raw=raw),
                follow=follow,
                tail_lines="all" if tail is None else tail,
                timestamps=timestamps,
                stop=ended,
            )
    if cancellation.requested:
        raise typer.Exit(Interrupted.exit_code)
