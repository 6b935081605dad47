"""A project whose git would take .env is told so, and mended with consent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scaffold.project import checkout as checkouts
from scaffold.project import unignored
from tests.projects import Project, handwritten

COMPOSE = "services:\n  app:\n    image: x\n"
IGNORED = "*.log\n"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = handwritten(tmp_path / "app", COMPOSE, "DB_PASSWORD=\n")
    git(made.folder, "init", "--quiet")
    (made.folder / ".gitignore").write_text(IGNORED.rstrip())
    made.env_file.write_text("COMPOSE_PROJECT_NAME=app\nDB_PASSWORD=0123456789abcdef\n")
    made.env_file.chmod(0o600)
    return made


def state(project: Project) -> str:
    return unignored.state(checkouts.find(project.folder))


def test_env_that_git_would_add_is_told_and_mended(project: Project) -> None:
    assert state(project) == "open"
    said = project.scaffold("env").err
    assert "git does not ignore .env" in said
    assert "scaffold doctor --fix" in said
    project.run("scaffold", "doctor", "--json", code=1)
    subprocess.run(["sh", "-c", unignored.mending(checkouts.find(project.folder), "open")], check=True)
    assert state(project) == ""
    assert project.scaffold("env").err == ""
    (project.folder / ".env.scaffold-draft").write_text("DB_PASSWORD=x")
    git(project.folder, "add", "--all")
    staged = git(project.folder, "diff", "--cached", "--name-only").split()
    assert staged == [".env.example", ".gitignore", "compose.yaml"]
    assert (project.folder / ".gitignore").read_text().startswith(IGNORED)


def test_env_that_git_has_is_told_and_taken_out(project: Project) -> None:
    git(project.folder, "add", "--force", ".env")
    assert state(project) == "tracked"
    assert "its history keeps them" in project.scaffold("env").err
    subprocess.run(["sh", "-c", unignored.mending(checkouts.find(project.folder), "tracked")], check=True)
    assert state(project) == ""
    assert project.env_file.exists()


def test_ignored_env_and_a_folder_without_git_are_fine(project: Project, tmp_path: Path) -> None:
    (project.folder / ".gitignore").write_text(".env*\n")
    assert state(project) == ""
    other = handwritten(tmp_path / "other", COMPOSE)
    other.env_file.write_text("A=1\n")
    assert state(other) == ""
