"""`scaffold template new`, `lint`, `test` and `release`: for the people who own a template."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaffold import console
from scaffold.cli import consent, options
from scaffold.cli.completion import templates as complete

if TYPE_CHECKING:
    from scaffold.generate.author.matrix import Case
    from scaffold.generate.author.problem import Problem
    from scaffold.generate.sources import Template

Of = Annotated[
    str,
    typer.Argument(
        metavar="TEMPLATE",
        help="A folder, as it stands; or any other template, with @REF.",
        autocompletion=complete,
        show_default=False,
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The template's repository.", show_default=False)]


def new(
    dest: Annotated[str, typer.Argument(metavar="DEST", help="Folder to create.")],
    base: Annotated[
        str,
        typer.Option(
            "--from", metavar="TEMPLATE", help="The template to begin with.", autocompletion=complete
        ),
    ] = "backend",
    project: Annotated[
        Path | None,
        typer.Option("--from-project", metavar="DIR", help="Make it of a project that runs, instead."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Start the repository of a template of your own.

    It is a copy of another template, with cases to try it, a workflow that does, and a first commit. Made of
    a project, the project's name and the ports of .env.example become questions; it is proven that the
    template makes the same project again.

    \b
    Examples:
      scaffold template new our-template
      scaffold template new our-template --from gh:owner/repo
      scaffold template new our-template --from-project ../shop
    """
    from scaffold.generate import destination, sources
    from scaffold.generate.author import promote, start

    place = destination.check(dest)
    made: start.Started | promote.Promoted
    if project is not None:
        made = promote.promote(project.resolve(), place)
        origin = str(project)
        detail = f": {', '.join(made.answers)} became questions, {len(made.rendered)} files are rendered"
    else:
        with sources.opened(base) as template:
            made = start.start(template, place)
            origin, detail = template.name, ""
    ways = (f"cd {shlex.quote(dest)}", "scaffold template test --accept", "scaffold template release")
    lines = [f"Started the template {place.name} from {origin}{detail}."]
    lines += [f"Note: {made.repository.note}"] if made.repository.note else []
    document = {
        "path": str(place.path),
        "from": origin,
        "git": {"state": made.repository.state, "note": made.repository.note},
        "next": ways,
    }
    text = "\n".join((*lines, "", "Next:", *(f"  {way}" for way in ways)))
    console.result(document, as_json=as_json, text=text)


def lint(template: Of = ".", trust: consent.Trust = False, as_json: options.Json = False) -> None:
    """Find what is wrong with a template.

    It reads copier.yml and every expression, renders every combination of choices, and checks what comes out:
    JSON, TOML, YAML, Python, shell, Dockerfiles, Compose, workflows. hadolint and shellcheck are used where
    they are installed. Warnings alone leave the exit code at 0.

    \b
    Examples:
      scaffold template lint
      scaffold template lint gh:owner/repo@v1.2.0 --json
    """
    from scaffold.generate.author import problem, trial, written

    with _opened(template, trust=trust) as found:
        problems = list(written.problems(found))
        cases = trial.planned(found) if not any(not each.is_warning for each in problems) else ()
        for made in trial.trials(found, cases) if cases else ():
            problems += made.problems
    _report(problem.joined(problems), len(cases), as_json=as_json)


def try_out(
    template: Of = ".",
    accept: Annotated[
        bool, typer.Option("--accept", help="Hold from now on what the cases make today.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the report as JUnit XML too.")
    ] = None,
    updates: Annotated[
        bool, typer.Option("--updates/--no-updates", help="Update a project from each older version.")
    ] = True,
    boot: Annotated[
        bool, typer.Option("--boot", help="Build, run and call each project too, then destroy it.")
    ] = False,
    trust: consent.Trust = False,
    as_json: options.Json = False,
) -> None:
    """Try a template with every combination of its choices.

    With more than 32 combinations every pair of choices is tried. What each case makes is checked as `lint`
    does, and compared with what was accepted, in tests/snapshots. Answers that questions without choices need
    stand in tests/cases.yml. What has not changed is not rendered again.

    With --boot each project that has a compose.yaml is run under a name of its own, two at a time, called at
    its address, and removed from the engine with all that it made.

    \b
    Examples:
      scaffold template test
      scaffold template test --accept
      scaffold template test --junit report.xml
      scaffold template test --boot
    """
    from scaffold.generate.author import older, problem, trial

    results: list[tuple[str, float, tuple[Problem, ...]]] = []
    with _opened(template, trust=trust, tasks=boot) as found:
        cases = trial.planned(found)
        without = trial.not_booted(found) if boot else ()
        trials = []
        for number, made in enumerate(trial.trials(found, cases), 1):
            console.note(
                f"{number}/{len(cases)} {made.case.name}{' (not changed)' if made.was_known else ''}"
            )
            trials.append(made)
        for made in trials:
            compared = () if accept or made.problems else tuple(trial.compared(found, made))
            results.append((made.case.name, made.seconds, (*made.problems, *compared)))
        if accept:
            if any(made.problems for made in trials):
                console.warn("Nothing was accepted: mend what is wrong first.")
            else:
                trial.accept(found, trials)
        if updates:
            results += older.updates(found)
        if boot:
            results += _booted(found, [made.case for made in trials if not made.problems], without)
    if junit is not None:
        junit.write_bytes(trial.junit(results, found.name))
    problems = problem.joined(each for _, _, some in results for each in some)
    _report(problems, len(results), as_json=as_json)


def _booted(
    template: Template, cases: Sequence[Case], without: Sequence[Mapping[str, object]]
) -> Iterator[tuple[str, float, tuple[Problem, ...]]]:
    from scaffold.fleet import boot

    with contextlib.closing(boot.boots(template, cases, without)) as boots:
        for number, made in enumerate(boots, 1):
            state = "not booted" if made.left_out else "does not boot" if made.problems else "boots"
            console.note(f"{number}/{len(cases)} {made.case.name}: {state} ({made.seconds:.0f} s)")
            if not made.left_out:
                yield f"boot {made.case.name}", made.seconds, made.problems


def release(
    folder: Folder = Path(),
    version: Annotated[
        str | None, typer.Option("--version", metavar="TAG", help="The version, instead of the next one.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the version and its changelog, and do nothing.")
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Put all versions into a git bundle."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Tag the next version of a template, with a changelog.

    A question that is gone or has to be answered raises the first number, a new question, choice or file the
    second, anything else the third; before 1.0.0 each one number further to the right. Nothing is pushed.

    \b
    Examples:
      scaffold template release --dry-run
      scaffold template release
      scaffold template release --version v2.0.0 --bundle template.bundle
    """
    from scaffold.generate.author import release as releases

    planned = releases.planned(folder.resolve(), version)
    if not dry_run:
        releases.make(folder.resolve(), planned, bundle)
    word = "Would be" if dry_run else "Released"
    lines = [f"{word} {planned.tag}: {planned.reason}", *(f"  - {change}" for change in planned.changes)]
    if not dry_run:
        lines += ["", "Next:", "  git push --follow-tags"]
    document = {
        "version": planned.tag,
        "before": planned.before,
        "reason": planned.reason,
        "changes": planned.changes,
        "released": not dry_run,
    }
    console.result(document, as_json=as_json, text="\n".join(lines))


@contextmanager
def _opened(reference: str, *, trust: bool, tasks: bool = False) -> Iterator[Template]:
    """A folder as it stands, committed or not; anything else as for `scaffold new`."""
    from scaffold.generate import sources

    if Path(reference).is_dir():
        yield _trusted(sources.find(reference), trust=trust, tasks=tasks)
    else:
        with sources.opened(reference) as template:
            yield _trusted(template, trust=trust, tasks=tasks)


def _trusted(template: Template, *, trust: bool, tasks: bool) -> Template:
    from scaffold.generate import trust as trusts

    # Extensions always run, tasks only where a project is to boot.
    code = trusts.code(template)
    return consent.given(template, trust=trust) if code.extensions or (tasks and code.tasks) else template


def _report(problems: Sequence[Problem], cases: int, *, as_json: bool) -> None:
    errors = [each for each in problems if not each.is_warning]
    counted = f"{cases} case{'' if cases == 1 else 's'}"
    said = f"{len(errors)} problem{'' if len(errors) == 1 else 's'}" if errors else "No problem"
    text = "\n".join((*map(str, problems), f"{said} in {counted}."))
    console.result({"problems": problems, "cases": cases, "ok": not errors}, as_json=as_json, text=text)
    if errors:
        raise typer.Exit(1)
