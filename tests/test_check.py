"""How a project stands to its template: for people, for programs, for GitHub, for reviewers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaffold.generate import lockfiles
from tests.repositories import commit, git
from tests.test_update import edit, new, own_folders, run, template, updated

__all__ = ["own_folders", "template"]  # fixtures


def checked(project: Path, *options: str, code: int = 0) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        run("check", "-C", str(project), "--json", *options, code=code).stdout
    )
    return found


def kinds(found: dict[str, object]) -> list[str]:
    problems = found["problems"]
    assert isinstance(problems, list)
    return [problem["kind"] for problem in problems]


def test_newest_version_and_nothing_edited_is_fine(template: Path) -> None:
    found = checked(new(str(template)))
    assert found["fine"] is True
    assert found["version"] == found["newest"] == "v2.0.0"
    assert found["edited"] == found["gone"] == found["problems"] == []


def test_edited_and_removed_files_are_listed_and_no_failure(template: Path) -> None:
    project = new(str(template))
    (project / "README.md").write_text("edited, and not even committed\n")
    edit(project, {"compose.yaml": None, "once.txt": "ours by right\n", "team.txt": "not the template's\n"})
    found = checked(project)
    assert found["edited"] == ["README.md"]
    assert found["gone"] == ["compose.yaml"]


def test_newer_version_fails_unless_pinned(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    found = checked(project, code=1)
    assert kinds(found) == ["version"]
    assert found["newest"] == "v2.0.0"
    assert checked(project, "--pinned")["fine"] is True


def test_open_decision_fails_until_it_is_decided(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    text = (project / "compose.yaml").read_text()
    edit(project, {"compose.yaml": text.replace("postgres:16", "postgres:16-alpine")})
    updated(project)
    git(project, "commit", "-q", "-a", "-m", "update, swallowed by commit -a")
    assert kinds(checked(project, code=1)) == ["decision"]
    # Keeping one's own value is a decision too: its entry is removed.
    (project / ".scaffold-decisions.yaml").unlink()
    assert checked(project)["fine"] is True


def test_value_that_was_decided_is_no_longer_open(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    text = (project / "compose.yaml").read_text()
    edit(project, {"compose.yaml": text.replace("postgres:16", "postgres:16-alpine")})
    updated(project)
    edit(project, {"compose.yaml": (project / "compose.yaml").read_text().replace("16-alpine", "17-alpine")})
    assert checked(project)["fine"] is True


def test_markers_fail_also_when_they_were_committed(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": (project / "README.md").read_text() + "ours\n"})
    updated(project)
    assert kinds(checked(project, code=1)) == ["conflict"]
    git(project, "commit", "-q", "-a", "-m", "markers and all")
    found = checked(project, code=1)
    assert kinds(found) == ["conflict"]
    lines = (project / "README.md").read_text().splitlines()
    assert f"'line': {lines.index('<<<<<<< yours') + 1}" in str(found["problems"])


def test_rej_file_fails(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": (project / "README.md").read_text() + "ours\n"})
    run("update", "-C", str(project), "--conflict", "rej", code=1)
    git(project, "commit", "-q", "-a", "-m", "rej and all")
    assert kinds(checked(project, code=1)) == ["conflict"]


def test_annotations_of_github(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    said = run("check", "-C", str(project), "--github", code=1).stdout
    assert said.startswith(
        "::error file=.copier-answers.yml,title=scaffold version::The template has a newer"
    )
    assert run("check", "-C", str(project), "--github", "--pinned").stdout == ""


def test_report_for_reviewers(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": "a | b ``` c\n"})
    said = run("check", "-C", str(project), "--markdown", code=1).stdout
    assert "| `.copier-answers.yml` | The template has a newer version: v2.0.0" in said
    assert "### Edited: 1 of 3 files of the template" in said
    assert "````diff" in said  # longer than what stands in the text
    run("check", "-C", str(project), "--markdown", "--json", code=2)


def test_moved_tag_is_said(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    git(template, "tag", "-f", "v1.0.0", "v2.0.0")
    found = checked(project, "--pinned")
    assert "was moved" in str(found["notes"])


def test_stale_lock_file_fails(template: Path) -> None:
    manifest = {"name": "x", "dependencies": {"left-pad": "^1.0.0"}}
    lock = {"lockfileVersion": 3, "packages": {"": {"dependencies": {"left-pad": "^1.0.0"}}}}
    project = new(str(template))
    edit(project, {"package.json": json.dumps(manifest), "package-lock.json": json.dumps(lock)})
    assert checked(project)["fine"] is True
    manifest["dependencies"] = {"left-pad": "^1.0.0", "right-pad": "^2.0.0"}
    edit(project, {"package.json": json.dumps(manifest)})
    found = checked(project, code=1)
    assert kinds(found) == ["lock"]
    assert "right-pad" in str(found["problems"])
    assert "npm install --package-lock-only" in str(found["problems"])


PROJECT = '[project]\ndependencies = ["FastAPI[all]>=0.115", "uvicorn>=0.30,<1; python_version > \'3\'"]\n'


@pytest.mark.parametrize(
    ("name", "lock", "reason"),
    [
        ("requirements.lock", "fastapi==0.120.0 \\\n  --hash=x\n", None),
        ("requirements.lock", "uvicorn==0.30.0\n", "fastapi is not in it"),
        ("requirements.lock", "fastapi==0.100.0\n", "wants >=0.115"),
        ("uv.lock", '[[package]]\nname = "fastapi"\n[[package]]\nname = "uvicorn"\n', None),
        ("uv.lock", '[[package]]\nname = "fastapi"\n', "uvicorn is not in it"),
        ("poetry.lock", '[[package]]\nname = "FastAPI"\n[[package]]\nname = "uvicorn"\n', None),
        ("poetry.lock", "not = [toml", None),
        ("Cargo.lock", "", None),
    ],
)
def test_lock_files(name: str, lock: str, reason: str | None) -> None:
    texts = {"pyproject.toml": PROJECT, name: lock}
    found = lockfiles.stale(name, texts.get)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_lock_files_of_the_bundled_template_are_current() -> None:
    root = Path(__file__).parent.parent / "examples"
    for folder in root.iterdir():
        for path in (*folder.glob("*.lock"), *folder.glob("package-lock.json")):

            def text(name: str, folder: Path = folder) -> str | None:
                return (folder / name).read_text() if (folder / name).is_file() else None

            assert lockfiles.stale(path.name, text) is None


def test_commit_between_versions(template: Path) -> None:
    commit(template, {"later.txt": "x\n"})
    project = new(f"{template}@main")
    found = checked(project)
    assert found["newest"] == found["version"]
    assert str(found["version"]).startswith("v2.0.0-1-g")
