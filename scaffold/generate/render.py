"""Ask a template's questions and render it, through copier, whose errors become ours here."""

from __future__ import annotations

import gc
import os
import re
import shlex
import sys
import tempfile
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scaffold import characters
from scaffold.errors import Interrupted, ScaffoldError, UsageError
from scaffold.generate import confined, hostile, listing, questions, trust, versions
from scaffold.generate.confined import Exceeded, Limits
from scaffold.generate.destination import shortened
from scaffold.generate.handover import handed_over
from scaffold.generate.questions import Question
from scaffold.generate.sources import Template

if TYPE_CHECKING:
    from types import TracebackType
FILES_A_SECOND = 100  # that copier renders on a slow machine
NAME = "project_name"  # the question whose default is the name of the destination
COMMIT_HASH = "_commit_hash"  # in the answers file, beside copier's `_commit`
_SOURCE = re.compile(r"^_src_path:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)  # YAML folds a long value
_COMMIT = re.compile(r"^_commit:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Messages:
    """What a template says to a person, before and after its files are written."""

    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Rendered:
    """A rendered template: the answers that shaped it, and its files as sorted relative paths.

    The answers to secret questions stand apart: they are for the template's tasks and nothing else.
    """

    answers: Mapping[str, object]
    files: tuple[str, ...]
    once: tuple[str, ...] = ()
    """Those of the files that the template writes only where they are missing (`_skip_if_exists`)."""
    messages: Messages = field(default_factory=Messages)
    secrets: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Again:
    """What a project gives to a rendering of its template: the answers file, and others that it may read.

    `asked` are the questions to put to the person; all others keep the answer that the file has.
    """

    answers_file: str
    files: Mapping[str, bytes]
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Migrating:
    """A stage of the migrations from an older version of the template."""

    stage: Literal["before", "after"]
    old: str


@dataclass(frozen=True)
class Mode:
    """How copier is to work: ask, render, render for a project that exists, or run the tasks in one."""

    asking: bool = False
    tasks: bool = False
    again: Again | None = None
    migrating: Migrating | None = None

    def settings(self) -> dict[str, Any]:
        """The same in copier's words."""
        # Asking is a run that may write nothing and has nothing to render.
        exclude = ("*",) if self.asking else ()
        settings: dict[str, Any] = {"pretend": self.asking, "exclude": exclude, "skip_tasks": not self.tasks}
        if self.again is not None and self.tasks:
            settings["skip_if_exists"] = ("*",)  # every file is there, and stays as it is
        if self.again is not None:
            return {
                **settings,
                "defaults": True,
                "ask": self.again.asked if self.asking else (),
                "answers_file": self.again.answers_file,
                "overwrite": True,  # of the answers file, which lies there
            }
        if self.tasks:  # every file is there, and stays as it is
            return {**settings, "defaults": True, "overwrite": True, "skip_if_exists": ("*",)}
        return {**settings, "defaults": not self.asking}


@dataclass(frozen=True)
class Answers:
    """What is known before anything is asked.

    `given` ones are not asked; of these, the `reused` ones come from another project and count only where
    they are asked for. `suggested` ones take the place of the template's defaults.
    """

    given: Mapping[str, object] = field(default_factory=dict)
    suggested: Mapping[str, object] = field(default_factory=dict)
    reused: frozenset[str] = frozenset()


def ask(template: Template, folder: Path, known: Answers | Mapping[str, object]) -> dict[str, object]:
    """All answers, given ones unasked, the others from the terminal. Writes nothing."""
    return _copy(template, folder, _answers(known), Mode(asking=True)).answers


def render(template: Template, folder: Path, known: Answers | Mapping[str, object]) -> Rendered:
    """Write the project into `folder`, which is empty or missing; what has no answer gets its default.

    A tree that no template may write is an error; the folder is then not to be used. No task runs yet.
    """
    copied = _copy(template, folder, _answers(known), Mode())
    entries = listing.of(folder)
    hostile.check(entries)
    written = listing.files(entries)
    if copied.answers_file.as_posix() in written:
        _record_source(folder / copied.answers_file, template)
    shown = {name: value for name, value in copied.answers.items() if name not in copied.secrets}
    secrets = {name: value for name, value in copied.answers.items() if name in copied.secrets}
    return Rendered(shown, written, messages=copied.messages, secrets=secrets)


def change(template: Template, folder: Path, answers: Mapping[str, object], name: str) -> dict[str, object]:
    """The answers after one of them was asked once more; what does not fit it any more gets its default."""
    import yaml

    secret = {question.name for question in questions.read(template) if question.is_secret}
    kept = {key: value for key, value in answers.items() if key not in secret}
    given = {key: value for key, value in answers.items() if key in secret and key != name}
    with tempfile.TemporaryDirectory(prefix="scaffold-") as scratch:
        place = Path(scratch, folder.name)
        again = Again(_ANSWERS, {_ANSWERS: yaml.safe_dump(kept).encode()}, asked=(name,))
        _prepare(place, again)
        known = Answers(given, reused=frozenset(given))
        return _copy(template, place, known, Mode(asking=True, again=again)).answers


_ANSWERS = ".copier-answers.yml"


def run_tasks(template: Template, folder: Path, known: Answers | Mapping[str, object]) -> None:
    """Run the tasks of a trusted template in the project, at its final place.

    copier renders once more for it: every file is there already, and stays as it is.
    """
    _copy(template, folder, _answers(known), Mode(tasks=True))


def _answers(known: Answers | Mapping[str, object]) -> Answers:
    return known if isinstance(known, Answers) else Answers(known)


def ask_again(
    template: Template, folder: Path, given: Mapping[str, object], again: Again
) -> dict[str, object]:
    """The answers to `again.asked` and `given`; writes the project's own files into the folder."""
    _prepare(folder, again)
    answers = _copy(template, folder, Answers(given), Mode(asking=True, again=again)).answers
    return {name: value for name, value in answers.items() if name in again.asked or name in given}


def again(template: Template, folder: Path, given: Mapping[str, object], again: Again) -> Rendered:
    """Render a version of the template that a project follows, with the answers that it has."""
    _prepare(folder, again)
    copied = _copy(template, folder, Answers(given), Mode(again=again))
    entries = listing.of(folder)
    hostile.check(entries)
    answers_file = folder / again.answers_file
    if answers_file.read_bytes() == again.files[again.answers_file]:
        # A template without an answers file of its own: what the project has is all there is.
        _rewrite(answers_file, copied.answers)
    _record_source(answers_file, template)
    return Rendered(copied.answers, listing.files(entries), copied.once, copied.messages)


def run_tasks_again(
    template: Template,
    folder: Path,
    answers: Mapping[str, object],
    again: Again,
    migrating: Migrating | None = None,
) -> None:
    """Run the tasks, or a stage of the migrations, of a trusted template in a copy of the project."""
    _copy(template, folder, Answers(answers), Mode(tasks=True, again=again, migrating=migrating))


def _prepare(folder: Path, again: Again) -> None:
    for name, content in again.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _rewrite(answers_file: Path, answers: Mapping[str, object]) -> None:
    import yaml

    before = yaml.safe_load(answers_file.read_bytes())
    kept = {key: value for key, value in before.items() if key.startswith("_") or key in answers}
    known = {key: value for key, value in answers.items() if key in kept}
    if kept | known != before:
        answers_file.write_text(yaml.safe_dump(kept | known, sort_keys=False), encoding="utf-8")


@dataclass(frozen=True)
class _Copied:
    answers: dict[str, object]
    answers_file: Path
    once: tuple[str, ...]
    messages: Messages
    secrets: frozenset[str]


_UNBOUND = Limits(seconds=10**6, memory=2**44, file=2**44, written=2**50)


def _copy(
    template: Template,
    folder: Path,
    known: Answers,
    mode: Mode,
) -> _Copied:
    """Run copier in a process of its own: a template's expressions get so much time and memory, no more.

    What a person trusts may take what it needs.
    """
    source = listing.readable(template.path, leaving_out=frozenset({".git"}))
    hostile.check_template(source)
    asked = questions.read(template)
    # Imported here, once, for each process that is made of this one.
    import copier  # noqa: F401
    import jinja2  # noqa: F401
    import plumbum  # noqa: F401

    bound = Limits(seconds=Limits.seconds + len(source) // FILES_A_SECOND)
    limits = _UNBOUND if template.is_trusted else bound
    try:
        with _no_collection():
            return confined.run(
                lambda: _copied(template, folder, known, asked, mode),
                limits,
                folder,
            )
    except Exceeded as error:
        raise ScaffoldError(
            f'Template "{template.name}" cannot be rendered: {error.message}.',
            "Nothing was written. Look for an endless loop in it, or use another template.",
        ) from error
    except KeyboardInterrupt as error:
        raise Interrupted("Interrupted: nothing was written.") from error


def _copied(
    template: Template,
    folder: Path,
    known: Answers,
    asked: tuple[Question, ...],
    mode: Mode,
) -> _Copied:
    names = {question.name for question in asked}
    secrets = frozenset(question.name for question in asked if question.is_secret)
    suggested = {name: value for name, value in known.suggested.items() if name in names}
    if NAME in names:
        suggested[NAME] = folder.name
    if mode.tasks:
        os.dup2(2, 1)  # standard output is for results; this process is the child that renders
    said: list[str] = []

    def hear(message: str) -> None:
        said.append(message)
        if mode.asking and len(said) == 1 and message:
            sys.stderr.write(f"{characters.visible(message)}\n\n")

    with warnings.catch_warnings(), _copier_errors(template, folder, known, secrets):
        warnings.simplefilter("ignore")
        import copier

        if mode.again is not None:
            _say_update()
        if mode.again is not None and mode.tasks:
            _render_nothing()
        if mode.migrating is not None:
            _migrate(mode.migrating)
        with handed_over(template, programs=mode.tasks) as source, _messages(hear):
            worker = copier.run_copy(
                source,
                folder,
                vcs_ref=template.commit if template.repository else None,
                data=dict(known.given),
                user_defaults=suggested,
                quiet=True,
                # Not `unsafe`, which would also let it read data outside of the project.
                settings=copier.Settings(trust=(source,) if template.is_trusted else ()),
                **mode.settings(),
            )
        hidden = worker.answers.hidden
        combined = worker.answers.combined
        answers_file = worker.answers_relpath
        once: tuple[str, ...] = ()
        if worker.all_skip_if_exists and not mode.asking and not mode.tasks:
            written = listing.files(listing.of(folder))
            once = tuple(path for path in written if worker.match_skip(Path(path)))
        if mode.again is not None:
            said = _update_messages(worker)
    if stray := next((name for name in known.given if name in hidden - known.reused), None):
        value = "…" if stray in secrets else known.given[stray]
        raise UsageError(
            f"{stray}={value} has no effect: with these answers {stray} is not asked.", f"Leave {stray} out."
        )
    answers = {name: combined[name] for name in combined if name in names - hidden}
    return _Copied(answers, answers_file, once, Messages(*said[:2]), secrets)


def _update_messages(worker: Any) -> list[str]:
    """What the template says before and after an update; a copier that has changed inside does without."""
    texts = [getattr(worker.template, f"message_{when}_update", "") or "" for when in ("before", "after")]
    if not hasattr(worker, "_render_string"):
        return []
    return [worker._render_string(text).strip() if text else "" for text in texts]  # noqa: SLF001


def _render_nothing() -> None:
    """Let this process run tasks only: what they work on is no longer what the template would render."""
    from copier._main import Worker

    if not hasattr(Worker, "_render_template"):
        raise ScaffoldError("This version of copier is not known to scaffold.", "Install the one it names.")
    setattr(Worker, "_render_template", lambda _: None)  # noqa: B010 - copier does not export it


def _migrate(migrating: Migrating) -> None:
    """Let the migrations of a stage be this process's tasks."""
    from types import SimpleNamespace

    from copier._template import Template as Its

    old = SimpleNamespace(version=versions.parsed(migrating.old), commit=migrating.old)
    setattr(Its, "tasks", property(lambda self: self.migration_tasks(migrating.stage, old)))  # noqa: B010


def _say_update() -> None:
    """Let the template's expressions see an update in `_copier_operation`; this process makes one only."""
    from copier import _main

    operation = getattr(_main, "_operation", None)  # private: a test says when it goes
    if operation is not None:
        operation.set("update")


@contextmanager
def _messages(said: Callable[[str], None]) -> Iterator[None]:
    """Hear what a template says, which copier would print; a copier that has changed inside does without."""
    from copier._main import Worker

    before = getattr(Worker, "_print_message", None)

    def hear(worker: Any, message: str) -> None:
        said(worker._render_string(message).strip() if message else "")  # noqa: SLF001

    if before is not None and hasattr(Worker, "_render_string"):
        setattr(Worker, "_print_message", hear)  # noqa: B010
    try:
        yield
    finally:
        if before is not None:
            setattr(Worker, "_print_message", before)  # noqa: B010


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector: copier makes many objects that stay, and looking at them costs 7 %."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _record_source(answers_file: Path, template: Template) -> None:
    """Note where the project came from in a form that means the same on every machine.

    The hash of the commit stands beside its name, since a tag can be moved. Plain copier passes over this
    key, and leaves it out when it writes the file anew.
    """
    keys = {"_commit": template.version, COMMIT_HASH: template.commit, "_src_path": template.source}
    recorded = "".join(
        f"{key}: {questions.yaml_text(value)}\n" for key, value in keys.items() if value is not None
    )
    text = answers_file.read_text(encoding="utf-8")
    if _SOURCE.search(text):
        text = _SOURCE.sub(lambda _: recorded, _COMMIT.sub("", text, count=1), count=1)
        answers_file.write_text(text, encoding="utf-8")


# ── what copier raises ─────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _copier_errors(
    template: Template, folder: Path, known: Answers, secrets: frozenset[str]
) -> Iterator[None]:
    from copier import errors
    from jinja2 import TemplateError
    from plumbum import ProcessExecutionError

    try:
        yield
    except KeyboardInterrupt as error:  # CopierAnswersInterrupt is one too
        raise Interrupted("Interrupted: nothing was written.") from error
    except errors.InteractiveSessionError as error:  # end of input (Ctrl-D) at a question
        raise Interrupted("No more input; nothing was written.") from error
    except errors.UnsafeTemplateError as error:
        raise trust.refusal(template) from error
    except errors.TaskError as error:
        command = error.cmd if isinstance(error.cmd, str) else shlex.join(map(str, error.cmd))
        raise ScaffoldError(
            f'A task of template "{template.name}" failed with exit code {error.returncode}: {command}'
        ) from error
    except ProcessExecutionError as error:
        raise ScaffoldError(f'git failed for template "{template.name}": {_reason(error)}') from error
    except MemoryError:
        raise
    except RecursionError as error:
        raise ScaffoldError(
            f'Template "{template.name}" cannot be rendered: a part of it contains itself.'
        ) from error
    except Exception as error:  # a template's expressions can raise anything
        if isinstance(error, OSError) and not isinstance(error, TemplateError):
            # The disk, unless it says where; a missing include is both an OSError and a TemplateError.
            if not Path(str(error.filename or "")).is_relative_to(template.path):
                raise
            where = shortened(str(Path(error.filename).relative_to(template.path)))
            raise ScaffoldError(
                f'Template "{template.name}" cannot be rendered: {error.strerror} ({where})'
            ) from error
        if question := _question_at(error.__traceback__):
            if question in secrets:  # what copier says of an answer has the answer in it
                raise UsageError(
                    f"{question}: this is no valid answer.", f"Give another one with `-d {question}=VALUE`."
                ) from None
            raise _answer_error(error, question, folder, known) from error
        raise ScaffoldError(
            f'Template "{template.name}" cannot be rendered: {_reason(error)}' + _place(error, template.path)
        ) from error


def _answer_error(error: Exception, question: str, folder: Path, known: Answers) -> UsageError:
    text = _reason(error)
    for opening in (f"Validation error for question '{question}': ", f"Invalid choice for '{question}': "):
        text = text.removeprefix(opening)
    if question in known.given:
        return UsageError(f"{question}={shortened(str(known.given[question]))}: {text}")
    if question in known.suggested and question != NAME:
        return UsageError(
            f"{question}={shortened(str(known.suggested[question]))}, a default of your settings: {text}",
            f"Give another answer with `-d {question}=VALUE`, or change the default.",
        )
    if question == NAME:
        return UsageError(
            f'"{shortened(folder.name)}" cannot be the name of a project: {text}',
            "Choose another folder, or give the project a name of its own:"
            f" `-d {NAME}={_similar(folder.name)}`.",
        )
    return UsageError(f"No valid answer for {question}: {text}", f"Give one with `-d {question}=VALUE`.")


def _similar(name: str) -> str:
    """A name that looks like this one and is likely to be accepted."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    similar = re.sub(r"[^a-z0-9]+", "-", plain).strip("-0123456789")
    return similar if 2 <= len(similar) <= 40 and similar != name else "my-backend"


def _reason(error: Exception) -> str:
    """Its text on one line; a Jinja error's `message` is its text without the excerpt of the source."""
    message = getattr(error, "message", None)
    return " ".join((message if isinstance(message, str) else str(error)).split())


def _question_at(trace: TracebackType | None) -> str | None:
    """The question that copier was busy with: the bare ValueError does not say, its frame does."""
    found: str | None = None
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_code.co_name == "_ask" and isinstance(frame.f_locals.get("var_name"), str):
            found = frame.f_locals["var_name"]
    return found


def _place(error: Exception, root: Path) -> str:
    """`(file, line)` of the template's own source, which Jinja puts into the traceback."""
    frames = [
        at for at in traceback.extract_tb(error.__traceback__) if Path(at.filename).is_relative_to(root)
    ]
    return f" ({Path(frames[-1].filename).relative_to(root)}, line {frames[-1].lineno})" if frames else ""
