"""Say which line of a log says most, and what a structured line says to a person. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from scaffold.diagnose.cause import shortened

_ERROR = re.compile(
    r"^\s*(?:[\w.]*(?:Error|Exception|Fault)\b|(?:fatal|error|panic|critical)\b).*", re.IGNORECASE
)


def headline(log: Sequence[str]) -> str:
    """Return the line of a log that says most: the last one that calls itself an error, or the very last."""
    lines = [line for line in map(plain, log) if line.strip()]
    return last_error(lines) or (shortened(lines[-1]) if lines else "")


def last_error(lines: Sequence[str]) -> str:
    """Return the last of the plain lines that calls itself an error; nothing when none does."""
    return shortened(next((line for line in reversed(lines) if _ERROR.match(line)), ""))


def plain(line: str) -> str:
    """Return what a structured log line says, any other as it is."""
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    known = ("error", "err", "exception", "reason")
    error = next((entry[key] for key in known if entry.get(key)), "")
    error = error.get("message", "") if isinstance(error, dict) else error
    parts = [str(entry.get(key)) for key in ("message", "msg", "event") if entry.get(key)][:1]
    level = str(entry.get("level", "")).lower()
    serious = "error: " if level in ("error", "fatal", "critical", "50", "60") else ""
    return serious + ": ".join([*parts, *([str(error).strip()] if error else [])]) if parts or error else line
