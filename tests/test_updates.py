"""Updates of templates in the wild against copier's own, in numbers: `make soak PART=updates`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus import adoption, measure, wild
from tests.corpus.edits import EDITS
from tests.corpus.measure import Case, Outcome
from tests.soak import SOAK

pytestmark = pytest.mark.skipif(
    not SOAK, reason="fetches templates and takes minutes: make soak PART=updates"
)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "COPIER_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (home / ".gitconfig").write_text(
        "[user]\n  name = Ann\n  email = ann@example.org\n[safe]\n  directory = *\n"
    )


@pytest.mark.timeout(7200)
def test_corpus_of_updates(tmp_path: Path) -> None:
    total: dict[str, list[Outcome]] = {"copier": [], "scaffold": []}
    for template in wild.TEMPLATES:
        repository = wild.fetched(template, tmp_path / "fetched")
        if repository is None:
            print(f"{template.repository}: cannot be fetched")
            continue
        here: dict[str, list[Outcome]] = {"copier": [], "scaffold": []}
        for case in cases(template, repository, tmp_path / "rendered"):
            team = measure.project_of(case, tmp_path / "rendered", tmp_path / "team")
            one = measure.by_copier(case, tmp_path / "rendered", team, tmp_path / "copier" / "my-proj")
            other = measure.by_scaffold(case, tmp_path / "rendered", team, tmp_path / "scaffold" / "my-proj")
            if one.error or other.error or other.lost:
                print(f"  {case.old}..{case.new} {case.edit}: copier {one}; scaffold {other}")
            if not one.error and not other.error:
                here["copier"].append(one)
                here["scaffold"].append(other)
        for name, outcomes in here.items():
            total[name] += outcomes
        print(f"{template.repository}: {summary(here['copier'])} | {summary(here['scaffold'])}", flush=True)
    copier, scaffold = total["copier"], total["scaffold"]
    print(f"copier:   {summary(copier)}\nscaffold: {summary(scaffold)}")
    assert len(scaffold) >= 200
    assert count(scaffold, "conflicts") <= 0.6 * count(copier, "conflicts")
    assert count(scaffold, "invalid") <= 0.2 * count(copier, "invalid")
    assert count(scaffold, "lost") == 0
    # Half of it is what copier needs to render one version; copier's own update renders three times.
    assert count(scaffold, "cpu") <= 0.4 * count(copier, "cpu")


@pytest.mark.timeout(3600)
def test_versions_are_found_again(tmp_path: Path) -> None:
    """Eight projects of four templates, made at an older version and edited, their answers files removed."""
    found = []
    for template in wild.TEMPLATES[:4]:
        repository = wild.fetched(template, tmp_path / "fetched")
        for back in (2, 5):
            place = tmp_path / "adopted" / "my-proj"
            cache = tmp_path / "rendered"
            version = repository and adoption.unlinked(template, repository, back, cache, place)
            if not repository or not version:
                print(f"{template.repository}, {back} versions ago: cannot be made")
                continue
            found.append(adoption.searched(template, repository, version, cache, place))
            print(f"{template.repository} {version}: {found[-1]}", flush=True)
    assert len(found) == 8
    assert all(item.place <= 3 for item in found)
    assert sum(item.place == 1 for item in found) >= 6
    choices, wrong = sum(item.choices for item in found), sum(len(item.wrong) for item in found)
    print(f"{choices} choices, {wrong} of them wrong")
    assert wrong <= 0.1 * choices


def cases(template: wild.Wild, repository: Path, cache: Path) -> list[Case]:
    steps = measure.transitions(template, repository, wild.tags(repository, 12), cache)
    return [Case(template, repository, old, new, edit) for old, new in steps for edit in EDITS]


def count(outcomes: list[Outcome], field: str) -> float:
    return float(sum(getattr(outcome, field) for outcome in outcomes))


def summary(outcomes: list[Outcome]) -> str:
    with_conflict = sum(1 for outcome in outcomes if outcome.conflicts)
    return (
        f"{len(outcomes)} updates, {with_conflict} with conflicts: {count(outcomes, 'conflicts'):.0f} files "
        f"with markers, {count(outcomes, 'undecided'):.0f} with a decision open, "
        f"{count(outcomes, 'invalid'):.0f} invalid, {count(outcomes, 'lost'):.0f} lines lost, "
        f"{count(outcomes, 'cpu'):.1f} s"
    )
