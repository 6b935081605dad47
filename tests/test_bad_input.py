"""What is wrong with a template, project or machine, or odd about it: a clear error or a right result."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import copier
import pytest
import yaml

import scaffold
from scaffold.errors import ScaffoldError
from scaffold.generate import requirements
from tests.repositories import ANSWERS, TINY, commit, git, repository, write
from tests.soak import SOAK
from tests.test_errors import where

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a cache of the test's own, and an empty current folder."""
    home, place = tmp_path / "home", tmp_path / "work place"
    home.mkdir()
    place.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(place)
    return place


def run(*command: str, code: int = 0, **environment: str) -> str:
    """What a command has to say, on one line; without `environment` of a program of another folder."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    said = " ".join((done.stderr + done.stdout).split())
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "bug in scaffold" not in said
    return said


def new(template: Path, name: str = "my app", *more: str) -> Path:
    run(SCAFFOLD, "new", name, "--template", str(template), "--defaults", *more)
    return Path(name).resolve()


def update(project: Path, code: int = 0, **environment: str) -> str:
    return run(SCAFFOLD, "update", "-C", str(project), code=code, **environment)


def state(project: Path) -> dict[str, bytes | str]:
    """Every file of a project with its content, or where it leads."""
    return {
        str(path.relative_to(project)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(project.rglob("*"))
        if ".git" not in path.relative_to(project).parts and (path.is_symlink() or path.is_file())
    }


def of(files: dict[str, str], project: Path) -> dict[str, bytes | str]:
    return {**{name: text.encode() for name, text in files.items()}, **answers_of(project)}


def answers_of(project: Path) -> dict[str, bytes | str]:
    return {".copier-answers.yml": (project / ".copier-answers.yml").read_bytes()}


# ── a newer program is needed ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("program", ["scaffold", "copier"])
def test_template_that_needs_a_newer_program_is_refused_before_anything_is_asked(
    tmp_path: Path, own_folders: Path, program: str
) -> None:
    setting = f"_min_{program}_version: 99.1\nowner: {{type: str}}\n"
    template = repository(tmp_path / "t", TINY, "v1.0.0")
    project = new(template)
    commit(template, {"copier.yml": TINY["copier.yml"] + setting}, "v2.0.0")
    before = state(project)
    for said in (
        run(SCAFFOLD, "new", "other", "--template", str(template), code=1),
        update(project, code=1),
        run(SCAFFOLD, "template", "lint", str(template), code=1),
    ):
        assert f'"t" needs {program} 99.1 or newer; this is {program} ' in said
    assert f"-m pip install --upgrade scaffold-run{' copier' if program == 'copier' else ''}`" in update(
        project, code=1
    )
    assert state(project) == before
    assert not (own_folders / "other").exists()
    assert new(template.with_name("t@v1.0.0"), "older").is_dir(), "the older version goes on to work"


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [("0.0.1", True), (scaffold.__version__, True), ("0.2", True), ("99", False), ("new", False)],
)
def test_least_version_is_compared_as_versions_are(wanted: str, accepted: bool) -> None:
    if accepted:
        requirements.check("t", {"min_scaffold_version": wanted})
    else:
        with pytest.raises(ScaffoldError, match=wanted):
            requirements.check("t", {"min_scaffold_version": wanted})


@pytest.mark.parametrize(
    ("prefix", "libraries", "command"),
    [
        ("/home/ada/.local/share/pipx/venvs/scaffold-run", (), "`pipx upgrade scaffold-run`"),
        (
            "/home/ada/.local/share/pipx/venvs/scaffold-run",
            ("copier",),
            "`pipx runpip scaffold-run install --upgrade scaffold-run copier`",
        ),
        ("/home/ada/.local/share/uv/tools/scaffold-run", ("copier",), "`uv tool upgrade scaffold-run`"),
    ],
)
def test_upgrade_is_that_of_how_scaffold_was_installed(
    prefix: str, libraries: tuple[str, ...], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    with pytest.raises(ScaffoldError) as caught:
        requirements.check("t", {f"min_{'copier' if libraries else 'scaffold'}_version": "99"})
    assert command in str(caught.value.hint)


def test_plain_copier_passes_over_the_least_scaffold(tmp_path: Path) -> None:
    setting = {"copier.yml": TINY["copier.yml"] + "_min_scaffold_version: '0.1'\n"}
    template = repository(tmp_path / "t", {**TINY, **setting}, "v1.0.0")
    copier.run_copy(str(template), tmp_path / "plain", defaults=True, quiet=True)
    assert (tmp_path / "plain/README.md").read_text() == "unnamed v1.0.0\n"
    run(SCAFFOLD, "template", "lint", str(template))
    new(template)


# ── git ────────────────────────────────────────────────────────────────────────────────────────────────


def old_git(folder: Path, version: str) -> str:
    """A PATH with a git that says it is an older one, and knows no `merge-tree --write-tree`, as that."""
    real = shutil.which("git")
    assert real is not None
    script = (
        f'#!/bin/sh\nfor word; do case "$word" in\n--version) echo git version {version}; exit 0;;\n'
        f'--write-tree) echo "error: unknown option \\`write-tree\'" >&2; exit 129;;\n'
        f'esac; done\nexec {shlex.quote(real)} "$@"\n'
    )
    write(folder, {"git": script})
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    """A project that its template is ahead of, with a change of the team."""
    lines = "".join(f"line {number}\n" for number in range(9))
    template = repository(tmp_path / "t", {**TINY, "a.txt": lines}, "v1.0.0")
    project = new(template)
    commit(project, {"a.txt": lines + "team\n"})
    commit(template, {"a.txt": "new\n" + lines}, "v2.0.0")
    return project


def test_git_before_merge_tree_gives_the_same(followed: Path, tmp_path: Path) -> None:
    update(followed, PATH=old_git(tmp_path / "old", "2.34.1"))
    text = (followed / "a.txt").read_text()
    assert text.startswith("new\nline 0\n")
    assert text.endswith("line 8\nteam\n")


def test_git_that_is_too_old_is_named_with_what_it_takes(followed: Path, tmp_path: Path) -> None:
    before = state(followed)
    said = update(followed, code=1, PATH=old_git(tmp_path / "old", "2.25.1"))
    assert "git 2.25 is too old to follow a template: it takes git 2.31." in said
    assert state(followed) == before


def test_no_git_is_named(followed: Path, tmp_path: Path) -> None:
    before = state(followed)
    assert "git is not installed" in update(followed, code=1, PATH=str(tmp_path / "nothing"))
    assert state(followed) == before


# ── the disk ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("variable", "options", "reason"),
    [
        ("XDG_CACHE_HOME", "size=512k", "where 0 MB are free: No space left on device"),
        ("XDG_CACHE_HOME", "ro", "Read-only file system"),
        ("TMPDIR", "size=512k", "where 0 MB are free: unable to write file"),
    ],
)
def test_disk_that_cannot_take_the_template_is_named(
    tmp_path: Path, own_folders: Path, variable: str, options: str, reason: str
) -> None:
    template = repository(tmp_path / "t", TINY, "v1.0.0")
    (template / "large.bin").write_bytes(random.Random(1).randbytes(2_000_000))
    commit(template, {}, "v1.1.0")
    disk = tmp_path / "disk"
    disk.mkdir()
    # The lock and git's own first files would fit; the template does not.
    script = f"mount -t tmpfs -o {options} tmpfs {disk}\nexport {variable}={disk}"
    words = (SCAFFOLD, "new", "app", "--template", f"file://{template}", "--defaults")
    said = run(*where(script, *words), code=1)
    assert reason in said
    assert f"et {variable} to a folder" in said
    assert not (own_folders / "app").exists()
    run(*words)


# ── odd files ──────────────────────────────────────────────────────────────────────────────────────────


FILES = 10_000 if SOAK else 1000


def test_thousands_of_files_are_made_and_updated(tmp_path: Path) -> None:
    many = {f"d{number % 50}/f{number}.txt": f"{number}\n" for number in range(FILES)}
    rendered = {"name.txt.jinja": "{{ project_name }}\n"}
    template = repository(tmp_path / "t", {"copier.yml": TINY["copier.yml"], **ANSWERS, **many, **rendered})
    git(template, "tag", "v1.0.0")
    project = new(template, "app")
    made = {**many, "name.txt": "app\n"}
    assert state(project) == of(made, project)
    commit(project, {"d1/f1.txt": "team\n", "d2/own.txt": "team\n"})
    (template / "d3/f3.txt").unlink()
    commit(template, {"d0/f0.txt": "new\n", "d0/more.txt": "more\n"}, "v2.0.0")
    update(project)
    wanted = {
        **made,
        "d0/f0.txt": "new\n",
        "d0/more.txt": "more\n",
        "d1/f1.txt": "team\n",
        "d2/own.txt": "team\n",
    }
    del wanted["d3/f3.txt"]
    assert state(project) == of(wanted, project)


def test_names_with_spaces_and_other_letters(tmp_path: Path) -> None:
    files = {
        "a file.txt.jinja": "{{ project_name }}\n",
        "a folder/-dash 'quote' \"two\".txt": "1\n",
        "späß/日本 語.txt": "1\n",
        "{{ project_name }}/x.txt": "1\n",
    }
    template = repository(tmp_path / "our template", {**TINY, **files}, "v1.0.0")
    project = new(template, "my app")
    commit(project, {"späß/日本 語.txt": "1\nteam\n"})
    changed = {name: text + "2\n" for name, text in files.items() if "späß" not in name}
    commit(template, {**changed, "späß/日本 語.txt": "0\n1\n"}, "v2.0.0")
    update(project)
    found = state(project)
    assert found["späß/日本 語.txt"] == b"0\n1\nteam\n"
    assert found["a file.txt"] == b"my app\n2\n"
    assert found["a folder/-dash 'quote' \"two\".txt"] == b"1\n2\n"
    assert found["my app/x.txt"] == b"1\n2\n"


def test_binary_files_are_replaced_or_kept_whole(tmp_path: Path) -> None:
    one, two, ours = (random.Random(seed).randbytes(5000) for seed in range(3))
    template = repository(tmp_path / "t", TINY)
    for name in ("a.bin", "b.bin"):
        (template / name).write_bytes(one)
    commit(template, {}, "v1.0.0")
    project = new(template)
    assert state(project)["a.bin"] == one
    (project / "b.bin").write_bytes(ours)
    commit(project, {})
    for name in ("a.bin", "b.bin"):
        (template / name).write_bytes(two)
    commit(template, {}, "v2.0.0")
    assert "b.bin" in update(project, code=1)
    found = state(project)
    assert (found["a.bin"], found["b.bin"]) == (two, ours)


@pytest.mark.parametrize(
    ("before", "after", "team"),
    [
        (b"one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n", (b"one", b"ONE"), (b"five", b"FIVE")),
        (
            "äpfel\nzwei\ndrei\nvier\nbäume\n".encode("latin-1"),
            (b"zwei", b"ZWEI"),
            (b"b\xe4ume", b"B\xe4ume"),
        ),
        (b"\xef\xbb\xbfone\ntwo\nthree\nfour\nfive\n", (b"two", b"TWO"), (b"five", b"FIVE")),
    ],
    ids=["crlf", "latin-1", "byte order mark"],
)
def test_text_keeps_its_line_ends_and_letters(
    tmp_path: Path, before: bytes, after: tuple[bytes, bytes], team: tuple[bytes, bytes]
) -> None:
    template = repository(tmp_path / "t", TINY)
    (template / "text.txt").write_bytes(before)
    commit(template, {}, "v1.0.0")
    project = new(template)
    assert state(project)["text.txt"] == before
    (project / "text.txt").write_bytes(before.replace(*team))
    commit(project, {})
    (template / "text.txt").write_bytes(before.replace(*after))
    commit(template, {}, "v2.0.0")
    update(project)
    assert state(project)["text.txt"] == before.replace(*team).replace(*after)


def test_links_stay_links_and_follow(tmp_path: Path) -> None:
    links = {
        "copier.yml": TINY["copier.yml"] + "_preserve_symlinks: true\n",
        "one.txt": "1\n",
        "two.txt": "2\n",
    }
    template = repository(tmp_path / "t", {**TINY, **links})
    for name in ("a", "b"):
        (template / name).symlink_to("one.txt")
    commit(template, {}, "v1.0.0")
    project = new(template)
    assert state(project)["a"] == "one.txt"
    (project / "b").unlink()
    commit(project, {"b": "a file of the team\n"})
    (template / "a").unlink()
    (template / "a").symlink_to("two.txt")
    commit(template, {}, "v2.0.0")
    update(project)
    found = state(project)
    assert (found["a"], found["b"]) == ("two.txt", b"a file of the team\n")


def test_files_of_a_submodule_are_rendered_and_followed(tmp_path: Path) -> None:
    parts = repository(tmp_path / "parts", {"shared.txt.jinja": "{{ project_name }} 1\n"})
    template = repository(tmp_path / "t", TINY)
    git(template, "submodule", "--quiet", "add", str(parts), "parts")
    commit(template, {}, "v1.0.0")
    project = new(template)
    assert state(project)["parts/shared.txt"] == b"my app 1\n"
    commit(parts, {"shared.txt.jinja": "{{ project_name }} 2\n", "more.txt": "more\n"})
    git(template / "parts", "pull", "--quiet")
    commit(template, {}, "v2.0.0")
    update(project)
    found = state(project)
    assert (found["parts/shared.txt"], found["parts/more.txt"]) == (b"my app 2\n", b"more\n")


def test_answers_of_a_project_of_a_newer_scaffold_are_read(tmp_path: Path) -> None:
    """What a newer program notes in the answers file stays there."""
    template = repository(tmp_path / "t", TINY, "v1.0.0")
    project = new(template)
    file = project / ".copier-answers.yml"
    commit(project, {".copier-answers.yml": file.read_text() + "_made_by: scaffold 99\n"})
    commit(template, {"a.txt": "new\n"}, "v2.0.0")
    update(project)
    assert (project / "a.txt").read_text() == "new\n"
    assert yaml.safe_load(file.read_text())["_commit"] == "v2.0.0"
    assert json.loads(run(SCAFFOLD, "check", "-C", str(project), "--json"))
