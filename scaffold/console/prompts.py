"""Ask the user: yes or no, a choice, a line of text, a name typed to confirm. The only questionary import.

Questions appear on standard error, so that standard output stays free for results. Without a terminal nothing
is asked: the error names the option that answers instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from scaffold import characters
from scaffold.errors import Interrupted, ScaffoldError, UsageError

if TYPE_CHECKING:
    from questionary import Question

_T = TypeVar("_T", str, bool)


class _Spellings(dict[str, str]):
    """How single characters are shown: as they are everywhere else, and as the library has it.

    Joiners are left to it: what stands beside them, which decides, is not known here.
    """

    def __contains__(self, sign: object) -> bool:
        return super().__contains__(sign) or (isinstance(sign, str) and self[sign] != sign)

    def __getitem__(self, sign: str) -> str:
        if sign in characters.JOINERS:
            return sign
        spelt = characters.visible(sign)
        return self.get(sign, sign) if spelt == sign else spelt


def has_terminal() -> bool:
    """Whether somebody can see a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def session() -> Iterator[None]:
    """Send every question of the block, copier's own among them, to standard error.

    What a terminal would act on, or not show, is spelt where the library lays characters out: in what it
    writes, such signs are its own line ends, and its columns would be off by what is spelt later.
    """
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.layout.screen import Char
    from prompt_toolkit.output import create_output

    known = Char.display_mappings
    Char.display_mappings = _Spellings(known)
    try:
        with create_app_session(output=create_output(stdout=sys.stderr)):
            yield
    finally:
        Char.display_mappings = known


def confirm(prompt: str, *, default: bool = False, option: str | None = None) -> bool:
    """Yes or no."""
    _require_terminal(prompt, option)
    import questionary

    return _ask(lambda: questionary.confirm(characters.line(prompt), default=default), bool)


def confirm_name(expected: str, prompt: str, *, option: str | None = None) -> None:
    """Have `expected` typed, as consent to something that cannot be undone; anything else is an error."""
    _require_terminal(prompt, option)
    import questionary

    typed = _ask(lambda: questionary.text(characters.line(prompt)), str).strip()
    if typed != expected:
        raise ScaffoldError(f'"{typed}" is not "{expected}": nothing was done.')


def choose(
    prompt: str, choices: Sequence[str], *, default: str | None = None, option: str | None = None
) -> str:
    """One of several."""
    _require_terminal(prompt, option)
    import questionary

    return _ask(
        lambda: questionary.select(characters.line(prompt), choices=list(choices), default=default), str
    )


def text(prompt: str, *, default: str = "") -> str:
    """A line of text."""
    _require_terminal(prompt, None)
    import questionary

    return _ask(lambda: questionary.text(characters.line(prompt), default=default), str).strip()


def _require_terminal(prompt: str, option: str | None) -> None:
    if not has_terminal():
        question = prompt.strip().rstrip(":?").rstrip()
        hint = f"Answer with {option}." if option else None
        raise UsageError(f'There is no terminal to ask on: "{question}"', hint)


def _ask(question: Callable[[], Question], kind: type[_T]) -> _T:
    try:
        with session():  # around the making of the question too, which looks up where it will appear
            answer = question().unsafe_ask()
    except (KeyboardInterrupt, EOFError) as error:
        raise Interrupted from error
    assert isinstance(answer, kind)
    return answer
