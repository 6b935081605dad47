"""The `scaffold` command: its subcommands, and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from scaffold import __version__, console
from scaffold.cli import change, enter, look, new
from scaffold.errors import Interrupted, ScaffoldError

app = typer.Typer(
    name="scaffold",
    help="Start a backend right, and run it with its database, proven healthy.",
    epilog="First steps: scaffold new myapp, cd myapp, scaffold run. Documentation: README.md and docs/.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"scaffold {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Start a backend right, and run it with its database, proven healthy."""


_COMMANDS: tuple[Callable[..., None], ...] = (
    *(new.new, change.run, change.plan, look.status, look.logs, enter.shell, enter.db),
    *(change.stop, change.down, change.destroy),
)
for _command in _COMMANDS:
    app.command()(_command)
# What comes after `--` or the first word belongs to the command inside.
app.command("exec", context_settings={"allow_interspersed_args": False})(enter.execute)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Return the exit code of one command line; whatever goes wrong is said in one clear error."""
    as_json = "--json" in arguments
    try:
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
    command = next((word for word in arguments if not word.startswith("-")), "")
    known = command in {name for name in (item.name for item in app.registered_commands) if name}
    known = known or command in {getattr(item.callback, "__name__", "") for item in app.registered_commands}
    return ScaffoldError(error.format_message(), f"See `scaffold {command + ' ' if known else ''}--help`.")


def _system(error: OSError) -> ScaffoldError:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return ScaffoldError(f"{where}the disk is full.", "Make room, then repeat the command.")
    return ScaffoldError(f"{where}{error.strerror or error}.")


def _bug(error: Exception) -> ScaffoldError:
    return ScaffoldError(
        f"This is a bug in scaffold: {type(error).__name__}: {error}",
        "Repeat it with SCAFFOLD_DEBUG=1 for the details, and report them.",
    )
