"""Faults of the program inside the container: it ends, or it does not answer."""

from __future__ import annotations

from tests.faults.bench import IN_VAIN, Fate, Scene, fault

_FIRST = "import http.server, os, sys\n"


def _first(scene: Scene, line: str) -> None:
    """Put a line at the begin of the app."""
    scene.edit("app.py", _FIRST, f"{_FIRST}{line}\n")


@fault("Python module missing", cause=r"No module named 'flask'", hint=r"flask.*(requirements|install|image)")
def _(scene: Scene) -> Fate:
    _first(scene, "import flask")
    yield
    scene.edit("app.py", "import flask\n", "")


@fault(
    "Node module missing",
    cause=r"Cannot find module 'fastify'",
    hint=r"fastify.*(package\.json|install|image)",
)
def _(scene: Scene) -> Fate:
    scene.write("app.py", 'require("fastify")\n')
    scene.edit("compose.yaml", "python:3.13-slim", "node:24-slim")
    scene.edit("compose.yaml", '["python", "-u", "/app.py"]', '["node", "/app.py"]')
    yield
    scene.write("app.py", 'require("http").createServer((q, a) => a.end("ok")).listen(8000, "0.0.0.0")\n')


@fault("syntax error", cause=r"SyntaxError.*app\.py.*line 2|app\.py.*line 2.*SyntaxError", hint=r"app\.py")
def _(scene: Scene) -> Fate:
    _first(scene, "def (:")
    yield
    scene.edit("app.py", "def (:\n", "")


@fault("crash loop", cause=r"\b[2-9] times.*RuntimeError: boom", hint=r"logs app")
def _(scene: Scene) -> Fate:
    scene.service(restart="always")
    _first(scene, "raise RuntimeError('boom')")
    yield
    scene.edit("app.py", "raise RuntimeError('boom')\n", "")


@fault(
    "variable that the program needs",
    cause=r"KeyError: 'API_TOKEN'|API_TOKEN.*not set",
    hint=r"(API_TOKEN).*\benvironment\b",
)
def _(scene: Scene) -> Fate:
    _first(scene, "os.environ['API_TOKEN']")
    verdict = yield
    scene.service(environment={verdict.command: "x"})


@fault("malformed DATABASE_URL", cause=r"DATABASE_URL", hint=r"(postgresql://user:password@db:5432/name)")
def _(scene: Scene) -> Fate:
    scene.with_database()
    scene.service(environment={"DATABASE_URL": "postgresql//app:app@db/app"})
    _first(
        scene,
        "from urllib.parse import urlsplit as u\n"
        "u(os.environ['DATABASE_URL']).hostname or sys.exit('invalid database URL: no host')",
    )
    verdict = yield
    scene.edit("compose.yaml", "postgresql//app:app@db/app", verdict.command)


@fault("server that listens on 127.0.0.1 only", cause=r"127\.0\.0\.1:8000", hint=r"(0\.0\.0\.0)")
def _(scene: Scene) -> Fate:
    scene.edit("app.py", '"0.0.0.0"', '"127.0.0.1"')
    scene.patience = "60"  # it does not take that long to see that waiting is of no use
    verdict = yield
    scene.edit("app.py", '"127.0.0.1"', f'"{verdict.command}"')
    scene.start_anew(verdict)


@fault(
    "server on another port than the published one",
    cause=r"\b9000\b.*\b8000\b|\b8000\b.*\b9000\b",
    hint=r":(9000)`",
)
def _(scene: Scene) -> Fate:
    scene.edit("app.py", "8000", "9000")
    scene.patience = IN_VAIN
    verdict = yield
    scene.edit("compose.yaml", "${APP_PORT}:8000", "${APP_PORT}:" + verdict.command)


@fault("server that is on no port at all", cause=r"listens on no port|nothing listens", hint=r"logs app")
def _(scene: Scene) -> Fate:
    _first(scene, "import time; time.sleep(3600)")
    scene.patience = IN_VAIN
    verdict = yield
    scene.edit("app.py", "import time; time.sleep(3600)\n", "")
    scene.start_anew(verdict)


@fault("ready path answers 500", cause=r"/ .*\b500\b", hint=r"logs app")
def _(scene: Scene) -> Fate:
    scene.edit("app.py", "200", "500")
    scene.patience = IN_VAIN
    verdict = yield
    scene.edit("app.py", "500", "200")
    scene.start_anew(verdict)


@fault("ready path answers 404", cause=r"/readyz .*\b404\b", hint=r"dev\.scaffold\.ready", compared=False)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "dev.scaffold.ready: /", "dev.scaffold.ready: /readyz")
    scene.patience = IN_VAIN
    scene.edit("app.py", "self.send_response(200)", "self.send_response(200 if self.path == '/' else 404)")
    yield
    scene.edit("compose.yaml", "dev.scaffold.ready: /readyz", "dev.scaffold.ready: /")


@fault(
    "server that takes connections and never answers",
    cause=r"accepts.*(answer|respon)|hang",
    hint=r"logs app|(docker top|exec app)",
)
def _(scene: Scene) -> Fate:
    scene.edit(
        "app.py",
        "        self.send_response(200)",
        "        import time; time.sleep(99); self.send_response(200)",
    )
    scene.patience = IN_VAIN
    verdict = yield
    scene.edit("app.py", "import time; time.sleep(99); ", "")
    scene.start_anew(verdict)


_CONNECT = "import socket; socket.create_connection((os.environ['DB_HOST'], 5432), 5)"


@fault(
    "database host that is no service",
    cause=r"\bdatabase\b.*(resolve|name|no service|unknown)",
    hint=r"\b(db)\b",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    scene.service(environment={"DB_HOST": "database"}, depends_on={"db": {"condition": "service_healthy"}})
    _first(scene, _CONNECT)
    verdict = yield
    scene.edit("compose.yaml", '"DB_HOST": "database"', f'"DB_HOST": "{verdict.command}"')


@fault("database host is localhost", cause=r"localhost.*container|container.*localhost", hint=r"\b(db)\b")
def _(scene: Scene) -> Fate:
    scene.with_database()
    scene.service(environment={"DB_HOST": "localhost"}, depends_on={"db": {"condition": "service_healthy"}})
    _first(scene, _CONNECT)
    verdict = yield
    scene.edit("compose.yaml", '"DB_HOST": "localhost"', f'"DB_HOST": "{verdict.command}"')


@fault("out of memory", cause=r"out of memory.*32 ?MB|32 ?MB.*memory", hint=r"mem_limit")
def _(scene: Scene) -> Fate:
    scene.service(mem_limit="32m", memswap_limit="32m")
    _first(scene, "x = b'x' * 200_000_000")
    yield
    scene.edit("compose.yaml", '    mem_limit: "32m"\n    memswap_limit: "32m"\n', '    mem_limit: "512m"\n')


@fault(
    "write to a read-only file system", cause=r"read.only.*/data|/data.*read.only", hint=r"tmpfs: \[?(/data)"
)
def _(scene: Scene) -> Fate:
    scene.service(read_only=True)
    _first(scene, "os.makedirs('/data'); open('/data/file', 'w').write('x')")
    verdict = yield
    scene.service(tmpfs=[verdict.command])
    scene.edit("app.py", "os.makedirs('/data'); ", "")


@fault(
    "file that the user may not write",
    cause=r"permission denied.*/var/cache/app|/var/cache/app.*permission denied",
    hint=r"user|chown",
)
def _(scene: Scene) -> Fate:
    scene.service(user="nobody")
    _first(scene, "os.makedirs('/var/cache/app', exist_ok=True)")
    yield
    scene.edit("compose.yaml", '    user: "nobody"\n', "")


@fault("disk full", cause=r"disk.*full|no space", hint=r"size=1m")
def _(scene: Scene) -> Fate:
    scene.service(tmpfs=["/data:size=1m"])
    _first(scene, "open('/data/file', 'wb').write(b'x' * 5_000_000)")
    yield
    scene.edit("compose.yaml", "size=1m", "size=64m")


@fault(
    "program that ends at once, without an error",
    cause=r"exited (with code )?\(?0\b",
    hint=r"command",
)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", '["python", "-u", "/app.py"]', '["python", "--version"]')
    yield
    scene.edit("compose.yaml", '["python", "--version"]', '["python", "-u", "/app.py"]')


@fault(
    "shell does not find the program (127)", cause=r"gunicorn.*not found", hint=r"gunicorn.*(image|install)"
)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", '["python", "-u", "/app.py"]', '["sh", "-c", "gunicorn app:app"]')
    yield
    scene.edit("compose.yaml", '["sh", "-c", "gunicorn app:app"]', '["python", "-u", "/app.py"]')


@fault(
    "file of the command is not in the container",
    cause=r"/srv/app\.py",
    hint=r"/srv/app\.py.*(image|volumes|mount)",
)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", '"-u", "/app.py"', '"-u", "/srv/app.py"')
    yield
    scene.edit("compose.yaml", '"-u", "/srv/app.py"', '"-u", "/app.py"')


@fault(
    "mounted file was missing, so Docker made a folder",
    cause=r"app\.py.*(folder|directory)",
    hint=r"`(rmdir \S+)`",
)
def _(scene: Scene) -> Fate:
    text = (scene.folder / "app.py").read_text()
    (scene.folder / "app.py").unlink()
    verdict = yield
    scene.shell(verdict.command)
    scene.write("app.py", text)
    scene.start_anew(verdict)


@fault(
    "port inside the container taken twice",
    cause=r"address already in use.*8000|8000.*address already in use",
    hint=r"same port|second|another process",
)
def _(scene: Scene) -> Fate:
    _first(scene, "import socket; s = socket.socket(); s.bind(('0.0.0.0', 8000)); s.listen()")
    yield
    scene.edit("app.py", "import socket; s = socket.socket(); s.bind(('0.0.0.0', 8000)); s.listen()\n", "")


@fault(
    "health check whose program is missing",
    cause=r"health check.*curl",
    hint=r"healthcheck.*curl|curl.*healthcheck",
)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "    labels: {dev.scaffold.ready: /}\n", "")
    scene.edit("compose.yaml", "[CMD, bash, -c,", "[CMD, curl, -f,")
    yield
    scene.edit("compose.yaml", "[CMD, curl, -f,", "[CMD, bash, -c,")


@fault("health check that never passes", cause=r"health check.*(refused|9999)", hint=r"healthcheck")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "    labels: {dev.scaffold.ready: /}\n", "")
    scene.edit("compose.yaml", "127.0.0.1/8000", "127.0.0.1/9999")
    yield
    scene.edit("compose.yaml", "127.0.0.1/9999", "127.0.0.1/8000")


@fault(
    "migration with an error in its SQL",
    cause=r"migrate.*relation \"?itemz\"? does not exist",
    hint=r"logs migrate",
)
def _(scene: Scene) -> Fate:
    scene.with_database()
    scene.edit(
        "compose.yaml",
        "volumes: {db-data",
        "  migrate:\n"
        "    image: postgres:18\n"
        "    entrypoint: [psql, -v, ON_ERROR_STOP=1, -c, SELECT * FROM itemz]\n"
        '    environment: {PGHOST: db, PGUSER: app, PGPASSWORD: "${POSTGRES_PASSWORD}"}\n'
        "    depends_on: {db: {condition: service_healthy}}\n"
        "volumes: {db-data",
    )
    scene.service(depends_on={"migrate": {"condition": "service_completed_successfully"}})
    yield
    scene.edit("compose.yaml", "SELECT * FROM itemz", "SELECT 1")


@fault("killed from outside", cause=r"SIGKILL|signal 9|killed", hint=r"logs app|memory")
def _(scene: Scene) -> Fate:
    _first(scene, "os.kill(os.getpid(), 9)")
    yield
    scene.edit("app.py", "os.kill(os.getpid(), 9)\n", "")


@fault("program crashes in native code", cause=r"SIGSEGV|segmentation", hint=r"logs app|processor|library")
def _(scene: Scene) -> Fate:
    _first(scene, "os.kill(os.getpid(), 11)")
    yield
    scene.edit("app.py", "os.kill(os.getpid(), 11)\n", "")
