"""What the process says about its settings, and how it logs."""

import json
import logging

import pytest

from app.logs import JsonFormatter
from app.settings import read_settings


@pytest.fixture(autouse=True)
def database_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/app")


def test_missing_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SystemExit, match=r"^DATABASE_URL: Field required$"):
        read_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@db/app"),
        ("DATABASE_URL", "postgresql://user:hunter2@db:port/app"),
        ("DATABASE_URL", "postgresql://user:hunter#2@db/app"),
        ("PORT", "0"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stop:
        read_settings()
    message = str(stop.value.code)
    assert message.startswith(f"{variable}: ")
    assert "\n" not in message
    assert value not in message


def test_log_line_is_json_with_its_extra_fields() -> None:
    record = logging.makeLogRecord({"name": "app", "msg": "hello %s", "args": ("you",), "user": 7})
    entry = json.loads(JsonFormatter().format(record))
    assert entry["message"] == "hello you"
    assert entry["user"] == 7
