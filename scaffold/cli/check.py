"""`scaffold check`: how a project stands to its template, for people and for CI."""

from __future__ import annotations

from typing import Annotated

import typer

from scaffold import console
from scaffold.cli import consent, options
from scaffold.cli.update import AnswersFile, folder_of, looking
from scaffold.errors import UsageError


def check(
    project: options.Project = options.HERE,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="A newer version of the template is no failure.")
    ] = False,
    github: Annotated[
        bool, typer.Option("--github", help="Print the problems as annotations of GitHub Actions.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a report for reviewers, as Markdown.")
    ] = False,
    answers_file: AnswersFile = None,
    trust: consent.Trust = False,
    as_json: options.Json = False,
) -> None:
    """Check the project against its template; for people and for CI.

    Fails (exit code 1) when the template has a newer version, when a decision or a conflict of an update is
    left open, or when a lock file does not fit its list of dependencies. Files that you have edited or
    removed are listed, and are no failure.

    \b
    Examples:
      scaffold check
      scaffold check --pinned --github
      scaffold check --markdown >> "$GITHUB_STEP_SUMMARY"
    """
    if github + markdown + as_json > 1:
        raise UsageError("Choose one of --github, --markdown and --json.")
    from scaffold.console import standing
    from scaffold.generate import check as checking

    found = checking.examine(folder_of(project), answers_file, pinned=pinned, consent=looking(trust=trust))
    if github:
        shown = standing.github(found) or None
    else:
        shown = standing.report(found) if markdown else standing.text(found)
    console.result(standing.document(found), as_json=as_json, text=shown)
    if not found.is_fine:
        raise typer.Exit(1)
