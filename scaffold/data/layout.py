"""How the files of each kind of database lie in a volume, and by what they are known. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

HARMLESS = frozenset({"lost+found", ".gitkeep", ".gitignore", ".keep", ".DS_Store"})
"""Names that hold nobody's rows: a file system's own, and what keeps an empty folder in git."""
ASIDE = ".scaffold"
"""How the names begin of what was moved aside: it is known and named elsewhere."""
CONTROL = "global/pg_control"

FOREIGN = {
    "ibdata1": "MySQL or MariaDB",
    "mysql.ibd": "MySQL",
    "aria_log_control": "MariaDB",
    "dump.rdb": "Redis",
    "appendonlydir": "Redis",
    "nodes": "Elasticsearch",
}
"""Files by which other databases are known."""


@dataclass(frozen=True)
class Layout:
    """The files of one kind of database."""

    kind: str
    title: str
    marker: str
    """The file that every data directory has, from early in its first start on."""
    version_variable: str
    """In the image's environment: its major version."""
    more: tuple[str, ...]
    """Files in a data directory that say more of it."""
    elsewhere: tuple[str, ...]
    """Where in a volume other versions, or other people, keep a data directory."""
    own: re.Pattern[str]
    """Names that a directory of its own has, also where its first start was cut short."""
    area: str
    """The folder around the data directory of the image: a mount below it was meant for the data."""

    def directory(
        self, environment: Mapping[str, str], command: Sequence[str], major: int | None
    ) -> str | None:
        """Return the data directory of a server; None when its command names one that is not known here."""
        words = " ".join(command)
        if self.kind == "mongo":
            named = re.search(r"--dbpath[ =](\S+)", words)
            return named[1] if named else "/data/db"
        if re.search(r"(?:^| )-D|data_directory", words):
            return None
        if environment.get("PGDATA"):
            return environment["PGDATA"]
        if major is not None and major < 18:
            return "/var/lib/postgresql/data"
        return f"/var/lib/postgresql/{major}/docker" if major else None

    def mount_path(self, directory: str) -> str:
        """Return where a volume has to be mounted for this data directory."""
        versioned = re.fullmatch(r"(/var/lib/postgresql)/\d+/docker", directory)
        return versioned[1] if versioned else directory

    def version(self, marker: bytes) -> str:
        """Return the major version that the marker names; empty where it names none."""
        text = marker.decode(errors="replace").strip()
        return text if self.kind == "postgres" and re.fullmatch(r"\d+(\.\d+)?", text) else ""


POSTGRES = Layout(
    kind="postgres",
    title="PostgreSQL",
    marker="PG_VERSION",
    version_variable="PG_MAJOR",
    more=(CONTROL,),
    elsewhere=("", "data", "pgdata", "17/docker", "18/docker", "19/docker", "20/docker"),
    own=re.compile(r"pg_\w+|PG_VERSION|base|global|postgresql(\.auto)?\.conf|postmaster\.(opts|pid)"),
    area="/var/lib/postgresql",
)
MONGO = Layout(
    kind="mongo",
    title="MongoDB",
    marker="WiredTiger",
    version_variable="MONGO_MAJOR",
    more=(),
    elsewhere=("", "db", "data", "data/db"),
    own=re.compile(r".*\.wt|WiredTiger.*|mongod\.lock|storage\.bson|journal|diagnostic\.data|_tmp|\.mongodb"),
    area="/data",
)


@dataclass(frozen=True)
class Cluster:
    """What pg_control says of a PostgreSQL data directory."""

    identifier: int
    written: datetime
    """When the server wrote it last: at its end, or at a checkpoint."""
    shut_down: bool

    @property
    def born(self) -> datetime:
        """Return when initdb made it: the identifier begins with that moment."""
        return datetime.fromtimestamp(self.identifier >> 32, UTC)


def cluster(control: bytes) -> Cluster | None:
    """Return what pg_control says; None for a version of it that is not known."""
    if len(control) < 40:
        return None
    identifier, version, _, state, written = struct.unpack_from("<QIIIxxxxq", control, 0)
    # 1100 is PostgreSQL 11; the other byte order makes a huge number.
    if not 1100 <= version < 10_000 or not 0 < written < 2**40 or state > 6:
        return None
    return Cluster(identifier, datetime.fromtimestamp(written, UTC), state in (1, 2))
