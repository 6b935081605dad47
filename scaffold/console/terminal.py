"""What a stream can show, and writing to it: colour, symbols, width, and a reader that has gone away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

NARROWEST = 8
"""Columns: nothing is broken or cut further than that."""

WIPE = "\r\x1b[K"
"""Empties the line that the cursor is on."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_CODES |= {"magenta": "35", "bold red": "1;31", "bold green": "1;32", "bold yellow": "1;33"}

_ASCII = {
    "✓": "ok",
    "✗": "x",
    "→": "->",
    "↻": "*",
    "…": "...",
    "·": "-",
    "◦": ".",
    "•": "*",
    "│": "|",
}
_TO_ASCII = str.maketrans(_ASCII)

_ESCAPES = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])"
_CONTROLS = r"[\x00-\x1f\x7f-\x9f]"
_WORDS = r"`[^`]*`\S*|\S+"


class Look:
    """What may be used on one stream; `width` is None where lines may be as long as they like."""

    __slots__ = ("colour", "live", "unicode", "width")

    def __init__(
        self, *, colour: bool = False, unicode: bool = True, width: int | None = None, live: bool = False
    ) -> None:
        self.colour = colour
        self.unicode = unicode
        self.width = width
        self.live = live
        """Lines may be drawn again: a terminal that moves its cursor."""

    def paint(self, style: str, text: str) -> str:
        """Return the text in a style such as `bold red`, or as it is where colours are not wanted."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style and text else text

    def safe(self, text: str) -> str:
        """Return the text with the symbols that this stream has."""
        return text if self.unicode else text.translate(_TO_ASCII)

    def commands(self, text: str) -> str:
        """Return the text with what stands in backticks coloured as something to type."""
        import re

        if not self.colour:
            return text
        return re.sub(r"`[^`]+`", lambda found: self.paint("cyan", found[0]), text)


def look(stream: TextIO) -> Look:
    """Return what the stream can show now; NO_COLOR, CI and dumb terminals get plain lines."""
    terminal = stream.isatty()
    unicode = _can_encode(stream, "".join(_ASCII) + "⠋")
    if not terminal:
        return Look(unicode=unicode)
    lively = (
        os.environ.get("TERM") != "dumb"
        and not os.environ.get("NO_COLOR")
        and os.environ.get("CI", "").lower() in ("", "0", "false")
    )
    return Look(colour=lively, unicode=unicode, width=size(stream)[0], live=lively)


def size(stream: TextIO) -> tuple[int, int]:
    """Return the columns and lines of the terminal behind the stream."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return columns or 80, lines or 24


def write(stream: TextIO, text: str) -> bool:
    """Write and flush; return False once nobody reads any more, and stay silent about it.

    Raises OSError only when a result cannot be kept: a full disk, or a terminal that is gone, must not end
    the work that is merely told about.
    """
    if not _can_encode(stream, text):
        text = text.translate(_TO_ASCII)
        encoding = stream.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _disconnect(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise
        return False
    except ValueError:  # the stream has been closed
        return False
    except RuntimeError:
        # A signal handler speaks while its own thread is writing: that line is lost, nothing else is.
        return True
    return True


def _disconnect(stream: TextIO) -> None:
    """Point the stream at nothing, so that neither later output nor Python's own last flush complains."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(nowhere)


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def clean(line: str) -> str:
    """Return a line of somebody else's output without what would move the cursor or change colours."""
    if line.isprintable():
        return line
    import re

    last = re.sub(_ESCAPES, "", line).rstrip().rpartition("\r")[2]
    return re.sub(_CONTROLS, "", last.expandtabs(4))


def cells(text: str) -> int:
    """Return how many columns the text takes; colours take none."""
    if "\x1b" in text:
        import re

        text = re.sub(_ESCAPES, "", text)
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def fit(text: str, width: int | None, look: Look) -> str:
    """Return the text cut in its middle to the width: names differ at their ends."""
    if width is None or cells(text) <= width:
        return text
    dots = look.safe("…")
    room = max(0, width - len(dots))
    head = room // 3
    tail = room - head
    while cells(text[:head]) + cells(text[len(text) - tail :]) > room:
        if tail >= head:
            tail -= 1
        else:
            head -= 1
    return (text[:head] + dots + text[len(text) - tail :])[: max(width, 0)]


def cut(text: str, width: int | None, look: Look) -> str:
    """Return the beginning of the text, as much as the width takes."""
    if width is None or cells(text) <= width:
        return text
    dots = look.safe("…")
    room = max(0, width - len(dots))
    head = min(room, len(text))
    while cells(text[:head]) > room:
        head -= 1
    return (text[:head] + dots)[: max(width, 0)]


def wrap(text: str, width: int | None, first: str = "", later: str = "") -> str:
    """Return the text broken between words, behind `first` and `later`; backticked commands stay whole."""
    import re

    if width is None:
        return first + text
    lines = []
    begin = first
    for paragraph in text.split("\n"):
        line = ""
        for word in re.findall(_WORDS, paragraph):
            if line and cells(begin) + cells(line) + 1 + cells(word) > width:
                lines.append(begin + line)
                begin, line = later, word
            else:
                line += f" {word}" if line else word
        lines.append(begin + line)
        begin = later
    return "\n".join(lines)


def quote(lines: Iterable[str], look: Look) -> list[str]:
    """Return somebody else's lines behind a bar, dim; long ones go on behind the bar."""
    bar = f"  {look.safe('│')} "
    room = max(NARROWEST, look.width - cells(bar)) if look.width else None
    return [
        look.paint("dim", (bar + part).rstrip())
        for line in lines
        for part in _broken(look.safe(clean(line)), room)
    ]


def _broken(line: str, width: int | None) -> list[str]:
    parts = []
    while width is not None and cells(line) > width:
        end = width
        while cells(line[:end]) > width:
            end -= 1
        parts.append(line[:end])
        line = line[end:]
    return [*parts, line]


def stdout() -> TextIO:
    """Return where results go."""
    return sys.stdout


def stderr() -> TextIO:
    """Return where everything else goes."""
    return sys.stderr
