"""Put a fresh project under git. A missing git, or one that refuses to commit, never costs the project."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# What git sets inside a hook, among others; it would lead away from the new repository.
_ELSEWHERE = {
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}
# No background process may still write into a folder that is about to be moved.
_SETTINGS = ("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "init.defaultBranch=main")

State = Literal["committed", "staged", "inside", "none"]


@dataclass(frozen=True)
class Repository:
    """What git knows of the project; `note` says why it is less than a first commit."""

    state: State
    note: str | None = None


OFF = Repository("none")


def create(folder: Path, around: Path, message: str) -> Repository:
    """Make `folder`, to stand below `around`, a repository with one commit, unless it is inside one."""
    if shutil.which("git") is None:
        return Repository("none", "git is not installed, so no repository was made.")
    if outer := _work_tree(around):
        return Repository("inside", f"It is inside the git repository {outer}, so no new one was made.")
    for command in (("init", "--quiet"), ("add", "--all")):
        done = _git(folder, *command)
        if done.returncode:
            shutil.rmtree(folder / ".git", ignore_errors=True)
            return Repository("none", f"No repository was made: git {command[0]} says: {_reason(done)}")
    done = _git(folder, "commit", "--quiet", f"--message={message}")
    if not done.returncode:
        return Repository("committed")
    if any(_git(folder, "var", f"GIT_{role}_IDENT").returncode for role in ("AUTHOR", "COMMITTER")):
        return Repository(
            "staged",
            "git does not know your name yet, so the files are staged and not committed."
            ' Type `git config --global user.name "…"` and the same for user.email, then `git commit`.',
        )
    return Repository("staged", f"The files are staged and not committed: git says: {_reason(done)}")


def _work_tree(folder: Path) -> str | None:
    done = _git(folder, "rev-parse", "--show-toplevel")
    return done.stdout.strip() or None if done.returncode == 0 else None


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return subprocess.run(
        ("git", *_SETTINGS, *arguments),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"
