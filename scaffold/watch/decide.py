"""Decide what a batch of changed files means. Pure: whether a file is still there shows when it is copied."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field

from scaffold.engine.build import ignore
from scaffold.stack.desired import Desired
from scaffold.stack.develop import Trigger

# What editors write beside a file while they save it, and git's own folder: as Compose has them.
_PASSING = """\
**/.git
**/.idea
**/*___jb_old___
**/*___jb_tmp___
**/.#*
**/#*#
**/4913
**/*~
**/.*.swp
**/.*.swx
**/.*.swo
**/.*.swn
**/.*.kate-swp
**/*-go-tmp-umask
"""
PASSING = ignore.parse(_PASSING)
NOTHING = ignore.Rules()


@dataclass(frozen=True)
class Rule:
    """A trigger of a service, and what keeps a file from pulling it."""

    service: str
    trigger: Trigger
    context: str = ""
    """The folder of the build, to which `withheld` is relative; empty without one."""
    withheld: ignore.Rules = NOTHING
    """What .dockerignore keeps out of the build: it is in no image, and is not synced into one."""
    ignored: ignore.Rules = NOTHING
    included: ignore.Rules | None = None
    """None where everything is."""

    def inside(self, path: str) -> str | None:
        """Return where a changed file goes in the container, empty where it is not copied; None: no match."""
        part = _within(path, self.trigger.path)
        if part is None or PASSING.ignores(part or posixpath.basename(path)):
            return None
        built = _within(path, self.context) if self.context else None
        if built and self.withheld.ignores(built):
            return None
        if part and self.included is not None and not self.included.ignores(part):
            return None
        if part and self.ignored.ignores(part):
            return None
        target = self.trigger.target
        return posixpath.normpath(posixpath.join(target, part)) if target else ""


@dataclass(frozen=True)
class Copy:
    """A file or folder of the checkout, and its place in the container; gone here, it is removed there."""

    source: str
    target: str


@dataclass(frozen=True)
class Work:
    """What a batch means for one service, in the order in which it is done."""

    service: str
    rebuild: bool = False
    copies: tuple[Copy, ...] = ()
    restart: bool = False
    hooks: tuple[Trigger, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What a batch of changed files means."""

    converge: bool = False
    """compose.yaml, .env or another file that it is made from has changed: as `scaffold run` would."""
    works: tuple[Work, ...] = ()

    def __bool__(self) -> bool:
        return self.converge or bool(self.works)


@dataclass
class _Draft:
    rebuild: bool = False
    restart: bool = False
    copies: dict[str, str] = field(default_factory=dict)
    hooks: dict[Trigger, None] = field(default_factory=dict)


def rules(desired: Desired, withheld: dict[str, ignore.Rules]) -> tuple[Rule, ...]:
    """Return the rules of a project; `withheld` has the .dockerignore of each service that is built."""
    return tuple(
        Rule(
            service.name,
            trigger,
            service.build.context if service.build and service.name in withheld else "",
            withheld.get(service.name, NOTHING),
            ignore.parse("\n".join(trigger.ignore), f"services.{service.name}.develop.watch.ignore"),
            ignore.parse("\n".join(trigger.include), f"services.{service.name}.develop.watch.include")
            if trigger.include
            else None,
        )
        for service in desired.services
        for trigger in service.develop
    )


def batch(changed: Iterable[str], known: Iterable[Rule], sources: Iterable[str] = ()) -> Batch:
    """Return what changed paths mean; `sources` are the files that the project itself is read from.

    A file that several rules name is copied by each; a hook runs once a batch, after the copies.
    """
    paths = sorted({posixpath.normpath(path) for path in changed})
    read = {posixpath.normpath(path) for path in sources}
    drafts: dict[str, _Draft] = {}
    for rule in known:
        for path in paths:
            target = rule.inside(path)
            if target is None:
                continue
            draft = drafts.setdefault(rule.service, _Draft())
            action = rule.trigger.action
            draft.rebuild |= action == "rebuild"
            draft.restart |= action.restarts
            if action.syncs:
                draft.copies[target] = path
            if action == "sync+exec":
                draft.hooks[rule.trigger] = None
    works = tuple(
        Work(
            service,
            draft.rebuild,
            tuple(
                Copy(source, target)
                for target, source in sorted(draft.copies.items(), key=lambda pair: pair[::-1])
            ),
            draft.restart,
            tuple(draft.hooks),
        )
        for service, draft in sorted(drafts.items())
    )
    return Batch(any(path in read for path in paths), works)


def _within(path: str, folder: str) -> str | None:
    """Return a path relative to a folder, empty for the folder itself; None outside of it."""
    if path == folder:
        return ""
    below = f"{folder.rstrip('/')}/"
    return path.removeprefix(below) if path.startswith(below) else None
