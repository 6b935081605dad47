"""Spell out what a terminal would act on, or not show, in a text that somebody else wrote. Pure."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

# Controls (C0 but for tab and newline, DEL, C1), what reverses or hides text (marks of direction, characters
# without width, tags, annotations), other ends of lines, and halves of characters. Joiners between letters of
# scripts that need them, and between emoji, are left alone.
UNSEEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
"""A pattern for one character that must not reach a terminal."""
JOINERS = "\u200c\u200d"


@functools.cache
def _pattern() -> re.Pattern[str]:
    import re

    return re.compile(UNSEEN)


def visible(text: str) -> str:
    r"""Return the text with every unseen character spelt out, such as `\x1b`; lines and tabs stay."""
    return text if text.isprintable() else _pattern().sub(lambda found: _spelt(found[0]), text)


def line(text: str) -> str:
    """Return the text as one visible line: for a name or a value, which must not begin a line of its own."""
    if text.isprintable():
        return text
    return visible(text).replace("\n", r"\n").replace("\t", " ")


def in_json(document: str) -> str:
    """Return a JSON document with the same values in which every unseen character is escaped."""
    if document.isascii() and "\x7f" not in document:
        return document
    return _pattern().sub(lambda found: _escaped(found[0]), document)


def in_shell(quoted: str) -> str:
    """Return a word that `shlex.quote` made, with the same value, in which nothing is unseen."""
    if quoted.isprintable():
        return quoted
    return _pattern().sub(lambda found: f"'\"$({_printed(found[0])})\"'", quoted)


def in_double_quotes(part: str) -> str:
    """Return a part of a shell's word in double quotes, with the same value, in which nothing is unseen."""
    return part if part.isprintable() else _pattern().sub(lambda found: f"$({_printed(found[0])})", part)


def _spelt(sign: str) -> str:
    return ascii(sign)[1:-1]


def _escaped(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def _printed(sign: str) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in sign.encode("utf-8", "surrogateescape"))
    return f"printf '{octal}'"
