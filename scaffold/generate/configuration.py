"""Read a template's copier.yml, as copier does: several documents, `!include`, settings and questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scaffold.errors import ScaffoldError
from scaffold.generate import documents, requirements
from scaffold.generate.sources import Template

_MOST_INCLUDES = 100
_ADDED_UP = ("_exclude", "_jinja_extensions", "_secret_questions", "_skip_if_exists")  # over all documents


@dataclass(frozen=True)
class Configuration:
    """What copier.yml says: `settings` without their underscore, and `questions` in the order of asking."""

    settings: Mapping[str, Any]
    questions: Mapping[str, Mapping[Any, Any]]


def read(template: Template) -> Configuration:
    """The configuration of a template."""
    path = file(template)
    try:
        found = _documents(path, (), iter(range(_MOST_INCLUDES)))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ScaffoldError(f"{path} cannot be read: {one_line(error)}") from error
    merged: dict[Any, Any] = {}
    for document in found:
        if not isinstance(document, dict):
            raise ScaffoldError(f"{path} is not a mapping of questions and settings.")
        added = {key: merged.get(key, []) + as_list(document[key]) for key in _ADDED_UP if key in document}
        merged |= document | added
    settings = {str(name)[1:]: value for name, value in merged.items() if str(name).startswith("_")}
    requirements.check(template.name, settings)
    return Configuration(
        settings=settings,
        questions={
            str(name): details if isinstance(details, dict) else {"default": details}
            for name, details in merged.items()
            if not str(name).startswith("_")
        },
    )


def file(template: Template) -> Path:
    """The one copier.yml or copier.yaml of a template."""
    files = [path for path in sorted(template.path.glob("copier.*")) if path.suffix in {".yml", ".yaml"}]
    if len(files) != 1:
        raise ScaffoldError(f'Template "{template.name}" has both a copier.yml and a copier.yaml: keep one.')
    return files[0]


def as_list(value: object) -> list[Any]:
    """A list as it is, nothing as an empty one, and anything else as the only item."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def one_line(error: Exception) -> str:
    """An error's text, which may run over several lines, on one."""
    return " ".join(str(error).split())


def _documents(path: Path, around: tuple[Path, ...], includes: Iterator[int]) -> list[Any]:
    """All YAML documents of a file, with copier's `!include <glob>` followed inside of its folder."""
    root = (around or (path,))[0].parent.resolve()

    class Loader(documents.LOADER):  # type: ignore[misc]  # chosen at run time
        pass

    def include(loader: Any, node: Any) -> list[Any]:
        pattern = str(loader.construct_scalar(node))
        if pattern.startswith("/"):
            raise ValueError(f"it includes {pattern}, an absolute path")
        included = sorted(root.glob(pattern))
        for file in included:
            if not file.resolve().is_relative_to(root):
                raise ValueError(f"it includes {pattern}, which leads out of the template")
            if file.resolve() in (path.resolve(), *around):
                raise ValueError(f"it includes {pattern}, which includes itself")
            if next(includes, None) is None:
                raise ValueError(f"it includes more than {_MOST_INCLUDES} files")
        inside = (*around, path.resolve())
        return [document for file in included for document in _documents(file, inside, includes)]

    Loader.add_constructor("!include", include)
    loaded = [document for document in yaml.load_all(documents.read(path), Loader) if document]
    return [part for document in loaded for part in (document if isinstance(document, list) else [document])]
