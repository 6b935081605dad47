"""The docker words for one project: ps, stats, events, volumes, networks, restart, kill, cp."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import completion, options
from scaffold.cli.working import carry_out, changing, explained, told
from scaffold.errors import Interrupted, ScaffoldError, UsageError
from scaffold.interrupt import Cancellation, Flag, on_signals
from scaffold.project import checkout as checkouts
from scaffold.run.session import opened

if TYPE_CHECKING:
    from scaffold.stack.everyday import Attachment, Event, ProjectNetwork, ProjectVolume, Usage

OneService = Annotated[
    str | None,
    typer.Argument(
        metavar="SERVICE",
        help="One service; all without it.",
        show_default=False,
        autocompletion=completion.services,
    ),
]
Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="Which one.", autocompletion=completion.services)
]


def ps(
    project: options.Project = options.HERE,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show the project's containers, the stopped ones too.

    `scaffold status` says more: what is missing, what is out of date, where the data is.

    \b
    Examples:
      scaffold ps
      scaffold ps --json
    """
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.run import workflow
        from scaffold.stack import status

        if explain:
            explained(typed.containers(session.desired), session.desired.project, as_json=as_json)
            return
        found = status.containers(session.desired, workflow.observe(session))
        name = session.desired.project
    text = console.services(found) if found else "There is no container. `scaffold run` makes them."
    console.result({"project": name, "containers": found}, as_json=as_json, text=text)


def stats(
    service: OneService = None,
    project: options.Project = options.HERE,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Measure again every second until Ctrl-C.")
    ] = False,
    explain: options.Explain = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON document; with --follow one on each line."),
    ] = False,
) -> None:
    """Show the processor, memory and traffic of each container.

    100 % is one whole core. Traffic counts from the container's start.

    \b
    Examples:
      scaffold stats
      scaffold stats app --follow
      scaffold stats --json
    """
    stop = Flag()
    cancellation = Cancellation()
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.engine.listing import usage
        from scaffold.run import selection

        name = session.desired.project
        names = selection.running(session, service)
        if explain:
            lines = typed.stats([container for _, container in names], follow=follow)
            explained(lines, name, as_json=as_json)
            return
        show = console.repeated()
        with on_signals(cancellation, lambda: None), cancellation.wakes(stop.set), _quietly():
            for found in usage.measure(session.engine, names, pause=1.0, stop=stop):
                document = {"project": name, "time": datetime.now(UTC), "containers": found}
                if not follow:
                    console.result(document, as_json=as_json, text=_usage(found))
                    return
                heard = console.item(document, as_json=True, text="") if as_json else show(_usage(found))
                if not heard or not found:
                    break
    if cancellation.requested:
        raise typer.Exit(Interrupted.exit_code)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let Ctrl-C end what only goes on until then, without a word."""
    with contextlib.suppress(KeyboardInterrupt):
        yield


def _usage(found: tuple[Usage, ...]) -> str:
    from scaffold.console.tables import Column

    rows = [
        (item.service, item.container, "unknown", "unknown", "", "", "", "")
        if not item.measured
        else (
            item.service,
            item.container,
            f"{item.cpu_percent:.1f} %",
            console.size(item.memory),
            f"{item.memory / item.memory_limit:.1%}" if item.memory_limit else "",
            f"{console.size(item.received)} / {console.size(item.sent)}",
            f"{console.size(item.read)} / {console.size(item.written)}",
            str(item.processes),
        )
        for item in sorted(found, key=lambda item: item.container)
    ]
    columns = (
        "SERVICE",
        Column("CONTAINER", drop=5),
        Column("CPU", right=True),
        Column("MEMORY", right=True),
        Column("OF LIMIT", drop=1, right=True),
        Column("NET IN / OUT", drop=2, right=True),
        Column("DISK READ / WRITTEN", drop=4, right=True),
        Column("PROCESSES", drop=3, right=True),
    )
    return console.table(rows, columns)


_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def events(
    project: options.Project = options.HERE,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Begin in the past: 10m, 2h, 1d, or a time such as 2026-01-31T08:00.",
            show_default=False,
        ),
    ] = None,
    inside: Annotated[
        bool, typer.Option("--exec", help="Also what is executed inside containers, health checks among it.")
    ] = False,
    explain: options.Explain = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as JSON on a line.")] = False,
) -> None:
    """Follow what happens to the project on the engine until Ctrl-C.

    The engine remembers its last 256 events, of all projects together: --since reaches no further back.

    \b
    Examples:
      scaffold events
      scaffold events --since 10m
      scaffold events --json
    """
    begin = when(since, datetime.now(UTC)) if since else None
    stop = Flag()
    cancellation = Cancellation()
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.engine.listing import events as reader

        if explain:
            explained(typed.events(session.desired, begin), session.desired.project, as_json=as_json)
            return

        def write(event: Event) -> None:
            if not console.item(event, as_json=as_json, text=_event(event)):
                stop.set()

        with on_signals(cancellation, lambda: None), cancellation.wakes(stop.set), _quietly():
            stream = reader.listen(session.engine, since=begin)
            console.note(f"Following {session.desired.project}. Ctrl-C ends it.")
            reader.follow(stream, session.desired, write, stop, inside=inside)
    if cancellation.requested:
        raise typer.Exit(Interrupted.exit_code)


def when(text: str, now: datetime) -> datetime:
    """Return the moment that `--since` names. Raises UsageError when it names none."""
    duration = _DURATION.fullmatch(text)
    try:
        if duration:
            return now - timedelta(seconds=int(duration[1]) * _UNITS[duration[2]])
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the second one: before the year 1
        raise UsageError(
            f"--since {text}: that is neither a duration nor a time.", "Examples: 10m, 2h, 2026-01-31T08:00."
        ) from error


def _event(event: Event) -> str:
    local = event.time.astimezone()
    code = f"exit code {event.exit_code}" if event.exit_code is not None else ""
    facts = ", ".join(filter(None, (code, event.detail)))
    return f"{local:%H:%M:%S.}{local.microsecond // 1000:03} {event.kind} {event.name}: {event.action}" + (
        f" ({facts})" if facts else ""
    )


def volumes(
    project: options.Project = options.HERE,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show the volumes: how large, how old, who is attached.

    \b
    Examples:
      scaffold volumes
      scaffold volumes --json
    """
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.engine.listing import holdings

        if explain:
            explained(typed.volumes(session.desired), session.desired.project, as_json=as_json)
            return
        found = holdings.volumes(session.engine, session.desired)
        name = session.desired.project
    text = _volumes(found) if found else "The project has no volume."
    console.result({"project": name, "volumes": found}, as_json=as_json, text=text)


def _volumes(found: tuple[ProjectVolume, ...]) -> str:
    from scaffold.console.tables import Column

    now = datetime.now(UTC)
    rows = [
        (
            item.name,
            console.size(item.size) if item.size is not None else "",
            console.age(item.created, now) if item.created else "",
            _attached(item.attached),
            _standing(exists=item.exists, declared=item.declared, external=item.external),
        )
        for item in found
    ]
    columns = (
        "VOLUME",
        Column("SIZE", right=True),
        Column("AGE", drop=2),
        "ATTACHED",
        Column("NOTE", drop=1),
    )
    return console.table(rows, columns)


def networks(
    project: options.Project = options.HERE,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Show the networks: addresses, age, who is attached.

    Containers on one network reach each other by the names of their services: the database is `db`, not
    localhost.

    \b
    Examples:
      scaffold networks
      scaffold networks --json
    """
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.engine.listing import holdings

        if explain:
            explained(typed.networks(session.desired), session.desired.project, as_json=as_json)
            return
        found = holdings.networks(session.engine, session.desired)
        name = session.desired.project
    text = _networks(found) if found else "The project has no network."
    console.result({"project": name, "networks": found}, as_json=as_json, text=text)


def _networks(found: tuple[ProjectNetwork, ...]) -> str:
    from scaffold.console.tables import Column

    now = datetime.now(UTC)
    rows = [
        (
            item.name,
            item.driver,
            ", ".join(item.subnets),
            console.age(item.created, now) if item.created else "",
            _attached(item.attached),
            _standing(exists=item.exists, declared=item.declared, external=item.external),
        )
        for item in found
    ]
    columns = (
        "NETWORK",
        Column("DRIVER", drop=4),
        Column("SUBNET", drop=3),
        Column("AGE", drop=2),
        "ATTACHED",
        Column("NOTE", drop=1),
    )
    return console.table(rows, columns)


def _attached(items: tuple[Attachment, ...]) -> str:
    return ", ".join(
        f"{item.service or item.container}{f' {item.at}' if item.at else ''}"
        f"{'' if item.running else ' (stopped)'}"
        for item in items
    )


def _standing(*, exists: bool, declared: bool, external: bool) -> str:
    if not exists:
        return "not there yet"
    if not declared:
        return "no longer in compose.yaml"
    return "external" if external else ""


def restart(
    service: OneService = None,
    project: options.Project = options.HERE,
    timeout: options.Timeout = 120.0,
    no_wait: options.NoWait = False,
    quiet: options.Quiet = False,
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """Stop, start and prove containers, in order.

    The order is that of their dependencies. The containers stay as they are: what changed in compose.yaml,
    .env or the code since then is the business of `scaffold run`. A migration that is done runs again only
    when it is named.

    \b
    Examples:
      scaffold restart
      scaffold restart app
      scaffold restart app --explain
    """
    checkout = checkouts.find(project)
    begun = time.monotonic()
    with changing(checkout, "restart", no_wait=no_wait, explain=explain) as (cancellation, session):
        from scaffold.dockercli import explain as explaining
        from scaffold.run import selection, workflow
        from scaffold.stack import restart as planning
        from scaffold.stack.steps import Prove

        situation = workflow.examine(session)
        told(situation, quiet=quiet)
        steps = planning.restart(situation.desired, situation.observed, [service] if service else [])
        if not steps.changes:
            if service:
                raise selection.absent(situation.desired, situation.observed, service)
            raise ScaffoldError("There is nothing to restart.", "Start it with `scaffold run`.")
        if explain:
            lines = explaining.commands(steps, situation.desired, session.variables)
            explained(lines, situation.desired.project, as_json=as_json)
            return
        workflow.check_sharing(session, situation.desired, situation.observed, steps)
        repeated = workflow.Situation(situation.desired, situation.observed, steps)
        workflow.guarded(session, repeated)
        carry_out(session, repeated, cancellation, timeout, quiet=quiet)
        outdated = workflow.after(session, situation).plan.changes
    done = [item.step.service.name for item in steps.steps if isinstance(item.step, Prove)]
    seconds = round(time.monotonic() - begun, 3)
    document = {"project": situation.desired.project, "restarted": done, "seconds": seconds}
    if as_json or not quiet:
        console.result(document, as_json=as_json, text=f"Restarted {', '.join(done)}.")
    if outdated and not quiet:
        console.note("Something has changed since the containers were made: see `scaffold plan`.")


def kill(
    service: Service,
    project: options.Project = options.HERE,
    signal: Annotated[
        str, typer.Option("-s", "--signal", metavar="SIGNAL", help="Another signal, e.g. SIGHUP.")
    ] = "SIGKILL",
    explain: options.Explain = False,
    as_json: options.Json = False,
) -> None:
    """End a service at once, or send it a signal.

    `scaffold stop` gives containers time to finish; this does not. With another signal the first process of
    each container decides what that means to it.

    \b
    Examples:
      scaffold kill app
      scaffold kill app --signal SIGHUP
    """
    # Not under the project's lock: it is meant for a container that something else waits for.
    with opened(checkouts.find(project)) as session:
        from scaffold.dockercli import typed
        from scaffold.engine import signals
        from scaffold.run import selection

        name = session.desired.project
        containers = selection.alive(session, service)
        if explain:
            explained(typed.kill(containers, signal), name, as_json=as_json)
            return
        for container in containers:
            signals.send(session.engine, container, signal)
    document = {"project": name, "signal": signal, "containers": containers}
    console.result(document, as_json=as_json, text=f"Sent {signal} to {', '.join(containers)}.")


_INSIDE = re.compile(r"(?P<service>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<path>.*)", re.DOTALL)


def cp(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="SERVICE:PATH or a path here.", autocompletion=completion.places),
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="DST", help="SERVICE:PATH or a path here.", autocompletion=completion.places),
    ],
    project: options.Project = options.HERE,
    explain: options.Explain = False,
) -> None:
    """Copy files between a container and this machine.

    As docker cp does it, folders too. One side is SERVICE:PATH. The container need not be running. A local
    name with a colon in it is written with ./ before it.

    \b
    Examples:
      scaffold cp app:/app/report.csv .
      scaffold cp ./fixtures db:/tmp/
    """
    from scaffold.dockercli import typed
    from scaffold.engine import inside
    from scaffold.run import selection

    places = [_INSIDE.fullmatch(text) for text in (source, target)]
    if sum(place is not None for place in places) != 1:
        raise UsageError(
            "One of the two has to be inside a container, and only one.",
            "Write it as SERVICE:PATH, e.g. `scaffold cp app:/etc/hostname .`.",
        )
    with opened(checkouts.find(project)) as session:
        words = [
            f"{selection.existing(session, place['service'])[0].name}:{place['path']}" if place else text
            for text, place in zip((source, target), places, strict=True)
        ]
        name = session.desired.project
    if explain:
        explained(typed.copy(*words), name)
        return
    inside.copy(*words)
