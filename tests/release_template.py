"""Add the bundled templates to their bundles as a version: `make template-release TAG=v0.2.0`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import bundle, sources, versions


def main(tag: str) -> int:
    for template in sources.bundled():
        if versions.newest((tag, *(each.tag for each in bundle.releases(template.path)))) != tag:
            print(f"error: {tag!r} is no version after the newest one.", file=sys.stderr)
            return 2
        if _git(template.path, "status", "--porcelain", "."):
            print(f"error: {template.path} has changes that are not committed.", file=sys.stderr)
            return 2
        when = int(_git(template.path, "log", "-1", "--format=%ct", "."))
        try:
            made = bundle.release(template.path, tag, when)
        except ScaffoldError as error:
            print(f"error: {error.message}", file=sys.stderr)
            return 1
        size = bundle.file(template.path).stat().st_size
        print(f"{template.name} {made.tag}: commit {made.commit}, {size} bytes")
    return 0


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", *arguments), cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
