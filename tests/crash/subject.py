"""The project that is killed, again and again: a database with rows, a one-shot, an app that is built."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
from pg8000.native import Connection  # type: ignore[import-untyped]

from tests.projects import SERVER, Done, Project, get, handwritten

COMPOSE = """\
services:
  app:
    build:
      context: .
      network: none
    init: true
    environment:
      LEVEL: ${LEVEL}
    labels:
      dev.scaffold.ready: /
    ports: ["127.0.0.1:${APP_PORT}:8000"]
    networks: [backend]
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  migrate:
    image: postgres:18
    command: [psql, -c, create table if not exists entry (number int primary key)]
    environment:
      PGHOST: db
      PGUSER: app
      PGDATABASE: app
      PGPASSWORD: ${POSTGRES_PASSWORD}
    tmpfs: [/var/lib/postgresql]
    labels:
      dev.scaffold.once: volume
    networks: [backend]
    depends_on:
      db: {condition: service_healthy}
  db:
    image: postgres:18
    environment:
      POSTGRES_USER: app
      POSTGRES_DB: app
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}
    ports: ["127.0.0.1:${DB_PORT}:5432"]
    volumes: ["db-data:/var/lib/postgresql"]
    networks: [backend]
    healthcheck:
      test: [CMD, pg_isready, -h, 127.0.0.1, -U, app]
      interval: 5s
      start_period: 60s
      start_interval: 200ms
networks:
  backend: {}
volumes:
  db-data: {}
"""
EXAMPLE = "APP_PORT={app}\nDB_PORT={db}\nPOSTGRES_PASSWORD=\nLEVEL=0\n"
DOCKERFILE = 'FROM python:3.13-slim\nCOPY server.py /\nCMD ["python", "/server.py"]\n'
PROJECT = "com.docker.compose.project"
NOTHING: Mapping[str, str] = {}


@dataclass
class Subject:
    """The project, what it has to look like now, and how many rows were acknowledged."""

    project: Project
    engine: docker.DockerClient
    anonymous: bool = False
    version: int = 0
    rows: int = 0
    stash: str = ""
    """What the app's anonymous volume has to hold."""
    is_up: bool = False
    """Whether it was found to be as it should be, and nothing has been done since."""
    was_down: bool = False
    """Whether a `down` has begun since the volume was made: then the migration needs no container."""

    def change(self) -> None:
        """Change the app's image and its environment."""
        self.version += 1
        self._write()
        lines = self.project.env_file.read_text().splitlines()
        lines = [f"LEVEL={self.version}" if line.startswith("LEVEL=") else line for line in lines]
        self.project.env_file.write_text("\n".join(lines) + "\n")

    def _write(self) -> None:
        (self.project.folder / "server.py").write_text(f"VERSION = {self.version}\n{SERVER}")

    def insert(self, count: int = 10) -> None:
        """Insert rows; they count once the server has acknowledged them."""
        connection = self._connection()
        try:
            for number in range(self.rows, self.rows + count):
                connection.run(f"insert into entry values ({number})")
                self.rows += 1
        finally:
            connection.close()

    def hide(self) -> None:
        """Put a word into the app's anonymous volume; a replacement has to keep it."""
        self.stash = f"{self.version}"
        self._inside("sh", "-c", f"printf %s {self.stash} >/stash/word")

    def _inside(self, *command: str) -> str:
        api = self.engine.api
        task = api.exec_create(self.project.container("app"), list(command))
        output: bytes = api.exec_start(task["Id"])
        return output.decode()

    def counted(self) -> int:
        connection = self._connection()
        try:
            return int(connection.run("select count(*) from entry")[0][0])
        finally:
            connection.close()

    def _connection(self) -> Connection:
        variables = self.project.variables
        return Connection(
            "app",
            host="127.0.0.1",
            port=int(variables["DB_PORT"]),
            password=variables["POSTGRES_PASSWORD"],
            database="app",
            timeout=10,
        )

    def recover(self) -> Done:
        """Run once more, on the engine itself."""
        return self.project.scaffold("run", "--no-wait")

    def check(self) -> None:
        """Claim that the engine holds exactly what compose.yaml asks for, and every row."""
        name = self.project.name
        api = self.engine.api
        containers = {
            item["Names"][0].lstrip("/"): item
            for item in api.containers(all=True)
            if (item["Names"] and name in item["Names"][0]) or (item["Labels"] or {}).get(PROJECT) == name
        }
        states = {key: item["State"] for key, item in containers.items()}
        wanted = {f"{name}-app-1": "running", f"{name}-db-1": "running"}
        migration = f"{name}-migrate-1"
        if migration in states or not self.was_down:
            wanted[migration] = "exited"
        assert states == wanted, states
        assert [item["Name"] for item in api.networks() if name in item["Name"]] == [f"{name}_backend"]
        volumes = [item["Name"] for item in api.volumes()["Volumes"] or () if name in item["Name"]]
        assert volumes == [f"{name}_db-data"], volumes
        used = {
            mount["Name"]
            for item in containers.values()
            for mount in item["Mounts"]
            if mount["Type"] == "volume"
        }
        assert len(used - {f"{name}_db-data"}) == int(self.anonymous), used
        if self.stash:
            assert self._inside("cat", "/stash/word") == self.stash
        app = api.inspect_container(f"{name}-app-1")
        assert app["Image"] == api.inspect_image(f"{name}-app")["Id"]
        assert f"LEVEL={self.version}" in app["Config"]["Env"]
        if migration in states:
            assert api.inspect_container(migration)["State"]["ExitCode"] == 0
        assert get(self.project.url) == (200, str(self.version))
        assert self.counted() == self.rows
        self.project.scaffold("plan", "--exit-code")
        self.is_up = True

    def wipe(self) -> None:
        """Remove all of it from the engine; only the folder stays."""
        name = self.project.name
        api = self.engine.api
        for item in api.containers(all=True, filters={"label": f"{PROJECT}={name}"}):
            api.remove_container(item["Id"], v=True, force=True)
        for network in api.networks(filters={"label": f"{PROJECT}={name}"}):
            api.remove_network(network["Id"])
        for volume in api.volumes(filters={"label": f"{PROJECT}={name}"})["Volumes"] or ():
            api.remove_volume(volume["Name"])
        for image in api.images(name=f"{name}-app"):
            api.remove_image(image["Id"], force=True)
        self.rows = 0
        self.stash = ""
        self.is_up = False
        self.was_down = False


def subject(
    folder: Path,
    engine: docker.DockerClient,
    *,
    anonymous: bool = False,
    subnet: str = "",
    environment: Mapping[str, str] = NOTHING,
) -> Subject:
    """Return the project in a new folder, its .env written; `anonymous` adds a volume without a name."""
    stash = "    init: true\n    volumes: [/stash]\n"
    compose = COMPOSE.replace("    init: true\n", stash) if anonymous else COMPOSE
    if subnet:
        compose = compose.replace("backend: {}", f"backend: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}")
    # Two runs of the tests at once keep no common table of ports.
    first = 20000 + secrets.randbelow(5000)
    example = EXAMPLE.format(app=first, db=first + 5000)
    project = handwritten(folder, compose, example, {"Dockerfile": DOCKERFILE})
    made = Subject(Project(project.folder, environment), engine, anonymous)
    made._write()
    made.project.scaffold("env")
    return made
