"""A project made by the version before: it is found, and keeps its name, its rows and its password."""

import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.projects import Project, add_item, item_names, surroundings

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parent.parent
FORMER = "26fe99bbc93d3dfe04444f1658cee1362d1f2e7f"
"""The last commit of the version before: what it wrote on the engine has no word of what came since."""


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package of the version before, from a wheel that is built of its commit."""
    folder = tmp_path_factory.mktemp("former")
    source, wheels, installed = folder / "source", folder / "wheels", folder / "installed"
    source.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", FORMER], capture_output=True)
    if archive.returncode != 0:
        pytest.skip(f"the history of this checkout does not go back to {FORMER[:12]}")
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(source))
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed))
    subprocess.run((*pip, str(wheel)), check=True, capture_output=True)
    where = (sys.executable, "-c", "import scaffold; print(scaffold.__file__)")
    environment = surroundings({"PYTHONPATH": str(installed)})
    said = subprocess.run(where, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.startswith(str(installed)), said.stdout
    return installed


def typed(former: Path, folder: Path, *arguments: str) -> None:
    """Type a command of the version before."""
    done = subprocess.run(
        (sys.executable, "-m", "scaffold", *arguments),
        cwd=folder,
        env=surroundings({"PYTHONPATH": str(former)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("database", ["postgres", "mongo"])
def test_project_of_the_version_before_keeps_name_rows_and_password(
    former: Path, engine: docker.DockerClient, project_name: str, tmp_path: Path, database: str
) -> None:
    folder = tmp_path / project_name
    typed(former, tmp_path, "new", str(folder), "--defaults", "--no-git", "-d", f"database={database}")
    typed(former, folder, "run")
    project = Project(folder)
    before = project.variables
    add_item(project, "made before")

    project.scaffold("run")
    assert project.variables == before
    assert item_names(project) == {"made before"}

    moved = Project(folder.rename(tmp_path / f"{project_name}-moved"))
    moved.scaffold("run")
    assert moved.variables == before
    assert item_names(moved) == {"made before"}
    moved.scaffold("down")
    moved.scaffold("run")
    assert item_names(moved) == {"made before"}
    add_item(moved, "made now")

    # And back again: a colleague may not have the new version yet.
    typed(former, moved.folder, "run")
    assert item_names(moved) == {"made before", "made now"}
    moved.destroy()
    volumes = engine.api.volumes()["Volumes"] or ()
    assert not [item["Name"] for item in volumes if item["Name"].startswith(moved.name)]


@pytest.mark.parametrize("state", ["stopped", "without containers"])
def test_project_that_the_version_before_put_away_is_found(
    former: Path, engine: docker.DockerClient, project_name: str, tmp_path: Path, state: str
) -> None:
    folder = tmp_path / project_name
    typed(former, tmp_path, "new", str(folder), "--defaults", "--no-git")
    typed(former, folder, "run")
    project = Project(folder)
    add_item(project, "made before")
    typed(former, folder, "stop" if state == "stopped" else "down")
    project.scaffold("run")
    assert item_names(project) == {"made before"}
    project.destroy()
