"""Who may import whom, and what a start must not cost."""

import ast
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
    "questionary": "scaffold.prompts",
    "rich": "scaffold.console",
    "typer": "scaffold.cli",
}

# Lower rooms know nothing of the higher ones, and those on one floor nothing of each other.
# What is not listed lies between the command line and the floor below it.
FLOORS = {
    "errors": 0,
    "stack": 1,
    "interrupt": 1,
    "checkout": 2,
    "clock": 2,
    "data": 3,
    "engine": 3,
    "generate": 3,
    "cli": 5,
    "__main__": 6,
}
MIDDLE = 4


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    return FLOORS.get(room(module), MIDDLE)


def imports() -> Iterator[tuple[str, str]]:
    """Each pair of a module of ours and the full name of something that it imports."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "templates" in path.relative_to(PACKAGE).parts:
            continue
        parts = ("scaffold", *path.relative_to(PACKAGE).with_suffix("").parts)
        module = ".".join(parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from ((module, name.name) for name in names)
                case ast.ImportFrom(module=None, names=names):
                    pytest.fail(f"{module}: `from . import` hides the direction; write the full name")
                case ast.ImportFrom(module="scaffold", names=names):
                    yield from ((module, f"scaffold.{name.name}") for name in names)
                case ast.ImportFrom(module=str(name), level=0):
                    yield module, name
                case ast.ImportFrom():
                    pytest.fail(f"{module}: a relative import hides the direction; write the full name")
                case _:
                    pass


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_vendor_is_imported_by_one_room_only(vendor: str) -> None:
    home = VENDORS[vendor]
    strangers = {
        module
        for module, name in imports()
        if name.split(".")[0] == vendor and module != home and not module.startswith(f"{home}.")
    }
    assert strangers == set()


def test_imports_point_one_way() -> None:
    wrong = {
        f"{module} imports {name}"
        for module, name in imports()
        if name.startswith("scaffold.")
        and room(name) not in ("__version__", room(module))
        and (floor(name) > floor(module) or (floor(name) == floor(module) != MIDDLE))
    }
    assert wrong == set()


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
