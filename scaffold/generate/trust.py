"""Decide which code a template would run on this machine, and whether a person has trusted it.

Code are tasks, migrations and Jinja extensions, and the files that they run. Its fingerprint covers what
copier.yml declares, the questions whose answers go into that, all programs outside of the rendered folder,
and what is named by any of these, so that a new version with the same code has the same fingerprint. Reads;
runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from scaffold.errors import ScaffoldError
from scaffold.generate import bundle, configuration, installation, listing, store
from scaffold.generate.configuration import as_list
from scaffold.generate.listing import Kind
from scaffold.generate.sources import Template

_PROGRAMS = frozenset(
    {".bash", ".bat", ".cjs", ".cmd", ".fish", ".js", ".mjs", ".mk", ".php", ".pl", ".ps1", ".py", ".rb"}
    | {".sh", ".ts", ".zsh"}
)
# What a program reads its commands from without being told so.
_READS = {
    "bun": ("package.json",),
    "cargo": ("Cargo.toml", "build.rs"),
    "docker": ("Dockerfile", "compose.yaml", "docker-compose.yml"),
    "hatch": ("pyproject.toml",),
    "invoke": ("tasks.py",),
    "just": ("justfile", "Justfile", ".justfile"),
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "mise": ("mise.toml", ".mise.toml"),
    "nox": ("noxfile.py",),
    "npm": ("package.json",),
    "npx": ("package.json",),
    "pdm": ("pyproject.toml",),
    "pip": ("pyproject.toml", "setup.py", "setup.cfg"),
    "pnpm": ("package.json",),
    "poe": ("pyproject.toml",),
    "poetry": ("pyproject.toml",),
    "pre-commit": (".pre-commit-config.yaml",),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "tox": ("tox.ini", "pyproject.toml"),
    "uv": ("pyproject.toml",),
    "yarn": ("package.json",),
}
_WORD = re.compile(r"[\w.-]+")
_NAME = re.compile(r"\w+")
_ALL_ANSWERS = {"_copier_answers"}  # with it a command has every answer, by whatever name
_MOST = 2**18  # bytes of a file that are searched for the names of others


@dataclass(frozen=True)
class Code:
    """What a version of a template would run, and the fingerprint of it."""

    tasks: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def runs_at_creation(self) -> bool:
        """Whether a new project runs any of it: migrations are for updates."""
        return bool(self.tasks or self.extensions)

    @property
    def runs_at_all(self) -> bool:
        """Whether there is any."""
        return bool(self.tasks or self.extensions or self.migrations)


def code(template: Template) -> Code:
    """The code of a template."""
    read = configuration.read(template)
    settings = read.settings
    declared = {name: as_list(settings.get(name)) for name in ("tasks", "migrations", "jinja_extensions")}
    if not any(declared.values()):
        return Code()
    said = json.dumps(declared, sort_keys=True, default=str)
    if answered := _answered(said, read.questions):
        said += json.dumps([answered, settings.get("external_data")], sort_keys=True, default=str)
    files = _files(template.path, said, str(settings.get("subdirectory") or ""))
    digest = hashlib.sha256(said.encode())
    for path, content in files.items():
        digest.update(f"\0{path}\0{content}".encode("utf-8", "surrogateescape"))
    return Code(
        tasks=tuple(_command(task) for task in declared["tasks"]),
        migrations=tuple(_command(step) for step in declared["migrations"]),
        extensions=tuple(map(str, declared["jinja_extensions"])),
        files=tuple(files),
        fingerprint=digest.hexdigest(),
    )


def _answered(said: str, questions: Mapping[str, Mapping[Any, Any]]) -> dict[str, object]:
    """The questions that the code names: one that is never asked may have a whole command as its default."""
    found: dict[str, object] = {}
    waiting = [said]
    while waiting:
        words = set(_NAME.findall(waiting.pop()))
        for name in questions.keys() - found.keys():
            if name in words or words & _ALL_ANSWERS:
                details = {str(key): value for key, value in questions[name].items() if key != "help"}
                found[name] = details
                waiting.append(json.dumps(details, default=str))
    return found


def _command(declared: object) -> str:
    """A task or a migration on one line."""
    match declared:
        case str():
            return " ".join(declared.split())
        case list():
            return " ".join(map(str, declared))
        case dict() if "command" in declared:
            when = declared.get("when")
            version = f" (from {declared['version']} on)" if "version" in declared else ""
            condition = f" (when {' '.join(str(when).split())})" if when is not None else ""
            return f"{_command(declared['command'])}{version}{condition}"
        case dict():  # migrations of the old form
            steps = [_command(each) for stage in ("before", "after") for each in as_list(declared.get(stage))]
            return f"{'; '.join(steps)} (from {declared.get('version')} on)"
        case _:
            return str(declared)


def _files(root: Path, said: str, subdirectory: str) -> dict[str, str]:
    """The files that the code consists of, with the hash of each."""
    entries = listing.readable(root, leaving_out=frozenset({".git"}))
    paths = [entry.path for entry in entries if entry.kind is not Kind.FOLDER]
    # Where the rendered folder is computed, or is the whole template, any program may be among the code.
    rendered = subdirectory.strip("/") + "/" if subdirectory and "{" not in subdirectory else ""
    outside = {
        path for path in paths if not (rendered and path.startswith(rendered)) and _is_program(root, path)
    }
    found: set[str] = set()
    waiting = _named(said, paths)
    while waiting:
        found |= waiting
        text = "\n".join(_text(root / path) for path in sorted(waiting))
        waiting = _programs_named(text, paths) - found
    return {path: _hash(root / path) for path in sorted(found | outside)}


def _named(text: str, paths: Iterable[str]) -> set[str]:
    """The files that a command names: by their name, as a module, or as what a tool reads by itself."""
    words = set(_WORD.findall(text))
    parts = {part for word in words for part in word.split(".")}
    by_itself = {name for word in words for name in _READS.get(word, ())}
    found = set()
    for path in paths:
        *folders, name = _without_suffix(path).split("/")
        stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
        may_run = suffix in _PROGRAMS or not suffix
        is_module = may_run and (stem in parts or any(folder in parts for folder in folders))
        is_named = name in words or PurePosixPath(path).name in words
        if is_named or name in by_itself or is_module:
            found.add(path)
    return found


def _programs_named(text: str, paths: Iterable[str]) -> set[str]:
    """The programs that another program names."""
    words = set(_WORD.findall(text))
    named = ((path, _without_suffix(path).rpartition("/")[2]) for path in paths)
    return {path for path, name in named if name in words and PurePosixPath(name).suffix in _PROGRAMS}


def _without_suffix(path: str) -> str:
    return path.removesuffix(".jinja").removesuffix(".j2").removesuffix(".tmpl")


def _is_program(root: Path, path: str) -> bool:
    if PurePosixPath(_without_suffix(path)).suffix in _PROGRAMS:
        return True
    place = root / path
    if place.is_symlink() or not place.is_file():
        return False
    return os.access(place, os.X_OK)


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as stream:
        return stream.read(_MOST).decode("utf-8", "replace")


def _hash(path: Path) -> str:
    mode, content = bundle.entry(path)
    return f"{mode.decode()} {content.hex()}"


def refusal(template: Template) -> ScaffoldError:
    """The error where nobody trusted the template's code, and nobody can be asked."""
    return ScaffoldError(
        f'Template "{template.name}" runs programs of its own on this machine, and nobody trusted it yet.',
        f"See what it runs: `scaffold template show {shlex.quote(_reference(template))}`."
        " If you trust that, repeat the command with --trust.",
    )


def _reference(template: Template) -> str:
    return f"{template.source}@{template.version}" if template.repository else template.source


# ── extensions that are not installed ──────────────────────────────────────────────────────────────────


def check_installed(template: Template, found: Code) -> None:
    """Raise an error for the first extension whose package is missing, with the command that brings it."""
    for extension in found.extensions:
        module = re.split(r"[.:]", extension)[0]
        if not module.isidentifier() or _is_there(module):
            continue
        package = module.replace("_", "-")
        raise ScaffoldError(
            f'Template "{template.name}" needs the Jinja extension {extension}, which is not installed.',
            f"If you know the package {package}, add it to scaffold: `{installation.adding(package)}`.",
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


# ── what is remembered ─────────────────────────────────────────────────────────────────────────────────


def is_trusted(source: str, found: Code) -> bool:
    """Whether somebody has trusted this code of this source."""
    fingerprints = _read().get(source)
    return isinstance(fingerprints, list) and found.fingerprint in fingerprints


def remember(source: str, found: Code) -> None:
    """Trust this code of this source from now on."""
    with store.changing(_FILE) as document:
        trusted = document.setdefault("trusted", {})
        known = [str(each) for each in trusted.get(source, ())]
        trusted[source] = [*(each for each in known if each != found.fingerprint), found.fingerprint]


def forget(source: str) -> bool:
    """Trust no code of this source any more; whether any was trusted."""
    with store.changing(_FILE) as document:
        return document.get("trusted", {}).pop(source, None) is not None


def _read() -> Mapping[str, Any]:
    found = store.read(_FILE).get("trusted", {})
    return found if isinstance(found, Mapping) else {}


_FILE = "trust.toml"
