"""`scaffold adopt`: link a project that exists to the template that it could have been made from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from scaffold import console
from scaffold.cli import consent, options
from scaffold.cli.update import folder_of, looking
from scaffold.console import prompts
from scaffold.errors import UsageError


def adopt(
    template: Annotated[
        str,
        typer.Argument(
            metavar="TEMPLATE",
            help="A short name, a folder or a git repository; with @REF its version is not searched for.",
            show_default=False,
        ),
    ],
    project: options.Project = options.HERE,
    data: Annotated[
        list[str] | None,
        typer.Option("-d", "--data", metavar="KEY=VALUE", help="An answer that is known. Repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Take the likeliest version unasked.")] = False,
    trust: consent.Trust = False,
    as_json: options.Json = False,
) -> None:
    """Link a project that exists to a version of a template.

    For projects made by hand, by copier, cruft or cookiecutter. The versions whose lines are in the project
    are found and rendered, answers are read from the project, and both are shown with their evidence; you
    confirm. Written is the answers file and nothing else: `scaffold diff --mine` then shows what differs.

    \b
    Examples:
      scaffold adopt gh:owner/template
      scaffold adopt team@v1.2.0 -d license=MIT
      scaffold adopt ../our-template --yes
    """
    from scaffold.console import adoption
    from scaffold.generate import adopt as adopting
    from scaffold.generate import apply, questions, sources
    from scaffold.generate.merge.objects import Scratch

    place = apply.locate(folder_of(project))
    wanted = sources.parse(template)
    copy = sources.repository(wanted.source, wanted.ref)
    version = sources.resolve(wanted.source, copy, wanted.ref)
    with tempfile.TemporaryDirectory(prefix="scaffold-adopt-") as name:
        folder = Path(name, place.folder.name)
        folder.mkdir()
        Path(name, "objects").mkdir()
        scratch = Scratch(Path(name, "objects"), place.root)
        tree = apply.standing_tree(scratch, place)
        with sources.at(wanted.source, copy, version) as opened:
            given = questions.parse(questions.from_options(data or ()), questions.read(opened), opened)
        search = adopting.Search(
            wanted.source,
            copy,
            adopting.lines_of(scratch, tree),
            adopting.hints(scratch, tree),
            given,
            folder,
            looking(trust=trust),
        )
        found, guess = adopting.candidates(search, version if wanted.ref else None)
        shown = adoption.text(found, guess)
        chosen = found[0]
        if not yes:
            if not prompts.has_terminal():
                raise UsageError(
                    "There is no terminal to confirm on.",
                    f"The likeliest version is {chosen.version.ref}. Take it with --yes, or name one: "
                    f"`scaffold adopt {wanted.source.address}@{chosen.version.ref} --yes`.",
                    evidence=tuple(shown.splitlines()),
                )
            console.note(shown)
            choices = [adoption.line(item) for item in found[: adoption.SHOWN]]
            picked = prompts.choose("Which version is it?", [*choices, _NONE])
            if picked == _NONE:
                raise UsageError("Not linked: nothing was written.", "Name the version: `TEMPLATE@REF`.")
            chosen = found[choices.index(picked)]
        path, content = adopting.answers_file(search, chosen)
        adopting.written(place.folder, path, content)
    console.result(
        adoption.document(found, guess, path),
        as_json=as_json,
        text=f"{shown}\n\nLinked to {chosen.version.ref} of {wanted.source.address}: {path} is written.\n\n"
        f"Next:\n  git add {path} && git commit\n  scaffold diff --mine\n  scaffold update --dry-run",
    )


_NONE = "none of these"
