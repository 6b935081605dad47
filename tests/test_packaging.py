"""The wheel and the sdist carry every file of the templates, and the program in them generates from those."""

import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = [
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "Makefile",
    ".gitignore",
    "dev-requirements.lock",
]
CACHES = shutil.ignore_patterns("__pycache__", "*.pyc")


@dataclass(frozen=True)
class Built:
    source: Path
    sdist: Path
    wheel: Path


def template_files(source: Path) -> dict[str, bool]:
    """Each file of the templates, and whether it may be run."""
    top = source / "templates"
    return {
        path.relative_to(top).as_posix(): bool(path.stat().st_mode & stat.S_IXUSR)
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def copy_source(destination: Path) -> Path:
    """The source tree without what a checkout collects beside it."""
    for name in ("scaffold", "templates"):
        shutil.copytree(ROOT / name, destination / name, ignore=CACHES, symlinks=True)
    for name in PARTS:
        shutil.copy2(ROOT / name, destination / name)
    return destination


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    source = copy_source(tmp_path_factory.mktemp("source"))
    # What the repository's .gitignore matches is part of a template all the same; what Python leaves is not.
    project = source / "templates" / "backend" / "project"
    (project / "build").mkdir()
    (project / "build" / "kept.pyc.txt").write_text("kept\n")
    (project / ".env.kept").write_text("KEPT=1\n")
    (project / "kept.lock").write_text("kept\n")
    for folder in (project / "__pycache__", source / "scaffold" / "__pycache__"):
        folder.mkdir()
        (folder / "stale.cpython-311.pyc").write_bytes(b"stale")
    out = source / "dist"
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source],
        check=True,
        capture_output=True,
        text=True,
    )
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Built(source, sdist, wheel)


def test_wheel_holds_every_template_file_with_its_run_bit(built: Built) -> None:
    top = "scaffold/templates/"
    with zipfile.ZipFile(built.wheel) as archive:
        files = {
            info.filename.removeprefix(top): bool(info.external_attr >> 16 & stat.S_IXUSR)
            for info in archive.infolist()
            if info.filename.startswith(top) and not info.is_dir()
        }
    assert files == template_files(built.source)
    assert {
        "backend/project/.env.kept",
        "backend/project/kept.lock",
        "backend/project/build/kept.pyc.txt",
    } <= set(files)


def test_sdist_holds_every_template_file_with_its_run_bit(built: Built) -> None:
    top = built.sdist.name.removesuffix(".tar.gz") + "/templates/"
    with tarfile.open(built.sdist) as archive:
        files = {
            member.name.removeprefix(top): bool(member.mode & stat.S_IXUSR)
            for member in archive.getmembers()
            if member.isfile() and member.name.startswith(top)
        }
    assert files == template_files(built.source)


def test_nothing_compiled_is_shipped(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel, tarfile.open(built.sdist) as sdist:
        names = wheel.namelist() + sdist.getnames()
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_wheel_has_the_command_the_licence_and_the_types_marker(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "scaffold = scaffold.__main__:main" in archive.read(entry_points).decode()
    assert "scaffold/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def generate(package: Path, destination: Path) -> dict[str, bool]:
    """What `scaffold new DESTINATION --defaults` of this package writes: files and their run bits."""
    code = (
        f"import scaffold; assert scaffold.__file__.startswith({str(package)!r}), scaffold.__file__; "
        "from scaffold.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "new", destination, "--defaults", "--no-git"],
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=destination.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        path.relative_to(destination).as_posix(): bool(path.stat().st_mode & stat.S_IXUSR)
        for path in destination.rglob("*")
        if path.is_file()
    }


@pytest.mark.usefixtures("built")
def test_installed_wheel_generates_what_the_source_does(built: Built, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    # pip compiles what it installs, templates included: none of that may end up in a project.
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-qq",
            "--no-deps",
            "--no-index",
            "--target",
            installed,
            built.wheel,
        ],
        check=True,
        capture_output=True,
    )
    (installed / "scaffold" / "templates" / "backend" / "project" / "__pycache__").mkdir(exist_ok=True)
    (installed / "scaffold" / "templates" / "backend" / "project" / "__pycache__" / "a.pyc").write_bytes(b"")
    from_wheel = generate(installed, tmp_path / "from-wheel")
    from_source = generate(built.source, tmp_path / "from-source")
    assert from_wheel == from_source
    assert from_wheel["run.sh"] is True
    assert {"compose.yaml", ".env.example", ".gitignore", ".dockerignore"} <= set(from_wheel)
    assert not any("__pycache__" in name for name in from_wheel)


def test_source_tree_is_read_live(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source = copy_source(tmp_path / "source")
    (source / "templates" / "backend" / "project" / "added-just-now.txt").write_text("live\n")
    assert "added-just-now.txt" in generate(source, tmp_path / "demo")
