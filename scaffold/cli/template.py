"""`scaffold template`: short names for templates, and what a template is before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import author, consent, options
from scaffold.cli.completion import templates as complete
from scaffold.errors import ScaffoldError, UsageError

if TYPE_CHECKING:
    from scaffold.generate.questions import Question
    from scaffold.generate.settings import Shared
    from scaffold.generate.sources import Template

app = typer.Typer(
    name="template",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def template(context: typer.Context) -> None:
    """Look at templates, and give them short names.

    \b
    Examples:
      scaffold template list
      scaffold template add team git@git.example.com:platform/service.git
      scaffold template show team@v1.2.0
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


Source = Annotated[
    str,
    typer.Argument(
        metavar="TEMPLATE",
        help="A short name, a folder or a git repository, each with @REF.",
        autocompletion=complete,
    ),
]


@app.command()
def add(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The short name.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE", help="A folder or a git repository, each with @REF.", show_default=False
        ),
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="LIST", help="Add a team's list: a file, its URL, or a git repository."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Give a template a short name, or add the list of a team.

    A list is a TOML file with a table [templates] of names and sources, and a table [defaults] of answers to
    begin with. In a git repository it is scaffold.toml, or the file after a #. Added again, it is brought up
    to date.

    \b
    Examples:
      scaffold template add team git@git.example.com:platform/service.git
      scaffold template add web gh:owner/web@v2
      scaffold template add --from gh:owner/platform
      scaffold template add --from https://example.com/templates.toml
    """
    from scaffold.generate import settings

    if shared is not None:
        if name is not None:
            raise UsageError("--from brings the names with it.", "Leave NAME and SOURCE out.")
        added = _list(shared)
        settings.add_list(added)
        count = len(added.templates)
        lines = [f"Added {added.origin}: {count} template{'' if count == 1 else 's'}."]
        lines += [f"  {key}  {value}" for key, value in added.templates.items()]
        if added.defaults:
            lines.append("Answers to begin with: " + ", ".join(f"{k}={v}" for k, v in added.defaults.items()))
        document = {"from": added.origin, "templates": added.templates, "defaults": added.defaults}
        console.result(document, as_json=as_json, text="\n".join(lines))
        return
    if name is None or source is None:
        raise UsageError(
            "NAME or SOURCE is missing.", "For example: `scaffold template add team gh:owner/template`."
        )
    from scaffold.generate import sources

    if name in sources.names():
        raise UsageError(f'"{name}" is a template that came with scaffold.', "Choose another name.")
    with sources.opened(source) as template:
        wanted = sources.parse(source)
        stored = wanted.source.address + (f"@{wanted.ref}" if wanted.ref is not None else "")
        settings.add(name, stored)
        version = template.version
    text = f"Added {name}: {stored}" + (f", now at {version}." if version else ".")
    console.result({"name": name, "source": stored, "version": version}, as_json=as_json, text=text)


@app.command("list")
def list_templates(as_json: options.Json = False) -> None:
    """List the templates that have a short name.

    \b
    Examples:
      scaffold template list
      scaffold template list --json
    """
    from scaffold.generate import settings, sources

    rows = [(each.name, each.source, "scaffold") for each in sources.bundled()]
    rows += [
        (each.name, each.source, each.origin or "your settings") for each in settings.registered().values()
    ]
    lists = [{"from": each.origin, "defaults": each.defaults} for each in settings.lists()]
    found = [{"name": name, "source": source, "from": origin} for name, source, origin in rows]
    text = console.table(rows, ("NAME", "SOURCE", "FROM"))
    document = {"templates": found, "lists": lists, "defaults": settings.defaults()}
    console.result(document, as_json=as_json, text=text)


@app.command()
def show(template: Source, as_json: options.Json = False) -> None:
    """Show what a template asks, and which programs it would run.

    Nothing of the template runs. Without @REF it is the newest version.

    \b
    Examples:
      scaffold template show backend
      scaffold template show gh:owner/repo@v1.2.0 --json
    """
    from scaffold.generate import about, questions, trust

    with _opened(template) as found:
        asked = questions.read(found)
        code = trust.code(found)
        said = about.description(found)
        trusted = code.runs_at_all and trust.is_trusted(found.source, code)
    document = {
        "name": found.name,
        "source": found.source,
        "version": found.version,
        "commit": found.commit,
        "description": said,
        "questions": [_question(each) for each in asked],
        "code": {
            "tasks": code.tasks,
            "migrations": code.migrations,
            "extensions": code.extensions,
            "files": code.files,
            "fingerprint": code.fingerprint or None,
            "trusted": trusted,
        },
    }
    lines = [f"{found.name}{f' {found.version}' if found.version else ''}", f"  from {found.source}"]
    lines += ["", said] if said else []
    lines += ["", "Questions:", *_asked(asked)] if asked else ["", "It asks nothing."]
    if code.runs_at_all:
        state = "trusted" if trusted else "nobody trusted it yet"
        lines += ["", f"It runs programs on this machine ({state}):", *consent.listed(code)]
    else:
        lines += ["", "It runs no programs."]
    console.result(document, as_json=as_json, text="\n".join(lines))


@app.command()
def versions(template: Source, as_json: options.Json = False) -> None:
    """List the versions of a template, the newest first.

    \b
    Examples:
      scaffold template versions backend
      scaffold template versions gh:owner/repo --json
    """
    from scaffold.generate import mirror, sources
    from scaffold.generate import versions as order

    source = sources.parse(template).source
    copy = sources.repository(source)
    if copy.stale:
        console.warn(f"{copy.stale} What is listed is the copy on this machine.")
    tags, dates = mirror.tags(copy), mirror.dates(copy)
    newest = order.newest(tags)
    found = [
        {"version": tag, "commit": tags[tag], "date": dates.get(tag), "newest": tag == newest}
        for tag in order.ordered(tags)
    ]
    rows = [(str(each["version"]), str(each["date"] or "")[:10], str(each["commit"])[:12]) for each in found]
    nothing = "It has no version tags: projects are made from its newest commit."
    text = console.table(rows, ("VERSION", "DATE", "COMMIT")) if rows else nothing
    console.result(
        {"name": source.name, "source": source.address, "versions": found}, as_json=as_json, text=text
    )


@app.command()
def remove(
    template: Annotated[
        str,
        typer.Argument(
            metavar="NAME|SOURCE",
            help="A short name, a source, or the list of a team by where it is from.",
            autocompletion=complete,
        ),
    ],
    as_json: options.Json = False,
) -> None:
    """Forget a template's short name, its copy and its trust.

    Projects made from it stay as they are.

    \b
    Examples:
      scaffold template remove team
      scaffold template remove https://example.com/templates.toml
    """
    from scaffold.generate import mirror, settings, sources, trust

    if template in sources.names():
        raise UsageError(f'"{template}" came with scaffold and stays.')
    if any(shared.origin == template for shared in settings.lists()):
        settings.remove(template)
        console.result({"removed": template}, as_json=as_json, text=f"Removed the list {template}.")
        return
    entry = settings.registered().get(template)
    if entry is not None and entry.origin is not None:
        raise UsageError(
            f'"{template}" comes from {entry.origin}.',
            f"Remove that list: `scaffold template remove {entry.origin}`.",
        )
    try:
        source = sources.parse(template).source
    except ScaffoldError:
        if entry is None:
            raise
        source = None
    settings.remove(template)
    if source is not None:
        mirror.remove(source.place)
        trust.forget(source.address)
    console.result({"removed": template}, as_json=as_json, text=f"Removed {template}.")


app.command()(author.new)
app.command()(author.lint)
app.command("test")(author.try_out)
app.command()(author.release)


# ── parts ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _opened(reference: str) -> Iterator[Template]:
    from scaffold.generate import sources

    with sources.opened(reference) as template:
        if template.note:
            console.warn(template.note)
        yield template


def _list(reference: str) -> Shared:
    from scaffold.generate import mirror, settings, sources

    path = Path(reference).expanduser()
    if reference.startswith(("https://", "http://")) and reference.partition("?")[0].endswith(".toml"):
        origin = mirror.without_credentials(reference)
        return settings.parsed(settings.downloaded(reference), origin)
    if path.is_file() and path.suffix == ".toml":
        return settings.parsed(path.read_bytes()[: settings.MOST_BYTES], str(path.resolve()))
    base, _, file = reference.partition("#")
    wanted = sources.parse(base)
    if wanted.source.kind is sources.Kind.FOLDER:
        content = (Path(wanted.source.place) / (file or "scaffold.toml")).read_bytes()
    else:
        copy = sources.repository(wanted.source, wanted.ref)
        version = sources.resolve(wanted.source, copy, wanted.ref or "HEAD")
        entry = mirror.files(copy, version.commit).get(file or "scaffold.toml")
        if entry is None:
            raise ScaffoldError(
                f"{wanted.source.address} has no file {file or 'scaffold.toml'}.",
                "Name the list after a #: `gh:owner/repo#templates.toml`.",
            )
        content = mirror.content(copy, entry[1])
    return settings.parsed(content, reference if "://" not in base else mirror.without_credentials(reference))


def _question(question: Question) -> dict[str, object]:
    return {
        "name": question.name,
        "type": question.type or None,
        "help": question.help or None,
        "default": None if question.is_secret else question.default,
        "choices": list(question.choices),
        "multiselect": question.is_list,
        "required": question.is_required,
        "secret": question.is_secret,
        "asked": question.when is not False,
    }


def _asked(asked: tuple[Question, ...]) -> list[str]:
    from scaffold.generate.questions import yaml_text

    rows = []
    for question in asked:
        if question.when is False:  # computed, never asked
            continue
        default = "" if question.is_required else yaml_text(question.default)
        if question.is_secret:
            default = "secret"
        elif "{{" in default or "{%" in default:
            default = "computed"  # of other answers, by an expression that says little here
        choices = ", ".join(map(str, question.choices)) if question.choices else question.type
        rows.append((question.name, choices, " ".join(default.split())[:40], question.help))
    return console.table(rows, ("NAME", "ANSWERS", "DEFAULT", "ABOUT")).splitlines()
