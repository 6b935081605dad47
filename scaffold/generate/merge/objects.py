"""A scratch repository that borrows a project's objects: trees are read, made and merged there.

Nothing is written into the project, and nothing that a project or a template brings is run: no hooks, filters
or attributes of theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import git as program

LINK, SUBMODULE = "120000", "160000"
MERGE_TREE = (2, 38)
"""The git that can merge without a working tree."""

_SETTINGS = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.safecrlf": "false",
    "core.excludesFile": "/dev/null",
    "core.fileMode": "true",
    "core.symlinks": "true",
    "merge.conflictStyle": "diff3",
    "merge.directoryRenames": "false",  # a new file of the team stays where the team put it
    "merge.renames": "true",
    "merge.renameLimit": "20000",
}
_OPTIONS = tuple(part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}"))
_NOBODY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (
        ("NAME", "scaffold"),
        ("EMAIL", "scaffold@localhost"),
        ("DATE", "2000-01-01T00:00:00Z"),
    )
}


@dataclass(frozen=True)
class Entry:
    """A file of a tree."""

    mode: str
    object: str


Tree = Mapping[str, Entry]


@dataclass(frozen=True)
class Conflicted:
    """What git could not merge at a path: the entries of the three sides that have one."""

    base: Entry | None = None
    ours: Entry | None = None
    theirs: Entry | None = None


@dataclass(frozen=True)
class MergedTree:
    """A merged tree, with markers in the files that conflict."""

    tree: Tree
    conflicts: Mapping[str, Conflicted] = field(default_factory=dict)


class GitFailed(ScaffoldError):
    """git did not do what it was asked to."""


@cache
def git_version() -> tuple[int, int]:
    """Return the major and minor version of the git that is found."""
    if not program.is_installed():
        raise ScaffoldError("git is not installed; following a template needs it.", "Install git.")
    found = re.search(r"(\d+)\.(\d+)", os.fsdecode(program.run(Path("/"), "--version").stdout))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def git(
    folder: Path,
    *arguments: str,
    stdin: bytes | None = None,
    variables: Mapping[str, str] | None = None,
    accepted: int = 0,
    held: tuple[int, ...] = (),
) -> tuple[int, bytes]:
    """Run git; its exit code, at most `accepted`, and what it printed. GitFailed with its last words."""
    done = program.run(folder, *_OPTIONS, *arguments, stdin=stdin, variables=variables, held=held)
    if not 0 <= done.returncode <= accepted:
        verb = next((word for word in arguments if not word.startswith("-")), "")
        raise GitFailed(f"git {verb} failed: {program.reason(done)}")
    return done.returncode, done.stdout


class Scratch:
    """A bare repository in a folder of its own."""

    def __init__(self, folder: Path, project: Path) -> None:
        """Make it in `folder`, an empty one; `project` is a work tree whose objects it may read."""
        self.folder = folder
        self._project = project
        form = git(project, "rev-parse", "--show-object-format")[1].decode().strip()
        git(project, "init", "--quiet", "--bare", "--template=", f"--object-format={form}", str(folder))
        objects = git(project, "rev-parse", "--path-format=absolute", "--git-path", "objects")[1].rstrip(
            b"\n"
        )
        for below in ("info", "objects/info"):
            (folder / below).mkdir(parents=True, exist_ok=True)
        (folder / "objects/info/alternates").write_bytes(objects + b"\n")
        # What stands in a rendered folder is taken as it is, whatever its .gitattributes says.
        (folder / "info/attributes").write_text("* -text -filter -ident -eol -working-tree-encoding\n")

    def git(
        self, *arguments: str, variables: Mapping[str, str] | None = None, stdin: bytes | None = None
    ) -> bytes:
        """Run git on the scratch repository."""
        both = {**_NOBODY, **(variables or {})}
        return git(self.folder, f"--git-dir={self.folder}", *arguments, stdin=stdin, variables=both)[1]

    def add(self, rendered: Path, name: str) -> Tree:
        """Return the tree of a folder, ignored files included. `name` tells it from others."""
        env = {**_NOBODY, "GIT_INDEX_FILE": str(self.folder / f"index-{name}")}
        places = (f"--git-dir={self.folder}", f"--work-tree={rendered}")
        git(rendered, *places, "add", "--all", "--force", ".", variables=env)
        return parsed(self.git("ls-files", "--stage", "-z", variables=env))

    def update(self, folder: Path, tree: Tree) -> Tree:
        """Return the tree of a folder that began as another tree; what its .gitignore names stays out."""
        index = self.folder / "index-update"
        index.unlink(missing_ok=True)
        env = {**_NOBODY, "GIT_INDEX_FILE": str(index)}
        self.git("read-tree", self.write(tree), variables=env)
        places = (f"--git-dir={self.folder}", f"--work-tree={folder}")
        git(folder, *places, "add", "--all", ".", variables=env)
        return parsed(self.git("ls-files", "--stage", "-z", variables=env))

    def check_out(self, tree: Tree, folder: Path) -> Path:
        """Write the files of a tree into an empty folder, as they are."""
        index = self.folder / "index-checkout"
        index.unlink(missing_ok=True)
        places = (f"--git-dir={self.folder}", f"--work-tree={folder}", "-c", "core.bare=false")
        env = {**_NOBODY, "GIT_INDEX_FILE": str(index)}
        git(folder, *places, "read-tree", "-m", "-u", self.write(tree), variables=env)
        return folder

    def read(self, revision: str) -> Tree:
        """Return the tree of a revision or tree id."""
        found: dict[str, Entry] = {}
        for line in self.git("ls-tree", "-r", "-z", "--full-tree", revision).split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, _, oid = about.decode().split(" ", 2)
                found[os.fsdecode(path)] = Entry(mode, oid)
        return found

    def write(self, tree: Tree) -> str:
        """Write a tree and return its id."""
        index = self.folder / "index-write"
        index.unlink(missing_ok=True)
        env = {"GIT_INDEX_FILE": str(index)}
        lines = b"".join(
            f"{entry.mode} {entry.object}\t".encode() + os.fsencode(path) + b"\0"
            for path, entry in tree.items()
        )
        self.git("update-index", "-z", "--index-info", variables=env, stdin=lines)
        return self.git("write-tree", "--missing-ok", variables=env).decode().strip()

    def store(self, content: bytes) -> str:
        """Write a file's content and return its id."""
        return self.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()

    def contents(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of several files at once."""
        wanted = list(dict.fromkeys(oids))
        if not wanted:
            return {}
        said = self.git("cat-file", "--batch", stdin="\n".join(wanted).encode() + b"\n")
        found: dict[str, bytes] = {}
        at = 0
        for oid in wanted:
            end = said.index(b"\n", at)
            header = said[at:end].decode().split(" ")
            if len(header) != 3:
                raise GitFailed(
                    f"The object {oid} is missing from the project's repository.", "Try `git fsck`."
                )
            size = int(header[2])
            found[oid] = said[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    def commit(self, tree: Tree, parents: Sequence[str] = ()) -> str:
        """Write a commit and return its id."""
        options = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", self.write(tree), *options, "-m", "a side of a merge").decode().strip()

    def merge(self, base: Tree, ours: Tree, theirs: Tree) -> MergedTree:
        """Merge three trees as git merges branches, renames included."""
        root = self.commit(base)
        # git writes these names into paths where a file and a folder meet.
        for name, tree in (("yours", ours), ("template", theirs)):
            self.git("update-ref", f"refs/heads/{name}", self.commit(tree, (root,)))
        if git_version() >= MERGE_TREE:
            return self._merge_trees()
        return self._merge_checkout()

    def _merge_trees(self) -> MergedTree:
        words = ("merge-tree", "--write-tree", "-z", "--no-messages", "yours", "template")
        code, said = git(self.folder, f"--git-dir={self.folder}", *words, variables=_NOBODY, accepted=1)
        tree, *stages = said.split(b"\0")
        conflicts = _stages(stages) if code else {}
        return MergedTree(self.read(tree.decode()), conflicts)

    def _merge_checkout(self) -> MergedTree:
        """The same with a git before 2.38: in a checkout of its own beside the scratch repository."""
        place = self.folder / "checkout"
        place.mkdir()
        at = (f"--git-dir={self.folder}", f"--work-tree={place}")
        env = {**_NOBODY, "GIT_INDEX_FILE": str(self.folder / "index-merge")}

        def here(*arguments: str, accepted: int = 0) -> tuple[int, bytes]:
            words = (*at, "-c", "core.bare=false", *arguments)
            return git(place, *words, variables=env, accepted=accepted)

        here("checkout", "--quiet", "--force", "yours")
        code, _ = here("merge", "--quiet", "--no-commit", "--no-ff", "--no-verify", "template", accepted=1)
        conflicts = _stages(here("ls-files", "--unmerged", "-z")[1].split(b"\0")) if code else {}
        here("add", "--all", "--force", ".")
        return MergedTree(parsed(here("ls-files", "--stage", "-z")[1]), conflicts)


def parsed(listing: bytes) -> Tree:
    """Return the tree that `git ls-files --stage -z` lists."""
    found: dict[str, Entry] = {}
    for line in listing.split(b"\0"):
        if line:
            about, _, path = line.partition(b"\t")
            mode, oid, _ = about.decode().split(" ")
            found[os.fsdecode(path)] = Entry(mode, oid)
    return found


def _stages(listing: Iterable[bytes]) -> dict[str, Conflicted]:
    found: dict[str, dict[str, Entry]] = {}
    for line in listing:
        if not line:
            break  # messages would follow
        about, _, path = line.partition(b"\t")
        mode, oid, stage = about.decode().split(" ")
        found.setdefault(os.fsdecode(path), {})[stage] = Entry(mode, oid)
    return {
        path: Conflicted(stages.get("1"), stages.get("2"), stages.get("3")) for path, stages in found.items()
    }
