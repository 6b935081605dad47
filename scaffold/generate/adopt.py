"""Find the version of a template and the answers that explain a project best, with the evidence for it.

The lines that a template writes as they stand tell the versions apart, without rendering anything. Lines with
one variable vote for its value; for choices, and for the best few versions, the project is rendered and
compared. The smallest difference is not always the truth: a person confirms.
"""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import configuration, mirror, questions, render, sources, versions
from scaffold.generate import git as program
from scaffold.generate.merge.objects import LINK, SUBMODULE, Scratch, Tree
from scaffold.generate.mirror import Mirror
from scaffold.generate.questions import Question
from scaffold.generate.render import Answers
from scaffold.generate.sources import Source, Template
from scaffold.generate.update import Consent
from scaffold.generate.versions import Version
from scaffold.numbers import whole

_MOST_VERSIONS = 60
_RENDERED = 3  # of each ranking
_MOST_OPTIONS = 12
_ROUNDS = 2
_MISS = 0.03
_HINTS = (".cruft.json", ".cookiecutter.json", ".cookiecutter.yaml", ".cookiecutter.yml")

Lines = Mapping[str, collections.Counter[str]]


@dataclass(frozen=True)
class Candidate:
    """A version that may be the one: how much of what it writes is in the project."""

    version: Version
    distance: int
    lines: int
    found: int
    missing: tuple[str, ...]
    answers: Mapping[str, object]

    @property
    def fit(self) -> int:
        """How well it explains the project: lines that are there against lines that differ."""
        return self.found - self.distance

    @property
    def share(self) -> float:
        return self.found / self.lines if self.lines else 0.0


@dataclass(frozen=True)
class Guess:
    """Answers, and where each was seen."""

    answers: Mapping[str, object]
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """What is searched: a project's lines, a template's versions; what is known; a folder to render in."""

    source: Source
    copy: Mirror
    project: Lines
    hints: Mapping[str, object]
    given: Mapping[str, object]
    folder: Path
    consent: Consent


def lines_of(scratch: Scratch, tree: Tree) -> Lines:
    """The lines of every text file of a project, stripped, with how often each is there."""
    paths = {path: entry.object for path, entry in tree.items() if entry.mode not in (LINK, SUBMODULE)}
    contents = scratch.contents(paths.values())
    found = {}
    for path, oid in paths.items():
        bag = _bag(contents[oid])
        if bag is not None:
            found[path] = bag
    return found


def _bag(content: bytes) -> collections.Counter[str] | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return collections.Counter(line.strip() for line in text.splitlines() if line.strip())


def hints(scratch: Scratch, tree: Tree) -> dict[str, object]:
    """Answers that copier, cruft or cookiecutter have written down in the project."""
    found: dict[str, object] = {}
    for path, entry in sorted(tree.items()):
        name = PurePosixPath(path).name
        is_answers = "answers" in name and name.endswith((".yml", ".yaml"))
        if name not in _HINTS and not is_answers:
            continue
        content = scratch.contents([entry.object])[entry.object]
        value = _parsed(content)
        if isinstance(value, dict):
            context = value.get("context", value)
            inner = context.get("cookiecutter", context) if isinstance(context, dict) else {}
            found |= {str(key): item for key, item in inner.items() if not str(key).startswith("_")}
    return found


def _parsed(content: bytes) -> object:
    import yaml

    from scaffold.generate.merge import formats

    try:
        return formats.parse("yaml", content.decode())  # JSON is YAML
    except (formats.Unreadable, UnicodeDecodeError, yaml.YAMLError):
        return None


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────


def ranked(search: Search) -> tuple[list[Version], list[Version]]:
    """The template's versions, the likeliest first: by the lines of each file, and by lines anywhere."""
    tags = mirror.tags(search.copy)
    names = versions.ordered(tags)[:_MOST_VERSIONS]
    known = [Version(name, tags[name]) for name in names]
    if not known:
        return [sources.resolve(search.source, search.copy)], []
    trees = {version: mirror.files(search.copy, version.commit) for version in known}
    literal = _literal(search.copy, {blob for files in trees.values() for _, blob in files.values()})
    everywhere = {line for bag in search.project.values() for line in bag}
    by_file: dict[Version, float] = {}
    anywhere: dict[Version, float] = {}
    for version, files in trees.items():
        root = _subdirectory(files)
        score = 0.0
        written: set[str] = set()
        for path, (mode, blob) in files.items():
            if not mode.startswith("100") or not path.startswith(root):
                continue
            mine = literal.get(blob, frozenset())
            written |= mine
            have = search.project.get(_rendered_path(path.removeprefix(root)))
            if have is not None:
                hits = sum(line in have for line in mine)
                score += hits - 0.3 * (len(mine) - hits) - 0.3 * (len(have) - hits)
        by_file[version] = score
        hits = len(written & everywhere)
        # What a condition leaves out is missing too: a hit says more than a miss.
        anywhere[version] = hits - _MISS * (len(written) - hits)
    order = {version: number for number, version in enumerate(known)}  # newest first, where all else is equal
    return (
        sorted(known, key=lambda version: (-by_file[version], order[version])),
        sorted(known, key=lambda version: (-anywhere[version], order[version])),
    )


def _subdirectory(files: Mapping[str, tuple[str, str]]) -> str:
    """Where most of the files with a template's ending are: the folder that is rendered."""
    tops = collections.Counter(
        path.split("/")[0] for path in files if "/" in path and path.endswith((".jinja", ".tmpl", ".j2"))
    )
    top = tops.most_common(1)
    inner = top[0][0] if top else ""
    at_root = sum("/" not in path and path.endswith(".jinja") for path in files)
    is_folder = bool(inner) and "{" not in inner and top[0][1] > at_root and not inner.startswith(".")
    return f"{inner}/" if is_folder else ""


def _rendered_path(path: str) -> str:
    return re.sub(r"\{%[^%]*%\}", "", path).removesuffix(".jinja").removesuffix(".j2")


def _literal(copy: Mirror, blobs: Iterable[str]) -> dict[str, frozenset[str]]:
    """The lines of files that hold nothing to render."""
    wanted = sorted(blobs)
    said = program.run(
        copy.folder, "--git-dir=.", "cat-file", "--batch", stdin="\n".join(wanted).encode() + b"\n"
    ).stdout
    found: dict[str, frozenset[str]] = {}
    at = 0
    for blob in wanted:
        end = said.index(b"\n", at)
        header = said[at:end].split(b" ")
        at = end + 1
        if len(header) != 3:
            continue  # a submodule's commit
        size = int(header[2])
        bag = _bag(said[at : at + size])
        at += size + 1
        found[blob] = frozenset(line for line in bag or () if not re.search(r"\{[{%#]|\[\[|\[%", line))
    return found


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────


def votes(template: Template, project: Lines) -> dict[str, collections.Counter[str]]:
    """Values for the questions of a template, from lines in which one of them is all that varies."""
    import jinja2

    settings = configuration.read(template).settings
    operations: dict[str, Any] = {
        key: value
        for key, value in (settings.get("envops") or {}).items()
        if isinstance(key, str) and key.endswith("_string") and isinstance(value, str)
    }
    environment = jinja2.Environment(**operations)  # noqa: S701 - it only splits texts into words
    names = {question.name for question in questions.read(template)}
    everything = "\n".join(line for bag in project.values() for line in bag)
    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    seen: set[str] = set()
    for path in sorted(template.path.rglob("*")):
        if not path.is_file() or path.is_symlink() or ".git" in path.parts:
            continue
        bag = _bag(path.read_bytes())
        for line in bag or ():
            if line in seen:
                continue
            seen.add(line)
            pattern = _pattern(environment.lex, line, names)
            if pattern is None:
                continue
            questions_there, expression = pattern
            for match in re.finditer(f"^{expression}$", everything, re.MULTILINE):
                for name, value in zip(questions_there, match.groups(), strict=True):
                    found[name][value] += 1
    return found


def _pattern(lex: object, line: str, names: set[str]) -> tuple[tuple[str, ...], str] | None:
    """The line as an expression, and the questions whose values its groups are."""
    import jinja2

    assert callable(lex)
    try:
        tokens = list(lex(line))
    except jinja2.TemplateError:
        return None
    expression, letters, inside = "", 0, None
    there: list[str] = []
    for _, kind, value in tokens:
        if kind == "variable_begin":
            inside = ""
        elif kind == "variable_end":
            said, inside = (inside or "").strip(), None
            if said in there:
                expression += rf"\{there.index(said) + 1}"
            elif said in names:
                there.append(said)
                expression += "(.{1,80}?)"
            else:
                expression += ".{0,80}?"
        elif inside is not None:
            inside += value
        elif kind == "data":
            expression += re.escape(value)
            letters += sum(sign.isalpha() for sign in value)
        else:
            return None
    # Many places that vary take long to try, and say little.
    is_telling = there and expression.count("80}?") <= 3 and letters >= 4 * len(there)
    return (tuple(there), expression) if is_telling else None


def guessed(search: Search, template: Template) -> Guess:
    """Answers for a version: those given, those written down, those that most lines vote for."""
    found = votes(template, search.project)
    answers: dict[str, object] = {}
    evidence: dict[str, str] = {}
    for question in questions.read(template):
        name = question.name
        if name in search.given:
            answers[name], evidence[name] = search.given[name], "given"
        elif name in search.hints:
            answers[name], evidence[name] = search.hints[name], "written down in the project"
        elif found.get(name):
            value, count = found[name].most_common(1)[0]
            typed = _typed(question, value)
            if typed is not None:
                lines = f"{count} line{'s' if count > 1 else ''}"
                answers[name], evidence[name] = typed, f"seen in {lines} of the project"
    return Guess(answers, evidence)


def _typed(question: Question, text: str) -> object | None:
    if question.choices:
        return next((choice for choice in question.choices if str(choice) == text), None)
    match question.type:
        case "int":
            return whole(text)
        case "str" | "path" | "":
            return None if question.is_list else text
        case _:
            return None


_STAND_INS = ("example", "Example", "https://example.org/example", "a@example.org", "1", "example_1")


class _Renderer:
    """Renders a version with answers, and counts how far it is from the project."""

    def __init__(self, search: Search, template: Template) -> None:
        self._search = search
        self._template = template
        self._known: dict[str, Candidate | None] = {}

    def try_(self, version: Version, answers: Mapping[str, object]) -> Candidate | None:
        """The candidate, or None where the template does not allow the answers."""
        key = json.dumps(answers, sort_keys=True, default=str)
        if key not in self._known:
            try:
                self._known[key] = self.candidate(version, answers)
            except UsageError:
                self._known[key] = None
        return self._known[key]

    def candidate(self, version: Version, answers: Mapping[str, object]) -> Candidate:
        place = self._search.folder / "render" / self._search.folder.name
        shutil.rmtree(place.parent, ignore_errors=True)
        place.mkdir(parents=True)
        rendered = render.render(self._template, place, Answers(answers, reused=frozenset(answers)))
        distance = lines = found = 0
        missing = []
        for name in rendered.files:
            path = place / name
            if "answers" in path.name or path.is_symlink():
                continue
            bag = _bag(path.read_bytes())
            if bag is None:
                continue
            have = self._search.project.get(name)
            size = bag.total()
            lines += size
            if have is None:
                missing.append(name)
                distance += size
                continue
            gone = (bag - have).total()
            found += size - gone
            distance += gone + (have - bag).total()
        return Candidate(version, distance, lines, found, tuple(missing), rendered.answers)


def _first(
    renderer: _Renderer, version: Version, asked: Sequence[Question], guess: Guess
) -> dict[str, object]:
    """Answers that the template allows: what nothing is known of gets a stand-in."""
    answers = dict(guess.answers)
    for question in asked:
        if question.is_required and question.name not in answers:
            answers[question.name] = _stand_in(question, 0)
    tried: collections.Counter[str] = collections.Counter()
    known = {question.name: question for question in asked}
    for _ in range(40):
        try:
            renderer.candidate(version, answers)
        except UsageError as error:
            name = _question_in(error.message, known)
            if name is None:
                raise
            tried[name] += 1
            if tried[name] > len(_STAND_INS):
                raise
            if tried[name] == 1 and name in answers and not known[name].is_required:
                del answers[name]  # the default is a better guess than what is not allowed
            else:
                answers[name] = _stand_in(known[name], tried[name] - 1)
        else:
            return answers
    raise ScaffoldError("No answers are found that the template allows.", "Give some with -d KEY=VALUE.")


def _stand_in(question: Question, number: int) -> object:
    if question.choices:
        return question.choices[number % len(question.choices)]
    match question.type:
        case "bool":
            return number % 2 == 0
        case "int" | "float":
            return number + 1
        case _:
            return [] if question.is_list else _STAND_INS[number % len(_STAND_INS)]


def _question_in(message: str, known: Mapping[str, Question]) -> str | None:
    """The question that an error is about: it begins with it, or names it."""
    found = re.match(r"(?:No valid answer for |No answer for )?(\w+)", message)
    if found and found[1] in known:
        return found[1]
    return next((word for word in re.findall(r"\w+", message) if word in known), None)


def _descended(
    renderer: _Renderer,
    version: Version,
    asked: Sequence[Question],
    search: Search,
    answers: dict[str, object],
) -> Candidate:
    """Try the choices one after the other, and keep what brings the rendering nearer to the project."""
    best = renderer.candidate(version, answers)
    for _ in range(_ROUNDS):
        improved = False
        for question in asked:
            if question.name in search.given or question.is_secret or question.is_list:
                continue
            for option in _options(question):
                if answers.get(question.name) == option:
                    continue
                other = renderer.try_(version, {**answers, question.name: option})
                if other is not None and other.fit > best.fit:
                    best, answers, improved = other, {**answers, question.name: option}, True
        if not improved:
            break
    return best


def _options(question: Question) -> tuple[object, ...]:
    if question.type == "bool":
        return (True, False)
    return question.choices[:_MOST_OPTIONS]


# ── the search ─────────────────────────────────────────────────────────────────────────────────────────


def candidates(search: Search, only: Version | None = None) -> tuple[tuple[Candidate, ...], Guess]:
    """The likeliest versions with their answers, the best first, and what is known of the answers."""
    by_file, anywhere = ([only], []) if only else ranked(search)
    # Answers are found once, at the version that both rankings like best.
    likes = {version: place for place, version in enumerate(anywhere)}
    first = min(by_file, key=lambda version: by_file.index(version) + likes.get(version, 0))
    with _open(search, first) as template:
        asked = questions.read(template)
        guess = guessed(search, template)
        renderer = _Renderer(search, template)
        answers = _first(renderer, first, asked, guess)
        best = _descended(renderer, first, asked, search, answers)
    found = [best]
    chosen = dict(best.answers)
    for version in dict.fromkeys((*by_file[:_RENDERED], *anywhere[:_RENDERED])):
        if version == first:
            continue
        with _open(search, version) as template:
            here = questions.read(template)
            kept = {item.name: chosen[item.name] for item in here if item.name in chosen}
            renderer = _Renderer(search, template)
            try:
                found.append(renderer.candidate(version, _first(renderer, version, here, Guess(kept))))
            except ScaffoldError:
                continue  # other answers would be needed than those that fit best
    order = {version: number for number, version in enumerate(by_file)}
    found.sort(key=lambda item: (-item.fit, order.get(item.version, len(order))))
    return tuple(found), guess


@contextmanager
def _open(search: Search, version: Version) -> Iterator[Template]:
    """A version of the template, with leave to run what rendering it needs."""
    with sources.at(search.source, search.copy, version) as template:
        yield search.consent(template)


def answers_file(search: Search, chosen: Candidate) -> tuple[str, bytes]:
    """The file that links the project to a version, as the template itself writes it; and its path."""
    place = search.folder / "link" / search.folder.name
    shutil.rmtree(place.parent, ignore_errors=True)
    place.mkdir(parents=True)
    with _open(search, chosen.version) as template:
        rendered = render.render(template, place, Answers(chosen.answers, reused=frozenset(chosen.answers)))
        for name in rendered.files:
            content = (place / name).read_bytes() if not (place / name).is_symlink() else b""
            if b"_src_path:" in content and name.endswith((".yml", ".yaml")):
                return name, content
        return ".copier-answers.yml", _own(template, rendered.answers)


def _own(template: Template, answers: Mapping[str, object]) -> bytes:
    """An answers file for a template that has none."""
    import yaml

    notes = {
        "_commit": template.version,
        render.COMMIT_HASH: template.commit,
        "_src_path": template.source,
    }
    body = yaml.safe_dump({**notes, **answers}, sort_keys=False, allow_unicode=True)
    return f"# Written by scaffold, which reads it to follow the template.\n{body}".encode()


def written(folder: Path, name: str, content: bytes) -> Path:
    """Write the file in one step."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    step = path.with_name(f"{path.name}.new")
    step.write_bytes(content)
    os.replace(step, path)  # noqa: PTH105 - it says what it does
    return path
