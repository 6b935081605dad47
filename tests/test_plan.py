"""Plans as golden text: what is there, what is wanted, and every step in between with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scaffold.errors import ProjectError
from scaffold.stack import desired as wish
from scaffold.stack import names
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Container, Image, Network, Observed, Volume
from scaffold.stack.plan import Plan, Wishes, line, plan, stop, teardown
from scaffold.stack.requests.labelled import container_request
from scaffold.stack.steps import CreateContainer, Impact

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = datetime(2026, 1, 2, tzinfo=UTC)

DB = {
    "image": "postgres:18",
    "environment": {"POSTGRES_PASSWORD": "s3cret-value"},
    "networks": {"backend": None},
    "volumes": [{"type": "volume", "source": "db-data", "target": "/var/lib/postgresql", "volume": {}}],
}
MIGRATE = {
    "image": "p-app",
    "command": ["migrate"],
    "networks": {"backend": None},
    "depends_on": {"db": {"condition": "service_healthy", "required": True}},
}
APP: Any = {
    "image": "p-app",
    "build": {"context": "/project", "dockerfile": "Dockerfile"},
    "environment": {"LOG_LEVEL": "info"},
    "networks": {"backend": None},
    "ports": [{"target": 8000, "published": "8000", "host_ip": "127.0.0.1", "protocol": "tcp"}],
    "depends_on": {
        "db": {"condition": "service_healthy", "required": True},
        "migrate": {"condition": "service_completed_successfully", "required": True},
    },
}
DOCUMENT = {
    "name": "p",
    "services": {"app": APP, "db": DB, "migrate": MIGRATE},
    "networks": {"backend": {"name": "p_backend", "ipam": {}}},
    "volumes": {"db-data": {"name": "p_db-data"}},
}


def read(document: Mapping[str, object] = DOCUMENT, digest: str = "one", **services: object) -> Desired:
    known: Any = document["services"]
    merged = {key: value for key, value in {**known, **services}.items() if value is not None}
    found = wish.read({**document, "services": merged}, "/project")
    return found.with_builds(
        {item.name: replace(item.build, digest=digest) for item in found.services if item.build}
    )


def running(desired: Desired) -> Observed:
    """What the engine holds once a plan for `desired` has been carried out."""
    containers = []
    for service in desired.services:
        request: Any = container_request(desired, service, 1)
        containers.append(
            Container(
                id=f"id-{service.name}",
                name=wish.container_name(desired, service, 1),
                state="exited" if service.one_shot else "running",
                image=service.image,
                image_id=f"sha256:{service.image}",
                labels=request["Labels"],
                created=LATE,
                started=LATE,
                networks=service.networks,
                network_ids=tuple(f"id-{name}" for name in service.networks),
                body={"Config": request, "HostConfig": request["HostConfig"]},
            )
        )
    labels = {names.PROJECT: desired.project}
    return Observed(
        containers=tuple(containers),
        networks=tuple(
            Network(item.name, f"id-{item.name}", labels | {names.DIGEST: item.digest})
            for item in desired.networks
        ),
        volumes=tuple(Volume(item.name, EARLY, labels) for item in desired.volumes),
        images={
            item.image: Image(
                item.image,
                f"sha256:{item.image}",
                {},
                EARLY,
                digest=item.build.digest if item.build else "",
            )
            for item in sorted(desired.services, key=lambda item: item.build is not None)
        },
    )


def golden(*lines: str) -> str:
    return "\n".join(lines)


def change(observed: Observed, service: str, **fields: object) -> Observed:
    return replace(
        observed,
        containers=tuple(
            replace(item, **fields) if item.service == service else item  # type: ignore[arg-type]
            for item in observed.containers
        ),
    )


def without(observed: Observed, service: str) -> Observed:
    return replace(
        observed, containers=tuple(item for item in observed.containers if item.service != service)
    )


def test_first_start_makes_everything_in_order() -> None:
    assert str(plan(read(), Observed())) == golden(
        "build image p-app: not built yet",
        "pull image postgres:18: not on this engine",
        "create network p_backend: not there yet",
        "create volume p_db-data: not there yet",
        "create container p-db-1: not there yet",
        "start container p-db-1: not there yet",
        "prove service db: started",
        "create container p-migrate-1: not there yet",
        "start container p-migrate-1: not there yet",
        "complete service migrate: started",
        "create container p-app-1: not there yet",
        "start container p-app-1: not there yet",
        "prove service app: started",
    )


def test_unchanged_project_plans_nothing() -> None:
    assert str(plan(read(), running(read()))) == ""


def test_changed_source_touches_only_the_image_and_its_containers() -> None:
    assert str(plan(read(digest="two"), running(read()))) == golden(
        "build image p-app: build arguments, target or base image changed",
        "stop container p-app-1: image p-app is built anew [recreate]",
        "remove container p-app-1: image p-app is built anew [recreate]",
        "remove container p-migrate-1: image p-app is built anew [recreate]",
        "prove service db: what depends on it starts",
        "create container p-migrate-1: image p-app is built anew",
        "start container p-migrate-1: image p-app is built anew",
        "complete service migrate: started",
        "create container p-app-1: image p-app is built anew",
        "start container p-app-1: image p-app is built anew",
        "prove service app: started",
    )


def test_old_container_stays_until_the_new_image_is_there() -> None:
    steps = plan(read(digest="two"), running(read())).steps
    assert 0 in steps[1].after


def test_changed_files_are_named() -> None:
    before = running(read())
    image = replace(before.images["p-app"], context={"a.py": "1", "b.py": "1", "gone.py": "1"})
    wanted = read(digest="two")
    (app,) = (item for item in wanted.services if item.name == "app")
    assert app.build is not None
    build = replace(app.build, files={"a.py": "2", "b.py": "1", "new.py": "1"})
    lines = str(
        plan(wanted.with_builds({"app": build}), replace(before, images={**before.images, "p-app": image}))
    )
    assert lines.splitlines()[0] == "build image p-app: context changed (3 files: a.py, gone.py, new.py)"


def test_changed_variable_is_shown_old_and_new() -> None:
    wanted = read(app={**APP, "environment": {"LOG_LEVEL": "debug"}})
    assert str(plan(wanted, running(read()))) == golden(
        "stop container p-app-1: environment LOG_LEVEL: info → debug [recreate]",
        "remove container p-app-1: environment LOG_LEVEL: info → debug [recreate]",
        "prove service db: what depends on it starts",
        "complete service migrate: what depends on it starts",
        "create container p-app-1: environment LOG_LEVEL: info → debug",
        "start container p-app-1: environment LOG_LEVEL: info → debug",
        "prove service app: started",
    )


def waits(found: Plan, later: str) -> set[str]:
    """The steps that one waits for, directly or not, as words."""
    lines = [line(item.step) for item in found.steps]
    queue = [index for index, text in enumerate(lines) if text.startswith(later)]
    assert queue, lines
    seen: set[int] = set()
    while queue:
        for index in found.steps[queue.pop()].after:
            if index not in seen:
                seen.add(index)
                queue.append(index)
    return {lines[index].partition(":")[0] for index in seen}


@pytest.mark.parametrize("state", ["exited", "running"])
def test_app_waits_for_the_database_behind_its_migration(state: str) -> None:
    app = {**APP, "depends_on": {"migrate": APP["depends_on"]["migrate"]}}
    desired = read(app=app)
    there = change(change(running(desired), "app", state="exited"), "db", state=state)
    expected = {"prove service db", "complete service migrate"}
    expected |= {"start container p-db-1"} if state == "exited" else set()
    assert waits(plan(desired, there), "start container p-app-1") == expected


def test_interrupted_replacement_goes_before_the_next_one_takes_its_name() -> None:
    desired = read(migrate=None, app=None)
    before = running(desired)
    (db,) = before.containers
    db = replace(db, state="created", anonymous=(("a" * 64, "/stash"),), volumes=("a" * 64,))
    aside = replace(db, name=names.set_aside(db.name), id="id-aside", state="exited")
    wanted = read(migrate=None, app=None, db={**DB, "tty": True})
    found = plan(wanted, replace(before, containers=(db, aside)))
    assert "remove container p-db-1-replaced" in waits(found, "set aside container p-db-1")


def test_running_container_without_its_network_is_replaced() -> None:
    there = running(read())
    off = change(there, "app", networks=(), network_ids=())
    assert "create container p-app-1: not connected to network p_backend" in str(plan(read(), off))
    fresh = change(there, "app", networks=(), network_ids=(), state="created")
    assert "start container p-app-1: created but never started" in str(plan(read(), fresh))


def test_what_is_declared_external_is_never_removed() -> None:
    there = running(read())
    outside: Any = {
        **DOCUMENT,
        "networks": {"backend": {"name": "p_backend", "external": True}},
        "volumes": {"db-data": {"name": "p_db-data", "external": True}},
    }
    text = str(teardown(read(outside), there, "destroy", volumes=["p_db-data"]))
    assert "volume" not in text
    assert "network" not in text


def test_password_of_one_service_is_hidden_in_another() -> None:
    def project(password: str) -> Desired:
        url = f"postgresql://app:{password}@db/app"
        app = {**APP, "environment": {"DATABASE_URL": url}, "command": ["serve", password]}
        return read(app=app, db={**DB, "environment": {"POSTGRES_PASSWORD": password}})

    text = str(plan(project("a new pass phrase"), running(project("an old pass phrase"))))
    assert "environment DATABASE_URL" in text
    assert "phrase" not in text


def test_secret_values_are_masked() -> None:
    wanted = read(db={**DB, "environment": {"POSTGRES_PASSWORD": "other"}})
    text = str(plan(wanted, running(read())))
    assert "environment POSTGRES_PASSWORD: changed" in text
    assert "s3cret-value" not in text
    assert "other" not in text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": "exited", "exit_code": 3}, "start container p-app-1: stopped (exit code 3)"),
        ({"state": "created"}, "start container p-app-1: created but never started"),
        ({"state": "paused"}, "unpause container p-app-1: paused"),
    ],
)
def test_container_that_does_not_run_is_started(fields: dict[str, Any], expected: str) -> None:
    assert expected in str(plan(read(), change(running(read()), "app", **fields))).splitlines()


def test_crash_loop_is_stopped_and_started() -> None:
    lines = str(plan(read(), change(running(read()), "app", state="restarting", exit_code=1))).splitlines()
    assert "stop container p-app-1: restarting again and again (exit code 1) [restart]" in lines
    assert "start container p-app-1: restarting again and again (exit code 1)" in lines


def test_one_shot_is_repeated_after_a_failure() -> None:
    lines = str(plan(read(), change(running(read()), "migrate", exit_code=1)))
    assert "create container p-migrate-1: its last run failed (exit code 1)" in lines
    assert "p-app-1" not in lines


def test_one_shot_is_repeated_on_a_newer_volume() -> None:
    before = running(read())
    newer = tuple(replace(volume, created=datetime(2026, 1, 3, tzinfo=UTC)) for volume in before.volumes)
    assert "volume p_db-data is newer than its last run" in str(plan(read(), replace(before, volumes=newer)))


def test_removed_service_is_an_orphan() -> None:
    worker = {"image": "p-app", "networks": {"backend": None}}
    before = running(read(worker=worker))
    assert str(plan(read(), before)) == golden(
        "stop container p-worker-1: its service is no longer in compose.yaml [remove]",
        "remove container p-worker-1: its service is no longer in compose.yaml [remove]",
    )


def test_service_of_an_inactive_profile_is_left_alone() -> None:
    worker = {"image": "p-app", "networks": {"backend": None}}
    before = running(read(worker=worker))
    assert str(plan(read(worker={**worker, "profiles": ["tools"]}), before)) == ""


def test_one_off_container_is_nobodys_business() -> None:
    before = running(read())
    one_off = replace(
        before.containers[0], name="p-app-run-1", labels={names.SERVICE: "x", names.ONE_OFF: "True"}
    )
    assert str(plan(read(), replace(before, containers=(*before.containers, one_off)))) == ""


def test_changed_network_replaces_its_containers_dependents_first() -> None:
    wanted = read({**DOCUMENT, "networks": {"backend": {"name": "p_backend", "internal": True}}})
    steps = str(plan(wanted, running(read()))).splitlines()
    assert steps[:6] == [
        "stop container p-app-1: network p_backend is recreated [recreate]",
        "remove container p-app-1: network p_backend is recreated [recreate]",
        "remove container p-migrate-1: network p_backend is recreated [recreate]",
        "stop container p-db-1: network p_backend is recreated [recreate]",
        "remove container p-db-1: network p_backend is recreated [recreate]",
        "remove network p_backend: internal: false → true [recreate]",
    ]
    assert steps[6] == "create network p_backend: internal: false → true"


def test_changed_volume_is_never_recreated() -> None:
    wanted = read(
        {
            **DOCUMENT,
            "volumes": {
                "db-data": {"name": "p_db-data", "labels": {"new": "label"}, "driver_opts": {"a": "b"}}
            },
        }
    )
    assert str(plan(wanted, running(read()))) == ""


def test_new_container_takes_over_anonymous_volumes_before_the_old_one_goes() -> None:
    nameless = read(db={**DB, "volumes": []}, app=None, migrate=None)
    wanted = read(db={**DB, "volumes": [], "tty": True}, app=None, migrate=None)
    before = change(running(nameless), "db", anonymous=(("0123456789abcdef" * 4, "/var/lib/postgresql"),))
    assert str(plan(wanted, before)).replace("tty: (not set) → True", "tty") == golden(
        "stop container p-db-1: tty [recreate]",
        "set aside container p-db-1: tty [recreate]",
        "create container p-db-1: tty",
        "remove container p-db-1-replaced: tty [recreate]",
        "start container p-db-1: tty",
        "prove service db: started",
    )
    gone = "volume 0123456789ab (/var/lib/postgresql), which nothing will use again"
    assert gone in str(teardown(nameless, before, "down"))


def test_interrupted_replacement_goes_on_with_the_same_volumes() -> None:
    wanted = read(db={**DB, "volumes": []}, app=None, migrate=None)
    keeps = (("0123456789abcdef" * 4, "/var/lib/postgresql"),)
    cut = change(running(wanted), "db", name="p-db-1-replaced", state="exited", anonymous=keeps)
    made = plan(wanted, cut)
    assert str(made).splitlines()[:2] == [
        "create container p-db-1: its replacement was interrupted",
        "remove container p-db-1-replaced: its replacement was interrupted [recreate]",
    ]
    assert [step.keeps for step in made.changes if isinstance(step, CreateContainer)] == [keeps]


def test_container_follows_the_one_whose_network_it_uses() -> None:
    proxy = {"image": "x", "network_mode": "service:db", "depends_on": {"db": {"restart": True}}}
    before = running(read(app=None, migrate=None, proxy=proxy))
    wanted = read(app=None, migrate=None, proxy=proxy, db={**DB, "tty": True})
    reason = "it uses namespaces of db, which is recreated"
    lines = str(plan(wanted, before)).splitlines()
    assert lines.index(f"remove container p-proxy-1: {reason} [recreate]") < lines.index(
        "remove container p-db-1: tty: (not set) → True [recreate]"
    )
    assert f"create container p-proxy-1: {reason}" in lines


def test_foreign_network_is_refused() -> None:
    before = running(read())
    foreign = tuple(replace(item, labels={}) for item in before.networks)
    with pytest.raises(ProjectError, match="belongs to somebody else"):
        plan(read(), replace(before, networks=foreign))


def test_missing_external_volume_is_refused() -> None:
    wanted = read({**DOCUMENT, "volumes": {"db-data": {"name": "theirs", "external": True}}})
    with pytest.raises(ProjectError, match="external volume theirs does not exist"):
        plan(wanted, Observed())


def test_recreate_replaces_every_container() -> None:
    steps = plan(read(), running(read()), Wishes(recreate=True)).changes
    assert {step.reason for step in steps} == {"asked for by --recreate"}
    assert len(steps) == 3 + 2 + 6  # three removals, two of them running, three creations and starts


def test_restart_follows_a_replaced_dependency() -> None:
    needs = {"db": {"condition": "service_healthy", "required": True, "restart": True}}
    before = read(app={**APP, "depends_on": needs})
    wanted = read(
        app={**APP, "depends_on": needs}, db={**DB, "environment": {"POSTGRES_PASSWORD": "x", "A": "b"}}
    )
    lines = str(plan(wanted, running(before))).splitlines()
    assert lines.index("stop container p-app-1: db restarts [restart]") < lines.index(
        "start container p-app-1: db restarts"
    )


def test_fewer_replicas_remove_the_surplus() -> None:
    before = running(read())
    second = replace(
        before.containers[0], name="p-app-2", labels={**before.containers[0].labels, names.NUMBER: "2"}
    )
    lines = str(plan(read(), replace(before, containers=(*before.containers, second))))
    assert lines.splitlines() == [
        "stop container p-app-2: scaled down to 1 [remove]",
        "remove container p-app-2: scaled down to 1 [remove]",
    ]


def test_down_removes_dependents_first_and_keeps_data() -> None:
    steps = teardown(read(), running(read()), "down")
    assert str(steps) == golden(
        "stop container p-app-1: down [remove]",
        "remove container p-app-1: down [remove]",
        "remove container p-migrate-1: down [remove]",
        "stop container p-db-1: down [remove]",
        "remove container p-db-1: down [remove]",
        "remove network p_backend: down",
    )
    assert not steps.data_steps


def test_only_named_volumes_of_the_project_are_removed() -> None:
    before = running(read())
    foreign = Volume("other", EARLY, {names.PROJECT: "q"})
    steps = teardown(
        read(), replace(before, volumes=(*before.volumes, foreign)), "destroy", volumes=["p_db-data", "other"]
    )
    assert [step for step in steps.changes if step.impact is Impact.DATA] == list(steps.data_steps)
    assert [str(step.name) for step in steps.data_steps if hasattr(step, "name")] == ["p_db-data"]


def test_stop_leaves_what_does_not_run() -> None:
    assert str(stop(read(), running(read()))) == golden(
        "stop container p-app-1: stop [restart]", "stop container p-db-1: stop [restart]"
    )


def test_every_step_waits_only_for_earlier_ones() -> None:
    every = (
        plan(read(), Observed()),
        plan(read(digest="two"), running(read())),
        teardown(read(), running(read()), "x"),
    )
    for made in every:
        assert _is_ordered(made)


def _is_ordered(made: Plan) -> bool:
    return all(index > before for index, item in enumerate(made.steps) for before in item.after)


def test_unknown_key_is_refused_with_its_path() -> None:
    with pytest.raises(ProjectError, match=r"services\.app\.links: scaffold cannot honour this key"):
        read(app={**APP, "links": ["db"]})


def test_dependency_circle_is_refused() -> None:
    a = {"image": "x", "depends_on": {"b": {"condition": "service_started"}}}
    b = {"image": "x", "depends_on": {"a": {"condition": "service_started"}}}
    with pytest.raises(ProjectError, match="form a circle"):
        wish.read({"name": "p", "services": {"a": a, "b": b}}, "/project")
