"""What tests share: a real engine, project names of their own, and the proof that nothing stays behind."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import docker
import pytest
from docker.errors import DockerException
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


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that answers. At the end, the engine must hold nothing that these tests made."""
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, RequestException) as error:
        pytest.fail(f"No Docker engine answers: run `make images`, then try again. ({error})", pytrace=False)
    before = take_inventory(client)
    yield client
    left = take_inventory(client) - before
    if not os.environ.get("CI"):  # elsewhere somebody else may work on the same engine meanwhile
        left = left.only(lambda name: RUN in name)
    client.close()
    assert left == Inventory(frozenset(), frozenset(), frozenset(), frozenset()), f"tests left behind: {left}"


@pytest.fixture
def project_name(engine: docker.DockerClient) -> Iterator[str]:
    """A name for one project. Whatever is named after it goes when the test ends, however it ends."""
    name = f"{RUN}{secrets.token_hex(2)}"
    yield name
    remove(engine, take_inventory(engine).only(lambda other: name in other))
