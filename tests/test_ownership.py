"""Whose data it is: no folder takes, hides or deletes the rows of another one, whatever gave it its name."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from scaffold.engine.apply import Work, apply
from scaffold.engine.client import Engine
from scaffold.errors import EngineError
from scaffold.interrupt import Cancellation
from scaffold.stack import names
from scaffold.stack.desired import Desired, Volume
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.steps import CreateVolume
from tests.crash.proxy import proxied
from tests.owners import ROWS, compose, database, fill, forwarded, ready, rows, sql, started, written
from tests.projects import Project, until, unused_port

pytestmark = pytest.mark.engine


def hinted(said: str) -> str:
    """Return the name that an error tells to put into .env."""
    found = re.search(r"COMPOSE_PROJECT_NAME=([a-z0-9_-]+)", said)
    assert found, said
    return found[1]


def unique(project: Project) -> str:
    return f"{project.folder.name}-{names.checkout_hash(str(project.folder))}"


# Two folders of one name


@dataclass(frozen=True)
class Naming:
    """A way in which two folders come to one name."""

    env: str | None = None
    file: str = ""
    shell: bool = False


NAMINGS = {
    "env without it": Naming(env="DB_PASSWORD=given\n"),
    "env empty": Naming(env="COMPOSE_PROJECT_NAME=\n"),
    "env quoted": Naming(env='export COMPOSE_PROJECT_NAME="{name}"\n'),
    "file": Naming(env="DB_PASSWORD=given\n", file='name: "{name}"\n'),
    "shell": Naming(env="DB_PASSWORD=given\n", shell=True),
}


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS.keys())
def test_two_folders_of_one_name_do_not_share_rows(naming: Naming, project_name: str, tmp_path: Path) -> None:
    env = naming.env.format(name=project_name) if naming.env else None
    text = naming.file.format(name=project_name) + compose()
    shell: Mapping[str, str] = {"COMPOSE_PROJECT_NAME": project_name} if naming.shell else {}
    first = written(tmp_path / "A" / project_name, text, env, shell)
    second = written(tmp_path / "B" / project_name, text, env, shell)
    first.scaffold("run")
    server = database(project_name)
    fill(server)
    before = started(server)

    destroy = ("destroy", "--yes-delete-data", project_name)
    for command in (("run",), ("plan",), ("restart",), ("stop",), ("down",), ("exec", "db", "true"), destroy):
        done = second.scaffold(*command, code=2)
        assert str(first.folder) in done.err, done
    assert (started(server), rows(server)) == (before, ROWS)

    first.scaffold("down")  # what is left says only where it began
    assert str(first.folder) in second.scaffold(*destroy, code=2).err
    first.scaffold("run")

    name = hinted(second.scaffold("run", code=2).err)
    if naming.shell:
        second = Project(second.folder, {"COMPOSE_PROJECT_NAME": name})
    else:
        second.env_file.write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    second.scaffold("run")
    assert name != project_name
    second.scaffold("destroy", "--yes-delete-data", name)
    assert rows(server) == ROWS
    first.scaffold("plan", "--exit-code")


def test_same_name_in_both_files_gives_two_projects(project_name: str, tmp_path: Path) -> None:
    text = f"name: {project_name}\n{compose()}"
    first, second = (written(tmp_path / side / "shop", text) for side in "AB")
    first.scaffold("run")
    (first.folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    first.scaffold("run", "--new-data", project_name)
    second.scaffold("run")
    assert second.name not in (project_name, first.name)
    for project in (first, second):
        project.scaffold("destroy", "--yes-delete-data", project.name)
    first.env_file.write_text(f"COMPOSE_PROJECT_NAME={unique(first)}\n")
    first.scaffold("destroy", "--yes-delete-data", unique(first))


def test_name_is_free_once_the_other_folder_is_gone(project_name: str, tmp_path: Path) -> None:
    env = f"COMPOSE_PROJECT_NAME={project_name}\n"
    first = written(tmp_path / "A" / "shop", env=env)
    second = written(tmp_path / "B" / "shop", env=env)
    first.scaffold("run")
    fill(database(project_name))
    shutil.rmtree(first.folder)
    assert str(first.folder) in second.scaffold("run").err
    assert rows(database(project_name)) == ROWS


WEB = "services:\n  web: {image: 'debian:trixie-slim', command: [sleep, infinity], init: true}\n"


@pytest.mark.parametrize("naming", [NAMINGS["env without it"], NAMINGS["shell"]], ids=["folder", "shell"])
def test_name_of_a_moved_project_is_not_taken_for_proof(
    naming: Naming, engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    """The owner is down and elsewhere now; an unrelated folder comes to its name."""
    shell: Mapping[str, str] = {"COMPOSE_PROJECT_NAME": project_name} if naming.shell else {}
    first = written(tmp_path / "v1" / project_name, env=naming.env, shell=shell)
    first.scaffold("run")
    fill(database(project_name))
    first.scaffold("down")
    (tmp_path / "v1").rename(tmp_path / "v1moved")
    moved = Project(tmp_path / "v1moved" / project_name, shell)

    second = written(tmp_path / "v2" / project_name, WEB, naming.env, shell)
    destroy = ("destroy", "--yes-delete-data", project_name)
    for command in (("plan",), ("run",), ("run", "--new-data", project_name), ("down",), destroy):
        done = second.scaffold(*command, code=2)
        assert f"volume {project_name}_db-data" in done.err, done
        assert str(first.folder) in done.err, done
    engine.volumes.get(f"{project_name}_db-data")  # raises when it is gone

    name = hinted(second.scaffold("run", code=2).err)
    assert name != project_name
    if naming.shell:
        second = Project(second.folder, {"COMPOSE_PROJECT_NAME": name})
    else:
        second.env_file.write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    second.scaffold("run")
    second.scaffold("destroy", "--yes-delete-data", name)
    moved.scaffold("run")  # the very folder: this user's record says so
    assert rows(database(project_name)) == ROWS
    moved.scaffold("plan", "--exit-code")


def test_moved_project_without_a_record_goes_on_once_its_env_has_the_name(
    project_name: str, tmp_path: Path
) -> None:
    first = written(tmp_path / "A" / project_name, env="DB_PASSWORD=given\n")
    first.scaffold("run", XDG_STATE_HOME=str(tmp_path / "state"))
    fill(database(project_name))
    (tmp_path / "A").rename(tmp_path / "B")
    moved = Project(tmp_path / "B" / project_name)
    done = moved.scaffold("run", code=2)
    assert f"COMPOSE_PROJECT_NAME={project_name} " in done.err, done
    with moved.env_file.open("a") as file:
        file.write(f"COMPOSE_PROJECT_NAME={project_name}\n")
    moved.scaffold("run")
    assert rows(database(project_name)) == ROWS


# A folder that was moved, and a new clone in its place


@pytest.mark.parametrize("last", ["run", "down", "nothing"])
def test_clone_in_the_place_of_a_moved_folder_gets_a_name_of_its_own(
    last: str, project_name: str, tmp_path: Path
) -> None:
    first = written(tmp_path / project_name)
    (first.folder / ".env.example").write_text("DB_PASSWORD=\n")
    first.scaffold("run")
    name = first.name
    fill(database(name))
    old = Project(first.folder.rename(tmp_path / f"{project_name}-old"))
    if last != "nothing":
        old.scaffold("run")
    if last == "down":
        old.scaffold("down")

    clone = written(tmp_path / project_name)
    (clone.folder / ".env.example").write_text("DB_PASSWORD=\n")
    done = clone.scaffold("run")
    assert "--set-password" not in done.err
    assert name in done.err, done
    assert clone.name != name
    clone.scaffold("plan", "--exit-code")
    clone_name = clone.name
    clone.env_file.unlink()
    clone.scaffold("run")
    assert clone.name == clone_name  # found again, as that of any other folder
    clone.scaffold("destroy", "--yes-delete-data", clone.name)

    old.scaffold("run")
    assert (old.name, rows(database(name))) == (name, ROWS)
    old.scaffold("plan", "--exit-code")


def test_moved_folder_is_asked_for_when_nothing_says_what_became_of_it(
    project_name: str, tmp_path: Path
) -> None:
    """As a version without records leaves it: moved or copied, the files are the same."""
    first = written(tmp_path / project_name)
    first.scaffold("run", XDG_STATE_HOME=str(tmp_path / "state"))
    name = first.name
    fill(database(name))
    old = Project(first.folder.rename(tmp_path / f"{project_name}-old"))
    clone = written(tmp_path / project_name)
    done = clone.scaffold("run", code=2)
    assert str(old.folder) in done.err, done
    assert f"into {clone.env_file}" in old.scaffold("run", code=2).err
    clone.env_file.write_text(f"COMPOSE_PROJECT_NAME={hinted(done.err)}\n")
    clone.scaffold("run")
    old.scaffold("run")
    assert rows(database(name)) == ROWS


def test_env_carried_back_to_the_old_place_does_not_carry_the_data(project_name: str, tmp_path: Path) -> None:
    first = written(tmp_path / project_name)
    first.scaffold("run")
    name = first.name
    old = Project(first.folder.rename(tmp_path / f"{project_name}-old"))
    old.scaffold("run")
    fill(database(name))
    back = written(tmp_path / project_name, env=old.env_file.read_text())
    for command in ("run", "down"):
        assert str(old.folder) in back.scaffold(command, code=2).err
    old.scaffold("down")
    assert str(old.folder) in back.scaffold("run", code=2).err
    old.scaffold("run")
    assert rows(database(name)) == ROWS


def test_renamed_parent_and_links_lead_to_one_checkout(project_name: str, tmp_path: Path) -> None:
    first = written(tmp_path / "work" / "deep" / project_name)
    first.scaffold("run")
    fill(database(first.name))
    (tmp_path / "work").rename(tmp_path / "projects")
    moved = Project(tmp_path / "projects" / "deep" / project_name)
    moved.scaffold("run")
    before = started(database(moved.name))
    (tmp_path / "link").symlink_to(moved.folder)
    (tmp_path / "work").symlink_to(tmp_path / "projects")
    for path in ("link", f"link/../{project_name}", f"work/deep/{project_name}"):
        Project(tmp_path).scaffold("plan", "-C", path, "--exit-code")
    Project(tmp_path / "link").scaffold("run")
    assert (started(database(moved.name)), rows(database(moved.name))) == (before, ROWS)


@pytest.mark.parametrize("clone", [False, True], ids=["gone", "a clone in its place"])
def test_moved_folder_without_env_is_asked_for_before_one_is_written(
    clone: bool, project_name: str, tmp_path: Path
) -> None:
    first = written(tmp_path / project_name)
    first.scaffold("run")
    name = first.name
    fill(database(name))
    first.scaffold("down")
    moved = Project(first.folder.rename(tmp_path / f"{project_name}-m2"))
    moved.env_file.unlink()
    if clone:
        written(first.folder)
    for command in ("plan", "env", "run"):
        done = moved.scaffold(command, code=2)
        assert f"volume {name}_db-data" in done.err, done
        assert not moved.env_file.exists()
    fresh = re.search(r"--new-data (\S+)`", moved.scaffold("run", code=2).err)
    assert fresh
    moved.scaffold("run", "--new-data", fresh[1])
    assert moved.name == fresh[1]
    moved.env_file.unlink()
    moved.scaffold("run")  # settled: it is found again
    assert moved.name == fresh[1]
    moved.scaffold("destroy", "--yes-delete-data", fresh[1])
    moved.env_file.write_text(f"COMPOSE_PROJECT_NAME={name}\n")
    if clone:
        (first.folder / ".env").write_text(
            f"COMPOSE_PROJECT_NAME={hinted(moved.scaffold('run', code=2).err)}\n"
        )
    moved.scaffold("run")
    assert rows(database(name)) == ROWS


def test_moved_folder_that_ran_where_it_is_goes_on_without_its_env(project_name: str, tmp_path: Path) -> None:
    """Its volume says only where it was begun, and a clone lies there."""
    first = written(tmp_path / project_name)
    first.scaffold("run")
    name = first.name
    fill(database(name))
    moved = Project(first.folder.rename(tmp_path / f"{project_name}-moved"))
    moved.scaffold("run")
    moved.scaffold("down")
    clone = written(tmp_path / project_name)
    clone.scaffold("run")
    moved.env_file.unlink()
    done = moved.scaffold("run")
    assert f"goes on as {name}" in done.err, done
    assert (moved.name, rows(database(name))) == (name, ROWS)
    # Nor does another name in .env begin anew beside it.
    moved.scaffold("down")
    moved.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}-other\n")
    done = moved.scaffold("run", code=2)
    assert f"volume {name}_db-data" in done.err, done


@pytest.mark.parametrize("options", ["", ", external: true"], ids=["fixed", "external"])
def test_volume_of_a_moved_project_is_refused_to_a_clone_in_its_former_place(
    options: str, project_name: str, tmp_path: Path
) -> None:
    text = compose(options=f"name: {project_name}-fixed")
    first = written(tmp_path / project_name, text)
    first.scaffold("run")
    fill(database(first.name))
    moved = Project(first.folder.rename(tmp_path / f"{project_name}-moved"))
    moved.scaffold("run")
    moved.scaffold("down")
    text = compose(options=f"name: {project_name}-fixed{options}")
    clone = written(first.folder, text, f"COMPOSE_PROJECT_NAME={project_name}-clone\n")
    for shell in ({}, {"COMPOSE_PROJECT_NAME": f"{project_name}-shell"}):
        done = clone.scaffold("run", code=2, **shell)
        assert f"{moved.name} ({moved.folder})" in done.err, done
    moved.scaffold("run")
    assert rows(database(moved.name)) == ROWS


# A folder in which Compose was used before


@pytest.mark.parametrize("state", ["down", "stopped", "running"])
@pytest.mark.parametrize("declared", [False, True], ids=["folder", "name"])
def test_folder_goes_on_with_what_compose_made(
    state: str, declared: bool, project_name: str, tmp_path: Path
) -> None:
    text = compose("pg").replace(
        "    shm_size", f'    ports: ["127.0.0.1:{unused_port()}:5432"]\n    shm_size'
    )
    folder = tmp_path / ("shop" if declared else f"{project_name}.App")
    name = project_name if declared else f"{project_name}app"
    project = written(folder, f"name: {project_name}\n{text}" if declared else text)
    project.run("docker", "compose", "up", "--wait", "--detach")
    fill(database(name))
    if state != "running":
        project.run("docker", "compose", "down" if state == "down" else "stop")
    planned = project.scaffold("plan")
    done = project.scaffold("run")
    for said in (planned.err, done.err):
        assert said.count(f"goes on as {name}") == 1, said
    assert (project.name, rows(database(name))) == (name, ROWS)
    project.scaffold("plan", "--exit-code")
    project.run("docker", "compose", "up", "--wait", "--detach")
    until(lambda: ready(database(name)), "the server that Compose has made anew answers")
    assert rows(database(name)) == ROWS


def test_volume_of_another_compose_project_is_not_taken_for_this_folders(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    """Two folders of one name, the first of plain Compose and still there: the second is another project."""
    first = written(tmp_path / "A" / project_name)
    first.run("docker", "compose", "up", "--wait", "--detach")
    fill(database(project_name))
    second = written(tmp_path / "B" / project_name)
    second.scaffold("run")
    assert second.name == unique(second)
    second.scaffold("destroy", "--yes-delete-data", second.name)
    assert rows(database(project_name)) == ROWS


def test_deleted_env_is_written_again_beside_a_volume_that_compose_made(
    project_name: str, tmp_path: Path
) -> None:
    """As `run.sh` does it, and anybody who starts the project with Compose: its volumes do not say where."""
    project = written(tmp_path / project_name)
    project.scaffold("env")
    name = project.name
    project.run("docker", "compose", "up", "--wait", "--detach")
    fill(database(name))
    project.run("docker", "compose", "down")
    project.env_file.unlink()
    project.scaffold("run")
    assert (project.name, rows(database(name))) == (name, ROWS)
    project.scaffold("plan", "--exit-code")


def test_name_that_leads_elsewhere_is_asked_for_before_it_is_written(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    """A clone where the project was that runs elsewhere: nothing says which of the two this folder is."""
    first = written(tmp_path / project_name)
    first.scaffold("env")
    name = first.name
    engine.volumes.create(f"{name}_db-data", labels={names.PROJECT: name})
    moved = Project(first.folder.rename(tmp_path / f"{project_name}-m2"))
    moved.scaffold("run")
    moved.scaffold("down")
    (tmp_path / "far").mkdir()
    moved.folder.rename(tmp_path / "far" / project_name)
    clone = written(first.folder)
    for command in ("plan", "env", "run"):
        done = clone.scaffold(command, code=2)
        assert f"volume {name}_db-data" in done.err, done
        assert not clone.env_file.exists()
    fresh = hinted(clone.scaffold("run", code=2).err)
    assert fresh != name
    clone.env_file.write_text(f"COMPOSE_PROJECT_NAME={fresh}\n")
    clone.scaffold("plan")


# A name that was changed by hand


@pytest.mark.parametrize("state", ["running", "down"])
def test_changed_name_is_said_before_anything_is_planned(
    state: str, project_name: str, tmp_path: Path
) -> None:
    project = written(tmp_path / project_name)
    project.scaffold("run")
    name = project.name
    fill(database(name))
    before = started(database(name))
    if state == "down":
        project.scaffold("down")
    text = project.env_file.read_text()
    for changed in (
        text.replace(name, f"{project_name}-other"),
        text.replace(f"COMPOSE_PROJECT_NAME={name}", ""),
    ):
        project.env_file.write_text(changed)
        for command in ("plan", "run", "down"):
            done = project.scaffold(command, code=2)
            assert f"COMPOSE_PROJECT_NAME={name}" in done.err, done
            assert f"volume {name}_db-data" in done.err, done
        if state == "running":
            assert started(database(name)) == before
    project.env_file.write_text(text.replace(name, f"{project_name}-other"))
    project.scaffold("run", "--new-data", f"{project_name}-other")
    project.scaffold("plan", "--exit-code")
    sql(database(f"{project_name}-other"), "create table kept (id int)")
    assert rows(database(f"{project_name}-other")) == 0
    project.env_file.write_text(text)
    project.scaffold("run")
    assert rows(database(name)) == ROWS


# A second compose file in the same folder


INFRA = """\
services:
  infra:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: given}
    shm_size: 64m
    volumes: [more:/more]
    networks: [default, back]
networks:
  back:
volumes:
  more:
"""


def test_what_another_compose_file_made_is_left_alone_and_named(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = written(tmp_path / project_name, env=f"COMPOSE_PROJECT_NAME={project_name}\n")
    (project.folder / "infra.yml").write_text(INFRA)
    project.scaffold("run")
    project.run("docker", "compose", "-f", "infra.yml", "up", "--detach")
    server = database(project_name, "infra")
    fill(server)
    before = started(server)
    for command in (("plan",), ("run", "--recreate"), ("run",)):
        done = project.scaffold(*command)
        assert server in done.err, done
        assert "infra.yml" in done.err, done
    project.scaffold("stop")
    project.scaffold("restart")
    ends = (["down"], ["run"], ["destroy", "--yes-delete-data", project_name])
    for end in ends:
        assert server in str(project.scaffold(*end))
    assert (started(server), rows(server)) == (before, ROWS)
    engine.volumes.get(f"{project_name}_more")  # raises when it is gone
    assert {item.name for item in engine.networks.list(filters={"name": project_name})} == {
        f"{project_name}_default",
        f"{project_name}_back",
    }


def test_service_of_both_compose_files_is_refused(project_name: str, tmp_path: Path) -> None:
    project = written(tmp_path / project_name, env=f"COMPOSE_PROJECT_NAME={project_name}\n")
    (project.folder / "infra.yml").write_text(INFRA.replace("infra:", "db:"))
    project.run("docker", "compose", "-f", "infra.yml", "up", "--detach")
    fill(database(project_name))
    before = started(database(project_name))
    done = project.scaffold("run", code=2)
    assert f"{project.folder}/infra.yml" in done.err, done
    assert started(database(project_name)) == before


def test_compose_file_under_another_path_or_name_is_still_ours(project_name: str, tmp_path: Path) -> None:
    """A link that Compose was called through, a file that was renamed, one more file beside it."""
    project = written(tmp_path / project_name, env=f"COMPOSE_PROJECT_NAME={project_name}\n")
    (tmp_path / "link").symlink_to(project.folder)
    through = Project(tmp_path / "link", {"PWD": str(tmp_path / "link")})
    through.run("docker", "compose", "up", "--wait", "--detach")
    fill(database(project_name))
    assert "left alone" not in project.scaffold("run").err
    (project.folder / "compose.yaml").rename(project.folder / "docker-compose.yml")
    assert "left alone" not in project.scaffold("run", "--recreate").err
    assert rows(database(project_name)) == ROWS
    (project.folder / "debug.yml").write_text("services: {db: {labels: {debug: 'yes'}}}\n")
    files = ("-f", "docker-compose.yml", "-f", "debug.yml")
    project.run("docker", "compose", *files, "up", "--wait", "--detach")
    assert "left alone" not in project.scaffold("run").err
    assert rows(database(project_name)) == ROWS


def test_orphan_keeps_its_volume_without_a_name(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    service = """\
  {name}:
    image: postgres:17
    environment: {{POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: given}}
    shm_size: 64m
"""
    app = "services:\n  app: {image: 'debian:trixie-slim', command: [sleep, infinity], init: true}\n"
    project = written(
        tmp_path / project_name, app + service.format(name="db"), f"COMPOSE_PROJECT_NAME={project_name}\n"
    )
    project.scaffold("run")
    fill(database(project_name))
    (project.folder / "compose.yaml").write_text(app)
    done = project.scaffold("run")
    assert "has no name" in done.err, done
    assert engine.containers.get(database(project_name)).status == "exited"
    assert database(project_name) in project.scaffold("plan", "--exit-code").err
    (project.folder / "compose.yaml").write_text(app + service.format(name="db"))
    project.scaffold("run")
    assert rows(database(project_name)) == ROWS


def test_renamed_folder_that_gives_the_name_is_said(project_name: str, tmp_path: Path) -> None:
    project = written(tmp_path / project_name, env="DB_PASSWORD=given\n")
    project.scaffold("run")
    fill(database(project_name))
    moved = Project(project.folder.rename(tmp_path / f"{project_name}x"))
    done = moved.scaffold("run", code=2)
    assert hinted(done.err) == project_name
    with moved.env_file.open("a") as file:
        file.write(f"COMPOSE_PROJECT_NAME={project_name}\n")
    moved.scaffold("run")
    assert rows(database(project_name)) == ROWS


def test_folder_of_another_machine_at_the_same_path_is_another_one(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    """Two people with one engine on a third machine: the path says nothing there."""
    project = written(tmp_path / project_name)
    project.scaffold("env", XDG_STATE_HOME=str(tmp_path / "one"))
    name = project.name
    project.env_file.unlink()
    labels = {names.PROJECT: name, names.PATH: str(project.folder)}
    engine.volumes.create(f"{name}_db-data", labels=labels)
    with forwarded("/var/run/docker.sock") as host:
        done = project.scaffold("env", XDG_STATE_HOME=str(tmp_path / "two"), DOCKER_HOST=host)
    assert project.name == f"{name}-2"
    assert f"volume {name}_db-data" in done.err, done


# One data directory


def two(tmp_path: Path, name: str, text: str, other: str | None = None) -> tuple[Project, Project]:
    first = written(tmp_path / "A" / "shop", text, f"COMPOSE_PROJECT_NAME={name}a\n")
    second = written(tmp_path / "B" / "shop", other or text, f"COMPOSE_PROJECT_NAME={name}b\n")
    return first, second


@pytest.mark.parametrize("state", ["running", "stopped", "down"])
@pytest.mark.parametrize("kind", ["fixed", "external", "made by hand"])
def test_data_directory_of_another_project_is_refused(
    kind: str, state: str, engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    fixed, external = f"name: {project_name}-fixed", f"name: {project_name}-fixed, external: true"
    if kind == "made by hand":
        engine.volumes.create(f"{project_name}-fixed")
    first, second = two(
        tmp_path,
        project_name,
        compose(options=external if kind == "made by hand" else fixed),
        compose(options=fixed if kind == "fixed" else external),
    )
    first.scaffold("run")
    server = database(first.name)
    fill(server)
    if state != "running":
        first.scaffold("stop" if state == "stopped" else "down")
    nobody_is_there = kind == "made by hand" and state != "running"
    if nobody_is_there:
        second.scaffold("run")
        assert rows(database(second.name)) == ROWS
        done = first.scaffold("run", code=2)
        assert second.name in done.err, done
        second.scaffold("down")
    else:
        before = started(server) if state != "down" else ""
        for command in ("run", "plan"):
            done = second.scaffold(command, code=2)
            assert first.name in done.err, done
            assert str(first.folder) in done.err, done
        assert state == "down" or started(server) == before
        assert "nothing to remove" in second.scaffold("down").out
    first.scaffold("run")
    assert rows(server) == ROWS


def test_folder_of_the_machine_is_a_data_directory_as_well(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    """The same folder, written in another way; and a volume that is a name for it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    (tmp_path / "link").symlink_to(data)
    device = f"driver_opts: {{type: none, o: bind, device: {data}}}"
    bound = compose("pg").replace("pg:/var/lib/postgresql/data", f"{tmp_path}/link:/var/lib/postgresql/data")
    first, second = two(tmp_path, project_name, bound, compose("pg", device))
    first.scaffold("run")
    fill(database(first.name))
    done = second.scaffold("run", code=2)
    assert database(first.name) in done.err, done
    first.scaffold("down")
    second.scaffold("run")
    assert rows(database(second.name)) == ROWS
    assert database(second.name) in first.scaffold("run", code=2).err
    second.scaffold("down")
    engine.containers.run("postgres:17", "chown -R 0 /data", remove=True, volumes=[f"{data}:/data"])


def test_volume_that_is_no_databases_may_be_shared(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    text = f"""\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    volumes: ["files:/srv/files"]
volumes:
  files: {{name: {project_name}-files}}
"""
    first, second = two(tmp_path, project_name, text)
    for project in (first, second):
        project.scaffold("run")
        project.scaffold("plan", "--exit-code")
    second.scaffold("destroy", "--yes-delete-data", second.name)
    engine.volumes.get(f"{project_name}-files")  # raises when it is gone


def test_two_servers_of_one_project_do_not_share(project_name: str, tmp_path: Path) -> None:
    env = f"COMPOSE_PROJECT_NAME={project_name}\n"
    service = compose().split("services:\n")[1].split("volumes:\n  db-data")[0]
    twice = compose().replace("services:\n", f"services:\n{service.replace('db:', 'second:', 1)}")
    project = written(tmp_path / project_name, twice, env)
    assert "services.db" in project.scaffold("run", code=1).err
    scaled = compose().replace("    shm_size", "    scale: 2\n    shm_size")
    (project.folder / "compose.yaml").write_text(scaled)
    assert "2 servers would work on" in project.scaffold("run", code=1).err


def test_renamed_service_starts_when_the_old_one_has_ended(project_name: str, tmp_path: Path) -> None:
    project = written(tmp_path / project_name, env=f"COMPOSE_PROJECT_NAME={project_name}\n")
    project.scaffold("run")
    fill(database(project_name))
    (project.folder / "compose.yaml").write_text(compose().replace("  db:", "  postgres:"))
    project.scaffold("run")
    assert rows(database(project_name, "postgres")) == ROWS


def test_container_name_of_another_checkout_is_refused_before_anything_is_done(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    text = compose().replace("    image", f"    container_name: {project_name}-fixed\n    image")
    first, second = two(tmp_path, project_name, text)
    first.scaffold("run")
    done = second.scaffold("run", code=2)
    assert f"{project_name}-fixed" in done.err, done
    assert str(first.folder) in done.err, done
    assert not engine.volumes.list(filters={"name": f"{second.name}_"})


@pytest.mark.parametrize("other", [("other", "/a/shop"), ("", "/a/shop")], ids=["project", "folder"])
def test_volume_that_another_run_made_meanwhile_is_not_used(
    other: tuple[str, str], engine: docker.DockerClient, project_name: str
) -> None:
    project, path = other[0] or project_name, other[1]
    labels = {names.PROJECT: project, names.PATH: path}
    engine.volumes.create(f"{project_name}_data", labels=labels)
    step = CreateVolume(Volume("data", f"{project_name}_data"), "not there yet")
    desired = Desired(project=project_name, path="/b/shop")
    with Engine() as client, pytest.raises(EngineError, match=f"by project {project} in /a/shop"):
        apply(Plan((Planned(step),)), Work(desired, client, lambda _: None, lambda _: "", Cancellation()))


def test_run_with_nothing_to_do_asks_for_nothing_more(project_name: str, tmp_path: Path) -> None:
    project = written(tmp_path / project_name)
    project.scaffold("run")
    with proxied(tmp_path / "socket", "/var/run/docker.sock") as proxy:
        project.scaffold("run", DOCKER_HOST=proxy.host)
    asked = [call for call in proxy.calls if "_ping" not in call and "/info" not in call]
    kinds = Counter(re.sub(r"^GET (/v[\d.]+)?/(\w+).*", r"\2", call) for call in asked)
    lists = [call for call in asked if "/containers/json" in call]
    # The second list is for the helpers that a killed command has left.
    own = [call for call in lists if "com.docker.compose.project" in call]
    left = [call for call in lists if "dev.scaffold.helper" in call]
    assert sorted(own + left) == sorted(lists), asked
    assert len(left) == 1, asked
    assert {kind: kinds[kind] for kind in ("containers", "networks", "volumes", "images")} == {
        "containers": 3,
        "networks": 1,
        "volumes": 1,
        "images": 1,
    }
