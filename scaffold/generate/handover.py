"""Hand a template over to copier, with a git in sight that fetches nothing, or with none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from scaffold.generate import mirror, versions
from scaffold.generate.mirror import Mirror
from scaffold.generate.sources import Template


@contextmanager
def handed_over(template: Template, *, programs: bool = False) -> Iterator[str]:
    """The source to give to copier; with `programs` tasks will run, which find all that the person finds.

    A folder is read as it stands, without git in sight: with it, copier asks git for every file written
    (`core.fileMode`), and renders the newest tag of a template that happens to be a repository.

    For a version of a repository copier is told what it would ask git for, which is most of the time that it
    takes. Where that cannot be told, because copier has changed inside, it finds the repository in our copy.
    """
    from plumbum import local

    path = os.environ.get("PATH", "") if programs else ""
    described = description(template)
    if template.repository is None and (described is None or not programs):
        with local.env(PATH=path):
            yield str(template.path)
    elif described is not None:
        with _in_place_of_its_own(described), local.env(PATH=path):
            yield template.source
    elif template.repository is not None:
        with _found_in(template.repository, template.source):
            yield template.source


def description(template: Template) -> Callable[..., object] | None:
    """What makes copier's own description of a template, with all that git knows already in it."""
    from copier import _main

    repository, commit = template.repository, template.commit
    files = mirror.files(repository, commit) if repository and commit else {}
    known: dict[str, object] = {
        "commit": template.version if repository else None,
        "commit_hash": commit if repository else None,
        "git_index_modes": {PurePosixPath(path): int(mode, 8) for path, (mode, _) in files.items()},
        "local_abspath": template.path.resolve(),
        "url_expanded": template.source.removeprefix("git+"),
        "vcs": "git" if repository else None,
        "version": versions.parsed(template.version or "") if repository else None,
    }
    its_own = vars(_main).get("Template")
    if its_own is None or not all(
        isinstance(getattr(its_own, name, None), cached_property) for name in known
    ):
        return None

    def described(**settings: Any) -> object:
        made = its_own(**settings)
        vars(made).update(known)
        return made

    return described


@contextmanager
def _in_place_of_its_own(described: Callable[..., object]) -> Iterator[None]:
    from copier import _main

    its_own = vars(_main)["Template"]
    setattr(_main, "Template", described)  # noqa: B010 - copier does not export it
    try:
        yield
    finally:
        setattr(_main, "Template", its_own)  # noqa: B010


@contextmanager
def _found_in(repository: Mirror, source: str) -> Iterator[None]:
    """Let git read our copy at the repository's address, and copier keep none of its own."""
    from plumbum import local

    variables = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.folder}.insteadOf",
        "GIT_CONFIG_VALUE_0": source.removeprefix("git+"),
    }
    before = os.environ.get("COPIER_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="scaffold-copier-") as cache, local.env(**variables):
        os.environ["COPIER_CACHE_DIR"] = cache
        try:
            yield
        finally:
            os.environ.pop("COPIER_CACHE_DIR")
            if before is not None:
                os.environ["COPIER_CACHE_DIR"] = before
