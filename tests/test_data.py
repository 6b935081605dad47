"""What images, environment and logs say about a database."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from scaffold.data import database as databases
from scaffold.data.model import Database, NotYet, OneOff
from scaffold.data.mongo import Mongo
from scaffold.data.postgres import Postgres
from scaffold.diagnose.database import explain
from scaffold.errors import NotReady, ProjectError
from scaffold.stack.desired import Service

POSTGRES = Database(Postgres(), "db", 5432, "app", "secret", "app", "17")
MONGO = Database(Mongo(), "db", 27017, "app", "secret", "app", "8")


def service(image: str, command: list[str] | None = None, **environment: str) -> Service:
    body = {} if command is None else {"Cmd": command}
    return Service("db", image, body, environment=tuple(environment.items()))


def found(image: str, command: list[str] | None = None, **environment: str) -> Database:
    database = databases.database_of(service(image, command, **environment))
    assert database is not None
    return database


@pytest.mark.parametrize(
    ("image", "kind", "major"),
    [
        ("postgres", "postgres", None),
        ("postgres:18", "postgres", 18),
        ("postgres:17.2-alpine", "postgres", 17),
        ("docker.io/library/postgres:15", "postgres", 15),
        ("registry.example:5000/postgres", "postgres", None),
        ("registry.example:5000/mirror/postgres:16@sha256:00ff", "postgres", 16),
        ("postgres@sha256:00ff", "postgres", None),
        ("postgis/postgis:17-3.5", "postgres", 17),
        ("pgvector/pgvector:0.8.0-pg17", "postgres", 17),
        ("pgvector/pgvector:pg18", "postgres", 18),
        ("timescale/timescaledb:latest-pg16", "postgres", 16),
        ("mongo:8", "mongo", 8),
        ("localhost/mongo:7.0-jammy", "mongo", 7),
    ],
)
def test_image_names_database_and_version(image: str, kind: str, major: int | None) -> None:
    database = found(image)
    assert (database.kind.name, database.major) == (kind, major)


@pytest.mark.parametrize(
    "image",
    ["redis:8", "bitnami/postgresql:17", "bitnami/mongodb", "postgres-exporter", "app", "mongo-express"],
)
def test_other_images_hold_no_database(image: str) -> None:
    assert databases.database_of(service(image)) is None


def test_postgres_image_with_another_program_is_no_server() -> None:
    assert databases.database_of(service("postgres:18", ["pg_dump", "app"])) is None
    other = Service("seed", "postgres:18", {"Entrypoint": ["psql"]})
    assert databases.database_of(other) is None


def test_flags_and_port_of_the_server_count() -> None:
    assert found("postgres:18", ["-c", "fsync=off"]).port == 5432
    assert found("postgres:18", ["postgres", "-p", "6000"]).port == 6000
    assert found("postgres:18", ["-c", "port=6001"]).port == 6001
    assert found("postgres:18", PGPORT="6002").port == 6002
    assert found("mongo:8", ["--replSet", "rs0", "--port", "6003"]).port == 6003


def test_postgres_defaults_follow_the_image() -> None:
    plain = found("postgres:18", POSTGRES_PASSWORD="secret")
    assert (plain.user, plain.password, plain.name) == ("postgres", "secret", "postgres")
    named = found("postgres:18", POSTGRES_USER="app", POSTGRES_PASSWORD="secret")
    assert (named.user, named.name) == ("app", "app")
    assert found("postgres:18", POSTGRES_USER="app", POSTGRES_DB="shop").name == "shop"


def test_password_that_only_the_container_knows_is_none() -> None:
    assert found("postgres:18", POSTGRES_PASSWORD_FILE="/run/secrets/password").password is None


def test_mongo_without_root_user_asks_for_no_login() -> None:
    database = found("mongo:8")
    assert (database.user, database.password, database.name) == (None, None, "test")


def test_password_is_not_in_the_representation() -> None:
    assert "secret" not in repr(POSTGRES)
    assert "secret" not in repr(databases.set_password(POSTGRES))
    assert "secret" not in repr(databases.set_password(MONGO))


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("postgres:17", "/var/lib/postgresql/data"),
        ("postgres:18", "/var/lib/postgresql"),
        ("postgres", "/var/lib/postgresql"),
        ("mongo:8", "/data/db"),
    ],
)
def test_mount_path_follows_the_version(image: str, path: str) -> None:
    assert databases.mount_path(found(image)) == path


def test_url_masks_the_password_unless_asked() -> None:
    odd = found("postgres:18", POSTGRES_USER="a b", POSTGRES_PASSWORD="p@ss/word", POSTGRES_DB="app")
    assert databases.url(odd, "127.0.0.1", 5433, mask=True) == "postgresql://a%20b:•••@127.0.0.1:5433/app"
    assert databases.url(odd, "::1", 5433, mask=False) == "postgresql://a%20b:p%40ss%2Fword@[::1]:5433/app"
    assert (
        databases.url(MONGO, "127.0.0.1", 27017, mask=True)
        == "mongodb://app:•••@127.0.0.1:27017/app?authSource=admin"
    )
    assert databases.url(found("mongo:8"), "127.0.0.1", 1, mask=False) == "mongodb://127.0.0.1:1/test"


@pytest.mark.parametrize("database", [POSTGRES, MONGO], ids=lambda database: database.kind.name)
def test_no_secret_is_in_any_argument(database: Database) -> None:
    change = databases.set_password(database)
    commands = [databases.client_command(database)]
    if isinstance(change, OneOff):
        commands += [change.command, change.probe.argv, change.script.argv]
    else:
        commands.append(change.argv)
    assert not any("secret" in word for command in commands for word in command)


def test_without_a_password_there_is_none_to_set() -> None:
    with pytest.raises(ProjectError, match=r"services\.db"):
        databases.set_password(found("mongo:8"))


def test_quotes_in_names_and_passwords_stay_data() -> None:
    change = databases.set_password(found("postgres:18", POSTGRES_USER='a"b', POSTGRES_PASSWORD="it's"))
    assert not isinstance(change, OneOff)
    assert """ALTER USER "a""b" PASSWORD 'it''s';""" in change.stdin


# --- servers that do not answer


@contextmanager
def listener(behave: Callable[[socket.socket], object]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("database", [POSTGRES, MONGO], ids=lambda database: database.kind.name)
def test_a_server_that_does_not_answer_is_not_there_yet(database: Database) -> None:
    refused = databases.login(database, "127.0.0.1", closed_port(), 1)
    assert refused == NotYet("nothing listens yet")
    with listener(socket.socket.close) as port:
        assert databases.login(database, "127.0.0.1", port, 1) == NotYet("the server closes the connection")
    with listener(reset) as port:
        assert databases.login(database, "127.0.0.1", port, 1) == NotYet("the server closes the connection")
    kept: list[socket.socket] = []
    with listener(kept.append) as port:
        assert databases.login(database, "127.0.0.1", port, 0.1) == NotYet("the server does not answer")
    for connection in kept:
        connection.close()


@pytest.mark.parametrize("database", [POSTGRES, MONGO], ids=lambda database: database.kind.name)
def test_waiting_ends_with_the_container_or_the_time(database: Database) -> None:
    port = closed_port()
    ended = threading.Event()
    with pytest.raises(NotReady, match=r"db has not accepted a login in time: nothing listens yet\."):
        databases.wait_until_ready(database, "127.0.0.1", port, time.monotonic() + 0.05, ended)
    ended.set()
    begun = time.monotonic()
    with pytest.raises(NotReady, match=r"db ended before it accepted a login"):
        databases.wait_until_ready(database, "127.0.0.1", port, begun + 60, ended)
    assert time.monotonic() - begun < 5


# --- logs of servers that do not start

OFFICIAL_18 = """\
Error: in 18+, these Docker images are configured to store database data in a
       format which is compatible with "pg_ctlcluster" (specifically, using
       major-version-specific directory names).  This better reflects how
       PostgreSQL itself works, and how upgrades are to be performed.

       See also https://github.com/docker-library/postgres/pull/1259

       Counter to that, there appears to be PostgreSQL data in:
         /var/lib/postgresql/data{where}
"""


def refusal(version: str, readable: str) -> str:
    """A line as mongod prints it."""
    error = (
        "UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion document (ERROR: Location4926900: "
        "Invalid featureCompatibilityVersion document in admin.system.version: { _id: "
        f'"featureCompatibilityVersion", version: "{version}" }}. See https://docs.mongodb.com/master/'
        "release-notes/5.0-compatibility/#feature-compatibility. :: caused by :: Invalid feature "
        "compatibility "
        f"version value, expected {readable}. See https://docs.mongodb.com/.). If the current "
        "featureCompatibilityVersion is below 5.0, see the documentation on upgrading."
    )
    return json.dumps(
        {"s": "F", "c": "CONTROL", "id": 20573, "msg": "Wrong mongod version", "attr": {"error": error}}
    )


@pytest.mark.parametrize(
    ("database", "line", "message", "hint"),
    [
        (
            POSTGRES,
            (
                "DETAIL:  The data directory was initialized by PostgreSQL version 15, which is not "
                "compatible with this version 17.6 (Debian 17.6-1.pgdg13+1)."
            ),
            "database of PostgreSQL 15, and the image is PostgreSQL 17",
            "Put `image: postgres:15` back",
        ),
        (
            POSTGRES,
            (
                "DETAIL:  The data directory was initialized by PostgreSQL version 17, which is not "
                "compatible with this version 18.1 (Debian 18.1-1.pgdg13+2)."
            ),
            "database of PostgreSQL 17, and the image is PostgreSQL 18",
            "`image: postgres:17`, mounted at /var/lib/postgresql/data, back",
        ),
        (POSTGRES, OFFICIAL_18.format(where=""), "was filled, or is mounted", "image: postgres:17"),
        (
            POSTGRES,
            OFFICIAL_18.format(where=" (unused mount/volume)"),
            "is mounted at /var/lib/postgresql/data",
            "Mount it at /var/lib/postgresql in compose.yaml",
        ),
        (
            POSTGRES,
            'FATAL:  could not write lock file "postmaster.pid": No space left on device',
            "the disk is full",
            "docker builder prune",
        ),
        (
            POSTGRES,
            (
                'ERROR:  could not resize shared memory segment "/PostgreSQL.1" to 134483968 bytes: No '
                "space left on "
                "device"
            ),
            "ran out of shared memory",
            "shm_size",
        ),
        (
            POSTGRES,
            'FATAL:  data directory "/var/lib/postgresql/data" has wrong ownership',
            "belong to another user",
            "Check `user:`",
        ),
        (
            POSTGRES,
            "PANIC:  could not locate a valid checkpoint record",
            "missing or damaged",
            "copy it before",
        ),
        (
            POSTGRES,
            "Error: Database is uninitialized and superuser password is not specified.",
            "without a password",
            "Set POSTGRES_PASSWORD",
        ),
        (
            MONGO,
            refusal("4.4", "'5.0' or '5.3' or '6.0"),
            "database of MongoDB 4.4, and the image reads only 5.0, 5.3, 6.0",
            "Put `image: mongo:4.4` back into compose.yaml and run again. To upgrade",
        ),
        (
            MONGO,
            refusal("8.0", "'6.0' or '6.3' or '7.0'"),
            "database of MongoDB 8.0, and the image reads only 6.0, 6.3, 7.0",
            "Put `image: mongo:8` back into compose.yaml and run again. MongoDB does not go back",
        ),
        (
            MONGO,
            (
                "This version of MongoDB is too recent to start up on the existing data files. Try MongoDB "
                "4.2 or earlier."
            ),
            "too far from the image's",
            "Put the image that wrote it back",
        ),
        (
            MONGO,
            (
                "WARNING: MongoDB 5.0+ requires a CPU with AVX support, and your current system does not "
                "appear to have that!"
            ),
            "processor with AVX",
            "mongo:4.4",
        ),
        # Seen with postgres:18, once with the script's executable bit and once without it.
        (
            POSTGRES,
            "sh: line 45: /docker-entrypoint-initdb.d/a.sh: cannot execute: required file not found",
            "Windows line ends",
            "sed -i",
        ),
        (
            POSTGRES,
            "/docker-entrypoint-initdb.d/a.sh: line 3: set: -\n: invalid option",
            "Windows line ends",
            "sed -i",
        ),
        (
            MONGO,
            (
                '{"s":"E","msg":"DBException in initAndListen, terminating","attr":{"error":"DBPathInUse: '
                'Unable to lock the lock file: /data/db/mongod.lock"}}'
            ),
            "another MongoDB server",
            "docker ps",
        ),
        (
            MONGO,
            (
                '{"attr":{"error":"IllegalOperation: Attempted to create a lock file on a read-only '
                'directory: /data/db"}}'
            ),
            "belong to another user",
            "Check `user:`",
        ),
    ],
)
def test_log_is_explained(database: Database, line: str, message: str, hint: str) -> None:
    log = ["the line before", *line.splitlines(), *["a later line"] * 40]
    refused = explain(database, log)
    assert refused is not None
    assert refused.hint is not None
    assert message in refused.message
    assert hint in refused.hint
    assert refused.evidence
    assert set(refused.evidence) <= {entry.strip() for entry in line.splitlines()}
    assert "volume rm" not in refused.hint


@pytest.mark.parametrize("database", [POSTGRES, MONGO], ids=lambda database: database.kind.name)
def test_a_log_without_a_known_cause_explains_nothing(database: Database) -> None:
    assert explain(database, ["LOG:  database system is ready to accept connections"]) is None
