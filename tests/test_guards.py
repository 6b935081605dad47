"""Databases and what their storage holds, on a real engine with real rows: none begins empty beside them.

Each project is one database in a compose.yaml as people write it. What is refused is refused while everything
still runs, `plan` says the same, and the way on that the message gives works.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.projects import Done, Project, handwritten

pytestmark = pytest.mark.engine

OLD = "/var/lib/postgresql/data"
NEW = "/var/lib/postgresql"
EXAMPLE = "POSTGRES_PASSWORD=change-me\n"


def compose(
    image: str, mounts: Sequence[str] = (), volumes: str = "", extra: str = "", environment: str = ""
) -> str:
    """Return a compose.yaml with one PostgreSQL; `volumes` is the section at its end."""
    shown = "".join(f'\n      - "{mount}"' for mount in mounts)
    return (
        "services:\n  db:\n"
        f"    image: {image}\n"
        "    environment:\n      POSTGRES_USER: app\n      POSTGRES_DB: app\n"
        "      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}\n"
        f"{environment}"
        + (f"    volumes:{shown}\n" if mounts else "")
        + extra
        + (f"volumes: {volumes}\n" if volumes else "")
    )


def named(version: int, mount: str, key: str = "db-data", **more: str) -> str:
    return compose(f"postgres:{version}", [f"{key}:{mount}"], f"{{{key}: {{}}}}", **more)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sql(project: Project, text: str) -> str:
    return docker("exec", project.container("db"), "psql", "-U", "app", "-qAtc", text)


def fill(project: Project) -> None:
    sql(project, "create table kept as select generate_series(1, 1000) as id")


def rows(project: Project) -> str:
    return sql(project, "select count(*) from kept")


def rewrite(project: Project, text: str) -> None:
    (project.folder / "compose.yaml").write_text(text)


def refused(project: Project, *arguments: str) -> Done:
    """Hold that `run` and `plan` refuse alike, and that what runs goes on; return what `run` said."""
    before = docker("ps", "--no-trunc", "-q", "--filter", f"name=^{project.container('db')}$")
    said = project.scaffold("run", *arguments, code=1)
    if not arguments:
        assert project.scaffold("plan", code=1).err == said.err
    assert before == docker("ps", "--no-trunc", "-q", "--filter", f"name=^{project.container('db')}$")
    assert "Nothing was changed" in said.err
    assert docker("ps", "-aq", "--filter", f"label=dev.scaffold.helper={project.name}") == ""
    return said


def made(tmp_path: Path, project_name: str, text: str) -> Project:
    """Return a project that has run with these rows."""
    project = handwritten(tmp_path / project_name, text, EXAMPLE)
    project.scaffold("run", "-q")
    fill(project)
    return project


def storage_of(project: Project) -> str:
    return docker("inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", project.container("db"))


# Another version, in the place of one that is there


def test_17_to_18_with_its_mount_is_refused_while_17_runs(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(17, OLD))
    rewrite(project, named(18, NEW))
    said = refused(project)
    assert "holds a database of PostgreSQL 17" in said.err
    assert f"{project.name}_db-data" in said.err
    assert "`image: postgres:17`, mounted at /var/lib/postgresql/data" in said.err
    assert rows(project) == "1000"
    rewrite(project, named(17, OLD))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"


@pytest.mark.parametrize("to", [(18, OLD), (15, OLD)], ids=["18 at the old path", "downgrade"])
def test_another_major_version_is_refused(tmp_path: Path, project_name: str, to: tuple[int, str]) -> None:
    project = made(tmp_path, project_name, named(17, OLD))
    rewrite(project, named(*to))
    said = refused(project)
    assert "holds a database of PostgreSQL 17" in said.err
    assert "image: postgres:17" in said.err
    assert rows(project) == "1000"
    project.scaffold("down", "-q")
    assert "holds a database of PostgreSQL 17" in refused(project).err, "without its container as well"


def test_18_to_17_is_refused(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    rewrite(project, named(17, OLD))
    said = refused(project)
    assert "holds a database of PostgreSQL 18" in said.err
    project.scaffold("down", "-q")
    said = refused(project)
    assert "PostgreSQL 18" in said.err
    rewrite(project, named(18, NEW))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"


def test_bind_mount_of_17_is_refused_for_18(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, compose("postgres:17", [f"./pgdata:{OLD}"]))
    rewrite(project, compose("postgres:18", [f"./pgdata:{NEW}"]))
    said = refused(project)
    assert str(project.folder / "pgdata") in said.err
    assert rows(project) == "1000"
    project.scaffold("down", "-q")
    assert "PostgreSQL 17" in refused(project).err
    docker("run", "--rm", "-v", f"{project.folder}:/v", "debian:trixie-slim", "rm", "-rf", "/v/pgdata")


def test_external_volume_of_17_is_refused_for_18(tmp_path: Path, project_name: str) -> None:
    volume = f"{project_name}-external"
    docker("volume", "create", volume)
    section = f"{{db-data: {{external: true, name: {volume}}}}}"
    project = made(tmp_path, project_name, compose("postgres:17", [f"db-data:{OLD}"], section))
    rewrite(project, compose("postgres:18", [f"db-data:{NEW}"], section))
    assert volume in refused(project).err
    project.scaffold("down", "-q")
    assert volume in refused(project).err
    rewrite(project, compose("postgres:17", [f"db-data:{OLD}"], section))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"


def test_folder_with_other_letters_is_found_whatever_the_locale(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path / "Übung", project_name, compose("postgres:17", [f"./döner:{OLD}"]))
    before = docker("ps", "-q", "--filter", f"name=^{project.container('db')}$")
    for settings in (
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    ):
        said = Project(project.folder, settings).scaffold("run", "-q")
        assert before == docker("ps", "-q", "--filter", f"name=^{project.container('db')}$"), said
    rewrite(project, compose("postgres:18", [f"./döner:{NEW}"]))
    said = project.scaffold("run", code=1, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")
    assert "holds a database of PostgreSQL 17" in said.err
    project.scaffold("down", "-q")
    docker("run", "--rm", "-v", f"{project.folder}:/v", "debian:trixie-slim", "rm", "-rf", "/v/döner")


# A mount that does not hold the data


def test_mount_around_the_data_directory_is_refused(tmp_path: Path, project_name: str) -> None:
    project = handwritten(tmp_path / project_name, named(17, NEW), EXAMPLE)
    said = project.scaffold("run", code=1)
    assert "keeps its files in /var/lib/postgresql/data" in said.err
    assert "Mount" in said.err
    assert f"{project.name}_db-data at /var/lib/postgresql/data" in said.err
    rewrite(project, named(17, OLD))
    project.scaffold("run", "-q")
    assert project.name in storage_of(project)


def test_rows_in_a_volume_without_a_name_are_not_left_for_a_mount(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, compose("postgres:17"))
    hidden = storage_of(project)
    rewrite(project, named(17, OLD))
    said = refused(project)
    assert hidden in said.err
    assert f"{project.name}_db-data" in said.err
    section = re.search(r"`volumes: \{NAME: (.*)\}`", said.err.replace("\n", " ").replace("  ", " "))
    assert section, said.err
    rewrite(project, compose("postgres:17", [f"db-data:{OLD}"], f"{{db-data: {section[1]}}}"))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"
    rewrite(project, named(17, OLD))
    refused(project)
    project.scaffold("run", "-q", "--new-data", "db")
    assert sql(project, "select count(*) from pg_class where relname = 'kept'") == "0"
    docker("volume", "inspect", hidden)
    project.scaffold("down", "-q")
    docker("volume", "rm", hidden)


def test_data_directory_outside_of_every_mount_is_refused(tmp_path: Path, project_name: str) -> None:
    elsewhere = "      PGDATA: /srv/pg\n"
    project = handwritten(tmp_path / project_name, named(17, OLD, environment=elsewhere), EXAMPLE)
    said = project.scaffold("run", code=1)
    assert "/srv/pg" in said.err
    assert "the container itself" in said.err


def test_rows_in_the_container_itself_are_not_replaced(tmp_path: Path, project_name: str) -> None:
    elsewhere = "      PGDATA: /srv/pg\n"
    project = handwritten(tmp_path / project_name, compose("postgres:17", environment=elsewhere), EXAMPLE)
    said = project.scaffold("run")
    assert "goes with it" in said.err
    fill(project)
    said = refused(project, "--recreate")
    assert "goes with it" in said.err
    assert "pg_dumpall" in said.err
    rewrite(project, named(17, OLD))
    refused(project)
    assert rows(project) == "1000"
    said = project.scaffold("down", code=1)
    assert "goes with it" in said.err
    assert rows(project) == "1000"
    project.destroy()


def test_memory_over_the_data_directory_is_named(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(17, OLD))
    rewrite(project, named(17, OLD, extra=f"    tmpfs: ['{OLD}']\n").replace(f'"db-data:{OLD}"', "other:/x"))
    rewrite(project, compose("postgres:17", extra=f"    tmpfs: ['{OLD}']\n"))
    said = refused(project)
    assert "memory" in said.err
    assert f"{project.name}_db-data" in said.err
    said = project.scaffold("run", "--new-data", "db")
    assert "gone when it stops" in said.err


# Another place


def test_renamed_volume_is_refused_with_both_names(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    rewrite(project, named(18, NEW, key="pgdata"))
    said = refused(project)
    assert f"{project.name}_db-data" in said.err
    assert f"{project.name}_pgdata" in said.err
    assert rows(project) == "1000"
    project.scaffold("down", "-q")
    said = refused(project)
    assert f"volume {project.name}_db-data of this project" in said.err
    section = f"{{pgdata: {{external: true, name: {project.name}_db-data}}}}"
    rewrite(project, compose("postgres:18", [f"pgdata:{NEW}"], section))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"


def test_folder_that_is_another_one_after_down_is_refused(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, compose("postgres:17", [f"./data:{OLD}"]))
    project.scaffold("down", "-q")
    rewrite(project, compose("postgres:17", [f"./dat:{OLD}"]))
    said = refused(project)
    assert f"it had its files in {project.folder}/data before" in said.err
    assert not (project.folder / "dat" / "PG_VERSION").exists()
    rewrite(project, compose("postgres:17", [f"./data:{OLD}"]))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"
    project.scaffold("down", "-q")
    rewrite(project, compose("postgres:17", [f"./dat:{OLD}"]))
    project.scaffold("run", "-q", "--new-data", "db")
    project.scaffold("down", "-q")
    project.scaffold("run", "-q")  # and now it is there


def test_folder_in_a_volume_is_found(tmp_path: Path, project_name: str) -> None:
    """Rows at the root of a volume, and then a server that is shown only a folder of it."""
    project = made(tmp_path, project_name, named(17, OLD))
    text = named(17, OLD).replace(
        f'- "db-data:{OLD}"', f"- {{type: volume, source: db-data, target: {OLD}, volume: {{subpath: pg}}}}"
    )
    rewrite(project, text)
    said = refused(project)
    assert f"{project.name}_db-data" in said.err
    project.scaffold("down", "-q")
    assert f"{project.name}_db-data" in refused(project).err


def test_data_directory_that_is_a_folder_of_the_mount_is_found(tmp_path: Path, project_name: str) -> None:
    below = f"      PGDATA: {OLD}/pgdata\n"
    project = made(tmp_path, project_name, named(17, OLD, environment=below))
    rewrite(project, named(17, OLD))
    said = refused(project)
    assert "pgdata" in said.err
    project.scaffold("down", "-q")
    said = refused(project)
    assert f"PGDATA: {OLD}/pgdata" in said.err
    rewrite(project, named(17, OLD, environment=below))
    project.scaffold("run", "-q")
    assert rows(project) == "1000"


# Another family


MONGO = """\
services:
  db:
    image: mongo:8
    environment: {MONGO_INITDB_ROOT_USERNAME: app, MONGO_INITDB_ROOT_PASSWORD: "${POSTGRES_PASSWORD}"}
    volumes: ["db-data:/data/db"]
volumes: {db-data: {}}
"""


def test_mongo_does_not_begin_among_the_files_of_postgres(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    rewrite(project, MONGO)
    said = refused(project)
    assert "holds a database of PostgreSQL 18" in said.err
    project.scaffold("down", "-q")
    assert "holds a database of PostgreSQL 18" in refused(project).err


def test_postgres_does_not_begin_among_the_files_of_mongo(tmp_path: Path, project_name: str) -> None:
    project = handwritten(tmp_path / project_name, MONGO, EXAMPLE)
    project.scaffold("run", "-q")
    for version, mount in ((18, NEW), (17, OLD)):
        rewrite(project, named(version, mount))
        assert "holds a database of MongoDB" in refused(project).err
    project.scaffold("down", "-q")
    assert "holds a database of MongoDB" in refused(project).err


@pytest.mark.parametrize("version", [17, 18])
@pytest.mark.parametrize("file", ["ibdata1", "notes.txt", "PG_VERSION.bak"])
def test_files_of_something_else_are_left_alone(
    tmp_path: Path, project_name: str, version: int, file: str
) -> None:
    if version == 18 and file != "ibdata1":
        pytest.skip("its data directory is a folder of its own beside them")
    project = handwritten(tmp_path / project_name, named(version, OLD if version < 18 else NEW), EXAMPLE)
    project.scaffold("env")
    volume = f"{project.name}_db-data"
    docker("volume", "create", "--label", f"com.docker.compose.project={project.name}", volume)
    docker("run", "--rm", "-v", f"{volume}:/v", "debian:trixie-slim", "touch", f"/v/{file}")
    said = project.scaffold("run", code=1)
    assert volume in said.err
    assert "Nothing was changed" in said.err
    assert "another volume" in said.err


def test_empty_folder_that_git_keeps_is_no_obstacle(tmp_path: Path, project_name: str) -> None:
    project = handwritten(tmp_path / project_name, compose("postgres:18", [f"./pg:{NEW}"]), EXAMPLE)
    (project.folder / "pg").mkdir()
    (project.folder / "pg" / ".gitkeep").touch()
    project.scaffold("run", "-q")
    project.scaffold("down", "-q")
    docker("run", "--rm", "-v", f"{project.folder}:/v", "debian:trixie-slim", "rm", "-rf", "/v/pg")


# Two servers, and other ways to start


def test_two_servers_on_one_directory_are_refused(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    rewrite(project, named(18, NEW, extra="    scale: 2\n"))
    assert "2 servers would work on" in refused(project).err


def test_image_built_upon_postgres_is_known_by_its_environment(tmp_path: Path, project_name: str) -> None:
    build = "    build: {context: ., dockerfile_inline: 'FROM postgres:%d'}\n"
    text = named(17, OLD, extra=build % 17).replace("postgres:17\n", f"{project_name}/own\n", 1)
    project = made(tmp_path, project_name, text)
    rewrite(project, named(18, NEW, extra=build % 18).replace("postgres:18\n", f"{project_name}/own\n", 1))
    before = docker("ps", "-q", "--filter", f"name=^{project.container('db')}$")
    said = project.scaffold("run", code=1)
    assert "holds a database of PostgreSQL 17" in said.err
    assert before == docker("ps", "-q", "--filter", f"name=^{project.container('db')}$")
    assert rows(project) == "1000"
    project.destroy()


def test_run_with_nothing_to_do_looks_at_nothing(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    begun = time.time()
    project.scaffold("run", "-q")
    created = docker(
        "events",
        "--since",
        f"{begun:.3f}",
        "--until",
        f"{time.time():.3f}",
        "--filter",
        "event=create",
        "--filter",
        f"label=dev.scaffold.helper={project.name}",
        "--format",
        "{{.ID}}",
    )
    assert created == ""


def test_helper_of_a_killed_process_is_removed_by_the_next_look(tmp_path: Path, project_name: str) -> None:
    project = made(tmp_path, project_name, named(18, NEW))
    label = f"dev.scaffold.helper={project.name}"
    words = ("--label", label, "-v", f"{project.name}_db-data:/look", "debian:trixie-slim", "x")
    docker("create", "--name", f"{project.name}-look-1a2b3c4d", *words)
    task = docker("create", "--name", f"{project.name}-db-task-1a2b3c4d", *words)
    time.sleep(2)
    from scaffold.engine import volume_look
    from scaffold.engine.client import Engine

    with Engine() as engine:
        volume_look.sweep(engine, project.name)
        assert docker("ps", "-aq", "--filter", f"label={label}"), "it may still be looked through"
        volume_look.sweep(engine, project.name, older_than=1)
    left = docker("ps", "-aq", "--no-trunc", "--filter", f"label={label}")
    assert left == task, "whoever holds the lock may be copying rows through it"
    docker("rm", task)


# What was done in a volume that holds something else now

MIGRATED = """\
services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    volumes: ["db-data:/var/lib/postgresql/data"]
  migrate:
    image: postgres:17
    environment: {PGPASSWORD: "${POSTGRES_PASSWORD:?}"}
    entrypoint: [psql, -h, db, -U, app, -d, app, -v, ON_ERROR_STOP=1, -c, "STATEMENT"]
    labels: {dev.scaffold.once: volume}
    depends_on: {db: {condition: service_started}}
  app:
    image: debian:trixie-slim
    init: true
    command: [sleep, infinity]
    depends_on: {migrate: {condition: service_completed_successfully}}
volumes: {db-data: {}}
"""
# The server does not answer at once, and this migration asks only once.
TRIES = "entrypoint: [sh, -c, \"until psql -h db -U app -d app -c ''; do sleep 0.1; done; exec %s\"]"
PSQL = "psql -h db -U app -d app -v ON_ERROR_STOP=1 -c 'STATEMENT'"


def migrated(statement: str) -> str:
    entrypoint = TRIES % PSQL.replace("STATEMENT", statement)
    return re.sub(r"entrypoint: .*", lambda _: entrypoint, MIGRATED)


ONE = "create table if not exists one ()"
BOTH = "create table if not exists one (); create table if not exists two ()"


def tables(project: Project) -> str:
    return sql(
        project,
        "select string_agg(relname, ' ' order by relname) from pg_class "
        "where relkind = 'r' and relnamespace = 'public'::regnamespace",
    )


def in_volume(volume: str, script: str, *more: str) -> None:
    docker("run", "--rm", "-v", f"{volume}:/v", *more, "debian:trixie-slim", "sh", "-ec", script)


@pytest.mark.parametrize("end", ["stop", "down"])
def test_migration_is_repeated_in_a_volume_that_was_emptied(
    tmp_path: Path, project_name: str, end: str
) -> None:
    project = handwritten(tmp_path / project_name, migrated(ONE), EXAMPLE)
    project.scaffold("run", "-q")
    project.scaffold(end, "-q")
    assert "-migrate-1" not in project.scaffold("plan").out
    in_volume(f"{project.name}_db-data", "rm -rf /v/* /v/.[!.]*")
    said = project.scaffold("run")
    assert tables(project) == "one"
    assert end == "down" or "has become empty" in said.err


@pytest.mark.parametrize("end", ["stop", "down"])
def test_migration_is_repeated_in_a_volume_with_older_files(
    tmp_path: Path, project_name: str, end: str
) -> None:
    project = handwritten(tmp_path / project_name, migrated(ONE), EXAMPLE)
    project.scaffold("run", "-q")
    project.scaffold("stop", "-q")
    volume, copy = f"{project.name}_db-data", f"{project.name}-copy"
    docker("volume", "create", copy)
    in_volume(copy, "cp -a /from/. /v/", "-v", f"{volume}:/from")
    time.sleep(1)
    rewrite(project, migrated(BOTH))
    project.scaffold("run", "-q")
    assert tables(project) == "one two"
    project.scaffold(end, "-q")
    assert "-migrate-1" not in project.scaffold("plan").out
    in_volume(volume, "rm -rf /v/* /v/.[!.]*; cp -a /from/. /v/", "-v", f"{copy}:/from")
    project.scaffold("run", "-q")
    assert tables(project) == "one two"


def test_migration_that_finds_nothing_is_no_success(tmp_path: Path, project_name: str) -> None:
    project = handwritten(tmp_path / project_name, migrated("select 1"), EXAMPLE)
    for _ in range(2):
        said = project.scaffold("run", code=1)
        assert "migrate ended well and did nothing" in said.err
        assert "not one table" in said.err
    rewrite(project, migrated(ONE))
    project.scaffold("run", "-q")
    assert tables(project) == "one"


def test_init_script_that_failed_is_named_though_the_server_is_up(tmp_path: Path, project_name: str) -> None:
    text = named(17, OLD, extra="    restart: unless-stopped\n").replace(
        f'- "db-data:{OLD}"', f'- "db-data:{OLD}"\n      - "./init:/docker-entrypoint-initdb.d:ro"'
    )
    project = handwritten(tmp_path / project_name, text, EXAMPLE)
    script = project.folder / "init" / "10-schema.sql"
    script.parent.mkdir()
    script.write_text("create table one (); create table two (nonsense); create table three ();")
    said = project.scaffold("run", code=1)
    assert f"{script} failed while the database was initialised" in said.err
    assert "nonsense" in said.err
    script.write_text("create table if not exists one (); create table three ();")
    project.scaffold("db", stdin=script.read_text())
    project.scaffold("run", "-q", "--recreate")
    assert tables(project) == "one three"


def test_down_names_the_volume_that_has_the_rows(tmp_path: Path, project_name: str) -> None:
    """As an earlier version let it begin: the mount around the data directory holds nothing of it."""
    project = handwritten(tmp_path / project_name, named(17, NEW), EXAMPLE)
    project.scaffold("env")
    project.run("docker", "compose", "up", "-d", "--wait")
    hidden = next(name for name in storage_of(project).split() if project.name not in name)
    said = project.scaffold("down")
    assert hidden in said.out
    assert f"The data stays in volume {project.name}_db-data" not in said.out
    docker("volume", "rm", hidden)
