"""A template's own programs run only when a person trusted just these; with real templates and terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pytest

from scaffold.errors import ScaffoldError
from scaffold.generate import destination, project, sources, trust
from scaffold.generate.sources import Template
from scaffold.generate.trust import Code
from tests.repositories import TINY, commit, git, repository, write

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
TASKS = {
    "copier.yml": (
        "_subdirectory: project\n"
        "project_name: {type: str, default: unnamed}\n"
        "_tasks:\n"
        "  - sh setup.sh {{ project_name }}\n"
        "  - {command: [touch, '{{ project_name }}.made'], when: '{{ project_name }}'}\n"
    ),
    "project/setup.sh": "pwd > here.txt; echo said by a task\n",
    "project/README.md.jinja": "{{ project_name }}\n",
    "project/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
    "scripts/release.py": "print()\n",
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home, place = tmp_path / "home", tmp_path / "workplace"
    home.mkdir()
    place.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return repository(tmp_path / "tasks", TASKS, "v1.0.0")


def new(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (SCAFFOLD, "new", *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def on_terminal(*arguments: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        SCAFFOLD,
        ["new", *arguments],
        timeout=60,
        encoding="utf-8",
        dimensions=(50, 120),
        env=os.environ.copy(),
    )


def code_of(folder: Path, files: Mapping[str, str]) -> Code:
    write(folder, files)
    return trust.code(Template("t", folder, str(folder)))


# ── leave ──────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_terminal_tasks_are_refused_before_anything_is_asked(tasks: Path) -> None:
    done = new("myapp", "--template", str(tasks))
    assert done.returncode == 1
    assert 'Template "tasks" runs programs of its own on this machine' in done.stderr
    assert f"scaffold template show {tasks}@v1.0.0" in " ".join(done.stderr.split())
    assert "--trust" in done.stderr
    assert list(Path().iterdir()) == []


def test_trusted_tasks_run_at_the_final_place_and_what_they_make_is_committed(
    tasks: Path, own_folders: Path
) -> None:
    done = new("myapp", "--template", str(tasks), "--trust", "--json")
    assert done.returncode == 0, done.stderr
    assert Path("myapp/here.txt").read_text() == f"{own_folders}/myapp\n"
    assert Path("myapp/myapp.made").exists()
    document = json.loads(done.stdout)  # what the tasks say is on standard error
    assert "said by a task" in done.stderr
    assert "here.txt" in document["files"]
    assert git(Path("myapp"), "status", "--porcelain") == ""


def test_trust_is_remembered_for_the_same_code_only(tasks: Path) -> None:
    assert new("one", "--template", str(tasks), "--trust").returncode == 0
    assert new("two", "--template", str(tasks)).returncode == 0
    commit(tasks, {"project/other.txt": "not code\n"}, "v1.1.0")
    assert new("three", "--template", str(tasks)).returncode == 0
    commit(tasks, {"project/setup.sh": "touch elsewhere\n"}, "v1.2.0")
    assert new("four", "--template", str(tasks)).returncode == 1
    assert new("five", "--template", f"{tasks}@v1.1.0").returncode == 0


def test_trust_of_one_source_is_none_of_another(tasks: Path, tmp_path: Path) -> None:
    assert new("one", "--template", str(tasks), "--trust").returncode == 0
    git(tmp_path, "clone", "--quiet", "tasks", "copy")
    assert new("two", "--template", str(tmp_path / "copy")).returncode == 1


def test_person_is_asked_once_and_sees_what_would_run(tasks: Path) -> None:
    child = on_terminal("myapp", "--template", str(tasks), "--defaults")
    child.expect("runs programs on this machine")
    child.expect("sh setup.sh")
    child.expect("project/setup.sh")
    child.expect("Trust it")
    child.send("y\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert Path("myapp/myapp.made").exists()
    assert new("again", "--template", str(tasks)).returncode == 0


def test_no_is_no(tasks: Path) -> None:
    child = on_terminal("myapp", "--template", str(tasks), "--defaults")
    child.expect("Trust it")
    child.send("\r")
    child.expect("Not trusted: nothing was done.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert list(Path().iterdir()) == []
    assert new("again", "--template", str(tasks)).returncode == 1


def test_pretend_runs_no_task_and_needs_no_trust(tasks: Path) -> None:
    done = new("myapp", "--template", str(tasks), "--pretend")
    assert done.returncode == 0, done.stderr
    assert "here.txt" not in done.stdout


def test_task_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", {**TASKS, "project/setup.sh": "exit 3\n"}, "v1.0.0")
    done = new("myapp", "--template", str(folder), "--trust")
    assert done.returncode == 1
    assert "failed with exit code 3: sh setup.sh myapp" in " ".join(done.stderr.split())
    assert list(Path().iterdir()) == []


def test_tasks_may_make_the_repository_themselves(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", {**TASKS, "project/setup.sh": "git init -q; git add -A\n"}, "v1.0.0")
    done = new("myapp", "--template", str(folder), "--trust")
    assert done.returncode == 0, done.stderr
    assert "The template's tasks made the git repository." in done.stdout


def test_library_runs_no_task_without_leave(tasks: Path) -> None:
    with pytest.raises(ScaffoldError, match="nobody trusted it"), sources.opened(str(tasks)) as template:
        project.create(template, destination.check("myapp"), {}, git=False)
    assert list(Path().iterdir()) == []


def test_migrations_alone_do_not_stop_a_new_project(tmp_path: Path) -> None:
    files = {**TINY, "copier.yml": TINY["copier.yml"] + "_migrations: [touch migrated]\n"}
    done = new("myapp", "--template", str(repository(tmp_path / "t", files, "v1.0.0")))
    assert done.returncode == 0, done.stderr
    assert not Path("myapp/migrated").exists()


def test_trust_reaches_no_file_outside_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "workplace/secret.yml").write_text("key: 1\n")
    files = {
        **TASKS,
        "copier.yml": TASKS["copier.yml"] + "_external_data: {other: ../secret.yml}\n",
        "project/stolen.jinja": "{{ _external_data.other.key }}",
    }
    done = new("myapp", "--template", str(repository(tmp_path / "t", files, "v1.0.0")), "--trust")
    assert done.returncode == 1
    assert "secret.yml" in done.stderr
    assert not Path("myapp").exists()


# ── extensions ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("extension", "package"),
    [
        ("copier_templates_extensions.TemplateExtensionLoader", "copier-templates-extensions"),
        ("jinja2_nowhere.Extension", "jinja2-nowhere"),
    ],
)
def test_missing_extension_is_named_with_the_command_that_brings_it(
    tmp_path: Path, extension: str, package: str
) -> None:
    files = {**TINY, "copier.yml": TINY["copier.yml"] + f"_jinja_extensions: [{extension}]\n"}
    done = new("myapp", "--template", str(repository(tmp_path / "t", files, "v1.0.0")), "--trust")
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert f"needs the Jinja extension {extension}, which is not installed." in said
    assert f"install {package}`" in said


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/ada/.local/share/pipx/venvs/scaffold-run", "`pipx inject scaffold-run jinja2-nowhere`"),
        (
            "/home/ada/.local/share/uv/tools/scaffold-run",
            "`uv tool install scaffold-run --with jinja2-nowhere`",
        ),
    ],
)
def test_command_is_that_of_how_scaffold_was_installed(
    tmp_path: Path, prefix: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = code_of(tmp_path / "t", {"copier.yml": "_jinja_extensions: [jinja2_nowhere.X]\n"})
    monkeypatch.setattr(sys, "prefix", prefix)
    with pytest.raises(ScaffoldError) as caught:
        trust.check_installed(Template("t", tmp_path / "t", "t"), code)
    assert command in str(caught.value.hint)


def test_installed_extension_works_once_it_is_trusted(tmp_path: Path) -> None:
    files = {
        **TINY,
        "copier.yml": TINY["copier.yml"] + "_jinja_extensions: [jinja2.ext.do]\n",
        "done.jinja": "{% set found = [] %}{% do found.append('yes') %}{{ found[0] }}",
    }
    folder = repository(tmp_path / "t", files, "v1.0.0")
    assert new("one", "--template", str(folder)).returncode == 1
    done = new("two", "--template", str(folder), "--trust")
    assert done.returncode == 0, done.stderr
    assert Path("two/done").read_text() == "yes"


# ── the fingerprint ────────────────────────────────────────────────────────────────────────────────────

CODE = {
    "copier.yml": "_subdirectory: project\n_tasks: [python scripts/setup.py, make install]\nname: x\n",
    "scripts/setup.py": "import helper\nopen('data.sh')\n",
    "project/Makefile": "install:\n\ttrue\n",
    "project/data.sh": "true\n",
    "project/app/main.py": "print()\n",
    "project/README.md": "about setup\n",
}


def test_files_of_the_code_are_those_outside_and_those_that_are_named(tmp_path: Path) -> None:
    assert code_of(tmp_path, CODE).files == ("project/Makefile", "project/data.sh", "scripts/setup.py")


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("scripts/setup.py", True),
        ("scripts/new.py", True),
        ("project/Makefile", True),
        ("project/data.sh", True),
        ("project/app/main.py", False),
        ("project/README.md", False),
    ],
)
def test_other_code_is_another_fingerprint_and_the_same_code_the_same(
    tmp_path: Path, path: str, changes: bool
) -> None:
    before = code_of(tmp_path, CODE).fingerprint
    assert (code_of(tmp_path, {path: "changed\n"}).fingerprint != before) is changes


@pytest.mark.parametrize(
    "declared",
    [
        "_tasks: [touch y]\n",
        "_tasks: [{command: touch x, when: '{{ a }}'}]\n",
        "_tasks: [touch x]\n_migrations: [touch z]\n",
        "_tasks: [touch x]\n_jinja_extensions: [jinja2.ext.do]\n",
        "_jinja_extensions: [jinja2.ext.do]\n---\n_tasks: [touch x]\n_jinja_extensions: [jinja2.ext.i18n]\n",
    ],
)
def test_every_declaration_is_part_of_the_fingerprint(tmp_path: Path, declared: str) -> None:
    before = code_of(tmp_path, {"copier.yml": "_tasks: [touch x]\n"}).fingerprint
    assert code_of(tmp_path, {"copier.yml": declared}).fingerprint != before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"copier.yml": "_tasks: ['{{ cmd }}']\ncmd: {default: touch x, when: false}\n"}, "touch y"),
        ({"copier.yml": "_tasks: ['{{ a }}']\na: '{{ cmd }}'\ncmd: touch x\n"}, "touch y"),
        ({"copier.yml": "_tasks: ['{{ _copier_answers.cmd }}']\ncmd: touch x\n"}, "touch y"),
        (
            {"copier.yml": "_subdirectory: p\n_tasks: [run-parts hooks]\n", "p/hooks/setup": "touch x"},
            "touch y",
        ),
        (
            {
                "copier.yml": "_subdirectory: p\n_tasks: ['{% include \"cmd.jinja\" %}']\n",
                "cmd.jinja": "touch x",
            },
            "touch y",
        ),
    ],
    ids=["never asked", "by another answer", "by all answers", "folder", "include"],
)
def test_what_a_command_is_put_together_from_is_part_of_it(
    tmp_path: Path, before: Mapping[str, str], after: str
) -> None:
    changed = {path: text.replace("touch x", after) for path, text in before.items()}
    one, other = code_of(tmp_path / "a", before), code_of(tmp_path / "b", changed)
    assert one.fingerprint != other.fingerprint


def test_question_that_no_command_takes_is_no_code(tmp_path: Path) -> None:
    text = "_tasks: ['touch {{ name }}']\nname: {default: x, help: Its name.}\nowner: me\n"
    one = code_of(tmp_path / "a", {"copier.yml": text})
    other = code_of(
        tmp_path / "b", {"copier.yml": text.replace("owner: me", "owner: you").replace("Its", "The")}
    )
    assert one.fingerprint == other.fingerprint


def test_program_in_a_submodule_is_part_of_it(tmp_path: Path) -> None:
    parts = repository(tmp_path / "parts", {"run.sh": "true\n"})
    outer = repository(tmp_path / "outer", {"copier.yml": "_tasks: [sh parts/run.sh]\n"})
    git(outer, "submodule", "--quiet", "add", str(parts), "parts")
    commit(outer, {}, "v1.0.0")
    with sources.opened(str(outer)) as template:
        assert trust.code(template).files == ("parts/run.sh",)


def test_included_tasks_are_seen(tmp_path: Path) -> None:
    code = code_of(tmp_path, {"copier.yml": "!include more.yml\n", "more.yml": "_tasks: [touch x]\n"})
    assert code.tasks == ("touch x",)


def test_old_and_new_forms_are_shown_on_one_line(tmp_path: Path) -> None:
    text = """
    _tasks:
      - [git, init]
      - {command: "one\\n two", when: "{{ x }}"}
    _migrations:
      - {version: v2.0.0, before: [old one], after: [[old, two]]}
      - {version: v3.0.0, command: new}
    """
    code = code_of(tmp_path, {"copier.yml": text})
    assert code.tasks == ("git init", "one two (when {{ x }})")
    assert code.migrations == ("old one; old two (from v2.0.0 on)", "new (from v3.0.0 on)")


def test_template_without_code_has_no_fingerprint(tmp_path: Path) -> None:
    assert code_of(tmp_path, {"copier.yml": "name: x\n", "run.sh": "true\n"}) == Code()


def test_bundled_template_runs_nothing() -> None:
    assert trust.code(sources.find("backend")) == Code()
