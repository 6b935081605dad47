"""The networks and the ports of a container, in the engine's words. Pure."""

from __future__ import annotations

from scaffold.errors import ProjectError
from scaffold.numbers import whole
from scaffold.stack.reader import Reader
from scaffold.stack.requests.fields import Context, dense


def network_keys(reader: Reader, context: Context, network_mode: str) -> tuple[str, ...]:
    """Return the service's networks, the one of highest priority first, then by name."""
    if network_mode:
        return ()
    entries = [(-entry.number("priority", 0), key) for key, entry in reader.readers("networks")]
    keys = tuple(key for _, key in sorted(entries))
    for key in keys:
        if key not in context.networks:
            raise ProjectError(f"{reader.path}.networks: {key} is not defined under `networks`.")
    return keys


def endpoints(
    name: str, reader: Reader, context: Context, networks: tuple[str, ...]
) -> dict[str, object] | None:
    if not networks:
        return None
    entries = dict(reader.readers("networks"))
    return {
        "EndpointsConfig": {
            context.networks[key]: _endpoint(
                name, entries[key], reader.text("mac_address", ""), first=index == 0
            )
            for index, key in enumerate(networks)
        }
    }


def _endpoint(name: str, entry: Reader, mac_address: str, *, first: bool) -> dict[str, object]:
    address = dense(
        {
            "IPv4Address": entry.text("ipv4_address", ""),
            "IPv6Address": entry.text("ipv6_address", ""),
            "LinkLocalIPs": entry.texts("link_local_ips"),
        }
    )
    return {
        "Aliases": [name, *entry.texts("aliases")],
        **dense(
            {
                "IPAMConfig": address,
                "MacAddress": entry.text("mac_address", mac_address if first else ""),
                "DriverOpts": entry.mapping("driver_opts"),
                "GwPriority": entry.integer("gw_priority", 0),
            }
        ),
    }


def ports(reader: Reader) -> tuple[dict[str, object], dict[str, object]]:
    exposed: dict[str, object] = {}
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in reader.items("ports"):
        key = f"{port.integer('target')}/{port.text('protocol', 'tcp')}"
        exposed[key] = {}
        bindings.setdefault(key, []).append(
            {"HostIp": port.text("host_ip", ""), "HostPort": port.text("published", "")}
        )
    for entry in reader.texts("expose"):
        numbers, _, protocol = entry.partition("/")
        first, _, last = numbers.partition("-")
        begin, end = whole(first, 5), whole(last or first, 5)
        if begin is None or end is None:
            raise ProjectError(f"{reader.path}.expose: {entry!r} is not a port or a range.")
        spread = range(begin, end + 1)
        exposed |= {f"{number}/{protocol or 'tcp'}": {} for number in spread}
    return dict(sorted(exposed.items())), dict(sorted(bindings.items()))
