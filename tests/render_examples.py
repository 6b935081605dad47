"""Render examples/: one finished project for each language and database. `make examples` runs it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scaffold.generate import sources
from scaffold.generate.render import render

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
COMBINATIONS = [(language, database) for language in ("python", "node") for database in ("postgres", "mongo")]


def main(folder: Path) -> None:
    template = sources.find("backend")
    for language, database in COMBINATIONS:
        name = f"{language}-{database}"
        shutil.rmtree(folder / name, ignore_errors=True)
        render(
            template,
            folder / name,
            {"language": language, "database": database, "devcontainer": True, "github_actions": True},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES)
