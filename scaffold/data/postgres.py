"""PostgreSQL: one login, and the commands to run beside the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scaffold.data import layout as layouts
from scaffold.data import unfinished
from scaffold.data.model import (
    Attempt,
    Command,
    Contents,
    Database,
    NotYet,
    Ready,
    Refused,
    Stage,
    port_of,
)
from scaffold.errors import DataRefused
from scaffold.stack.desired import Service

INVALID_PASSWORD = "28P01"  # noqa: S105
INVALID_AUTHORIZATION = "28000"
UNKNOWN_DATABASE = "3D000"
INSUFFICIENT_PRIVILEGE = "42501"


_OBJECTS = """
select (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema')
     + (select count(*) from pg_namespace where nspname !~ '^pg_'
        and nspname not in ('public', 'information_schema'))
     + (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema')
     + (select count(*) from pg_extension where extname <> 'plpgsql')
"""


@dataclass(frozen=True)
class Postgres:
    """The official image, and those built on it with the same entrypoint and variables.

    Bitnami's is called postgresql, and differs.
    """

    name = "postgres"
    title = "PostgreSQL"
    images = frozenset({"postgres", "postgis", "pgvector", "timescaledb"})
    server = "postgres"
    layout = layouts.POSTGRES

    def configured(self, service: Service, command: Sequence[str], version: str) -> Database:
        user = service.env("POSTGRES_USER") or "postgres"
        return Database(
            kind=self,
            service=service.name,
            port=port_of(command, int(service.env("PGPORT") or 5432)),
            user=user,
            password=service.env("POSTGRES_PASSWORD") or None,
            name=service.env("POSTGRES_DB") or user,
            version=version,
        )

    telling = (unfinished.OPTIONS, unfinished.CONTROL)

    def directory(self, environment: Mapping[str, str]) -> str:
        return environment.get("PGDATA", "").rstrip("/")

    def stage(self, contents: Contents, *, scripts: bool) -> tuple[Stage, str]:
        return unfinished.stage(contents, scripts=scripts)

    def mount_path(self, database: Database) -> str:
        if database.major is not None and database.major < 18:
            return "/var/lib/postgresql/data"
        return "/var/lib/postgresql"

    def url(self, database: Database, login: str, place: str) -> str:
        return f"postgresql://{login}{place}/{quote(database.name, safe='')}"

    def login(self, database: Database, host: str, port: int, timeout: float) -> Attempt:
        """Try once; the server's SQLSTATE decides what a failure means.

        pg8000 and not psycopg: libpq keeps the SQLSTATE of a failed connection to itself.
        A refusal is final: while the official image initialises an empty volume it listens on its socket
        only.
        """
        attempt = _login(database, host, port, timeout, encrypted=False)
        if isinstance(attempt, dict) and attempt.get("C") == INVALID_AUTHORIZATION:
            # Perhaps its pg_hba.conf allows only `hostssl`.
            encrypted = _login(database, host, port, timeout, encrypted=True)
            attempt = attempt if isinstance(encrypted, NotYet) else encrypted
        return _classify(database, attempt) if isinstance(attempt, dict) else attempt

    def client_command(
        self,
        database: Database,
        arguments: Sequence[str],
        *,
        terminal: bool,  # noqa: ARG002 - psql sees for itself
    ) -> tuple[str, ...]:
        """Return psql over the local socket, which the image trusts."""
        command = ("psql", "--username", database.user or "", "--dbname", database.name)
        return (*command, *_on_port(database), *arguments)

    def set_password(self, database: Database, user: str, password: str) -> Command:
        """Return an ALTER USER over the local socket, kept out of the server's log."""
        script = "\n".join(
            (
                "SET log_statement = 'none';",
                "SET log_min_duration_statement = -1;",
                "SET log_min_error_statement = panic;",
                "SET standard_conforming_strings = on;",
                f"ALTER USER {_identifier(user)} PASSWORD {_literal(password)};",
                "",
            )
        )
        options = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1")
        # Not the project's own database: that one may be missing.
        return Command(
            ("psql", *options, "--username", user, "--dbname", "postgres", *_on_port(database)), script
        )

    def objects(self, database: Database) -> tuple[str, ...]:
        return self.client_command(database, ("--no-psqlrc", "-Atqc", _OBJECTS), terminal=False)


def _login(
    database: Database, host: str, port: int, timeout: float, *, encrypted: bool
) -> Ready | NotYet | dict[str, str]:
    """Return the fields of the server's error when it answers with one."""
    from pg8000.native import (  # type: ignore[import-untyped]
        Connection,
        DatabaseError,
        InterfaceError,
    )

    try:
        connection: Any = Connection(
            database.user or "",
            host=host,
            port=port,
            database=database.name,
            # An empty one lets the server refuse it; pg8000 trips over None when it is asked for one.
            password=database.password or "",
            timeout=timeout,
            # Nothing to hide on this machine's own bridge, and False spares it loading all certificates.
            ssl_context=encrypted,
            application_name="scaffold",
        )
    except DatabaseError as error:
        fields: dict[str, str] = error.args[0]
        return fields
    except (InterfaceError, OSError) as error:
        return NotYet(_silence(error))
    version = str(connection.parameter_statuses.get("server_version", ""))
    connection.close()
    return Ready(version.split(" ", 1)[0])


def _silence(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, TimeoutError):
        return "the server does not answer"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens yet"
    return "the server closes the connection"


def _classify(database: Database, fields: dict[str, str]) -> Attempt:
    code = fields.get("C", "")
    said = f"{database.title} says: {fields.get('M', '')} ({code})"
    if code == INVALID_PASSWORD:
        if database.password is None:
            return Ready("")  # It is up and checks passwords; only the container knows the right one.
        return Refused(
            DataRefused(
                f'{database.service}: the password for user "{database.user}" is not the one in the volume. '
                "POSTGRES_USER and POSTGRES_PASSWORD count only while the volume is empty; this one was "
                "initialised with others.",
                "Keep the volume, your data is in it. Put the old password back into .env, or give the "
                "database the one that is there now: `scaffold db --set-password`.",
                evidence=(said,),
            )
        )
    if code == UNKNOWN_DATABASE:
        return Refused(
            DataRefused(
                f'{database.service}: there is no database "{database.name}" in the volume. POSTGRES_DB '
                "counts only while the volume is empty, and the first start may have been cut short.",
                f"Create it, nothing else changes: `scaffold exec {database.service} "
                f"createdb --username {database.user} {database.name}`. Or put the old name back.",
                evidence=(said,),
            )
        )
    if code == INVALID_AUTHORIZATION and fields.get("R") == "ClientAuthentication":
        # The entrypoint adds the entry for other addresses after initdb, and never again.
        return Refused(
            DataRefused(
                f"{database.service}: the server lets nobody in from outside the container; a first start "
                "that was cut short leaves the volume like that.",
                "Two ways on. If it may hold rows, add the line `host all all all scram-sha-256` to the "
                "pg_hba.conf in it. If it never held any: `scaffold down`, then `docker volume rm` with its "
                "name, which `scaffold volumes` shows, then `scaffold run`.",
                evidence=(said,),
            )
        )
    if code in (INVALID_AUTHORIZATION, INSUFFICIENT_PRIVILEGE):
        return Refused(
            DataRefused(
                f'{database.service}: the server does not let user "{database.user}" into database '
                f'"{database.name}". POSTGRES_USER counts only while the volume is empty.',
                "Put the user back that the volume was initialised with, or create the other one in it.",
                evidence=(said,),
            )
        )
    return NotYet(said)


def _on_port(database: Database) -> tuple[str, ...]:
    return () if database.port == 5432 else ("--port", str(database.port))


def _identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
