"""What Compose's complaints about compose.yaml mean, and what mends them. Pure.

`docker compose config` has one exit code for all of them; these are its texts, from 2.26 to 5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from scaffold.diagnose.cause import Cause, Verdict, first

_ADD = "Add `{kind}s: {{{name}: {{}}}}` at the top level of compose.yaml, or correct the name."

CAUSES = (
    Cause(
        r"invalid interpolation format for (?P<key>[\w.\[\]-]*\w)(?:.*\n)*(?P<text>.*\$.*)",
        "{key}: the `$` begins no variable that is closed: {text}",
        "Write `${{NAME}}`, or `$$` for the letter itself.",
    ),
    Cause(
        r"required variable (?P<name>\w+) is missing a value(?:: (?P<why>.*))?",
        "{found}",
        "Set {name} in {folder}/.env.",
    ),
    Cause(
        r"[Aa]dditional propert(?:y|ies) '?(?P<key>[^\s']+)'? (?:is|are)? ?not allowed",
        "{where}there is no key `{key}`",
        "{close}",
    ),
    Cause(
        r'service "(?P<service>[^"]+)" refers to undefined (?P<kind>network|volume|config) (?P<name>\S+?):',
        'service "{service}" uses the {kind} {name}, which is not defined',
        _ADD,
    ),
    Cause(
        r'service "(?P<service>[^"]+)" refers to undefined (?:build )?secret (?P<name>\S+?):',
        'service "{service}" uses the secret {name}, which is not defined',
        "Add `secrets: {{{name}: {{file: ./{name}.txt}}}}` at the top level of compose.yaml, or correct it.",
    ),
    Cause(
        r'service "(?P<service>[^"]+)" depends on undefined service "?(?P<name>[^":]+)"?',
        'service "{service}" depends on "{name}", and there is no such service',
        "Correct `depends_on:` of services.{service}, or add a service {name}.",
    ),
    Cause(
        r"dependency cycle detected: (?P<way>.*)",
        "the dependencies form a circle: {way}",
        "Remove one of them from `depends_on:`.",
    ),
    Cause(
        r'service "(?P<service>[^"]+)" has neither an image nor a build context',
        'service "{service}" has neither an image nor a build context',
        "Give services.{service} an `image:`, or a `build:` with the folder of its Dockerfile.",
    ),
    Cause(
        r"env file (?P<path>\S+) not found",
        "the file {path} of `env_file:` does not exist",
        "Make it with `touch {path}`, or correct `env_file:`.",
    ),
    Cause(
        r"failed to read (?P<path>\S+\.env\S*): line (?P<line>\d+): (?P<what>.*)",
        "{path}, line {line}: {what}",
        "Each line there is `NAME=value`, a comment or empty.",
    ),
    Cause(
        r"open (?P<path>\S+): permission denied",
        "{path} cannot be read: permission denied",
        "Make it your own with `sudo chown $USER {path}`.",
    ),
    Cause(
        r"^stat (?P<path>\S+): no such file or directory",
        "{path}, which COMPOSE_FILE names, does not exist",
        "Create it, or correct COMPOSE_FILE in {folder}/.env or in this shell.",
    ),
    Cause(
        r"open (?P<path>\S+): no such file or directory",
        "{path} does not exist",
        "Create {path}, or remove it from compose.yaml.",
    ),
    Cause(
        r"[Ii]nvalid (?P<kind>hostPort|containerPort|port)s?:? (?P<port>\S+?)\.?$",
        "the port {port} does not exist",
        "A port is a number from 1 to 65535: correct it in .env or in `ports:`.",
    ),
    Cause(
        r"(?P<key>services\S+)': invalid size: '(?P<size>[^']+)'",
        "{key}: {size} is no size",
        "Write a size such as `256m` or `1g`.",
    ),
    Cause(
        r"(?P<key>(?:services|networks|volumes|secrets|configs)\.\S+) must be an? "
        r"(?P<type>list|array|mapping|object|string|integer|number|boolean)",
        "{key} must be a {type}",
        "In YAML a list is `[a, b]` or lines with `- `, a mapping `{{key: value}}`; correct {key}.",
    ),
)


def explained(complaints: str, folder: str, known: Iterable[str]) -> Verdict:
    """Return what is wrong with compose.yaml; what is not known, in Compose's own words."""
    lines = [line for line in complaints.splitlines() if line.strip() and "level=warning" not in line]
    words = {"folder": folder, **_misspelt(complaints, known)}
    found = first(CAUSES, "\n".join(lines), words)
    if found:
        return found
    last = lines[-1] if lines else "docker compose config failed"
    return Verdict(last.strip().rstrip("."), f"Check it with `docker compose config` in {folder}.")


def lacks_env_file(complaints: str) -> bool:
    """Return whether a file that `env_file:` names is not there."""
    return bool(re.search(r"env file \S+ not found", complaints))


def warnings(complaints: str) -> tuple[str, ...]:
    """Return what Compose warns of, each once: a variable that is not set, a key without effect."""
    found = re.findall(r'level=warning msg=("(?:[^"\\]|\\.)*")', complaints)
    said = dict.fromkeys(str(json.loads(text)) for text in found)
    return tuple(text for text in said if "`version` is obsolete" not in text)


def _misspelt(complaints: str, known: Iterable[str]) -> Mapping[str, str]:
    """Return where an unknown key stands, and which one may be meant."""
    key = re.search(r"[Aa]dditional propert(?:y|ies) '?(?P<key>[^\s']+)'?", complaints)
    place = re.search(r"((?:services|networks|volumes|secrets|configs)\.[\w.-]+) [Aa]dditional", complaints)
    close = get_close_matches(key["key"], sorted(known), n=1) if key else []
    hint = f"Did you mean `{close[0]}`?" if close else "Remove it, or move it to where it belongs."
    return {"where": f"{place[1]}: " if place else "", "close": hint}
