"""Structured logs: one JSON object a line on standard output, uvicorn's included."""

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}
_PROBES = {"/healthz", "/readyz"}


class JsonFormatter(logging.Formatter):
    """Fields passed as `extra` stand beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.name == "uvicorn.access":
            entry |= _request(record)
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure_logging(level: str) -> None:
    """Send all loggers through one handler. Requests of health probes are left out."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_worth_logging)
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _request(record: logging.LogRecord) -> dict[str, object]:
    match record.args:
        case (client, method, path, _, status):
            return {
                "message": "request",
                "client": client,
                "method": method,
                "path": path,
                "status": status,
            }
        case _:
            return {}


def _is_worth_logging(record: logging.LogRecord) -> bool:
    return record.name != "uvicorn.access" or _request(record).get("path") not in _PROBES
