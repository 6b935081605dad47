"""Read a template's questions and check given answers against them, before anything is rendered.

Whatever needs Jinja (computed choices, validators, conditions) is left to copier, which checks it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from scaffold.errors import UsageError
from scaffold.generate import configuration, documents
from scaffold.generate.configuration import one_line
from scaffold.generate.sources import Template

_TYPES = frozenset({"bool", "float", "int", "json", "str", "yaml", "path"})
_YES = frozenset({"y", "yes", "t", "true", "on", "1"})
_NO = frozenset({"n", "no", "f", "false", "off", "0"})
_ONE_A_LINE = "Write one answer a line, such as `language: node`."


@dataclass(frozen=True)
class Question:
    """One question of a template; `type` is empty and `choices` is () where only copier can tell."""

    name: str
    type: str
    choices: tuple[object, ...] = ()
    is_required: bool = False
    is_list: bool = False
    is_secret: bool = False
    default: object = None
    help: str = ""
    when: object = True


@dataclass(frozen=True)
class Given:
    """An answer that the user gave, and where: `-d`, or the name of an answers file.

    `is_reused`: it comes from the answers file of another project, which may answer what is no longer asked.
    """

    key: str
    value: object
    origin: str
    is_reused: bool = False

    def masked(self) -> Given:
        """The same without its value, for an error about a secret."""
        return replace(self, value="…")

    def __str__(self) -> str:
        shown = self.value if isinstance(self.value, str) else yaml_text(self.value)
        return f"-d {self.key}={shown}" if self.origin == "-d" else f"{self.origin}, {self.key}: {shown}"


def yaml_text(value: object) -> str:
    """A value as YAML writes it: true, 8000, null."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


# ── the template's side ────────────────────────────────────────────────────────────────────────────────


def read(template: Template) -> tuple[Question, ...]:
    """The template's questions, in the order in which they are asked."""
    found = configuration.read(template)
    secret = {str(name) for name in configuration.as_list(found.settings.get("secret_questions"))}
    return tuple(
        _question(name, details, is_secret=name in secret or bool(details.get("secret")))
        for name, details in found.questions.items()
    )


def _question(name: str, details: Mapping[Any, Any], *, is_secret: bool) -> Question:
    default = details.get("default")
    declared = details.get("type") or (type(default).__name__ if type(default).__name__ in _TYPES else "yaml")
    return Question(
        name=name,
        type=declared if declared in _TYPES else "",
        choices=static_choices(details.get("choices")),
        is_required="default" not in details and details.get("when", True) is True,
        is_list=bool(details.get("multiselect")),
        is_secret=is_secret,
        default=default,
        help=" ".join(str(details.get("help") or "").split()),
        when=details.get("when", True),
    )


def static_choices(declared: object) -> tuple[object, ...]:
    """The values that can be chosen, or () if there are none or some of them are computed."""
    values: list[object] = []
    items = list(declared.items()) if isinstance(declared, dict) else declared
    for item in items if isinstance(items, list) else ():
        value = item[1] if isinstance(item, (list, tuple)) and len(item) == 2 else item
        if isinstance(value, dict):  # {value: …, validator: …}: copier decides whether it is open
            return ()
        if isinstance(value, str) and ("{{" in value or "{%" in value):
            return ()
        values.append(value)
    return tuple(values)


# ── the user's side ────────────────────────────────────────────────────────────────────────────────────


def from_options(pairs: Iterable[str]) -> tuple[Given, ...]:
    """Answers given as KEY=VALUE; a later one wins."""
    given: dict[str, Given] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f'-d "{pair}" is not KEY=VALUE.', "For example: `-d language=node`.")
        given[key] = Given(key, value, "-d")
    return tuple(given.values())


def from_file(path: Path) -> tuple[Given, ...]:
    """Answers from a YAML mapping. Keys such as `_commit`, copier's own notes, are passed over."""
    try:
        content = yaml.load(documents.read(path), documents.LOADER)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError as error:
        raise UsageError(
            f"The answers file {path} does not exist.",
            "Check its path, or answer with -d: `scaffold new --help` lists the questions.",
        ) from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or one_line(error)
        raise UsageError(
            f"The answers file {path} cannot be read: {reason}.", "Give a YAML file that you may read."
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"The answers file {path} is not YAML: {one_line(error)}", _ONE_A_LINE) from error
    if content is None:
        return ()
    if not isinstance(content, dict):
        raise UsageError(f"The answers file {path} is not a mapping.", _ONE_A_LINE)
    is_reused = "_src_path" in content
    return tuple(
        Given(str(key), value, path.name, is_reused)
        for key, value in content.items()
        if not str(key).startswith("_")
    )


def dropped(given: Iterable[Given], questions: tuple[Question, ...]) -> tuple[str, ...]:
    """The names of reused answers to questions that the template does not have: worth a word, no error."""
    known = {question.name for question in questions}
    return tuple(answer.key for answer in given if answer.is_reused and answer.key not in known)


def parse(given: Iterable[Given], questions: tuple[Question, ...], template: Template) -> dict[str, object]:
    """The given answers as values of their questions' types; a wrong one is an error. Later ones win."""
    known = {question.name: question for question in questions}
    answers: dict[str, object] = {}
    for answer in given:
        question = known.get(answer.key)
        if question is None and answer.is_reused:
            continue
        if question is None:
            raise UsageError(
                f'{answer}: template "{template.name}" has no question "{answer.key}".',
                _nearest(answer.key, known) or f"Its questions are: {', '.join(known)}.",
            )
        answers[answer.key] = _value(answer, question)
    return answers


def missing(questions: tuple[Question, ...], answers: Mapping[str, object]) -> UsageError | None:
    """The error for questions that have no default and no answer, where nobody can be asked."""
    names = [question.name for question in questions if question.is_required and question.name not in answers]
    if not names:
        return None
    options = " ".join(f"-d {name}=VALUE" for name in names)
    return UsageError(
        f"No answer for {', '.join(names)}, which {'has' if len(names) == 1 else 'have'} no default.",
        f"Add `{options}`, or put it into a file for --answers.",
    )


def _value(answer: Given, question: Question) -> object:
    if question.is_secret:
        try:
            return _value(answer, replace(question, is_secret=False))
        except UsageError as error:
            raise UsageError(f"{answer.masked()}: this is no valid answer.") from error.with_traceback(None)
    if question.is_list:
        return _list(answer, question)
    if question.type in {"", "json", "yaml"}:
        return answer.value
    if answer.value is None:
        raise UsageError(f"{answer}: has no value.")
    try:
        value = _PARSERS[question.type](answer.value)
    except ValueError as error:
        raise UsageError(f"{answer}: {error}.") from error
    if question.choices and value not in question.choices:
        options = ", ".join(map(str, question.choices))
        raise UsageError(f"{answer}: choose one of {options}.", _nearest(str(value), question.choices))
    return value


def _list(answer: Given, question: Question) -> object:
    """Several answers, written as a list in YAML."""
    value = answer.value
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            value = None
    some = [str(choice) for choice in question.choices[:2]] or ["one", "two"]
    example = f"`-d '{question.name}=[{', '.join(some)}]'`, in a file `{question.name}: [{', '.join(some)}]`"
    if not isinstance(value, list):
        raise UsageError(f"{answer}: {question.name} takes a list.", f"Write {example}.")
    if question.type in _PARSERS:
        value = [_value(replace(answer, value=item), replace(question, is_list=False)) for item in value]
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in _YES | _NO:
        raise ValueError("answer yes or no")
    return text in _YES


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    raise ValueError("not a whole number")


def _number(value: object) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise ValueError("not a number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError("not a text; put it in quotes")


_PARSERS: Mapping[str, Callable[[object], object]] = {
    "bool": _boolean,
    "float": _number,
    "int": _integer,
    "path": _text,
    "str": _text,
}


def _nearest(word: str, words: Iterable[object]) -> str | None:
    close = get_close_matches(word, [str(candidate) for candidate in words], n=1)
    return f'Did you mean "{close[0]}"?' if close else None
