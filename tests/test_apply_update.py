"""An update is applied whole or not at all: refused, failed, killed at any moment, in real repositories."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from scaffold.errors import Locked, ProjectError
from scaffold.generate import apply, journal
from scaffold.generate.merge.objects import Scratch
from scaffold.generate.merge.threeway import Labels, Sides, merge
from scaffold.project import checkout
from tests.soak import SOAK

BASE = {"a.txt": "1\n", "folder/b.txt": "b\n", "gone.txt": "g\n", "swap": "file\n", "run.sh": "#!/bin/sh\n"}
NEW = {
    "a.txt": "2\n",
    "folder/b.txt": "b2\n",
    "swap/inner": "folder\n",
    "new/deep/c": "c\n",
    "run.sh": "#!/bin/sh\nx\n",
}
OURS = {**BASE, "team.txt": "team\n"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    done = subprocess.run(
        ("git", *identity, *arguments), cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return folder


def project_of(folder: Path, files: Mapping[str, str] = OURS) -> Path:
    write(folder, files)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "start")
    return folder


def update(folder: Path, scratch: Path, base: Mapping[str, str] = BASE, new: Mapping[str, str] = NEW) -> None:
    """Merge the two versions into the project and apply it."""
    place = apply.locate(folder)
    (scratch / "bare").mkdir(parents=True)
    repository = Scratch(scratch / "bare", folder)
    sides = Sides(
        repository.add(write(scratch / "old", base), "old"),
        apply.project_tree(repository, place),
        repository.add(write(scratch / "new", new), "new"),
    )
    apply.check(place)
    apply.apply(place, repository, merge(repository, sides, Labels("v1", "v2"), "inline"))


def snapshot(folder: Path) -> dict[str, object]:
    """Every file and folder of the work tree with its content and mode, and what git says of it."""
    found: dict[str, object] = {}
    for root, folders, names in os.walk(folder):
        if ".git" in folders:
            folders.remove(".git")
        for name in (*names, *folders):
            path = Path(root, name)
            content = (
                None if path.is_dir() else str(path.readlink()) if path.is_symlink() else path.read_bytes()
            )
            found[str(path.relative_to(folder))] = (stat.S_IMODE(path.lstat().st_mode), content)
    found[".git"] = git(folder, "status", "--porcelain", "--untracked-files=all", "--ignored")
    found["index"] = git(folder, "ls-files", "--stage")
    return found


def test_files_and_index_are_those_of_the_merge(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p")
    update(project, tmp_path / "s")
    assert (project / "a.txt").read_text() == "2\n"
    assert (project / "swap/inner").read_text() == "folder\n"
    assert (project / "team.txt").exists()
    assert not (project / "gone.txt").exists()
    assert os.access(project / "run.sh", os.X_OK)
    assert git(project, "diff", "--name-only") == ""  # all of it is staged
    assert git(project, "fsck", "--strict") == ""
    assert not list((project / ".git").glob("scaffold-update*[!k]"))


def test_conflict_is_unmerged_in_the_index(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {**BASE, "a.txt": "ours\n"})
    update(project, tmp_path / "s")
    assert "UU a.txt" in git(project, "status", "--porcelain")
    assert "<<<<<<< yours" in (project / "a.txt").read_text()
    git(project, "checkout", "--ours", "a.txt")  # the sides are there to choose from
    assert (project / "a.txt").read_text() == "ours\n"


def test_project_in_a_folder_of_a_larger_repository(tmp_path: Path) -> None:
    root = project_of(
        tmp_path / "p", {"a.txt": "of the root\n", **{f"apps/one/{k}": v for k, v in OURS.items()}}
    )
    (root / "a.txt").write_text("edited, and none of the update's business\n")
    update(root / "apps/one", tmp_path / "s")
    assert (root / "apps/one/a.txt").read_text() == "2\n"
    assert (root / "a.txt").read_text() == "edited, and none of the update's business\n"


def test_linked_work_tree(tmp_path: Path) -> None:
    main = project_of(tmp_path / "p")
    git(main, "worktree", "add", "-q", str(tmp_path / "other"))
    update(tmp_path / "other", tmp_path / "s")
    assert (tmp_path / "other/a.txt").read_text() == "2\n"
    assert (main / "a.txt").read_text() == "1\n"


def test_uncommitted_changes_are_refused(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p")
    (project / "team.txt").write_text("not yet\n")
    before = snapshot(project)
    with pytest.raises(ProjectError, match=r"uncommitted changes: team\.txt"):
        update(project, tmp_path / "s")
    assert snapshot(project) == before


@pytest.mark.parametrize("ignored", [False, True])
def test_untracked_file_in_the_way_is_refused(tmp_path: Path, ignored: bool) -> None:
    project = project_of(tmp_path / "p", {**OURS, **({".gitignore": "new\n"} if ignored else {})})
    write(project, {"new/deep/c": "precious\n"})
    before = snapshot(project)
    with pytest.raises(ProjectError, match="new/deep/c"):
        update(project, tmp_path / "s", {**BASE, ".gitignore": "new\n"} if ignored else BASE, NEW)
    assert snapshot(project) == before


def test_untracked_file_in_a_folder_that_becomes_a_file(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {"d/x": "x\n"})
    write(project, {"d/mine": "precious\n"})
    with pytest.raises(ProjectError, match="d/mine"):
        update(project, tmp_path / "s", {"d/x": "x\n"}, {"d": "now a file\n"})
    assert (project / "d/mine").read_text() == "precious\n"


def test_folder_that_becomes_a_file(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {"d/x": "x\n"})
    update(project, tmp_path / "s", {"d/x": "x\n"}, {"d": "now a file\n"})
    assert (project / "d").read_text() == "now a file\n"


@pytest.mark.parametrize("under_way", ["rebase", "merge", "cherry-pick"])
def test_repository_in_the_middle_of_something_is_refused(tmp_path: Path, under_way: str) -> None:
    project = project_of(tmp_path / "p")
    git(project, "checkout", "-q", "-b", "other")
    (project / "a.txt").write_text("other\n")
    git(project, "commit", "-q", "-a", "-m", "other")
    git(project, "checkout", "-q", "-")
    (project / "a.txt").write_text("main\n")
    git(project, "commit", "-q", "-a", "-m", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(project, under_way, "other")
    with pytest.raises(ProjectError, match=rf"A {under_way} is under way") as raised:
        apply.check(apply.locate(project))
    assert f"git {under_way} --abort" in str(raised.value.hint)


def test_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not under git"):
        apply.locate(write(tmp_path / "p", OURS))


def test_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(write(tmp_path / "p", OURS), "init", "-q")
    with pytest.raises(ProjectError, match="no commit yet"):
        apply.check(apply.locate(tmp_path / "p"))


def test_without_an_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path / "p")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    update(project, tmp_path / "s")
    assert (project / "a.txt").read_text() == "2\n"


def test_line_ends_and_links_are_written_as_the_project_wants(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {"w.bat": "1\n", ".gitattributes": "*.bat text eol=crlf\n"})
    files = {"w.bat": "1\n", ".gitattributes": "*.bat text eol=crlf\n"}
    update(project, tmp_path / "s", files, {**files, "w.bat": "2\n"})
    assert (project / "w.bat").read_bytes() == b"2\r\n"
    assert git(project, "diff", "--name-only") == ""


def test_two_at_once(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p")
    with journal.opened(project, project / ".git"), pytest.raises(Locked):
        update(project, tmp_path / "s")
    assert (project / "a.txt").read_text() == "1\n"


def test_ten_thousand_files(tmp_path: Path) -> None:
    many = {f"d{number % 50}/f{number}.txt": f"{number}\n" for number in range(10_000)}
    project = project_of(tmp_path / "p", many)
    started = time.monotonic()
    update(project, tmp_path / "s", many, {**many, "d0/f0.txt": "new\n"})
    assert (project / "d0/f0.txt").read_text() == "new\n"
    assert time.monotonic() - started < 60


# ── what comes to no good end ──────────────────────────────────────────────────────────────────────────


def test_disk_full_leaves_the_project_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the big file is the last that git writes."""
    project = project_of(tmp_path / "p")
    before = snapshot(project)
    code = """
import resource, signal, sys
from pathlib import Path
from scaffold.generate import apply
from tests import test_apply_update as tests
whole = apply._check_out
def full(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    return whole(*arguments)
apply._check_out = full
project, scratch = map(Path, sys.argv[1:])
tests.update(project, scratch, tests.BASE, {**tests.NEW, "z.bin": "z" * 900_000})
"""
    command = (sys.executable, "-c", code, str(project), str(tmp_path / "s"))
    home = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, check=False)
    assert done.returncode != 0
    assert "were not changed" in done.stderr
    assert snapshot(project) == before


MANY = {f"d{number % 10}/f{number}": f"{number}\n" for number in range(400)}
MANY_NEW = {name: text + "new\n" for name, text in MANY.items()}
PROGRAM = """
import sys
from pathlib import Path
from tests import test_apply_update as tests
base, new = {**tests.BASE, **tests.MANY}, {**tests.NEW, **tests.MANY_NEW}
print("ready", flush=True)
tests.update(Path(sys.argv[1]), Path(sys.argv[2]), base, new)
"""
KILLS = 200 if SOAK else 12


def test_killed_at_any_moment_is_undone_by_the_next_command(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {**OURS, **MANY})
    before = snapshot(project)
    choice = random.Random(7)
    half_done = whole = 0
    longest = measured(project, tmp_path, before)
    for number in range(KILLS):
        process = subprocess.Popen(
            (sys.executable, "-c", PROGRAM, str(project), str(tmp_path / f"s{number}")),
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        place = project / ".git" / "scaffold-update"
        # Half of the kills wait for the journal: the moment in which files change is short.
        if number % 2:
            while not place.exists() and process.poll() is None:
                time.sleep(0.0005)
            time.sleep(choice.uniform(0, 0.03))
        else:
            time.sleep(choice.uniform(0, longest))
        os.kill(process.pid, signal.SIGKILL)  # scaffold alone: the git that it started lives on
        process.wait()
        process.stdout.close()
        half_done += place.exists()
        recover_soon(project)
        after = snapshot(project)
        if after != before:
            whole += 1
            assert (project / "swap/inner").exists()
            assert git(project, "status", "--porcelain", "--untracked-files=no").strip()
            git(project, "reset", "-q", "--hard")
            git(project, "clean", "-fdq")
        assert snapshot(project) == before
    assert half_done >= KILLS // 5
    print(f"{KILLS} kills: {half_done} half done and undone, {whole} came after the end")


def measured(project: Path, folder: Path, before: object) -> float:
    started = time.monotonic()
    command = (sys.executable, "-c", PROGRAM, str(project), str(folder / "whole"))
    subprocess.run(command, check=True, cwd=Path(__file__).parent.parent)
    git(project, "reset", "-q", "--hard")
    git(project, "clean", "-fdq")
    assert snapshot(project) == before
    return time.monotonic() - started


def recover_soon(project: Path) -> None:
    """As the next command does it; while the git of the killed one still writes, it is told so."""
    for _ in range(100):
        try:
            journal.recover(project)
        except Locked:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the lock is never free")


def test_recovery_that_is_killed_too_is_finished_by_the_next(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p")
    before = snapshot(project)
    with journal.opened(project, project / ".git") as keeping:
        keeping.begin(["a.txt", "swap", "swap/inner", "new/deep/c", "gone.txt"])
    git(project, "rm", "-q", "a.txt", "gone.txt", "swap")
    write(project, {"swap/inner": "folder\n", "new/deep/c": "c\n"})
    os.link(project / ".git/scaffold-update/0", project / "a.txt")  # put back already
    (project / "new/deep/c").unlink()
    assert journal.recover(project / "folder") == project
    assert snapshot(project) == before
    assert journal.recover(project) is None


def test_every_command_of_the_project_recovers_first(tmp_path: Path) -> None:
    project = project_of(tmp_path / "p", {**OURS, "compose.yaml": "services: {}\n"})
    before = snapshot(project)
    with journal.opened(project, project / ".git") as keeping:
        keeping.begin(["compose.yaml", "a.txt"])
    git(project, "rm", "-q", "compose.yaml", "a.txt")
    assert checkout.find(project / "folder").path == project
    assert snapshot(project) == before
