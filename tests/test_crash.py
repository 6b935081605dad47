"""Whatever breaks in the middle: one more `scaffold run` reaches what is asked for, and no row is lost.

In `make test` a sample of everything; with SCAFFOLD_SOAK=1 every call, 100 kills, and Compose beside it.
"""

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from scaffold.engine.client import place
from tests.conftest import MEASURED, named
from tests.crash import compose
from tests.crash.daemon import SUBNET, Daemon, daemon
from tests.crash.proxy import Cut, proxied
from tests.crash.rounds import SCENES, Score, calls, cut_off, killed, prepare, recovered, spread
from tests.crash.subject import Subject, subject
from tests.projects import Project, handwritten, until
from tests.soak import SOAK, left_to_the_soak, sample

pytestmark = [pytest.mark.engine, pytest.mark.timeout(7200 if SOAK else 600)]

CUTS = 2
"""Calls that are cut in `make test`, for each scene and each kind of cut."""
KILLS = 100 if SOAK else 6
LONGEST = {"first start": 4.0, "recreate": 3.0, "down": 2.0}
"""Seconds within which a kill comes; about what the command takes on a slow machine."""
FIRST_STARTS = 30 if SOAK else 2
ENGINE_KILLS = 10 if SOAK else 2
COMPOSE_KILLS = 30
SEED = 20261124

Show = Callable[[Score], None]


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Show:
    """Have a score printed at the end of the tests, and claim that nothing failed."""

    def shown(score: Score) -> None:
        record_property(MEASURED, str(score))
        assert not score.failures, str(score)

    return shown


@pytest.fixture(scope="module")
def broken(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with named(engine) as name:
        made = subject(tmp_path_factory.mktemp("crash") / name, engine)
        yield made
        made.wipe()


@pytest.fixture(scope="module")
def keeper(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with named(engine) as name:
        made = subject(tmp_path_factory.mktemp("crash") / name, engine, anonymous=True)
        yield made
        made.wipe()


@pytest.fixture(scope="module")
def own_engine() -> Iterator[Daemon]:
    with daemon(["postgres:18", "python:3.13-slim"]) as made:
        yield made


@pytest.fixture
def switched(own_engine: Daemon, tmp_path: Path) -> Iterator[Subject]:
    """The project on the engine that may be killed."""
    client = docker.DockerClient(own_engine.host, version="1.44")
    made = subject(tmp_path / "switched", client, subnet=SUBNET, environment={"DOCKER_HOST": own_engine.host})
    yield made
    made.wipe()
    client.close()


@pytest.mark.parametrize("cut", list(Cut))
@pytest.mark.parametrize("scene", SCENES)
def test_run_recovers_after_being_cut_off_at_any_call(
    broken: Subject, keeper: Subject, tmp_path: Path, show: Show, scene: str, cut: Cut
) -> None:
    victim = keeper if scene == "recreate" else broken
    upstream = place()
    sequence = calls(victim, scene, tmp_path / "sock", upstream)
    score = Score(f"cut off {cut}, {scene}, {len(sequence)} calls")
    for at in spread(len(sequence), CUTS):
        what = f"call {at}, {sequence[at - 1]}"
        score.take(what, partial(cut_off, victim, scene, tmp_path / "sock", upstream, at, cut))
    show(score)


def test_run_recovers_after_a_kill_at_any_moment(broken: Subject, show: Show) -> None:
    random_source = random.Random(SEED)
    score = Score("SIGKILL of scaffold")
    for _ in range(KILLS):
        scene = random_source.choice(SCENES)
        moment = random_source.uniform(0, LONGEST[scene])
        score.take(f"{scene}, {moment:.3f} s", partial(killed, broken, scene, moment))
    show(score)


def test_database_killed_while_it_is_initialised_begins_anew(broken: Subject, show: Show) -> None:
    random_source = random.Random(SEED)
    score = Score("SIGKILL of PostgreSQL during its first start")
    for _ in range(FIRST_STARTS):
        moment = random_source.uniform(0, 1.5)
        score.take(f"{moment:.3f} s", partial(_first_start_killed, broken, moment))
    show(score)


def _first_start_killed(victim: Subject, moment: float) -> None:
    victim.wipe()
    process = victim.project.start("run")
    api, name = victim.engine.api, victim.project.container("db")
    until(lambda: _is_running(victim, name), "the database runs")
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    api.kill(name)
    out, err = process.communicate(timeout=60)
    victim.project.check_output(out + err)
    recovered(victim)


def _is_running(victim: Subject, name: str) -> bool:
    try:
        return bool(victim.engine.api.inspect_container(name)["State"]["Running"])
    except NotFound:
        return False


def test_volume_with_rows_is_never_emptied(broken: Subject) -> None:
    broken.wipe()
    broken.recover()
    broken.insert(100)
    api, name = broken.engine.api, broken.project.container("db")
    # As in a copy of a database, which comes without this file.
    api.exec_start(api.exec_create(name, ["sh", "-c", "rm $PGDATA/postmaster.opts"])["Id"])
    api.kill(name)
    done = broken.recover()
    assert "cut short" not in done.out + done.err
    broken.check()


def test_run_recovers_after_the_engine_was_killed(own_engine: Daemon, switched: Subject, show: Show) -> None:
    random_source = random.Random(SEED)
    score = Score("SIGKILL of the engine, with and without its containers")
    for number in range(ENGINE_KILLS):
        end = own_engine.switch_off if number % 2 else own_engine.kill
        scene = SCENES[number % 2] if number < 2 else random_source.choice(SCENES)
        moment = random_source.uniform(0.3, LONGEST[scene])
        score.take(
            f"{end.__name__}, {scene}, {moment:.3f} s",
            partial(_engine_killed, own_engine, switched, scene, moment, end),
        )
    show(score)


def _engine_killed(
    engine: Daemon, victim: Subject, scene: str, moment: float, end: Callable[[], None]
) -> None:
    process = victim.project.start(*prepare(victim, scene))
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    early = process.poll() is None
    try:
        end()
        out, err = process.communicate(timeout=60)
    finally:
        engine.start()
    victim.project.check_output(out + err)
    if early and process.returncode:
        assert process.returncode == 1, err
        assert "engine" in err, err
    recovered(victim)


def test_disk_full_during_a_build_is_named_and_mended(own_engine: Daemon, switched: Subject) -> None:
    switched.recover()
    switched.insert()
    dockerfile = switched.project.folder / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("CMD", "RUN head -c 200M /dev/zero >/big\nCMD"))
    with own_engine.full(left=50):
        failed = switched.project.scaffold("run", code=1)
        # What ran goes on running on the full disk.
        assert switched.counted() == switched.rows
    assert "docker system df" in failed.err, failed
    recovered(switched)


@left_to_the_soak
def test_compose_beside_it(
    engine: docker.DockerClient, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with named(engine) as name:
        made = subject(tmp_path / name, engine)
        score = compose.killed_recreates(made, COMPOSE_KILLS, SEED)
        made.wipe()
    record_property(MEASURED, str(score))


CONFIGURED = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    configs: [{source: greeting, target: /greeting}]
configs:
  greeting: {content: hello}
"""


def test_container_that_was_never_started_gets_its_configs(
    engine: docker.DockerClient, project_name: str, tmp_path: Path
) -> None:
    project = handwritten(tmp_path / project_name, CONFIGURED)
    project.scaffold("env")
    upstream = place()
    with proxied(tmp_path / "sock", upstream) as whole:
        project.scaffold("run", DOCKER_HOST=whole.host)
    project.scaffold("down")
    created = next(number for number, call in enumerate(whole.calls, 1) if "/containers/create" in call)
    with proxied(tmp_path / "sock", upstream, created + 1) as cut:
        project.scaffold("run", code=1, DOCKER_HOST=cut.host)
    container = project.container("app")
    assert engine.api.inspect_container(container)["State"]["Status"] == "created"
    project.scaffold("run")
    task = engine.api.exec_create(container, ["cat", "/greeting"])
    assert engine.api.exec_start(task["Id"]) == b"hello"


MONGO = """\
services:
  db:
    image: mongo:8
    environment:
      MONGO_INITDB_ROOT_USERNAME: app
      MONGO_INITDB_ROOT_PASSWORD: ${MONGO_PASSWORD}
    ports: ["127.0.0.1:${DB_PORT}:27017"]
    volumes: ["db-data:/data/db"]
volumes:
  db-data: {}
"""


def _without_login(project: Project, script: str) -> None:
    """Let a server without users work on the project's volume, as the image does before it creates them."""
    volume = f"{project.name}_db-data"
    subprocess.run(
        ["docker", "volume", "create", "--label", f"com.docker.compose.project={project.name}", volume],
        check=True,
    )
    name = f"{project.name}-before"
    subprocess.run(["docker", "run", "-d", "--name", name, "-v", f"{volume}:/data/db", "mongo:8"], check=True)
    shell = ["docker", "exec", name, "mongosh", "--quiet", "app", "--eval"]
    until(
        lambda: subprocess.run([*shell, "db.hello().ok"], capture_output=True).returncode == 0,
        "mongod answers",
    )
    subprocess.run([*shell, script], check=True)
    subprocess.run(["docker", "stop", name], check=True)
    subprocess.run(["docker", "rm", "--volumes", name], check=True)


@pytest.fixture
def mongo(engine: docker.DockerClient, project_name: str, tmp_path: Path) -> Project:
    project = handwritten(tmp_path / project_name, MONGO, "DB_PORT=27600\nMONGO_PASSWORD=\n")
    project.scaffold("env")
    return project


WRITTEN = ("db.things.insertOne({a: 1})", "1")


@pytest.mark.parametrize(("script", "things"), sample((("undefined", "0"), WRITTEN), (WRITTEN,)))
def test_mongo_without_its_user_is_only_explained(mongo: Project, script: str, things: str) -> None:
    _without_login(mongo, script)
    done = mongo.scaffold("run", code=1)
    assert "scaffold db --set-password" in done.err, done
    mongo.scaffold("db", "--set-password")
    mongo.scaffold("run")
    count = "db.getSiblingDB('app').things.countDocuments()"
    assert mongo.scaffold("db", "--", "--eval", count).out.strip() == things
