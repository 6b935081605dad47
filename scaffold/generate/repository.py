"""Put a fresh project under git. A missing git, or one that refuses to commit, never costs the project."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scaffold.generate import git

State = Literal["committed", "staged", "inside", "none"]


@dataclass(frozen=True)
class Repository:
    """What git knows of the project; `note` says why it is less than a first commit."""

    state: State
    note: str | None = None


OFF = Repository("none")


def create(folder: Path, around: Path, message: str) -> Repository:
    """Make `folder`, to stand below `around`, a repository with one commit, unless it is inside one.

    The tree is a stranger's, so no hook, filter or signing program runs: git merely keeps what is there.
    """
    if not git.is_installed():
        return Repository("none", "git is not installed, so no repository was made.")
    if outer := _work_tree(around):
        return Repository("inside", f"It is inside the git repository {outer}, so no new one was made.")
    done = git.run(folder, "init", "--quiet", "--template=")
    if done.returncode:
        return _none(folder, "init", git.reason(done))
    ignored = git.ignored_everywhere(folder)
    excludes = ("-c", f"core.excludesFile={ignored}") if ignored else ()
    done = git.run(folder, *excludes, "add", "--all")
    if done.returncode:
        return _none(folder, "add", git.reason(done))
    person = git.person(folder)
    if len(person) < 4:
        return Repository(
            "staged",
            "git does not know your name yet, so the files are staged and not committed."
            ' Type `git config --global user.name "…"` and the same for user.email, then `git commit`.',
        )
    done = git.run(folder, "commit", "--quiet", "--no-verify", f"--message={message}", variables=person)
    if done.returncode:
        return Repository("staged", f"The files are staged and not committed: git says: {git.reason(done)}")
    return Repository("committed")


def _none(folder: Path, command: str, reason: str) -> Repository:
    shutil.rmtree(folder / ".git", ignore_errors=True)
    return Repository("none", f"No repository was made: git {command} says: {reason}")


def _work_tree(folder: Path) -> str | None:
    # With the person's settings: they say which folders of somebody else's are trusted.
    done = git.run_as_person(folder, "rev-parse", "--show-toplevel")
    return os.fsdecode(done.stdout).strip() or None if done.returncode == 0 else None
