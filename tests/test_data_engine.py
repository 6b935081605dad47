"""Databases on a real engine: logins, clients, passwords of existing volumes, volumes of another version."""

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.data import database as databases
from scaffold.data.model import Attempt, Command, Database, NotYet, OneOff, Ready, Refused
from scaffold.diagnose.database import explain
from scaffold.stack.desired import Service

pytestmark = pytest.mark.engine

TIMEOUT = 60.0


def docker(*arguments: str, stdin: str = "", check: bool = True) -> str:
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def docker_exec(container: str, argv: Sequence[str], stdin: str = "") -> str:
    return docker("exec", "-i", container, *argv, stdin=stdin)


def start(container: str, volume: str, service: Service) -> Database:
    """Run the service as `container` on the volume; return its database."""
    database = databases.database_of(service)
    assert database is not None
    variables = [word for key, value in service.environment for word in ("--env", f"{key}={value}")]
    mount = f"{volume}:{databases.mount_path(database)}"
    port = f"127.0.0.1::{database.port}"
    docker("run", "-d", "--name", container, "-v", mount, "-p", port, *variables, service.image)
    return database


def address(container: str, database: Database) -> tuple[str, int]:
    host, port = docker("port", container, f"{database.port}/tcp").split()[0].rsplit(":", 1)
    return host, int(port)


def ready(container: str, database: Database) -> str:
    deadline = time.monotonic() + TIMEOUT
    return databases.wait_until_ready(database, *address(container, database), deadline, threading.Event())


def attempt(container: str, database: Database) -> Attempt:
    """Return the first answer that is not "not yet"."""
    while True:
        answer = databases.login(database, *address(container, database), 5)
        if not isinstance(answer, NotYet):
            return answer


def remove(container: str) -> None:
    docker("stop", container)
    docker("rm", "-v", container)


def postgres(version: int, password: str = "old secret", name: str = "shop") -> Service:
    environment = (("POSTGRES_DB", name), ("POSTGRES_PASSWORD", password), ("POSTGRES_USER", "app"))
    return Service("db", f"postgres:{version}", {}, environment=environment)


def mongo(password: str = "old secret") -> Service:
    environment = (
        ("MONGO_INITDB_DATABASE", "shop"),
        ("MONGO_INITDB_ROOT_PASSWORD", password),
        ("MONGO_INITDB_ROOT_USERNAME", "app"),
    )
    return Service("db", "mongo:8", {}, environment=environment)


def test_postgres_is_ready_when_a_login_works(project_name: str) -> None:
    container = f"{project_name}-db-1"
    database = start(container, f"{project_name}_db-data", postgres(18))
    assert ready(container, database).startswith("18")
    wrong = attempt(container, replace(database, password="another"))
    assert isinstance(wrong, Refused)
    assert "scaffold db --set-password" in str(wrong.error.hint)
    assert "28P01" in wrong.error.evidence[0]
    missing = attempt(container, replace(database, name="missing"))
    assert isinstance(missing, Refused)
    assert "createdb --username app missing" in str(missing.error.hint)
    unknown = attempt(container, replace(database, password=None))
    assert unknown == Ready("")


def test_volume_whose_first_start_was_cut_short_is_explained(project_name: str) -> None:
    container = f"{project_name}-db-1"
    database = start(container, f"{project_name}_db-data", postgres(18))
    ready(container, database)
    docker_exec(container, ("sh", "-c", 'sed -i "/^host all all all/d" "$PGDATA/pg_hba.conf"'))
    docker_exec(container, databases.client_command(database, ("-c", "select pg_reload_conf()")))
    while isinstance(answer := attempt(container, database), Ready):
        pass
    assert isinstance(answer, Refused)
    assert "cut short" in answer.error.message
    assert "28000" in answer.error.evidence[0]
    stranger = attempt(container, replace(database, user="stranger"))
    assert isinstance(stranger, Refused)


def test_psql_runs_logged_in_with_arguments_and_scripts(project_name: str) -> None:
    container = f"{project_name}-db-1"
    database = start(container, f"{project_name}_db-data", postgres(18))
    ready(container, database)
    one = databases.client_command(database, ("-Atc", "select current_user, current_database()"))
    assert docker_exec(container, one).strip() == "app|shop"
    assert (
        docker_exec(container, (*databases.client_command(database), "-At"), "select 6 * 7;\n").strip()
        == "42"
    )


@pytest.mark.parametrize("version", [15, 18])
def test_postgres_password_is_set_on_an_existing_volume(project_name: str, version: int) -> None:
    container, volume = f"{project_name}-db-1", f"{project_name}_db-data"
    database = start(container, volume, postgres(version))
    ready(container, database)
    docker_exec(container, databases.client_command(database, ("-qc", "create table kept as select 7 as id")))
    remove(container)
    changed = start(container, volume, postgres(version, password='it\'s a \\new$ "one"'))
    assert isinstance(attempt(container, changed), Refused)
    change = databases.set_password(changed)
    assert isinstance(change, Command)
    docker_exec(container, change.argv, change.stdin)
    ready(container, changed)
    assert docker_exec(container, databases.client_command(changed, ("-Atc", "select id from kept"))) == "7\n"
    assert "one" not in docker("logs", container)


def test_mongo_is_ready_when_a_login_works(project_name: str) -> None:
    container = f"{project_name}-db-1"
    database = start(container, f"{project_name}_db-data", mongo())
    assert ready(container, database).startswith("8")
    wrong = attempt(container, replace(database, password="another"))
    assert isinstance(wrong, Refused)
    assert "scaffold db --set-password" in str(wrong.error.hint)


def test_mongosh_runs_logged_in_with_arguments_and_scripts(project_name: str) -> None:
    container = f"{project_name}-db-1"
    database = start(container, f"{project_name}_db-data", mongo())
    ready(container, database)
    write = databases.client_command(database, ("--eval", "db.items.insertOne({n: 41}).acknowledged"))
    assert docker_exec(container, write).strip() == "true"
    client = databases.client_command(database, terminal=False)
    assert docker_exec(container, client, "print(db.getName(), db.items.countDocuments())\n") == "shop 1\n"
    failed = ["docker", "exec", "-i", container, *client]
    assert subprocess.run(failed, input="nonsense()", text=True, capture_output=True).returncode != 0


def test_mongo_password_is_set_on_an_existing_volume(project_name: str) -> None:
    container, volume = f"{project_name}-db-1", f"{project_name}_db-data"
    database = start(container, volume, mongo())
    ready(container, database)
    insert = databases.client_command(database, ("--eval", "db.kept.insertOne({n: 7}).acknowledged"))
    docker_exec(container, insert)
    remove(container)
    service = mongo(password='it\'s a \\new$ "one"')
    changed = start(container, volume, service)
    assert isinstance(attempt(container, changed), Refused)
    docker("stop", container)
    change = databases.set_password(changed)
    assert isinstance(change, OneOff)
    run_once(f"{project_name}-set-password", volume, service.image, change)
    docker("start", container)
    ready(container, changed)
    read = databases.client_command(changed, ("--eval", "db.kept.findOne().n"))
    assert docker_exec(container, read).strip() == "7"


def run_once(container: str, volume: str, image: str, change: OneOff) -> None:
    mount = f"{volume}:{change.mount_path}"
    docker("run", "-d", "--name", container, "--network", "none", "-v", mount, image, *change.command)
    deadline = time.monotonic() + TIMEOUT
    while subprocess.run(["docker", "exec", container, *change.probe.argv], capture_output=True).returncode:
        assert time.monotonic() < deadline, docker("logs", container)
    docker_exec(container, change.script.argv, change.script.stdin)
    remove(container)


def test_volume_of_an_older_postgres_is_explained_from_the_log(project_name: str, tmp_path: Path) -> None:
    container, volume = f"{project_name}-db-1", f"{project_name}_db-data"
    ready(container, start(container, volume, postgres(15)))
    remove(container)
    newer = start(container, volume, postgres(17))
    refused = explain(newer, log_of(container))
    assert refused is not None
    assert "database of PostgreSQL 15, and the image is PostgreSQL 17" in refused.message
    assert "Put `image: postgres:15` back" in str(refused.hint)
    docker("rm", "-v", container)
    ready(container, start(container, volume, postgres(15)))


def test_postgres_18_on_the_old_path_is_explained_from_the_log(project_name: str) -> None:
    container, volume = f"{project_name}-db-1", f"{project_name}_db-data"
    database = databases.database_of(postgres(18))
    assert database is not None
    mount = f"{volume}:/var/lib/postgresql/data"
    docker("run", "-d", "--name", container, "-v", mount, "--env", "POSTGRES_PASSWORD=x", "postgres:18")
    refused = explain(database, log_of(container))
    assert refused is not None
    assert "mounted" in refused.message


def log_of(container: str) -> list[str]:
    """Return the log of a container that ends by itself."""
    docker("wait", container)
    done = subprocess.run(
        ["docker", "logs", container],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=TIMEOUT,
    )
    return done.stdout.splitlines()
