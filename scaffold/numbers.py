"""Read a whole number from a text that somebody else wrote. Pure."""

from __future__ import annotations

DIGITS = 9
"""The most that are read: no count, port, version or exit code has more."""


def whole(text: str, digits: int = DIGITS) -> int | None:
    """Return the number that ASCII digits write; None for anything else.

    `str.isdigit` also takes "²", which `int` refuses, and `int` refuses a number of 5,000 digits.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
