"""The everyday docker words on one small running project, and the docker commands that they stand for."""

import errno
import hashlib
import http.server
import io
import json
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from scaffold.engine.client import place
from scaffold.project import ports
from tests.crash.proxy import proxied
from tests.projects import PATIENCE, SCAFFOLD, Project, handwritten, interrupt, until, unused_port

pytestmark = pytest.mark.engine

COMPOSE = """\
services:
  app:
    build: .
    init: true
    networks: [backend]
    depends_on:
      db: {condition: service_healthy, restart: true}
      migrate: {condition: service_completed_successfully}
  migrate:
    image: debian:trixie-slim
    command: ["true"]
    networks: [backend]
  db:
    image: debian:trixie-slim
    init: true
    command: ["sleep", "infinity"]
    networks: [backend]
    volumes: ["db-data:/data"]
    healthcheck: {test: ["CMD", "true"], interval: 30s, start_interval: 200ms, start_period: 10s}
  tool:
    image: debian:trixie-slim
    profiles: [tools]
networks:
  backend:
volumes:
  db-data:
"""
DOCKERFILE = """\
FROM debian:trixie-slim
RUN date +%N > /built
COPY code /code
CMD ["sleep", "infinity"]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, shared_name: str) -> Project:
    files = {"Dockerfile": DOCKERFILE, "code": "one\n", ".dockerignore": "*\n!code\n"}
    project = handwritten(tmp_path_factory.mktemp("everyday") / shared_name, COMPOSE, files=files)
    project.scaffold("run", "--quiet")
    return project


def container(engine: docker.DockerClient, shop: Project, service: str) -> Any:
    return engine.api.inspect_container(shop.container(service))


def started(engine: docker.DockerClient, shop: Project, service: str) -> str:
    return str(container(engine, shop, service)["State"]["StartedAt"])


def typed(done: str) -> str:
    """Return a shell script of what `--explain` printed; it must hold nothing but comments and docker."""
    lines = done.strip().splitlines()
    assert lines, done
    assert all(re.match(r"# |docker |  |until |test |eval ", line) for line in lines), done
    return "set -e\n" + done


def execute(shop: Project, *command: str) -> str:
    """Type what a command says that it stands for, and return what that printed."""
    script = typed(shop.scaffold(*command, "--explain").out)
    return shop.run("sh", "-c", script).out


def test_ps_shows_every_container(shop: Project) -> None:
    found = shop.scaffold("ps", "--json").json
    assert found["project"] == shop.name
    assert {item["name"]: item["state"] for item in found["containers"]} == {
        "app": "running",
        "db": "running",
        "migrate": "completed",
    }
    text = shop.scaffold("ps").out
    assert all(shop.container(service) in text for service in ("app", "db", "migrate"))


def test_volumes_say_who_is_attached(shop: Project) -> None:
    shop.scaffold("exec", "db", "sh", "-c", "head -c 100000 /dev/zero > /data/file")
    (volume,) = shop.scaffold("volumes", "--json").json["volumes"]
    assert volume["name"] == f"{shop.name}_db-data"
    assert volume["size"] >= 100_000
    assert [(item["service"], item["at"]) for item in volume["attached"]] == [("db", "/data")]
    assert "db /data" in shop.scaffold("volumes").out


def test_networks_say_who_is_attached(engine: docker.DockerClient, shop: Project) -> None:
    (network,) = shop.scaffold("networks", "--json").json["networks"]
    assert network["name"] == f"{shop.name}_backend"
    address = container(engine, shop, "db")["NetworkSettings"]["Networks"][network["name"]]["IPAddress"]
    assert [item["at"] for item in network["attached"] if item["service"] == "db"] == [address]
    assert f"db {address}" in shop.scaffold("networks").out


def test_stats_measure_all_running_containers(shop: Project) -> None:
    found = shop.scaffold("stats", "--json").json["containers"]
    assert {item["service"] for item in found} == {"app", "db"}
    assert all(item["memory"] > 0 and item["processes"] > 0 for item in found if item["measured"])
    assert "app" not in shop.scaffold("stats", "db").out


def test_stats_follow_until_ctrl_c(shop: Project) -> None:
    process = shop.start("stats", "--follow", "--json")
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    interrupt(process)
    shop.end(process, code=130)
    assert [len(line["containers"]) for line in lines] == [2, 2]
    assert lines[0]["time"] < lines[1]["time"]


def test_events_follow_until_ctrl_c(shop: Project) -> None:
    process = shop.start("events", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert "Following" in process.stderr.readline()
    shop.scaffold("restart", "app", "--quiet")
    seen: list[dict[str, Any]] = []
    while not seen or (seen[-1]["service"], seen[-1]["action"]) != ("app", "start"):
        seen.append(json.loads(process.stdout.readline()))
    interrupt(process)
    shop.end(process, code=130)
    assert all(shop.name in item["name"] for item in seen)
    actions = [item["action"] for item in seen if item["kind"] == "container"]
    assert [action for action in actions if action in ("kill", "die", "start")] == ["kill", "die", "start"]
    died = next(item for item in seen if item["action"] == "die")
    assert died["exit_code"] == 143


@pytest.mark.parametrize("command", ["logs --follow", "events"])
def test_follower_says_that_the_engine_went_away(shop: Project, tmp_path: Path, command: str) -> None:
    with proxied(tmp_path / "sock", place()) as proxy:
        process = shop.start(*command.split(), DOCKER_HOST=proxy.host)
        until(lambda: any(re.search(r"/logs\?|/events\?", call) for call in proxy.calls), "it follows")
        time.sleep(1)
        proxy.end()
        assert "the Docker engine went away" in shop.end(process, code=1).err


def test_restart_follows_dependencies_and_proves(engine: docker.DockerClient, shop: Project) -> None:
    before = {service: started(engine, shop, service) for service in ("app", "db", "migrate")}
    done = shop.scaffold("restart", "db", "--json")
    assert done.json["restarted"] == ["db", "app"]
    assert "db ready (healthy" in done.err
    now = {service: started(engine, shop, service) for service in before}
    assert now["migrate"] == before["migrate"]
    assert before["app"] < now["db"] < now["app"]


def test_killed_service_says_how_it_is_started_again(engine: docker.DockerClient, shop: Project) -> None:
    done = shop.scaffold("kill", "app", "--json")
    assert done.json["containers"] == [shop.container("app")]
    assert container(engine, shop, "app")["State"]["ExitCode"] == 137
    again = shop.scaffold("kill", "app", code=1)
    assert "Service app is exited" in again.err
    assert "scaffold run" in shop.scaffold("stats", "app", code=1).err


def test_kill_sends_the_signal_asked_for(engine: docker.DockerClient, shop: Project) -> None:
    shop.scaffold("restart", "app", "--quiet")  # it also starts what has ended
    shop.scaffold("kill", "app", "--signal", "SIGTERM")
    until(lambda: not container(engine, shop, "app")["State"]["Running"], "app ends")
    assert container(engine, shop, "app")["State"]["ExitCode"] == 143
    shop.scaffold("run", "--quiet")
    assert "NOPE" in shop.scaffold("kill", "app", "--signal", "NOPE", code=1).err


def test_cp_goes_both_ways(shop: Project) -> None:
    bytes_ = bytes(range(256)) * 100
    (shop.folder / "a file").write_bytes(bytes_)
    shop.scaffold("cp", "./a file", "app:/tmp/there")
    shop.scaffold("cp", "app:/tmp/there", "back")
    assert (shop.folder / "back").read_bytes() == bytes_
    assert "/nope" in shop.scaffold("cp", "app:/nope", ".", code=1).err
    for both in (("app:/a", "db:/b"), ("./a", "./b")):
        assert "SERVICE:PATH" in shop.scaffold("cp", *both, code=2).err


@pytest.mark.parametrize(
    "command",
    [
        ("logs", "nope"),
        ("exec", "nope", "true"),
        ("stats", "nope"),
        ("kill", "nope"),
        ("cp", "nope:/x", "."),
    ],
)
def test_unknown_service_is_answered_with_the_known_ones(shop: Project, command: tuple[str, ...]) -> None:
    assert "Services: app, db, migrate." in shop.scaffold(*command, code=2).err


def images(shop: Project) -> dict[str, Any]:
    return {item["name"] or item["id"]: item for item in shop.scaffold("images", "--json").json["images"]}


def test_images_are_cleaned_once_nothing_uses_them(engine: docker.DockerClient, shop: Project) -> None:
    name = f"{shop.name}-app"
    first = images(shop)
    assert first[name]["services"] == ["app"]
    assert first["debian:trixie-slim"]["services"] == ["db", "migrate"]
    assert not first["debian:trixie-slim"]["built"]
    somebody_elses = engine.api.commit(
        shop.container("db"),
        pause=False,  # its health check would fail meanwhile
        changes=[f"LABEL com.docker.compose.project={shop.name}-other"],
    )["Id"]

    built = shop.scaffold("build", "app", "--no-cache", "--json").json["images"]
    assert [(item["name"], item["changed"]) for item in built] == [(name, True)]
    old = images(shop)[first[name]["id"]]
    assert old["used"]  # the container still stands on it
    assert shop.scaffold("images", "clean", "--json").json["removed"] == []

    shop.scaffold("run", "--quiet")
    assert set(images(shop)) == {name, "debian:trixie-slim"}  # what a run has replaced goes by itself
    left = left_behind(engine, shop)
    assert "not used any more" in shop.scaffold("images").out
    assert shop.scaffold("images", "clean", "--explain").out.count("docker image rm") == 1
    cleaned = shop.scaffold("images", "clean", "--json").json
    assert cleaned["removed"] == [left]
    assert cleaned["freed"] >= 0
    assert set(images(shop)) == {name, "debian:trixie-slim"}
    assert engine.api.inspect_image(somebody_elses)
    engine.api.remove_image(somebody_elses)


def left_behind(engine: docker.DockerClient, shop: Project) -> str:
    """Make an image of the project that no service has any more, as one that was renamed leaves it."""
    label = f"LABEL com.docker.compose.project={shop.name}"
    made = engine.api.commit(
        shop.container("db"), f"{shop.name}-former", "latest", pause=False, changes=[label]
    )
    return str(made["Id"])


def test_printed_commands_build_and_clean_the_same_images(engine: docker.DockerClient, shop: Project) -> None:
    execute(shop, "build", "app", "--no-cache")
    shop.scaffold("run", "--quiet")  # it looks what the image is made of, and finds the same
    assert "build" not in shop.scaffold("plan").out
    left_behind(engine, shop)
    assert sum(not item["used"] for item in images(shop).values()) == 1
    execute(shop, "images", "clean")
    assert all(item["used"] for item in images(shop).values())


def test_printed_commands_restart_and_kill(engine: docker.DockerClient, shop: Project) -> None:
    before = started(engine, shop, "app")
    execute(shop, "kill", "app")
    assert container(engine, shop, "app")["State"]["ExitCode"] == 137
    execute(shop, "restart", "app")
    assert started(engine, shop, "app") > before


def test_printed_commands_show_and_copy_the_same(shop: Project) -> None:
    for command in (
        ("exec", "--explain", "app", "cat", "/built"),
        ("logs", "app", "--tail", "5", "--explain"),
    ):
        asked = [word for word in command if word != "--explain"]
        assert shop.run("sh", "-c", typed(shop.scaffold(*command).out)).out == shop.scaffold(*asked).out
    execute(shop, "cp", "app:/code", "copied")
    assert (shop.folder / "copied").read_text() == (shop.folder / "code").read_text()
    for look, word in (
        (("ps",), shop.container("migrate")),
        (("status",), f"{shop.name}_db-data"),
        (("volumes",), shop.container("db")),
        (("networks",), shop.container("app")),
        (("images",), f"{shop.name}-app"),
        (("stats",), shop.container("app")),
        (("list",), shop.container("db")),
    ):
        assert word in execute(shop, *look)


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--recreate"),
        ("build",),
        ("pull",),
        ("restart",),
        ("stop",),
        ("kill", "app"),
        ("down",),
        ("destroy",),
        ("cp", "./code", "app:/tmp/x"),
        ("images", "clean"),
        ("events", "--since", "1m"),
    ],
)
def test_explained_commands_do_nothing(
    engine: docker.DockerClient, shop: Project, command: tuple[str, ...]
) -> None:
    def now() -> list[object]:
        services = ("app", "db", "migrate")
        return [(c["Id"], c["State"]["StartedAt"]) for c in (container(engine, shop, s) for s in services)]

    before = now()
    shop.scaffold(*command, "--explain")
    assert now() == before


def test_explained_commands_are_data_too(shop: Project) -> None:
    found = shop.scaffold("stop", "--explain", "--json").json
    assert found["project"] == shop.name
    assert [item["text"].split()[:2] for item in found["commands"]] == [["docker", "stop"]] * 2


def complete(shop: Project, folder: Path, words: str) -> list[str]:
    place = Project(folder, shop.environment)
    last = len(words.split(" ")) - 1
    done = place.run(SCAFFOLD, _SCAFFOLD_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(last))
    assert done.err == ""
    return done.out.split()


def test_the_shell_completes_commands_and_services(shop: Project, tmp_path: Path) -> None:
    assert "volumes" in complete(shop, shop.folder, "scaffold vol")
    for command in ("logs", "restart"):
        assert complete(shop, shop.folder, f"scaffold {command} ") == ["app", "db", "migrate", "tool"]
    assert complete(shop, shop.folder, "scaffold cp m") == ["migrate:"]
    assert complete(shop, tmp_path, "scaffold logs ") == []
    assert complete(shop, tmp_path, f"scaffold logs -C {shop.folder} a") == ["app"]
    (tmp_path / "compose.yaml").write_bytes(b"services:\n  \xff")
    assert complete(shop, tmp_path, "scaffold logs ") == []


def test_completion_is_silent_without_an_engine(tmp_path: Path) -> None:
    place = Project(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"})
    assert complete(place, tmp_path, "scaffold clean ") == []


class Registry(http.server.BaseHTTPRequestHandler):
    """As much of a registry as `docker pull` needs: one image, whose only layer holds one file."""

    blobs: dict[str, tuple[str, bytes]]
    tag: str

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        last = self.path.rsplit("/", 1)[-1]
        kind, body = self.blobs.get(self.tag if last == "latest" else last, ("application/json", b"{}"))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def publish(text: str) -> None:
    """Let the registry's `latest` be an image with this text in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("text")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    layer = buffer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    ).encode()
    prefix = "application/vnd.docker"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{prefix}.distribution.manifest.v2+json",
        "config": {
            "mediaType": f"{prefix}.container.image.v1+json",
            "size": len(config),
            "digest": digest(config),
        },
        "layers": [
            {"mediaType": f"{prefix}.image.rootfs.diff.tar", "size": len(layer), "digest": digest(layer)}
        ],
    }
    body = json.dumps(manifest).encode()
    Registry.tag = digest(body)
    Registry.blobs = {
        digest(layer): ("application/octet-stream", layer),
        digest(config): (f"{prefix}.container.image.v1+json", config),
        digest(body): (f"{prefix}.distribution.manifest.v2+json", body),
    }


@pytest.fixture
def registry() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)


def test_pull_gets_what_is_newer(
    engine: docker.DockerClient, tmp_path: Path, project_name: str, registry: str
) -> None:
    image = f"{registry}/{project_name}"
    compose = f"services:\n  thing: {{image: '{image}', command: [x]}}\n  own: {{build: .}}\n"
    project = handwritten(tmp_path / f"{project_name}-p", compose, files={"Dockerfile": "FROM scratch\n"})
    publish("one")
    first = project.scaffold("pull", "--json").json["images"]
    assert [(item["name"], item["changed"]) for item in first] == [(image, True)]
    assert "the same as before" in project.scaffold("pull", "thing").out
    publish("two")
    second = project.scaffold("pull")
    assert f"{image}: new" in second.out
    assert engine.api.inspect_image(image)["Id"] != first[0]["id"]
    engine.api.remove_image(first[0]["id"])
    assert execute(project, "pull")
    (project.folder / "compose.yaml").write_text(compose.replace(image, f"{registry}/{project_name}:nope"))
    Registry.blobs = {}
    assert "cannot be pulled" in project.scaffold("pull", code=1).err


def test_stopped_project_says_what_to_type(engine: docker.DockerClient, shop: Project) -> None:
    """The last test on this project: the printed commands stop it and take it down."""
    execute(shop, "stop")
    assert not container(engine, shop, "db")["State"]["Running"]
    for command in (("stats",), ("shell", "db"), ("exec", "db", "true")):
        assert "scaffold run" in shop.scaffold(*command, code=1).err
    execute(shop, "down")
    assert shop.scaffold("ps", "--json").json["containers"] == []
    for command in (("restart",), ("logs",), ("cp", "app:/code", ".")):
        assert "scaffold run" in shop.scaffold(*command, code=1).err
    (volume,) = shop.scaffold("volumes", "--json").json["volumes"]
    assert volume["exists"]
    assert not shop.scaffold("networks", "--json").json["networks"][0]["exists"]
    shop.scaffold("build", "--no-cache")  # the image before it loses its name
    execute(shop, "destroy")
    assert not shop.scaffold("volumes", "--json").json["volumes"][0]["exists"]
    assert engine.api.images(filters={"label": f"com.docker.compose.project={shop.name}"}) == []


SEVERAL = """\
services:
  one: {image: "postgres:18", environment: {POSTGRES_PASSWORD: x}}
  two: {image: "postgres:18", environment: {POSTGRES_PASSWORD: y}}
  quiet:
    {image: "debian:trixie-slim", command: [sleep, infinity], init: true, logging: {driver: none}}
  loud: {image: "debian:trixie-slim", command: [sh, -c, "echo shown; sleep 1000"], init: true}
  checks: {image: "debian:trixie-slim", profiles: [test]}
"""


def test_which_database_and_which_log_is_meant(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, SEVERAL)
    project.env_file.write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    project.scaffold("run", "--quiet")
    asked = project.scaffold("db", "--", "-Atc", "select 1", code=2)
    assert "2 databases: one, two" in asked.err
    assert "`scaffold db --service one`" in asked.err
    assert project.scaffold("db", "-s", "two", "--", "-Atc", "select current_setting('port')").out == "5432\n"
    assert "no database" in project.scaffold("db", "-s", "loud", code=2).err
    # A service that keeps no log ends nobody else's.
    assert "shown" in project.scaffold("logs", "--tail", "1").out
    assert "keeps no log" in project.scaffold("logs", "quiet", code=1).err
    assert "`scaffold run --profile test` starts it" in project.scaffold("logs", "checks", code=1).err
    project.run("docker", "compose", "down", "--volumes", "--timeout", "0")


def test_port_that_is_held_on_one_address_of_ipv6_alone_is_known() -> None:
    port = unused_port()
    assert ports.obstacle(port) == 0
    with socket.socket(socket.AF_INET6) as held:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind(("::1", port))
        held.listen()
        assert ports.obstacle(port) == errno.EADDRINUSE
