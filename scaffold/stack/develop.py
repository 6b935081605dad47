"""What `develop.watch` of a service asks for when a file changes, as the Compose Specification says. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import StrEnum

from scaffold.errors import ProjectError
from scaffold.stack.reader import Reader


class Action(StrEnum):
    """What a change of a file leads to."""

    SYNC = "sync"
    REBUILD = "rebuild"
    RESTART = "restart"
    SYNC_RESTART = "sync+restart"
    SYNC_EXEC = "sync+exec"

    @property
    def syncs(self) -> bool:
        return self in (Action.SYNC, Action.SYNC_RESTART, Action.SYNC_EXEC)

    @property
    def restarts(self) -> bool:
        return self in (Action.RESTART, Action.SYNC_RESTART)


@dataclass(frozen=True)
class Hook:
    """A command inside the service's containers, as `docker exec` takes it."""

    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    privileged: bool = False


@dataclass(frozen=True)
class Trigger:
    """One entry of `develop.watch`."""

    action: Action
    path: str
    """A file or folder of the checkout, absolute."""
    target: str = ""
    """Where it is in the container; empty where nothing is copied."""
    ignore: tuple[str, ...] = ()
    """Patterns in the syntax of a .dockerignore, relative to `path`."""
    include: tuple[str, ...] = ()
    """Patterns of the same kind; with none everything is included."""
    initial_sync: bool = False
    hook: Hook = Hook()


def triggers(reader: Reader, *, has_build: bool) -> tuple[Trigger, ...]:
    """Return what a service's `develop` section asks for. Raises ProjectError for what cannot be done."""
    return tuple(_trigger(item, has_build=has_build) for item in reader.items("watch"))


def _trigger(item: Reader, *, has_build: bool) -> Trigger:
    action = _action(item)
    target = item.text("target", "")
    hook = _hook(item.reader("exec"))
    if action is Action.REBUILD and not has_build:
        raise ProjectError(f"{item.path}: `rebuild` needs a `build` section of the service.")
    if action.syncs and not target:
        raise ProjectError(f"{item.path}: `{action}` needs a `target`, the path in the container.")
    if action is Action.SYNC_EXEC and not hook.command:
        raise ProjectError(f"{item.path}: `{action}` needs a command in `exec`.")
    return Trigger(
        action,
        posixpath.normpath(item.text("path")),
        target,
        item.texts("ignore"),
        item.texts("include"),
        item.flag("initial_sync"),
        hook,
    )


def _action(item: Reader) -> Action:
    word = item.text("action", "")
    try:
        return Action(word)
    except ValueError:
        known = ", ".join(Action)
        raise ProjectError(f"{item.path}.action: `{word}` is none of {known}.") from None


def _hook(reader: Reader) -> Hook:
    if not reader.has("command"):
        return Hook()
    return Hook(
        reader.texts("command"),
        reader.text("user", ""),
        reader.text("working_dir", ""),
        tuple(sorted((name, str(value)) for name, value in reader.mapping("environment").items())),
        reader.flag("privileged"),
    )
