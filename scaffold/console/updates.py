"""What an update did or would do, as text for people and as a document. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaffold.generate.decisions import FILE, shown
from scaffold.generate.merge import locks
from scaffold.generate.merge.threeway import Conflict, Kind
from scaffold.generate.merge.values import ABSENT

if TYPE_CHECKING:
    from scaffold.generate.update import Update


@dataclass(frozen=True)
class Todo:
    """One file that needs a person: what is the matter, and what to do."""

    path: str
    problem: str
    do: str


def todos(update: Update) -> tuple[Todo, ...]:
    """Return what is left to a person, by file."""
    has_task = update.has_lock_task
    return tuple(todo for conflict in update.merge.conflicts for todo in _todos(conflict, has_task=has_task))


def _todos(conflict: Conflict, *, has_task: bool) -> Iterator[Todo]:
    path = conflict.path
    name = shlex.quote(path)
    add = f"`git add {name}`"
    problem = conflict.kind.value
    match conflict.kind:
        case Kind.OPEN:
            for place in conflict.open:
                said = f"{place}: yours is {shown(place.ours)}, the template's {shown(place.theirs)}"
                do = f"Yours was kept. Put the right value there, remove its entry from {FILE}, then {add}."
                yield Todo(path, said, do)
        case Kind.MARKERS:
            yield Todo(path, problem, f"Edit it, then {add}.")
        case Kind.REJECTED:
            reject = shlex.quote(f"{path}.rej")
            yield Todo(path, problem, f"Take over what you need, then `git rm -qf {reject}` and {add}.")
        case Kind.LOCK:
            command = "docker compose run --rm lock" if has_task else locks.command(path)
            how = f"Make it anew: `{command}`" if command else "Make it anew"
            yield Todo(path, problem, f"{how}, then {add}.")
        case Kind.BINARY:
            take = f"`git checkout --theirs {name}`"
            yield Todo(path, problem, f"{take} takes the template's; then {add}.")
        case Kind.GONE:
            yield Todo(path, problem, f"`git rm -q {name}` follows the template, {add} keeps yours.")
        case Kind.INVALID | Kind.CLASH:
            yield Todo(path, problem, f"Look at it, mend it, then {add}.")


def text(update: Update, *, applied: bool) -> str:
    """Return the result for people."""
    old, new = update.followed.old.ref, update.new.ref
    name = update.followed.place.folder.name
    count = len(update.changed)
    files = f"{count} file{'' if count == 1 else 's'}"
    way = f"at {new}" if old == new else f"from {old} to {new}"
    if update.is_nothing:
        return f"{name} is up to date with its template: {new}."
    lines = [f"Updated {name} {way}: {files} changed." if applied else f"{name} {way}: {files} would change."]
    lines += [f"Note: {note}" for note in update.notes]
    if update.message:
        lines += ["", update.message]
    left = todos(update)
    if left:
        number = len({todo.path for todo in left})
        lines += ["", f"{number} file{' needs' if number == 1 else 's need'} you:"]
        for todo in left:
            lines += [f"  {todo.path}: {todo.problem}", f"    {todo.do}"]
    if applied:
        review = "git diff --cached" if not left else "git status"
        lines += ["", "Next:", f"  {review}", "  git commit"]
    return "\n".join(lines)


def document(update: Update, *, applied: bool) -> Mapping[str, object]:
    """Return the result for programs."""
    return {
        "path": str(update.followed.place.folder),
        "template": update.followed.source.address,
        "from": {"version": update.followed.old.ref, "commit": update.followed.old.commit},
        "to": {"version": update.new.ref, "commit": update.new.commit},
        "up_to_date": update.is_nothing,
        "applied": applied,
        "files": list(update.changed),
        "conflicts": [
            {
                "path": conflict.path,
                "kind": conflict.kind.name.lower(),
                "open": [
                    {"at": list(place.place), "yours": _plain(place.ours), "template": _plain(place.theirs)}
                    for place in conflict.open
                ],
            }
            for conflict in update.merge.conflicts
        ],
        "notes": list(update.notes),
        "message": update.message,
    }


def _plain(value: object) -> object:
    """A value of a document in JSON's own types."""
    import json

    return None if value is ABSENT else json.loads(json.dumps(value, default=str))
