"""Decide with which answers a template is tried: every combination of choices, or every pair. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scaffold.generate.questions import Question

MOST = 32  # combinations; with more of them, every pair of choices is tried


@dataclass(frozen=True)
class Case:
    """One set of answers; its name says in what it differs from the defaults."""

    name: str
    answers: Mapping[str, object]


def cases(questions: Sequence[Question], base: Mapping[str, object]) -> tuple[Case, ...]:
    """The cases of a template; `base` answers the questions that have no choices."""
    choices = {
        question.name: _choices(question)
        for question in questions
        if question.name not in base and len(_choices(question)) > 1
    }
    if math.prod(len(values) for values in choices.values()) <= MOST:
        rows: Iterator[tuple[object, ...]] = itertools.product(*choices.values())
    else:
        rows = iter(pairwise(tuple(choices.values())))
    found = {}
    for row in rows:
        answers = dict(zip(choices, row, strict=True))
        changed = [f"{name}={_shown(value)}" for name, value in answers.items() if value != choices[name][0]]
        name = ",".join(changed) or "defaults"
        found[name] = Case(name, {**base, **answers})
    return tuple(found.values())


def _choices(question: Question) -> tuple[object, ...]:
    """Every value that is tried, the default first."""
    if question.when is False or question.is_secret:
        return ()
    if question.is_list:
        return ([], list(question.choices)) if question.choices else ()
    values = question.choices or ((True, False) if question.type == "bool" else ())
    first = [value for value in values if value == question.default]
    return (*first, *(value for value in values if value not in first))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "+".join(map(str, value)) or "nothing"
    return str(value)


def pairwise(columns: tuple[tuple[object, ...], ...]) -> list[tuple[object, ...]]:
    """Few rows in which every two values of two columns meet; the first row has the first values."""
    missing = {
        (one, i, other, j)
        for one, other in itertools.combinations(range(len(columns)), 2)
        for i in range(len(columns[one]))
        for j in range(len(columns[other]))
    }
    rows: list[tuple[int, ...]] = []
    while missing or not rows:
        row: list[int] = [0] * len(columns)
        if rows:
            one, i, other, j = min(missing)
            row = [-1] * len(columns)
            row[one], row[other] = i, j
            for place in range(len(columns)):
                if row[place] < 0:
                    row[place] = max(
                        range(len(columns[place])),
                        key=lambda value: (_gain(row, place, value, missing), -value),
                    )
        rows.append(tuple(row))
        missing -= {
            (one, row[one], other, row[other])
            for one, other in itertools.combinations(range(len(columns)), 2)
        }
    return [tuple(columns[place][value] for place, value in enumerate(row)) for row in rows]


def _gain(row: Sequence[int], place: int, value: int, missing: set[tuple[int, int, int, int]]) -> int:
    """How many pairs that are missing a value would bring."""
    count = 0
    for other, chosen in enumerate(row):
        if chosen >= 0 and other != place:
            pair = (place, value, other, chosen) if place < other else (other, chosen, place, value)
            count += pair in missing
    return count
