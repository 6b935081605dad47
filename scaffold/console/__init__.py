"""The only place that prints: results on standard output, everything else on standard error.

A result is text for people or, with `--json`, one JSON document. What it needs is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaffold import characters
from scaffold.console import terminal
from scaffold.errors import Interrupted, ScaffoldError

if TYPE_CHECKING:
    from datetime import datetime

    from scaffold.console.live import Progress
    from scaffold.console.tables import Column
    from scaffold.doctor.finding import Finding
    from scaffold.stack.plan import Plan
    from scaffold.stack.progress import Report
    from scaffold.stack.status import ServiceStatus, Status, Summary
    from scaffold.stack.timings import Timings

_live: Progress | None = None
"""What is being redrawn on standard error now: other lines have to go above it."""


def result(value: object, *, as_json: bool, text: str | None = None) -> None:
    """Print a command's result: the text for people, or the value as one JSON document."""
    stream = terminal.stdout()
    if as_json:
        import json

        document = json.dumps(encoded(value), indent=2, ensure_ascii=not terminal.look(stream).unicode)
        terminal.write(stream, characters.in_json(document) + "\n")
    elif text is not None:
        terminal.write(stream, text + "\n")


def item(value: object, *, as_json: bool, text: str) -> bool:
    """Print one of many results: a line of text, or one JSON object on one line; False once nobody reads."""
    stream = terminal.stdout()
    if as_json:
        import json

        document = json.dumps(encoded(value), ensure_ascii=not terminal.look(stream).unicode)
        text = characters.in_json(document)
    text = characters.line(text)
    return terminal.write(stream, text + "\n")


def repeated() -> Callable[[str], bool]:
    """Return what shows a text in place of the one before, or below it where lines cannot be drawn again.

    It returns False once nobody reads any more.
    """
    stream = terminal.stdout()
    look = terminal.look(stream)
    drawn = 0

    def show(text: str) -> bool:
        nonlocal drawn
        if not look.live:
            return terminal.write(stream, text + "\n")
        lines = text.split("\n")[: terminal.size(stream)[1] - 1]
        back = f"{terminal.OWN}[{drawn}A{terminal.OWN}\r{terminal.OWN}[J" if drawn else ""
        drawn = len(lines)
        return terminal.write(stream, back + "\n".join(lines) + "\n")

    return show


def encoded(value: object) -> object:
    """Return the value in JSON's own types: dataclasses by field, times in UTC with a Z, sets sorted."""
    import dataclasses
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from enum import Enum
    from pathlib import PurePath

    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return encoded(value.value)
        case str() | PurePath():
            return str(value)
        case datetime():
            return _instant(value)
        case Mapping():
            return {str(key): encoded(item) for key, item in value.items()}
        case AbstractSet():
            return sorted((encoded(item) for item in value), key=str)
        case list() | tuple():
            return [encoded(item) for item in value]
        case _ if dataclasses.is_dataclass(value):
            return {item.name: encoded(getattr(value, item.name)) for item in dataclasses.fields(value)}
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def _instant(value: datetime) -> str:
    from datetime import UTC

    text = value.astimezone(UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def note(text: str) -> None:
    """Say something that is not the result."""
    look = terminal.look(terminal.stderr())
    _say(look.commands(terminal.wrap(_told(text, look), look.width)))


def warn(text: str) -> None:
    """Say something that should be looked at."""
    look = terminal.look(terminal.stderr())
    body = terminal.wrap(_told(text, look), look.width, "warning: ")
    _say(look.paint("bold yellow", "warning:") + look.commands(body.removeprefix("warning:")))


def error(error: ScaffoldError, *, as_json: bool = False) -> None:
    """Say what went wrong, what shows it, and what to try; with `as_json` also as a document on stdout."""
    look = terminal.look(terminal.stderr())
    echo = terminal.WIPE if look.live and isinstance(error, Interrupted) else ""  # of Ctrl-C: ^C
    _say(echo + error_text(error, look))
    if as_json:
        value = {"message": error.message, "hint": error.hint, "evidence": error.evidence}
        result({"error": value}, as_json=True)


def error_text(error: ScaffoldError, look: terminal.Look) -> str:
    """Return an error as people read it: the message, its evidence, the way on."""
    # Ctrl-C is an answer, not a mistake.
    word = "" if isinstance(error, Interrupted) else "error:"
    message = terminal.wrap(_told(error.message, look), look.width, f"{word} " if word else "")
    lines = [look.paint("bold red", word) + look.commands(message.removeprefix(word))]
    lines += terminal.quote(error.evidence, look)
    if error.hint:
        arrow = f"  {look.safe('→')} "
        hint = terminal.wrap(_told(error.hint, look, "    "), look.width, arrow, " " * len(arrow))
        lines.append(look.commands(hint))
    return "\n".join(lines)


def plan(plan: Plan, project: str, *, as_json: bool) -> None:
    """Print a plan as the result: every change with its reason, or every step as JSON."""
    from scaffold.console import plans

    text = plans.text(plan, project, terminal.look(terminal.stdout()))
    result(plans.document(plan, project), as_json=as_json, text=text)


def announce(plan: Plan, project: str) -> None:
    """Show a plan before it is carried out: on standard error, since it is not the result."""
    from scaffold.console import plans

    _say(plans.text(plan, project, terminal.look(terminal.stderr())))


@contextmanager
def progress(plan: Plan, *, verbose: bool = False, quiet: bool = False) -> Iterator[Report]:
    """Show the plan's steps while they happen; yields what the apply reports its events to.

    `verbose` prints what builds and pulls say, which otherwise appears only when they fail.
    `quiet` prints nothing but that.
    """
    global _live  # noqa: PLW0603 - one terminal, one picture
    from scaffold.console.live import Progress

    stream = terminal.stderr()
    _live = Progress(plan, stream, terminal.look(stream), verbose=verbose, quiet=quiet)
    try:
        with _live as report:
            yield report
    finally:
        _live = None


def status(status: Status, *, as_json: bool) -> None:
    """Print how the project stands, as a table or as JSON."""
    from datetime import UTC, datetime

    from scaffold.console import tables

    text = tables.status(status, datetime.now(UTC), terminal.look(terminal.stdout()))
    result(status, as_json=as_json, text=text)


def services(found: Sequence[ServiceStatus]) -> str:
    """Return containers as a table: the `text` of a result."""
    from datetime import UTC, datetime

    from scaffold.console import tables

    return tables.services(found, datetime.now(UTC), terminal.look(terminal.stdout()))


def summary(summary: Summary, *, as_json: bool, show_secrets: bool = False) -> None:
    """Print what a run ends with: where things are, and what to type next; passwords masked."""
    import dataclasses

    from scaffold.console import tables
    from scaffold.stack.secrets import mask_urls

    shown = summary
    if summary.database and not show_secrets:
        shown = dataclasses.replace(summary, database=mask_urls(summary.database))
    result(
        shown,
        as_json=as_json,
        text=tables.summary(shown, terminal.look(terminal.stdout()), show_secrets=show_secrets),
    )


def checkup(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print what `scaffold doctor` found."""
    from scaffold.console import findings as lines

    is_fine = all(item.state != "wrong" for item in findings)
    result(
        {"fine": is_fine, "findings": findings},
        as_json=as_json,
        text=lines.text(findings, terminal.look(terminal.stdout())),
    )


def timings(timings: Timings) -> None:
    """Say where the time of a run went; on standard error, since it is not the result."""
    from scaffold.console.tables import Column

    rows = [
        (part.name, f"{part.seconds:.3f} s", f"{part.seconds / timings.total:.0%}") for part in timings.parts
    ]
    rows.append(("total", f"{timings.total:.3f} s", f"{timings.explained:.0%} explained"))
    _say(table(rows, ("WHAT", Column("TIME", right=True), Column("SHARE", right=True))))


def table(rows: Sequence[Sequence[str]], columns: Sequence[Column | str]) -> str:
    """Return the rows as a table that fits standard output: the `text` of a result."""
    from scaffold.console import tables

    full = [tables.Column(item) if isinstance(item, str) else item for item in columns]
    return tables.table(rows, full, terminal.look(terminal.stdout()))


def size(count: int) -> str:
    """Return a number of bytes as `152 MB`."""
    from scaffold.console import tables

    return tables.size(count)


def age(then: datetime, now: datetime) -> str:
    """Return the time between as `2 hours`."""
    from scaffold.console import tables

    return tables.age(then, now)


def log(
    services: Sequence[str], closed: Callable[[], None], *, raw: bool = False
) -> Callable[[str, str], None]:
    """Return a writer of log lines, `write(service, line)`, that calls `closed` once nobody reads them.

    Lines carry the name of their service where there is more than one. A pipe or a file gets each line byte
    for byte; a terminal gets its colours and no other sequence, unless it is `raw`.
    """
    stream = terminal.stdout()
    look = terminal.look(stream)
    width = max(map(len, services), default=0)
    styles = ("cyan", "yellow", "green", "magenta", "blue")
    prefixes = {
        name: look.paint(styles[place % len(styles)], f"{characters.line(name):<{width}} {look.safe('│')} ")
        for place, name in enumerate(services)
    }

    def write(service: str, line: str) -> None:
        prefix = prefixes.get(service, "") if len(services) > 1 else ""
        if raw or not stream.isatty():
            heard = terminal.write_raw(stream, f"{terminal.shown(prefix)}{line}\n")
        else:
            heard = terminal.write(stream, f"{prefix}{terminal.coloured(line, look)}\n")
        if not heard:
            closed()

    return write


def _told(text: str, look: terminal.Look, indent: str = "  ") -> str:
    """Return a message in which no value begins a line where our own words do."""
    return look.safe(text).replace("\n", f"\n{indent}")


def _say(text: str) -> None:
    if _live is not None:
        _live.say(text)
    else:
        terminal.write(terminal.stderr(), text + "\n")
