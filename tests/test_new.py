"""`scaffold new` as a user meets it: the real command, real terminals, the bundled template."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from scaffold.generate import questions, sources

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and the home of somebody whom git knows."""
    home, folder = tmp_path / "home", tmp_path / "workplace"
    home.mkdir()
    folder.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # The pseudo-terminals here do not answer where their cursor is.
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(folder)
    return folder


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


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def answers_in(folder: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(Path(folder, ".copier-answers.yml").read_text())
    return loaded


def version_of_the_template() -> dict[str, str]:
    """The keys of an answers file for the bundled template as it is now, between two releases or at one."""
    template = sources.find("backend")
    keys = {"_commit": template.version, "_commit_hash": template.commit}
    return {key: value for key, value in keys.items() if value is not None}


# ── in scripts ─────────────────────────────────────────────────────────────────────────────────────────


def test_defaults_make_a_committed_project_and_name_the_next_commands(workplace: Path) -> None:
    done = new("myapp", "--defaults")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Created myapp from the backend template: ")
    assert done.stdout.endswith("Next:\n  cd myapp\n  scaffold run\n")
    assert done.stderr == ""
    assert names(workplace) == ["myapp"]
    assert Path("myapp/.git").is_dir()
    assert os.access("myapp/run.sh", os.X_OK)


def test_answers_file_remembers_what_an_update_needs_and_no_path() -> None:
    new("myapp", "--no-git", "-d", "database=mongo")
    assert answers_in("myapp") == {
        **version_of_the_template(),
        "_src_path": "https://templates.scaffold.invalid/backend.git",
        "project_name": "myapp",
        "description": "A small backend service",
        "language": "python",
        "database": "mongo",
        "database_location": "container",
        "database_version": "8",
        "app_port": 8000,
        "devcontainer": False,
        "github_actions": False,
    }


def test_without_a_terminal_defaults_fill_what_was_not_answered() -> None:
    Path("team.yaml").write_text("language: node\ndatabase: mongo\ndevcontainer: yes\n")
    done = new(
        "myapp", "--no-git", "--answers", "team.yaml", "-d", "database=none", "-d", "github_actions=yes"
    )
    assert done.returncode == 0, done.stderr
    answers = answers_in("myapp")
    assert [answers[key] for key in ("language", "database", "devcontainer", "github_actions")] == [
        "node",
        "none",
        True,
        True,
    ]


def test_answers_file_of_another_project_can_be_used_again() -> None:
    new("one", "--no-git", "-d", "language=node")
    done = new("two", "--no-git", "--answers", "one/.copier-answers.yml", "-d", "project_name=two")
    assert done.returncode == 0, done.stderr
    assert answers_in("two") == {**answers_in("one"), "project_name": "two"}


def test_json_is_one_document_and_a_contract(workplace: Path) -> None:
    done = new("some/myapp", "--json", "-d", "language=node")
    document = json.loads(done.stdout)
    assert sorted(document) == [
        "answers",
        "files",
        "git",
        "message",
        "next",
        "path",
        "template",
        "written",
    ]
    assert document["path"] == str(workplace / "some/myapp")
    assert document["template"] == {
        "name": "backend",
        "source": "https://templates.scaffold.invalid/backend.git",
        "version": version_of_the_template()["_commit"],
        "commit": version_of_the_template().get("_commit_hash"),
    }
    assert document["answers"]["language"] == "node"
    assert "compose.yaml" in document["files"]
    assert document["git"] == {"state": "committed", "note": None}
    assert document["written"] is True
    assert document["next"] == ["cd some/myapp", "scaffold run"]


def test_pretend_draws_the_tree_and_writes_nothing(workplace: Path) -> None:
    done = new("myapp", "--pretend", "-d", "language=node")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("myapp/\n├── ")
    assert "package.json" in done.stdout
    assert "would be written" in done.stdout
    assert names(workplace) == []


def test_pretend_in_json_says_that_nothing_was_written(workplace: Path) -> None:
    document = json.loads(new("myapp", "--pretend", "--json").stdout)
    assert document["written"] is False
    assert names(workplace) == []


def test_name_with_a_space_is_quoted_in_the_next_commands() -> None:
    done = new("My App", "--no-git", "--defaults", "-d", "project_name=my-app")
    assert "  cd 'My App'\n" in done.stdout


def test_template_can_be_a_folder(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    (tiny / "copier.yml").write_text("colour: {type: str}\n")
    (tiny / "paint.jinja").write_text("{{ colour }}\n")
    asked = new("myapp", "--template", str(tiny))
    assert asked.returncode == 2
    assert "No answer for colour, which has no default." in asked.stderr
    assert "-d colour=VALUE" in asked.stderr
    done = new("myapp", "--template", str(tiny), "-d", "colour=red")
    assert done.returncode == 0
    assert done.stdout.endswith("Next:\n  cd myapp\n"), "there is no compose.yaml to run"
    assert Path("myapp/paint").read_text() == "red\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "The destination is missing."),
        (("",), "The destination is empty."),
        (("..",), '".." is not a name for a new folder.'),
        ((".",), '"." is not a name for a new folder.'),
        (("My App",), '"My App" cannot be the name of a project: Use lower-case letters'),
        (("MyApp",), '"MyApp" cannot be the name of a project: Use lower-case letters'),
        (("café",), '"café" cannot be the name of a project: Use lower-case letters'),
        (("localhost",), '"localhost" cannot be the name of a project: This name is reserved.'),
        (("a" * 200,), '(200 characters)" cannot be the name of a project: Use at most 40 characters.'),
        (("full",), '"full" exists and is not empty.'),
        (("file",), '"file" exists and is a file.'),
        (("file/myapp",), "is a file."),
        (("myapp", "--template", "frontend"), 'There is no template "frontend".'),
        (("myapp", "-d", "language"), '-d "language" is not KEY=VALUE.'),
        (("myapp", "-d", "langauge=node"), 'Did you mean "language"?'),
        (("myapp", "-d", "language=rust"), "-d language=rust: choose one of python, node."),
        (("myapp", "-d", "app_port=http"), "-d app_port=http: not a whole number."),
        (("myapp", "-d", "app_port=80"), "app_port=80: Choose a port from 1024 to 65535."),
        (("myapp", "-d", "devcontainer=perhaps"), "-d devcontainer=perhaps: answer yes or no."),
        (("myapp", "-d", "database_version=9"), "database_version=9: '9' is not in ['18', '17', '16', '15']"),
        (("myapp", "-d", "database=none", "-d", "database_version=18"), "database_version=18 has no effect"),
        (("myapp", "--answers", "none.yaml"), "The answers file none.yaml does not exist."),
        (("myapp", "--answers", "file"), "The answers file file is not YAML: "),
        (("myapp", "--answers", "list.yaml"), "The answers file list.yaml is not a mapping."),
    ],
)
def test_bad_input_is_one_clear_error_and_writes_nothing(
    workplace: Path, arguments: tuple[str, ...], message: str
) -> None:
    Path("full").mkdir()
    Path("full/precious").touch()
    Path("file").write_text("a: [")
    Path("list.yaml").write_text("- node")
    before = sorted(str(path) for path in workplace.rglob("*"))
    done = new(*arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(str(path) for path in workplace.rglob("*")) == before


def test_what_is_wrong_with_a_file_or_template_comes_with_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/copier.yml").write_text("_tasks: [touch x]\n")
    Path("broken.yaml").write_text("a: [")
    ways = {
        ("myapp", "--answers", "none.yaml"): "`scaffold new --help` lists the questions",
        ("myapp", "--answers", "broken.yaml"): "Write one answer a line",
        ("myapp", "--answers", "."): "Give a YAML file",
        ("broken.yaml/myapp",): "Choose a place inside a folder",
        ("myapp", "--template", str(tmp_path / "tasks")): "repeat the command with --trust",
    }
    for arguments, way in ways.items():
        assert way in " ".join(new(*arguments).stderr.split()).partition("→")[2]


def test_broken_answers_file_is_named_and_nothing_internal() -> None:
    Path("broken.yaml").write_text("a: [")
    said = " ".join(new("myapp", "--answers", "broken.yaml").stderr.split())
    assert 'in "broken.yaml", line ' in said
    assert "byte string" not in said


def test_help_names_every_question_of_the_bundled_template() -> None:
    done = new("--help")
    named = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("    ") and line.split()}
    assert {question.name for question in questions.read(sources.find("backend"))} <= named


# ── on a terminal ──────────────────────────────────────────────────────────────────────────────────────

PROMPTS = (
    "Project name",
    "What it does",
    "Language",
    "Database",
    "Where the database runs",
    "Database version",
    "Port of the app",
    "development container",
    "GitHub Actions",
)
DOWN, ENTER, CTRL_C, CTRL_D = "\x1b[B", "\r", "\x03", "\x04"


def test_questions_are_asked_with_arrow_keys_and_defaults() -> None:
    terminal = on_terminal("myapp")
    keys = {"Language": DOWN + ENTER, "development container": "y"}
    for prompt in PROMPTS:
        terminal.expect_exact(prompt)
        terminal.send(keys.get(prompt, ENTER))
    terminal.expect_exact("Create myapp")
    terminal.send(ENTER)
    terminal.expect_exact("scaffold run")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    answers = answers_in("myapp")
    assert answers["project_name"] == "myapp"
    assert answers["language"] == "node"
    assert answers["devcontainer"] is True
    assert answers["github_actions"] is False


def test_given_answers_and_what_they_rule_out_are_not_asked() -> None:
    terminal = on_terminal("myapp", "-d", "database=none", "-d", "project_name=other", "-d", "app_port=9000")
    for prompt in ("What it does", "Language", "development container", "GitHub Actions", "Create myapp"):
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect_exact("scaffold run")
    terminal.expect(pexpect.EOF)
    assert answers_in("myapp")["app_port"] == 9000


@pytest.mark.parametrize("position", range(len(PROMPTS)))
def test_ctrl_c_at_any_question_leaves_no_trace(workplace: Path, position: int) -> None:
    terminal = on_terminal("myapp")
    for prompt in PROMPTS[:position]:
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect_exact(PROMPTS[position])
    assert names(workplace) == []
    terminal.send(CTRL_C)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in str(terminal.before)
    assert names(workplace) == []


def test_end_of_input_at_a_question_leaves_no_trace(workplace: Path) -> None:
    terminal = on_terminal("myapp")
    terminal.expect_exact(PROMPTS[0])
    terminal.send("\x01\x0b" + CTRL_D)  # to the start of the line, delete it, end of input
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert names(workplace) == []


def test_wrong_typed_answer_is_asked_again() -> None:
    terminal = on_terminal(
        "myapp", *(f"-d{key}" for key in ("language=node", "database=none", "app_port=8000"))
    )
    terminal.expect_exact("Project name")
    terminal.send("\x01\x0bMy App" + ENTER)
    terminal.expect_exact("Use lower-case letters")
    terminal.send("\x01\x0bmy-app" + ENTER)
    for prompt in ("What it does", "development container", "GitHub Actions", "Create myapp"):
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect(pexpect.EOF)
    assert answers_in("myapp")["project_name"] == "my-app"


def test_any_answer_can_be_changed_before_something_is_written(workplace: Path) -> None:
    """A change that makes other answers impossible brings their defaults: MongoDB has no version 18."""
    terminal = on_terminal("myapp")
    for prompt in PROMPTS:
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect_exact("Create myapp")
    terminal.expect_exact("database: postgres")
    assert names(workplace) == []
    terminal.send(DOWN * 4 + ENTER)
    terminal.expect_exact("MongoDB")
    terminal.send(DOWN + ENTER)
    terminal.expect_exact("Create myapp")
    terminal.expect_exact("database_version: 8")
    terminal.send(ENTER)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    found = answers_in("myapp")
    assert (found["database"], found["database_version"]) == ("mongo", "8")


def test_last_look_is_left_out_with_yes() -> None:
    terminal = on_terminal("myapp", "--yes")
    for prompt in PROMPTS:
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect_exact("Created myapp")
    terminal.expect(pexpect.EOF)


def test_ctrl_c_at_the_last_look_leaves_no_trace(workplace: Path) -> None:
    terminal = on_terminal(
        "myapp", *(f"-d{key}" for key in ("language=node", "database=none", "app_port=8000"))
    )
    for prompt in ("Project name", "What it does", "development container", "GitHub Actions"):
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect_exact("Create myapp")
    terminal.send(CTRL_C)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert names(workplace) == []


def test_destination_is_asked_for_when_it_is_missing() -> None:
    terminal = on_terminal("--defaults")
    terminal.expect_exact("Folder to create:")
    terminal.send("\x01\x0bshop" + ENTER)
    terminal.expect_exact("cd shop")
    terminal.expect(pexpect.EOF)
    assert Path("shop/compose.yaml").is_file()


def test_ctrl_c_at_the_destination_leaves_no_trace(workplace: Path) -> None:
    terminal = on_terminal()
    terminal.expect_exact("Folder to create:")
    terminal.send(CTRL_C)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert names(workplace) == []


def test_questions_do_not_mix_with_json_on_standard_output() -> None:
    command = f"{SCAFFOLD} new myapp --json > out.json"
    terminal = pexpect.spawn("/bin/sh", ["-c", command], timeout=60, encoding="utf-8", env=os.environ.copy())
    for prompt in (*PROMPTS, "Create myapp"):
        terminal.expect_exact(prompt)
        terminal.send(ENTER)
    terminal.expect(pexpect.EOF)
    assert json.loads(Path("out.json").read_text())["answers"]["project_name"] == "myapp"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.05, 0.35, 0.5])
def test_signal_at_any_time_leaves_all_or_nothing(
    workplace: Path, ending: signal.Signals, delay: float
) -> None:
    child = subprocess.Popen(
        (SCAFFOLD, "new", "myapp", "--defaults"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        child.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        child.send_signal(ending)
        child.wait(timeout=60)
    assert names(workplace) in ([], ["myapp"])
    assert child.returncode != 0 or Path("myapp/.git").is_dir()


@pytest.mark.engine
def test_run_goes_on_with_the_project(tmp_path: Path) -> None:
    from tests.projects import Project

    Project(tmp_path).scaffold("new", "served", "--defaults", "-d", "database=none", "--no-git", "--run")
    project = Project(tmp_path / "served")
    try:
        assert "served" in project.scaffold("status").out
        assert project.scaffold("ps").out.count("running") == 1
    finally:
        project.destroy()


@pytest.mark.parametrize("option", ["--json", "--pretend"])
def test_run_does_not_go_with_what_creates_nothing_or_prints_one_document(
    workplace: Path, option: str
) -> None:
    done = new("myapp", "--run", option)
    assert done.returncode == 2
    assert f"--run does not go with {option}." in done.stderr
    assert names(workplace) == []
