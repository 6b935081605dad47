"""Projects whose answers file is gone: is the version found again, and are the answers?"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from scaffold.errors import ScaffoldError
from scaffold.generate import adopt, apply, questions, render, sources
from scaffold.generate.merge.objects import Scratch
from scaffold.generate.questions import Question
from scaffold.generate.sources import Template
from tests.corpus.edits import EDITS, changed, files, text
from tests.corpus.measure import git, rendered
from tests.corpus.wild import Wild, tags


@dataclass(frozen=True)
class Found:
    """The place of the true version among the candidates, from 1 on; and the choices that show in files."""

    place: int
    choices: int
    wrong: tuple[str, ...]
    seconds: float


def unlinked(template: Wild, repository: Path, back: int, cache: Path, place: Path) -> str | None:
    """A project of an older version, edited as a team does, without its answers file; the version's name."""
    known = tags(repository, 12)
    if len(known) <= back:
        return None
    version = known[-1 - back]
    base = rendered(template, repository, version, cache)
    if base is None:
        return None
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place, symlinks=True)
    newest = rendered(template, repository, known[-1], cache)
    difference = changed(base, newest or base)
    for edit in ("dependencies", "drift"):
        EDITS[edit](place, difference)
    for name in files(place):
        if "answers" in name and "_src_path" in (text(place / name) or ""):
            (place / name).unlink()
    git(place, "init", "-q")
    git(place, "add", "-Af")
    git(place, "commit", "-qm", "made by hand, for all that anybody knows")
    return version


def searched(template: Wild, repository: Path, version: str, cache: Path, project: Path) -> Found:
    """Search as `scaffold adopt` does, and compare with the truth."""
    started = time.monotonic()
    place = apply.locate(project)
    source = sources.parse(str(repository)).source
    copy = sources.repository(source)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "objects").mkdir()
        (Path(name) / place.folder.name).mkdir()
        scratch = Scratch(Path(name) / "objects", place.root)
        tree = apply.standing_tree(scratch, place)
        search = adopt.Search(
            source,
            copy,
            adopt.lines_of(scratch, tree),
            adopt.hints(scratch, tree),
            {},
            Path(name) / place.folder.name,
            lambda found: found,
        )
        found, _ = adopt.candidates(search)
        seconds = time.monotonic() - started
        names = [item.version.ref for item in found]
        rank = names.index(version) + 1 if version in names else 99
        with sources.at(source, copy, sources.resolve(source, copy, version)) as opened:
            choices, wrong = _compared(
                opened, dict(found[0].answers), _truth(template, cache, version), Path(name)
            )
    return Found(rank, choices, wrong, seconds)


def _truth(template: Wild, cache: Path, version: str) -> dict[str, object]:
    base = cache / template.name / version
    for name in files(base):
        content = text(base / name) or ""
        if "answers" in name and "_src_path" in content:
            loaded = yaml.safe_load(content)
            return {key: value for key, value in loaded.items() if not key.startswith("_")}
    return dict(template.answers)


def _compared(
    template: Template, answers: dict[str, object], truth: dict[str, object], folder: Path
) -> tuple[int, tuple[str, ...]]:
    """How many choices there are, and which of them are wrong and would change a file."""
    asked = [item for item in questions.read(template) if item.choices or item.type == "bool"]
    asked = [item for item in asked if item.name in truth and not item.is_secret]
    right = _files(template, truth, folder)
    wrong = [
        item.name
        for item in asked
        if item.name in answers
        and answers[item.name] != truth[item.name]
        and _shows(template, item, answers, truth, folder, right)
    ]
    return len(asked), tuple(wrong)


def _shows(
    template: Template,
    question: Question,
    answers: dict[str, object],
    truth: dict[str, object],
    folder: Path,
    right: dict[str, bytes],
) -> bool:
    try:
        return _files(template, {**truth, question.name: answers[question.name]}, folder) != right
    except ScaffoldError:
        return True


def _files(template: Template, answers: dict[str, object], folder: Path) -> dict[str, bytes]:
    place = folder / "compared" / "my-proj"
    shutil.rmtree(place.parent, ignore_errors=True)
    place.mkdir(parents=True)
    render.render(template, place, render.Answers(answers, reused=frozenset(answers)))
    return {name: (place / name).read_bytes() for name in files(place) if "answers" not in name}
