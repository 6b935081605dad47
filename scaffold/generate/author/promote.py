"""Make a template of a project that runs: its name and ports become questions, and nothing else changes.

It is proven before anything is kept: rendered with the project's own answers, the template makes the same
bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import git, listing, repository
from scaffold.generate.author import start
from scaffold.generate.destination import Destination
from scaffold.generate.listing import Kind
from scaffold.generate.render import render
from scaffold.generate.repository import Repository
from scaffold.generate.sources import Template
from scaffold.generate.staging import staged

_COMMON = frozenset(
    {"api", "app", "backend", "code", "db", "main", "project", "server", "service", "src", "test", "web"}
)
_LEFT_OUT = frozenset({".copier-answers.yml", ".env", ".git"})
_PORT = re.compile(r"^([A-Z][A-Z0-9_]*_PORT)=([0-9]{2,5})\s*$", re.MULTILINE)
_DELIMITER = re.compile(r"\{\{|\{%|\{#")
_ANSWERS = "{{ _copier_conf.answers_file }}.jinja"


@dataclass(frozen=True)
class Promoted:
    """A template that was made of a project, and what became questions."""

    destination: Destination
    answers: dict[str, object]
    files: int
    rendered: tuple[str, ...]
    repository: Repository


@dataclass(frozen=True)
class _Words:
    """What stands for what: texts of the project, and expressions in their place."""

    answers: dict[str, object] = field(default_factory=dict)
    expressions: dict[str, str] = field(default_factory=dict)
    in_code: dict[str, str] = field(default_factory=dict)

    def replaced(self, text: str, *, is_code: bool) -> str:
        """The text as a template that renders to it; the same text where nothing in it is to be replaced."""
        table = {**self.expressions, **(self.in_code if is_code else {})}
        if not table:
            return text
        longest = sorted(table, key=len, reverse=True)
        word = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest))})(?![A-Za-z0-9])")
        if not word.search(text):
            return text
        return re.sub(
            rf"(?P<delimiter>{_DELIMITER.pattern})|{word.pattern}",
            lambda found: f"{{{{ '{found[0]}' }}}}" if found["delimiter"] else table[found[0]],
            text,
        )


def promote(folder: Path, destination: Destination) -> Promoted:
    """Make a template repository of the project in a folder, whole or not at all."""
    files = tuple(_files(folder))
    if not files:
        raise UsageError(f"{folder} has no files.", "Name the folder of a project.")
    words = _words(folder, files)
    with staged(destination) as staging:
        made = staging.folder
        rendered = _written(folder, files, words, made / "project")
        (made / "copier.yml").write_text(
            _configuration(destination.name, folder, files, words), encoding="utf-8"
        )
        _prove(made, folder, files, words)
        start.add(made, destination.name)
        done = repository.create(made, staging.anchor, f"Make a template of {folder.name}")
        staging.publish()
    return Promoted(destination, words.answers, len(files), rendered, done)


def _files(folder: Path) -> Iterator[str]:
    """What belongs to the project: under git what is committed, otherwise all but what .env and git keep."""
    done = git.run(folder, "ls-files", "-z", "--cached")
    tracked = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else []
    names = tracked or [
        entry.path
        for entry in listing.readable(folder, leaving_out=_LEFT_OUT)
        if entry.kind in {Kind.FILE, Kind.LINK}
    ]
    for name in sorted(names):
        parts = name.split("/")
        if not _LEFT_OUT & set(parts) and "__pycache__" not in parts and os.path.lexists(folder / name):
            yield name


# ── what becomes a question ────────────────────────────────────────────────────────────────────────────


def _words(folder: Path, files: tuple[str, ...]) -> _Words:
    words = _Words()
    name = _name(folder)
    if name is not None:
        plain = "{{ project_name }}"
        under = "{{ project_name | replace('-', '_') }}"
        forms = {
            name: plain,
            name.replace("-", "_").upper(): "{{ project_name | replace('-', '_') | upper }}",
            name.replace("-", " ").title(): "{{ project_name | replace('-', ' ') | title }}",
            name.replace("-", " ").title().replace(" ", ""): (
                "{{ project_name | replace('-', ' ') | title | replace(' ', '') }}"
            ),
            name.replace("-", "_"): under if "-" in name else plain,
        }
        words.answers["project_name"] = name
        words.expressions.update(forms)
        words.in_code[name.replace("-", "_")] = under  # a module's name has no hyphen
    taken: set[str] = set()
    if ".env.example" in files:
        for variable, port in _PORT.findall((folder / ".env.example").read_text(encoding="utf-8")):
            if port not in taken:
                taken.add(port)
                question = variable.lower()
                words.answers[question] = int(port)
                words.expressions[port] = f"{{{{ {question} }}}}"
    if not words.answers:
        raise UsageError(
            f"Nothing in {folder} can become a question: its name is too common, and it has no port.",
            "Give it a name of its own in pyproject.toml or package.json.",
        )
    return words


def _name(folder: Path) -> str | None:
    """The project's name in the files that have one, or that of its folder."""
    candidates: list[object] = []
    with suppress(OSError, ValueError):
        candidates.append(
            tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {}).get("name")
        )
    with suppress(OSError, ValueError):
        candidates.append(json.loads((folder / "package.json").read_text()).get("name"))
    candidates.append(folder.resolve().name)
    for name in candidates:
        if isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
            return None if name in _COMMON or len(name) < 3 else name
    return None


# ── the template ───────────────────────────────────────────────────────────────────────────────────────


def _written(folder: Path, files: tuple[str, ...], words: _Words, place: Path) -> tuple[str, ...]:
    """Write the template's files; return those that are rendered."""
    rendered = []
    for name in files:
        source, target = folder / name, place / words.replaced(name, is_code=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = None if source.is_symlink() else _text(source)
        replaced = None if text is None else words.replaced(text, is_code=name.endswith(".py"))
        if source.is_symlink() or replaced is None or (replaced == text and not name.endswith(".jinja")):
            shutil.copy2(source, target, follow_symlinks=False)
            continue
        if replaced == text:  # a template itself: copier must not render it
            replaced = _DELIMITER.sub(lambda found: f"{{{{ '{found[0]}' }}}}", replaced)
        target = target.with_name(f"{target.name}.jinja")
        with target.open("w", encoding="utf-8", newline="") as stream:
            stream.write(replaced)
        target.chmod(source.stat().st_mode & 0o777)
        rendered.append(name)
    (place / _ANSWERS).write_text(
        "# Written by the template. `scaffold update` reads it; change answers through it, not here.\n"
        "{{ _copier_answers|to_nice_yaml -}}\n",
        encoding="utf-8",
    )
    return tuple(rendered)


def _text(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", newline="") as stream:  # line ends as they are
            text = stream.read()
    except UnicodeDecodeError:
        return None
    # Jinja makes one kind of line end of all.
    return None if "\0" in text or "\r" in text else text


def _configuration(name: str, folder: Path, files: tuple[str, ...], words: _Words) -> str:
    lines = [f"# {name}: made of a project that runs.", "_subdirectory: project", "_templates_suffix: .jinja"]
    if any((folder / file).is_symlink() for file in files):
        lines.append("_preserve_symlinks: true")
    for question, value in words.answers.items():
        kind = "int" if isinstance(value, int) else "str"
        help_ = (
            "Project name (lower-case letters, digits and hyphens)" if kind == "str" else f"Port: {question}"
        )
        lines += [
            "",
            f"{question}:",
            f"  type: {kind}",
            f"  default: {json.dumps(value)}",
            f'  help: "{help_}"',
        ]
        if kind == "str":
            lines += [
                "  validator: >-",
                f"    {{% if not ({question} | regex_search('^[a-z][a-z0-9]*(-[a-z0-9]+)*\\\\Z')) %}}",
                "    Use lower-case letters, digits and single hyphens; start with a letter.",
                "    {% endif %}",
            ]
    return "\n".join(lines) + "\n"


def _prove(made: Path, folder: Path, files: tuple[str, ...], words: _Words) -> None:
    """Render the template with the project's own answers, and compare every file."""
    with tempfile.TemporaryDirectory(prefix="scaffold-proof-") as scratch:
        again = Path(scratch, folder.resolve().name)
        done = render(Template(made.name, made, str(made)), again, words.answers)
        for name in files:
            if _content(folder / name) != _content(again / name):
                raise ScaffoldError(
                    f"{name} would not come out as it is, so no template was made.",
                    "Take it out of the project, or write the template by hand.",
                )
        if more := sorted(set(done.files) - {*files, ".copier-answers.yml"}):
            raise ScaffoldError(f"The template would make one file more: {more[0]}.")


def _content(path: Path) -> tuple[object, ...]:
    if path.is_symlink():
        return ("link", os.fspath(path.readlink()))
    try:
        return ("file", bool(path.stat().st_mode & 0o100), path.read_bytes())
    except OSError:
        return ()
