"""What `--help` says of every command, and that docs/commands.md says the same."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from scaffold.cli.app import COMMANDS
from tests.command_pages import ALL, GROUPS, PAGE, all_help, help_of, page

ON_THE_ENGINE = set(COMMANDS) - {"new", "plan", "env", "template"}
"""plan has --commands, and the other two work on files."""
KNOWN_OTHERS = {"doctor", "update", "diff", "check", "adopt", "data", "templates"}
"""Commands that do more than docker commands can say, or work on files only."""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return all_help()


@pytest.mark.parametrize("command", ALL)
def test_help_has_a_short_summary_and_examples(helps: dict[str, str], command: str) -> None:
    text = helps[command]
    assert re.search(r"\n  Examples?:\n    (scaffold|cd|git|docker) ", text), text
    summary = text.split("\n\n")[1].strip()
    assert summary.endswith("."), summary
    assert len(summary) <= 68, f"{summary} is cut in the list of commands"


def test_list_of_commands_shows_every_summary_whole() -> None:
    for group in ((), *((name,) for name in GROUPS)):
        assert "..." not in help_of(*group).split("Commands:")[1]


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_of_a_group_is_documented(helps: dict[str, str], group: str) -> None:
    listed = helps[group].split("Commands:\n")[1].splitlines()
    assert tuple(line.split()[0] for line in listed) == GROUPS[group]


@pytest.mark.parametrize("command", sorted(ON_THE_ENGINE - KNOWN_OTHERS))
def test_what_acts_on_the_engine_explains_itself(command: str) -> None:
    module, _, function = COMMANDS[command].partition(":")
    parameters = inspect.signature(getattr(import_module(module), function)).parameters
    assert "explain" in parameters


def test_documented_commands_are_the_real_ones(helps: dict[str, str]) -> None:
    assert PAGE.read_text() == page(helps), "run `python -m tests.command_pages`"


def test_no_command_is_wrong_usage_and_shows_the_help_as_it_is() -> None:
    scaffold = Path(sys.executable).with_name("scaffold")
    done = subprocess.run((scaffold,), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    usage, *rest = done.stderr.splitlines()
    assert usage == "Usage: scaffold [OPTIONS] COMMAND [ARGS]..."
    assert "  new       Create a project from a template." in rest
    assert "error" not in done.stderr
