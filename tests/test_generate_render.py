"""Rendering, staging and the first commit, with real copier and real git on tiny templates made here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import destination, project, repository, sources
from scaffold.generate.project import Project
from scaffold.generate.render import render
from scaffold.generate.sources import Template

QUESTIONS = """
_subdirectory: project
_exclude: ["{% if language == 'node' %}main.py{% endif %}"]
project_name:
  type: str
  default: unnamed
  validator: "{% if not project_name.islower() %}Use lower case.{% endif %}"
language: {type: str, default: python, choices: [python, node]}
version:
  type: str
  default: "{{ '3' if language == 'python' else '24' }}"
  choices: "{{ ['3', '2'] if language == 'python' else ['24'] }}"
  when: "{{ language != 'none' }}"
docs: {type: bool, default: false}
theme: {type: str, default: plain, when: "{{ docs }}"}
"""
FILES = {
    "project/{{ _copier_conf.answers_file }}.jinja": "# Answers.\n{{ _copier_answers|to_nice_yaml }}",
    "project/README.md.jinja": "{{ project_name }} in {{ _folder_name }}\n",
    "project/main.py": "print('hello')\n",
    "project/run.sh": "#!/bin/sh\n",
    "project/deep/er/.hidden": "",
}


@pytest.fixture(autouse=True)
def own_git_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as a new user has it, with a name, and nothing of this machine's settings."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def template_of(folder: Path, configuration: str = QUESTIONS, files: Mapping[str, str] = FILES) -> Template:
    root = folder / "tiny"
    for name, text in {"copier.yml": configuration, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return sources.find(str(root))


@pytest.fixture
def tiny(tmp_path: Path) -> Template:
    return template_of(tmp_path)


def create(template: Template, place: str = "myapp", *, git: bool = True, **answers: object) -> Project:
    return project.create(template, destination.check(place), answers, git=git)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", *arguments), cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


# ── rendering ──────────────────────────────────────────────────────────────────────────────────────────


def test_render_writes_the_files_and_returns_them_with_the_answers(tiny: Template, tmp_path: Path) -> None:
    rendered = render(tiny, tmp_path / "myapp", {"docs": True})
    assert rendered.files == (".copier-answers.yml", "README.md", "deep/er/.hidden", "main.py", "run.sh")
    assert rendered.answers == {
        "project_name": "myapp",
        "language": "python",
        "version": "3",
        "docs": True,
        "theme": "plain",
    }


def test_answers_that_were_not_asked_are_not_among_the_answers(tiny: Template, tmp_path: Path) -> None:
    assert "theme" not in render(tiny, tmp_path / "myapp", {}).answers


def test_run_bit_is_kept(tiny: Template, tmp_path: Path) -> None:
    render(tiny, tmp_path / "myapp", {})
    assert os.access(tmp_path / "myapp/run.sh", os.X_OK)
    assert not os.access(tmp_path / "myapp/main.py", os.X_OK)


def test_name_of_the_folder_is_the_default_project_name(tiny: Template, workplace: Path) -> None:
    create(tiny, "some/where/shop")
    assert Path("some/where/shop/README.md").read_text() == "shop in shop\n"


def test_explicit_project_name_wins_over_the_folder(tiny: Template, workplace: Path) -> None:
    create(tiny, "My Shop", project_name="shop")
    assert Path("My Shop/README.md").read_text() == "shop in My Shop\n"


def test_render_is_silent(tiny: Template, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    render(tiny, tmp_path / "myapp", {})
    assert capfd.readouterr() == ("", "")


def test_users_own_copier_settings_do_not_leak_in(
    tiny: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.yml").write_text("defaults: {language: node}\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(tmp_path / "settings.yml"))
    assert render(tiny, tmp_path / "myapp", {}).answers["language"] == "python"


def test_answers_file_remembers_source_and_version_but_no_path(tmp_path: Path) -> None:
    found = template_of(tmp_path / ("long name " * 20))
    template = Template("tiny", found.path, "https://templates.scaffold.invalid/tiny.git", "v1.2.3")
    render(template, tmp_path / "myapp", {})
    text = (tmp_path / "myapp/.copier-answers.yml").read_text()
    assert text.startswith(
        "# Answers.\n_commit: v1.2.3\n_src_path: https://templates.scaffold.invalid/tiny.git\n"
    )
    assert yaml.safe_load(text) == {
        "_commit": "v1.2.3",
        "_src_path": "https://templates.scaffold.invalid/tiny.git",
        "project_name": "myapp",
        "language": "python",
        "version": "3",
        "docs": False,
    }


def test_template_that_is_a_repository_is_read_as_it_stands(tiny: Template, tmp_path: Path) -> None:
    git(tiny.path, "init", "--quiet")
    git(tiny.path, "add", "--all")
    git(tiny.path, "commit", "--quiet", "--message=one")
    git(tiny.path, "tag", "v1.0.0")
    (tiny.path / "project/main.py").write_text("print('new')\n")
    render(tiny, tmp_path / "myapp", {})
    assert (tmp_path / "myapp/main.py").read_text() == "print('new')\n"


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"version": "9"}, "version=9: '9' is not in ['3', '2']"),
        ({"language": "node", "version": "3"}, "version=3: '3' is not in ['24']"),
        ({"project_name": "Shop"}, "project_name=Shop: Use lower case."),
        ({"theme": "dark"}, "theme=dark has no effect: with these answers theme is not asked."),
    ],
)
def test_answer_that_only_copier_can_check_is_named(
    tiny: Template, workplace: Path, answers: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        project.create(tiny, destination.check("myapp"), answers, git=False)
    assert caught.value.message == message
    assert list(workplace.iterdir()) == []


def test_folder_name_that_is_no_project_name_is_explained(tiny: Template, workplace: Path) -> None:
    with pytest.raises(UsageError) as caught:
        create(tiny, "MyApp")
    assert caught.value.message == '"MyApp" cannot be the name of a project: Use lower case.'
    assert caught.value.hint == (
        "Choose another folder, or give the project a name of its own: `-d project_name=myapp`."
    )


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My App", "my-app"), ("Café_2000", "cafe"), ("日本", "my-backend"), ("X" * 99, "my-backend")],
)
def test_suggested_project_name_resembles_the_folder(
    tiny: Template, workplace: Path, folder: str, name: str
) -> None:
    with pytest.raises(UsageError) as caught:
        create(tiny, folder)
    assert f"-d project_name={name}`" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("configuration", "files", "message"),
    [
        (
            "name: x\n",
            {"broken.jinja": "one\n{% if %}\n"},
            r"cannot be rendered: .*\(broken\.jinja, line 2\)",
        ),
        ("name: x\n", {"a.jinja": "\n{{ no.such }}\n"}, r"'no' is undefined \(a\.jinja, line 2\)"),
        ("name: x\n", {"a.jinja": "{% include 'gone.jinja' %}"}, r"gone\.jinja.* \(a\.jinja, line 1\)"),
        ("_tasks: [touch /tmp/x]\nname: x\n", {}, "runs programs of its own"),
        ("_jinja_extensions: [os]\nname: x\n", {}, "runs programs of its own"),
        ("_min_copier_version: '99'\nname: x\n", {}, "needs copier 99 or newer"),
        ("name: {type: colour, default: x}\n", {}, 'Unsupported type "colour"'),
        ("name: {type: str, default: '{{ 1 / 0 }}'}\n", {}, "division"),
    ],
)
def test_broken_template_is_one_error_and_leaves_nothing(
    tmp_path: Path, workplace: Path, configuration: str, files: dict[str, str], message: str
) -> None:
    template = template_of(tmp_path, configuration, files)
    with pytest.raises(ScaffoldError, match=message):
        create(template)
    assert list(workplace.iterdir()) == []


def test_template_file_that_is_not_text_is_one_error(tmp_path: Path, workplace: Path) -> None:
    template = template_of(tmp_path)
    (template.path / "project/x.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(ScaffoldError, match="cannot be rendered"):
        create(template)


def test_failed_run_leaves_no_parents_behind(tiny: Template, workplace: Path) -> None:
    with pytest.raises(UsageError):
        create(tiny, "some/where/MyApp")
    assert list(workplace.iterdir()) == []


# ── staging ────────────────────────────────────────────────────────────────────────────────────────────


def test_existing_empty_folder_is_filled(tiny: Template, workplace: Path) -> None:
    Path("myapp").mkdir()
    create(tiny)
    assert Path("myapp/main.py").is_file()
    assert [path.name for path in workplace.iterdir()] == ["myapp"]


def test_preview_writes_nothing(tiny: Template, workplace: Path) -> None:
    made = project.preview(tiny, destination.check("some/myapp"), {})
    assert "main.py" in made.rendered.files
    assert not made.written
    assert list(workplace.iterdir()) == []


def stopped_while_writing(template: Template, ending: signal.Signals) -> subprocess.Popen[bytes]:
    """A run in a process of its own, hit by `ending` between the last file and the move."""
    script = f"""
    import os, time
    from scaffold.generate import destination, project, repository, sources

    def hold(*_):
        print("ready", flush=True)
        time.sleep(60)

    repository.create = hold
    project.create(sources.find({str(template.path)!r}), destination.check("some/myapp"), {{}}, git=True)
    """
    child = subprocess.Popen((sys.executable, "-c", textwrap.dedent(script)), stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(ending)
    child.wait(timeout=60)
    child.stdout.close()
    return child


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_run_leaves_nothing(tiny: Template, workplace: Path, ending: signal.Signals) -> None:
    child = stopped_while_writing(tiny, ending)
    assert child.returncode == (1 if ending == signal.SIGINT else -ending)  # 1: an uncaught Interrupted
    assert list(workplace.iterdir()) == []


def test_killed_run_leaves_one_hidden_folder_which_the_next_run_removes(
    tiny: Template, workplace: Path
) -> None:
    stopped_while_writing(tiny, signal.SIGKILL)
    (left,) = workplace.iterdir()
    assert left.name.startswith(".myapp.scaffold-")
    create(tiny, "other")
    assert [path.name for path in workplace.iterdir()] == ["other"]


def test_hidden_folder_of_a_living_run_is_left_alone(tiny: Template, workplace: Path) -> None:
    from scaffold.generate.staging import staged

    with staged(destination.check("one")) as staging:
        create(tiny, "two")
        assert staging.folder.is_dir()


def test_project_inside_its_own_template_is_refused(tiny: Template, workplace: Path) -> None:
    with pytest.raises(UsageError, match="inside the template itself"):
        create(tiny, str(tiny.path / "project/myapp"))


def test_similar_folders_of_the_user_are_left_alone(tiny: Template, workplace: Path) -> None:
    Path(".notes.scaffold-old").mkdir()
    Path("link").symlink_to(".notes.scaffold-old")
    Path(".link.scaffold-abcdefgh").symlink_to(".notes.scaffold-old")
    create(tiny)
    assert Path(".notes.scaffold-old").is_dir()
    assert Path(".link.scaffold-abcdefgh").is_symlink()


def test_project_that_appears_in_the_meantime_is_not_replaced(tiny: Template, workplace: Path) -> None:
    place = destination.check("myapp")
    Path("myapp").mkdir()
    Path("myapp/mine").touch()
    with pytest.raises(UsageError, match="in the meantime"):
        project.create(tiny, place, {}, git=False)
    assert [path.name for path in Path("myapp").iterdir()] == ["mine"]
    assert [path.name for path in workplace.iterdir()] == ["myapp"]


def test_full_disk_is_one_error_and_leaves_nothing(tiny: Template, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tiny.path / "project/large").write_bytes(os.urandom(300_000))
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk), capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    try:
        with pytest.raises(ScaffoldError, match="No space left on the disk"):
            create(tiny, str(disk / "myapp"))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(("umount", disk), check=True)


# ── git ────────────────────────────────────────────────────────────────────────────────────────────────


def test_project_starts_with_one_commit_of_everything_on_main(tiny: Template, workplace: Path) -> None:
    made = create(tiny)
    assert made.repository == repository.Repository("committed")
    assert git(workplace / "myapp", "log", "--format=%s %an") == "Create myapp from the tiny template Ada"
    assert git(workplace / "myapp", "branch", "--show-current") == "main"
    assert git(workplace / "myapp", "status", "--porcelain") == ""
    assert git(workplace / "myapp", "ls-files", "--stage", "run.sh").startswith("100755")


def test_no_repository_inside_a_repository(tiny: Template, workplace: Path) -> None:
    git(workplace, "init", "--quiet")
    made = create(tiny, "sub/myapp")
    assert made.repository.state == "inside"
    assert made.repository.note == f"It is inside the git repository {workplace}, so no new one was made."
    assert not Path("sub/myapp/.git").exists()


def test_git_variables_of_a_hook_do_not_lead_elsewhere(
    tiny: Template, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere/.git"))
    assert create(tiny).repository.state == "committed"
    assert Path("myapp/.git").is_dir()


def test_without_an_identity_the_files_are_staged_and_it_says_so(tiny: Template, workplace: Path) -> None:
    Path("../home/.gitconfig").write_text("[user]\n  useConfigOnly = true\n")
    made = create(tiny)
    assert made.repository.state == "staged"
    assert made.repository.note is not None
    assert "git does not know your name yet" in made.repository.note
    assert "A  run.sh" in git(workplace / "myapp", "status", "--porcelain")


def test_global_list_of_ignored_files_counts(tiny: Template, workplace: Path) -> None:
    Path("../home/ignored").write_text("main.py\n")
    git(workplace, "config", "--global", "core.excludesFile", "~/ignored")
    create(tiny)
    assert "main.py" not in git(workplace / "myapp", "ls-files").splitlines()


def test_identity_for_a_folder_counts(tiny: Template, workplace: Path) -> None:
    Path("../home/work.inc").write_text("[user]\n  name = Grace\n")
    git(workplace, "config", "--global", f"includeIf.gitdir:{workplace}/.path", "~/work.inc")
    create(tiny)
    assert git(workplace / "myapp", "log", "--format=%an <%ae>") == "Grace <ada@example.com>"


def test_without_git_the_project_is_made_all_the_same(
    tiny: Template, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    made = create(tiny)
    assert made.repository == repository.Repository(
        "none", "git is not installed, so no repository was made."
    )
    assert Path("myapp/main.py").is_file()


def test_git_can_be_declined(tiny: Template, workplace: Path) -> None:
    assert create(tiny, git=False).repository == repository.OFF
    assert not Path("myapp/.git").exists()
