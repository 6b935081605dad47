"""`scaffold run` and its family on a real engine: what is done, what is left alone, what comes back."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.projects import (
    SERVER,
    Project,
    command_lines,
    get,
    handwritten,
    until,
)

pytestmark = pytest.mark.engine

DOCKERFILE = """\
FROM python:3.13-slim
COPY server.py /
CMD ["python", "/server.py"]
"""
EXAMPLE = """\
# What belongs to this checkout.
APP_PORT=8400
DB_PORT=5500

{KIND}_PASSWORD=
# Left alone.
GREETING=hello
DATABASE_URL=
"""
POSTGRES = """\
services:
  app:
    image: ${COMPOSE_PROJECT_NAME}-app
    build: .
    init: true
    ports: ["127.0.0.1:${APP_PORT}:8000"]
    environment: {DATABASE_URL: "postgresql://app:${POSTGRES_PASSWORD:?}@db/app", GREETING: "${GREETING:-}"}
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
    labels: {dev.scaffold.ready: /}
    volumes: ["./gate:/gate:ro"]
  migrate:
    image: ${COMPOSE_PROJECT_NAME}-app
    command: ["python", "-c", "print('migrated')"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres:18
    environment: {POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?}"}
    ports: ["127.0.0.1:${DB_PORT}:5432"]
    volumes: ["db-data:/var/lib/postgresql"]
    healthcheck: {test: "pg_isready -h 127.0.0.1 -U app", start_period: 60s, start_interval: 250ms}
volumes:
  db-data:
"""
MONGO = """\
services:
  db:
    image: mongo:8
    environment: {MONGO_INITDB_ROOT_USERNAME: app, MONGO_INITDB_ROOT_PASSWORD: "${MONGO_PASSWORD:?}"}
    ports: ["127.0.0.1:${DB_PORT}:27017"]
    volumes: ["db-data:/data/db"]
volumes:
  db-data:
"""
# It listens once somebody opens the gate.
GATED = "import os, time\nwhile not os.path.exists('/gate/open'): time.sleep(0.02)\n"


def source(version: int, *, gated: bool = False) -> str:
    return (GATED if gated else "") + f"VERSION = {version}\n" + SERVER


def shop_in(folder: Path, compose: str = POSTGRES) -> Project:
    """Return a project with an app, a migration and a database; the gate is open."""
    kind = "MONGO" if compose == MONGO else "POSTGRES"
    files = {"Dockerfile": DOCKERFILE, "server.py": source(1), ".dockerignore": "*\n!server.py\n"}
    project = handwritten(folder, compose, EXAMPLE.replace("{KIND}", kind), files)
    (folder / "gate").mkdir()
    return project


@pytest.fixture
def shop(tmp_path: Path, project_name: str) -> Project:
    return shop_in(tmp_path / project_name)


@pytest.fixture(scope="module")
def running(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory, shared_name: str
) -> Project:
    """A project that runs, for tests that only look."""
    project = shop_in(tmp_path_factory.mktemp("shop") / shared_name)
    project.scaffold("run")
    return project


def ids(engine: docker.DockerClient, project: Project) -> dict[str, str]:
    """Return the project's containers by service."""
    label = f"com.docker.compose.project={project.name}"
    found = engine.api.containers(all=True, filters={"label": label})
    return {item["Labels"]["com.docker.compose.service"]: item["Id"] for item in found}


def started(engine: docker.DockerClient, container: str) -> str:
    when: str = engine.api.inspect_container(container)["State"]["StartedAt"]
    return when


def sql(project: Project, statement: str) -> str:
    return project.scaffold("db", "--", "-qtAc", statement).out.strip()


def mongo(project: Project, code: str) -> str:
    return project.scaffold("db", "--", "--eval", code).out.strip()


# ── what is left alone, what is replaced ────────────────────────────────────────────────────────────────


def test_second_run_has_nothing_to_do(engine: docker.DockerClient, running: Project) -> None:
    before = ids(engine, running)
    starts = {service: started(engine, found) for service, found in before.items()}
    assert "up to date" in running.scaffold("run").out
    assert running.scaffold("plan", "--exit-code", "--json").json["changes"] == 0
    assert ids(engine, running) == before
    assert {service: started(engine, found) for service, found in before.items()} == starts


def test_changed_source_replaces_the_app_and_leaves_the_database(
    engine: docker.DockerClient, shop: Project
) -> None:
    shop.scaffold("run")
    before = ids(engine, shop)
    database_start = started(engine, before["db"])
    (shop.folder / "server.py").write_text(source(2))

    assert "context changed (1 file: server.py)" in shop.scaffold("plan").out
    shop.scaffold("run")
    assert get(shop.url) == (200, "2")
    after = ids(engine, shop)
    assert after["app"] != before["app"]
    assert (after["db"], started(engine, after["db"])) == (before["db"], database_start)


def test_file_that_is_not_in_the_image_changes_nothing(shop: Project) -> None:
    shop.scaffold("run")
    (shop.folder / "README.md").write_text("Not copied.")
    assert shop.scaffold("plan", "--json").json["changes"] == 0


def test_changed_variable_replaces_the_service_that_has_it(
    engine: docker.DockerClient, shop: Project
) -> None:
    shop.scaffold("run")
    before = ids(engine, shop)
    shop.env_file.write_text(shop.env_file.read_text().replace("GREETING=hello", "GREETING=welcome"))
    assert "environment GREETING: hello → welcome" in shop.scaffold("plan").out
    shop.scaffold("run")
    after = ids(engine, shop)
    assert {service for service in after if after[service] != before[service]} == {"app"}


def test_migration_is_repeated_only_for_a_new_image_or_volume(
    engine: docker.DockerClient, shop: Project
) -> None:
    shop.scaffold("run")
    first = ids(engine, shop)["migrate"]
    when = started(engine, first)
    for command in ("stop", "run", "run"):
        shop.scaffold(command)
    assert ids(engine, shop)["migrate"] == first
    assert started(engine, first) == when

    (shop.folder / "server.py").write_text(source(2))
    shop.scaffold("run")
    assert ids(engine, shop)["migrate"] != first


def test_migration_that_lasts_is_not_repeated_after_down(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    lasting = POSTGRES.replace("    command: ", "    labels: {dev.scaffold.once: volume}\n    command: ", 1)
    # One that leaves nothing in the database would be no success.
    mount = 'volumes: ["db-data:/var/lib/postgresql"]'
    init = "configs: [{source: table, target: /docker-entrypoint-initdb.d/table.sql}]"
    lasting = lasting.replace(mount, f"{mount}\n    {init}")
    lasting += 'configs: {table: {content: "create table kept ();"}}\n'
    shop = shop_in(tmp_path / project_name, lasting)

    def migrated() -> bool:
        shop.scaffold("run")
        assert get(shop.url)[0] == 200
        states = {item["name"]: item["state"] for item in shop.scaffold("status", "--json").json["services"]}
        assert states == {"app": "running", "db": "running", "migrate": "completed"}
        return exists(engine, shop.container("migrate"))

    assert migrated()
    for _ in range(2):
        shop.scaffold("down")
        assert not migrated()
        shop.scaffold("plan", "--exit-code")
        for command in ("logs", "restart"):
            assert "Service migrate is done" in shop.scaffold(command, "migrate", code=1).err
    shop.scaffold("run", "--recreate")
    assert exists(engine, shop.container("migrate"))
    shop.scaffold("down")
    (shop.folder / "server.py").write_text(source(2))
    assert migrated(), "the image is another one"
    shop.scaffold("down")
    shop.run("docker", "volume", "rm", f"{shop.name}_db-data")
    assert migrated(), "the volume is another one"


def test_failed_migration_is_repeated_after_down(shop: Project) -> None:
    compose = shop.folder / "compose.yaml"
    text = compose.read_text().replace(
        "    command: ", "    labels: {dev.scaffold.once: volume}\n    command: ", 1
    )
    text = text.replace("print('migrated')", "raise SystemExit(3)")
    compose.write_text(text)
    shop.scaffold("run", code=1)
    shop.scaffold("down")
    assert "exit code 3" in shop.scaffold("run", code=1).err


def test_image_that_would_hide_the_rows_is_refused(shop: Project) -> None:
    shop.scaffold("run")
    sql(shop, "create table kept (n int); insert into kept values (7)")
    compose = shop.folder / "compose.yaml"
    text = compose.read_text()
    # Up to 17 the image keeps its data below the folder in which 18 does, in a volume without a name.
    compose.write_text(text.replace("postgres:18", "postgres:17"))
    for command in ("run", "down", "run"):
        done = shop.scaffold(command, code=0 if command == "down" else 1)
        if command == "run":
            assert "holds a database of PostgreSQL 18" in done.err
            assert f"volume {shop.name}_db-data (folder 18/docker)" in done.err
            assert "Put `image: postgres:18` back" in done.err
    compose.write_text(text)
    shop.scaffold("run")
    assert sql(shop, "select n from kept") == "7"


def test_volumes_without_a_name_are_named_when_they_are_left(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    compose = (
        "services:\n  app:\n    image: debian:trixie-slim\n    command: [sleep, infinity]\n    init: true\n"
        "    volumes: [/cache]\n"
    )
    project = handwritten(tmp_path / project_name, compose)

    def volume() -> str:
        (mount,) = engine.api.inspect_container(project.container("app"))["Mounts"]
        return str(mount["Name"])

    for command in ("down", "down -q", "destroy --yes-delete-data NAME", "destroy -q --yes-delete-data NAME"):
        project.scaffold("run")
        left = volume()
        done = project.scaffold(*command.replace("NAME", project.name).split())
        assert f"  {left}  (app: /cache)" in (done.err if "-q" in command else done.out)
        engine.api.remove_volume(left)


def test_name_of_another_project_is_refused_where_there_is_nothing_to_destroy(shop: Project) -> None:
    shop.scaffold("env")
    assert f"Its name is {shop.name}." in shop.scaffold("destroy", "--yes-delete-data", "other", code=2).err
    assert "Nothing of it is left" in shop.scaffold("destroy", "--yes-delete-data", shop.name).out


def test_new_data_under_an_unknown_name_is_refused(shop: Project) -> None:
    shop.scaffold("env")
    refused = shop.scaffold("run", "--new-data", "bd", code=2).err
    assert f"Choose one of {shop.name}, app, db" in " ".join(refused.split())


def test_attach_and_json_exclude_each_other(shop: Project) -> None:
    assert "--attach" in shop.scaffold("run", "--attach", "--json", code=2).err


def test_stopped_project_starts_again_with_the_same_containers(
    engine: docker.DockerClient, shop: Project
) -> None:
    shop.scaffold("run")
    sql(shop, "create table kept (n int); insert into kept values (7)")
    before = ids(engine, shop)
    assert "`scaffold run` starts it again" in shop.scaffold("stop").out
    states = {item["state"] for item in shop.scaffold("status", "--json").json["services"]}
    assert states == {"exited", "completed"}
    shop.scaffold("run")
    assert ids(engine, shop) == before
    assert sql(shop, "select n from kept") == "7"


def test_dry_run_changes_nothing(engine: docker.DockerClient, shop: Project) -> None:
    assert "create container" in shop.scaffold("run", "--dry-run").out
    assert not shop.env_file.exists()
    assert [item for item in engine.api.containers(all=True) if shop.folder.name in item["Names"][0]] == []


def test_project_is_found_from_a_folder_inside_and_by_its_path(running: Project, tmp_path: Path) -> None:
    name = running.name
    inside = Project(running.folder / "gate")
    elsewhere = Project(tmp_path)
    assert inside.scaffold("status", "--json").json["project"] == name
    assert elsewhere.scaffold("status", str(running.folder), "--json").json["project"] == name
    assert elsewhere.scaffold("status", "-C", str(running.folder), "--json").json["project"] == name


# ── .env and the identity of a checkout ─────────────────────────────────────────────────────────────────


def test_env_is_the_example_with_a_name_ports_and_passwords_of_its_own(running: Project) -> None:
    assert stat.S_IMODE(running.env_file.stat().st_mode) == 0o600
    example = (running.folder / ".env.example").read_text().splitlines()
    lines = running.env_file.read_text().splitlines()
    values = running.variables
    assert re.fullmatch(rf"{running.folder.name}-[0-9a-f]{{8}}", values["COMPOSE_PROJECT_NAME"])
    assert re.fullmatch(r"[0-9a-f]{32}", values["POSTGRES_PASSWORD"])
    assert int(values["APP_PORT"]) >= 8400
    assert int(values["DB_PORT"]) >= 5500
    filled = ("COMPOSE_PROJECT_NAME=", "POSTGRES_PASSWORD=", "APP_PORT=", "DB_PORT=")
    assert [line for line in lines if not line.startswith(filled)] == [
        line for line in example if not line.startswith(filled)
    ]
    assert [line.split("=")[0] for line in lines] == [line.split("=")[0] for line in example]


def test_env_that_lost_its_name_gets_it_back(shop: Project) -> None:
    shop.scaffold("run")
    name, text = shop.name, shop.env_file.read_text()
    for leave in ("run", "down"):
        shop.scaffold(leave)
        lost = text.replace(f"COMPOSE_PROJECT_NAME={name}\n", "")
        shop.env_file.write_text(lost)
        for command in ("plan", "status"):
            assert name in shop.scaffold(command).out
        assert shop.env_file.read_text() == lost
        done = shop.scaffold("run")
        assert "had no COMPOSE_PROJECT_NAME: added" in done.err, done
        assert shop.name == name


def test_env_is_never_written_again(running: Project) -> None:
    before = running.env_file.stat()
    running.scaffold("run")
    after = running.env_file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_two_checkouts_of_one_project_run_side_by_side(
    engine: docker.DockerClient, shop: Project, tmp_path: Path
) -> None:
    shop.scaffold("run")
    sql(shop, "create table mine (n int)")
    other = Project(tmp_path / "other" / shop.folder.name)
    shutil.copytree(shop.folder, other.folder, ignore=shutil.ignore_patterns(".env"))
    (other.folder / "server.py").write_text(source(2))
    other.scaffold("run")

    for variable in ("COMPOSE_PROJECT_NAME", "APP_PORT", "DB_PORT", "POSTGRES_PASSWORD"):
        assert shop.variables[variable] != other.variables[variable]
    assert (get(shop.url), get(other.url)) == ((200, "1"), (200, "2"))
    assert sql(other, "select to_regclass('mine') is null") == "t"
    other.destroy()
    assert get(shop.url) == (200, "1")
    assert sql(shop, "select count(*) from mine") == "0"


def test_folder_copied_together_with_its_env_is_refused(
    engine: docker.DockerClient, running: Project, tmp_path: Path
) -> None:
    before = ids(engine, running)
    copy = Project(tmp_path / "copy")
    shutil.copytree(running.folder, copy.folder)
    for command in (("run",), ("down",), ("destroy", "--yes-delete-data", running.name)):
        refused = copy.scaffold(*command, code=2)
        assert f"belongs to the project in {running.folder}" in refused.err
        assert f"Remove {copy.env_file}" in refused.err
    assert ids(engine, running) == before


def test_moved_folder_keeps_its_data(shop: Project, tmp_path: Path) -> None:
    shop.scaffold("run")
    sql(shop, "create table kept (n int)")
    moved = Project(tmp_path / "moved")
    shop.folder.rename(moved.folder)
    moved.scaffold("run")
    assert sql(moved, "select count(*) from kept") == "0"


@pytest.mark.parametrize("compose", [POSTGRES, MONGO], ids=["postgres", "mongo"])
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_deleted_env_comes_back_from_the_containers(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, compose: str, state: str
) -> None:
    shop = shop_in(tmp_path / project_name, compose)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # whoever holds it: what comes back is not just the example's
            held.enter_context(socket.create_server(("127.0.0.1", 5500)))
        shop.scaffold("run")
    assert shop.variables["DB_PORT"] != "5500"
    text, before = shop.env_file.read_text(), ids(engine, shop)
    if state == "stopped":
        shop.scaffold("stop")
    shop.env_file.unlink()
    shop.scaffold("run")
    assert shop.env_file.read_text() == text
    assert ids(engine, shop) == before


@pytest.mark.parametrize(
    ("compose", "write", "read"),
    [
        (POSTGRES, "create table kept (n int); insert into kept values (7)", "select n from kept"),
        (MONGO, "db.kept.insertOne({n: 7})", "db.kept.findOne().n"),
    ],
    ids=["postgres", "mongo"],
)
def test_lost_password_is_explained_and_given_to_the_data_without_losing_a_row(
    tmp_path: Path, project_name: str, compose: str, write: str, read: str
) -> None:
    shop = shop_in(tmp_path / project_name, compose)
    ask = mongo if compose == MONGO else sql
    shop.scaffold("run")
    ask(shop, write)
    shop.scaffold("down")
    shop.env_file.unlink()

    refused = shop.scaffold("run", code=2)
    (variable,) = re.findall(r"made with a (\w+) that nothing here knows", " ".join(refused.err.split()))
    shop.env_file.write_text(f"{variable}=a-new-one\n")
    refused = shop.scaffold("run", code=1)
    assert "the one in the volume" in " ".join(refused.err.split())
    assert "scaffold db --set-password" in " ".join(refused.err.split())
    assert "scaffold run" in shop.scaffold("db", "--set-password").err
    shop.scaffold("run")
    assert ask(shop, read) == "7"


# ── crashes and company ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["db", "migrate", "app"])
def test_run_that_was_killed_is_finished_by_the_next(
    engine: docker.DockerClient, shop: Project, moment: str
) -> None:
    process = shop.start("run")
    until(shop.env_file.exists, ".env is there")
    until(lambda: exists(engine, shop.container(moment)), f"container of {moment}")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    shop.scaffold("run")
    assert get(shop.url) == (200, "1")
    status = shop.scaffold("status", "--json").json
    assert status["up_to_date"]
    assert sorted(item["container"] for item in status["services"]) == [
        shop.container(service) for service in ("app", "db", "migrate")
    ]


def exists(engine: docker.DockerClient, container: str) -> bool:
    return any(f"/{container}" in item["Names"] for item in engine.api.containers(all=True))


def test_killed_replacement_is_finished_by_the_next(engine: docker.DockerClient, shop: Project) -> None:
    shop.scaffold("run")
    before = ids(engine, shop)
    (shop.folder / "server.py").write_text(source(2))
    process = shop.start("run")
    until(lambda: before["app"] not in ids(engine, shop).values(), "the old app is gone")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    shop.scaffold("run")
    assert get(shop.url) == (200, "2")
    assert ids(engine, shop)["db"] == before["db"]


@pytest.fixture
def waiting_run(engine: docker.DockerClient, shop: Project) -> Iterator[Callable[[], None]]:
    """A run that waits for its app, until the function is called."""
    (shop.folder / "server.py").write_text(source(1, gated=True))
    process = shop.start("run")
    until(shop.env_file.exists, ".env is there")
    until(lambda: exists(engine, shop.container("app")), "the app's container")

    def finish() -> None:
        (shop.folder / "gate" / "open").touch()
        shop.end(process, code=0)

    yield finish
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_second_run_waits_for_the_first(
    engine: docker.DockerClient, shop: Project, waiting_run: Callable[[], None]
) -> None:
    second = shop.start("run")
    assert second.stderr is not None
    assert re.fullmatch(r"Waiting for `scaffold run` \(pid \d+, since [\d:]+\) …\n", second.stderr.readline())
    waiting_run()
    assert "up to date" in shop.end(second, code=0).out


def test_no_wait_says_who_is_at_work(shop: Project, waiting_run: Callable[[], None]) -> None:
    for command in ("run", "stop", "down"):
        refused = shop.scaffold(command, "--no-wait", code=1)
        assert re.search(r"in use by `scaffold run` \(pid \d+", " ".join(refused.err.split()))
    waiting_run()
    shop.scaffold("run", "--no-wait")


# ── documents ───────────────────────────────────────────────────────────────────────────────────────────


def test_status_document(running: Project) -> None:
    status = running.scaffold("status", "--json").json
    assert {"project", "path", "url", "up_to_date", "services", "networks", "volumes"} <= status.keys()
    assert (status["project"], status["path"]) == (running.name, str(running.folder))
    assert (status["url"], status["up_to_date"]) == (running.url, True)
    services = {item["name"]: item for item in status["services"]}
    assert services.keys() == {"app", "db", "migrate"}
    for item in services.values():
        assert {"name", "container", "state", "health", "image", "ports"} <= item.keys()
    assert (services["db"]["state"], services["migrate"]["state"]) == ("running", "completed")
    assert [item["name"] for item in status["networks"]] == [f"{running.name}_default"]
    volume = status["volumes"][0]
    assert volume["name"] == f"{running.name}_db-data"
    assert volume["size"] > 0
    assert volume["created"].endswith("Z")


def test_run_document_is_the_status(running: Project) -> None:
    assert running.scaffold("run", "--json").json.keys() == running.scaffold("status", "--json").json.keys()


def test_plan_document_names_every_step(shop: Project) -> None:
    plan = shop.scaffold("plan", "--json", "--exit-code", code=2).json
    assert plan["changes"] > 0
    assert all({"verb", "kind", "name", "reason", "impact"} <= step.keys() for step in plan["steps"])


def test_down_document_counts_its_changes(shop: Project) -> None:
    shop.scaffold("run")
    done = shop.scaffold("down", "--json").json
    assert (done["project"], done["changes"] > 0) == (shop.name, True)
    assert f"{shop.name}_db-data" in done["message"]
    assert shop.scaffold("down", "--json").json["changes"] == 0


def test_failure_is_a_document_too(running: Project) -> None:
    done = running.scaffold("destroy", "--yes-delete-data", "another", "--json", code=2)
    assert set(done.json["error"]) == {"message", "hint", "evidence"}
    assert running.name in done.json["error"]["hint"]


# ── looking inside ──────────────────────────────────────────────────────────────────────────────────────


def test_logs_show_all_services_or_one(running: Project) -> None:
    everything = running.scaffold("logs").out
    assert re.search(r"^app +│ version 1$", everything, re.MULTILINE)
    assert re.search(r"^migrate +│ migrated$", everything, re.MULTILINE)
    assert running.scaffold("logs", "app").out.splitlines()[0] == "version 1"
    assert len(running.scaffold("logs", "db", "--tail", "2").out.splitlines()) == 2
    unknown = running.scaffold("logs", "web", code=2)
    assert "web" in unknown.err
    assert "app, db, migrate" in unknown.err


def test_exec_passes_arguments_input_and_exit_code(running: Project) -> None:
    assert running.scaffold("exec", "app", "echo", "--json", "-C").out == "--json -C\n"
    assert running.scaffold("exec", "app", "cat", stdin="typed").out == "typed"
    running.scaffold("exec", "app", "sh", "-c", "exit 7", code=7)


def test_shell_runs_what_it_reads_and_passes_the_exit_code(running: Project) -> None:
    done = running.scaffold("shell", stdin="echo in $0\nexit 5\n", code=5)
    assert done.out == "in bash\n"
    assert running.scaffold("shell", "db", stdin="id -u\n").out.strip().isdigit()


def test_db_takes_a_statement_or_a_script(running: Project) -> None:
    assert running.scaffold("db", "--", "-tAc", "select 1 + 1").out == "2\n"
    assert running.scaffold("db", "--", "-tA", stdin="select current_user;\n").out == "app\n"
    assert "no_such_table" in running.scaffold("db", "--", "-c", "table no_such_table", code=1).err


def test_mongo_shell_is_logged_in(tmp_path: Path, project_name: str) -> None:
    project = shop_in(tmp_path / project_name, MONGO)
    project.scaffold("run")
    assert mongo(project, "db.runCommand({connectionStatus: 1}).authInfo.authenticatedUsers[0].user") == "app"


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────


def test_secrets_are_on_no_command_line_in_no_label_and_in_no_image(
    engine: docker.DockerClient, shop: Project
) -> None:
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.update(command_lines())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        shop.scaffold("run", "--verbose")
        shop.scaffold("run", "--recreate")
        sql(shop, "select 1")
        shop.scaffold("db", "--set-password")
    finally:
        ended.set()
        watcher.join()
    (secret,) = shop.secrets()
    assert any("scaffold run" in line for line in seen)
    assert [line for line in seen if secret in line] == []
    for container in ids(engine, shop).values():
        assert secret not in json.dumps(engine.api.inspect_container(container)["Config"]["Labels"])
    image: Any = engine.api.inspect_image(f"{shop.name}-app")
    assert secret not in json.dumps([image, engine.api.history(f"{shop.name}-app")])
    # What went wrong is shown without them as well.
    (shop.folder / "server.py").write_text("import os, sys; sys.exit(os.environ['DATABASE_URL'])")
    shop.scaffold("run", code=1)
    shop.scaffold("run", "--json", code=1)
