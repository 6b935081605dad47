"""Decide what is secret, and how it is shown: the one mask. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

MASK = "•••"
SHORTEST = 6
"""Shorter values are words, such as a user's name, and are looked for only under their variable."""

_NAME = re.compile(r"PASS(WORD|WD)?|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|(^|_)KEY$|DSN", re.IGNORECASE)
_OPTION = re.compile(r"""(?<![\w.-])(?:--?([\w.-]+)(?:=|\s+)|([\w.-]+)=)(?=((?:"[^"]*"|'[^']*'|\S)+))""")
"""A word of a command line that says what the next one is, or what follows its `=`."""
Environment = Iterable[tuple[str, str]]
"""Names of variables and their values."""
_Span = tuple[int, int]
"""Where a secret stands in a text, as slices count."""


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that shows itself to nobody by accident: as text it is the mask."""

    _value: str

    def reveal(self) -> str:
        """Return the value, for the one who needs it: an engine, a database, a file."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __bool__(self) -> bool:
        return bool(self._value)


def is_secret(name: str) -> bool:
    """Return whether a variable of this name is taken for a secret."""
    return _NAME.search(name) is not None


def masked(name: str, value: str) -> str:
    """Return a value as it may be shown: secrets hidden by their name, passwords hidden inside URLs."""
    if is_secret(name) and value:
        return MASK
    return mask_urls(value)


def mask_urls(text: str) -> str:
    """Return the text with every password and token of the URLs in it hidden."""
    return _hidden(text, _in_urls(text))


def without_login(text: str) -> str:
    """Return something that should be a URL and lacks its scheme, without its password.

    It is one up to the last `@`, whatever is in it.
    """
    return re.sub(r"(?s):(?!//)(?:(?!://).)+@", f":{MASK}@", text)


def without(text: str, known: Iterable[str]) -> str:
    """Return the text with the known values hidden, and nothing else: it is our own sentence."""
    return _hidden(text, _of(known, text))


def hide(text: str, known: Iterable[str] = ()) -> str:
    """Return somebody else's text as it may be shown.

    Hidden are known values, the secrets of URLs, and what options with the name of a secret are given.
    """
    return _hidden(text, (*_of(known, text), *_in_urls(text), *_in_options(text)))


def hidden_words(command: Iterable[object]) -> Iterator[str]:
    """Yield the words of a command; one after an option for a secret is hidden whole, spaces and all."""
    follows = False
    for word in map(str, command):
        yield MASK if follows and word else word
        follows = bool(re.fullmatch(r"--?[\w.-]+", word)) and _is_secret_option(word)


def secrets_of(environment: Environment) -> tuple[str, ...]:
    """Return the values that must never be printed: by variable name, and the secrets of URLs.

    The longest comes first.
    """
    found = set()
    for name, value in environment:
        found |= {value} if value and is_secret(name) else set()
        found |= {value[start:stop] for start, stop in _in_urls(value)}
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


def without_secrets(environment: Environment, lines: Iterable[str]) -> tuple[str, ...]:
    """Return lines of the log of a service with this environment as they may be shown in an error."""
    known = known_secrets([environment])
    return tuple(without(line, known) for line in lines)


def known_secrets(environments: Iterable[Environment]) -> frozenset[str]:
    """Return what no plan may show: the password of one service stands in the URL or command of another."""
    found = (secret for environment in environments for secret in secrets_of(environment))
    return frozenset(secret for secret in found if len(secret) >= SHORTEST)


def _hidden(text: str, spans: Iterable[_Span]) -> str:
    """Return the text with a mask in the place of each span; some overlap."""
    made, end = "", 0
    for start, stop in sorted(spans):
        if stop <= end:
            continue
        made += text[end:start] + MASK if start >= end else ""
        end = stop
    return made + text[end:]


def _of(known: Iterable[str], text: str) -> list[_Span]:
    return [match.span() for value in known for match in re.finditer(re.escape(value), text)]


def _in_urls(text: str) -> Iterator[_Span]:
    """Yield where the secrets of URLs stand: passwords, tokens, and what a query says of them."""
    if "://" not in text:
        return
    for word in re.finditer(r"\S+", text):
        begins = [match.end() for match in re.finditer("://", word[0])]
        for begin, following in pairwise((*begins, len(word[0]) + 3)):
            offset, rest = word.start() + begin, word[0][begin : following - 3]
            spans = (*_in_userinfo(word[0][:begin], rest), *_in_query(rest))
            yield from ((offset + start, offset + stop) for start, stop in spans)


def _in_userinfo(scheme: str, rest: str) -> Iterator[_Span]:
    """Yield where the secret before the host stands; `rest` is what follows `://`."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    # A password that was not encoded may hold an `@`, or a slash: then the host is what follows the first.
    end = authority.rfind("@") if "@" in authority else rest.find("@") if ":" in authority else -1
    if end < 0 or rest.startswith("@sha256:", end):
        return
    user, _, password = rest[:end].partition(":")
    # GitHub's word where a token stands in the place of the user.
    if password and password != "x-oauth-basic":  # noqa: S105
        yield len(user) + 1, end
    elif user and scheme.lower().endswith(("http://", "https://")):
        # Elsewhere it is a name, as in ssh://git@host.
        yield 0, len(user)


def _in_query(rest: str) -> Iterator[_Span]:
    for match in re.finditer(r"[?&;#]([\w.-]+)=(?=([^\s&]+))", rest):
        if is_secret(match[1]):
            yield match.span(2)


def _in_options(text: str) -> Iterator[_Span]:
    for match in _OPTION.finditer(text):
        if _is_secret_option(match[1] or match[2]):
            yield match.span(3)


def _is_secret_option(name: str) -> bool:
    return is_secret(re.sub("[-.]", "_", name))
