"""Following a template: versions, answers, conflicts, and all that can be wrong, with real repositories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pytest
import yaml

from scaffold.errors import ProjectError, ScaffoldError, UsageError
from scaffold.generate import decisions, destination, sources, update
from scaffold.generate import project as projects
from scaffold.generate.merge.threeway import Kind
from scaffold.generate.update import Update, Wishes
from tests.repositories import ANSWERS, commit, git, repository, write

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
LONG = "".join(f"line {number}\n" for number in range(12))
COMPOSE = """\
services:
  app:
    image: {{ project_name }}
    ports: ["{{ port }}:80"] # where it listens
  db:
    image: postgres:16
"""
V1 = {
    "copier.yml": "project_name: {type: str, default: unnamed}\nport: {type: int, default: 8000}\n"
    "docs: {type: bool, default: false}\n"
    "_skip_if_exists: [once.txt]\n"
    "_exclude: ['{% if not docs %}docs{% endif %}', copier.yml, .git]\n",
    "README.md.jinja": "# {{ project_name }}\n" + LONG,
    "compose.yaml.jinja": COMPOSE,
    "once.txt": "v1\n",
    "old.txt": LONG + "of the old name\n",
    "docs/index.md": "docs\n",
    **ANSWERS,
}
V2 = {
    "README.md.jinja": "# {{ project_name }}\n" + LONG + "more in v2\n",
    "compose.yaml.jinja": COMPOSE.replace("postgres:16", "postgres:17"),
    "once.txt": "v2\n",
    "new.txt": LONG + "of the old name\n",
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a cache of the test's own, and an empty current folder."""
    home, place = tmp_path / "home", tmp_path / "workplace"
    home.mkdir()
    place.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template with v1.0.0 and v2.0.0, in which one file has another name."""
    folder = repository(tmp_path / "tiny", V1, "v1.0.0")
    (folder / "old.txt").unlink()
    commit(folder, V2, "v2.0.0")
    return folder


def new(reference: str, name: str = "myapp", **answers: object) -> Path:
    """A project, committed."""
    with sources.opened(reference) as opened:
        projects.create(opened, destination.check(name), answers, git=True)
    return Path(name).resolve()


def edit(project: Path, files: Mapping[str, str | None]) -> None:
    """Commit a change of the team; None removes a file."""
    for name, text in files.items():
        if text is None:
            (project / name).unlink()
        else:
            write(project, {name: text})
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=team")


def updated(project: Path, wishes: Wishes = Wishes()) -> Update:  # noqa: B008 - frozen
    with update.prepared(project, wishes) as prepared:
        prepared.apply()
        return prepared


def run(*arguments: str, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (SCAFFOLD, *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def answers_in(project: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((project / ".copier-answers.yml").read_text())
    return loaded


# ── the way it should go ───────────────────────────────────────────────────────────────────────────────


def test_new_version_is_merged_with_the_teams_work(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": (project / "README.md").read_text().replace("line 3", "our line 3")})
    edit(project, {"old.txt": (project / "old.txt").read_text() + "ours\n", "team.py": "x = 1\n"})
    done = updated(project)
    assert not done.merge.conflicts
    assert "our line 3" in (project / "README.md").read_text()
    assert "more in v2" in (project / "README.md").read_text()
    assert (project / "new.txt").read_text().endswith("ours\n")  # renamed by the template
    assert not (project / "old.txt").exists()
    assert (project / "once.txt").read_text() == "v1\n"  # _skip_if_exists
    assert (project / "team.py").exists()
    assert answers_in(project)["_commit"] == "v2.0.0"
    assert answers_in(project)["_commit_hash"] == git(template, "rev-parse", "v2.0.0")
    assert answers_in(project)["project_name"] == "myapp"
    assert answers_in(project)["_src_path"] == str(template)


def test_same_version_is_nothing_to_do(template: Path) -> None:
    project = new(str(template))
    before = git(project, "rev-parse", "HEAD")
    assert "up to date" in run("update", "-C", str(project)).stdout
    assert git(project, "rev-parse", "HEAD") == before
    assert git(project, "status", "--porcelain") == ""


def test_answer_at_the_same_version_adds_what_it_brings(template: Path) -> None:
    project = new(str(template))
    assert not (project / "docs").exists()
    run("update", "-C", str(project), "-d", "docs=yes", "-d", "port=9000")
    assert (project / "docs/index.md").read_text() == "docs\n"
    assert "9000:80" in (project / "compose.yaml").read_text()
    assert answers_in(project)["docs"] is True
    edit(project, {"x": ""})
    run("update", "-C", str(project), "-d", "docs=no")
    assert not (project / "docs").exists()


def test_named_version(template: Path) -> None:
    commit(template, {"README.md.jinja": "third\n"}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    assert updated(project, Wishes(to="v2.0.0")).new.ref == "v2.0.0"
    assert answers_in(project)["_commit"] == "v2.0.0"


def test_dry_run_shows_the_diff_and_changes_nothing(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    (project / "old.txt").write_text("not committed, and none of its business\n")
    shown = run("update", "-C", str(project), "--dry-run").stdout
    assert "+more in v2" in shown
    assert "rename from old.txt" in shown
    assert answers_in(project)["_commit"] == "v1.0.0"
    assert run("diff", "-C", str(project)).stdout == shown


def test_diff_mine_shows_what_the_team_changed(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": "ours\n", "old.txt": None, "once.txt": "ours\n", "team.py": ""})
    found = json.loads(run("diff", "-C", str(project), "--mine", "--json").stdout)
    assert found["edited"] == ["README.md"]
    assert found["gone"] == ["old.txt"]
    assert "+ours" in found["diff"]


def test_project_below_the_root_of_its_repository(template: Path, own_folders: Path) -> None:
    git(own_folders, "init", "-q")
    project = new(f"{template}@v1.0.0", "apps/one")
    edit(own_folders, {"other.txt": "x\n"})
    (own_folders / "other.txt").write_text("uncommitted, elsewhere\n")
    updated(project)
    assert "more in v2" in (project / "README.md").read_text()


def test_bundled_template_at_its_released_version() -> None:
    released = sources.repository(sources.parse("backend").source)
    assert released.folder.is_dir()
    project = new("backend@v0.1.0")
    done = json.loads(
        run("update", "-C", str(project), "--to", "v0.1.0", "-d", "devcontainer=yes", "--json").stdout
    )
    assert done["conflicts"] == []
    assert (project / ".devcontainer/devcontainer.json").is_file()
    assert answers_in(project)["_src_path"] == "https://templates.scaffold.invalid/backend.git"


def test_old_address_of_the_bundled_template_is_rewritten() -> None:
    project = new("backend@v0.1.0")
    path = project / ".copier-answers.yml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("_commit_hash")]
    text = "\n".join(lines).replace("https://templates.scaffold.invalid/backend.git", "git+scaffold:backend")
    edit(project, {".copier-answers.yml": text + "\n"})
    run("update", "-C", str(project), "-d", "devcontainer=yes")
    assert answers_in(project)["_src_path"] == "https://templates.scaffold.invalid/backend.git"


def test_version_between_two_releases_is_said(own_folders: Path) -> None:
    project = new("backend@v0.1.0")
    path = project / ".copier-answers.yml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("_commit_hash")]
    edit(project, {".copier-answers.yml": "\n".join(lines).replace("v0.1.0", "v0.1.0-dev") + "\n"})
    shown = json.loads(run("update", "-C", str(project), "--dry-run", "--json").stdout)
    assert any("between v0.1.0 and the next release" in note for note in shown["notes"])


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────


def test_new_question_gets_its_default_where_nobody_is_asked(template: Path) -> None:
    config = V1["copier.yml"] + "color: {type: str, default: blue}\n"
    commit(template, {"copier.yml": config, "color.txt.jinja": "{{ color }}\n"}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    done = updated(project)
    assert (project / "color.txt").read_text() == "blue\n"
    assert any("color=blue" in note for note in done.notes)


def test_new_question_is_asked_on_a_terminal(template: Path) -> None:
    config = V1["copier.yml"] + "color: {type: str, default: blue, help: Which color}\n"
    commit(template, {"copier.yml": config, "color.txt.jinja": "{{ color }}\n"}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    terminal = pexpect.spawn(
        SCAFFOLD, ["update", "-C", str(project)], timeout=60, encoding="utf-8", env=os.environ.copy()
    )
    terminal.expect("Which color")
    terminal.sendcontrol("u")
    terminal.send("\x7f" * 4 + "red\r")
    terminal.expect("Updated myapp")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (project / "color.txt").read_text() == "red\n"


def test_renamed_question_is_said(template: Path) -> None:
    config = V1["copier.yml"].replace("port:", "app_port:")
    compose = COMPOSE.replace("port }", "app_port }")
    commit(template, {"copier.yml": config, "compose.yaml.jinja": compose}, "v3.0.0")
    project = new(f"{template}@v1.0.0", port=9000)
    done = updated(project)
    assert any("dropped: port" in note for note in done.notes)
    assert any("app_port=8000" in note for note in done.notes)
    assert "8000:80" in (project / "compose.yaml").read_text()


def test_answers_file_edited_by_hand_is_a_new_answer(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    path = project / ".copier-answers.yml"
    edit(project, {".copier-answers.yml": path.read_text().replace("docs: false", "docs: true")})
    done = updated(project)
    assert (project / "docs/index.md").exists()
    assert any("Edited by hand" in note and "docs" in note for note in done.notes)


def test_answers_file_edited_into_nonsense_is_refused(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    path = project / ".copier-answers.yml"
    edit(project, {".copier-answers.yml": path.read_text().replace("port: 8000", "port: many")})
    with pytest.raises(UsageError, match="port"):
        updated(project)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot be read"),
        ("- a\n", "not a mapping"),
        ("project_name: x\n", "has no _src_path"),
        ("_src_path: {template}\n", "has no _commit"),
    ],
)
def test_broken_answers_file(template: Path, text: str, said: str) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {".copier-answers.yml": text.replace("{template}", str(template))})
    with pytest.raises(ProjectError, match=said):
        updated(project)


def test_answers_file_elsewhere(tmp_path: Path) -> None:
    config = V1["copier.yml"] + "_answers_file: .config/answers-tiny.yml\n"
    folder = repository(tmp_path / "tiny", {**V1, "copier.yml": config, ".config/x": ""}, "v1.0.0")
    commit(folder, V2, "v2.0.0")
    project = new(f"{folder}@v1.0.0")
    assert not (project / ".copier-answers.yml").exists()
    updated(project)
    assert "more in v2" in (project / "README.md").read_text()


def test_secret_answer_is_not_reset(tmp_path: Path) -> None:
    config = "token: {type: str, secret: true, default: changeme}\n"
    files = {"copier.yml": config, "conf.jinja": "token={{ token }}\n" + LONG, **ANSWERS}
    folder = repository(tmp_path / "tiny", files, "v1.0.0")
    commit(folder, {"conf.jinja": "token={{ token }}\n" + LONG + "v2\n"}, "v2.0.0")
    project = new(f"{folder}@v1.0.0", token="s3cr3t-of-mine")
    done = updated(project)
    assert (project / "conf").read_text() == "token=s3cr3t-of-mine\n" + LONG + "v2\n"
    assert not any("token" in note for note in done.notes)
    assert "token" not in answers_in(project)


def test_message_of_the_template_is_shown(template: Path) -> None:
    message = "_message_after_update: 'Now run the thing for {{ project_name }}.'\n"
    commit(template, {"copier.yml": V1["copier.yml"] + message}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    assert "Now run the thing for myapp." in run("update", "-C", str(project)).stdout


def test_template_may_ask_whether_this_is_an_update(template: Path) -> None:
    hidden = "_exclude: [\"{% if _copier_operation != 'update' %}up.txt{% endif %}\", copier.yml, .git]\n"
    config = "".join(line for line in V1["copier.yml"].splitlines(True) if "_exclude" not in line) + hidden
    commit(template, {"copier.yml": config, "up.txt": "x\n"}, "v3.0.0")
    assert not (new(str(template), "fresh") / "up.txt").exists()
    project = new(f"{template}@v1.0.0")
    updated(project)
    assert (project / "up.txt").exists()


def test_several_templates_in_one_project(template: Path, tmp_path: Path) -> None:
    project = new(f"{template}@v1.0.0")
    text = (project / ".copier-answers.yml").read_text()
    edit(project, {".copier-answers.yml": None, ".copier-answers.a.yml": text, ".copier-answers.b.yml": text})
    with pytest.raises(ProjectError, match="follows 2 templates") as raised:
        updated(project)
    assert "--answers-file .copier-answers.a.yml" in str(raised.value.hint)
    updated(project, Wishes(answers_file=".copier-answers.a.yml"))
    assert "v2.0.0" in (project / ".copier-answers.a.yml").read_text()


# ── conflicts ──────────────────────────────────────────────────────────────────────────────────────────


def test_conflict_is_listed_with_what_to_do_and_fails(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": (project / "README.md").read_text() + "ours\n"})
    done = run("update", "-C", str(project), code=1)
    assert "1 file needs you:" in done.stdout
    assert "`git add README.md`" in done.stdout
    assert "<<<<<<< yours" in (project / "README.md").read_text()
    assert ">>>>>>> template v2.0.0" in (project / "README.md").read_text()
    assert "UU README.md" in git(project, "status", "--porcelain")


def test_conflict_as_rej(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": (project / "README.md").read_text() + "ours\n"})
    run("update", "-C", str(project), "--conflict", "rej", code=1)
    assert (project / "README.md").read_text().endswith("ours\n")
    assert "+more in v2" in (project / "README.md.rej").read_text()
    run("update", "-C", str(project), "--conflict", "both", code=2)


def test_open_decision_keeps_the_file_valid_and_is_remembered(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    text = (project / "compose.yaml").read_text()
    edit(project, {"compose.yaml": text.replace("postgres:16", "postgres:16-alpine")})
    done = run("update", "-C", str(project), code=1)
    assert 'services.db.image: yours is "postgres:16-alpine", the template\'s "postgres:17"' in done.stdout
    assert "postgres:16-alpine" in (project / "compose.yaml").read_text()
    assert "# where it listens" in (project / "compose.yaml").read_text()
    (found,) = decisions.read((project / decisions.FILE).read_bytes())
    assert found.at == ("services", "db", "image")
    assert decisions.is_open(found, (project / "compose.yaml").read_text())
    # Decided by taking the template's value: the next update forgets the question.
    edit(project, {"compose.yaml": text.replace("postgres:16", "postgres:17")})
    commit(template, {"more.txt": "x\n"}, "v2.1.0")
    updated(project)
    assert not (project / decisions.FILE).exists()


def test_file_that_the_team_deleted_stays_deleted(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": None})
    done = updated(project)
    assert not (project / "README.md").exists()
    assert any("README.md was deleted" in note for note in done.notes)


def test_file_that_is_written_once_comes_back(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    edit(project, {"once.txt": None})
    updated(project)
    assert (project / "once.txt").read_text() == "v2\n"


def test_deleted_by_the_template_but_edited_by_the_team(template: Path) -> None:
    git(template, "rm", "-q", "README.md.jinja")
    commit(template, {}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    edit(project, {"README.md": "ours\n"})
    done = updated(project)
    assert [conflict.kind for conflict in done.merge.conflicts] == [Kind.GONE]
    assert (project / "README.md").read_text() == "ours\n"


# ── what can be wrong ──────────────────────────────────────────────────────────────────────────────────


def test_uncommitted_changes_are_refused_before_anything_is_fetched(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    (project / "README.md").write_text("not committed\n")
    shutil.rmtree(template)
    error = run("update", "-C", str(project), code=2).stderr
    assert "uncommitted changes: README.md" in error
    assert "git stash" in error


def test_downgrade_is_refused(template: Path) -> None:
    project = new(str(template))
    with pytest.raises(UsageError, match=r"v1\.0\.0 of the template is older") as raised:
        updated(project, Wishes(to="v1.0.0"))
    assert "git revert" in str(raised.value.hint)


def test_downgrade_without_tags_is_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path / "tiny", V1)
    first = git(folder, "rev-parse", "HEAD")
    commit(folder, V2)
    project = new(str(folder))
    with pytest.raises(UsageError, match="is older than"):
        updated(project, Wishes(to=first))


def test_template_without_tags_is_followed_by_commit(tmp_path: Path) -> None:
    folder = repository(tmp_path / "tiny", V1)
    project = new(str(folder))
    wanted = commit(folder, V2)
    updated(project)
    assert answers_in(project)["_commit_hash"] == wanted
    assert "more in v2" in (project / "README.md").read_text()


def test_version_that_does_not_exist(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    with pytest.raises(ScaffoldError, match='no version "v9"') as raised:
        updated(project, Wishes(to="v9"))
    assert raised.value.exit_code == 2
    assert "v2.0.0" in str(raised.value.hint)


def test_source_that_is_gone(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    shutil.rmtree(template)
    shutil.rmtree(Path.home() / ".cache")
    with pytest.raises(ScaffoldError) as raised:
        updated(project)
    assert str(template) in raised.value.message
    assert "_src_path" in str(raised.value.hint)


def test_source_that_is_out_of_reach_is_read_from_its_copy(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    shutil.rmtree(template)
    done = updated(project)
    assert done.new.ref == "v2.0.0"
    assert any("copy" in note for note in done.notes)


def test_source_that_is_no_longer_a_template(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    git(template, "rm", "-q", "copier.yml")
    commit(template, {}, "v3.0.0")
    with pytest.raises(UsageError, match=r"is not a template at v3\.0\.0"):
        updated(project)


def test_broken_copier_yml(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": "a: [\n"}, "v3.0.0")
    with pytest.raises(ScaffoldError, match=r"copier\.yml"):
        updated(project)
    assert answers_in(project)["_commit"] == "v1.0.0"


def test_template_that_needs_a_newer_copier(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + "_min_copier_version: '99.0'\n"}, "v3.0.0")
    with pytest.raises(ScaffoldError, match="99"):
        updated(project)


def test_tag_that_was_moved_is_said(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    git(template, "tag", "-f", "v1.0.0", "v2.0.0")
    done = updated(project)
    assert any("v1.0.0 of the template was moved" in note for note in done.notes)
    assert "more in v2" in (project / "README.md").read_text()  # it started from the commit, not the tag


def test_project_of_a_newer_scaffold() -> None:
    project = new("backend@v0.1.0")
    path = project / ".copier-answers.yml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("_commit_hash")]
    edit(project, {".copier-answers.yml": "\n".join(lines).replace("v0.1.0", "v99.0.0") + "\n"})
    with pytest.raises(ProjectError, match=r"v99\.0\.0, which this scaffold does not know") as raised:
        updated(project)
    assert "Upgrade scaffold" in str(raised.value.hint)


def test_project_of_a_folder_without_versions(tmp_path: Path) -> None:
    write(tmp_path / "plain", V1)
    project = new(str(tmp_path / "plain"))
    with pytest.raises(ProjectError, match="no git repository"):
        updated(project)


def test_project_that_follows_nothing(own_folders: Path) -> None:
    repository(own_folders / "x", {"a": "b\n"})
    error = run("update", "-C", "x", code=2).stderr
    assert "follows no template" in error
    assert "scaffold adopt" in error


# ── code of the template ───────────────────────────────────────────────────────────────────────────────


def test_code_of_the_new_version_does_not_run_unless_trusted(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + "_tasks: ['echo x > made.txt']\n"}, "v3.0.0")
    error = run("update", "-C", str(project), code=1).stderr
    assert "nobody trusted it" in error
    assert "--trust" in error
    assert not (project / "made.txt").exists()
    assert answers_in(project)["_commit"] == "v1.0.0"
    run("update", "-C", str(project), "--trust")
    assert (project / "made.txt").read_text() == "x\n"
    assert git(project, "status", "--porcelain", "--untracked-files=all").count("??") == 0


def test_code_of_the_old_version_needs_trust_too(template: Path) -> None:
    commit(template, {"copier.yml": V1["copier.yml"] + "_tasks: ['echo x > made.txt']\n"}, "v3.0.0")
    commit(template, {"copier.yml": V1["copier.yml"]}, "v4.0.0")
    run("new", "myapp", "--template", f"{template}@v3.0.0", "--defaults", "--trust")
    shutil.rmtree(Path.home() / ".config", ignore_errors=True)
    shutil.rmtree(Path.home() / ".local", ignore_errors=True)
    error = run("update", "-C", "myapp", code=1).stderr
    assert "nobody trusted it" in error
    run("update", "-C", "myapp", "--trust")
    # What a task of the old version had made, and none of the new one makes, goes as a file of the template.
    assert not Path("myapp/made.txt").exists()


def test_tasks_can_be_left_out(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + "_tasks: ['echo x > made.txt']\n"}, "v3.0.0")
    run("update", "-C", str(project), "--skip-tasks")
    assert not (project / "made.txt").exists()
    assert answers_in(project)["_commit"] == "v3.0.0"


def test_looking_runs_no_task_and_needs_no_trust(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + "_tasks: ['echo x > made.txt']\n"}, "v3.0.0")
    assert "+more in v2" in run("diff", "-C", str(project)).stdout
    run("check", "-C", str(project), "--pinned")


def test_task_that_fails_leaves_the_project_as_it_was(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + "_tasks: ['exit 3']\n"}, "v3.0.0")
    run("update", "-C", str(project), "--trust", code=1)
    assert answers_in(project)["_commit"] == "v1.0.0"
    assert git(project, "status", "--porcelain") == ""


def test_what_a_task_makes_and_git_ignores_stays_out(template: Path) -> None:
    tasks = "_tasks: ['mkdir -p cache && echo x > cache/x && echo y > kept.txt']\n"
    project = new(f"{template}@v1.0.0")
    commit(template, {"copier.yml": V1["copier.yml"] + tasks, ".gitignore": "cache/\n"}, "v3.0.0")
    run("update", "-C", str(project), "--trust")
    assert (project / "kept.txt").exists()
    assert not (project / "cache").exists()


@pytest.mark.parametrize("form", ["new", "legacy"])
def test_migrations_run_in_a_copy_before_and_after(template: Path, form: str) -> None:
    """Each sees the project as it is at that moment, and the team's files."""
    before = "sed -i s/ours/migrated/ team.txt && grep -c more README.md > before.txt || true"
    after = "grep -c more README.md > after.txt && echo $VERSION_FROM > from.txt"
    if form == "new":
        migrations = (
            f"_migrations:\n- command: '{before}'\n  when: \"{{{{ _stage == 'before' }}}}\"\n"
            f"- command: '{after}'\n"
        )
    else:
        migrations = f"_migrations:\n- version: v3.0.0\n  before: ['{before}']\n  after: ['{after}']\n"
    commit(template, {"copier.yml": V1["copier.yml"] + migrations}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    edit(project, {"team.txt": "ours\n"})
    run("update", "-C", str(project), code=1)  # nobody trusted it
    assert (project / "team.txt").read_text() == "ours\n"
    run("update", "-C", str(project), "--trust")
    assert (project / "team.txt").read_text() == "migrated\n"
    assert (project / "before.txt").read_text() == "0\n"
    assert (project / "after.txt").read_text() == "1\n"
    assert (project / "from.txt").read_text() == "v1.0.0\n"


def test_migration_may_rename_an_answer(template: Path) -> None:
    config = V1["copier.yml"].replace("port:", "app_port:")
    rename = "_migrations:\n- version: v3.0.0\n  before: ['sed -i s/^port:/app_port:/ .copier-answers.yml']\n"
    files = {"copier.yml": config + rename, "compose.yaml.jinja": COMPOSE.replace("port }", "app_port }")}
    commit(template, files, "v3.0.0")
    project = new(f"{template}@v1.0.0", port=9000)
    run("update", "-C", str(project), "--trust")
    assert answers_in(project)["app_port"] == 9000
    assert "9000:80" in (project / "compose.yaml").read_text()


def test_hostile_new_version_is_refused(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    commit(template, {"{{ '.GI' }}T/hooks/post-checkout": "#!/bin/sh\ntouch ran\n"}, "v3.0.0")
    with pytest.raises(ScaffoldError, match=r"\.GIT"):
        updated(project)
    assert answers_in(project)["_commit"] == "v1.0.0"


def test_submodule_of_the_project_stays(template: Path, tmp_path: Path) -> None:
    other = repository(tmp_path / "other", {"a": "b\n"})
    project = new(f"{template}@v1.0.0")
    git(project, "submodule", "--quiet", "add", str(other), "lib")
    git(project, "commit", "-q", "-m", "lib")
    updated(project)
    assert "more in v2" in (project / "README.md").read_text()
    assert (project / "lib/a").exists()
    assert git(project, "ls-files", "--stage", "lib").startswith("160000")


def test_json_is_a_contract(template: Path) -> None:
    project = new(f"{template}@v1.0.0")
    done = json.loads(run("update", "-C", str(project), "--json").stdout)
    assert sorted(done) == [
        "applied", "conflicts", "files", "from", "message", "notes", "path", "template", "to", "up_to_date",
    ]  # fmt: skip
    assert done["from"]["version"] == "v1.0.0"
    assert done["to"] == {"version": "v2.0.0", "commit": git(template, "rev-parse", "v2.0.0")}
