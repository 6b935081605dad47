"""One update, made by copier and by scaffold: conflicts, files left invalid, lines lost, CPU time."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import resource
import shutil
import subprocess
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import apply, mirror, update
from scaffold.generate.merge import structured
from tests.corpus.edits import EDITS, Changed, changed, files, text
from tests.corpus.wild import Wild


@dataclass(frozen=True)
class Outcome:
    """What an update left; `lost` are lines of the team in files that nobody was told of."""

    conflicts: int = 0
    undecided: int = 0
    invalid: int = 0
    lost: int = 0
    cpu: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Case:
    """A team's project of a template at one version, to be brought to another."""

    template: Wild
    repository: Path
    old: str
    new: str
    edit: str


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "gc.auto=0")
    done = subprocess.run(
        ("git", *identity, *arguments),
        cwd=folder,
        capture_output=True,
        check=True,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout


def rendered(template: Wild, repository: Path, tag: str, cache: Path) -> Path | None:
    """A version of a template, rendered by copier once; None where it cannot be."""
    place = cache / template.name / tag
    failed = place.with_name(f"{tag}.failed")
    if not place.exists() and not failed.exists():
        import copier

        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                copier.run_copy(
                    str(repository),
                    place,
                    data=dict(template.answers),
                    vcs_ref=tag,
                    defaults=True,
                    quiet=True,
                    skip_tasks=True,
                    settings=copier.Settings(),
                )
            except Exception as error:  # noqa: BLE001 - an older version may ask more
                shutil.rmtree(place, ignore_errors=True)
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.write_text(repr(error))
    return place if place.is_dir() and len(files(place)) > 3 else None


def transitions(template: Wild, repository: Path, tags: list[str], cache: Path) -> list[tuple[str, str]]:
    """The seven steps between neighbouring versions that change most, and the whole way."""
    known = [tag for tag in tags if rendered(template, repository, tag, cache)]
    counted = []
    for old, new in itertools.pairwise(known):
        difference = changed(cache / template.name / old, cache / template.name / new)
        if difference.ranges or difference.added:
            counted.append((len(difference.ranges), old, new))
    steps = [(old, new) for _, old, new in sorted(counted, key=lambda item: -item[0])[:7]]
    return [*steps, (known[0], known[-1])] if len(known) > 3 else steps


def project_of(case: Case, cache: Path, place: Path) -> Path:
    """The team's project: rendered, committed, edited, committed."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cache / case.template.name / case.old, place, symlinks=True)
    git(place, "init", "-q")
    git(place, "add", "-Af")
    git(place, "commit", "-qm", "base")
    EDITS[case.edit](place, difference(case, cache))
    git(place, "add", "-Af")
    git(place, "commit", "-qm", "team", "--allow-empty")
    return place


def difference(case: Case, cache: Path) -> Changed:
    return changed(cache / case.template.name / case.old, cache / case.template.name / case.new)


@contextlib.contextmanager
def _timed(spent: list[float]) -> Iterator[None]:
    def now() -> float:
        both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(used.ru_utime + used.ru_stime for used in both)

    before = now()
    yield
    spent.append(now() - before)


def by_copier(case: Case, cache: Path, team: Path, place: Path) -> Outcome:
    import copier

    def update_it() -> tuple[set[str], set[str]]:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            copier.run_update(
                place,
                vcs_ref=case.new,
                defaults=True,
                overwrite=True,
                skip_tasks=True,
                quiet=True,
                unsafe=True,
                settings=copier.Settings(),
                conflict="inline",
            )
        unmerged = git(place, "ls-files", "-u", "-z").split("\0")
        found = {line.partition("\t")[2] for line in unmerged if line}
        return found, found

    return _outcome(case, cache, team, place, update_it)


def by_scaffold(case: Case, cache: Path, team: Path, place: Path) -> Outcome:
    def update_it() -> tuple[set[str], set[str]]:
        apply.check(apply.locate(place))
        with update.prepared(place, update.Wishes(to=case.new, skip_tasks=True)) as prepared:
            prepared.apply()
            paths = {conflict.path for conflict in prepared.merge.conflicts}
            said = {path for note in prepared.notes for path in prepared.followed.tree if path in note}
            return paths, paths | said

    def as_after_an_update() -> None:
        """Remember the version that the project is from, and nothing else, as its last update has done."""
        shutil.rmtree(mirror.folder().parent / "renderings", ignore_errors=True)
        with contextlib.suppress(ScaffoldError), update.followed(place) as followed:
            update.drift(followed)

    return _outcome(case, cache, team, place, update_it, as_after_an_update)


def _outcome(
    case: Case,
    cache: Path,
    team: Path,
    place: Path,
    work: Callable[[], tuple[set[str], set[str]]],
    before: Callable[[], None] = lambda: None,
) -> Outcome:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(team, place, symlinks=True)
    git(place, "status")
    before()
    spent: list[float] = []
    try:
        with _timed(spent), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            conflicts, reported = work()
    except Exception as error:  # noqa: BLE001 - one case that fails is one line of the report
        return Outcome(error=f"{type(error).__name__}: {error}"[:200])
    marked = {path for path in conflicts if "\n<<<<<<< " in f"\n{text(place / path) or ''}"}
    return Outcome(
        conflicts=len(marked),
        undecided=len(conflicts - marked),
        invalid=_invalid(team, place),
        lost=_lost(cache / case.template.name / case.old, team, place, reported),
        cpu=spent[0],
    )


def _invalid(team: Path, place: Path) -> int:
    """Files of a known format that were valid in the team's project, or are new, and are not any more."""
    count = 0
    for name in files(place):
        now, before = text(place / name), text(team / name)
        if now is None or (place / name).is_symlink() or structured.is_valid(name, now):
            continue
        count += before is None or structured.is_valid(name, before)
    return count


def _lost(old: Path, team: Path, place: Path, reported: Collection[str]) -> int:
    """Lines of the team that are gone: not as they were, nor in another line with all their words."""
    lines, words = _content(place)
    known, known_words = _content(old)
    count = 0
    for name in files(team):
        before, after = text(old / name), text(team / name)
        if after is None or before == after or "copier-answers" in name or name in reported:
            continue
        for line in {line.strip() for line in after.split("\n")} - known - lines:
            own = set(_WORD.findall(line)) - known_words
            count += len(line) > 3 and (not own or not own <= words)
    return count


_WORD = re.compile(r"[\w.-]+")


def _content(folder: Path) -> tuple[set[str], set[str]]:
    every = [text(folder / name) or "" for name in files(folder)]
    return {line.strip() for body in every for line in body.split("\n")}, {
        word for body in every for word in _WORD.findall(body)
    }
