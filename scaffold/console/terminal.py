"""What a stream can show, and writing to it: colour, symbols, width, and a reader that has gone away.

`write` is the border: nothing reaches a stream but through it. Texts come from strangers, such as the author
of a compose.yaml or a container, and a terminal obeys what is in them. Our own colours and movements begin
with a mark that nobody else can know; whatever else a terminal would act on is spelt out there.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TextIO

from scaffold import characters

if TYPE_CHECKING:
    import re

NARROWEST = 8
"""Columns: nothing is broken or cut further than that."""

OWN = f"\x1b<{os.urandom(8).hex()}>"
"""Stands before a sequence of our own, in place of its escape character. Another one in each process."""

WIPE = f"{OWN}\r{OWN}[K"
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
        return f"{OWN}[{_CODES[style]}m{text}{OWN}[0m" if self.colour and style and text else text

    def safe(self, text: str) -> str:
        """Return the text with the symbols that this stream has, and nothing that a terminal acts on."""
        text = visible(text)
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
    text = shown(text)
    if not _can_encode(stream, text):
        text = text.translate(_TO_ASCII)
        encoding = stream.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return _written(stream, lambda: stream.write(text))


def _written(stream: TextIO, write: Callable[[], object]) -> bool:
    try:
        write()
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


def write_raw(stream: TextIO, text: str) -> bool:
    """Write the very bytes that a container printed, decoded with `surrogateescape`."""
    content = text.encode("utf-8", "surrogateescape")
    return _written(stream, lambda: stream.buffer.write(content))


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
    return visible(re.sub(_CONTROLS, "", last.expandtabs(4)))


@functools.cache
def _own() -> re.Pattern[str]:
    import re

    return re.compile(re.escape(OWN) + r"(\r|\[[0-9;?]*[A-Za-z])")


def visible(text: str) -> str:
    """Return the text with whatever a terminal would act on spelt out, but for sequences of our own."""
    if OWN not in text:
        return characters.visible(text)
    parts = _own().split(text)
    return "".join(OWN + part if place % 2 else characters.visible(part) for place, part in enumerate(parts))


def shown(text: str) -> str:
    """Return the text as a terminal may have it."""
    return _own().sub(lambda found: found[1] if found[1] == "\r" else f"\x1b{found[1]}", visible(text))


_COLOUR = r"\x1b\[((?:[0-9]{0,3};?)*)m"
_HIDDEN = "8"


def coloured(line: str, look: Look) -> str:
    """Return a line of a container's with its colours, where colours are wanted, and no other sequence."""
    line = line.rstrip("\r").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "\x1b" not in line:
        return line
    import re

    parts = re.split(_COLOUR, line)
    made = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            made.append(part)
        elif look.colour and _HIDDEN not in part.split(";"):
            made.append(f"{OWN}[{part}m")
    return "".join(made) + (f"{OWN}[0m" if look.colour and len(parts) > 1 else "")


def cells(text: str) -> int:
    """Return how many columns the text takes; colours take none."""
    if OWN in text:
        text = _own().sub("", text)
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
