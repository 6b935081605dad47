"""Find what is wrong with the files that a template makes: each in the words of its own format."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

import yaml

from scaffold.generate import documents, listing
from scaffold.generate.author import compose
from scaffold.generate.author.problem import Problem
from scaffold.generate.listing import Kind

_COMPOSE = frozenset({"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"})
_WITH_COMMENTS = re.compile(r"(^|/)(tsconfig[^/]*\.json|jsconfig\.json|devcontainer\.json|\.vscode/.*)$")
_MOST = 2**20
_SECONDS = 60


def problems(folder: Path, questions: Collection[str]) -> Iterator[Problem]:
    """Everything that can be found without running the project."""
    texts = {}
    for entry in listing.readable(folder, leaving_out=frozenset({".git"})):
        if entry.kind is Kind.FILE:
            with (folder / entry.path).open("rb") as stream:
                content = stream.read(_MOST)
            try:
                texts[entry.path] = content.decode("utf-8")
            except UnicodeDecodeError:
                continue
    left = _unrendered(questions)
    for path, text in texts.items():
        yield from _file(path, text)
        if left and (found := left.search(text)):
            line = text.count("\n", 0, found.start()) + 1
            yield Problem(path, line, f"{found[0]} was not rendered: does the file's name end in the suffix?")
    yield from _ignored(texts)
    yield from _checked_by_programs(folder, texts)


def _unrendered(questions: Collection[str]) -> re.Pattern[str] | None:
    if not questions:
        return None
    names = "|".join(map(re.escape, sorted(questions)))
    return re.compile(
        rf"\{{\{{-?\s*(?:{names})\b[^{{}}\n]*\}}\}}|\{{%-?\s*(?:if|for|elif)\s[^{{}}%\n]*\b(?:{names})\b"
    )


def _file(path: str, text: str) -> Iterator[Problem]:
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix
    match suffix:
        case ".json" if not _WITH_COMMENTS.search(path):
            try:
                json.loads(text)
            except json.JSONDecodeError as error:
                yield Problem(path, error.lineno, f"This is not JSON: {error.msg}.")
        case ".toml":
            try:
                tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                found = re.search(r"line (\d+)", str(error))
                yield Problem(path, int(found[1]) if found else 0, f"This is not TOML: {error}.")
        case ".py":
            yield from _python(path, text)
        case ".yml" | ".yaml":
            yield from _yaml(path, name, text)
        case _:
            return


def _python(path: str, text: str) -> Iterator[Problem]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError) as error:
        yield Problem(
            path, getattr(error, "lineno", 0) or 0, f"This is not Python: {getattr(error, 'msg', error)}."
        )


class _Any(documents.LOADER):  # type: ignore[misc]  # chosen at run time
    """Reads tags that only the file's own program knows."""


_Any.add_multi_constructor("", lambda *_: None)


def _yaml(path: str, name: str, text: str) -> Iterator[Problem]:
    try:
        found = list(yaml.load_all(text, _Any))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        yield Problem(path, mark.line + 1 if mark else 0, f"This is not YAML: {said}.")
        return
    document = found[0] if len(found) == 1 else None
    if name in _COMPOSE:
        yield from compose.problems(path, document)
    if re.match(r"\.github/workflows/[^/]+$", path):
        yield from _workflow(path, document)


# ── workflows and .dockerignore ────────────────────────────────────────────────────────────────────────


def _workflow(path: str, document: object) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(path, 0, "A workflow is a mapping.")
        return
    if "on" not in document and True not in document:  # YAML reads a bare `on` as true
        yield Problem(path, 0, 'The workflow has no "on", so nothing starts it.')
    jobs = document.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        yield Problem(path, 0, "The workflow has no jobs.")
        return
    for name, job in jobs.items():
        if not isinstance(job, dict) or not ({"runs-on", "uses"} & job.keys()):
            yield Problem(path, 0, f"The job {name} has neither runs-on nor uses.")
            continue
        needs = job.get("needs") or ()
        for other in (needs,) if isinstance(needs, str) else needs:
            if other not in jobs:
                yield Problem(path, 0, f"The job {name} needs {other}, which does not exist.")
        for number, step in enumerate(job.get("steps") or (), 1):
            if not isinstance(step, dict) or len({"uses", "run"} & step.keys()) != 1:
                yield Problem(path, 0, f"Step {number} of the job {name} has to have one of uses and run.")


def _ignored(texts: Mapping[str, str]) -> Iterator[Problem]:
    """A build that copies everything takes .env and .git with it, unless they are ignored."""
    for path, text in texts.items():
        name = PurePosixPath(path).name
        if name != "Dockerfile" or not re.search(r"(?m)^\s*(COPY|ADD)(\s+--\S+)*\s+\.\s", text):
            continue
        folder = path.removesuffix(name)
        rules = (texts.get(f"{path}.dockerignore") or texts.get(f"{folder}.dockerignore") or "").split()
        for wanted in (".env", ".git"):
            if not {
                wanted,
                f"{wanted}*",
                f"**/{wanted}",
                f"**/{wanted}*",
                f"/{wanted}",
                "*",
                "**",
                ".*",
            } & set(rules):
                yield Problem(
                    f"{folder}.dockerignore", 0, f"{wanted} is not in it, and the Dockerfile copies all."
                )


# ── programs ───────────────────────────────────────────────────────────────────────────────────────────


def _checked_by_programs(folder: Path, texts: Mapping[str, str]) -> Iterator[Problem]:
    shell = [
        path for path, text in texts.items() if path.endswith(".sh") or re.match(r"#!.*\b(ba|da)?sh\b", text)
    ]
    docker = [
        path
        for path in texts
        if re.fullmatch(r"(.*\.)?(Dockerfile|Containerfile)(\..*)?", PurePosixPath(path).name)
    ]
    docker = [path for path in docker if not path.endswith(".dockerignore")]
    if shell and (program := _program("shellcheck")):
        yield from _said(folder, (program, "--format=gcc", "--severity=warning", "--", *shell))
    elif shell:
        for path in shell:
            done = _run(folder, ("sh", "-n", "--", path))
            if done.returncode:
                yield Problem(path, 0, f"This is no shell script: {done.stderr.strip().splitlines()[-1]}.")
    if docker and (program := _program("hadolint")):
        yield from _said(folder, (program, "--format=gnu", "--failure-threshold=warning", "--", *docker))


def _said(folder: Path, command: tuple[str, ...]) -> Iterator[Problem]:
    done = _run(folder, command)
    for line in done.stdout.splitlines():
        if found := re.match(r"(?:hadolint: ?)?(.+?):(\d+):(?:\d+:)? ?(.*)", line):
            path, number, text = found[1].removeprefix("./"), int(found[2]), found[3].strip()
            is_warning = not re.search(r"\berror\b", text.partition(":")[0])
            if not re.search(r"\b(info|note|style)\b", text.partition(":")[0]):
                yield Problem(path, number, text, is_warning=is_warning)


def _run(folder: Path, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )


def _program(name: str) -> str | None:
    """A checker on the PATH, or beside this Python."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)
