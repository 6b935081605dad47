"""Each version of a template is rendered once for a project: an update begins with what the last brought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold.generate import mirror, render
from scaffold.generate.update import Wishes
from tests.repositories import ANSWERS, commit, repository
from tests.test_update import edit, new, own_folders, template, updated

__all__ = ["own_folders", "template"]


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a template was rendered since the last question."""
    asked = [0]
    real = render.again

    def counted(*arguments: object) -> render.Rendered:
        asked[0] += 1
        return real(*arguments)  # type: ignore[arg-type]

    def since() -> int:
        found, asked[0] = asked[0], 0
        return found

    monkeypatch.setattr(render, "again", counted)
    return since


def test_next_update_renders_only_the_new_version(template: Path, count: Callable[[], int]) -> None:
    commit(template, {"third.txt": "third\n", "README.md.jinja": "# {{ project_name }}\nthird\n"}, "v3.0.0")
    project = new(f"{template}@v1.0.0")
    updated(project, Wishes(to="v2.0.0"))
    assert count() == 2
    edit(project, {"mine.txt": "mine\n"})
    updated(project)
    assert count() == 1
    assert (project / "third.txt").read_text() == "third\n"
    assert (project / "README.md").read_text() == "# myapp\nthird\n"
    assert (project / "once.txt").read_text() == "v1\n"
    kept = mirror.folder().parent / "renderings"
    assert kept.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.iterdir())


def test_what_is_remembered_is_no_more_than_a_shortcut(template: Path, count: Callable[[], int]) -> None:
    project = new(f"{template}@v1.0.0")
    updated(project, Wishes(to="v2.0.0"))
    edit(project, {"mine.txt": "mine\n"})
    commit(template, {"third.txt": "third\n"}, "v3.0.0")
    kept = mirror.folder().parent / "renderings"
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:300])
    count()
    updated(project)
    assert count() == 2
    assert (project / "third.txt").read_text() == "third\n"


def test_other_answers_are_another_rendering(template: Path, count: Callable[[], int]) -> None:
    project = new(f"{template}@v1.0.0")
    updated(project, Wishes(to="v2.0.0"))
    edit(project, {"mine.txt": "mine\n"})
    count()
    updated(project, Wishes(data=("docs=yes",)))
    assert count() == 1
    assert (project / "docs/index.md").read_text() == "docs\n"


def test_secrets_are_not_remembered(tmp_path: Path) -> None:
    config = "token: {type: str, secret: true, default: changeme}\n"
    files = {"copier.yml": config, "conf.jinja": "token={{ token }}\n", **ANSWERS}
    folder = repository(tmp_path / "tiny", files, "v1.0.0")
    commit(folder, {"more.txt": "v2\n"}, "v2.0.0")
    updated(new(f"{folder}@v1.0.0", token="s3cr3t-of-mine"))
    assert not (mirror.folder().parent / "renderings").exists()
