"""The whole life of a project on a real engine, as its user types it: new, run, down, run, destroy."""

import io
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

from tests.conftest import Inventory, take_inventory
from tests.items_contract import Language, check_health, check_items
from tests.projects import Project, add_item, generated, item_names, until

pytestmark = pytest.mark.engine

MANAGED_PASSWORD = "a-managed-password"
TLS_FRONT = """
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/certificate.pem")

def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

def serve(client):
    try:
        if client.recv(8) != bytes.fromhex("0000000804d2162f"):  # SSLRequest
            return client.close()  # who does not ask for TLS is turned away
        client.sendall(b"S")
        client = context.wrap_socket(client, server_side=True)
        server = socket.create_connection((sys.argv[1], 5432))
    except OSError:
        return client.close()
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)

listener = socket.create_server(("", 5432))
print("listening")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
NOTHING = Inventory(frozenset(), frozenset(), frozenset(), frozenset())


def left(engine: docker.DockerClient, project: Project) -> Inventory:
    """Return what the engine has of a project."""
    return take_inventory(engine).only(lambda name: name.startswith(project.name))


@pytest.mark.parametrize("database", ["postgres", "mongo"])
@pytest.mark.parametrize("language", ["python", "node"])
def test_data_outlives_down_and_nothing_outlives_destroy(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, language: Language, database: str
) -> None:
    project = generated(tmp_path / project_name, f"language={language}", f"database={database}")

    project.scaffold("run")
    assert left(engine, project).volumes == {f"{project.name}_db-data"}
    check_items(project.url, language)
    add_item(project, "kept")

    said = project.scaffold("down")
    assert f"data stays in volume {project.name}_db-data" in said.out
    after_down = left(engine, project)
    assert (after_down.containers, after_down.networks) == (frozenset(), frozenset())

    project.scaffold("run")
    assert item_names(project) == {"kept"}

    project.destroy()
    assert left(engine, project) == NOTHING
    assert (project.folder / "compose.yaml").exists()
    assert project.env_file.exists()


@pytest.mark.parametrize("language", ["python", "node"])
def test_without_a_database_there_is_an_app_and_nothing_else(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, language: str
) -> None:
    project = generated(tmp_path / project_name, f"language={language}", "database=none")
    project.scaffold("run")
    check_health(project.url)
    there = left(engine, project)
    assert there.containers == {project.container("app")}
    assert there.volumes == frozenset()

    assert "data stays" not in project.scaffold("down").out
    project.destroy()
    assert left(engine, project) == NOTHING


@pytest.fixture
def managed_postgres(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> str:
    """The URL of a Postgres that takes TLS only, as managed services do, reached through the network."""
    server = engine.containers.run(
        "postgres:18",
        name=f"{project_name}-managed",
        environment={"POSTGRES_USER": "owner", "POSTGRES_PASSWORD": MANAGED_PASSWORD, "POSTGRES_DB": "shop"},
        detach=True,
    )
    attached = engine.api.inspect_container(f"{project_name}-managed")["NetworkSettings"]["Networks"][
        "bridge"
    ]
    certificate, front = tmp_path / "certificate.pem", tmp_path / "front.py"
    made = ("-keyout", str(certificate), "-out", str(tmp_path / "public.pem"))
    subprocess.run(
        ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=managed", *made),
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + (tmp_path / "public.pem").read_text())
    front.write_text(TLS_FRONT)
    # The gateway is the host's own address on the default bridge: containers of other networks can reach it.
    proxy = engine.containers.create(
        "python:3.13-slim",
        ["python", "-u", "/front.py", attached["IPAddress"]],
        name=f"{project_name}-front",
        ports={"5432/tcp": (attached["Gateway"], 0)},
    )
    proxy.put_archive("/", packed(certificate, front))
    proxy.start()
    until(lambda: b"listening" in proxy.logs(), "the TLS front listens")
    ready = ["pg_isready", "-h", attached["IPAddress"], "-U", "owner"]
    until(lambda: server.exec_run(ready).exit_code == 0, "Postgres answers")
    port = engine.api.inspect_container(f"{project_name}-front")["NetworkSettings"]["Ports"]["5432/tcp"][0][
        "HostPort"
    ]
    return f"postgresql://owner:{MANAGED_PASSWORD}@{attached['Gateway']}:{port}/shop?sslmode=require"


def packed(*files: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.name)
            content = file.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("language", ["python", "node"])
def test_external_database_is_reached_by_its_url(
    engine: docker.DockerClient,
    tmp_path: Path,
    project_name: str,
    language: Language,
    managed_postgres: str,
) -> None:
    answers = (f"language={language}", "database=postgres", "database_location=external")
    project = generated(tmp_path / f"{project_name}-x", *answers)

    refused = project.scaffold("run", code=2)
    assert "DATABASE_URL" in refused.err
    assert str(project.env_file) in refused.err
    assert left(engine, project) == NOTHING

    text = project.env_file.read_text()
    project.env_file.write_text(text.replace("DATABASE_URL=\n", f"DATABASE_URL={managed_postgres}\n"))
    said = project.scaffold("run")
    assert MANAGED_PASSWORD not in said.out + said.err
    add_item(project, "kept")
    there = left(engine, project)
    assert there.containers == {project.container("app"), project.container("migrate")}
    assert there.volumes == frozenset()

    project.destroy()
    assert left(engine, project) == NOTHING
    project.scaffold("run")
    assert item_names(project) == {"kept"}
