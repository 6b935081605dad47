"""Prompts on real terminals, and their polite refusal without one."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pexpect
import pytest

from scaffold.console import prompts
from scaffold.errors import UsageError

SCRIPT = """
from scaffold.console import prompts
from scaffold.errors import ScaffoldError
try:
    print("got", repr({call}))
except ScaffoldError as error:
    print("refused", type(error).__name__, error.message)
"""
DOWN, ENTER, CTRL_C, CTRL_D = "\x1b[B", "\r", "\x03", "\x04"


def answer(call: str, keys: str) -> str:
    """What `call` makes of typed keys."""
    environment = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    arguments = ["-c", SCRIPT.format(call=call)]
    terminal = pexpect.spawn(sys.executable, arguments, timeout=60, encoding="utf-8", env=environment)
    terminal.expect_exact("Sure")
    terminal.send(keys)
    terminal.expect(r"(got|refused) [^\r\n]*\r\n")
    shown = str(terminal.after)
    terminal.close()
    return shown


@pytest.mark.parametrize(
    ("call", "keys", "outcome"),
    [
        ('prompts.confirm("Sure?")', "y", "got True"),
        ('prompts.confirm("Sure?")', ENTER, "got False"),
        ('prompts.confirm("Sure?", default=True)', ENTER, "got True"),
        ('prompts.confirm("Sure?")', CTRL_C, "refused Interrupted Interrupted."),
        ('prompts.choose("Sure?", ["a", "b"])', DOWN + ENTER, "got 'b'"),
        ('prompts.choose("Sure?", ["a", "b"], default="b")', ENTER, "got 'b'"),
        ('prompts.text("Sure?", default="x")', "y" + ENTER, "got 'xy'"),
        ('prompts.text("Sure?")', CTRL_D, "refused Interrupted Interrupted."),
        ('prompts.confirm_name("shop", "Sure?")', "shop" + ENTER, "got None"),
        ('prompts.confirm_name("shop", "Sure?")', "yes" + ENTER, "refused ScaffoldError"),
        ('prompts.confirm_name("shop", "Sure?")', ENTER, "refused ScaffoldError"),
        ('prompts.confirm_name("shop", "Sure?")', CTRL_C, "refused Interrupted Interrupted."),
    ],
)
def test_typed_keys_become_an_answer(call: str, keys: str, outcome: str) -> None:
    assert answer(call, keys).startswith(outcome)


def test_without_a_terminal_the_error_names_the_option() -> None:
    script = SCRIPT.format(call='prompts.confirm("Sure?", option="--yes")')
    done = subprocess.run(
        (sys.executable, "-c", script), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.stdout == 'refused UsageError There is no terminal to ask on: "Sure"\n'


def test_refusal_gives_the_option_as_its_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(UsageError) as caught:
            prompts.confirm_name("shop", "Type the name:", option="--yes-delete-data shop")
    assert caught.value.hint == "Answer with --yes-delete-data shop."


def test_questions_leave_standard_output_free() -> None:
    call = 'prompts.text("Sure?")'
    command = f"{sys.executable} -c '{SCRIPT.format(call=call)}'"
    environment = {**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    arguments = ["-c", f"{command} | sed s/got/through/"]
    terminal = pexpect.spawn("/bin/sh", arguments, timeout=60, encoding="utf-8", env=environment)
    terminal.expect_exact("Sure")
    terminal.send("x" + ENTER)
    terminal.expect_exact("through 'x'")
    terminal.close()


HOSTILE = r"\x1b[2J\r\x9b1A\u202e\u200b\x07"
"""As Python and scaffold spell it."""
QUESTIONS = f"""
import questionary
from scaffold.console import prompts
with prompts.session():
    print("got", questionary.text("Sure {HOSTILE}", default="{HOSTILE}").unsafe_ask() == "{HOSTILE}")
    choices = ["a", "b{HOSTILE}"]
    print("got", questionary.select("Sure", choices=choices, instruction="{HOSTILE}").unsafe_ask())
"""


@pytest.mark.parametrize("width", [50, 80, 120])
def test_what_a_terminal_would_act_on_is_spelt_in_questions_and_nothing_else_is(width: int) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", QUESTIONS],
        timeout=60,
        encoding="utf-8",
        env={**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"},
        dimensions=(24, width),
    )
    terminal.expect_exact("Sure")
    terminal.send(ENTER)
    terminal.expect_exact("got True")
    typed = str(terminal.before)
    terminal.expect_exact("» a")
    terminal.send(ENTER)
    terminal.expect_exact("got a")
    chosen = f"» a{terminal.before}"
    terminal.close()
    for drawn in (typed, chosen):
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
        assert HOSTILE in text
        assert "?" not in text.replace("? Sure", "")
        assert not set(text) & set("\x1b\x9b\u202e\u200b\x07")
