"""Linking a project that exists to its template: version, answers, evidence, and the person's word."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pexpect
import pytest

from tests.repositories import ANSWERS, commit, git, repository
from tests.test_update import SCAFFOLD, answers_in, edit, new, own_folders, run

__all__ = ["own_folders"]  # a fixture

V1 = {
    "copier.yml": "project_name: {type: str, default: unnamed}\nauthor: {type: str}\n"
    "license: {type: str, default: MIT, choices: [MIT, Apache-2.0]}\ndocs: {type: bool, default: false}\n"
    "_exclude: ['{% if not docs %}docs{% endif %}', copier.yml, .git]\n",
    "README.md.jinja": "# {{ project_name }}\n\nWritten by {{ author }} in the first year.\n"
    "See {{ project_name }}.\n"
    "This line is here in all versions.\n",
    "LICENSE.jinja": "{% if license == 'MIT' %}Permission is granted{% else %}Apache License{% endif %}\n",
    "main.py": "def main():\n    print('first')\n",
    "docs/index.md": "The documentation begins here\n",
    **ANSWERS,
}
V2 = {"main.py": "def main():\n    print('second')\n    return 0\n", "extra.txt": "only since the second\n"}
V3 = {"main.py": "def main():\n    print('third')\n    return 3\n"}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = repository(tmp_path / "tiny", V1, "v1.0.0")
    commit(folder, V2, "v2.0.0")
    commit(folder, V3, "v3.0.0")
    return folder


def unlinked(template: Path, version: str) -> Path:
    """A project of a version, edited, whose answers file is gone."""
    answers: dict[str, object] = {"author": "Ann Lee", "license": "Apache-2.0", "docs": True}
    project = new(f"{template}@{version}", "myapp", **answers)
    edit(project, {".copier-answers.yml": None, "team.py": "x = 1\n"})
    edit(project, {"main.py": (project / "main.py").read_text() + "# ours\n"})
    return project


@pytest.mark.parametrize("version", ["v1.0.0", "v2.0.0", "v3.0.0"])
def test_version_and_answers_are_found(template: Path, version: str) -> None:
    project = unlinked(template, version)
    found = json.loads(run("adopt", str(template), "-C", str(project), "--yes", "--json").stdout)
    assert found["candidates"][0]["version"] == version
    answers = {name: item["value"] for name, item in found["answers"].items()}
    assert answers == {"project_name": "myapp", "author": "Ann Lee", "license": "Apache-2.0", "docs": True}
    assert found["answers"]["author"]["evidence"] == "seen in 1 line of the project"
    assert answers_in(project)["_commit"] == version
    assert git(project, "status", "--porcelain") == "?? .copier-answers.yml"


def test_adopted_project_is_updated(template: Path) -> None:
    project = unlinked(template, "v1.0.0")
    run("adopt", str(template), "-C", str(project), "--yes")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "link")
    run("update", "-C", str(project), "--conflict", "rej", code=1)  # main.py is the team's too
    assert (project / "extra.txt").exists()
    assert answers_in(project)["_commit"] == "v3.0.0"


def test_without_a_terminal_the_evidence_is_shown_and_nothing_written(template: Path) -> None:
    project = unlinked(template, "v2.0.0")
    error = run("adopt", str(template), "-C", str(project), code=2).stderr
    assert "v2.0.0: " in error
    assert "lines are here" in error
    assert f"{template}@v2.0.0 --yes" in error.replace("\n", " ").replace("  ", " ")
    assert not (project / ".copier-answers.yml").exists()


def test_person_confirms_or_refuses(template: Path) -> None:
    project = unlinked(template, "v2.0.0")
    for keys, linked in (("\x1b[A\r", False), ("\r", True)):  # up from the first is the last: none of these
        words = ["adopt", str(template), "-C", str(project)]
        terminal = pexpect.spawn(SCAFFOLD, words, timeout=60, encoding="utf-8", env=os.environ.copy())
        terminal.expect("Which version is it")
        terminal.send(keys)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert (project / ".copier-answers.yml").exists() is linked
    assert answers_in(project)["_commit"] == "v2.0.0"


def test_named_version_and_given_answer_win(template: Path) -> None:
    project = unlinked(template, "v2.0.0")
    words = ("adopt", f"{template}@v1.0.0", "-C", str(project), "--yes", "--json", "-d", "license=MIT")
    found = json.loads(run(*words).stdout)
    assert [item["version"] for item in found["candidates"]] == ["v1.0.0"]
    assert found["answers"]["license"] == {"value": "MIT", "evidence": "given"}


def test_answers_of_cruft_are_evidence(template: Path) -> None:
    project = unlinked(template, "v1.0.0")
    context = {"cookiecutter": {"author": "Bob Ray", "_template": "x"}}
    edit(project, {".cruft.json": json.dumps({"template": "x", "context": context})})
    found = json.loads(run("adopt", str(template), "-C", str(project), "--yes", "--json").stdout)
    assert found["answers"]["author"] == {"value": "Bob Ray", "evidence": "written down in the project"}


def test_template_without_an_answers_file_gets_one(template: Path) -> None:
    git(template, "rm", "-q", next(iter(ANSWERS)))
    commit(template, {}, "v4.0.0")
    commit(template, {"later.txt": "x\n"}, "v5.0.0")
    project = new(f"{template}@v4.0.0", "myapp", author="Ann Lee")
    assert not (project / ".copier-answers.yml").exists()
    run("adopt", f"{template}@v4.0.0", "-C", str(project), "--yes")
    edit(project, {"x": ""})
    run("update", "-C", str(project))
    assert (project / "later.txt").exists()
    assert answers_in(project)["_commit"] == "v5.0.0"
    assert answers_in(project)["author"] == "Ann Lee"


def test_template_without_versions(tmp_path: Path) -> None:
    folder = repository(tmp_path / "tiny", V1)
    project = new(str(folder), "myapp", author="Ann Lee")
    edit(project, {".copier-answers.yml": None})
    run("adopt", str(folder), "-C", str(project), "--yes")
    assert answers_in(project)["_commit_hash"] == git(folder, "rev-parse", "HEAD")


def test_project_of_another_kind_is_linked_only_by_a_persons_word(template: Path, own_folders: Path) -> None:
    project = repository(own_folders / "other", {"a.go": "package main\n"})
    found = run("adopt", str(template), "-C", str(project), code=2).stderr
    assert "(0%)" in found or "lines are here" in found
