"""What is printed where: golden texts for values, real terminals for what moves."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path

import pexpect
import pytest

from scaffold import console
from scaffold.console import plans, tables, terminal
from scaffold.console.tables import Column
from scaffold.console.terminal import Look
from scaffold.errors import Interrupted, ScaffoldError
from scaffold.stack.desired import Dependency, Network, Service, Volume
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.status import NetworkStatus, ServiceStatus, Status, Summary, VolumeStatus
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Impact,
    Prove,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    StopContainer,
)

ROOT = Path(__file__).parent.parent
PLAIN = Look()
ASCII = Look(unicode=False)
COLOUR = Look(colour=True)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

db = Service("db", "postgres:18", {})
migrate = Service("migrate", "demo-app", {}, one_shot=True)
app = Service("app", "demo-app", {}, depends_on=(Dependency("db"),))


def narrow(columns: int, *, colour: bool = False) -> Look:
    return Look(width=columns, colour=colour)


def planned(*steps: object) -> Plan:
    return Plan(tuple(Planned(step, (index - 1,) if index else ()) for index, step in enumerate(steps)))  # type: ignore[arg-type]


def golden(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


CHANGED = "environment LOG_LEVEL: info → debug; init: true → false"
FIRST_START = planned(
    CreateNetwork(Network("backend", "demo_backend"), "not there yet"),
    CreateVolume(Volume("db-data", "demo_db-data"), "not there yet"),
    BuildImage(app, "not built yet"),
    CreateContainer(db, 1, "demo-db-1", "not there yet"),
    StartContainer("demo-db-1", "not there yet"),
    Prove(db, ("demo-db-1",), "started"),
    CreateContainer(migrate, 1, "demo-migrate-1", "not there yet"),
    StartContainer("demo-migrate-1", "not there yet"),
    Prove(migrate, ("demo-migrate-1",), "started"),
)
CHANGE = planned(
    StopContainer("demo-app-1", 10, CHANGED, Impact.RECREATE),
    RemoveContainer("demo-app-1", CHANGED),
    StopContainer("demo-db-1", 10, "app restarts"),
    RemoveNetwork("demo_backend", "configuration changed", Impact.RECREATE),
    CreateNetwork(Network("backend", "demo_backend"), "configuration changed"),
    StartContainer("demo-db-1", "app restarts"),
    CreateContainer(app, 1, "demo-app-1", CHANGED),
    StartContainer("demo-app-1", CHANGED),
    Prove(app, ("demo-app-1",), "started"),
)


# Plans


def test_first_start_reads_as_one_line_for_each_thing() -> None:
    assert plans.text(FIRST_START, "demo", PLAIN) == golden("""
        + create network demo_backend: not there yet
        + create volume demo_db-data: not there yet
        + build image demo-app: not built yet
        + create container demo-db-1: not there yet
        ◦ wait until db is ready
        + create container demo-migrate-1: not there yet
        ◦ wait until migrate has completed
    """)


def test_steps_of_one_container_read_as_one_change_with_its_reason_and_impact() -> None:
    assert plans.text(CHANGE, "demo", PLAIN) == golden("""
        ~ recreate network demo_backend: configuration changed [recreate]
        ↻ restart container demo-db-1: app restarts [restart]
        ~ recreate container demo-app-1: environment LOG_LEVEL: info → debug; init: true → false [recreate]
        ◦ wait until app is ready
    """)


def test_reasons_stand_below_where_the_terminal_is_narrow() -> None:
    assert plans.text(CHANGE, "demo", narrow(44)) == golden("""
        ~ recreate network demo_backend [recreate]
            configuration changed
        ↻ restart container demo-db-1 [restart]
            app restarts
        ~ recreate container demo-app-1 [recreate]
            environment LOG_LEVEL: info → debug
            init: true → false
        ◦ wait until app is ready
    """)


@pytest.mark.parametrize("columns", [42, 50, 80])
def test_plan_stays_within_the_terminal(columns: int) -> None:
    lines = plans.text(CHANGE, "demo", narrow(columns)).splitlines()
    assert [line for line in lines if terminal.cells(line) > columns] == []


def test_removed_data_is_marked() -> None:
    plan = planned(RemoveVolume("demo_db-data", "destroy"))
    assert plans.text(plan, "demo", PLAIN) == "! remove volume demo_db-data: destroy [data]"
    assert "\x1b[1;31m[data]" in terminal.shown(plans.text(plan, "demo", COLOUR))


def test_different_reasons_are_different_changes() -> None:
    plan = planned(StopContainer("demo-db-1", 10, "stop"), StartContainer("demo-db-1", "start"))
    assert [change.label for change in plans.changes(plan)] == [
        "stop container demo-db-1",
        "start container demo-db-1",
    ]


def test_empty_plan_says_so() -> None:
    assert plans.text(Plan(), "demo", PLAIN) == "demo is up to date: nothing to do."


def test_plan_document_has_every_step() -> None:
    plan = planned(StartContainer("demo-db-1", "stopped"), Prove(db, ("demo-db-1",), "started"))
    assert console.encoded(plans.document(plan, "demo")) == {
        "project": "demo",
        "changes": 1,
        "steps": [
            {
                "verb": "start",
                "kind": "container",
                "name": "demo-db-1",
                "reason": "stopped",
                "impact": "none",
                "after": [],
            },
            {
                "verb": "prove",
                "kind": "service",
                "name": "db",
                "reason": "started",
                "impact": "none",
                "after": [0],
            },
        ],
    }


# Errors


BROKEN = ScaffoldError(
    "Port 5432 is already in use, needed by db.",
    "Stop the other process with `kill 4711`, or change services.db.ports.",
    evidence=("LISTEN 127.0.0.1:5432", "\x1b[31mpostgres\x1b[0m,\tpid 4711\r"),
)


def test_error_says_what_happened_what_shows_it_and_what_to_try() -> None:
    assert console.error_text(BROKEN, PLAIN) == golden("""
        error: Port 5432 is already in use, needed by db.
          │ LISTEN 127.0.0.1:5432
          │ postgres,   pid 4711
          → Stop the other process with `kill 4711`, or change services.db.ports.
    """)


def test_error_without_unicode() -> None:
    assert console.error_text(BROKEN, ASCII) == golden("""
        error: Port 5432 is already in use, needed by db.
          | LISTEN 127.0.0.1:5432
          | postgres,   pid 4711
          -> Stop the other process with `kill 4711`, or change services.db.ports.
    """)


def test_error_breaks_between_words_and_never_inside_a_command() -> None:
    assert console.error_text(BROKEN, narrow(34)) == golden("""
        error: Port 5432 is already in
        use, needed by db.
          │ LISTEN 127.0.0.1:5432
          │ postgres,   pid 4711
          → Stop the other process with
            `kill 4711`, or change
            services.db.ports.
    """)


def test_error_on_a_terminal_is_red_and_its_command_stands_out() -> None:
    text = terminal.shown(console.error_text(BROKEN, COLOUR))
    assert text.startswith("\x1b[1;31merror:\x1b[0m Port")
    assert "\x1b[36m`kill 4711`\x1b[0m" in text


def test_an_interruption_is_no_error() -> None:
    assert console.error_text(Interrupted("Stopped."), PLAIN) == "Stopped."


def test_error_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    console.error(BROKEN)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: Port 5432")


def test_error_of_a_json_command_is_also_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    console.error(ScaffoldError("Broken.", evidence=("line",)), as_json=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": {"message": "Broken.", "hint": None, "evidence": ["line"]}}
    assert err.startswith("error: Broken.")


# Results


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    name: Colour
    when: datetime
    path: Path
    sizes: tuple[int, ...] = (1, 2)
    words: frozenset[str] = frozenset({"b", "a"})
    nothing: None = None


def test_result_as_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    here = datetime(2026, 11, 24, 9, 0, 0, 120_000, tzinfo=timezone(timedelta(hours=2)))
    console.result(Thing(Colour.RED, here, Path("/x")), as_json=True, text="for people")
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "name": "red",
        "when": "2026-11-24T07:00:00.120Z",
        "path": "/x",
        "sizes": [1, 2],
        "words": ["a", "b"],
        "nothing": None,
    }


def test_result_for_people_is_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.result({"a": 1}, as_json=False, text="for people")
    assert capsys.readouterr() == ("for people\n", "")


def test_whole_seconds_have_no_fraction() -> None:
    assert console.encoded(NOW) == "2026-11-24T12:00:00Z"


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        console.encoded(object())


# Tables, sizes, ages


def test_table_aligns_and_leaves_out_empty_columns() -> None:
    columns = (Column("NAME"), Column("NOTE"), Column("SIZE", right=True))
    rows = [("demo", "", "1 kB"), ("longer-name", "", "152 MB")]
    assert tables.table(rows, columns, PLAIN) == golden("""
        NAME           SIZE
        demo           1 kB
        longer-name  152 MB
    """)


def test_table_drops_columns_then_cuts_names_to_fit() -> None:
    columns = (Column("NAME"), Column("IMAGE", drop=1), Column("PORTS"))
    rows = [("a-rather-long-name-7", "postgres:18", "5432/tcp")]
    assert tables.table(rows, columns, narrow(41)).splitlines() == [
        "NAME                  PORTS",
        "a-rather-long-name-7  5432/tcp",
    ]
    assert tables.table(rows, columns, narrow(24)).splitlines() == [
        "NAME            PORTS",
        "a-ra…ng-name-7  5432/tcp",
    ]


def test_empty_table_has_only_titles() -> None:
    assert tables.table([], (Column("NAME"), Column("SIZE")), PLAIN) == "NAME  SIZE"


def test_wide_characters_take_two_columns() -> None:
    rows = [("日本", "x"), ("demo", "y")]
    assert tables.table(rows, (Column("NAME"), Column("X")), PLAIN).splitlines()[1] == "日本  x"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (47_300_000, "47.3 MB"),
        (152_400_000, "152 MB"),
        (999_900_000, "1 GB"),
        (1_230_000_000, "1.23 GB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert console.size(count) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=2, minutes=59), "2 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=13), "13 days"),
        (timedelta(days=14), "2 weeks"),
        (timedelta(days=90), "3 months"),
        (timedelta(days=800), "2 years"),
    ],
)
def test_age(ago: timedelta, text: str) -> None:
    assert console.age(NOW - ago, NOW) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.23, "4.2s"), (59.96, "1m 00s"), (124, "2m 04s")])
def test_duration(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


# Status and summary


STATUS = Status(
    project="demo-1a2b3c4d",
    path="/home/me/demo",
    url="http://127.0.0.1:8000",
    up_to_date=True,
    services=(
        ServiceStatus(
            "app",
            "demo-1a2b3c4d-app-1",
            "running",
            "healthy",
            "demo-app",
            ("0.0.0.0:8000→8000/tcp", "[::]:8000→8000/tcp"),
            started=NOW - timedelta(minutes=3),
        ),
        ServiceStatus("db", None, "absent", None, "postgres:18"),
        ServiceStatus("migrate", "demo-1a2b3c4d-migrate-1", "exited", None, "demo-app", exit_code=3),
    ),
    networks=(NetworkStatus("demo_backend", exists=True),),
    volumes=(
        VolumeStatus("demo_data", exists=True, size=47_300_000, created=NOW - timedelta(days=3)),
        VolumeStatus("demo_new", exists=False),
        VolumeStatus("demo_old", exists=True, declared=False),
    ),
    orphans=("demo-1a2b3c4d-old-1",),
)


def test_status_shows_services_and_where_the_data_is() -> None:
    assert tables.status(STATUS, NOW, PLAIN) == golden("""
        demo-1a2b3c4d · up to date
        /home/me/demo

        SERVICE  STATE       HEALTH   UP         CONTAINER                IMAGE        PORTS
        app      running     healthy  3 minutes  demo-1a2b3c4d-app-1      demo-app     0.0.0.0:8000→8000/tcp
        db       absent                                                   postgres:18
        migrate  exited (3)                      demo-1a2b3c4d-migrate-1  demo-app

        URL      http://127.0.0.1:8000
        Network  demo_backend
        Volume   demo_data (47.3 MB, 3 days old)
        Volume   demo_new (not there yet)
        Volume   demo_old (no longer in compose.yaml)
        Orphan   demo-1a2b3c4d-old-1 (its service is no longer in compose.yaml)
    """)


@pytest.mark.parametrize("columns", [40, 50, 80, 100])
def test_status_stays_within_the_terminal(columns: int) -> None:
    text = tables.status(STATUS, NOW, narrow(columns))
    assert [line for line in text.splitlines() if terminal.cells(line) > columns] == []
    in_colour = terminal.shown(tables.status(STATUS, NOW, narrow(columns, colour=True)))
    assert re.sub(r"\x1b\[[0-9;]*m", "", in_colour) == text


def test_status_says_what_brings_it_up_to_date() -> None:
    fallen = Status("demo", "/demo", None, up_to_date=False, services=STATUS.services)
    sound = tuple(item for item in STATUS.services if not item.exit_code)
    changed = Status("demo", "/demo", None, up_to_date=False, services=sound)
    stopped = Status("demo", "/demo", None, up_to_date=False, services=STATUS.services[1:])
    assert tables.status(fallen, NOW, PLAIN).startswith(
        "demo · migrate exited (3): see `scaffold logs migrate`\n"
    )
    assert tables.status(changed, NOW, PLAIN).startswith("demo · to be changed: `scaffold plan` says how\n")
    assert tables.status(stopped, NOW, PLAIN).startswith("demo · not running: `scaffold run` starts it\n")


def test_status_document_has_the_promised_keys() -> None:
    document = console.encoded(STATUS)
    assert isinstance(document, dict)
    assert document.keys() >= {
        "project",
        "path",
        "url",
        "up_to_date",
        "services",
        "networks",
        "volumes",
        "orphans",
    }
    assert document["services"][0].keys() >= {"name", "container", "state", "health", "image", "ports"}
    assert document["volumes"][0]["created"] == "2026-11-21T12:00:00Z"


def test_summary_tells_where_things_are_and_what_to_type() -> None:
    value = Summary(
        "demo",
        "http://127.0.0.1:8000",
        "postgres://app:secret@127.0.0.1:5432/app",
        changed=True,
        seconds=4.2,
        has_data=True,
    )
    assert tables.summary(value, PLAIN) == golden("""
        ✓ demo is ready in 4.2s

          URL       http://127.0.0.1:8000
          Database  postgres://app:•••@127.0.0.1:5432/app
          Logs      scaffold logs -f
          Stop      scaffold stop
          Remove    scaffold down (data stays)
    """)


def test_summary_of_a_run_with_nothing_to_do() -> None:
    value = Summary("demo", None, None, changed=False, seconds=0.1)
    assert tables.summary(value, ASCII).splitlines() == [
        "ok demo is up to date",
        "",
        "  Logs    scaffold logs -f",
        "  Stop    scaffold stop",
        "  Remove  scaffold down",
    ]


def test_summary_document_masks_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    console.summary(Summary("demo", None, "postgres://a:secret@h/d", changed=True, seconds=1), as_json=True)
    assert json.loads(capsys.readouterr().out)["database"] == "postgres://a:•••@h/d"


# Streams


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )


def test_importing_the_console_imports_nothing_heavy() -> None:
    done = python("""
        import sys
        import scaffold.console
        print({"rich", "typer", "docker", "json", "threading", "dataclasses"} & set(sys.modules))
    """)
    assert done.stdout == "set()\n"


def test_stream_without_unicode_gets_ascii() -> None:
    done = python(
        """
        from scaffold import console
        console.note("→ done …")
        console.result({"word": "→"}, as_json=True)
        console.result(None, as_json=False, text="✓ 日")
        """,
        PYTHONIOENCODING="ascii",
    )
    assert done.stderr == "-> done ...\n"
    assert json.loads(done.stdout.partition("}")[0] + "}") == {"word": "→"}
    assert done.stdout.endswith("ok \\u65e5\n")


def test_full_disk_loses_a_note_in_silence_and_no_result() -> None:
    code = """
        from scaffold import console
        console.note("nobody needs this")
        try:
            console.result(None, as_json=False, text="somebody needs this")
        except OSError:
            raise SystemExit(7)
    """
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=full, stderr=full, cwd=ROOT
        )
    assert child.returncode == 7


def test_reader_that_has_left_is_no_error() -> None:
    code = """
        import sys
        from scaffold import console
        sys.stdin.read()
        console.result(None, as_json=False, text="nobody reads this")
        console.log(["app"], lambda: print("closed", file=sys.stderr))("app", "nor this")
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stdin is not None
    child.stdin.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait() == 0


def test_log_lines_of_several_services_carry_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    write = console.log(["app", "migrate"], lambda: None)
    write("app", "hello")
    write("migrate", "done")
    assert capsys.readouterr().out == "app     │ hello\nmigrate │ done\n"


def test_log_lines_of_one_service_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.log(["app"], lambda: None)("app", "\x1b[32mhello\x1b[0m")
    assert capsys.readouterr().out == "\x1b[32mhello\x1b[0m\n"


# Progress: a small program that reports events, on a real terminal or a pipe.
# `wait()` holds it until the test sends SIGUSR1, so that nothing here depends on time.

DRIVER = """
import signal
import sys
import threading
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
from scaffold import console
from scaffold.errors import BuildFailed
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.desired import Network, Service
from scaffold.stack.progress import Failed, Finished, Output, Started
from scaffold.stack.steps import *

app = Service("app", "demo-app", {})
shot = Service("migrate", "demo-app", {}, one_shot=True)
steps = (
    CreateNetwork(Network("backend", "demo_backend"), "not there yet"),
    BuildImage(app, "not built yet"),
    StopContainer("demo-app-1", 10, "image is new"),
    RemoveContainer("demo-app-1", "image is new"),
    CreateContainer(app, 1, "demo-app-1", "image is new"),
    StartContainer("demo-app-1", "image is new"),
    Prove(app, ("demo-app-1",), "started"),
    Prove(shot, ("demo-migrate-1",), "started"),
)
plan = Plan(tuple(map(Planned, steps)))

def wait():
    signal.sigwait({signal.SIGUSR1})

def start(report, index):
    report(Started(index, steps[index]))

def say(report, index, line):
    report(Output(index, steps[index], line))

def end(report, index, seconds=0.0, detail=""):
    report(Finished(index, steps[index], seconds, detail))

def fail(report, index, *evidence):
    report(Failed(index, steps[index], 1.5, BuildFailed("broken", evidence=evidence)))
"""

WHOLE_APPLY = """
with console.progress(plan) as report:
    for index in range(len(steps)):
        start(report, index)
        if index == 1:
            say(report, index, "[2/5] RUN pip install")
        end(report, index, seconds=1.0, detail="GET /readyz → 200" if index == 6 else "")
"""

WHOLE_TEXT = """
build image demo-app: not built yet
✓ create network demo_backend  1.0s
✓ build image demo-app  1.0s
✓ recreate container demo-app-1  4.0s
✓ app ready (GET /readyz → 200)
✓ migrate completed  1.0s
"""


def piped(code: str, **environment: str) -> str:
    done = python(DRIVER + textwrap.dedent(code), **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_without_a_terminal_each_change_is_one_plain_line() -> None:
    assert sorted(piped(WHOLE_APPLY).splitlines()) == sorted(WHOLE_TEXT.strip().splitlines())


def test_output_appears_when_its_step_fails() -> None:
    text = piped("""
        with console.progress(plan) as report:
            start(report, 1)
            for number in range(30):
                say(report, 1, f"\\x1b[32mline {number}\\x1b[0m")
            fail(report, 1)
    """)
    lines = text.splitlines()
    assert lines[:3] == ["build image demo-app: not built yet", "✗ build image demo-app  1.5s", "  │ line 10"]
    assert lines[-1] == "  │ line 29"


def test_output_is_not_repeated_when_the_error_shows_it() -> None:
    text = piped("""
        with console.progress(plan) as report:
            start(report, 1)
            say(report, 1, "line")
            fail(report, 1, "line")
    """)
    assert text.splitlines() == ["build image demo-app: not built yet", "✗ build image demo-app  1.5s"]


def test_interrupted_step_has_not_failed() -> None:
    text = piped("""
        from scaffold.errors import Interrupted
        with console.progress(plan) as report:
            start(report, 6)
            report(Failed(6, steps[6], 1.5, Interrupted()))
    """)
    assert text == "· wait until app is ready: interrupted\n"


def test_verbose_shows_output_as_it_comes() -> None:
    text = piped("""
        with console.progress(plan, verbose=True) as report:
            start(report, 1)
            say(report, 1, "line")
            end(report, 1)
    """)
    assert text.splitlines() == [
        "build image demo-app: not built yet",
        "  │ line",
        "✓ build image demo-app",
    ]


def test_quiet_shows_nothing() -> None:
    assert piped(WHOLE_APPLY.replace("(plan)", "(plan, quiet=True)")) == ""


def test_what_was_begun_and_not_completed_is_said() -> None:
    text = piped("""
        with console.progress(plan) as report:
            for index in (2, 3):
                start(report, index)
                end(report, index)
    """)
    assert text == "· recreate container demo-app-1: only stop, remove\n"


# Progress on a terminal


def screen(data: str) -> list[str]:
    """The lines that a terminal shows after these characters, colours left out."""
    lines = [""]
    row = 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r?\n|\r|[^\x1b\r\n]+", data):
        if part.endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row -= int(part[2:-1])
            elif part.endswith("J"):
                lines = [*lines[:row], ""]
            elif part.endswith("K"):
                lines[row] = ""
            else:
                assert part.endswith("m"), f"unexpected {part!r}"
        elif part != "\r":
            lines[row] += part
    return [line for line in lines if line]


Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Start the driver with some code on a pseudo-terminal."""
    children: list[pexpect.spawn[str]] = []

    def start(code: str, columns: int = 80, **environment: str) -> "pexpect.spawn[str]":
        usual = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
        child = pexpect.spawn(
            sys.executable,
            ["-c", DRIVER + textwrap.dedent(code)],
            cwd=str(ROOT),
            env=usual | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | environment,
            dimensions=(24, columns),
            encoding="utf-8",
            timeout=30,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.close(force=True)


MOVING = r"[0-9]\.[3-9]s"
"""The time of a step that has been under way for a while."""


def heard(child: "pexpect.spawn[str]", pattern: str) -> str:
    """What the terminal got up to the pattern and with it."""
    child.expect(pattern)
    assert isinstance(child.before, str)
    assert isinstance(child.after, str)
    return child.before + child.after


def rest(child: "pexpect.spawn[str]") -> str:
    child.expect(pexpect.EOF)
    return child.before or ""


BUILDING = """
    with console.progress(plan) as report:
        start(report, 1)
        say(report, 1, "[2/5] RUN pip install -r requirements.lock and many words more")
        wait()
        end(report, 1, seconds=4.2)
"""


@pytest.mark.parametrize("columns", [80, 50, 30])
def test_running_step_moves_and_leaves_one_line(on_terminal: Terminal, columns: int) -> None:
    child = on_terminal(BUILDING, columns)
    seen = heard(child, MOVING)
    assert "demo-app" in seen
    assert [line for line in screen(seen) if len(line) > columns] == []
    child.kill(signal.SIGUSR1)
    whole = seen + rest(child)
    assert "[2/5] RUN pip" in whole
    final = screen(whole)
    assert len(final) == 1
    assert re.fullmatch(r"✓ build.*demo-app +4\.2s", final[0])


def test_terminal_without_unicode_gets_a_plain_spinner(on_terminal: Terminal) -> None:
    child = on_terminal(BUILDING, PYTHONIOENCODING="ascii")
    seen = heard(child, MOVING)
    child.kill(signal.SIGUSR1)
    assert re.search(r"[|/\\-]\x1b\[0m build", seen)
    assert screen(seen + rest(child)) == ["ok build image demo-app           4.2s"]


def test_notes_and_errors_go_above_what_moves(on_terminal: Terminal) -> None:
    child = on_terminal("""
        with console.progress(plan) as report:
            start(report, 1)
            wait()
            console.note("Stopping: finishing what was begun.")
            wait()
            end(report, 1)
    """)
    seen = heard(child, MOVING)
    child.kill(signal.SIGUSR1)
    seen += heard(child, "begun.*demo-app")
    assert screen(seen)[0] == "Stopping: finishing what was begun."
    child.kill(signal.SIGUSR1)
    assert screen(seen + rest(child)) == ["Stopping: finishing what was begun.", "✓ build image demo-app"]


def test_quick_plan_draws_nothing_that_moves_and_loads_no_library(on_terminal: Terminal) -> None:
    child = on_terminal(WHOLE_APPLY + 'print("rich" in sys.modules)')
    text = rest(child)
    assert not re.search(r"\x1b\[[0-9]*[AJ]", text)
    assert screen(text) == [
        "✓ create network demo_backend    1.0s",
        "✓ build image demo-app           1.0s",
        "✓ recreate container demo-app-1  4.0s",
        "✓ app ready (GET /readyz → 200)",
        "✓ migrate completed              1.0s",
        "False",
    ]


def test_interrupt_leaves_a_clean_terminal(on_terminal: Terminal) -> None:
    child = on_terminal("""
        try:
            with console.progress(plan) as report:
                start(report, 0)
                end(report, 0)
                start(report, 1)
                signal.pause()
        except KeyboardInterrupt:
            print("interrupted")
    """)
    seen = heard(child, MOVING)
    child.sendintr()
    text = seen + rest(child)
    # The terminal's own echo of Ctrl-C is wiped with the picture.
    assert screen(text) == ["✓ create network demo_backend", "interrupted"]
    assert "\x1b[?" not in text


def test_echo_of_an_interrupt_is_wiped_where_nothing_moves(on_terminal: Terminal) -> None:
    child = on_terminal("""
        from scaffold.errors import Interrupted
        said = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: (console.note("Stopping."), said.set()))
        with console.progress(plan):
            print("going", flush=True)
            said.wait()
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print("on", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            console.error(Interrupted("Interrupted. Nothing is left."))
    """)
    text = heard(child, "going\r\n")
    child.sendintr()
    text += heard(child, "on\r\n")
    child.sendintr()
    text += rest(child)
    assert screen(text) == ["going", "Stopping.", "on", "Interrupted. Nothing is left."]


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}], ids=lambda item: next(iter(item))
)
def test_plain_lines_where_they_are_asked_for(on_terminal: Terminal, environment: dict[str, str]) -> None:
    text = rest(on_terminal(WHOLE_APPLY, **environment))
    assert "\x1b" not in text
    assert "build image demo-app: not built yet" in text


def test_ci_that_is_off_is_off(on_terminal: Terminal) -> None:
    assert "\x1b[32m" in rest(on_terminal(WHOLE_APPLY, CI="false"))


def test_events_from_many_threads_leave_whole_lines(on_terminal: Terminal) -> None:
    child = on_terminal("""
        def work(report, index):
            start(report, index)
            for number in range(50):
                say(report, index, f"line {number}")
            end(report, index)

        with console.progress(plan) as report:
            threads = [threading.Thread(target=work, args=(report, index)) for index in range(len(steps))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    """)
    assert sorted(screen(rest(child))) == [
        "✓ app ready",
        "✓ build image demo-app",
        "✓ create network demo_backend",
        "✓ migrate completed",
        "✓ recreate container demo-app-1",
    ]
