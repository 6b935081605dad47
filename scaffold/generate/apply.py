"""Put a merged tree into a clean project in one step, of which all or nothing is there however it ends."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ProjectError, ScaffoldError
from scaffold.generate import git as program
from scaffold.generate import journal
from scaffold.generate.merge.objects import (
    Conflicted,
    Entry,
    GitFailed,
    Scratch,
    Tree,
    git,
    git_version,
    parsed,
)
from scaffold.generate.merge.threeway import Merge

OLDEST = (2, 31)
"""The first git that says where a repository is by its whole path."""
# What git keeps while it is in the middle of something, and how a person ends it.
_UNDER_WAY = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True)
class WorkTree:
    """A project under git; `prefix` is its folder below the root of the work tree, with a slash, or empty."""

    folder: Path
    root: Path
    git_dir: Path
    prefix: str


def locate(folder: Path) -> WorkTree:
    """Return the work tree that a project is in."""
    if not program.is_installed():
        raise ScaffoldError("git is not installed; following a template needs it.", "Install git.")
    if git_version() < OLDEST:
        there, needed = (".".join(map(str, version)) for version in (git_version(), OLDEST))
        raise ScaffoldError(
            f"git {there} is too old to follow a template: it takes git {needed}.", "Upgrade git."
        )
    words = ("rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--show-prefix")
    done = program.run(folder, *words)
    lines = os.fsdecode(done.stdout).split("\n")
    if done.returncode or len(lines) < 3 or not lines[0]:
        said = program.reason(done)
        if "dubious ownership" in said or "safe.directory" in said:
            raise ProjectError(
                f"The git repository around {folder} belongs to another user.",
                f"Take it over: `sudo chown -R $(id -un) {shlex.quote(str(folder))}`.",
            )
        raise ProjectError(
            f"{folder} is not under git, and an update could not be taken back.",
            "Put it under git first: `git init && git add --all && git commit -m Start`.",
        )
    return WorkTree(folder.resolve(), Path(lines[0]), Path(lines[1]), lines[2])


def check(place: WorkTree) -> None:
    """Raise ProjectError unless the project is committed and nothing else is under way."""
    for name, word in _UNDER_WAY.items():
        if (place.git_dir / name).exists():
            raise ProjectError(
                f"A {word} is under way in {place.root}.",
                f"End it first: `git {word} --continue` or `git {word} --abort`.",
            )
    if program.run(place.root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode:
        raise ProjectError(
            f"{place.root} has no commit yet.", "Commit first: `git add --all && git commit -m Start`."
        )
    changed = uncommitted(place)
    if changed:
        named = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise ProjectError(
            f"{place.folder} has uncommitted changes: {named}.",
            "Commit them, or set them aside with `git stash`; an update then can be told from your own work.",
        )


def uncommitted(place: WorkTree) -> tuple[str, ...]:
    """Return the files that differ from the last commit; those that git does not know are left out."""
    options = ("-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty")
    said = _own(place, "status", "--porcelain=v1", *options, "--", ".")
    return tuple(line[3:] for line in os.fsdecode(said).split("\0") if line)


def _own(place: WorkTree, *arguments: str, variables: Mapping[str, str] | None = None) -> bytes:
    """Run git in the project with the project's own settings, those for line ends among them."""
    done = program.run(place.folder, *arguments, variables=variables)
    if done.returncode:
        raise GitFailed(f"git {arguments[0]} failed in {place.folder}: {program.reason(done)}")
    return done.stdout


def unmerged(place: WorkTree) -> tuple[str, ...]:
    """Return the files of the project that git has down as conflicts."""
    said = os.fsdecode(_own(place, "diff", "--name-only", "--diff-filter=U", "--relative", "-z", "--", "."))
    return tuple(sorted({path for path in said.split("\0") if path}))


def standing_tree(scratch: Scratch, place: WorkTree) -> Tree:
    """Return the files of the project as they stand: what git knows of them, committed or not."""
    index = scratch.folder / "index-standing"
    if (place.git_dir / "index").exists():
        shutil.copy2(place.git_dir / "index", index)
    objects = os.fsdecode(_own(place, "rev-parse", "--path-format=absolute", "--git-path", "objects")).strip()
    variables = {
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(scratch.folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
    }
    _own(place, "add", "--update", "--", ".", variables=variables)
    return parsed(_own(place, "ls-files", "--stage", "-z", "--", ".", variables=variables))


def project_tree(scratch: Scratch, place: WorkTree, revision: str = "HEAD") -> Tree:
    """Return the files of the project as committed, by their paths inside it."""
    whole = scratch.read(_commit(place, revision))
    if not place.prefix:
        return whole
    return {
        path.removeprefix(place.prefix): entry
        for path, entry in whole.items()
        if path.startswith(place.prefix)
    }


def apply(place: WorkTree, scratch: Scratch, merged: Merge) -> None:
    """Make the project's files and index those of the merge; conflicts are unmerged paths of the index."""
    before = scratch.read(_commit(place, "HEAD"))
    after = {path: entry for path, entry in before.items() if not path.startswith(place.prefix)}
    if not place.prefix:
        after = {}
    after |= {place.prefix + path: entry for path, entry in merged.tree.items()}
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    stages = {place.prefix + path: found for path, found in merged.stages.items()}
    _check_free(place.root, changed, before, after)
    tree = scratch.write(after)
    head = _tree_id(place)
    with journal.opened(place.root, place.git_dir) as keeping:
        check(place)
        _lend(scratch, place, tree, head, stages)
        keeping.begin(changed)
        try:
            _check_out(place.root, keeping.lock, head, tree)
            _mark(place.root, after, stages)
        except BaseException:
            keeping.undo()
            raise
        keeping.end()


def _commit(place: WorkTree, revision: str) -> str:
    return git(place.root, "rev-parse", "--verify", f"{revision}^{{commit}}")[1].decode().strip()


def _tree_id(place: WorkTree) -> str:
    return git(place.root, "rev-parse", "--verify", "HEAD^{tree}")[1].decode().strip()


def _check_free(root: Path, changed: Iterable[str], before: Tree, after: Tree) -> None:
    """Raise ProjectError for a file that git does not know and that stands where a new one goes."""
    for path in changed:
        if path in before or path not in after:
            continue
        place = root / path
        if place.is_dir() and not place.is_symlink():
            below = [Path(folder, name) for folder, _, names in os.walk(place) for name in names]
            stray = [item for item in below if item.relative_to(root).as_posix() not in before]
        else:
            stray = [place] if os.path.lexists(place) and not _under_file(path, before) else []
        if stray:
            raise ProjectError(
                f"{stray[0]} is in the way: the template brings {path}, and git does not know your file.",
                f"Commit it, or move it away: `mv {stray[0]} {stray[0]}.mine`.",
            )


def _under_file(path: str, before: Tree) -> bool:
    """Whether a file of the last commit stands where the path needs a folder."""
    return any(parent in before for parent in map(str, Path(path).parents))


def _lend(scratch: Scratch, place: WorkTree, tree: str, head: str, stages: dict[str, Conflicted]) -> None:
    """Copy the new objects into the project; without a name they are only so much unused space."""
    sides = {
        entry.object
        for found in stages.values()
        for entry in (found.base, found.ours, found.theirs)
        if entry and entry.mode != "160000"
    }
    wanted = "\n".join([tree, *sorted(sides), f"^{head}", ""])
    pack = scratch.git("pack-objects", "--revs", "--stdout", "--quiet", stdin=wanted.encode())
    git(place.root, "unpack-objects", "-q", stdin=pack)


def _check_out(root: Path, lock: int, head: str, tree: str) -> None:
    """Have git write the files, with the project's settings for line ends; it holds our lock meanwhile."""
    # The second names of the journal have changed the files' times: git has to look at them once more.
    program.run(root, "update-index", "-q", "--refresh", held=(lock,))
    done = program.run(root, "read-tree", "-m", "-u", head, tree, held=(lock,))
    if done.returncode:
        raise ScaffoldError(
            f"The files of {root} were not changed: git says: {program.reason(done)}",
            "Mend that, then repeat the command.",
        )


def _mark(root: Path, after: Tree, stages: dict[str, Conflicted]) -> None:
    lines: list[bytes] = []
    for path, found in stages.items():
        name = os.fsencode(path)
        if path in after:
            lines.append(f"0 {'0' * len(after[path].object)}\t".encode() + name)
        lines += [
            f"{entry.mode} {entry.object} {number}\t".encode() + name for number, entry in _numbered(found)
        ]
    if lines:
        git(root, "update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0")


def _numbered(found: Conflicted) -> list[tuple[int, Entry]]:
    sides = ((1, found.base), (2, found.ours), (3, found.theirs))
    return [(number, entry) for number, entry in sides if entry]
