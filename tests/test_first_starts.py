"""A first start that was cut short is set aside, whole and under a name; everything else is left as it is."""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import docker
import pytest

from scaffold.project import first_starts
from scaffold.stack import names
from tests.projects import Project, handwritten, until

pytestmark = pytest.mark.engine

COMPOSE = """\
services:
  db:
    image: postgres:{version}
    environment:
      POSTGRES_USER: app
      POSTGRES_DB: app
      POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD:?}}
    ports: ["127.0.0.1:${{DB_PORT:?}}:5432"]
    volumes:
      - db-data:{mount}
      - ./init:/docker-entrypoint-initdb.d:ro
      - ./gate:/gate
    stop_grace_period: 5s
volumes:
  db-data:
"""
# The image's own server runs, on its socket, until somebody opens the gate.
SCRIPT = """\
touch /gate/waiting
while [ ! -e /gate/open ]; do sleep 0.05; done
psql -h /var/run/postgresql -U app -d app -c 'create table schema_of_ours (n int)'
"""
MOUNTS = {"17": "/var/lib/postgresql/data", "18": "/var/lib/postgresql"}
ROWS = "create table kept (n int); insert into kept select generate_series(1, 1000)"


@pytest.fixture(params=sorted(MOUNTS))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shop(tmp_path: Path, project_name: str, version: str) -> Iterator[Project]:
    """A project whose database waits in its first start until the gate is opened."""
    compose = COMPOSE.format(version=version, mount=MOUNTS[version])
    project = handwritten(tmp_path / project_name, compose, "DB_PORT=8700\nPOSTGRES_PASSWORD=\n")
    for name in ("init", "gate"):
        (project.folder / name).mkdir()
    (project.folder / "gate").chmod(0o777)
    (project.folder / "init" / "1.sh").write_text(SCRIPT)
    yield project
    first_starts.forget(volume(project))


def volume(project: Project) -> str:
    return f"{project.name}_db-data"


def db(project: Project) -> str:
    return project.container("db")


def at_the_gate(project: Project) -> None:
    """Begin a run, and kill the command once the database waits in its first start."""
    process = project.start("run")
    until((project.folder / "gate" / "waiting").exists, "the first start waits")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def cut_short(project: Project) -> None:
    """Kill a database in its first start; the next one is let through."""
    at_the_gate(project)
    docker_("kill", db(project))
    open_gate(project)


def open_gate(project: Project) -> None:
    (project.folder / "gate" / "open").touch()


def docker_(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(("docker", *words), input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sql(container: str, text: str) -> str:
    return docker_(
        "exec", container, "psql", "-h", "/var/run/postgresql", "-U", "app", "-d", "app", "-Atc", text
    )


@contextlib.contextmanager
def server(project: Project, version: str, source: str, *words: str) -> Iterator[str]:
    """A server that somebody starts by hand on a volume, or `volume:folder`, on its socket only."""
    name = f"{project.name}-byhand-{secrets.token_hex(2)}"
    store, _, folder = source.partition(":")
    directory = f"/data/{folder}".rstrip("/")
    docker_(
        *("run", "--detach", "--name", name, "--user", "postgres", "--network", "none"),
        *("--volume", f"{store}:/data", "--entrypoint", "postgres", f"postgres:{version}"),
        *("-D", directory, "-c", "unix_socket_directories=/var/run/postgresql", *words),
    )
    try:
        until(lambda: answers(name), "the server by hand answers")
        yield name
    finally:
        docker_("rm", "--force", "--volumes", name)


def answers(container: str) -> bool:
    words = ("exec", container, "pg_isready", "-h", "/var/run/postgresql", "-U", "app")
    return subprocess.run(("docker", *words), capture_output=True, timeout=60).returncode == 0


def digest(source: str, version: str) -> str:
    """Return a digest of every file of a volume, or of a folder in it, with its owner and mode."""
    store, _, folder = source.partition(":")
    script = "find . -type f -exec sha256sum {} + | sort && find . -printf '%p %U %m %l\\n' | sort"
    words = ("run", "--rm", "--network", "none", "--volume", f"{store}:/data:ro", "--entrypoint", "sh")
    return docker_(*words, f"postgres:{version}", "-c", f"cd /data/{folder} && {script}")


def root(project: Project, version: str) -> str:
    return volume(project) if version == "17" else f"{volume(project)}:18/docker"


def aside_of(project: Project, text: str) -> str:
    """Return the place that the screen names, as `volume` or `volume:folder`."""
    said = " ".join(text.split())
    inside = re.search(r"is in (\S+) of volume (\S+)\.", said)
    if inside:
        return f"{inside[2]}:{inside[1]}"
    found = re.search(r"is in volume (\S+?)\.(?: |$)", said)
    assert found, text
    assert found[1].startswith(f"{volume(project)}-aside-")
    return found[1]


def helpers(engine: docker.DockerClient, project: Project) -> list[str]:
    found = engine.api.containers(all=True, filters={"label": f"{names.HELPER}={project.name}"})
    return [item["Id"] for item in found]


# ── what is set aside ───────────────────────────────────────────────────────────────────────────────────


def test_cut_short_start_is_set_aside_by_a_step_of_the_plan_that_names_the_place(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    before = digest(root(shop, version), version)
    planned = shop.scaffold("plan", "--json").json
    (step,) = [item for item in planned["steps"] if item["verb"] == "set aside"]
    assert (step["kind"], step["name"], step["impact"]) == ("data", volume(shop), "data")
    assert "its first start was cut short" in shop.scaffold("plan").out

    done = shop.scaffold("run", "--quiet")
    place = aside_of(shop, done.err)
    assert digest(place, version) == before
    assert sql(db(shop), "select count(*) from schema_of_ours") == "0"
    assert helpers(engine, shop) == []
    shop.scaffold("plan", "--exit-code")
    if version == "17":
        labels = engine.api.inspect_volume(place)["Labels"]
        assert labels[names.ASIDE] == volume(shop)
        assert not any(label.startswith("com.docker.compose") for label in labels)


def test_printed_commands_do_the_same(shop: Project, version: str) -> None:
    cut_short(shop)
    before = digest(root(shop, version), version)
    lines = [item["text"] for item in shop.scaffold("plan", "--commands", "--json").json["commands"]]
    for line in lines:
        shop.run("sh", "-c", line)
        if "/volume" in line:
            break
    text = " ".join(lines)
    found = re.search(rf"({volume(shop)}-aside-\w+)", text)
    folder = re.search(r"(\.scaffold-aside/\w+/18-docker)", text)
    assert digest(found[1] if found else f"{volume(shop)}:{folder[1] if folder else ''}", version) == before


def test_rows_that_were_acknowledged_while_a_script_ran_are_in_what_was_set_aside(
    shop: Project, version: str
) -> None:
    at_the_gate(shop)
    sql(db(shop), ROWS)
    docker_("kill", db(shop))
    open_gate(shop)
    place = aside_of(shop, shop.scaffold("run").err)
    with server(shop, version, place) as by_hand:
        assert sql(by_hand, "select count(*) from kept") == "1000"


def test_second_cut_goes_to_another_place(shop: Project, version: str) -> None:
    places = set()
    for _ in range(2):
        (shop.folder / "gate" / "open").unlink(missing_ok=True)
        (shop.folder / "gate" / "waiting").unlink(missing_ok=True)
        process = shop.start("run")
        until((shop.folder / "gate" / "waiting").exists, "the first start waits")
        docker_("kill", db(shop))
        _, err = process.communicate(timeout=60)
        places |= {aside_of(shop, err)} if "is in" in err else set()
        time.sleep(1)  # a place is named after the second
    open_gate(shop)
    places.add(aside_of(shop, shop.scaffold("run").err))
    assert len(places) == 2
    for place in places:
        assert "PG_VERSION" in digest(place, version)


def test_run_that_is_killed_while_it_sets_aside_is_gone_on_with(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    before = digest(root(shop, version), version)
    source = random.Random(20261126)
    said = ""
    for _ in range(6):
        process = shop.start("run")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(source.uniform(0.4, 2.5))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, err = process.communicate()
        said += err
        if "is in" in said:
            break
    said += shop.scaffold("run").err
    assert helpers(engine, shop) == []
    assert sql(db(shop), "select count(*) from schema_of_ours") == "0"
    places = {aside_of(shop, said)} if "is in" in said else set(_places(engine, shop, version))
    assert before in [digest(place, version) for place in places]


def _places(engine: docker.DockerClient, shop: Project, version: str) -> list[str]:
    if version == "17":
        found = engine.api.volumes(filters={"label": f"{names.ASIDE}={volume(shop)}"})["Volumes"]
        return [item["Name"] for item in found]
    words = ("run", "--rm", "--volume", f"{volume(shop)}:/data:ro", "--entrypoint", "sh", "postgres:18", "-c")
    lines = docker_(*words, "ls -d /data/.scaffold-aside/*/*").splitlines()
    return [f"{volume(shop)}:{line.removeprefix('/data/')}" for line in lines]


@pytest.mark.parametrize("version", ["17"], indirect=True)
@pytest.mark.parametrize("state", ["marker moved", "all moved", "half copied", "half removed"])
def test_setting_aside_goes_on_from_every_state(
    engine: docker.DockerClient, shop: Project, version: str, state: str
) -> None:
    cut_short(shop)
    before = digest(volume(shop), version)
    aside = f"{volume(shop)}-aside-20260101T000000Z"
    pending = first_starts.find(volume(shop), _created(engine, shop))
    assert pending
    first_starts.keep(first_starts.Pending(pending.volume, pending.created, aside))
    script = "cd /data && mkdir -m 700 .scaffold-out && chown 999:999 .scaffold-out"
    script += " && mv PG_VERSION .scaffold-out/"
    if state != "marker moved":
        script += " && mv [!.]* .scaffold-out/"
    if state == "half copied":
        script += " && cp -a .scaffold-out/base .scaffold-out/PG_VERSION /aside/"
    if state == "half removed":
        script += " && cp -a .scaffold-out/. /aside/ && rm -r .scaffold-out/base .scaffold-out/PG_VERSION"
    engine.api.create_volume(aside, labels={names.ASIDE: volume(shop)})
    mounts = ("--volume", f"{volume(shop)}:/data", "--volume", f"{aside}:/aside")
    docker_("run", "--rm", *mounts, "--user", "0", "--entrypoint", "sh", "postgres:17", "-c", script)

    done = shop.scaffold("run")
    assert aside_of(shop, done.err) == aside
    assert digest(aside, version) == before
    assert sql(db(shop), "select count(*) from schema_of_ours") == "0"


def _created(engine: docker.DockerClient, project: Project) -> datetime:
    from scaffold.engine.answers import moment

    return moment(engine.api.inspect_volume(volume(project))["CreatedAt"])


def test_helper_that_a_killed_command_left_is_removed_and_keeps_nothing_in_use(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    left = docker_(
        *("run", "--detach", "--label", f"{names.HELPER}={shop.name}", "--network", "none"),
        *("--volume", f"{volume(shop)}:/volume", "--entrypoint", "sleep", f"postgres:{version}", "600"),
    )
    # A command that only looks leaves it where it is.
    shop.scaffold("plan")
    assert left in helpers(engine, shop)
    aside_of(shop, shop.scaffold("run").err)
    assert helpers(engine, shop) == []


# ── what is left as it is ───────────────────────────────────────────────────────────────────────────────


def test_without_the_file_it_is_left_as_it_is_and_both_ways_on_are_named(shop: Project, version: str) -> None:
    cut_short(shop)
    first_starts.forget(volume(shop))
    # The server would start on it: what a person did to the files is what keeps it from that.
    docker_(*_root_shell(shop, version, "rm global/pg_control"))
    before = digest(root(shop, version), version)
    assert "set aside" not in shop.scaffold("plan").out
    refused = shop.scaffold("run", code=1)
    said = " ".join(refused.err.split())
    assert volume(shop) in said
    assert f"docker volume rm {volume(shop)}" in said
    assert "docker run --rm -it" in said
    assert _files(before) <= _files(digest(root(shop, version), version))


def _files(text: str) -> set[str]:
    return {
        line for line in text.splitlines() if re.match("[0-9a-f]{64}  ", line) and "postmaster" not in line
    }


def _root_shell(project: Project, version: str, script: str) -> tuple[str, ...]:
    store, _, folder = root(project, version).partition(":")
    words = ("run", "--rm", "--network", "none", "--user", "0", "--volume", f"{store}:/data")
    return (*words, "--entrypoint", "sh", f"postgres:{version}", "-c", f"cd /data/{folder} && {script}")


def test_colleagues_docker_start_makes_it_a_database(shop: Project, version: str) -> None:
    cut_short(shop)
    docker_("start", db(shop))
    until(lambda: answers(db(shop)), "the database answers")
    sql(db(shop), ROWS)
    docker_("kill", db(shop))
    done = shop.scaffold("run")
    assert "aside" not in done.err
    assert sql(db(shop), "select count(*) from kept") == "1000"


@pytest.mark.parametrize("scripts", [True, False])
def test_rows_of_a_server_on_its_socket_only_are_kept(shop: Project, version: str, *, scripts: bool) -> None:
    """Its command line is that of the server of the initialisation, or of a temporary one at each start."""
    cut_short(shop)
    with server(shop, version, root(shop, version), "-c", "listen_addresses=", "-p", "5432") as by_hand:
        sql(by_hand, ROWS)
        docker_("kill", by_hand)
    if not scripts:
        text = (shop.folder / "compose.yaml").read_text()
        text = text.replace("      - ./init:/docker-entrypoint-initdb.d:ro\n", "")
        (shop.folder / "compose.yaml").write_text(text)
    done = shop.scaffold("run")
    if scripts:
        with server(shop, version, aside_of(shop, done.err)) as by_hand:
            assert sql(by_hand, "select count(*) from kept") == "1000"
    else:
        assert "left as it is" in " ".join(done.err.split())
        assert sql(db(shop), "select count(*) from kept") == "1000"


def test_service_that_may_be_reached_without_a_network_is_left_as_it_is(shop: Project, version: str) -> None:
    cut_short(shop)
    text = (shop.folder / "compose.yaml").read_text()
    text = text.replace("    ports:", '    command: ["postgres", "-c", "listen_addresses=*"]\n    ports:')
    (shop.folder / "compose.yaml").write_text(text)
    before = digest(root(shop, version), version)
    assert "set aside" not in shop.scaffold("plan").out
    assert digest(root(shop, version), version) == before


def test_volume_on_which_somebodys_server_works_is_left_as_it_is(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    with server(shop, version, root(shop, version)) as by_hand:
        for command in ("plan", "run"):
            assert by_hand in shop.scaffold(command, code=2).err
        assert engine.containers.get(by_hand).status == "running"
    assert "PG_VERSION" in digest(root(shop, version), version)


def test_volume_on_which_somebody_works_is_left_as_it_is(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    work = engine.containers.run(
        f"postgres:{version}",
        ["sleep", "infinity"],
        name=f"{shop.name}-backup",
        detach=True,
        init=True,
        volumes=[f"{volume(shop)}:/backup"],
    )
    try:
        planned = shop.scaffold("plan")
        assert "set aside" not in planned.out
        assert f"container {work.name} works on it" in " ".join(planned.err.split())
    finally:
        work.remove(force=True)


@pytest.mark.parametrize(
    ("script", "doubt"),
    [
        ("mkdir uploads && for n in $(seq 1000); do echo $n >uploads/$n; done", "uploads"),
        ("ln PG_VERSION base/copy", "hard link"),
        ("ln -s /elsewhere pg_tblspc/16500", "pg_tblspc/16500"),
        ("cp PG_VERSION backup_label", "backup_label"),
        ("rm postmaster.opts && echo row >base/1/16400", "base/1/16400"),
    ],
)
def test_every_doubt_leaves_it_as_it_is(shop: Project, version: str, script: str, doubt: str) -> None:
    cut_short(shop)
    docker_(*_root_shell(shop, version, script))
    before = digest(root(shop, version), version)
    planned = shop.scaffold("plan")
    assert "set aside" not in planned.out
    assert doubt in planned.err
    assert "left as it is" in " ".join(planned.err.split())
    assert digest(root(shop, version), version) == before


def test_cold_copy_in_a_volume_that_this_project_did_not_fill_is_kept(shop: Project, version: str) -> None:
    """It has no postmaster.opts and no table, but roles; and its first start is none of this project's."""
    open_gate(shop)
    shop.scaffold("run")
    sql(db(shop), "create role somebody")
    shop.scaffold("down")
    docker_(*_root_shell(shop, version, "rm -f postmaster.opts"))
    shop.scaffold("run")
    assert sql(db(shop), "select count(*) from pg_roles where rolname = 'somebody'") == "1"


def test_volume_of_the_same_name_that_was_made_later_is_another_one(
    engine: docker.DockerClient, shop: Project, version: str
) -> None:
    cut_short(shop)
    labels = engine.api.inspect_volume(volume(shop))["Labels"]
    docker_("rm", "--force", db(shop))
    content = ("run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "sh")
    copied = f"{shop.name}-copied"
    mounts = ("--volume", f"{volume(shop)}:/old:ro", "--volume", f"{copied}:/new")
    docker_(*content, *mounts, f"postgres:{version}", "-c", "cp -a /old/. /new/")
    docker_("volume", "rm", volume(shop))
    time.sleep(1.1)  # the engine gives whole seconds
    engine.api.create_volume(volume(shop), labels=labels)
    mounts = ("--volume", f"{copied}:/old:ro", "--volume", f"{volume(shop)}:/new")
    docker_(*content, *mounts, f"postgres:{version}", "-c", "cp -a /old/. /new/")
    assert "set aside" not in shop.scaffold("plan").out


@pytest.mark.parametrize("version", ["18"], indirect=True)
def test_part_of_a_volume_is_left_as_it_is(shop: Project, version: str) -> None:
    text = (shop.folder / "compose.yaml").read_text()
    part = "{type: volume, source: db-data, target: /var/lib/postgresql, volume: {subpath: part}}"
    (shop.folder / "compose.yaml").write_text(text.replace("db-data:/var/lib/postgresql", part))
    shop.scaffold("run", code=1)  # the folder has to be there
    script = (
        "mkdir -p part && chown 999 part && mkdir others && for n in $(seq 1000); do echo $n >others/$n; done"
    )
    words = ("run", "--rm", "--user", "0", "--volume", f"{volume(shop)}:/data", "--entrypoint", "sh")
    docker_(*words, "postgres:18", "-c", f"cd /data && {script}")
    cut_short(shop)
    planned = shop.scaffold("plan")
    assert "set aside" not in planned.out
    assert "only a part of it is mounted" in " ".join(planned.err.split())
    count = docker_(*words, "postgres:18", "-c", "ls /data/others | wc -l")
    assert count == "1000"
