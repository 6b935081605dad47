"""The bundled template's released versions: they stay, they never change, and a wheel is enough for them."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml

from scaffold import __version__
from scaffold.errors import ScaffoldError
from scaffold.generate import bundle, destination, mirror, project, sources
from tests.repositories import TINY, git, write

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "templates"

# Every version ever released, in order: tag, commit, tree. A line here is never changed and never removed.
RELEASED = """\
v0.1.0 18b79db5a5f0e08edc2052cc8a034450b0bf9a76 619cab7d43afd01dbf5ecec3c876226843e8a5b6
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_no_released_version_leaves_or_changes() -> None:
    assert (TEMPLATES / "backend.versions").read_text() == RELEASED, "append the new line to RELEASED"


def test_bundle_holds_what_is_written_beside_it() -> None:
    copy = sources.repository(sources.parse("backend").source)
    releases = bundle.releases(TEMPLATES / "backend")
    assert mirror.tags(copy) == {each.tag: each.commit for each in releases}
    assert [mirror.tree(copy, each.commit) for each in releases] == [each.tree for each in releases]
    assert mirror.commit(copy, "HEAD") == releases[-1].commit


def test_released_program_has_the_newest_version_as_its_template() -> None:
    """A checkout of a release must make projects that can be updated."""
    is_release = re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    is_newest = bundle.tree(TEMPLATES / "backend") == bundle.releases(TEMPLATES / "backend")[-1].tree
    assert is_newest or not is_release, "`make template-release TAG=…` first"


def test_hash_of_a_folder_is_that_of_git(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    write(folder, {**TINY, "a/b/c.txt": "c", "a.txt": "1", "a-b/x": "", "é/ü.txt": "u"})
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("a/b")
    (folder / "empty").mkdir()
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    expected = git(folder, "write-tree")
    shutil.rmtree(folder / ".git")
    write(folder, {"__pycache__/x.pyc": "x", "a/y.pyc": "y"})
    assert bundle.tree(folder) == expected


def test_release_appends_and_leaves_what_was(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    write(folder, TINY)
    first = bundle.release(folder, "v1.0.0", 1_700_000_000)
    write(folder, {"new.txt": "new\n"})
    second = bundle.release(folder, "v1.1.0", 1_700_000_100)
    assert bundle.releases(folder) == (first, second)
    assert second.tree == bundle.tree(folder) != first.tree
    git(tmp_path, "clone", "--quiet", "tiny.bundle", "clone")
    assert git(tmp_path / "clone", "rev-parse", "v1.0.0^{commit}", "HEAD").split() == [
        first.commit,
        second.commit,
    ]
    assert git(tmp_path / "clone", "rev-parse", "HEAD~1") == first.commit


def test_same_release_is_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for place in ("one", "two"):
        folder = tmp_path / place / "tiny"
        write(folder, dict(reversed(TINY.items())) if place == "two" else TINY)
        bundle.release(folder, "v1.0.0", 1_700_000_000)
        (folder / "more.txt").write_text("more\n")
        bundle.release(folder, "v1.1.0", 1_700_000_100)
        made.append(hashlib.sha256(bundle.file(folder).read_bytes()).hexdigest())
    assert made[0] == made[1]


def test_released_version_is_not_released_again(tmp_path: Path) -> None:
    write(tmp_path / "tiny", TINY)
    bundle.release(tmp_path / "tiny", "v1.0.0", 0)
    with pytest.raises(ScaffoldError, match=r"tiny v1\.0\.0 is released already"):
        bundle.release(tmp_path / "tiny", "v1.0.0", 1)


def test_unreleased_state_is_called_dev_and_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "scaffold/generate"
    package.mkdir(parents=True)
    monkeypatch.setattr(sources, "__file__", str(package / "sources.py"))
    folder = tmp_path / "scaffold/templates/tiny"
    write(folder, TINY)
    assert (sources.find("tiny").version, sources.find("tiny").commit) == (None, None)
    released = bundle.release(folder, "v1.0.0", 0)
    assert (sources.find("tiny").version, sources.find("tiny").commit) == ("v1.0.0", released.commit)
    write(folder, {"new.txt": "new\n"})
    assert (sources.find("tiny").version, sources.find("tiny").commit) == ("v1.0.0-dev", None)
    made = project.create(sources.find("tiny"), destination.check(str(tmp_path / "myapp")), {}, git=False)
    assert yaml.safe_load((made.destination.path / ".copier-answers.yml").read_text()) == {
        "_commit": "v1.0.0-dev",
        "_src_path": "https://templates.scaffold.invalid/tiny.git",
        "project_name": "myapp",
    }


def test_newer_bundle_gets_a_copy_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older program beside a newer one must not take versions out of its copy."""
    package = tmp_path / "scaffold/generate"
    package.mkdir(parents=True)
    monkeypatch.setattr(sources, "__file__", str(package / "sources.py"))
    folder = tmp_path / "scaffold/templates/tiny"
    write(folder, TINY)
    bundle.release(folder, "v1.0.0", 0)
    source = sources.parse("tiny").source
    first = sources.repository(source)
    bundle.release(folder, "v1.1.0", 1)
    second = sources.repository(source)
    assert (set(mirror.tags(first)), set(mirror.tags(second))) == ({"v1.0.0"}, {"v1.0.0", "v1.1.0"})


def test_plain_copier_reads_the_bundle_at_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that docs/templates.md gives to those who update with copier itself."""
    import subprocess
    import sys

    address = bundle.address("backend")
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "{TEMPLATES}/backend.bundle"]\n  insteadOf = {address}\n[user]\n name = a\n email = a@b\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "copier"))
    done = subprocess.run(
        (
            sys.executable,
            "-m",
            "copier",
            "copy",
            "--defaults",
            "--vcs-ref",
            "v0.1.0",
            address,
            tmp_path / "myapp",
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = yaml.safe_load((tmp_path / "myapp/.copier-answers.yml").read_text())
    assert (answers["_commit"], answers["_src_path"]) == ("v0.1.0", address)
