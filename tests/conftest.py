"""What tests share: a real engine, project names of their own, and the proof that nothing stays behind."""

import contextlib
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import docker
import pytest
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

# Every project that this run of the tests makes is named after it: two runs on one engine are told apart.
RUN = f"t{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Inventory:
    """The names of what an engine holds."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    images: frozenset[str]

    def __sub__(self, other: "Inventory") -> "Inventory":
        return Inventory(
            self.containers - other.containers,
            self.networks - other.networks,
            self.volumes - other.volumes,
            self.images - other.images,
        )

    def only(self, ours: Callable[[str], bool]) -> "Inventory":
        return Inventory(
            frozenset(filter(ours, self.containers)),
            frozenset(filter(ours, self.networks)),
            frozenset(filter(ours, self.volumes)),
            frozenset(filter(ours, self.images)),
        )


def take_inventory(client: docker.DockerClient) -> Inventory:
    api = client.api
    return Inventory(
        containers=frozenset(c["Names"][0].lstrip("/") for c in api.containers(all=True) if c["Names"]),
        networks=frozenset(n["Name"] for n in api.networks()),
        volumes=frozenset(v["Name"] for v in api.volumes()["Volumes"] or ()),
        images=frozenset(tag for image in api.images() for tag in image["RepoTags"] or ()),
    )


def remove(client: docker.DockerClient, inventory: Inventory) -> None:
    for name in inventory.containers:
        client.api.remove_container(name, v=True, force=True)
    for name in inventory.networks:
        client.api.remove_network(name)
    for name in inventory.volumes:
        client.api.remove_volume(name, force=True)
    for name in inventory.images:
        client.api.remove_image(name, force=True)


MEASURED = "measured"
"""The name of the property under which a test leaves a line for the end of the run."""
NOTHING = Inventory(frozenset(), frozenset(), frozenset(), frozenset())
WORKER = "PYTEST_XDIST_WORKER" in os.environ
_before: dict[str, Inventory] = {}


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where a shell in the background has switched it off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    """Note what the engine holds before the first test, once for all workers."""
    if not WORKER:
        with (
            contextlib.suppress(DockerException, RequestException),
            contextlib.closing(docker.from_env()) as client,
        ):
            _before["engine"] = take_inventory(client)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that leaves anything behind on an engine that is its own."""
    if WORKER or "engine" not in _before or not os.environ.get("CI"):
        return  # elsewhere somebody else may work on the same engine meanwhile
    with contextlib.closing(docker.from_env()) as client:
        left = take_inventory(client) - _before["engine"]
        # `down` keeps anonymous volumes, as it should: nothing finds them again but the end of the run.
        anonymous = frozenset(name for name in left.volumes if re.fullmatch("[0-9a-f]{64}", name))
        remove(client, replace(NOTHING, volumes=anonymous))
        left = replace(left, volumes=left.volumes - anonymous)
    if left != NOTHING:
        sys.stderr.write(f"\ntests left behind: {left}\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured: a worker's own output is not shown."""
    reports = [item for kind in ("passed", "failed") for item in terminalreporter.stats.get(kind, ())]
    found = [text for item in reports for name, text in item.user_properties if name == MEASURED]
    if found:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(found))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that answers. At the end, the engine must hold nothing that these tests made."""
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, RequestException) as error:
        pytest.fail(f"No Docker engine answers: run `make images`, then try again. ({error})", pytrace=False)
    yield client
    left = take_inventory(client).only(lambda name: RUN in name)
    client.close()
    assert left == NOTHING, f"tests left behind: {left}"


@contextlib.contextmanager
def named(client: docker.DockerClient) -> Iterator[str]:
    """Yield a name for one project; whatever is named after it is removed at the end."""
    name = f"{RUN}{secrets.token_hex(2)}"
    try:
        yield name
    finally:
        remove(client, take_inventory(client).only(lambda other: name in other))
        remove_outdated_images(client, name)


def remove_outdated_images(client: docker.DockerClient, name: str) -> None:
    """Remove images that lost their tag to a newer build; a label still says whose they are."""
    for image in client.api.images(filters={"dangling": True}):
        if name in (image["Labels"] or {}).get("com.docker.compose.project", ""):
            with contextlib.suppress(APIError):  # a newer one of another project may stand on it
                client.api.remove_image(image["Id"])


@pytest.fixture
def project_name(engine: docker.DockerClient) -> Iterator[str]:
    """A name for one project. Whatever is named after it goes when the test ends, however it ends."""
    with named(engine) as name:
        yield name


@pytest.fixture(scope="module")
def shared_name(engine: docker.DockerClient) -> Iterator[str]:
    """A name like `project_name`, for one project that all tests of a module look at."""
    with named(engine) as name:
        yield name


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep locks, reserved ports and caches of the person who runs the tests out of them.

    Workers share theirs: two first starts at once must not choose the same port. Several runs on one engine
    do so with SCAFFOLD_TEST_STATE, a folder.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if WORKER else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", os.environ.get("SCAFFOLD_TEST_STATE") or str(folder / "state"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield
