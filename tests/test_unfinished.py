"""What a first start left may be set aside only when its own files show that: every doubt keeps it."""

import struct

import pytest

from scaffold.data.model import Contents, Stage
from scaffold.data.unfinished import CONTROL, OPTIONS, is_init_server, stage

OFFICIAL_INIT = '/usr/lib/postgresql/17/bin/postgres "-c" "listen_addresses=" "-p" "5432"\n'
REAL = "/usr/lib/postgresql/17/bin/postgres\n"
LISTENING = '/usr/lib/postgresql/17/bin/postgres "-c" "listen_addresses=*"\n'
FRESH = {
    "PG_VERSION": 3,
    "base/1/1259": 122880,
    "base/1/2613": 0,
    "global/1262": 8192,
    "pg_wal/0001": 16777216,
    "postgresql.conf": 100,
    "pg_hba.conf": 100,
}
TABLE = {**FRESH, "base/16384/16385": 8192}


def control(state: int) -> bytes:
    return struct.pack("<QIII", 7, 1800, 202500000, state)


def staged(
    sizes: dict[str, int], options: str | None, *, scripts: bool = False, state: int | None = None
) -> Stage:
    files = {} if options is None else {OPTIONS: options.encode()}
    if state is not None:
        files[CONTROL] = control(state)
    found, doubt = stage(Contents(sizes, files), scripts=scripts)
    assert bool(doubt) == (found is Stage.DOUBTFUL)
    return found


@pytest.mark.parametrize(
    ("options", "claim"),
    [
        (OFFICIAL_INIT, True),
        ('postgres "-c" "listen_addresses=*" "-c" "listen_addresses=" "-p" "5432"\n', True),
        ('postgres "-c" "listen_addresses=\'\'"', False),
        ('postgres "-c" "listen_addresses="', False),
        ('postgres "-b" "-c" "listen_addresses=" "-c" "unix_socket_permissions=0700"', False),
        ('postgres "-c" "listen_addresses=" "-c" "listen_addresses=*"', False),
        (REAL, False),
        (LISTENING, False),
        ("", False),
    ],
)
def test_server_of_the_initialisation_listens_nowhere(options: str, claim: bool) -> None:
    assert is_init_server(options) is claim


def test_nothing_is_set_aside_of_an_empty_directory() -> None:
    assert staged({}, None) is Stage.EMPTY


def test_directory_that_initdb_left_half_made_was_cut_short() -> None:
    assert staged({"PG_VERSION": 3}, None) is Stage.CUT_SHORT
    assert staged(FRESH, None) is Stage.CUT_SHORT


def test_directory_whose_last_server_was_the_init_one_was_cut_short() -> None:
    database_of_postgres_db = {**FRESH, "base/16384/1259": 122880, "base/16384/PG_VERSION": 3}
    assert staged(database_of_postgres_db, OFFICIAL_INIT, state=6) is Stage.CUT_SHORT


def test_tables_of_the_images_own_scripts_are_made_again() -> None:
    assert staged(TABLE, OFFICIAL_INIT, scripts=True) is Stage.CUT_SHORT
    assert staged(TABLE, OFFICIAL_INIT, scripts=False) is Stage.DOUBTFUL


def test_initialisation_that_stopped_its_server_in_order_is_complete() -> None:
    assert staged(FRESH, OFFICIAL_INIT, state=1) is Stage.UNDERSTOOD
    assert staged(FRESH, None, state=1) is Stage.CUT_SHORT, "initdb alone leaves that, too"


@pytest.mark.parametrize("options", [REAL, LISTENING, ""])
def test_directory_that_a_real_server_has_opened_is_started_as_it_is(options: str) -> None:
    assert staged(FRESH, options, scripts=True) is Stage.UNDERSTOOD


@pytest.mark.parametrize(
    "files",
    [
        TABLE,
        {**FRESH, "base/5/t3_16400": 8192},
        {**FRESH, "base/5/16400_fsm": 8192},
        {**FRESH, "base/5/16400.1": 8192},
        {**FRESH, "base/1/2613": 8192},
        {**FRESH, "pg_tblspc/16500/PG_18/5/16501": 8192},
        {**FRESH, "pg_tblspc/16500": 0},  # the link alone: what it leads to is elsewhere
        {**FRESH, "backup_label": 200},
        {**FRESH, "backup_manifest": 200},
        {**FRESH, "standby.signal": 0},
        {**FRESH, "recovery.conf": 0},
        {**FRESH, "uploads/0001.jpg": 1000},
        {"uploads/0001.jpg": 1000},
        {**FRESH, "18/docker/PG_VERSION": 3},
    ],
)
@pytest.mark.parametrize("scripts", [True, False])
def test_files_that_no_first_start_makes_are_somebodys(files: dict[str, int], *, scripts: bool) -> None:
    assert staged(files, None, scripts=scripts) is Stage.DOUBTFUL


def test_tablespace_is_somebodys_whatever_the_image_runs() -> None:
    assert staged({**TABLE, "pg_tblspc/16500": 0}, OFFICIAL_INIT, scripts=True) is Stage.DOUBTFUL
