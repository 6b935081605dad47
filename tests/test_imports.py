"""Who may import whom, and what a start must not cost."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import scaffold

PACKAGE = Path(scaffold.__file__).parent

# Each vendor is imported by one room, which speaks our own types on the inside.
VENDORS = {
    "copier": "scaffold.generate",
    "docker": "scaffold.engine",
    "questionary": "scaffold.console.prompts",
    "typer": "scaffold.cli",
}

# Every room and every module on the top level of the package, the top floor first. What stands on a floor
# imports only what stands below it: nothing of its own floor, and nothing of a higher one.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("console",),
    ("doctor", "fleet"),
    ("watch",),
    ("run",),
    ("engine",),
    ("diagnose",),
    ("dockercli",),
    ("project",),
    ("data", "generate"),
    ("stack",),
    ("interrupt", "errors", "files", "characters", "numbers", "__version__"),
)
HEIGHT = {name: -depth for depth, names in enumerate(FLOORS) for name in names}


def room(module: str) -> str:
    return module.split(".")[1]


def modules() -> dict[str, Path]:
    """Return the file of each module of ours, by its full name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        within = path.relative_to(PACKAGE)
        if "templates" not in within.parts:
            found[".".join(("scaffold", *within.with_suffix("").parts)).removesuffix(".__init__")] = path
    return found


def imports() -> Iterator[tuple[str, str]]:
    """Each pair of a module of ours and the full name of something that it imports."""
    known = modules()
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from ((module, name.name) for name in names)
                case ast.ImportFrom(module=None, names=names):
                    pytest.fail(f"{module}: `from . import` hides the direction; write the full name")
                case ast.ImportFrom(module="scaffold", names=names):
                    yield from ((module, f"scaffold.{name.name}") for name in names)
                case ast.ImportFrom(module=str(name), names=names, level=0):
                    # What is imported of a package may be a module, or a name of its `__init__`.
                    whole = (f"{name}.{item.name}" for item in names)
                    yield from ((module, item if item in known else name) for item in whole)
                case ast.ImportFrom():
                    pytest.fail(f"{module}: a relative import hides the direction; write the full name")
                case _:
                    pass


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_vendor_is_imported_by_one_room_only(vendor: str) -> None:
    home = VENDORS[vendor]
    importers = {module for module, name in imports() if name.split(".")[0] == vendor}
    assert importers
    assert {module for module in importers if module != home and not module.startswith(f"{home}.")} == set()


def test_every_room_has_its_floor() -> None:
    rooms = {room(module) for module in modules() if module != "scaffold"} | {"__version__"}
    assert rooms == HEIGHT.keys()
    assert len(HEIGHT) == sum(len(names) for names in FLOORS), "a room stands on two floors"


def test_imports_point_one_way() -> None:
    wrong = {
        f"{module} imports {name}"
        for module, name in imports()
        if module != "scaffold"
        and name.startswith("scaffold.")
        and room(name) != room(module)
        and HEIGHT[room(name)] >= HEIGHT[room(module)]
    }
    assert wrong == set()


def test_modules_import_each_other_in_no_circle() -> None:
    """Inside a room there are no floors; a circle would hide which of two modules needs the other."""
    known = modules()
    needs: dict[str, set[str]] = {module: set() for module in known}
    for module, name in imports():
        needs[module] |= ({name} & known.keys()) - {module}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_start_imports_nothing_heavy(option: str) -> None:
    code = f"""
import sys
from scaffold.cli import app
assert app.run([{option!r}]) == 0
heavy = {{"copier", "docker", "jinja2", "psycopg", "pymongo", "questionary", "rich", "yaml"}}
print(",".join(sorted(heavy & set(sys.modules))), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    assert done.stdout.strip() != ""
