"""The `scaffold` command: its subcommands, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException
from typer.main import get_command_from_info, get_group
from typer.models import CommandInfo

from scaffold import __version__, console
from scaffold.errors import Interrupted, ScaffoldError
from scaffold.interrupt import ended_by_sigterm

if TYPE_CHECKING:
    from typer._click import Command, Context

COMMANDS = {
    "new": "scaffold.cli.new:new",
    "update": "scaffold.cli.update:update",
    "diff": "scaffold.cli.update:diff",
    "check": "scaffold.cli.check:check",
    "adopt": "scaffold.cli.adopt:adopt",
    "template": "scaffold.cli.template:app",
    "run": "scaffold.cli.change:run",
    "plan": "scaffold.cli.change:plan",
    "env": "scaffold.cli.change:env",
    "status": "scaffold.cli.look:status",
    "ps": "scaffold.cli.everyday:ps",
    "logs": "scaffold.cli.look:logs",
    "stats": "scaffold.cli.everyday:stats",
    "events": "scaffold.cli.everyday:events",
    "volumes": "scaffold.cli.everyday:volumes",
    "networks": "scaffold.cli.everyday:networks",
    "shell": "scaffold.cli.enter:shell",
    "exec": "scaffold.cli.enter:execute",
    "db": "scaffold.cli.enter:db",
    "cp": "scaffold.cli.everyday:cp",
    "restart": "scaffold.cli.everyday:restart",
    "stop": "scaffold.cli.change:stop",
    "kill": "scaffold.cli.everyday:kill",
    "down": "scaffold.cli.change:down",
    "destroy": "scaffold.cli.change:destroy",
    "images": "scaffold.cli.images:images",
    "build": "scaffold.cli.images:build",
    "pull": "scaffold.cli.images:pull",
    "list": "scaffold.cli.everywhere:list_projects",
    "clean": "scaffold.cli.everywhere:clean",
    "doctor": "scaffold.cli.doctor:doctor",
}
"""Where each command is, in the order of the help page."""

# What comes after the first word belongs to the command inside.
_SETTINGS: dict[str, dict[str, Any]] = {"exec": {"allow_interspersed_args": False}}


class Commands(TyperGroup):
    """Imports a subcommand when it is asked for: no command pays for another one's imports."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def invoke(self, ctx: Context) -> Any:
        """Run the command; typer would end it without a word at Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return _group(found)
        info = CommandInfo(
            name=cmd_name,
            callback=found,
            context_settings={**_CONTEXT, **_SETTINGS.get(cmd_name, {})},
        )
        return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def _group(commands: typer.Typer) -> Command:
    """A command that has commands of its own."""
    group = get_group(commands)
    group.context_settings.update(_CONTEXT)
    for command in group.commands.values():
        command.context_settings.update(_CONTEXT)
    return group


_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="scaffold",
    cls=Commands,
    epilog="First steps: scaffold new myapp, cd myapp, scaffold run.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"scaffold {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Start a backend right, and run it with its database, proven healthy."""
    # Not `no_args_is_help`, which raises the help as the text of an error.
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    Whatever goes wrong is said in one clear error.
    """
    as_json = "--json" in arguments
    try:
        with ended_by_sigterm():
            code = app(arguments, prog_name="scaffold", standalone_mode=False)
        sys.stdout.flush()
    except ScaffoldError as error:
        console.error(error, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        console.error(_usage(error, arguments), as_json=as_json)
        return 2
    except (Abort, KeyboardInterrupt):
        console.error(Interrupted(), as_json=as_json)
        return Interrupted.exit_code
    except BrokenPipeError:
        # Whoever read the output has left; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        console.error(_system(error), as_json=as_json)
        return 1
    except Exception as error:
        # No traceback ever reaches a user.
        if os.environ.get("SCAFFOLD_DEBUG"):
            raise
        console.error(_bug(error), as_json=as_json)
        return 1
    return code if isinstance(code, int) else 0


def _usage(error: TyperException, arguments: list[str]) -> ScaffoldError:
    command = next((word for word in arguments if word in COMMANDS), "")
    first = next((word for word in arguments if not word.startswith("-")), "")
    close = get_close_matches(first, COMMANDS, n=1) if not command else []
    if close:
        return ScaffoldError(error.format_message(), f"Did you mean `scaffold {close[0]}`?")
    return ScaffoldError(error.format_message(), f"See `scaffold {command + ' ' if command else ''}--help`.")


def _system(error: OSError) -> ScaffoldError:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said = f"{where}the disk of this machine is full."
        return ScaffoldError(said[0].upper() + said[1:], "Make room, then repeat the command.")
    return ScaffoldError(f"{where}{error.strerror or error}.")


def _bug(error: Exception) -> ScaffoldError:
    return ScaffoldError(
        f"This is a bug in scaffold: {type(error).__name__}: {error}",
        "Repeat it with SCAFFOLD_DEBUG=1 for the details, and report them.",
    )
