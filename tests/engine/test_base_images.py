"""The base images do what the tests and templates rely on: the official ones, and the stand-ins for them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import psycopg
import pymongo
import pytest
from docker.models.containers import Container
from pymongo.errors import ConnectionFailure, OperationFailure

POSTGRES_VOLUME = {
    "15": "/var/lib/postgresql/data",
    "17": "/var/lib/postgresql/data",
    "18": "/var/lib/postgresql",
}


def output(client: docker.DockerClient, image: str, command: list[str], user: str | None = None) -> str:
    raw: bytes = client.containers.run(image, command, remove=True, user=user)
    return raw.decode().strip()


@contextmanager
def serving(
    client: docker.DockerClient, name: str, image: str, mount: str, environment: dict[str, str]
) -> Iterator[Container]:
    """A container of the image, with the volume of the same name, its ports published on this machine."""
    container = client.containers.run(
        image,
        name=name,
        detach=True,
        environment=environment,
        ports={"5432/tcp": ("127.0.0.1", 0), "27017/tcp": ("127.0.0.1", 0)},
        volumes={name: {"bind": mount, "mode": "rw"}},
    )
    try:
        yield container
    finally:
        container.remove(v=True, force=True)


def port(container: Container, inside: int) -> int:
    container.reload()
    bindings = container.ports[f"{inside}/tcp"]
    assert bindings
    return int(bindings[0]["HostPort"])


def execute(container: Container, command: list[str]) -> str:
    code, out = container.exec_run(command)
    assert isinstance(out, bytes)
    assert code == 0, out
    return out.decode().strip()


def stop(container: Container) -> tuple[int, float]:
    """The exit code, and how many seconds it took."""
    started = time.monotonic()
    container.stop()
    container.reload()
    return container.attrs["State"]["ExitCode"], time.monotonic() - started


def sql(container: Container, query: str, password: str) -> object:
    deadline = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=port(container, 5432),
                user="app",
                password=password,
                dbname="items",
                autocommit=True,
            ) as connection:
                cursor = connection.execute(query)
                row = cursor.fetchone() if cursor.description else None
                return row and row[0]
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("major", sorted(POSTGRES_VOLUME))
def test_postgres(engine: docker.DockerClient, project_name: str, major: str) -> None:
    image, mount = f"postgres:{major}", POSTGRES_VOLUME[major]
    settings = {"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "first", "POSTGRES_DB": "items"}
    with serving(engine, project_name, image, mount, settings) as container:
        assert str(sql(container, "SHOW server_version", "first")).startswith(f"{major}.")
        sql(container, "CREATE TABLE kept AS SELECT 42 AS answer", "first")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            sql(container, "SELECT 1", "wrong")
        assert (
            execute(container, ["psql", "-U", "app", "-d", "items", "-Atc", "SELECT answer FROM kept"])
            == "42"
        )
        exit_code, seconds = stop(container)
        assert exit_code == 0
        assert seconds < 5
    # The volume is no longer empty: its own password counts, not the one of the environment.
    with serving(
        engine, project_name, image, mount, {**settings, "POSTGRES_PASSWORD": "second"}
    ) as container:
        assert sql(container, "SELECT answer FROM kept", "first") == 42
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            sql(container, "SELECT 1", "second")


@pytest.mark.parametrize("major", sorted(POSTGRES_VOLUME))
def test_postgres_refuses_to_start_without_a_password(
    engine: docker.DockerClient, project_name: str, major: str
) -> None:
    with serving(engine, project_name, f"postgres:{major}", POSTGRES_VOLUME[major], {}) as container:
        assert container.wait(timeout=30)["StatusCode"] == 1
        assert b"superuser password is not specified" in container.logs()


def mongo(container: Container, password: str) -> pymongo.MongoClient[dict[str, object]]:
    deadline = time.monotonic() + 30
    while True:
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            "127.0.0.1",
            port(container, 27017),
            username="app",
            password=password,
            serverSelectionTimeoutMS=500,
        )
        try:
            client.admin.command("ping")
        except ConnectionFailure:
            client.close()
            if time.monotonic() > deadline:
                raise
        except OperationFailure:
            client.close()
            raise
        else:
            return client


def test_mongo(engine: docker.DockerClient, project_name: str) -> None:
    settings = {"MONGO_INITDB_ROOT_USERNAME": "app", "MONGO_INITDB_ROOT_PASSWORD": "first"}
    with serving(engine, project_name, "mongo:8", "/data/db", settings) as container:
        with mongo(container, "first") as client:
            assert str(client.server_info()["version"]).startswith("8.")
            client.app.kept.insert_one({"answer": 42})
        with pytest.raises(OperationFailure):
            mongo(container, "wrong")
        container.kill()
    with serving(
        engine, project_name, "mongo:8", "/data/db", {**settings, "MONGO_INITDB_ROOT_PASSWORD": "second"}
    ) as container:
        with mongo(container, "first") as client:
            assert client.app.kept.count_documents({"answer": 42}) == 1
        with pytest.raises(OperationFailure):
            mongo(container, "second")
        login = ["mongosh", "--quiet", "-u", "app", "-p", "first", "--eval", "db.kept.countDocuments()"]
        assert execute(container, [*login, "--authenticationDatabase", "admin", "app"]) == "1"
        exit_code, seconds = stop(container)
        assert exit_code == 0
        assert seconds < 5


def test_python(engine: docker.DockerClient) -> None:
    said = output(
        engine,
        "python:3.13-slim",
        ["sh", "-c", "id -u; python --version; python -m venv /tmp/v; pip --version"],
    )
    user, version, pip = said.splitlines()
    assert user == "0"
    assert version.startswith("Python 3.13.")
    assert "(python 3.13)" in pip


def test_node(engine: docker.DockerClient) -> None:
    said = output(engine, "node:24-slim", ["sh", "-c", "id -u; id -u node; node --version; npm --version"])
    user, node_user, version, npm = said.splitlines()
    assert (user, node_user) == ("0", "1000")
    assert version.startswith("v24.")
    assert int(npm.split(".")[0]) >= 10
