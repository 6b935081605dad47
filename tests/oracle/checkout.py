"""One checkout: its folder, the rows that its database has acknowledged, and who writes them."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pg8000.native import Connection  # type: ignore[import-untyped]

from tests.projects import SCAFFOLD, Done, Project, surroundings

COMPOSE = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    environment: {{LEVEL: "${{LEVEL:-0}}"}}
    depends_on:
      migrate: {{condition: service_completed_successfully}}
  migrate:
    image: postgres:{version}
    command: [psql, -c, create table if not exists entry (mark text primary key)]
    environment: {{PGHOST: db, PGUSER: app, PGDATABASE: app, PGPASSWORD: "${{DB_PASSWORD}}"}}
    tmpfs: [{path}]
    depends_on:
      db: {{condition: service_healthy}}
  db:
    image: postgres:{version}
    stop_grace_period: 5s
    environment: {{POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${{DB_PASSWORD}}"}}
    ports: ["127.0.0.1:${{DB_PORT}}:5432"]
    volumes: ["db-data:{path}"]
    healthcheck:
      test: [CMD, pg_isready, -h, 127.0.0.1, -U, app]
      interval: 1s
      retries: 60
volumes:
  db-data: {volume}
"""
PATHS = {"18": "/var/lib/postgresql", "17": "/var/lib/postgresql/data"}
EXAMPLE = "DB_PORT={port}\nDB_PASSWORD=\nLEVEL=0\n"
PAUSE = 0.01
"""Seconds between two rows, and between two tries to log in."""
PATIENCE = 10.0


@dataclass
class Checkout:
    """A folder and what its database has acknowledged; the folder may move, the rows stay its own."""

    title: str
    folder: Path
    acknowledged: set[str] = field(default_factory=set)
    has_copied_env: bool = False
    """Its URL leads to the database of another checkout: nobody writes its rows there."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def project(self) -> Project:
        return Project(self.folder)

    @property
    def is_there(self) -> bool:
        return (self.folder / "compose.yaml").is_file()

    def write(self, version: str, port: int, volume: str) -> None:
        """Make the folder as a clone has it: without .env; `volume` is the volume's own section."""
        self.folder.mkdir(parents=True)
        compose = COMPOSE.format(version=version, path=PATHS[version], volume=volume)
        (self.folder / "compose.yaml").write_text(compose)
        (self.folder / ".env.example").write_text(EXAMPLE.format(port=port))

    def scaffold(self, *arguments: str) -> Done:
        """Type a command; its exit code is looked at by whoever asked for it."""
        command = (SCAFFOLD, *arguments)
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=surroundings(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        done = Done(command, ended.returncode, ended.stdout, ended.stderr)
        self.project.check_output(done.out + done.err)
        assert done.code in (0, 1, 2), done
        return done

    def connect(self) -> Connection:
        variables = self.project.variables
        return Connection(
            "app",
            host="127.0.0.1",
            port=int(variables["DB_PORT"]),
            password=variables["DB_PASSWORD"],
            database="app",
            timeout=PATIENCE,
        )

    def insert(self, connection: Connection) -> None:
        """Write one row; it counts once the server has acknowledged it."""
        mark = f"{self.title}-{next(self._numbers)}"
        connection.run(f"insert into entry values ('{mark}')")
        self.acknowledged.add(mark)

    def rows(self) -> set[str]:
        """Return the rows that the checkout's own URL leads to."""
        connection = self.connect()
        try:
            return {str(row[0]) for row in connection.run("select mark from entry")}
        finally:
            connection.close()

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write rows as long as this is open, whenever the database lets anybody in."""
        ended = threading.Event()
        writer = threading.Thread(target=self._keep_writing, args=(ended,), daemon=True)
        writer.start()
        try:
            yield
        finally:
            ended.set()
            writer.join(PATIENCE * 3)

    def _keep_writing(self, ended: threading.Event) -> None:
        while not ended.wait(PAUSE):
            # No .env, no server, no table, killed in between: the next try is soon.
            with suppress(Exception):
                if self.has_copied_env:
                    continue
                self._write_until_it_fails(ended)

    def _write_until_it_fails(self, ended: threading.Event) -> None:
        connection = self.connect()
        try:
            while not ended.wait(PAUSE):
                self.insert(connection)
        finally:
            connection.close()
