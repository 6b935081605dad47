"""Tell lock files from others: what a tool makes from a list of dependencies is made again, not merged."""

from __future__ import annotations

from pathlib import PurePosixPath

_NAMES = {
    "package-lock.json": "npm install --package-lock-only",
    "npm-shrinkwrap.json": "npm shrinkwrap",
    "yarn.lock": "yarn install --mode update-lockfile",
    "pnpm-lock.yaml": "pnpm install --lockfile-only",
    "bun.lock": "bun install --lockfile-only",
    "bun.lockb": "bun install",
    "uv.lock": "uv lock",
    "poetry.lock": "poetry lock",
    "pdm.lock": "pdm lock",
    "Pipfile.lock": "pipenv lock",
    "Cargo.lock": "cargo generate-lockfile",
    "Gemfile.lock": "bundle lock",
    "composer.lock": "composer update --lock",
    "mix.lock": "mix deps.get",
    "go.sum": "go mod tidy",
    "flake.lock": "nix flake lock",
    "pubspec.lock": "dart pub get",
}


def is_lock(path: str) -> bool:
    """Tell whether a file is made by a tool from a list of dependencies."""
    name = PurePosixPath(path).name
    return name in _NAMES or (name.startswith("requirements") and name.endswith(".lock"))


def command(path: str) -> str | None:
    """Return the command that makes a lock file anew, where its name tells."""
    return _NAMES.get(PurePosixPath(path).name)
