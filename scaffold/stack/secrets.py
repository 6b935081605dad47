"""Decide what is secret, and how it is shown: the one mask. Pure."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote


class _Pattern:
    """A pattern that is compiled when it is first used: a run with nothing to do hides nothing."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text = text
        self._flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self._text, self._flags)


MASK = "•••"
_BITS = 3.3
"""Bits a character: what 20 random hex digits hardly ever stay under, and words and dates do."""
_LINE = 12
"""Shorter lines of a secret file, such as a brace, are not secret by themselves."""
_BYTES = 22
"""Of a key: few enough for tools not to break them into lines, and none of their halves is looked for."""
_ENCODED = 32
"""Characters from which on a value may be a file in base64."""
_VALUE = 8
"""Shorter values of a secret file are not secret by themselves, not even behind a name."""
_PUBLIC_BLOCK = _Pattern(
    r"-----BEGIN (CERTIFICATE|PUBLIC KEY|[A-Z ]*PUBLIC KEY)-----.*?-----END \1-----", re.DOTALL
)
_KEY_BLOCK = _Pattern(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_SETTING = _Pattern(
    r"""(?<![\w.-])([\w.-]+)["']?(?:\s*[=:]\s*|\s+)(?:"((?:[^"\\]|\\.)+)"|'([^']+)'|([^\s"',;]+))"""
)
"""A name and its value, as in settings, JSON, YAML and .netrc."""
SHORTEST = 6
"""Shorter values are words, such as a user's name, and are looked for only under their variable."""

_NAME = _Pattern(
    r"PASS(WORD|WD|PHRASE|CODE)?|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|(^|_)KEYS?$|DSN|JWT|(^|_|O)AUTH(_|$)"
    r"|AUTHORIZATION|BEARER|SIGNING|SIGNATURE|ENCRYPTION|COOKIE|WEBHOOK|(^|_)(SK|PAT|PIN|SALT|PEPPER|T?OTP)(_|$)"
    r"|_PWD$|^(?!OLD)\w+PWD$",
    re.IGNORECASE,
)
_ABOUT = _Pattern(
    r"_(METHOD|TYPE|MODE|ALG(ORITHM)?|TTL|EXP\w*|TIMEOUT|LENGTH|MIN|MAX|ENABLED?|DISABLED?|REQUIRED|ISSUER|AUDIENCE"
    r"|URL|URI|HOST|PORT|REALM|HEADER|NAME|USER|USERNAME|SOURCE|PROVIDER|SERVICE|SERVER|DOMAIN|SCOPES?|ID|FILE|PATH"
    r"|DIR|SOCK|ROUNDS|PREFIX|LIFETIME|AGE|DAYS|HOURS|MINUTES|SECONDS|COUNT|FORMAT|ARGS|POLICY|ENCODING)$",
    re.IGNORECASE,
)
"""Names of what is set about a secret: masked, but the value says nothing anywhere else."""
_PUBLIC = _Pattern(
    r"PUBLIC|SHA\d*(_|$)|COMMIT|REVISION|DIGEST|CHECKSUM|FINGERPRINT|VERSION|REF$|BUILD|IMAGE|_ID$|PROJECT_NAME"
    r"|PATH|URL$|URI$|HOST|DIR$|FILE$|REGISTRY",
    re.IGNORECASE,
)
"""Names of what is long and random, and no secret."""
_REF = _Pattern(r"(?<=\.git)@[^@\s]*$")
"""What follows the address of a git repository, and no password."""
_RANDOM = _Pattern(r"[A-Za-z0-9+/=_.~-]{20,}")
_OPTION = _Pattern(r"""(?<![\w.-])(?:--?([\w.-]+)(?:=|\s+)|([\w.-]+)=)(?=((?:"[^"]*"|'[^']*'|\S)+))""")
"""A word of a command line that says what the next one is, or what follows its `=`."""
Environment = Iterable[tuple[str, str]]
"""Names of variables and their values."""
_Span = tuple[int, int]
"""Where a secret stands in a text, as slices count."""


class Secret:
    """A value that shows itself to nobody by accident: as text it is the mask."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, for the one who needs it: an engine, a database, a file."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class Mask:
    """How the values of one project are shown: `known` are hidden wherever they stand, unless it is `off`."""

    known: tuple[str, ...] = ()
    off: bool = False

    def value(self, name: str, value: str) -> str:
        """Return the value of a variable or a label as it may be shown."""
        return value if self.off else hide(masked(name, value), self.known)

    def text(self, text: str) -> str:
        return text if self.off else hide(text, self.known)

    def words(self, command: Iterable[object]) -> Iterator[str]:
        """Yield the words of a command; one after an option for a secret is hidden whole, spaces and all."""
        follows = False
        for word in map(str, command):
            yield MASK if follows and word and not self.off else word
            follows = bool(re.fullmatch(r"--?[\w.-]+", word)) and _is_secret_option(word)


PLAIN = Mask()


def is_secret(name: str) -> bool:
    """Return whether a variable of this name is taken for a secret."""
    return _NAME.compiled.search(name) is not None


def looks_secret(name: str, value: str) -> bool:
    """Return whether a value is as random as keys and tokens are, under a name that does not explain it."""
    if not _RANDOM.compiled.fullmatch(value) or _PUBLIC.compiled.search(name):
        return False
    kinds = (any(map(str.isdigit, value)), any(map(str.isalpha, value)))
    return all(kinds) and _entropy(value) >= _BITS


def _entropy(text: str) -> float:
    """Return the bits that one character of the text says, by how often each stands in it."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def masked(name: str, value: str) -> str:
    """Return a value as it may be shown: hidden by its name or its look, or only the password of a URL."""
    if value and (is_secret(name) or looks_secret(name, value)):
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


class Known(NamedTuple):
    """A secret of the project, by the name under which it came in: a variable, a secret of compose.yaml."""

    name: str
    value: Secret
    is_part: bool = False
    """It is hidden where it is printed; other parts of the same secret say whether an image has that one."""


class Confidential:
    """The secrets of a project, which are looked for when somebody asks for them."""

    def __init__(self, find: Callable[[], Iterable[Known]]) -> None:
        self._find = find

    @cached_property
    def known(self) -> tuple[Known, ...]:
        return tuple(dict.fromkeys(self._find()))


NOTHING = Confidential(tuple)


def known_of(environment: Environment) -> Iterator[Known]:
    """Yield the secrets of an environment with the names of their variables."""
    for name, value in environment:
        for secret in secrets_of([(name, value)]):
            yield Known(name, Secret(secret))
            text = _decoded(secret) or secret.replace("\\n", "\n")
            if "\n" in text or text.startswith("{"):
                # A key, or a file of settings as one value.
                yield from declared(name, text)


def _decoded(value: str) -> str:
    """Return the text that a value has in base64, as keys and files of settings are put into variables."""
    if len(value) < _ENCODED or len(value) % 4:
        return ""
    import base64

    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except ValueError:
        return ""


def declared(name: str, text: str) -> Iterator[Known]:
    """Yield what a text gives away that is declared to be secret: all of it, and each part that says much.

    Certificates and public keys are no secrets, whatever they are declared to be.
    """
    text = _PUBLIC_BLOCK.compiled.sub("", text).strip()
    lines = [line.strip() for line in text.splitlines()]
    said = dict.fromkeys(value for line in lines for value in (*_named(line), *passwords(line)))
    weak = [value for value in said if len(value) < _VALUE or value.isalpha()]
    # Settings beside those that are secret, such as an address, stand in files that are none.
    has_others = len(said) > len(weak)
    found = {
        line: has_others and not any(value in line for value in weak)
        for line in lines
        if len(line) >= _LINE and not line.startswith("-----")
    }
    keys = tuple(_KEY_BLOCK.compiled.finditer(text))
    found[text] = bool(keys) or (has_others and len(lines) > 1)
    for block in keys:
        body = block[2].replace("\\n", " ").split()
        found |= dict.fromkeys((line for line in body if len(line) >= _LINE), True)
        said |= dict.fromkeys(_of_key(body))
    found |= dict.fromkeys(said, False)
    for value, is_part in found.items():
        if value:
            yield Known(name, Secret(value), is_part)


def _of_key(body: list[str]) -> Iterator[str]:
    """Yield what says that a private key is there: a line, all of it as one, and bytes that it encodes.

    They are taken from where no certificate has the same. Public parts stand at the begin of a key of RSA and
    at the end of one of elliptic curves; OpenSSH has them twice, before what is private.
    """
    import base64

    whole = "".join(body)
    yield whole
    encoded = b""
    with contextlib.suppress(ValueError):
        encoded = base64.b64decode(whole, validate=True)
    share = 1 / 4
    if encoded.startswith(b"openssh-key"):
        share = 5 / 6 if b"ecdsa-" in encoded else 5 / 8
    yield from (line for line in body[int(len(body) * share) :][:1] if len(line) >= _LINE)
    start = int(len(encoded) * share)
    yield encoded[start : start + _BYTES].decode(errors="surrogateescape")


def _named(line: str) -> Iterator[str]:
    """Yield the values in a line of settings that follow the name of a secret."""
    for match in _SETTING.compiled.finditer(line):
        value = match[2] or match[3] or match[4]
        if len(value) < _VALUE or value.isalpha():
            continue
        if looks_secret(match[1], value) or (is_secret(match[1]) and not _ABOUT.compiled.search(match[1])):
            yield value


def secrets_of(environment: Environment) -> tuple[str, ...]:
    """Return the values that must never be printed: by variable name, and the secrets of URLs.

    The longest comes first.
    """
    found: set[str] = set()
    for name, value in environment:
        if value and (looks_secret(name, value) or (is_secret(name) and not _ABOUT.compiled.search(name))):
            found.add(value)
        found.update(passwords(value))
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


def values(known: Iterable[Known]) -> tuple[str, ...]:
    """Return the values that are hidden wherever they stand."""
    return tuple(item.value.reveal() for item in known if len(item.value.reveal()) >= SHORTEST)


def known_secrets(environments: Iterable[Environment]) -> frozenset[str]:
    """Return what no plan may show: the password of one service stands in the URL or command of another."""
    found = (secret for environment in environments for secret in secrets_of(environment))
    return frozenset(secret for secret in found if len(secret) >= SHORTEST)


def passwords(text: str) -> Iterator[str]:
    """Yield the secrets of URLs as they stand there, and decoded; where one ends may be open."""
    for start, stop in _in_urls(text):
        whole = text[start:stop]
        for found in (whole, *(whole[: at.start()] for at in re.finditer("@", whole))):
            yield from {found, unquote(found)} - {""}


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
    # A password that was not encoded may hold anything: in doubt it goes on up to the last `@`.
    end = authority.rfind("@")
    if ":" in (rest[:end] if end >= 0 else authority):
        end = (_REF.compiled.sub("", rest) or rest).rfind("@")
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
    for match in _OPTION.compiled.finditer(text):
        if _is_secret_option(match[1] or match[2]):
            yield match.span(3)


def _is_secret_option(name: str) -> bool:
    return is_secret(re.sub("[-.]", "_", name))
