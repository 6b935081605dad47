"""Ask a template's questions and render it, through copier, whose errors become ours here."""

from __future__ import annotations

import gc
import re
import shlex
import traceback
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffold.errors import Interrupted, ScaffoldError, UsageError
from scaffold.generate import confined, hostile, listing, questions
from scaffold.generate.confined import Exceeded, Limits
from scaffold.generate.destination import shortened
from scaffold.generate.handover import handed_over
from scaffold.generate.sources import Template

if TYPE_CHECKING:
    from types import TracebackType

FILES_A_SECOND = 100  # that copier renders on a slow machine
NAME = "project_name"  # the question whose default is the name of the destination
COMMIT_HASH = "_commit_hash"  # in the answers file, beside copier's `_commit`
_SOURCE = re.compile(r"^_src_path:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)  # YAML folds a long value
_COMMIT = re.compile(r"^_commit:.*\n(?:[ \t]+.*\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Rendered:
    """A rendered template: the answers that shaped it, and its files as sorted relative paths."""

    answers: Mapping[str, object]
    files: tuple[str, ...]
    once: tuple[str, ...] = ()
    """Those of the files that the template writes only where they are missing (`_skip_if_exists`)."""


@dataclass(frozen=True)
class Again:
    """What a project gives to a rendering of its template: the answers file, and others that it may read.

    `asked` are the questions to put to the person; all others keep the answer that the file has.
    """

    answers_file: str
    files: Mapping[str, bytes]
    asked: tuple[str, ...] = ()


def ask(template: Template, folder: Path, given: Mapping[str, object]) -> dict[str, object]:
    """All answers, `given` ones unasked, the others from the terminal. Writes nothing."""
    return _copy(template, folder, given, interactive=True).answers


def render(template: Template, folder: Path, given: Mapping[str, object]) -> Rendered:
    """Write the project into `folder`, which is empty or missing; what has no answer gets its default.

    A tree that no template may write is an error; the folder is then not to be used.
    """
    copied = _copy(template, folder, given, interactive=False)
    entries = listing.of(folder)
    hostile.check(entries)
    written = listing.files(entries)
    if copied.answers_file.as_posix() in written:
        _record_source(folder / copied.answers_file, template)
    return Rendered(copied.answers, written)


def ask_again(
    template: Template, folder: Path, given: Mapping[str, object], again: Again
) -> dict[str, object]:
    """The answers to `again.asked` and `given`; writes the project's own files into the folder."""
    _prepare(folder, again)
    answers = _copy(template, folder, given, interactive=True, again=again).answers
    return {name: value for name, value in answers.items() if name in again.asked or name in given}


def again(template: Template, folder: Path, given: Mapping[str, object], again: Again) -> Rendered:
    """Render a version of the template that a project follows, with the answers that it has."""
    _prepare(folder, again)
    copied = _copy(template, folder, given, interactive=False, again=again)
    entries = listing.of(folder)
    hostile.check(entries)
    answers_file = folder / again.answers_file
    if answers_file.read_bytes() == again.files[again.answers_file]:
        # A template without an answers file of its own: what the project has is all there is.
        _rewrite(answers_file, copied.answers)
    _record_source(answers_file, template)
    return Rendered(copied.answers, listing.files(entries), copied.once)


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


def _copy(
    template: Template,
    folder: Path,
    given: Mapping[str, object],
    *,
    interactive: bool,
    again: Again | None = None,
) -> _Copied:
    """Run copier in a process of its own: a template's expressions get so much time and memory, no more."""
    source = listing.readable(template.path, leaving_out=frozenset({".git"}))
    hostile.check_template(source)
    names = {question.name for question in questions.read(template)}
    # Imported here, once, for each process that is made of this one.
    import copier  # noqa: F401
    import jinja2  # noqa: F401
    import plumbum  # noqa: F401

    limits = Limits(seconds=Limits.seconds + len(source) // FILES_A_SECOND)
    try:
        with _no_collection():
            return confined.run(
                lambda: _copied(template, folder, given, names, _settings(again, interactive=interactive)),
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


def _settings(again: Again | None, *, interactive: bool) -> dict[str, Any]:
    """How copier is to work."""
    # Asking is a run that may write nothing and has nothing to render.
    settings: dict[str, Any] = {"pretend": interactive, "exclude": ("*",) if interactive else ()}
    if again is None:
        return {**settings, "defaults": not interactive}
    return {
        **settings,
        "defaults": True,
        "ask": again.asked if interactive else (),
        "answers_file": again.answers_file,
        "overwrite": True,  # of the answers file, which lies there
    }


def _copied(
    template: Template,
    folder: Path,
    given: Mapping[str, object],
    names: set[str],
    settings: Mapping[str, Any],
) -> _Copied:
    with warnings.catch_warnings(), _copier_errors(template, folder, given):
        warnings.simplefilter("ignore")
        import copier

        if "answers_file" in settings:
            _say_update()
        with handed_over(template) as source:
            worker = copier.run_copy(
                source,
                folder,
                vcs_ref=template.commit if template.repository else None,
                data=dict(given),
                user_defaults={NAME: folder.name} if NAME in names else {},
                quiet=True,
                settings=copier.Settings(),
                **settings,
            )
        hidden = worker.answers.hidden
        combined = worker.answers.combined
        answers_file = worker.answers_relpath
        once: tuple[str, ...] = ()
        if worker.all_skip_if_exists and not settings["pretend"]:
            written = listing.files(listing.of(folder))
            once = tuple(path for path in written if worker.match_skip(Path(path)))
    if stray := next((name for name in given if name in hidden), None):
        raise UsageError(
            f"{stray}={given[stray]} has no effect: with these answers {stray} is not asked.",
            f"Leave {stray} out.",
        )
    answers = {name: combined[name] for name in combined if name in names - hidden}
    return _Copied(answers, answers_file, once)


def _say_update() -> None:
    """Let the template's expressions see an update in `_copier_operation`; this process makes one only."""
    from copier import _main

    operation = getattr(_main, "_operation", None)  # private: a test says when it goes
    if operation is not None:
        operation.set("update")


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
def _copier_errors(template: Template, folder: Path, given: Mapping[str, object]) -> Iterator[None]:
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
        raise ScaffoldError(
            f'Template "{template.name}" wants to run programs of its own'
            " (tasks, migrations or Jinja extensions), which scaffold does not allow.",
            "Take _tasks, _migrations and _jinja_extensions out of its copier.yml, or, if you trust it:"
            f" `copier copy --trust {shlex.quote(str(template.path))} DEST`.",
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
            raise _answer_error(error, question, folder, given) from error
        raise ScaffoldError(
            f'Template "{template.name}" cannot be rendered: {_reason(error)}' + _place(error, template.path)
        ) from error


def _answer_error(error: Exception, question: str, folder: Path, given: Mapping[str, object]) -> UsageError:
    text = _reason(error)
    for opening in (f"Validation error for question '{question}': ", f"Invalid choice for '{question}': "):
        text = text.removeprefix(opening)
    if question in given:
        return UsageError(f"{question}={shortened(str(given[question]))}: {text}")
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
