"""Find what is wrong with a template as it is written, before anything is rendered. Runs none of its code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scaffold.errors import ScaffoldError
from scaffold.generate import configuration, documents, listing
from scaffold.generate.author.problem import Problem
from scaffold.generate.listing import Kind
from scaffold.generate.sources import Template

if TYPE_CHECKING:
    from jinja2 import Environment

_SETTINGS = frozenset(
    {"answers_file", "cleanup_on_error", "context_lines", "data", "envops", "exclude", "external_data"}
    | {"jinja_extensions", "message_after_copy", "message_after_update", "message_before_copy"}
    | {"message_before_update", "migrations", "min_copier_version", "preserve_symlinks", "secret_questions"}
    | {"min_scaffold_version"}
    | {
        "skip_if_exists",
        "skip_tasks",
        "subdirectory",
        "tasks",
        "templates_suffix",
        "conflict",
        "skip_answered",
    }
    | {"use_prereleases", "vcs_ref"}
)
_FIELDS = frozenset(
    {"ask", "choices", "default", "help", "multiline", "multiselect", "placeholder", "qmark", "secret"}
    | {"type", "validator", "when"}
)
_TYPES = frozenset({"bool", "float", "int", "json", "path", "str", "yaml"})
_NAMES = frozenset({"_commit", "_copier_answers", "_copier_conf", "_copier_operation", "_copier_phase"}) | {
    "_copier_python",
    "_external_data",
    "_folder_name",
    "_src_path",
    "_stage",
    "UNSET",
    "make_secret",
    "now",
    "pathjoin",
}
_SECRETS = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*\n[A-Za-z0-9+/=]{16}"),
    "an access key of AWS": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,})\b"),
    "a token of GitLab": re.compile(r"\bglpat-[A-Za-z0-9_-]{20}\b"),
    "a token of Slack": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"),
    "a token of PyPI": re.compile(r"\bpypi-[A-Za-z0-9_-]{50,}\b"),
    "a token of npm": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    # With letters and digits, as generated ones are: `user:password@` is an example.
    "a password in a URL": re.compile(
        r"[a-z]+://[^\s:/@{}$<>*]+:(?=[^\s/@]*[0-9])(?=[^\s/@]*[A-Za-z])[^\s:/@{}$<>*]{12,}@[A-Za-z0-9]"
    ),
}
_MOST = 2**20


def problems(template: Template) -> Iterator[Problem]:
    """Everything that can be found by reading."""
    name = configuration.file(template).name
    yield from _duplicates(template)
    try:
        found = configuration.read(template)
    except ScaffoldError as error:
        yield Problem(name, 0, error.message)
        return
    yield from _schema(found, name)
    yield from _expressions(template, found, name)
    yield from _secrets(template)


# ── copier.yml ─────────────────────────────────────────────────────────────────────────────────────────


def _duplicates(template: Template) -> Iterator[Problem]:
    """A key that stands twice: YAML readers take the last one without a word."""
    path = configuration.file(template)
    try:
        nodes = list(yaml.compose_all(documents.read(path), yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return  # said by what reads it
    waiting: list[Any] = nodes
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        line = key.start_mark.line + 1
                        yield Problem(path.name, line, f'"{key.value}" is there twice; the last one counts.')
                    seen.add(key.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _schema(found: configuration.Configuration, file: str) -> Iterator[Problem]:
    for name in found.settings:
        if name not in _SETTINGS:
            yield Problem(file, 0, f"_{name} is no setting of copier.")
    for name, details in found.questions.items():
        if not name.isidentifier():
            yield Problem(file, 0, f'The question "{name}" has no name that expressions can use.')
        for field in details:
            if str(field) not in _FIELDS:
                yield Problem(file, 0, f'The question {name} has the unknown field "{field}".')
        declared = details.get("type", "str")
        if isinstance(declared, str) and "{" not in declared and declared not in _TYPES:
            yield Problem(file, 0, f'The question {name} has the unknown type "{declared}".')
        if details.get("secret") and "default" not in details:
            yield Problem(file, 0, f"The question {name} is secret and has no default, which copier refuses.")
        yield from _default(name, details, file)


def _default(name: str, details: Mapping[Any, Any], file: str) -> Iterator[Problem]:
    from scaffold.generate.questions import static_choices

    default, choices = details.get("default"), static_choices(details.get("choices"))
    if not choices or default is None or (isinstance(default, str) and "{" in default):
        return
    for value in default if isinstance(default, list) else (default,):
        if value not in choices:
            yield Problem(file, 0, f"The default of {name}, {value}, is none of its choices.")


# ── expressions ────────────────────────────────────────────────────────────────────────────────────────


def _expressions(template: Template, found: configuration.Configuration, file: str) -> Iterator[Problem]:
    """Syntax, filters, included files and names, in files, in their paths and in copier.yml."""
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    environment = _environment(found)
    if environment is None:
        yield Problem(file, 0, "Its expressions are not read: they need its extensions.", is_warning=True)
        return
    assigned: set[str] = set()
    used: list[tuple[str, int, str]] = []
    suffix = found.settings.get("templates_suffix", ".jinja")
    texts = list(_texts(template, found, str(suffix if suffix is not None else ".jinja"), file))
    for place, text in texts:
        try:
            tree = environment.parse(text)
            environment.compile(text)
        except TemplateSyntaxError as error:  # an unknown filter is one too
            yield Problem(place, error.lineno if place != file else 0, str(error.message))
            continue
        except TemplateError as error:
            yield Problem(place, 0, str(error))
            continue
        names = meta.find_undeclared_variables(tree)
        used += [(place, _line(text, name) if place != file else 0, name) for name in sorted(names)]
        assigned |= _assigned(tree)
        for other in meta.find_referenced_templates(tree):
            if other is not None and not (template.path / other).is_file():
                yield Problem(place, _line(text, other), f"{other} is included and does not exist.")
    known = set(found.questions) | _NAMES | assigned | set(environment.globals)
    for place, line, name in used:
        if name not in known:
            yield Problem(place, line, f"{name} is no question of the template, so it is always empty.")
    mentioned = {name for _, _, name in used}
    for name in found.questions:
        if name not in mentioned:
            yield Problem(file, 0, f"The question {name} is used nowhere.", is_warning=True)


def _environment(found: configuration.Configuration) -> Environment | None:
    """What copier makes of the template's settings, without the template's own code."""
    from jinja2 import TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    own = [str(each) for each in configuration.as_list(found.settings.get("jinja_extensions"))]
    if any(not each.startswith("jinja2.ext.") for each in own):
        return None
    options = {
        key: value for key, value in dict(found.settings.get("envops") or {}).items() if key != "undefined"
    }
    extensions = [
        "jinja2_ansible_filters.AnsibleCoreFiltersExtension",
        "copier._jinja_ext.YieldExtension",
        *own,
    ]
    try:
        return SandboxedEnvironment(extensions=extensions, **options)
    except (ImportError, TemplateError, TypeError, AttributeError):
        return None


def _texts(
    template: Template, found: configuration.Configuration, suffix: str, file: str
) -> Iterator[tuple[str, str]]:
    """Every text with expressions, and the file that it is in."""
    for entry in listing.readable(template.path, leaving_out=frozenset({".git"})):
        if "{" in entry.path and _is_rendered(entry.path, found):
            yield entry.path, entry.path
        if entry.kind is Kind.FILE and suffix and entry.path.endswith(suffix):
            path = template.path / entry.path
            try:
                yield entry.path, path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue  # said by the rendering
    for value in _strings({**found.questions, **found.settings}):
        if "{" in value:
            yield file, value


def _is_rendered(path: str, found: configuration.Configuration) -> bool:
    subdirectory = str(found.settings.get("subdirectory") or "")
    return not subdirectory or "{" in subdirectory or path.startswith(subdirectory.strip("/") + "/")


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from _strings(key)
                yield from _strings(inner)
        case list():
            for inner in value:
                yield from _strings(inner)
        case _:
            return


def _assigned(tree: Any) -> set[str]:
    from jinja2 import nodes

    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    return names | {node.name for node in tree.find_all(nodes.Macro)}


def _line(text: str, word: str) -> int:
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
    return text.count("\n", 0, found.start()) + 1 if found else 0


# ── secrets ────────────────────────────────────────────────────────────────────────────────────────────


def _secrets(template: Template) -> Iterator[Problem]:
    for entry in listing.readable(template.path, leaving_out=frozenset({".git"})):
        if entry.kind is not Kind.FILE:
            continue
        path: Path = template.path / entry.path
        with path.open("rb") as stream:
            text = stream.read(_MOST).decode("utf-8", "replace")
        for kind, pattern in _SECRETS.items():
            if found := pattern.search(text):
                yield Problem(entry.path, text.count("\n", 0, found.start()) + 1, f"This looks like {kind}.")
        if entry.path.rpartition("/")[2] == ".env":
            yield Problem(entry.path, 0, "A file .env belongs to one machine; call the example .env.example.")
