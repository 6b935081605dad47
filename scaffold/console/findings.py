"""What `scaffold doctor` found, a line a check, with what mends it below."""

from __future__ import annotations

from collections.abc import Sequence

from scaffold import characters
from scaffold.console.terminal import Look, wrap
from scaffold.doctor.finding import Finding

_MARKS = {"fine": ("green", "✓"), "note": ("yellow", "•"), "wrong": ("bold red", "✗")}


def text(findings: Sequence[Finding], look: Look) -> str:
    """Return the lines; a last one says how it stands."""
    width = max((len(item.check) for item in findings), default=0)
    lines = []
    for item in findings:
        style, mark = _MARKS[item.state]
        shown = look.safe(mark)
        indent = " " * (len(shown) + width + 3)
        body = wrap(look.safe(characters.line(item.said)), look.width, indent, indent).removeprefix(indent)
        lines.append(f"{look.paint(style, shown)} {item.check:<{width}}  {look.commands(body)}")
        if item.hint:
            arrow = f"{indent}{look.safe('→')} "
            lines.append(
                look.commands(
                    wrap(look.safe(characters.line(item.hint)), look.width, arrow, " " * len(arrow))
                )
            )
    wrong = sum(item.state == "wrong" for item in findings)
    mendable = any(item.commands for item in findings if item.state == "wrong")
    end = "Everything is fine." if not wrong else f"{wrong} thing{'' if wrong == 1 else 's'} wrong."
    end += " `scaffold doctor --fix` mends what it can, after asking." if mendable else ""
    return "\n".join([*lines, "", look.commands(end)])
