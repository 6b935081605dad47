"""How a project stands to its template, as text, as GitHub annotations, and as a reviewer's report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scaffold.generate.check import Problem, Standing

_SHOWN = 12


def document(found: Standing) -> Mapping[str, object]:
    """Return it for programs."""
    return {
        "fine": found.is_fine,
        "path": found.path,
        "template": found.template,
        "version": found.version,
        "newest": found.newest,
        "answers_file": found.answers_file,
        "files": found.written,
        "edited": list(found.drift.edited),
        "gone": list(found.drift.gone),
        "problems": found.problems,
        "notes": list(found.notes),
    }


def text(found: Standing) -> str:
    """Return it for people."""
    lines = [f"{found.path} follows {found.template} {found.version}" + _newest(found)]
    lines += [f"Note: {note}" for note in found.notes]
    lines += [
        f"Edited: {_listed(found.drift.edited)}",
        f"Gone: {_listed(found.drift.gone)}",
    ]
    for problem in found.problems:
        where = f"{problem.path}:{problem.line}" if problem.line else problem.path
        lines += ["", f"{where}: {problem.message}", f"  {problem.do}"]
    if found.is_fine:
        lines += ["", "All is well."]
    return "\n".join(lines)


def _newest(found: Standing) -> str:
    if found.newest is None or found.newest == found.version:
        return ", the newest version." if found.newest else "."
    return f"; the newest version is {found.newest}."


def _listed(paths: Sequence[str]) -> str:
    if not paths:
        return "nothing."
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{len(paths)} of the template's files: {', '.join(paths[:_SHOWN])}{more}."


def github(found: Standing) -> str:
    """Return the problems as GitHub's workflow commands."""
    return "\n".join(_annotation(problem) for problem in found.problems)


def _annotation(problem: Problem) -> str:
    line = f",line={problem.line}" if problem.line else ""
    said = _data(f"{problem.message} {problem.do}")
    return (
        f"::error file={_property(problem.path)}{line},title={_property(f'scaffold {problem.kind}')}::{said}"
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def report(found: Standing) -> str:
    """Return it as Markdown, for the one who reviews a change."""
    lines = [
        "## Template",
        "",
        f"{_code(found.template)} {_code(found.version)}{_newest(found)}",
        "",
    ]
    lines += [f"> {_plain(note)}\n" for note in found.notes]
    if found.problems:
        lines += ["| file | problem | what to do |", "|---|---|---|"]
        lines += [
            f"| {_code(problem.path)} | {_plain(problem.message)} | {_plain(problem.do)} |"
            for problem in found.problems
        ]
    else:
        lines.append("Nothing to put in order.")
    for title, paths in (("Edited", found.drift.edited), ("Gone", found.drift.gone)):
        if paths:
            lines += ["", f"### {title}: {len(paths)} of {found.written} files of the template", ""]
            lines += [f"- {_code(path)}" for path in paths]
    if found.drift.diff:
        fence = "`" * (3 + _longest_run(found.drift.diff))
        lines += ["", "<details><summary>Difference to the template</summary>", "", f"{fence}diff"]
        lines += [found.drift.diff.rstrip("\n"), fence, "", "</details>"]
    return "\n".join(lines)


def _code(text: str) -> str:
    fence = "`" * (1 + _longest_run(text))
    return f"{fence}{_plain(text)}{fence}"


def _plain(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _longest_run(text: str) -> int:
    import re

    return max((len(run) for run in re.findall(r"`+", text)), default=0)
