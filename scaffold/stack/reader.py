"""Typed reading of one mapping of the resolved compose.yaml; a wrong type is an error with the key's path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scaffold.errors import ProjectError

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_SIZES = {"": 1, "b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30}


class Reader:
    """One mapping and its path, e.g. `services.app.healthcheck`; null and absent are the same."""

    def __init__(self, value: object, path: str) -> None:
        if value is not None and not isinstance(value, Mapping):
            raise ProjectError(f"{path}: expected a mapping, found {_shown(value)}.")
        self._value: Mapping[str, object] = value or {}
        self.path = path

    @property
    def value(self) -> Mapping[str, object]:
        """Return the mapping as it stands."""
        return self._value

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def raw(self, key: str) -> object:
        return self._value.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._wrong(key, "text", value)
        return str(value)

    def number(self, key: str, default: float | None = None) -> float:
        value = self._value.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                raise self._wrong(key, "a number", value) from None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(key, "a number", value)
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        return int(self.number(key, default))

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self._value.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def size(self, key: str) -> int | None:
        """Return bytes; compose prints them as digits, people write `64m`."""
        value = self._value.get(key)
        if value is None:
            return None
        match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([a-z]*)", str(value).lower())
        if not match or match[2] not in _SIZES:
            raise self._wrong(key, "a size such as 64m", value)
        return int(float(match[1]) * _SIZES[match[2]])

    def nanoseconds(self, key: str) -> int | None:
        """Return a duration such as `1m30s` in nanoseconds, the engine's unit."""
        value = self._value.get(key)
        if value is None:
            return None
        parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", str(value))
        if "".join(number + unit for number, unit in parts) != str(value) or not parts:
            if str(value) == "0":
                return 0
            raise self._wrong(key, "a duration such as 10s", value)
        return int(sum(float(number) * _UNITS[unit] for number, unit in parts))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a single text counts as a list of one."""
        value = self._value.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return tuple(str(item) for item in value)

    def mapping(self, key: str) -> dict[str, str]:
        """Return a mapping of texts; a null value becomes empty text."""
        return {name: value or "" for name, value in self.optional_mapping(key).items()}

    def optional_mapping(self, key: str) -> dict[str, str | None]:
        """Return a mapping of texts in which null is kept: `KEY` without a value."""
        value = self._value.get(key)
        if value is None:
            return {}
        if isinstance(value, list):
            pairs = (str(item).partition("=") for item in value)
            return {name: (text if equals else None) for name, equals, text in pairs}
        if not isinstance(value, Mapping):
            raise self._wrong(key, "a mapping", value)
        return {str(name): None if item is None else _plain(item) for name, item in value.items()}

    def reader(self, key: str) -> Reader:
        return Reader(self._value.get(key), self._at(key))

    def readers(self, key: str) -> Iterator[tuple[str, Reader]]:
        """Yield the entries of a mapping of mappings."""
        value = self._value.get(key)
        if value is None:
            return
        if not isinstance(value, Mapping):
            raise self._wrong(key, "a mapping", value)
        for name, item in value.items():
            yield name, Reader(item, f"{self._at(key)}.{name}")

    def items(self, key: str) -> Iterator[Reader]:
        """Yield the entries of a list of mappings."""
        value = self._value.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        for index, item in enumerate(value):
            yield Reader(item, f"{self._at(key)}[{index}]")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _wrong(self, key: str, expected: str, value: object) -> ProjectError:
        if value is None:
            return ProjectError(f"{self._at(key)}: missing.")
        return ProjectError(f"{self._at(key)}: expected {expected}, found {_shown(value)}.")


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
