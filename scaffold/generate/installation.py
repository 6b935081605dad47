"""How this program was installed, and with that the commands that add to it and bring it up to date."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_PACKAGE = "scaffold-run"


def adding(package: str) -> str:
    """The command that puts a package beside this program."""
    match _kind():
        case "pipx":
            return f"pipx inject {_PACKAGE} {package}"
        case "uv":
            return f"uv tool install {_PACKAGE} --with {package}"
        case _:
            return f"{_python()} -m pip install {package}"


def upgrading(*libraries: str) -> str:
    """The command that brings this program up to date, and of its libraries those that are named."""
    match _kind():
        case "pipx" if libraries:
            return f"pipx runpip {_PACKAGE} install --upgrade {' '.join((_PACKAGE, *libraries))}"
        case "pipx":
            return f"pipx upgrade {_PACKAGE}"
        case "uv":
            return f"uv tool upgrade {_PACKAGE}"
        case _:
            return f"{_python()} -m pip install --upgrade {' '.join((_PACKAGE, *libraries))}"


def _kind() -> str:
    parts = Path(sys.prefix).parts
    if "pipx" in parts:
        return "pipx"
    return "uv" if "uv" in parts and "tools" in parts else "pip"


def _python() -> str:
    return shlex.quote(sys.executable)
