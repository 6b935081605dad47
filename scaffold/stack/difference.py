"""Say how a container differs from what the project asks for, one line a field, secrets masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from scaffold.stack import names
from scaffold.stack.desired import Service
from scaffold.stack.observed import Container, Image

_SECRET = re.compile(r"PASS(WORD|WD)?|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|(^|_)KEY$|DSN", re.IGNORECASE)
_MASK = "•••"
SECRET_LENGTH = 6
"""Shorter ones are words, such as a user's name, and are looked for only under their variable."""

_OPTION = re.compile(r"""(?<![\w.-])(?:--?([\w.-]+)(?:=|\s+)|([\w.-]+)=)(?=((?:"[^"]*"|'[^']*'|\S)+))""")
"""A word of a command line that says what the next one is, or what follows its `=`."""
_Span = tuple[int, int]
"""Where a secret stands in a text, as slices count."""

# Compose's word for each field of the create request.
_CONFIG = {
    "Hostname": "hostname",
    "Domainname": "domainname",
    "User": "user",
    "Tty": "tty",
    "OpenStdin": "stdin_open",
    "Cmd": "command",
    "Entrypoint": "entrypoint",
    "WorkingDir": "working_dir",
    "StopSignal": "stop_signal",
    "StopTimeout": "stop_grace_period",
}
_HOST = {
    "Binds": "volumes",
    "Mounts": "mounts",
    "CapAdd": "cap_add",
    "CapDrop": "cap_drop",
    "NetworkMode": "network_mode",
    "Init": "init",
    "IpcMode": "ipc",
    "ReadonlyRootfs": "read_only",
    "ShmSize": "shm_size",
    "Sysctls": "sysctls",
    "Dns": "dns",
    "DnsSearch": "dns_search",
    "DnsOptions": "dns_opt",
    "ExtraHosts": "extra_hosts",
    "SecurityOpt": "security_opt",
    "Privileged": "privileged",
    "PidMode": "pid",
    "Tmpfs": "tmpfs",
    "GroupAdd": "group_add",
    "OomScoreAdj": "oom_score_adj",
    "Memory": "memory limit",
    "MemoryReservation": "memory reservation",
    "NanoCpus": "cpus",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset",
    "PidsLimit": "pids_limit",
    "Ulimits": "ulimits",
    "Devices": "devices",
}
# What the engine fills in where the request says nothing.
_ENGINE_DEFAULTS: Mapping[str, object] = {
    "IpcMode": "private",
    "ShmSize": 67108864,
    "CgroupnsMode": "private",
}


def is_secret(name: str) -> bool:
    """Return whether a variable of this name is taken for a secret."""
    return _SECRET.search(name) is not None


def _is_secret_option(name: str) -> bool:
    return is_secret(re.sub("[-.]", "_", name))


def masked(name: str, value: str) -> str:
    """Return a value as it may be shown: secrets hidden by their name, passwords hidden inside URLs."""
    if is_secret(name) and value:
        return _MASK
    return mask_urls(value)


def mask_urls(text: str) -> str:
    """Return the text with every password and token of the URLs in it hidden."""
    return _hidden(text, _in_urls(text))


def _hidden(text: str, spans: Iterable[_Span]) -> str:
    """Return the text with a mask in the place of each span; some overlap."""
    made, end = "", 0
    for start, stop in sorted(spans):
        if stop <= end:
            continue
        made += text[end:start] + _MASK if start >= end else ""
        end = stop
    return made + text[end:]


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


def secrets_of(service: Service) -> tuple[str, ...]:
    """Return the values that must never be printed: by variable name, and the secrets of URLs."""
    return _secrets_among(service.environment)


def _secrets_among(environment: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    found = set()
    for name, value in environment:
        found |= {value} if value and is_secret(name) else set()
        found |= {value[start:stop] for start, stop in _in_urls(value)}
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


def without_secrets(service: Service, lines: Iterable[str]) -> tuple[str, ...]:
    """Return lines of the service's log as they may be shown in an error."""
    secrets = [secret for secret in secrets_of(service) if len(secret) >= SECRET_LENGTH]
    hidden = []
    for line in lines:
        for secret in secrets:
            line = line.replace(secret, _MASK)  # noqa: PLW2901
        hidden.append(line)
    return tuple(hidden)


def known_secrets(services: Iterable[Service], containers: Iterable[Container]) -> frozenset[str]:
    """Return what no plan may show: the password of one service stands in the URL or command of another."""
    found = {secret for service in services for secret in secrets_of(service)}
    for container in containers:
        config = _mapping(container.body.get("Config"))
        found |= set(_secrets_among(_pairs(_texts(config.get("Env"))).items()))
    return frozenset(secret for secret in found if len(secret) >= SECRET_LENGTH)


def differences(
    service: Service, container: Container, image: Image | None, secrets: Collection[str] = ()
) -> tuple[str, ...]:
    """Return lines such as `environment LOG_LEVEL: info → debug`, in a stable order, secrets hidden."""
    wanted = service.body
    config = _mapping(container.body.get("Config"))
    host = _mapping(container.body.get("HostConfig"))
    wanted_host = _mapping(wanted.get("HostConfig"))
    secrets = tuple({*secrets, *known_secrets([service], [container])})
    lines = []
    if container.image != service.image:
        lines.append(f"image: {container.image} → {service.image}")
    lines += _environment(wanted, config, image, secrets)
    lines += _ports(wanted_host, host)
    lines += _labels(wanted, config, image, secrets)
    if "Healthcheck" in wanted and _health(wanted["Healthcheck"]) != _health(config.get("Healthcheck")):
        lines.append("healthcheck changed")
    for key, word in _CONFIG.items():
        if key in wanted and wanted[key] != config.get(key):
            lines.append(_change(word, _shown(config.get(key), secrets), _shown(wanted[key], secrets)))
    for key, word in _HOST.items():
        now, then = wanted_host.get(key), host.get(key)
        if now == then or (not now and (not then or then == _ENGINE_DEFAULTS.get(key))):
            continue
        if (
            isinstance(now, list)
            and isinstance(then, list)
            and sorted(map(repr, now)) == sorted(map(repr, then))
        ):
            continue
        lines.append(_change(word, _shown(then, secrets), _shown(now, secrets)))
    if _mapping(wanted_host.get("RestartPolicy")).get("Name", "no") != (
        _mapping(host.get("RestartPolicy")).get("Name") or "no"
    ):
        old = _mapping(host.get("RestartPolicy")).get("Name") or "no"
        lines.append(f"restart: {old} → {_mapping(wanted_host.get('RestartPolicy')).get('Name', 'no')}")
    return tuple(lines)


def _change(what: str, old: str, new: str) -> str:
    """Return one line; when only what is hidden has changed, it says no more than that."""
    return f"{what}: {old} → {new}" if old != new else f"{what}: changed"


def _environment(
    wanted: Mapping[str, object],
    config: Mapping[str, object],
    image: Image | None,
    secrets: tuple[str, ...],
) -> list[str]:
    base = _pairs(image.environment if image else ())
    now = base | _pairs(_texts(wanted.get("Env")))
    then = base | _pairs(_texts(config.get("Env")))
    lines = []
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) == then.get(name):
            continue
        lines.append(_change(f"environment {name}", *_named(name, then, now, secrets)))
    return lines


def _ports(wanted: Mapping[str, object], host: Mapping[str, object]) -> list[str]:
    now, then = _bindings(wanted.get("PortBindings")), _bindings(host.get("PortBindings"))
    if now == then:
        return []
    return [f"ports: {', '.join(then) or 'none'} → {', '.join(now) or 'none'}"]


def _labels(
    wanted: Mapping[str, object],
    config: Mapping[str, object],
    image: Image | None,
    secrets: tuple[str, ...],
) -> list[str]:
    ours = ("com.docker.compose.", names.DIGEST, names.PATH, names.CONTEXT)
    base = dict(image.labels) if image else {}
    now = base | {str(k): str(v) for k, v in _mapping(wanted.get("Labels")).items()}
    then = {str(k): str(v) for k, v in _mapping(config.get("Labels")).items()}
    return [
        _change(f"label {name}", *_named(name, then, now, secrets))
        for name in sorted(now.keys() | then.keys())
        if not name.startswith(ours) and now.get(name) != then.get(name) and name not in base
    ]


def _named(
    name: str, then: Mapping[str, str], now: Mapping[str, str], secrets: tuple[str, ...]
) -> tuple[str, str]:
    """Return the old and the new value of a variable or label as they may be shown."""
    old, new = (
        _without(secrets, masked(name, values[name])) if name in values else "(not set)"
        for values in (then, now)
    )
    return old, new


def _health(value: object) -> dict[str, object]:
    return {key: item for key, item in _mapping(value).items() if item}


def _bindings(value: object) -> tuple[str, ...]:
    found = []
    for target, bindings in _mapping(value).items():
        for binding in bindings if isinstance(bindings, list) else ():
            address = f"{binding.get('HostIp')}:" if binding.get("HostIp") else ""
            found.append(f"{address}{binding.get('HostPort') or '(any)'}→{target}")
    return tuple(sorted(found))


def _pairs(entries: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: object, secrets: tuple[str, ...]) -> str:
    if value in (None, "", [], {}):
        return "(not set)"
    text = " ".join(_words(value)) if isinstance(value, list) else str(value)
    text = _without(secrets, text)
    return text if len(text) <= 80 else text[:77] + "..."


def _words(command: Iterable[object]) -> Iterator[str]:
    """Yield the words of a command; one after an option for a secret is hidden whole, spaces and all."""
    follows = False
    for word in map(str, command):
        yield _MASK if follows and word else word
        follows = bool(re.fullmatch(r"--?[\w.-]+", word)) and _is_secret_option(word)


def _without(secrets: tuple[str, ...], text: str) -> str:
    """Return the text without known secrets, those of URLs and what options for secrets are given."""
    known = [match.span() for secret in secrets for match in re.finditer(re.escape(secret), text)]
    return _hidden(text, (*known, *_in_urls(text), *_in_options(text)))


def _in_options(text: str) -> Iterator[_Span]:
    for match in _OPTION.finditer(text):
        if _is_secret_option(match[1] or match[2]):
            yield match.span(3)
