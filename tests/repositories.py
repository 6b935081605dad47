"""Template repositories for tests: made by real git, as a person makes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ANSWERS = {"{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}"}
TINY = {
    "copier.yml": "project_name: {type: str, default: unnamed}\n",
    "README.md.jinja": "{{ project_name }} {{ _copier_answers._commit }}\n",
    **ANSWERS,
}


def git(folder: Path, *arguments: str) -> str:
    """Run git as Ada, with nothing of this machine's settings."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _ADA.items()},
    }
    done = subprocess.run(
        ("git", "-c", "protocol.file.allow=always", *arguments),
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


_ADA = {"NAME": "Ada", "EMAIL": "ada@example.com"}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def repository(folder: Path, files: Mapping[str, str] = TINY, *tags: str) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, files, *tags)
    return folder


def commit(folder: Path, files: Mapping[str, str], *tags: str) -> str:
    """Commit changed files; return the hash."""
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=change")
    for tag in tags:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")
