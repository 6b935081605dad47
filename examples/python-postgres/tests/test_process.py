"""What the process does with its settings."""

import json
import logging

import pytest

from app.__main__ import main
from app.logs import JsonFormatter


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", "mysql://user:hunter2@db/app"),
        ("PORT", "0"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/app")
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        main()
    message = str(stop.value.code)
    assert message.startswith(f"{variable}: ")
    assert "\n" not in message
    assert "hunter2" not in message


def test_log_line_is_json_with_its_extra_fields() -> None:
    record = logging.makeLogRecord({"name": "app", "msg": "hello %s", "args": ("you",), "user": 7})
    entry = json.loads(JsonFormatter().format(record))
    assert entry["message"] == "hello you"
    assert entry["user"] == 7
