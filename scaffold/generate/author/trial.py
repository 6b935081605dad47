"""Try a template: render its cases side by side, look at what they make, compare with what was accepted.

A fault that stops copier and one that only shows in the files are named alike: with the choices that show
them.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from scaffold import __version__
from scaffold.errors import ScaffoldError
from scaffold.generate import bundle, documents, listing, mirror, questions, render
from scaffold.generate.author import rendered
from scaffold.generate.author.matrix import Case, cases
from scaffold.generate.author.problem import Problem
from scaffold.generate.listing import Kind
from scaffold.generate.sources import Template

FOLDER = "tests"
CASES = "tests/cases.yml"
SNAPSHOTS = "tests/snapshots"
_NAME = "sample-project"
_OWN = re.compile(rb"^_(commit|commit_hash|src_path):.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Trial:
    """What one case made: its files, each with mode and hash, and what is wrong with them."""

    case: Case
    files: Mapping[str, str]
    problems: tuple[Problem, ...]
    seconds: float
    was_known: bool = False


def planned(template: Template) -> tuple[Case, ...]:
    """The cases of a template: of its choices, and those that tests/cases.yml adds."""
    base, added = _written_cases(template)
    asked = questions.read(template)
    return (*cases(asked, base), *(Case(name, {**base, **answers}) for name, answers in added.items()))


def not_booted(template: Template) -> tuple[Mapping[str, object], ...]:
    """The answers with which a project needs what a trial cannot give it, such as a managed database."""
    found = _cases_file(template).get("not_booted") or ()
    if not isinstance(found, list) or not all(isinstance(each, dict) and each for each in found):
        raise ScaffoldError(f"{CASES}: not_booted is a list of mappings, each of questions to answers.")
    return tuple(found)


def _cases_file(template: Template) -> Mapping[str, Any]:
    path = template.path / CASES
    if not path.is_file():
        return {}
    try:
        found = yaml.load(documents.read(path), documents.LOADER) or {}  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError) as error:
        raise ScaffoldError(f"{CASES} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ScaffoldError(f"{CASES} is not a mapping.", "It has `answers`, `cases` and `not_booted`.")
    return found


def _written_cases(template: Template) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    found = _cases_file(template)
    base, added = found.get("answers") or {}, found.get("cases") or {}
    if not isinstance(base, dict) or not isinstance(added, dict):
        raise ScaffoldError(f"{CASES} has a mapping `answers`, and a mapping `cases` of names to answers.")
    return base, {str(name): dict(answers or {}) for name, answers in added.items()}


def trials(template: Template, wanted: Sequence[Case]) -> Iterator[Trial]:
    """Every case, in their order; what has not changed since it was fine is not repeated."""
    # Imported once, for the processes that are made of this one.
    import copier  # noqa: F401

    tree = _state(template)
    jobs = min(len(wanted), os.cpu_count() or 1, 8)
    with ProcessPoolExecutor(max(1, jobs), mp_context=multiprocessing.get_context("fork")) as pool:
        yield from pool.map(partial(_trial, template, tree), wanted)


def _state(template: Template) -> str:
    """What a template is rendered from, as a hash: all of its files but its tests."""
    parts = sorted(path for path in template.path.iterdir() if path.name not in {".git", FOLDER})
    entries = ((path.name, *bundle.entry(path)) for path in parts if path.name != "__pycache__")
    return hashlib.sha256(repr(list(entries)).encode()).hexdigest()


def _trial(template: Template, tree: str, case: Case) -> Trial:
    started = time.monotonic()
    known = _known(tree, case)
    with suppress(OSError, ValueError):
        return Trial(case, json.loads(known.read_text()), (), time.monotonic() - started, was_known=True)
    asked = questions.read(template)
    names = {question.name for question in asked}
    files: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="scaffold-trial-") as scratch:
        folder = Path(scratch, _NAME)
        try:
            given = {name: value for name, value in case.answers.items() if name in names}
            render.render(template, folder, render.Answers(given, reused=frozenset(given)))
        except ScaffoldError as error:
            found = [_failure(error, case)]
        else:
            found = [_with(problem, case) for problem in rendered.problems(folder, names)]
            files = _files(folder)
    if not found:
        with suppress(OSError):
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(files))
    return Trial(case, files, tuple(found), time.monotonic() - started)


def _failure(error: ScaffoldError, case: Case) -> Problem:
    """The place in the template stands at the end of what the rendering says."""
    text = re.sub(r'^Template "[^"]*" cannot be rendered: ', "", error.message)
    if found := re.search(r" \(([^()]+), line (\d+)\)$", text):
        return Problem(found[1], int(found[2]), text[: found.start()], case.name)
    return Problem("copier.yml", 0, text, case.name)


def _with(problem: Problem, case: Case) -> Problem:
    return Problem(problem.file, problem.line, problem.text, case.name, problem.is_warning)


def _files(folder: Path) -> dict[str, str]:
    """Each file with its mode and the hash of its content, but for what names this machine or version."""
    found = {}
    for entry in listing.readable(folder, leaving_out=frozenset({".git"})):
        path = folder / entry.path
        if entry.kind is Kind.LINK:
            found[entry.path] = f"link {entry.target}"
        elif entry.kind is Kind.FILE:
            content = path.read_bytes()
            if b"\n_src_path:" in b"\n" + content:
                content = _OWN.sub(b"", content)
            mode = "program" if os.access(path, os.X_OK) else "file"
            found[entry.path] = f"{mode} {hashlib.sha256(content).hexdigest()[:24]}"
    return found


def _known(tree: str, case: Case) -> Path:
    key = json.dumps([__version__, tree, case.name, case.answers], sort_keys=True, default=str)
    return mirror.folder().with_name("trials") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


# ── what was accepted ──────────────────────────────────────────────────────────────────────────────────


def compared(template: Template, trial: Trial) -> Iterator[Problem]:
    """The files that a case makes otherwise than was accepted."""
    path = _snapshot(template, trial.case)
    try:
        lines = [line.partition("  ") for line in path.read_text().splitlines()]
    except FileNotFoundError:
        yield Problem(
            _relative(template, path), 0, "Nothing was accepted yet for this case.", trial.case.name
        )
        return
    before = {name: what for what, _, name in lines}
    for name in sorted(before.keys() | trial.files.keys()):
        if before.get(name) != trial.files.get(name):
            word = (
                "is new" if name not in before else "is gone" if name not in trial.files else "is another one"
            )
            yield Problem(name, 0, f"This file {word} since it was accepted.", trial.case.name)


def accept(template: Template, made: Sequence[Trial]) -> None:
    """Hold from now on what the cases make."""
    folder = template.path / SNAPSHOTS
    folder.mkdir(parents=True, exist_ok=True)
    kept = set()
    for trial in made:
        path = _snapshot(template, trial.case)
        kept.add(path)
        path.write_text("".join(f"{what}  {name}\n" for name, what in sorted(trial.files.items())))
    for path in folder.glob("*.txt"):
        if path not in kept:
            path.unlink()


def _snapshot(template: Template, case: Case) -> Path:
    plain = re.sub(r"[^A-Za-z0-9=,+.-]", "_", case.name)
    if plain != case.name or len(plain) > 120:
        plain = f"{plain[:100]}-{hashlib.sha256(case.name.encode()).hexdigest()[:8]}"
    return template.path / SNAPSHOTS / f"{plain}.txt"


def _relative(template: Template, path: Path) -> str:
    return path.relative_to(template.path).as_posix()


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────


def junit(made: Sequence[tuple[str, float, Sequence[Problem]]], name: str) -> bytes:
    """The same as JUnit XML: one test a case."""
    from xml.etree import ElementTree as ET

    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(made)),
        failures=str(sum(any(not each.is_warning for each in found) for _, _, found in made)),
        time=f"{sum(seconds for _, seconds, _ in made):.3f}",
    )
    for case, seconds, found in made:
        test = ET.SubElement(suite, "testcase", classname=name, name=case, time=f"{seconds:.3f}")
        if faults := [each for each in found if not each.is_warning]:
            failure = ET.SubElement(test, "failure", message=str(faults[0]))
            failure.text = "\n".join(map(str, faults))
    content: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return content
