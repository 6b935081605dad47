"""Read TOML, YAML and JSON strictly enough that two texts with one value mean the same."""

from __future__ import annotations

import functools
import io
import json
import tomllib
from pathlib import PurePosixPath
from typing import Any, Literal

from scaffold.generate import documents

Format = Literal["toml", "yaml", "json"]
_FORMATS: dict[str, Format] = {".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".json": "json"}


class Unreadable(ValueError):
    """A text that is not of its format, or says something twice."""


def format_of(path: str) -> Format | None:
    """Return the format that a file's name promises."""
    return _FORMATS.get(PurePosixPath(path).suffix)


def parse(form: Format, text: str) -> object:
    """Return the value of a document, of plain types; Unreadable for anything that is not certain."""
    try:
        match form:
            case "toml":
                return tomllib.loads(text)
            case (
                "json"
            ):  # comments and the like (tsconfig.json) are none of JSON: such a file is merged as text
                return json.loads(text, object_pairs_hook=_unique)
            case "yaml":
                return _yaml(text)
    except RecursionError as error:
        raise Unreadable("nested too deep") from error
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(str(error)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key stands twice in one object")
    return found


def _yaml(text: str) -> object:
    import yaml

    # A template's text and a project's meet here: neither may take all memory.
    documents.check(io.BytesIO(text.encode()))
    return yaml.load(text, _loader())  # noqa: S506 - derived from a SafeLoader


@functools.cache
def _loader() -> Any:
    import yaml

    parent: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(parent):  # type: ignore[misc] # chosen at run time
        """PyYAML lets the later of two equal keys win in silence; tags of others are kept as they stand."""

    def mapping(loader: Any, node: Any) -> dict[object, object]:
        loader.flatten_mapping(node)
        found: dict[object, object] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key in found:
                raise Unreadable(f"the key {key} stands twice")
            found[key] = loader.construct_object(value_node, deep=True)
        return found

    def tagged(_: Any, suffix: str, node: Any) -> tuple[str, str]:
        return suffix, node.value if isinstance(node.value, str) else yaml.serialize(node)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_multi_constructor("!", tagged)
    return Loader
