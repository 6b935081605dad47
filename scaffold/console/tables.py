"""Lay values out as text: tables that fit the terminal, sizes, ages, the status and the summary. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scaffold import characters
from scaffold.console.terminal import NARROWEST, Look, cells, fit, wrap
from scaffold.stack.secrets import mask_urls
from scaffold.stack.status import ServiceStatus, Status, Summary, VolumeStatus

GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column of a table; the highest `drop` is left out first where there is no room, 0 always stays."""

    title: str
    drop: int = 0
    right: bool = False
    style: Callable[[str], str] = lambda _: ""
    """Name of the style for one cell's text, empty for none."""


def table(rows: Sequence[Sequence[str]], columns: Sequence[Column], look: Look) -> str:
    """Return the rows under their titles; empty columns are left out."""
    cell = [[look.safe(characters.line(text)) for text in row] for row in rows]
    widths = {
        place: max(cells(text) for text in (column.title, *(row[place] for row in cell)))
        for place, column in enumerate(columns)
        if not cell or any(row[place] for row in cell)
    }
    widths = _within(look.width, widths, columns)
    titles = tuple(replace(column, style=lambda _: "dim") for column in columns)
    lines = [_line([column.title for column in columns], titles, widths, look)]
    lines += [_line(row, columns, widths, look) for row in cell]
    return "\n".join(lines)


def _within(limit: int | None, widths: dict[int, int], columns: Sequence[Column]) -> dict[int, int]:
    """Return the widths, by place, of the columns that stay; the widest give way where that is not enough."""
    widths = dict(widths)

    def excess() -> int:
        return 0 if limit is None else sum(widths.values()) + len(GAP) * (len(widths) - 1) - limit

    while excess() > 0 and (optional := [place for place in widths if columns[place].drop]):
        del widths[max(optional, key=lambda place: columns[place].drop)]
    while excess() > 0 and max(widths.values()) > NARROWEST:
        widths[max(widths, key=lambda place: widths[place])] -= 1
    return widths


def _line(row: Sequence[str], columns: Sequence[Column], widths: dict[int, int], look: Look) -> str:
    texts = (_padded(columns[place], row[place], width, look) for place, width in widths.items())
    return GAP.join(texts).rstrip()


def _padded(column: Column, text: str, width: int, look: Look) -> str:
    short = fit(text, width, look)
    space = " " * (width - cells(short))
    painted = look.paint(column.style(text), short)
    return space + painted if column.right else painted + space


def pairs(entries: Sequence[tuple[str, str]], look: Look) -> str:
    """Return aligned lines of a word and its value."""
    width = max((cells(word) for word, _ in entries), default=0)
    lines = []
    for word, value in entries:
        head = look.paint("dim", word) + " " * (width - cells(word)) + GAP
        lines.append(wrap(look.safe(value), look.width, head, " " * cells(head)))
    return "\n".join(lines)


def size(count: int) -> str:
    """Return a number of bytes as docker does, three digits: `152 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB" if value < 999.5 else f"{value:.0f} TB"


def age(then: datetime, now: datetime) -> str:
    """Return how long ago that was, in one unit: `2 hours`."""
    seconds = max(0, int((now - then) / timedelta(seconds=1)))
    for unit, length in (("year", 31_536_000), ("month", 2_592_000), ("week", 604_800), ("day", 86_400)):
        # As docker does: small numbers of a large unit say too little.
        if seconds >= length * (1 if unit in ("year", "day") else 2):
            return _counted(seconds // length, unit)
    for unit, length in (("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return _counted(seconds // length, unit)
    return _counted(seconds, "second")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


_STATES = {
    "running": "green",
    "completed": "green",
    "healthy": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "paused": "yellow",
    "absent": "dim",
    "created": "dim",
}


def _state_style(text: str) -> str:
    return _STATES.get(text, "red") if text else ""


SERVICES = (
    Column("SERVICE"),
    Column("STATE", style=_state_style),
    Column("HEALTH", drop=1, style=_state_style),
    Column("UP", drop=4),
    Column("CONTAINER", drop=3),
    Column("IMAGE", drop=2),
    Column("PORTS"),
)


def status(value: Status, now: datetime, look: Look) -> str:
    """Return the services as a table, then the URL, network and volumes."""
    dot = look.safe("·")
    name, path = characters.line(value.project), characters.line(value.path)
    head = f"{look.paint('bold', name)} {dot} {_verdict(value, look)}"
    blocks = [f"{head}\n{look.paint('dim', path)}"]
    if value.services:
        blocks.append(services(value.services, now, look))
    entries: list[tuple[str, str]] = (
        [("URL", look.paint("cyan", characters.line(value.url)))] if value.url else []
    )
    entries += [
        ("Network", characters.line(network.name) + ("" if network.exists else " (not there yet)"))
        for network in value.networks
    ]
    entries += [("Volume", characters.line(_volume(volume, now))) for volume in value.volumes]
    entries += [
        ("Orphan", f"{characters.line(name)} (its service is no longer in compose.yaml)")
        for name in value.orphans
    ]
    if entries:
        blocks.append(pairs(entries, look))
    return "\n\n".join(blocks)


def services(found: Sequence[ServiceStatus], now: datetime, look: Look) -> str:
    """Return one line for each container."""
    return table([_service(item, now) for item in found], SERVICES, look)


def _verdict(value: Status, look: Look) -> str:
    sick = [service.name for service in value.services if service.health in ("starting", "unhealthy")]
    if (value.up_to_date or value.unproven) and sick:
        return look.paint("yellow", f"not ready ({', '.join(sick)})") + look.commands(": see `scaffold logs`")
    if value.unproven:
        said = f"not proven ({', '.join(value.unproven)})"
        return look.paint("yellow", said) + look.commands(": `scaffold run` logs in to it")
    if value.up_to_date:
        return look.paint("green", "up to date")
    if any(service.state == "running" for service in value.services):
        if fallen := next(
            (item for item in value.services if item.exit_code and item.state == "exited"), None
        ):
            said = f"{fallen.name} exited ({fallen.exit_code})"
            return look.paint("yellow", said) + look.commands(f": see `scaffold logs {fallen.name}`")
        return look.paint("yellow", "to be changed") + look.commands(": `scaffold plan` says how")
    return look.paint("yellow", "not running") + look.commands(": `scaffold run` starts it")


def _service(service: ServiceStatus, now: datetime) -> tuple[str, ...]:
    state = service.state
    if service.exit_code:
        state += f" ({service.exit_code})"
    up = age(service.started, now) if service.started and service.state == "running" else ""
    return (
        service.name,
        state,
        service.health or "",
        up,
        service.container or "",
        service.image,
        ", ".join(_without_twins(service.ports)),
    )


def _without_twins(ports: Sequence[str]) -> list[str]:
    """Leave out the IPv6 address of what is published on all IPv4 addresses too."""
    return [port for port in ports if not (port.startswith("[::]:") and "0.0.0.0" + port[4:] in ports)]


def _volume(volume: VolumeStatus, now: datetime) -> str:
    if not volume.exists:
        return f"{volume.name} (not there yet)"
    facts = [size(volume.size)] if volume.size is not None else []
    facts += [f"{age(volume.created, now)} old"] if volume.created else []
    facts += [] if volume.declared else ["no longer in compose.yaml"]
    return f"{volume.name} ({', '.join(facts)})" if facts else volume.name


def summary(value: Summary, look: Look, *, show_secrets: bool = False) -> str:
    """Return where everything is and what to type next, as the last thing a run says."""
    took = f" in {duration(value.seconds)}" if value.changed else ""
    word = "is ready" if value.changed else "is up to date"
    check = look.paint("green", look.safe("✓"))
    lines = [f"{check} {look.paint('bold', characters.line(value.project))} {word}{took}", ""]
    entries: list[tuple[str, str]] = []
    if value.url:
        entries.append(("URL", look.paint("cyan", characters.line(value.url))))
    if value.database:
        address = value.database if show_secrets else mask_urls(value.database)
        entries.append(("Database", characters.line(address)))
    entries += [
        ("Logs", "scaffold logs -f"),
        ("Stop", "scaffold stop"),
        ("Remove", "scaffold down" + (look.paint("dim", " (data stays)") if value.has_data else "")),
    ]
    lines += ["  " + line for line in pairs(entries, look).split("\n")]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return `4.2s`, or `1m 04s` from a minute on."""
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    return f"{whole // 60}m {whole % 60:02}s"
