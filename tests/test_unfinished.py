"""A database volume may be emptied only when nobody can have written into it: every doubt keeps it."""

import pytest

from scaffold.data.unfinished import is_init_server, mongo_is_new, never_served, other_places

OFFICIAL_INIT = '/usr/lib/postgresql/17/bin/postgres "-c" "listen_addresses=" "-p" "5432"\n'
REAL = "/usr/lib/postgresql/17/bin/postgres\n"
LISTENING = '/usr/lib/postgresql/17/bin/postgres "-c" "listen_addresses=*"\n'
FRESH = {
    "PG_VERSION": 3,
    "base/1/1259": 122880,
    "base/1/2613": 0,
    "global/1262": 8192,
    "pg_wal/0001": 16777216,
}
TABLE = {**FRESH, "base/16384/16385": 8192}


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


def test_directory_that_initdb_left_half_made_was_never_served() -> None:
    assert never_served({}, None, scripts=False)
    assert never_served(FRESH, None, scripts=False)


def test_directory_whose_last_server_was_the_init_one_was_never_served() -> None:
    database_of_postgres_db = {**FRESH, "base/16384/1259": 122880, "base/16384/PG_VERSION": 3}
    assert never_served(database_of_postgres_db, OFFICIAL_INIT, scripts=False)


def test_tables_of_the_images_own_scripts_are_made_again() -> None:
    assert never_served(TABLE, OFFICIAL_INIT, scripts=True)


@pytest.mark.parametrize("options", [REAL, LISTENING, ""])
def test_directory_that_a_real_server_has_opened_is_kept(options: str) -> None:
    assert not never_served(FRESH, options, scripts=True)


@pytest.mark.parametrize(
    "files",
    [
        TABLE,
        {**FRESH, "base/5/t3_16400": 8192},
        {**FRESH, "base/5/16400_fsm": 8192},
        {**FRESH, "base/5/16400.1": 8192},
        {**FRESH, "base/1/2613": 8192},
        {**FRESH, "pg_tblspc/16500/PG_18/5/16501": 8192},
        {**FRESH, "backup_label": 200},
        {**FRESH, "backup_manifest": 200},
        {**FRESH, "standby.signal": 0},
    ],
)
def test_copied_or_restored_database_without_options_is_kept(files: dict[str, int]) -> None:
    assert not never_served(files, None, scripts=True)


def test_other_versions_keep_their_data_elsewhere() -> None:
    whole, old = "/var/lib/postgresql", "/var/lib/postgresql/data"
    assert {old, f"{whole}/18/docker"} <= set(other_places(whole, f"{whole}/19/docker"))
    assert f"{whole}/18/docker" not in other_places(whole, f"{whole}/18/docker")
    assert old not in other_places(whole, old)


def test_mongo_volume_is_new_only_without_users_and_databases() -> None:
    assert mongo_is_new(["admin", "config", "local"], 0)
    assert not mongo_is_new(["admin", "local"], 1)
    assert not mongo_is_new(["admin", "app"], 0)
