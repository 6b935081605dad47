"""The shape of each answer of the engine that is read: what the rest of the program may rely on.

An answer of another shape stops here, with the call and the place named; behind this border keys are there
and values have their types. Keys that nobody reads are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scaffold.numbers import whole

MOST = 2**63
"""No number of the engine is larger: it writes them as 64 bits."""


# Shapes are neither compared nor printed: what makes that possible costs each start a millisecond.


class WrongShape(ValueError):
    """An answer, or a part of it, is not what it has to be."""


@dataclass(frozen=True, eq=False, repr=False)
class Items:
    """A list."""

    of: Shape


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """An object whose keys are names."""

    of: Shape


@dataclass(frozen=True, eq=False, repr=False)
class Fields:
    """An object with these keys at least."""

    of: Mapping[str, Shape]


@dataclass(frozen=True, eq=False, repr=False)
class Maybe:
    """What may be null, or absent."""

    of: Shape


@dataclass(frozen=True, eq=False, repr=False)
class Filled:
    """What may be null, or absent, and is empty then."""

    of: Items | Table


@dataclass(frozen=True, eq=False, repr=False)
class Either:
    """One of several kinds of a plain value."""

    kind: type | tuple[type, ...]
    name: str
    holds: Callable[[object], bool] = lambda _: True


Shape = Items | Table | Fields | Maybe | Filled | Either


def moment(text: str) -> datetime:
    """Return the engine's RFC 3339 time (nanoseconds or whole seconds) as a datetime in UTC."""
    # datetime takes six digits at the most
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(trimmed).astimezone(UTC)


def _is_moment(value: object) -> bool:
    try:
        moment(str(value))
    except (ValueError, OverflowError):
        return False
    return True


def _between(low: float, high: float) -> Callable[[object], bool]:
    def holds(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value < high

    return holds


# No regular expressions: compiling them costs each start a millisecond.


def _is_id(value: object) -> bool:
    known = isinstance(value, str) and 0 < len(value) < 256 and value.isascii() and value[0].isalnum()
    return known and not set(str(value)) - _ID


def _is_port(value: object) -> bool:
    return value == "" or (isinstance(value, str) and whole(value, 5) is not None)


def _is_version(value: object) -> bool:
    parts = str(value).split(".")
    return len(parts) == 2 and all(part != "" and _is_port(part) for part in parts)


_ID = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.:-")
ANY = Either(object, "anything")
TEXT = Either(str, "text")
FLAG = Either(bool, "true or false")
NUMBER = Either(int, "a number", _between(-MOST, MOST))
COUNT = Either(int, "a number", _between(0, 2 * MOST))
FIGURE = Either((int, float), "a number", _between(-2 * MOST, 2 * MOST))
SECONDS = Either(int, "a time in seconds", _between(-(2**33), 2**36))
NANOSECONDS = Either(int, "a time in nanoseconds", _between(0, MOST))
TIME = Either(str, "a time", _is_moment)
NAME = Either(str, "a name", bool)
ID = Either(str, "an id", _is_id)
PORT = Either(str, "a port's number", _is_port)
VERSION = Either(str, "a version such as 1.44", _is_version)
LABELS = Maybe(Table(TEXT))
TEXTS = Maybe(Items(TEXT))


def _fields(**of: Shape) -> Fields:
    return Fields(of)


_MOUNTS = Maybe(
    Items(_fields(Type=TEXT, Name=Maybe(TEXT), Source=Maybe(TEXT), Destination=TEXT, RW=Maybe(FLAG)))
)
_ATTACHED = Maybe(Table(_fields(NetworkID=Maybe(TEXT), IPAddress=Maybe(TEXT))))
_BINDINGS = Maybe(Table(Maybe(Items(_fields(HostIp=Maybe(TEXT), HostPort=Maybe(PORT))))))
_HEALTH = _fields(Status=Maybe(TEXT), Log=Maybe(Items(_fields(ExitCode=Maybe(NUMBER), Output=Maybe(TEXT)))))
CONTAINER = _fields(
    Id=ID,
    Name=NAME,
    Created=TIME,
    Image=TEXT,
    RestartCount=Maybe(NUMBER),
    State=_fields(
        Status=NAME,
        StartedAt=TIME,
        ExitCode=Maybe(NUMBER),
        Pid=Maybe(NUMBER),
        OOMKilled=Maybe(FLAG),
        Health=Maybe(_HEALTH),
    ),
    Config=_fields(
        Image=TEXT,
        Labels=LABELS,
        Env=TEXTS,
        Cmd=TEXTS,
        Entrypoint=TEXTS,
        StopSignal=Maybe(TEXT),
        StopTimeout=Maybe(NUMBER),
    ),
    HostConfig=_fields(PortBindings=_BINDINGS, Binds=TEXTS),
    NetworkSettings=_fields(Networks=_ATTACHED, Ports=_BINDINGS),
    Mounts=_MOUNTS,
)
_LISTED_CONTAINER = _fields(
    Id=ID,
    Names=Filled(Items(TEXT)),
    Image=Maybe(TEXT),
    ImageID=TEXT,
    Labels=Filled(Table(TEXT)),
    State=TEXT,
    Status=TEXT,
    Created=Maybe(SECONDS),
    Ports=Filled(Items(_fields(PublicPort=Maybe(NUMBER), PrivatePort=Maybe(NUMBER), Type=Maybe(TEXT)))),
    NetworkSettings=Maybe(_fields(Networks=_ATTACHED)),
    Mounts=Filled(Items(_fields(Type=Maybe(TEXT), Name=Maybe(TEXT), Destination=Maybe(TEXT)))),
)
_NETWORK = _fields(
    Name=NAME,
    Id=ID,
    Created=Maybe(TIME),
    Labels=Filled(Table(TEXT)),
    Driver=Maybe(TEXT),
    Internal=Maybe(FLAG),
    Attachable=Maybe(FLAG),
    EnableIPv6=Maybe(FLAG),
    IPAM=Maybe(_fields(Config=Maybe(Items(_fields(Subnet=Maybe(TEXT)))))),
)
_VOLUME = _fields(
    Name=NAME,
    CreatedAt=Maybe(TIME),
    Labels=Filled(Table(TEXT)),
    Driver=Maybe(TEXT),
    Options=Maybe(Table(TEXT)),
    UsageData=Maybe(_fields(Size=NUMBER)),
)
_IMAGE = _fields(
    Id=ID,
    Created=Maybe(TIME),
    Size=Maybe(NUMBER),
    RepoTags=TEXTS,
    RootFS=Maybe(_fields(Layers=TEXTS)),
    Config=Maybe(_fields(Labels=LABELS, Env=TEXTS, Entrypoint=TEXTS, Cmd=TEXTS, Volumes=Filled(Table(ANY)))),
)
_LISTED_IMAGE = _fields(
    Id=ID,
    RepoTags=Filled(Items(TEXT)),
    Labels=Filled(Table(TEXT)),
    Size=NUMBER,
    Created=SECONDS,
    SharedSize=Maybe(NUMBER),
)
EVENT = _fields(
    Type=Maybe(TEXT),
    Action=Maybe(TEXT),
    Actor=Maybe(_fields(ID=Maybe(TEXT), Attributes=Maybe(Table(TEXT)))),
    time=Maybe(NUMBER),
    timeNano=Maybe(NANOSECONDS),
)
PROGRESS = _fields(error=Maybe(TEXT), status=Maybe(TEXT), progressDetail=Maybe(ANY))
"""A line of a pull."""
_PROCESSOR = _fields(
    cpu_usage=_fields(total_usage=COUNT), system_cpu_usage=Maybe(COUNT), online_cpus=Maybe(COUNT)
)
_STATS = _fields(
    cpu_stats=_PROCESSOR,
    memory_stats=Maybe(_fields(usage=Maybe(COUNT), limit=Maybe(COUNT), stats=Maybe(Table(FIGURE)))),
    networks=Maybe(Table(_fields(rx_bytes=COUNT, tx_bytes=COUNT))),
    blkio_stats=Maybe(_fields(io_service_bytes_recursive=Maybe(Items(_fields(op=TEXT, value=COUNT))))),
    pids_stats=Maybe(_fields(current=Maybe(COUNT))),
)

# What is sent with POST and DELETE is mostly answered with nothing that anybody reads.
_LISTS: Mapping[str, Shape] = {
    "GET /version": _fields(ApiVersion=VERSION, Version=Maybe(TEXT)),
    "GET /info": _fields(DockerRootDir=Maybe(TEXT), SystemTime=Maybe(TIME), Name=Maybe(TEXT)),
    "GET /containers/json": Items(_LISTED_CONTAINER),
    "GET /networks": Items(_NETWORK),
    "GET /volumes": _fields(Volumes=Filled(Items(_VOLUME))),
    "GET /images/json": Items(_LISTED_IMAGE),
    "GET /system/df": _fields(Volumes=Filled(Items(_VOLUME))),
    "POST /containers/create": _fields(Id=ID),
    "POST /networks/create": _fields(Id=ID),
    "POST /volumes/create": _VOLUME,
}
_ONES: Mapping[tuple[str, str], Shape] = {
    ("GET /containers", "json"): CONTAINER,
    ("GET /containers", "stats"): _STATS,
    ("GET /networks", ""): _NETWORK,
    ("GET /volumes", ""): _VOLUME,
    ("GET /images", "json"): _IMAGE,
    ("GET /distribution", "json"): Table(ANY),
    ("POST /containers", "exec"): _fields(Id=ID),
    ("POST /containers", "wait"): _fields(StatusCode=NUMBER),
}
"""By the first and the last part of a path, with the name of one thing between them."""


def shape_of(call: str) -> Shape | None:
    """Return the shape of the answer to a call such as `GET /networks`, None where nobody reads it."""
    if call in _LISTS:
        return _LISTS[call]
    method, _, path = call.partition(" /")
    kind, _, rest = path.partition("/")
    start = f"{method} /{kind}"
    return _ONES.get((start, rest.rpartition("/")[2])) or _ONES.get((start, ""))


def fit(value: object, shape: Shape, where: str) -> None:
    """Raise WrongShape, naming the place, when a value has not this shape.

    A key that may be absent and is null goes, or becomes empty, so that readers have one case less.
    """
    match shape:
        case Maybe(of=inner) | Filled(of=inner):
            if value is not None:
                fit(value, inner, where)
        case Either(kind=kind, holds=holds):
            if not isinstance(value, kind) or not holds(value):
                raise _wrong(value, shape.name, where)
        case Items(of=inner):
            if not isinstance(value, list):
                raise _wrong(value, "a list", where)
            for place, item in enumerate(value):
                fit(item, inner, f"{where}[{place}]")
        case Table(of=inner):
            if not isinstance(value, dict):
                raise _wrong(value, "an object", where)
            for key, item in value.items():
                fit(item, inner, f"{where}.{key[:40]}")
        case Fields(of=fields):
            if not isinstance(value, dict):
                raise _wrong(value, "an object", where)
            for key, inner in fields.items():
                fit(value.get(key), inner, f"{where}.{key}")
                _settle(value, key, inner)


def _settle(value: dict[str, object], key: str, shape: Shape) -> None:
    if value.get(key) is not None:
        return
    if isinstance(shape, Filled):
        value[key] = [] if isinstance(shape.of, Items) else {}
    else:
        value.pop(key, None)


def _wrong(value: object, expected: str, where: str) -> WrongShape:
    found = "nothing" if value is None else repr(value)[:40] if isinstance(value, str | int | float) else ""
    found = found or ("a list" if isinstance(value, list) else "an object")
    place = where.lstrip(".")
    return WrongShape(f"{place + ': ' if place else ''}{expected} is expected, and there is {found}")
