"""Templates that mean harm: each one is refused within seconds, with nothing written and nothing run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scaffold.cli import app
from scaffold.engine import resolve
from scaffold.errors import ProjectError
from scaffold.generate import confined, hostile
from scaffold.generate.confined import Limits
from scaffold.generate.listing import Entry, Kind
from scaffold.generate.merge import formats
from scaffold.project import checkout
from tests.hostile.corpus import BOMB, SPECIAL, TEMPLATES, Hostile
from tests.projects import SCAFFOLD

SECONDS = 20
"""The longest that a refusal may take on a busy machine."""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a person who has hooks, filters and a monitor of their own."""
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks/pre-commit").write_text(f"#!/bin/sh\ntouch {tmp_path}/canary/own-hook\n")
    (home / "hooks/pre-commit").chmod(0o755)
    touch = f"touch {tmp_path}/canary"
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n"
        f'[core]\n\thooksPath = {home}/hooks\n\tfsmonitor = "{touch}/own-monitor #"\n'
        f'[filter "own"]\n\tclean = "{touch}/own-filter; cat"\n\tprocess = "{touch}/own-process"\n'
        f"[init]\n\ttemplateDir = {home}/template\n[gpg]\n\tprogram = {home}/hooks/pre-commit\n"
        "[commit]\n\tgpgSign = true\n"
    )
    (home / "template/hooks").mkdir(parents=True)
    os.link(home / "hooks/pre-commit", home / "template/hooks/post-commit")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Limits, "__init__", _impatient)
    folder = tmp_path / "workplace"
    folder.mkdir()
    (tmp_path / "canary").mkdir()
    monkeypatch.chdir(folder)
    return folder


_init = Limits.__init__


def _impatient(self: Limits, seconds: int = 2, **others: int) -> None:
    _init(self, min(seconds, 2), **others)


def refused(template: Hostile, folder: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """What `scaffold new` says of the template; it has to refuse, and leave and run nothing."""
    around = folder.parent
    template.write(around / "template", around / "canary")
    options = [f"--template={around}/template", "--defaults"]
    if template.answers is not None:
        (around / "answers.yml").write_text(template.answers)
        options.append(f"--answers={around}/answers.yml")
    before = sorted(os.walk(around))
    began = time.monotonic()
    code = app.run(["new", "myapp", *options])
    took = time.monotonic() - began
    out, said = capfd.readouterr()
    assert code in (1, 2), (out, said)
    assert out == ""
    assert said.startswith("error: ")
    assert "bug in scaffold" not in said
    assert "Traceback" not in said
    assert took < SECONDS
    assert sorted(os.walk(around)) == before, "something was written"
    return said


@pytest.mark.parametrize("template", TEMPLATES, ids=str)
def test_hostile_template_is_refused(
    template: Hostile, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refused(template, workplace, capfd)
    assert template.says in " ".join(said.split())
    assert "\x1b" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
@pytest.mark.parametrize("template", SPECIAL, ids=str)
def test_hostile_template_of_root_is_refused(
    template: Hostile, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert template.says in refused(template, workplace, capfd)


def test_corpus_is_large_and_has_no_name_twice() -> None:
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES) >= 30


def test_harmless_names_are_accepted_and_nothing_of_the_person_runs(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {
        "p/.gitignore": "*.log\n",
        "p/.gitattributes": "* filter=own ident diff=own merge=own\n",
        "p/.gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ../x\n',
        "p/.github/workflows/ci.yml": "on: push\n",
        "p/.gitkeep": "",
        "p/git": "",
        "p/digit~1": "",
        "p/HEAD": "no reference\n",
        "p/caf\u00e9 \u65e5\u672c.md": "",
        "p/sub/up": "",
    }
    Hostile("harmless", files, "").write(workplace.parent / "template", workplace.parent / "canary")
    code = app.run(["new", "myapp", f"--template={workplace.parent}/template", "--defaults"])
    assert code == 0, capfd.readouterr().err
    listed = subprocess.run(
        ("git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-C", "myapp", "ls-files"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert {name.removeprefix("p/") for name in files} <= set(listed)
    assert list((workplace.parent / "canary").iterdir()) == []
    assert not Path("myapp/.git/hooks").exists()


def test_link_inside_the_project_is_kept(workplace: Path) -> None:
    from tests.hostile.corpus import Link

    template = Hostile(
        "links",
        {"p/a/one": Link("../README.md"), "p/two": Link("a/one"), "p/three": Link("./a/./../a")},
        "",
        extra="_preserve_symlinks: true\n",
    )
    template.write(workplace.parent / "template", workplace.parent / "canary")
    assert app.run(["new", "myapp", f"--template={workplace.parent}/template", "--defaults"]) == 0
    assert Path("myapp/two").read_text() == "hello\n"
    assert Path("myapp/a/one").readlink() == Path("../README.md")


# ── the decision by itself ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [".gitignore", ".github", "git", "git~", "git~x", ".gitx", "a.git", ".g it"])
def test_names_that_resemble_git_are_names(name: str) -> None:
    hostile.check([Entry(f"sub/{name}")])


@pytest.mark.parametrize(
    "tree",
    [
        [Entry("/etc/x")],
        [Entry("a/../../x")],
        [Entry("a//b")],
        [Entry("pipe", Kind.PIPE)],
        [Entry("tty", Kind.DEVICE)],
        [Entry("s", Kind.SOCKET)],
        [Entry("sh", is_privileged=True)],
        [Entry("a\udcffb")],
        [Entry("a", Kind.LINK, "b"), Entry("b", Kind.LINK, "a")],
        [Entry("a", Kind.LINK, "C:\\x")],
        [Entry("a", Kind.LINK, "sub/.GIT/hooks")],
        [Entry("a/gitmod~1", Kind.LINK, "x")],
        [Entry("x/head"), Entry("x/Objects", Kind.FOLDER), Entry("x/refs", Kind.LINK, "../refs")],
    ],
)
def test_tree_is_refused(tree: list[Entry]) -> None:
    with pytest.raises(hostile.HostileTree):
        hostile.check(tree)


@pytest.mark.parametrize("text", [BOMB, "x: &x [*x]\n", "x: " + "[" * 10_000])
def test_bomb_in_a_file_that_is_merged_is_unreadable(text: str) -> None:
    with pytest.raises(formats.Unreadable):
        formats.parse("yaml", text)


def bombs() -> dict[str, str]:
    app = "services: {app: {image: x}}\n"
    aliases = BOMB
    for letter in "abcdefghi":
        aliases = re.sub(rf"^{letter}:", f"x-{letter}:", aliases, flags=re.MULTILINE)
    return {"aliases": aliases + app, "brackets": f"x-a: {'[' * 10_000}{']' * 10_000}\n{app}"}


@pytest.mark.parametrize("name", bombs())
def test_bomb_as_compose_file_is_one_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compose.yaml").write_text(bombs()[name])
    before = sum(os.times()[2:4])
    monkeypatch.setattr(resolve, "_SECONDS", 2)
    with pytest.raises(ProjectError, match="cannot be used"):
        resolve.Resolving.begin(checkout.find(tmp_path)).result()
    spent = os.times()
    assert spent.children_user + spent.children_system - before < 10  # of the processor, however busy it is


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["p/a.jinja", "copier.yml"])
def test_endless_template_ends_by_a_signal_and_leaves_nothing(
    ending: signal.Signals, place: str, tmp_path: Path
) -> None:
    loop = "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4
    question = f"x: {{type: str, default: '{loop}', when: false}}\n" if place == "copier.yml" else ""
    files = {} if question else {place: loop}
    Hostile("endless", files, "", extra=question).write(tmp_path / "template", tmp_path)
    (tmp_path / "workplace").mkdir()
    child = subprocess.Popen(
        (SCAFFOLD, "new", "myapp", f"--template={tmp_path}/template", "--defaults"),
        cwd=tmp_path / "workplace",
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    time.sleep(3)
    os.killpg(child.pid, ending) if ending == signal.SIGINT else child.send_signal(ending)
    began = time.monotonic()
    _, said = child.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert child.returncode in (130, -ending), said
    assert b"Traceback" not in said
    assert list((tmp_path / "workplace").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_writes_without_end_is_stopped(tmp_path: Path) -> None:
    def write() -> None:
        for place in range(10**9):
            (tmp_path / str(place)).write_bytes(b"x" * 2**20)

    with pytest.raises(confined.Exceeded, match="writes more than 8 MiB"):
        confined.run(write, Limits(written=2**23), tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2**31


def test_file_without_end_is_stopped(tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "large").open("wb") as stream:
            while True:
                stream.write(b"x" * 2**20)

    with pytest.raises(confined.Exceeded, match="a file larger than 8 MiB"):
        confined.run(write, Limits(file=2**23), tmp_path)


def test_error_of_the_disk_comes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        confined.run((tmp_path / "none").read_text, Limits(), tmp_path)
    assert caught.value.filename == str(tmp_path / "none")
