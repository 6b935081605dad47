"""What commands that act on the engine have in common: the project's lock, Ctrl-C, progress, `--explain`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scaffold import characters, console
from scaffold.errors import Interrupted, ScaffoldError
from scaffold.interrupt import Cancellation, on_signals
from scaffold.project import checkout as checkouts
from scaffold.project import lock as locks
from scaffold.run.session import Session, opened

if TYPE_CHECKING:
    from scaffold.dockercli.explain import Command
    from scaffold.engine.apply import Applied
    from scaffold.run.workflow import Situation
    from scaffold.stack.plan import Plan


_LAST_LOOK = 5.0
"""Seconds that an interrupted command asks the engine for what is there now."""


@contextlib.contextmanager
def working(checkout: checkouts.Checkout, command: str, *, no_wait: bool) -> Iterator[Cancellation]:
    """Hold the project's lock, and turn Ctrl-C into a polite end."""
    cancellation = Cancellation()
    with (
        locks.lock(
            checkout,
            command,
            wait=not no_wait,
            waiting=lambda holder: console.note(f"Waiting for {holder} …"),
        ),
        politely(cancellation),
    ):
        yield cancellation
        if cancellation.requested:
            raise Interrupted


@contextlib.contextmanager
def politely(cancellation: Cancellation) -> Iterator[None]:
    """Let the first Ctrl-C finish what was begun, and say so."""
    with on_signals(
        cancellation,
        lambda: console.note("Stopping: finishing what was begun. Ctrl-C again ends at once."),
    ):
        yield


@contextlib.contextmanager
def changing(
    checkout: checkouts.Checkout,
    command: str,
    *,
    no_wait: bool,
    explain: bool,
    profiles: tuple[str, ...] = (),
    write_env: bool = False,
    allowed: frozenset[str] = frozenset(),
) -> Iterator[tuple[Cancellation, Session]]:
    """Open a project in order to change it, or, with `explain`, only to look: then nobody is kept waiting.

    With `write_env` a missing .env is written, unless it only looks.
    """
    with contextlib.ExitStack() as stack:
        cancellation = (
            Cancellation() if explain else stack.enter_context(working(checkout, command, no_wait=no_wait))
        )
        session = stack.enter_context(
            opened(
                checkout,
                profiles=profiles,
                write_env=write_env and not explain,
                changes=not explain,
                allowed=allowed,
            )
        )
        yield cancellation, session
        for note in session.notes:
            console.note(note)


def told(situation: Situation, *, quiet: bool = False) -> None:
    """Say what is to be known before anything is done; what is said of data is said in any case."""
    for note in (*(() if quiet else situation.notes), *situation.doubts):
        console.note(note)


def carry_out(
    session: Session,
    situation: Situation,
    cancellation: Cancellation,
    timeout: float,
    *,
    quiet: bool,
    verbose: bool = False,
) -> Applied:
    """Do the plan of a situation and show its progress; an interruption says what is there now."""
    from scaffold.run import workflow

    with (
        told_what_is_there(session),
        console.progress(situation.plan, quiet=quiet, verbose=verbose) as report,
    ):
        return workflow.apply(session, situation, report, cancellation, timeout)


@contextlib.contextmanager
def told_what_is_there(session: Session) -> Iterator[None]:
    """Let an interruption say what is there now; where the engine cannot be asked, that it was one."""
    from scaffold.run import workflow

    try:
        yield
    except Interrupted as error:
        try:
            session.engine.hurry(_LAST_LOOK)
            there = workflow.whats_there(session)
        except (ScaffoldError, OSError):
            raise error from None
        raise Interrupted(*there) from error


def tear_down(session: Session, steps: Plan, cancellation: Cancellation, *, quiet: bool) -> None:
    """Do a plan that only stops and removes."""
    from scaffold.run import workflow

    situation = workflow.Situation(session.desired, workflow.EMPTY, steps)
    carry_out(session, situation, cancellation, timeout=60.0, quiet=quiet)


def explained(lines: Sequence[Command], project: str | None = None, *, as_json: bool = False) -> None:
    """Print docker commands, each below a line of why: the result of `--explain`."""
    text = "\n".join(f"# {characters.line(line.why)}\n{line.text}" for line in lines) or "# nothing to do"
    document = {"project": project} if project else {}
    console.result({**document, "commands": lines}, as_json=as_json, text=text)
