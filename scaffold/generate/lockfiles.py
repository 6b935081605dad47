"""Tell whether a lock file still belongs to its list of dependencies. Pure: texts in, reasons out.

Only what can be told for certain is said; a lock file of another kind is passed over.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

Texts = Callable[[str], str | None]
_NPM = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?\s*==\s*([^\s;\\]+)", re.MULTILINE)


def stale(path: str, text: Texts) -> str | None:
    """Return why the lock file at a path is out of date, or None. `text` returns a file of the project."""
    folder, name = PurePosixPath(path).parent, PurePosixPath(path).name
    lock = text(path)
    if lock is None:
        return None
    try:
        if name == "package-lock.json":
            return _npm(lock, text(str(folder / "package.json")))
        manifest = text(str(folder / "pyproject.toml"))
        if manifest is None:
            return None
        project = tomllib.loads(manifest)
        if name == "uv.lock":
            return _missing(_required(project, groups=True), _packages(lock))
        if name in {"poetry.lock", "pdm.lock"}:
            return _missing(_required(project, groups=False), _packages(lock))
        if name.startswith("requirements") and name.endswith(".lock"):
            return _pinned(_required(project, groups="dev" in name), lock)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # not as such files are: a matter for other tools
    return None


def _npm(lock: str, manifest: str | None) -> str | None:
    if manifest is None:
        return None
    wanted: Mapping[str, Any] = json.loads(manifest)
    known: Mapping[str, Any] | None = json.loads(lock).get("packages", {}).get("")
    if known is None:
        return None
    for kind in _NPM:
        one, other = wanted.get(kind, {}), known.get(kind, {})
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                return f"{name} is {one.get(name, 'not')} in package.json and {other.get(name, 'not')} here"
    return None


def _required(project: Mapping[str, Any], *, groups: bool) -> list[str]:
    """The requirements of a pyproject.toml that stand for themselves."""
    found = list(project.get("project", {}).get("dependencies", []))
    if groups:
        lists = [
            *project.get("project", {}).get("optional-dependencies", {}).items(),
            *project.get("dependency-groups", {}).items(),
        ]
        found += [item for name, items in lists if name == "dev" for item in items]
    return [item for item in found if isinstance(item, str)]


def _packages(lock: str) -> set[str]:
    return {_normal(item["name"]) for item in tomllib.loads(lock).get("package", [])}


def _missing(required: Iterable[str], known: set[str]) -> str | None:
    for name, _, _ in map(_parsed, required):
        if name and name not in known:
            return f"{name} is not in it"
    return None


def _pinned(required: Iterable[str], lock: str) -> str | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    pins = {_normal(name): version for name, version in _PIN.findall(lock)}
    for name, specifier, marker in map(_parsed, required):
        if not name or marker:
            continue  # what a marker says depends on the machine
        if name not in pins:
            return f"{name} is not in it"
        try:
            fits = SpecifierSet(specifier).contains(pins[name], prereleases=True)
        except InvalidSpecifier:
            continue
        if not fits:
            return f"{name} is {pins[name]} in it, and pyproject.toml wants {specifier}"
    return None


def _parsed(requirement: str) -> tuple[str, str, str]:
    """A requirement's name, versions and marker; an empty name for what is none (a URL)."""
    text, _, marker = requirement.partition(";")
    found = re.fullmatch(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*\(?([^@()]*)\)?\s*", text)
    return (_normal(found[1]), found[2].strip(), marker.strip()) if found else ("", "", "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
