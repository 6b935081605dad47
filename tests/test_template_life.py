"""The life of a template, as docs/templates.md tells it: started, tested, released, used, followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import Project
from tests.repositories import commit, git, write


@pytest.mark.engine
def test_template_is_started_tested_released_used_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    write(home, {".gitconfig": "[user]\n  name = Ada\n  email = ada@example.com\n"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    desk, ours = Project(tmp_path), Project(tmp_path / "ours")

    # The owner: start, hold what it makes, release, publish.
    desk.scaffold("template", "new", "ours")
    ours.scaffold("template", "lint")
    ours.scaffold("template", "test", "--accept")
    commit(ours.folder, {})
    assert ours.scaffold("template", "release", "--json").json["version"] == "v0.1.0"
    git(tmp_path, "clone", "--quiet", "--bare", "ours", "published.git")
    git(ours.folder, "remote", "add", "origin", str(tmp_path / "published.git"))

    # A team: three projects, of which one runs and one is edited.
    desk.scaffold("template", "add", "service", f"file://{tmp_path}/published.git")
    projects = [Project(tmp_path / name) for name in ("one", "two", "three")]
    for project in projects:
        desk.scaffold("new", project.folder.name, "--template", "service", "-d", "database=none")
    projects[0].scaffold("run")
    try:
        assert projects[0].scaffold("ps").out.count("running") == 1
    finally:
        projects[0].destroy()
    readme = projects[2].folder / "README.md"
    first = readme.read_text().splitlines()[0]
    commit(projects[2].folder, {"README.md": readme.read_text().replace(first, "# Our third service", 1)})

    # The owner again: a change of the same line, and a file more.
    title = "project/README.md.jinja"
    changed = (ours.folder / title).read_text().replace("\n# {{", "\n# The service {{", 1)
    write(ours.folder, {title: changed, "project/NOTES.md": "new\n"})
    ours.scaffold("template", "test", code=1)
    ours.scaffold("template", "test", "--accept")
    commit(ours.folder, {})
    assert ours.scaffold("template", "release", "--json").json["version"] == "v0.1.1"
    git(ours.folder, "push", "--quiet", "--follow-tags", "origin", "main")

    # The projects follow: two as they are, one with a conflict to decide.
    for project, code in zip(projects, (0, 0, 1), strict=True):
        done = project.scaffold("update", code=code)
        assert (project.folder / "NOTES.md").read_text() == "new\n"
        assert ("README.md" in done.out) or code == 0
    assert "# The service one" in (projects[0].folder / "README.md").read_text()
    assert "# Our third service" in readme.read_text(), "no line of a team is lost"
    assert "_commit: v0.1.1" in (projects[1].folder / ".copier-answers.yml").read_text()
