"""Restarts, images asked for and cleaning up as golden text: the decisions, without an engine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scaffold.cli.completion import service_names
from scaffold.cli.everyday import when
from scaffold.engine.listing.events import event
from scaffold.engine.listing.usage import usage
from scaffold.errors import ProjectError, UsageError
from scaffold.stack import images, projects
from scaffold.stack import restart as restarting
from scaffold.stack.everyday import Event
from scaffold.stack.observed import Observed
from scaffold.stack.projects import Data, Project, Remains
from tests.test_plan import APP, DOCUMENT, read, running

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_restart_stops_dependents_first_and_starts_dependencies_first() -> None:
    desired = read()
    plan = restarting.restart(desired, running(desired))
    assert str(plan) == (
        "stop container p-app-1: restart [restart]\n"
        "stop container p-db-1: restart [restart]\n"
        "start container p-db-1: restart [restart]\n"
        "prove service db: restarted\n"
        "start container p-app-1: restart [restart]\n"
        "prove service app: restarted"
    )
    assert [item.after for item in plan.steps] == [(), (0,), (1,), (2,), (0, 3), (4,)]


def test_restart_of_one_service_leaves_the_others_alone() -> None:
    desired = read()
    plan = restarting.restart(desired, running(desired), ["db"])
    assert {name for name in ("p-app-1", "p-migrate-1") if name in str(plan)} == set()


def test_a_service_with_restart_true_follows_its_dependency() -> None:
    follows = {
        **APP,
        "depends_on": {"db": {"condition": "service_healthy", "required": True, "restart": True}},
    }
    desired = read(app=follows)
    plan = restarting.restart(desired, running(desired), ["db"])
    assert "start container p-app-1: restart" in str(plan)


def test_a_one_shot_runs_again_only_when_it_is_named() -> None:
    desired = read()
    assert "migrate" not in str(restarting.restart(desired, running(desired)))
    assert str(restarting.restart(desired, running(desired), ["migrate"])) == (
        "start container p-migrate-1: restart [restart]\ncomplete service migrate: restarted"
    )


def test_restart_makes_no_container() -> None:
    assert str(restarting.restart(read(), Observed())) == ""


def test_unknown_service_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ProjectError) as error:
        restarting.restart(read(), Observed(), ["nope"])
    assert error.value.hint == "Services: app, db, migrate."


def test_build_is_asked_for_although_nothing_changed() -> None:
    plan = images.build(read(), None, no_cache=True, pull=True)
    assert str(plan) == "build image p-app: asked for"


def test_pull_leaves_out_what_is_built_here() -> None:
    assert str(images.pull(read(), None)) == "pull image postgres:18: asked for"


def test_pull_respects_the_policy_never() -> None:
    local = {"image": "only-here:1", "pull_policy": "never"}
    assert "only-here" not in str(images.pull(read(local=local), None))
    with pytest.raises(ProjectError, match="pull_policy is never"):
        images.pull(read(local=local), "local")


def test_pull_and_build_point_to_each_other() -> None:
    with pytest.raises(UsageError) as error:
        images.pull(read(), "app")
    assert "scaffold build app --pull" in str(error.value.hint)
    with pytest.raises(UsageError) as error:
        images.build(read(), "db", no_cache=False, pull=False)
    assert "scaffold pull db" in str(error.value.hint)


def left_behind() -> Remains:
    desired = read()
    project = Project(
        "p",
        "/gone",
        ours=True,
        gone=True,
        state="running",
        images=("p-app",),
        volumes=(Data("p_db-data", 1),),
    )
    observed = running(desired)
    volume = replace(observed.volumes[0], name="p_db-data")
    return Remains(project, replace(observed, volumes=(volume,)))


def test_cleaning_removes_all_but_the_data() -> None:
    steps = str(projects.cleaning([left_behind()])).splitlines()
    assert "remove container p-app-1: /gone no longer exists [remove]" in steps
    assert "remove network p_backend: /gone no longer exists" in steps
    assert "remove image p-app: /gone no longer exists" in steps
    assert [line for line in steps if "volume" in line] == []


def test_cleaning_deletes_only_the_data_that_is_named() -> None:
    plan = projects.cleaning([left_behind()], ["p_db-data", "somebody_elses"])
    assert [line for line in str(plan).splitlines() if "volume" in line] == [
        "remove volume p_db-data: /gone no longer exists [data]"
    ]


def test_steps_of_several_projects_wait_only_for_their_own() -> None:
    once, twice = projects.cleaning([left_behind()]), projects.cleaning([left_behind(), left_behind()])
    count = len(once.steps)
    moved = [tuple(index + count for index in item.after) for item in once.steps]
    assert [item.after for item in twice.steps[count:]] == moved


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("services:\n  app:\n    image: x\n  db:\n    image: y\nvolumes:\n  data:\n", ["app", "db"]),
        (
            "# x\nservices: # all\n\n    'a-b':\n        ports:\n        - 80:80\n    \"c\": {image: x}\n",
            ["a-b", "c"],
        ),
        ("services: {app: {image: x}}\n", []),
        ("services:\n  app:\n    ima", ["app"]),
        ("", []),
        ("\x00\t- ][", []),
    ],
)
def test_service_names_are_read_without_a_parser(text: str, names: list[str]) -> None:
    assert service_names(text) == names


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOON - timedelta(seconds=30)),
        ("10m", NOON - timedelta(minutes=10)),
        ("2h", NOON - timedelta(hours=2)),
        ("1d", NOON - timedelta(days=1)),
        ("2026-11-24T11:00:00+00:00", NOON - timedelta(hours=1)),
    ],
)
def test_since_is_a_duration_or_a_time(text: str, moment: datetime) -> None:
    assert when(text, NOON) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "10", "10 m", "-5m"),
        *("999999d", "99999999999d", "9" * 5000 + "s", "0001-01-01T00:00:00+14:00"),
    ],
    ids=lambda text: text[:12],
)
def test_since_that_says_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a duration nor a time"):
        when(text, NOON)


def test_usage_counts_as_docker_stats_does() -> None:
    def reading(busy: int, system: int) -> dict[str, object]:
        return {
            "cpu_stats": {"cpu_usage": {"total_usage": busy}, "system_cpu_usage": system, "online_cpus": 2},
            "memory_stats": {"usage": 1000, "limit": 4000, "stats": {"inactive_file": 200}},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
            "blkio_stats": {
                "io_service_bytes_recursive": [{"op": "read", "value": 3}, {"op": "Write", "value": 4}]
            },
            "pids_stats": {"current": 5},
        }

    found = usage("app", "p-app-1", reading(0, 0), reading(50, 200))
    assert (found.cpu_percent, found.memory, found.memory_limit) == (50.0, 800, 4000)
    assert (found.received, found.sent, found.read, found.written, found.processes) == (11, 22, 3, 4, 5)


def test_running_container_without_figures_is_still_there() -> None:
    assert not usage("app", "p-app-1", {}, {}).measured


def test_events_of_other_projects_are_not_ours() -> None:
    desired = read(DOCUMENT)
    said = {
        "Type": "container",
        "Action": "die",
        "timeNano": int(NOON.timestamp()) * 10**9,
        "Actor": {
            "ID": "abc",
            "Attributes": {
                "name": "p-app-1",
                "exitCode": "137",
                "com.docker.compose.project": "p",
                "com.docker.compose.service": "app",
            },
        },
    }
    assert event(said, desired) == Event(NOON, "container", "die", "p-app-1", "app", 137)
    network = {
        **said,
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "1", "Attributes": {"name": "p_backend"}},
    }
    volume = {**said, "Type": "volume", "Action": "mount", "Actor": {"ID": "other_db-data", "Attributes": {}}}
    found = event(network, desired)
    assert found is not None
    assert found.name == "p_backend"
    assert event(volume, desired) is None
