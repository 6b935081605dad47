"""Where data lies, what files say of it, and which logs tell of half a first start: values alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scaffold.data import guards, initialisation, layout
from scaffold.data.guards import Finding
from scaffold.stack import names, once
from scaffold.stack.desired import Service
from scaffold.stack.look import Contents, Medium, Source
from scaffold.stack.observed import Image, Stored
from scaffold.stack.plan import plan
from scaffold.stack.storage import Place, place, wanted_mounts
from tests.test_plan import EARLY, LATE, MIGRATE, read, running

OLD = "/var/lib/postgresql/data"


def at(directory: str, declared: tuple[str, ...] = (), **host: object) -> Place:
    service = Service("db", "postgres:17", {"HostConfig": host})
    found = place(wanted_mounts(service, declared), directory)
    return replace(found, mount=None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"Binds": [f"v:{OLD}:rw"]}, Place(Medium.VOLUME, "v")),
        ({"Binds": [f"/srv/a b:{OLD}/:rw,z"]}, Place(Medium.BIND, "/srv/a b")),
        ({"Binds": ["v:/var/lib/postgresql:rw"]}, Place(Medium.VOLUME, "", anonymous=True)),
        ({"Binds": ["v:/var/lib:rw", f"w:{OLD}/pg:rw"]}, Place(Medium.VOLUME, "", anonymous=True)),
        ({"Tmpfs": {OLD: ""}}, Place(Medium.MEMORY, "")),
        ({"Binds": [f"v:{OLD}:rw"], "Tmpfs": {f"{OLD}x": ""}}, Place(Medium.VOLUME, "v")),
        (
            {
                "Mounts": [
                    {"Type": "volume", "Source": "v", "Target": OLD, "VolumeOptions": {"Subpath": "a/b"}}
                ]
            },
            Place(Medium.VOLUME, "v", "a/b"),
        ),
        ({"Mounts": [{"Type": "tmpfs", "Target": OLD}]}, Place(Medium.MEMORY, "")),
    ],
)
def test_data_lies_in_the_innermost_mount(host: Mapping[str, object], expected: Place) -> None:
    assert at(OLD, (OLD,), **host) == expected


def test_without_a_mount_data_lies_in_the_container() -> None:
    assert at("/srv/pg", (OLD,), Binds=[f"v:{OLD}:rw"]).medium is Medium.CONTAINER


def holds(files: Mapping[str, bytes], folder: str = "", *entries: str) -> Finding:
    contents = Contents(Source(Medium.VOLUME, "v"), folder, files, {folder: entries})
    return guards.finding(layout.POSTGRES, contents)


def test_version_is_read_from_its_own_place_and_from_others() -> None:
    assert holds({"PG_VERSION": b"17\n"}) == Finding("postgres", "PostgreSQL", "17", "")
    assert holds({"PG_VERSION": b"17\n"}, "18/docker") == Finding("postgres", "PostgreSQL", "17", "")
    assert holds({"data/PG_VERSION": b"9.6\n"}, "18/docker").version == "9.6"
    assert holds({"WiredTiger": b"WiredTiger\n"}).kind == "mongo"
    assert holds({"x/WiredTiger": b"WiredTiger\n", "PG_VERSION": b"15"}, "y").kind == "postgres"


def test_what_is_no_database_is_told_from_what_is_empty() -> None:
    assert holds({}).is_empty
    assert holds({}, "", "lost+found", ".gitkeep", ".scaffold-aside").is_empty
    assert holds({}, "", "pg_wal", "base").unfinished
    assert holds({}, "", "pg_wal", "notes").title == "something that is no PostgreSQL (pg_wal, notes)"
    assert holds({"ibdata1": b""}).title == "files of MySQL or MariaDB"
    assert holds({"PG_VERSION": b""}, "", "PG_VERSION").unfinished


def control(**fields: int) -> bytes:
    known = {"identifier": 1_700_000_000 << 32, "version": 1700, "state": 1, "written": 1_700_000_100}
    found = known | fields
    return struct.pack(
        "<QIIIxxxxq", found["identifier"], found["version"], 0, found["state"], found["written"]
    ).ljust(8192, b"\0")


def test_control_file_says_when_a_database_was_made_and_written() -> None:
    cluster = layout.cluster(control())
    assert cluster is not None
    assert cluster.born == datetime.fromtimestamp(1_700_000_000, UTC)
    assert cluster.written == datetime.fromtimestamp(1_700_000_100, UTC)
    assert cluster.shut_down
    for strange in (b"", b"x" * 30, control(version=0x14050000), control(state=99), control(written=-1)):
        assert layout.cluster(strange) is None


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (Stored("db", "volume v", empty=True), "volume v is empty"),
        (Stored("db", "volume v", born=LATE + timedelta(seconds=1)), "newer than its last run"),
        (Stored("db", "volume v", born=EARLY, written=EARLY), "written last before its last run"),
        (Stored("db", "volume v", born=EARLY, written=LATE), ""),
        (Stored("app", "volume v", empty=True), ""),
    ],
)
@pytest.mark.parametrize("down", [False, True])
def test_migration_counts_for_the_data_it_was_done_in(stored: Stored, reason: str, *, down: bool) -> None:
    desired = read(migrate={**MIGRATE, "labels": {names.ONCE: "volume"}})
    observed = running(desired)
    if down:
        observed = replace(observed, containers=(), completions=once.remains(desired, observed))
    steps = str(plan(desired, replace(observed, stored=(stored,))))
    assert ("container p-migrate-1" in steps) == bool(reason)
    assert down or reason in steps


OFFICIAL = """\
The files belonging to this database system will be owned by user "postgres".
/usr/local/bin/docker-entrypoint.sh: running /docker-entrypoint-initdb.d/10-schema.sql
CREATE TABLE
psql:/docker-entrypoint-initdb.d/10-schema.sql:2: ERROR:  relation "x" does not exist
PostgreSQL Database directory appears to contain a database; Skipping initialization
LOG:  database system is ready to accept connections""".splitlines()


def test_log_tells_of_a_script_that_failed() -> None:
    found = initialisation.half_way(OFFICIAL)
    assert found is not None
    assert found.script == "/docker-entrypoint-initdb.d/10-schema.sql"
    assert "relation" in "".join(found.lines)
    done = [*OFFICIAL[:3], "PostgreSQL init process complete; ready for start up.", OFFICIAL[-1]]
    assert initialisation.half_way(done) is None
    assert initialisation.half_way([*OFFICIAL, *done]) is None
    assert initialisation.half_way(OFFICIAL[-2:]) is None


def test_image_built_upon_a_database_is_known_by_its_environment() -> None:
    image = Image(
        "own",
        "sha256:1",
        {},
        EARLY,
        environment=("PG_MAJOR=17", f"PGDATA={OLD}"),
        volumes=(OLD,),
        entrypoint=("docker-entrypoint.sh",),
        command=("postgres",),
    )
    server = guards.wanted(Service("db", "own", {}), image)
    assert server is not None
    assert (server.major, server.directory, server.place.medium) == (17, OLD, Medium.VOLUME)
    assert guards.wanted(Service("db", "own", {"Cmd": ["psql"]}), image) is None
    assert guards.wanted(Service("app", "own", {}), replace(image, environment=())) is None
