"""Faults between a database and its volume."""

from __future__ import annotations

from tests.faults.bench import HEALTHY_PATIENCE, Fate, Scene, fault, free_port

MONGO = """\
  db:
    image: mongo:8
    environment: {MONGO_INITDB_ROOT_USERNAME: app, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD}"}
    ports: ["127.0.0.1:${DB_PORT}:27017"]
    volumes: ["db-data:/data/db"]
    healthcheck: {test: [CMD, mongosh, --quiet, --eval, "db.hello().ok"], interval: 3s, retries: 5}
volumes: {db-data: {}}
"""


def _without_app(scene: Scene) -> None:
    """Leave only the database in the project: the app adds nothing here but time."""
    text = (scene.folder / "compose.yaml").read_text()
    scene.write("compose.yaml", "services:\n" + text[text.index("  db:\n") :])


def _filled(scene: Scene) -> None:
    done = scene.run("--timeout", HEALTHY_PATIENCE)
    assert done.returncode == 0, done.stderr


@fault(
    "password of .env against an old PostgreSQL volume",
    cause=r"password.*\bapp\b.*volume",
    hint=r"`(scaffold db --set-password)`",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    _filled(scene)
    old = scene.variable("POSTGRES_PASSWORD")
    scene.edit(".env", f"POSTGRES_PASSWORD={old}", "POSTGRES_PASSWORD=another")
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "password of .env against an old MongoDB volume",
    cause=r"password.*\bapp\b.*volume",
    hint=r"`(scaffold db --set-password)`",
)
def _(scene: Scene) -> Fate:
    scene.patience = HEALTHY_PATIENCE
    scene.add("compose.yaml", MONGO)
    scene.add(".env", f"MONGO_PASSWORD=first\nDB_PORT={free_port()}\n")
    _without_app(scene)
    _filled(scene)
    scene.edit(".env", "MONGO_PASSWORD=first", "MONGO_PASSWORD=second")
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "volume of PostgreSQL 15 under 17",
    cause=r"PostgreSQL 15\b.*PostgreSQL 17",
    hint=r"`image: (postgres:15)`",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    scene.edit("compose.yaml", "postgres:18", "postgres:15")
    scene.edit("compose.yaml", "db-data:/var/lib/postgresql", "db-data:/var/lib/postgresql/data")
    _filled(scene)
    scene.edit("compose.yaml", "postgres:15", "postgres:17")
    verdict = yield
    scene.edit("compose.yaml", "postgres:17", verdict.command)


@fault(
    "volume of PostgreSQL 17 under 18, in the old place",
    cause=r"volume.*PostgreSQL (17|18)|18 and later",
    hint=r"`image: (postgres:17)`",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    scene.edit("compose.yaml", "postgres:18", "postgres:17")
    scene.edit("compose.yaml", "db-data:/var/lib/postgresql", "db-data:/var/lib/postgresql/data")
    _filled(scene)
    scene.edit("compose.yaml", "postgres:17", "postgres:18")
    verdict = yield
    scene.edit("compose.yaml", "postgres:18", verdict.command)


@fault(
    "database name that is not in the volume",
    cause=r"no database \"shop\"",
    hint=r"`(scaffold exec db createdb [^`]+)`",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    _filled(scene)
    scene.edit("compose.yaml", "POSTGRES_DB: app", "POSTGRES_DB: shop")
    verdict = yield
    scene.shell(verdict.command)


@fault("database without a password", cause=r"without a password", hint=r"set (POSTGRES_PASSWORD)")
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    password = scene.variable("POSTGRES_PASSWORD")
    scene.edit(".env", f"POSTGRES_PASSWORD={password}", "POSTGRES_PASSWORD=")
    verdict = yield
    scene.edit(".env", "POSTGRES_PASSWORD=", f"{verdict.command}=secret")


@fault(
    "volume that holds something else",
    cause=r"volume .* holds something that is no PostgreSQL",
    hint=r"another volume",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    scene.edit("compose.yaml", "postgres:18", "postgres:17")
    scene.edit("compose.yaml", "db-data:/var/lib/postgresql", "db-data:/var/lib/postgresql/data")
    volume = f"{scene.name}_db-data"
    scene.do("docker", "volume", "create", "--label", f"com.docker.compose.project={scene.name}", volume)
    scene.do("docker", "run", "--rm", "-v", f"{volume}:/v", "python:3.13-slim", "touch", "/v/notes.txt")
    yield
    scene.edit("compose.yaml", "db-data:/var/lib/postgresql/data", "other:/var/lib/postgresql/data")
    scene.edit("compose.yaml", "volumes: {db-data: {}}", "volumes: {db-data: {}, other: {}}")


@fault("disk of the database full", cause=r"disk is full", hint=r"size=")
def _(scene: Scene) -> Fate:
    scene.with_database()
    _without_app(scene)
    scene.edit(
        "compose.yaml",
        "{db-data: {}}",
        "{db-data: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=8m'}}}",
    )
    yield
    scene.do("docker", "rm", "--force", "--volumes", f"{scene.name}-db-1")
    scene.do("docker", "volume", "rm", f"{scene.name}_db-data")
    scene.edit("compose.yaml", "size=8m", "size=200m")
