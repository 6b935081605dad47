"""`scaffold new`: create a project from a template."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import consent
from scaffold.cli.completion import templates as complete
from scaffold.console import prompts
from scaffold.errors import UsageError
from scaffold.project.checkout import COMPOSE_FILES

if TYPE_CHECKING:
    from scaffold.generate.destination import Destination
    from scaffold.generate.project import Project
    from scaffold.generate.sources import Template


def new(
    dest: Annotated[
        str | None,
        typer.Argument(
            metavar="DEST", help="Folder to create. Its name is the default project name.", show_default=False
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "-d", "--data", metavar="KEY=VALUE", help="Answer a question of the template. Repeatable."
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help="Take answers from a YAML file. -d wins over it."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: every question left gets its default.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Create at once, without a last look at the answers.")
    ] = False,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME|PATH|URL",
            help="A short name, a folder or a git repository (also gh:owner/repo), each with @REF.",
            autocompletion=complete,
        ),
    ] = None,
    trust: consent.Trust = False,
    pretend: Annotated[
        bool, typer.Option("--pretend", help="Show the files that would be written, and write nothing.")
    ] = False,
    no_git: Annotated[bool, typer.Option("--no-git", help="Make no git repository.")] = False,
    run: Annotated[bool, typer.Option("--run", help="Go on with `scaffold run` in it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Create a project from a template.

    On a terminal the template asks its questions: arrow keys choose, Enter accepts, Ctrl-C leaves no trace.
    At the end all answers are shown, and any of them can be changed. In scripts, answer with -d or --answers;
    what has no answer gets its default.

    \b
    Questions of the backend template:
      project_name       name of DEST
      description        one line
      language           python, node
      database           postgres, mongo, none
      database_location  container, external (a managed service, reached by its URL)
      database_version   18, 17, 16, 15 (postgres); 8, 7 (mongo)
      app_port           8000
      devcontainer       yes, no
      github_actions     yes, no

    \b
    Examples:
      scaffold new myapp
      scaffold new myapp --defaults --run
      scaffold new myapp --template gh:owner/repo@v1.2.0
      scaffold new myapp -d language=node -d database=mongo --defaults
      scaffold new myapp --answers team.yaml --pretend
    """
    from scaffold.generate import destination, project, questions, render, settings, sources

    if run and (as_json or pretend):
        raise UsageError(
            f"--run does not go with {'--json' if as_json else '--pretend'}.",
            "Create the project first, then `scaffold run`.",
        )
    place = destination.check(_asked_destination() if dest is None else dest)
    with sources.opened(_reference(template)) as found:
        asked = questions.read(found)
        typed = (*(questions.from_file(answers) if answers else ()), *questions.from_options(data or ()))
        given = questions.parse(typed, asked, found)
        if left := questions.dropped(typed, asked):
            console.note(f"Left out, since the template does not ask for it: {', '.join(left)}.")
        source = found if pretend and not _renders_with_code(found) else consent.given(found, trust=trust)
        reused = frozenset(answer.key for answer in typed if answer.is_reused)
        known = render.Answers(given, settings.defaults(), reused)
        if not defaults and prompts.has_terminal():
            with prompts.session():
                answered = render.ask(source, place.path, known)
                if not (yes or pretend or answered.keys() <= given.keys()):
                    answered = _reviewed(source, place, answered)
            known = render.Answers(answered)
        elif lacking := questions.missing(asked, {**known.suggested, **given, render.NAME: place.name}):
            raise lacking
        if pretend:
            made = project.preview(source, place, known)
        else:
            made = project.create(source, place, known, git=not no_git)
    console.result(_document(made), as_json=as_json, text=_summary(made))
    if run:
        if not _has_containers(made):
            raise UsageError(f"{made.destination.given} has no compose.yaml, so there is nothing to run.")
        from scaffold.cli import change

        change.run(project=made.destination.path)


def _reviewed(template: Template, place: Destination, answers: dict[str, object]) -> dict[str, object]:
    """The answers once the person has seen all of them, and changed any."""
    from scaffold import characters
    from scaffold.generate import questions, render

    secret = {question.name for question in questions.read(template) if question.is_secret}
    create = f"Create {place.name}"
    while True:
        labels = {
            characters.line(f"{name}: {'…' if name in secret else _shown(value)}"): name
            for name, value in answers.items()
        }
        chosen = prompts.choose(
            "Ready, or change an answer?", (create, *labels), default=create, option="--yes"
        )
        if chosen == create:
            return answers
        answers = render.change(template, place.path, answers, labels[chosen])


def _shown(value: object) -> str:
    from scaffold.generate.questions import yaml_text

    text = value if isinstance(value, str) else yaml_text(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _renders_with_code(template: Template) -> bool:
    from scaffold.generate import trust

    return bool(trust.code(template).extensions)


def _reference(reference: str | None) -> str:
    from scaffold.generate import sources

    names = sources.names()
    if reference is None and len(names) > 1 and prompts.has_terminal():
        return prompts.choose("Template", names, default=sources.DEFAULT, option="--template NAME")
    return reference or sources.DEFAULT


def _asked_destination() -> str:
    if not prompts.has_terminal():
        raise UsageError("The destination is missing.", "Name the folder to create: `scaffold new myapp`.")
    return prompts.text("Folder to create:", default="my-backend")


def _document(made: Project) -> Mapping[str, object]:
    return {
        "path": str(made.destination.path),
        "template": {
            "name": made.template.name,
            "source": made.template.source,
            "version": made.template.version,
            "commit": made.template.commit,
        },
        "answers": dict(made.rendered.answers),
        "files": list(made.rendered.files),
        "written": made.written,
        "git": {"state": made.repository.state, "note": made.repository.note},
        "message": made.rendered.messages.after or None,
        "next": list(_next(made)),
    }


def _summary(made: Project) -> str:
    count = len(made.rendered.files)
    if not made.written:
        from scaffold.generate import tree

        drawing = tree.draw(made.destination.given, made.rendered.files)
        return f"{drawing}\n\n{count} files would be written. Without --pretend they are."
    version = f" {made.template.version}" if made.template.repository else ""
    lines = [
        f"Created {made.destination.given} from the {made.template.name} template{version}: {count} files"
    ]
    lines[0] += ", first commit made." if made.repository.state == "committed" else "."
    lines += [f"Note: {note}" for note in (made.template.note, made.repository.note) if note]
    lines += ["", *said.splitlines()] if (said := made.rendered.messages.after) else []
    return "\n".join((*lines, "", "Next:", *(f"  {command}" for command in _next(made))))


def _next(made: Project) -> tuple[str, ...]:
    enter = f"cd {shlex.quote(made.destination.given)}"
    return (enter, "scaffold run") if _has_containers(made) else (enter,)


def _has_containers(made: Project) -> bool:
    """Whether there is anything to run: a template need not describe containers."""
    return bool(set(COMPOSE_FILES) & set(made.rendered.files))
