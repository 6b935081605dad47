"""Read from a Dockerfile which images it builds upon and what it copies. Pure; BuildKit judges the rest."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=.*")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[-+])([^${}]*))?\}|\$(\w+)")
_FROM_FLAG = re.compile(r"(?:^|,)from=([^,\s]+)")


def bases(text: str, args: Mapping[str, str], named: Collection[str] = ()) -> tuple[str, ...]:
    """Return the images of FROM, `COPY --from` and `RUN --mount=from=`, without stages and `named` contexts.

    `args` are the build's arguments; they win over the defaults of ARG lines before the first FROM.

    >>> bases("ARG TAG=3\\nFROM python:${TAG}-slim AS base\\nFROM base\\n", {"TAG": "3.13"})
    ('python:3.13-slim',)
    """
    known = {name.lower() for name in named} | {"scratch"}
    scope: dict[str, str] = {}
    found: dict[str, None] = {}
    seen_from = False
    for keyword, rest in _instructions(text):
        references: list[str] = []
        stage = ""
        if keyword == "ARG" and not seen_from:
            for name, default in _arguments(rest):
                value = args.get(name, None if default is None else _expand(default, scope))
                if value is not None:
                    scope[name] = value
        elif keyword == "FROM":
            seen_from = True
            words = [word for word in rest.split() if not word.startswith("--")]
            references = [_expand(words[0], scope).strip("\"'")] if words else []
            stage = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
        elif keyword in ("COPY", "ADD", "RUN"):
            for word in rest.split():
                if not word.startswith("--"):
                    break
                name, _, value = word.partition("=")
                if name == "--from":
                    references.append(value)
                elif name == "--mount":
                    references += _FROM_FLAG.findall(value)
        for reference in references:
            if reference and reference.lower() not in known and not reference.isdigit():
                found[reference] = None
        if stage:
            known.add(stage)
    return tuple(found)


@dataclass(frozen=True)
class Copy:
    """One source that an instruction takes from a context: the main one has no name."""

    line: int
    text: str
    source: str
    context: str = ""


def copies(text: str, args: Mapping[str, str]) -> Iterator[Copy]:
    """Yield what COPY, ADD and bind mounts take from contexts; `context` may be a stage as well.

    >>> [copy.source for copy in copies("FROM x\nCOPY a ./b /c/", {})]
    ['a', 'b']
    """
    scope = dict(args)
    for number, keyword, rest in _numbered(text):
        if keyword in ("ARG", "ENV"):
            for name, default in _arguments(rest):
                scope[name] = args.get(name, _expand(default or "", scope))
        if keyword not in ("COPY", "ADD", "RUN"):
            continue
        written = f"{keyword} {rest}"
        words, origin = rest.split(), ""
        while words and words[0].startswith("--"):
            flag, _, value = words.pop(0).partition("=")
            if flag == "--from":
                origin = value
            if flag == "--mount":
                options = dict(item.partition("=")[::2] for item in value.split(","))
                source = options.get("source", options.get("src", "."))
                if options.get("type", "bind") == "bind":
                    yield Copy(number, written, _path(_expand(source, scope)), options.get("from", ""))
        if keyword == "RUN":
            continue
        for source in _sources(" ".join(words)):
            yield Copy(number, written, _path(_expand(source, scope)), origin)


@dataclass
class _Stage:
    """A stage, the stages or images that it stands on, and what it takes from contexts."""

    name: str
    needs: set[str]
    takes: list[tuple[str, str]]


def taken(text: str, args: Mapping[str, str], target: str = "") -> tuple[tuple[str, str], ...] | None:
    """Return what the stages up to `target` take: (context or image, path), a folder where it has wildcards.

    None where that cannot be known for certain, and everything in the context has to count: a variable in
    a path, ONBUILD, a syntax of another frontend.

    >>> taken("FROM x AS a\\nCOPY t /\\nFROM x AS b\\nCOPY src/*.js p /\\n", {}, "a")
    (('', 't'),)
    >>> taken("FROM x AS a\\nCOPY t /\\nFROM x AS b\\nCOPY src/*.js p /\\n", {})
    (('', 'src'), ('', 'p'))
    """
    if any(not match[1].startswith("docker/dockerfile") for match in _SYNTAX.finditer(text)):
        return None
    scope: dict[str, str] = {}
    stages: list[_Stage] = []
    for _, keyword, rest in _numbered(text):
        if keyword == "ARG" and not stages:
            for name, default in _arguments(rest):
                value = args.get(name, None if default is None else _expand(default, scope))
                if value is not None:
                    scope[name] = value
        elif keyword == "ONBUILD":
            return None
        elif keyword == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            base = _expand(words[0], scope).strip("\"'").lower() if words else ""
            named = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
            stages.append(_Stage(named, {base}, []))
        elif keyword in ("COPY", "ADD", "RUN") and not (stages and _take(stages[-1], keyword, rest)):
            return None
    return _reached(stages, target.lower())


_SYNTAX = re.compile(r"^#\s*syntax\s*=\s*(\S+)", re.MULTILINE | re.IGNORECASE)
_OPEN = re.compile(r"[$\\\"'{}]")
"""What may stand for anything else than itself in a path."""


def _take(stage: _Stage, keyword: str, rest: str) -> bool:
    """Note what an instruction takes; return whether that is certain."""
    words, origin = rest.split(), ""
    while words and words[0].startswith("--"):
        flag, _, value = words.pop(0).partition("=")
        if flag == "--from":
            origin = value.lower()
            stage.needs.add(origin)
        if flag == "--mount":
            options = dict(item.partition("=")[::2] for item in value.split(","))
            if options.get("type", "bind") != "bind" and "from" not in options:
                continue
            place = options.get("from", "").lower()
            stage.needs.add(place)
            source = options.get("source", options.get("src", "."))
            if _OPEN.search(place + source):
                return False
            stage.takes.append((place, _folder(source)))
    if keyword == "RUN":
        return not _OPEN.search(origin)
    if rest.lstrip().startswith("[") or any(word.startswith("[") for word in words[:1]):
        return False
    sources = words[:-1]
    if any(_OPEN.search(word) and not word.startswith("<<") for word in (origin, *sources)):
        return False
    stage.takes += [(origin, _folder(source)) for source in sources if not source.startswith("<<")]
    return True


def _folder(source: str) -> str:
    """Return a path; of one with wildcards the folder that all it can stand for lies in."""
    literal = re.split(r"[*?\[]", source, maxsplit=1)[0]
    return _path(source) if literal == source else _path(literal.rpartition("/")[0])


def _reached(stages: list[_Stage], target: str) -> tuple[tuple[str, str], ...] | None:
    """Return what the stages take that the target needs, itself included."""
    known = {stage.name or str(number): number for number, stage in enumerate(stages)}
    known |= {str(number): number for number in range(len(stages))}
    if not stages or (target and target not in known):
        return None
    waiting = [known[target] if target else len(stages) - 1]
    seen: set[int] = set()
    found: dict[tuple[str, str], None] = {}
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        stage = stages[number]
        waiting += [known[need] for need in stage.needs if need in known]
        found |= {take: None for take in stage.takes if take[0] not in known}
    return tuple(found)


def _sources(rest: str) -> tuple[str, ...]:
    """Return all words but the last one, of the plain form and of the JSON one."""
    if rest.startswith("["):
        try:
            return tuple(map(str, json.loads(rest)))[:-1]
        except ValueError:
            return ()
    return tuple(word for word in rest.split()[:-1] if not word.startswith("<<"))


def _path(source: str) -> str:
    return posixpath.normpath("/" + source.strip("\"'")).lstrip("/")


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for _, keyword, rest in _numbered(text):
        yield keyword, rest


def _numbered(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, keyword and arguments: continued lines joined, comments and here-documents left out."""
    lines = iter(enumerate(text.removeprefix("\ufeff").splitlines(), 1))
    number = 0
    escape, directives = "\\", True
    parts: list[str] = []
    for at, line in lines:
        stripped = line.strip()
        if directives and (match := _ESCAPE.fullmatch(stripped)):
            escape = match[1]
        directives = directives and _DIRECTIVE.fullmatch(stripped) is not None
        if not stripped or stripped.startswith("#"):
            continue
        number = number or at
        if stripped.endswith(escape):
            parts.append(stripped[:-1])
            continue
        keyword, _, rest = " ".join((*parts, stripped)).strip().partition(" ")
        parts = []
        keyword = keyword.upper()
        yield number, keyword, rest.strip()
        number = 0
        if keyword in ("RUN", "COPY", "ADD"):
            for _, end in _HEREDOC.findall(rest):
                for _, inside in lines:
                    if inside.strip("\t") == end:
                        break


def _arguments(rest: str) -> Iterator[tuple[str, str | None]]:
    try:
        words = shlex.split(rest, posix=True)
    except ValueError:
        words = rest.split()
    for word in words:
        name, equals, value = word.partition("=")
        yield name, value if equals else None


def _expand(text: str, scope: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`, innermost first."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match[1] or match[4], match[2] or "", match[3] or ""
        present = bool(scope.get(name)) if operator.startswith(":") else name in scope
        if operator.endswith("+"):
            return word if present else ""
        if operator.endswith("-") and not present:
            return word
        return scope.get(name, "")

    for _ in range(10):
        made = _VARIABLE.sub(value, text)
        if made == text:
            break
        text = made
    return text
