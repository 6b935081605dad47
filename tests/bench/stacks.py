"""One generated project, started by three hands: scaffold, docker compose, and the engine's API alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import docker
from docker.errors import APIError, NotFound

from scaffold.data import database as databases
from scaffold.data.model import Database, Ready
from scaffold.project import checkout as checkouts
from scaffold.run.session import opened
from scaffold.stack import names
from scaffold.stack.requests.labelled import container_request
from tests.bench import measure

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
READY = "/readyz"
PREFIX = os.environ.get("BENCH_PREFIX", "bench")
"""What the names of all projects begin with; the tests give their own, to tell what is theirs."""


class Stack(Protocol):
    """One checkout of the project, and who starts it."""

    name: str

    def up(self) -> tuple[float, float]:
        """Start it; return the seconds to the first HTTP 200, and until whoever starts it is done."""

    def down(self) -> float:
        """Remove containers and network; the volume stays."""

    def empty(self) -> None:
        """Remove the volume; the stack is down."""


class Checkout:
    """A folder with its own .env, so with names, ports and data of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        checkout = checkouts.find(folder)
        self.project = checkout.variables["COMPOSE_PROJECT_NAME"]
        self.port = int(checkout.variables["APP_PORT"])

    def empty(self) -> None:
        with contextlib.suppress(NotFound), contextlib.closing(docker.APIClient(version="auto")) as api:
            api.remove_volume(f"{self.project}_db-data")

    def _timed(self, *words: str) -> tuple[float, float]:
        with measure.first_answer(self.port, READY) as answer:
            done = measure.command(*words, folder=self.folder)
        if answer.after is None:
            raise RuntimeError(f"{words[0]} is done, and {READY} on port {self.port} does not answer 200.")
        return answer.after, done


class Scaffold(Checkout):
    name = "scaffold"

    def up(self) -> tuple[float, float]:
        return self._timed(SCAFFOLD, "run")

    def again(self) -> float:
        return measure.command(SCAFFOLD, "run", folder=self.folder)

    def down(self) -> float:
        return measure.command(SCAFFOLD, "down", folder=self.folder)


class Compose(Checkout):
    name = "compose"

    def up(self) -> tuple[float, float]:
        return self._timed("docker", "compose", "up", "-d", "--wait")

    def again(self) -> float:
        return measure.command("docker", "compose", "up", "-d", "--wait", folder=self.folder)

    def down(self) -> float:
        return measure.command("docker", "compose", "down", folder=self.folder)


class Floor(Checkout):
    """The engine alone: the same containers in the same order, by raw calls of a process that is warm."""

    name = "floor"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with opened(checkouts.find(folder)) as session:
            self.desired = session.desired
        self._api = docker.APIClient(version="auto")
        self._migrated = False
        """What the volume holds: a migration that is done is not repeated here either."""
        # As warm as it gets: the driver is imported, the connection open.
        databases.login(self._database, "127.0.0.1", self.port, 0.1)

    @property
    def _database(self) -> Database:
        found = databases.database_of(self.desired.service("db"))
        assert found is not None
        return found

    def up(self) -> tuple[float, float]:
        begun = time.perf_counter()
        network, volume = self.desired.networks[0], self.desired.volumes[0]
        self._api.create_network(network.name, driver="bridge")
        self._api.create_volume(volume.name)
        shots = [] if self._migrated else ["migrate"]
        with ThreadPoolExecutor(3) as pool:
            db, app, *migrations = pool.map(self._create, ["db", "app", *shots])
        self._api.start(db)
        self._log_in()
        for container in migrations:
            self._api.start(container)
            code = self._api.wait(container)["StatusCode"]
            if code != 0:
                raise RuntimeError(f"migrate failed with {code}")
        self._migrated = True
        self._api.start(app)
        while measure.status(self.port, READY) != 200:
            time.sleep(measure.POLL)
        took = time.perf_counter() - begun
        return took, took

    def _create(self, service: str) -> str:
        name = f"{self.project}-{service}-1"
        request = container_request(self.desired, self.desired.service(service), 1)
        with contextlib.closing(docker.APIClient(version=self._api.api_version)) as api:
            api.create_container_from_config(request, name)
        return name

    def _log_in(self) -> None:
        port = int(self.desired.service("db").ports[0].published or 0)
        while not isinstance(databases.login(self._database, "127.0.0.1", port, measure.PATIENCE), Ready):
            time.sleep(measure.POLL)

    def empty(self) -> None:
        super().empty()
        self._migrated = False

    def down(self) -> float:
        """Stop app and db one after the other, as their dependency wants it, then remove all."""
        begun = time.perf_counter()
        for service in ("app", "db"):
            self._api.stop(f"{self.project}-{service}-1")
        for item in self._api.containers(all=True, filters={"label": f"{names.PROJECT}={self.project}"}):
            self._api.remove_container(item["Id"])
        self._api.remove_network(self.desired.networks[0].name)
        return time.perf_counter() - begun


@contextlib.contextmanager
def project(folder: Path) -> Iterator[tuple[Scaffold, Compose, Floor]]:
    """Generate one project, three checkouts of it with the same image; nothing of them is left at the end."""
    first = folder / f"{PREFIX}-scaffold"
    measure.command(SCAFFOLD, "new", str(first), "--defaults", "--no-git", folder=folder)
    _move_ports(first / ".env.example")
    places = [first, *(folder / f"{PREFIX}-{name}" for name in ("compose", "floor"))]
    for place in places[1:]:
        shutil.copytree(first, place)
    try:
        for place in places:
            measure.command(SCAFFOLD, "env", folder=place)
        measure.command(SCAFFOLD, "run", folder=first)
        measure.command(SCAFFOLD, "down", folder=first)
        stacks = Scaffold(first), Compose(places[1]), Floor(places[2])
        for other in stacks[1:]:
            _docker("tag", f"{stacks[0].project}-app", f"{other.project}-app")
        yield stacks
    finally:
        for place in places:
            clean(place)


def _move_ports(example: Path) -> None:
    """Ask for ports far from other projects', below those that the system gives to clients."""
    begin = secrets.randbelow(12_000) + 20_000
    ports = {"APP_PORT": begin, "DB_PORT": begin + 10}
    lines = (line.partition("=") for line in example.read_text().splitlines())
    example.write_text("".join(f"{name}{sign}{ports.get(name, value)}\n" for name, sign, value in lines))


def clean(place: Path) -> None:
    """Remove what a checkout has on the engine, whoever made it: by Compose's label and the image's name."""
    try:
        name = checkouts.find(place).variables["COMPOSE_PROJECT_NAME"]
    except Exception:  # noqa: BLE001 - it never came as far as having a name
        return
    remove(name)


def remove(project_name: str) -> None:
    """Remove what a project of this name has on the engine."""
    label = f"com.docker.compose.project={project_name}"
    with contextlib.closing(docker.APIClient(version="auto")) as api:
        for container in api.containers(all=True, filters={"label": label}):
            _quietly(api.remove_container, container["Id"], force=True, v=True)
        for network in api.networks():
            if network["Name"].startswith(f"{project_name}_"):
                _quietly(api.remove_network, network["Id"])
        for volume in api.volumes()["Volumes"] or ():
            if volume["Name"].startswith(f"{project_name}_"):
                _quietly(api.remove_volume, volume["Name"])
        _quietly(api.remove_image, f"{project_name}-app")


def _quietly(call: Callable[..., object], *arguments: str, **options: bool) -> None:
    with contextlib.suppress(APIError):
        call(*arguments, **options)


def _docker(*words: str) -> None:
    subprocess.run(("docker", *words), check=True, capture_output=True)
