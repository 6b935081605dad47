"""Read the variables of a lost .env back from the containers that were made with it. Pure.

compose.yaml says where each variable goes: it is resolved with a value of its own for each of them, and what
a container has in the place of that value is the old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from scaffold.stack import environment, sharing
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container, Observed

NOTHING = Observed()


def probes(declared: Mapping[str, str]) -> dict[str, str]:
    """Return a value of its own for each variable that differs between checkouts: ports, and empty ones."""
    found = {}
    for index, (name, value) in enumerate(sorted(declared.items())):
        if name == environment.PROJECT_NAME:
            continue
        if name.endswith("_PORT") and environment.port_of(value) is not None:
            found[name] = str(60001 + index)
        elif not value:
            found[name] = f"probe{index}of{len(declared)}"
    return found


def recovered(probed: Mapping[str, str], desired: Desired, containers: Iterable[Container]) -> dict[str, str]:
    """Return what the containers know of the variables; `desired` was resolved with the probes."""
    found: dict[str, str] = {}
    services = {service.name: service for service in desired.services}
    for container in containers:
        service = services.get(container.service)
        if service and not container.one_off:
            found |= _of_environment(probed, service, container)
            found |= _of_ports(probed, service, container)
    return found


def published(probed: Mapping[str, str], desired: Desired) -> frozenset[str]:
    """Return the variables that a `published:` uses: the others are ports inside the network."""
    used = {port.published for service in desired.services for port in service.ports}
    return frozenset(name for name, value in probed.items() if value in used)


def guarded(probed: Mapping[str, str], desired: Desired, holds: Callable[[str], bool]) -> dict[str, str]:
    """Return the variables that go into a server whose data is there already, each with where that is.

    `holds` says whether a volume, or a folder of this machine, is there and may hold something. Such a server
    keeps the password that its data was made with: a new one would only lock everybody out.
    """
    found: dict[str, str] = {}
    for service in desired.services:
        places = [mount.source for mount in sharing.data_mounts(service, NOTHING) if holds(mount.source)]
        texts = [text for _, text in service.environment]
        for name, value in probed.items():
            if places and not value.isdecimal() and any(value in text for text in texts):
                found[name] = places[0]
    return found


def _of_environment(probed: Mapping[str, str], service: Service, container: Container) -> dict[str, str]:
    config = container.body.get("Config")
    entries = config.get("Env") if isinstance(config, Mapping) else None
    actual = dict(str(entry).partition("=")[::2] for entry in entries or ())
    found: dict[str, str] = {}
    for name, text in service.environment:
        match = re.fullmatch(_pattern(text, probed), actual.get(name, ""), re.DOTALL)
        found |= {key: value for key, value in match.groupdict().items() if value} if match else {}
    return found


def _pattern(text: str, probed: Mapping[str, str]) -> str:
    """Return the text as a regular expression, with a group for each probe in it."""
    names = {value: name for name, value in probed.items() if not value.isdigit()}
    pattern, seen = "", set()
    for part in re.split("(" + "|".join(map(re.escape, names)) + ")", text) if names else [text]:
        name = names.get(part)
        if name is None:
            pattern += re.escape(part)
        elif name in seen:
            pattern += f"(?P={name})"
        else:
            seen.add(name)
            pattern += f"(?P<{name}>.*)"
    return pattern


def _of_ports(probed: Mapping[str, str], service: Service, container: Container) -> dict[str, str]:
    host = container.body.get("HostConfig")
    bindings = host.get("PortBindings") if isinstance(host, Mapping) else None
    names = {value: name for name, value in probed.items()}
    found = {}
    for port in service.ports:
        asked = (bindings or {}).get(f"{port.target}/{port.protocol}") or ()
        numbers = {item.get("HostPort", "") for item in asked}
        if port.published in names and len(numbers) == 1:
            found[names[port.published]] = numbers.pop()
    return found
