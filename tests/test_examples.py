"""The examples are what the bundled template makes today, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = ["node-mongo", "node-postgres", "python-mongo", "python-postgres"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run((sys.executable, ROOT / "tests" / "render_examples.py", folder), check=True)
    return folder


def contents(folder: Path) -> dict[str, tuple[bool, bytes]]:
    """Run bit and bytes of every file, as git has them: what .gitignore names is not part of the example."""
    return {
        path.relative_to(folder).as_posix(): (bool(path.stat().st_mode & 0o100), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and "node_modules" not in path.parts and "__pycache__" not in path.parts
    }


def test_there_is_an_example_for_every_language_and_database() -> None:
    assert sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_example_is_what_the_template_renders(rendered: Path, name: str) -> None:
    there, fresh = contents(ROOT / "examples" / name), contents(rendered / name)
    assert sorted(there) == sorted(fresh), "run `make examples`"
    assert [path for path in fresh if there[path] != fresh[path]] == [], "run `make examples`"


@pytest.mark.parametrize("name", NAMES)
def test_example_holds_no_repository_and_no_secrets(rendered: Path, name: str) -> None:
    assert not (rendered / name / ".git").exists()
    assert not (rendered / name / ".env").exists()


@pytest.mark.parametrize("name", NAMES)
def test_example_has_no_empty_folder(rendered: Path, name: str) -> None:
    assert [path for path in (rendered / name).rglob("*") if path.is_dir() and not any(path.iterdir())] == []
