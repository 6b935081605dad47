"""A project with rows in a real PostgreSQL, made as small as it can be: what the tests of ownership share."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.projects import Project, until

ROWS = 1000
POSTGRES = """\
services:
  db:
    image: postgres:17
    environment: {{POSTGRES_USER: app, POSTGRES_DB: app, POSTGRES_PASSWORD: "${{DB_PASSWORD:-given}}"}}
    volumes: ["{volume}:/var/lib/postgresql/data"]
    shm_size: 64m
volumes:
  {volume}: {{{options}}}
"""


def compose(volume: str = "db-data", options: str = "") -> str:
    return POSTGRES.format(volume=volume, options=options)


def written(
    folder: Path, text: str | None = None, env: str | None = None, shell: Mapping[str, str] | None = None
) -> Project:
    """Return a folder with a compose.yaml and, if given, a .env, as a person has written them."""
    folder.mkdir(parents=True)
    (folder / "compose.yaml").write_text(compose() if text is None else text)
    if env is not None:
        (folder / ".env").write_text(env)
    return Project(folder, shell or {})


def database(project: str, service: str = "db") -> str:
    return f"{project}-{service}-1"


def sql(container: str, statement: str) -> str:
    done = subprocess.run(
        ["docker", "exec", container, "psql", "-U", "app", "-d", "app", "-tAqc", statement],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    return done.stdout.strip()


def fill(container: str) -> None:
    """Write the rows that must not be lost."""
    until(lambda: ready(container), "the database answers")
    sql(container, f"create table kept as select generate_series(1, {ROWS}) as id")


def ready(container: str) -> bool:
    """Return whether the server answers: on TCP, where that of the first start does not."""
    words = ("docker", "exec", container, "pg_isready", "-q", "-h", "127.0.0.1", "-U", "app")
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def rows(container: str) -> int:
    return int(sql(container, "select count(*) from kept"))


def started(container: str) -> str:
    """Return what changes whenever a container is made or started anew."""
    done = subprocess.run(
        ["docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Running}}", container],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextlib.contextmanager
def forwarded(path: str) -> Iterator[str]:
    """Yield a DOCKER_HOST that seems to be another machine's, and leads to a socket of this one."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(path)
                back = threading.Thread(target=_pump, args=(engine, self.request), daemon=True)
                back.start()
                _pump(self.request, engine)
                back.join(5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # The resolver knows this spelling; as an address it is none, so it may be any machine.
        yield f"tcp://127.1:{server.server_address[1]}"
        server.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
