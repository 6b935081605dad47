"""All projects on one engine: what `list` says, and that `clean` removes what is gone and nothing else."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pexpect
import pytest

from tests.conftest import Inventory, named, take_inventory
from tests.owners import ROWS, database, fill, ready, rows, written
from tests.projects import SCAFFOLD, Project, handwritten, surroundings, until

pytestmark = pytest.mark.engine

COMPOSE = """\
services:
  app:
    build: .
    init: true
    volumes: ["data:/data"]
networks:
  default:
volumes:
  data:
"""
POSTGRES_WITHOUT_A_VOLUME = """\
services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: given}
    shm_size: 64m
"""
POSTGRES_IN_ITSELF = f"""{POSTGRES_WITHOUT_A_VOLUME}\
    tmpfs: [/var/lib/postgresql/data]
""".replace("given", "given, PGDATA: /srv/pg")
FILES = {
    "Dockerfile": 'FROM debian:trixie-slim\nCMD ["sleep", "infinity"]\n',
    ".dockerignore": "*\n",
}


def part(inventory: Inventory, name: str) -> Inventory:
    """Return what is named after something."""
    return inventory.only(lambda other: name in other)


@dataclass(frozen=True)
class Engine:
    """One engine with a project that lives, one whose folder is gone, and one of plain Compose."""

    client: docker.DockerClient
    living: Project
    gone: str
    folder: Path
    """Where the gone one was."""
    foreign: str

    def holds(self, name: str) -> Inventory:
        return part(take_inventory(self.client), name)


@pytest.fixture
def world(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Engine]:
    with named(engine) as name:
        living = handwritten(tmp_path / f"{name}-living", COMPOSE, files=FILES)
        gone = handwritten(tmp_path / f"{name}-gone", COMPOSE, files=FILES)
        for project in (living, gone):
            project.scaffold("run", "--quiet")
        gone.scaffold("stop", "--quiet")  # what runs is not gone
        gone_name = gone.name
        engine.containers.create(
            "debian:trixie-slim",
            name=f"{name}-foreign",
            labels={
                "com.docker.compose.project": f"{name}-foreign",
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.project.working_dir": str(tmp_path / "never"),
            },
        )
        shutil.rmtree(gone.folder)
        yield Engine(engine, living, gone_name, gone.folder, f"{name}-foreign")


def anywhere(tmp_path: Path) -> Project:
    """Return a folder without a project: these commands need none."""
    return Project(tmp_path)


def listed(place: Project, *arguments: str) -> dict[str, Any]:
    return {item["name"]: item for item in place.scaffold("list", "--json", *arguments).json["projects"]}


def complete(place: Project, words: str) -> list[str]:
    """Return what the shell offers after some words."""
    last = str(len(words.split(" ")) - 1)
    done = place.run(SCAFFOLD, _SCAFFOLD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=last)
    assert done.err == ""
    return done.out.split()


def test_clean_removes_what_is_gone_and_nothing_else(world: Engine, tmp_path: Path) -> None:
    place = anywhere(tmp_path)
    volume = f"{world.gone}_data"

    found = listed(place)
    assert not found[world.living.name]["gone"]
    assert found[world.living.name]["path"] == str(world.living.folder)
    assert found[world.living.name]["state"] == "running"
    assert found[world.gone]["gone"]
    assert found[world.gone]["volumes"] == [{"name": volume, "size": 0}]
    assert world.foreign not in found
    assert not listed(place, "--all")[world.foreign]["ours"]
    assert "the folder is gone" in place.scaffold("list").out

    assert world.gone in complete(place, "scaffold clean ")
    assert world.living.name not in complete(place, "scaffold clean ")
    assert volume in complete(place, "scaffold clean --delete-data ")

    there = world.holds("")
    assert "--yes" in place.scaffold("clean", world.gone, code=2).err
    assert f"docker rm {world.gone}-app-1" in place.scaffold("clean", world.gone, "--explain").out
    for refused in (
        (world.living.name, "--yes"),
        (world.foreign, "--yes"),
        (world.gone, "--yes", "--delete-data", f"{world.living.name}_data"),
        (world.gone, "--yes", "--delete-data", world.gone),
    ):
        place.scaffold("clean", *refused, code=2)
    assert world.holds(world.gone) == part(there, world.gone)

    cleaned = place.scaffold("clean", world.gone, "--yes", "--json").json
    assert cleaned["projects"] == [world.gone]
    assert {(item["kind"], item["name"]) for item in cleaned["removed"]} == {
        ("container", f"{world.gone}-app-1"),
        ("network", f"{world.gone}_default"),
        ("image", f"{world.gone}-app:latest"),
    }
    assert [item["name"] for item in cleaned["kept"]] == [volume]
    assert world.holds(world.gone) == Inventory(frozenset(), frozenset(), frozenset({volume}), frozenset())
    assert listed(place)[world.gone]["state"] == "absent"

    place.scaffold("clean", world.gone, "--yes", "--delete-data", volume)
    assert world.holds(world.gone) == Inventory(frozenset(), frozenset(), frozenset(), frozenset())
    for name in (world.living.name, world.foreign):
        assert world.holds(name) == part(there, name)
    name = world.living.name
    assert "is up to date" in world.living.scaffold("plan").out

    moved = Project(world.living.folder.rename(tmp_path / "moved"))
    for seen_from in (place, moved):
        found = listed(seen_from)[name]
        assert (found["path"], found["gone"]) == (str(moved.folder), False)
        assert found["moved_from"] == str(world.living.folder)
    assert f"moved from {world.living.folder}" in place.scaffold("list").out
    moved.scaffold("clean", name, "--yes", code=2)


def test_data_goes_when_its_name_is_typed(world: Engine, tmp_path: Path) -> None:
    volume = f"{world.gone}_data"

    def talk(*answers: tuple[str, str]) -> str:
        child: pexpect.spawn[str] = pexpect.spawn(
            SCAFFOLD,
            ["clean", world.gone],
            cwd=str(tmp_path),
            env=surroundings({"TERM": "xterm", "NO_COLOR": "1"}),
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 200),
        )
        for question, answer in answers:
            child.expect_exact(question)
            child.send(answer)
        child.expect(pexpect.EOF)
        child.close()
        return f"{child.before}{child.exitstatus}"

    assert "Nothing was removed" in talk(("Remove all this?", "n"))
    assert world.holds(world.gone).containers
    assert "it stays" in talk(("Remove all this?", "y"), ("Type its name", "yes\r"))
    assert world.holds(world.gone).volumes == {volume}
    assert talk(("Type its name", f"{volume}\r")).endswith("0")
    assert world.holds(world.gone).volumes == frozenset()


def test_what_runs_is_never_gone(world: Engine, tmp_path: Path) -> None:
    """Its folder may be on a disk that is not mounted just now."""
    place = anywhere(tmp_path)
    name = world.living.name
    hidden = tmp_path / "elsewhere" / "deep" / "folder"
    hidden.parent.mkdir(parents=True)
    there = world.holds(name)
    world.living.folder.rename(hidden)
    assert not listed(place)[name]["gone"]
    assert "out of sight" in place.scaffold("list").out
    assert "running" in place.scaffold("clean", name, "--yes", code=2).err
    place.scaffold("clean", world.gone, "--yes")
    assert world.holds(name) == there
    world.client.containers.get(f"{name}-app-1").pause()
    assert not listed(place)[name]["gone"]
    world.client.containers.get(f"{name}-app-1").unpause()
    hidden.rename(world.living.folder)
    assert "is up to date" in world.living.scaffold("plan").out


def test_project_that_was_run_elsewhere_is_found_there(world: Engine, tmp_path: Path) -> None:
    place = anywhere(tmp_path)
    name = world.living.name
    moved = Project(tmp_path / "elsewhere" / "folder")
    moved.folder.parent.mkdir()
    world.living.folder.rename(moved.folder)
    moved.scaffold("run", "--quiet")
    moved.scaffold("down")
    found = listed(place)[name]
    assert (found["path"], found["gone"]) == (str(moved.folder), False)
    assert name in place.scaffold("clean", name, "--yes", code=2).err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (POSTGRES_WITHOUT_A_VOLUME, "no name"),
        (POSTGRES_IN_ITSELF, "a database is in the container itself"),
    ],
    ids=["a volume without a name", "the container itself"],
)
def test_clean_keeps_a_container_that_data_would_go_with(
    engine: docker.DockerClient, project_name: str, tmp_path: Path, text: str, why: str
) -> None:
    project = written(tmp_path / project_name, text, f"COMPOSE_PROJECT_NAME={project_name}\n")
    project.scaffold("run")
    server = database(project_name)
    fill(server)
    project.scaffold("stop")
    shutil.rmtree(project.folder)
    place = anywhere(tmp_path)
    done = place.scaffold("clean", project_name, "--yes")
    assert server in done.err, done
    assert why in " ".join(done.err.split()), done
    engine.containers.get(server).start()
    until(lambda: ready(server), "the database answers")
    assert rows(server) == ROWS
