"""Show a plan: to people a line for each thing that changes, to programs an entry for each step. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scaffold import characters
from scaffold.console.terminal import NARROWEST, Look, cells, fit, wrap
from scaffold.stack.plan import Plan
from scaffold.stack.steps import Impact, Prove, Step, words

_SEVERITY = list(Impact)

_SYMBOLS = {
    "recreate": ("~", "yellow"),
    "restart": ("↻", "yellow"),
    "remove": ("-", "red"),
    "stop": ("-", "red"),
    "prove": ("◦", "dim"),
    "complete": ("◦", "dim"),
}


@dataclass(frozen=True)
class Change:
    """Steps that are one thing to a person: a container that is stopped, removed, created and started."""

    verb: str
    kind: str
    name: str
    reason: str
    impact: Impact
    indexes: tuple[int, ...]

    @property
    def proves(self) -> bool:
        return self.kind == "service"

    @property
    def label(self) -> str:
        if self.proves:
            return f"wait until {self.name} {'has completed' if self.verb == 'complete' else 'is ready'}"
        return f"{self.verb} {self.kind} {self.name}"

    def fitted(self, width: int, look: Look) -> str:
        """Return the label cut to the width, in the middle of its name where that leaves enough of it."""
        before = 0 if self.proves else cells(f"{self.verb} {self.kind} ")
        if width - before < NARROWEST:
            return fit(self.label, width, look)
        return self.label[:before] + fit(self.label[before:], width - before, look)


def changes(plan: Plan) -> tuple[Change, ...]:
    """Return the plan's steps as changes, each at the place of its last step."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, item in enumerate(plan.steps):
        _, kind, name = words(item.step)
        key = (kind, name, item.step.reason)
        groups[key] = [*groups.pop(key, ()), index]
    return tuple(_change([plan.steps[index].step for index in group], group) for group in groups.values())


def _change(steps: Sequence[Step], indexes: Sequence[int]) -> Change:
    _, kind, name = words(steps[0])
    impact = max((step.impact for step in steps), key=_SEVERITY.index)
    reason = characters.line(steps[0].reason)
    return Change(_verb(steps), kind, characters.line(name), reason, impact, tuple(indexes))


def _verb(steps: Sequence[Step]) -> str:
    verbs = {words(step)[0] for step in steps}
    if len(verbs) == 1:
        return verbs.pop()
    if verbs & {"remove", "set aside"}:
        return "recreate" if "create" in verbs else "remove"
    if "create" in verbs:
        return "create"
    return "restart" if "stop" in verbs else "start"


def text(plan: Plan, project: str, look: Look) -> str:
    """Return what a plan will do, in order; reasons that do not fit beside a change stand below it."""
    found = changes(plan)
    if not found:
        return f"{look.paint('bold', characters.line(project))} is up to date: nothing to do."
    return "\n".join(_line(change, look) for change in found)


def _line(change: Change, look: Look) -> str:
    sign, style = (
        ("!", "bold red") if change.impact is Impact.DATA else _SYMBOLS.get(change.verb, ("+", "green"))
    )
    symbol = look.paint(style, look.safe(sign))
    if change.proves:
        return f"{symbol} {look.paint('dim', change.label)}"
    impact = "" if change.impact in (Impact.NONE, Impact.REMOVE) else f"[{change.impact}]"
    painted = look.paint("bold red" if change.impact is Impact.DATA else "yellow", impact)
    reason = look.safe(change.reason)
    room = cells(f"{look.safe(sign)} {change.label}: {reason} {impact}".rstrip())
    if look.width is None or room <= look.width:
        return f"{symbol} {change.label}: {look.paint('dim', reason)} {painted}".rstrip()
    head = f"{symbol} {change.label}"
    if cells(f"{look.safe(sign)} {change.label} {impact}") > look.width:
        reason = f"{impact} {reason}".lstrip()
    else:
        head = f"{head} {painted}".rstrip()
    reasons = [wrap(part, look.width, "    ", "      ") for part in reason.split("; ")]
    return "\n".join([head, *(look.paint("dim", line) for part in reasons for line in part.split("\n"))])


def document(plan: Plan, project: str) -> dict[str, object]:
    """Return the plan for programs: every step, and the indexes of the steps that it waits for."""
    steps = []
    for item in plan.steps:
        verb, kind, name = words(item.step)
        step: dict[str, object] = {"verb": verb, "kind": kind, "name": name}
        steps.append(
            step | {"reason": item.step.reason, "impact": str(item.step.impact), "after": item.after}
        )
    return {"project": project, "changes": len(plan.changes), "steps": steps}


def is_long(step: Step) -> bool:
    """Return whether the step is worth a word before it is done."""
    return words(step)[0] in ("build", "pull")


def proved(step: Prove, detail: str) -> str:
    """Return how a proof reads once it is done; how a one-shot went needs no detail."""
    if step.service.one_shot:
        return f"{step.service.name} completed"
    if detail == "running" or detail.startswith("done"):
        return f"{step.service.name} {detail}"  # it was only looked at
    return f"{step.service.name} ready" + (f" ({detail})" if detail else "")
