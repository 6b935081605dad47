"""Write a merged value into the project's text through libraries that keep comments and layout.

What comes out is a candidate only: the caller parses it and compares. None: not without touching other lines.
"""

from __future__ import annotations

import copy
import difflib
import io
import json
import re
from typing import Any

from scaffold.generate.merge import formats
from scaffold.generate.merge.formats import Format
from scaffold.generate.merge.values import equal, identity


def written(form: Format, ours: str, theirs: str, value: object) -> str | None:
    """Return `ours` changed so that it means `value`; new parts look as they do in `theirs`."""
    match form:
        case "json":
            return _json(ours, value)
        case "toml":
            return _toml(ours, theirs, value)
        case "yaml":
            return _yaml(ours, theirs, value)


def _json(ours: str, value: object) -> str | None:
    indent = re.search(r"^([ \t]+)\S", ours, re.MULTILINE)

    def text(document: object) -> str:
        return json.dumps(document, indent=indent[1] if indent else "  ", ensure_ascii=False)

    body = ours.rstrip("\n")
    if text(json.loads(ours)) != body:
        return None
    return text(value) + ours[len(body) :]


# ── TOML ───────────────────────────────────────────────────────────────────────────────────────────────


def _toml(ours: str, theirs: str, value: object) -> str:
    import tomlkit

    document = tomlkit.parse(ours)
    _put_table(document, formats.parse("toml", ours), value, tomlkit.parse(theirs))
    return tomlkit.dumps(document)


def _put_table(target: Any, now: Any, wanted: Any, model: Any) -> None:
    """Make the table mean `wanted`; `now` is its plain value, `model` the other side's table."""
    for key in [key for key in now if key not in wanted]:
        del target[key]
    for key, value in wanted.items():
        there = key in now
        if there and equal(now[key], value):
            continue
        other = model.get(key) if isinstance(model, dict) else None
        if there and isinstance(value, dict) and isinstance(now[key], dict):
            _put_table(target[key], now[key], value, other if isinstance(other, dict) else {})
        elif there and _are_words(value) and _are_words(now[key]):
            _put_words(target[key], now[key], value)
        else:
            target[key] = value if other is None else other


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _put_words(target: Any, now: list[str], wanted: list[str]) -> None:
    """Change an array item by item, from its end, so that the others keep their lines and comments."""
    matcher = difflib.SequenceMatcher(None, now, wanted, autojunk=False)
    for kind, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if kind == "equal":
            continue
        if end - start == new_end - new_start:
            for step in range(end - start):
                target[start + step] = wanted[new_start + step]
            continue
        for _ in range(end - start):
            del target[start]
        for step, word in enumerate(wanted[new_start:new_end]):
            target.insert(start + step, word)


# ── YAML ───────────────────────────────────────────────────────────────────────────────────────────────


def _yaml(ours: str, theirs: str, value: object) -> str | None:
    from ruamel.yaml import YAML

    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 10**6

    def dumped(document: Any) -> str:
        stream = io.StringIO()
        writer.dump(document, stream)
        return stream.getvalue()

    # The library forgets how far lists are indented: only a text that it writes back unchanged is touched.
    for sequence, offset in ((2, 0), (4, 2)):
        writer.indent(mapping=2, sequence=sequence, offset=offset)
        document = writer.load(ours)
        if dumped(document) == ours:
            break
    else:
        return None
    _put(document, copy.deepcopy(formats.parse("yaml", ours)), value, writer.load(theirs))
    return dumped(document)


def _put(target: Any, now: Any, wanted: Any, model: Any) -> None:
    if isinstance(wanted, dict):
        _put_mapping(target, now, wanted, model)
    else:
        _put_list(target, now, wanted, model)


def _put_mapping(target: Any, now: Any, wanted: Any, model: Any) -> None:
    for key in [key for key in now if key not in wanted]:
        del target[key]
    for key, value in wanted.items():
        there = key in now
        if there and equal(now[key], value):
            continue
        other = model.get(key) if isinstance(model, dict) else None
        if there and type(value) is type(now[key]) and isinstance(value, dict | list):
            _put(target[key], now[key], value, other)
        else:
            target[key] = other if other is not None and _means(other, value) else value


def _put_list(target: Any, now: list[Any], wanted: list[Any], model: Any) -> None:
    names = [identity(item) for item in now]
    theirs = {identity(item): item for item in model} if isinstance(model, list) else {}
    kept = {identity(item) for item in wanted}
    for at in reversed(range(len(now))):
        if names[at] not in kept:
            del target[at], now[at], names[at]
    for at, value in enumerate(wanted):
        name = identity(value)
        if at < len(names) and names[at] == name:
            if equal(now[at], value):
                continue
            if isinstance(value, dict | list):
                _put(target[at], now[at], value, theirs.get(name))
            else:
                target[at] = theirs.get(name, value)
        elif name in names:
            raise formats.Unreadable("the order of a list has changed")
        else:
            target.insert(at, theirs.get(name, value))
            now.insert(at, value)
            names.insert(at, name)


def _means(one: object, other: object) -> bool:
    """Tell whether two values are the same once the library's own types are left out."""
    return bool(json.loads(json.dumps(one, default=str)) == json.loads(json.dumps(other, default=str)))
