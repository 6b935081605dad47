"""Whether a migration that is done has to run again once its container is gone, without an engine."""

from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.errors import ProjectError
from scaffold.project import completions
from scaffold.project.checkout import Checkout
from scaffold.stack import names, once
from scaffold.stack.desired import Desired
from scaffold.stack.observed import Completion, Observed
from scaffold.stack.plan import NOTHING_MORE, Wishes, line, plan
from scaffold.stack.status import status
from tests.test_plan import APP, DB, LATE, MIGRATE, change, read, running

ONCE = {**MIGRATE, "labels": {names.ONCE: "volume"}}


def taken_down(before: Observed, desired: Desired) -> Observed:
    """What is left after `down`: no container and no network, but what was remembered."""
    return replace(before, containers=(), networks=(), completions=once.remains(desired, before))


def repeats(desired: Desired, observed: Observed, wishes: Wishes = NOTHING_MORE) -> bool:
    return "complete service migrate" in str(plan(desired, observed, wishes))


@pytest.fixture
def desired() -> Desired:
    return read(migrate=ONCE)


@pytest.fixture
def left(desired: Desired) -> Observed:
    return taken_down(running(desired), desired)


def test_done_migration_is_not_repeated_after_down(desired: Desired, left: Observed) -> None:
    found = plan(desired, left)
    assert "migrate" not in str(found)
    assert [str(item.step.reason) for item in found.steps].count("started") == 2, (
        "database and app are proven"
    )


def test_without_the_label_it_is_repeated() -> None:
    usual = read()
    left = taken_down(running(usual), usual)
    assert left.completions == ()
    assert repeats(usual, left)


@pytest.mark.parametrize("wishes", [Wishes(recreate=True), Wishes(build=True)], ids=["--recreate", "--build"])
def test_it_is_repeated_when_asked_for(desired: Desired, left: Observed, wishes: Wishes) -> None:
    assert repeats(desired, left, wishes)


def test_another_configuration_repeats_it(left: Observed) -> None:
    assert repeats(read(migrate={**ONCE, "environment": {"TO": "head"}}), left)


def test_another_image_repeats_it(desired: Desired, left: Observed) -> None:
    rebuilt = replace(left.images["p-app"], id="sha256:another")
    assert repeats(desired, replace(left, images={**left.images, "p-app": rebuilt}))
    assert repeats(read(migrate=ONCE, digest="two"), left), "an image that is about to be built"


def test_another_volume_repeats_it(desired: Desired, left: Observed) -> None:
    newer = tuple(replace(item, created=LATE) for item in left.volumes)
    assert repeats(desired, replace(left, volumes=newer))
    assert repeats(desired, replace(left, volumes=()))


def test_a_volume_more_repeats_it(left: Observed) -> None:
    mount = {"type": "volume", "source": "db-data", "target": "/more", "volume": {}}
    assert not repeats(read(migrate=ONCE, app={**APP, "volumes": [mount]}), left), "the app is not behind it"
    assert repeats(read(migrate={**ONCE, "volumes": [mount]}), left)


def test_another_database_repeats_it(desired: Desired, left: Observed) -> None:
    assert repeats(
        read(migrate=ONCE, db={**DB, "environment": {"PGDATA": "/var/lib/postgresql/other"}}), left
    )
    newer = replace(left.images["postgres:18"], id="sha256:another")
    assert repeats(desired, replace(left, images={**left.images, "postgres:18": newer}))
    older = change(running(desired), "db", image_id="sha256:older")
    assert repeats(desired, taken_down(older, desired)), "it ran against a database of another image"


def test_files_of_this_machine_repeat_it() -> None:
    mount = {"type": "bind", "source": "/project/sql", "target": "/sql", "bind": {}}
    desired = read(migrate={**ONCE, "volumes": [mount]})
    assert taken_down(running(desired), desired).completions == ()


def test_rows_in_a_volume_without_a_name_repeat_it(desired: Desired) -> None:
    there = change(running(desired), "db", anonymous=(("a" * 64, "/data"),))
    assert once.remains(desired, there) == ()
    scratch = change(running(desired), "migrate", anonymous=(("a" * 64, "/tmp"),))
    assert once.remains(desired, scratch) != (), "its own scratch space is nobody's data"


def test_label_makes_it_a_one_shot_even_when_nobody_waits() -> None:
    app = {**APP, "depends_on": {}}
    desired = read(migrate=ONCE, app=app)
    assert desired.service("migrate").one_shot
    assert not repeats(desired, taken_down(running(desired), desired))


def test_app_waits_for_the_database_behind_a_migration_that_is_done(desired: Desired) -> None:
    app = {**APP, "depends_on": {"migrate": APP["depends_on"]["migrate"]}}
    desired = read(migrate=ONCE, app=app)
    found = plan(desired, taken_down(running(desired), desired))
    steps = {str(line(item.step)).split(":")[0]: index for index, item in enumerate(found.steps)}
    start = found.steps[steps["start container p-app-1"]]
    assert steps["prove service db"] in start.after


def test_failed_or_unfinished_migration_is_not_remembered(desired: Desired) -> None:
    there = running(desired)
    for facts in ({"exit_code": 1}, {"state": "created"}, {"state": "running"}, {"state": "dead"}):
        assert once.remains(desired, change(there, "migrate", **facts)) == (), facts


def test_migration_of_an_older_database_is_not_remembered(desired: Desired) -> None:
    there = running(desired)
    newer = tuple(replace(item, created=LATE.replace(day=3)) for item in there.volumes)
    assert once.remains(desired, replace(there, volumes=newer)) == ()


def test_without_a_volume_nothing_is_remembered() -> None:
    database = {"image": "postgres:18", "networks": {"backend": None}}
    desired = read(migrate=ONCE, db=database)
    left = taken_down(running(desired), desired)
    assert left.completions == ()
    assert repeats(desired, left)


def test_it_is_remembered_over_several_downs(desired: Desired, left: Observed) -> None:
    there = running(desired)
    without = tuple(item for item in there.containers if item.service != "migrate")
    again = replace(there, containers=without, completions=left.completions)
    assert str(plan(desired, again)) == "", "nothing to do without its container"
    assert once.remains(desired, again) == left.completions


def test_status_says_that_it_is_completed(desired: Desired, left: Observed) -> None:
    states = {
        item.name: (item.state, item.container)
        for item in status(desired, left, plan(desired, left)).services
    }
    assert states == {"app": ("absent", None), "db": ("absent", None), "migrate": ("completed", None)}


def test_what_is_remembered_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    checkout = Checkout(tmp_path / "project", ())
    parts = (("db", "digest", "sha256:1"), ("migrate", "another", "sha256:2"))
    done = Completion("migrate", parts, (("p_db-data", LATE.isoformat()),))
    other = replace(done, service="seed")
    assert completions.read(checkout) == ()
    completions.write(checkout, (done, other))
    assert completions.read(checkout) == (done, other)
    assert completions.read(Checkout(tmp_path / "another", ())) == ()
    completions.forget(checkout, ["seed"])
    assert completions.read(checkout) == (done,)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '[{"service": "migrate"}]', "null"])
def test_file_that_cannot_be_read_means_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    checkout = Checkout(tmp_path / "project", ())
    completions.write(checkout, (Completion("migrate", (), (("v", ""),)),))
    file = next((tmp_path / "scaffold").glob("*.json"))
    file.write_text(text)
    assert completions.read(checkout) == ()


def test_unknown_value_of_the_label_is_refused() -> None:
    with pytest.raises(
        ProjectError, match=r"services.migrate.labels.dev.scaffold.once: `volume` is the only"
    ):
        read(migrate={**MIGRATE, "labels": {names.ONCE: "yes"}})
