"""Which ports of this machine are free, and which this user's checkouts have reserved."""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from scaffold import files
from scaffold.errors import ScaffoldError
from scaffold.project import private
from scaffold.project.checkout import Checkout
from scaffold.project.state import hold, state_errors, state_folder
from scaffold.stack import environment


def reserved_by_others(checkout: Checkout) -> frozenset[str]:
    """Return the other checkouts that have reserved a port which is in this one's .env as well."""
    ports = {number for value in checkout.variables.values() if (number := environment.port_of(value))}
    with registry() as reserved:
        return frozenset(reserved[port] for port in ports & reserved.keys()) - {str(checkout.path)}


def free_port(wanted: int, taken: Collection[int], own: Collection[int] = ()) -> int:
    """Return the first port from `wanted` on that is nobody else's: neither taken nor listened on."""
    for port in range(wanted, 65536):
        if port not in taken and (port in own or is_free(port)):
            return port
    raise ScaffoldError(f"There is no free port from {wanted} on.")


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether a server could listen there now."""
    return obstacle(port, address) == 0


def obstacle(port: int, address: str = "", protocol: str = "tcp") -> int:
    """Return the error number with which the system keeps a server from listening there, else 0.

    Without an address the engine listens on every one, of IPv6 too: one held on `[::1]` alone is taken.
    """
    if not address:
        found = _obstacle(port, "0.0.0.0", protocol)
        of_six = _obstacle(port, "::", protocol) if socket.has_ipv6 else 0
        return found or (0 if of_six in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) else of_six)
    return _obstacle(port, address, protocol)


def _obstacle(port: int, address: str, protocol: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM and sys.platform == "linux":
                # As the engine's proxy does it: a port in TIME_WAIT is free. Elsewhere the option lets a
                # wildcard pass over a port that is held on one address.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return 0


@contextlib.contextmanager
def registry() -> Iterator[dict[int, str]]:
    """Hold the user's table of reserved ports: two first runs at once must not choose the same one.

    An entry counts as long as the checkout's .env still names the port.
    """
    file = state_folder() / "ports.json"
    guard = state_folder() / "ports.lock"
    with state_errors(guard), files.kept(guard) as held:
        hold(held, guard)
        saved = _reserved(file)
        table = {port: owner for port, owner in saved.items() if _names_port(Path(owner) / ".env", port)}
        yield table
        if table != saved:
            private.write(file, json.dumps(table, indent=1))


def _reserved(file: Path) -> dict[int, str]:
    """Return the table as it was saved; what is no table, or no entry of one, is not there."""
    try:
        saved = json.loads(files.read(file)).items()
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    found = ((environment.port_of(port), owner) for port, owner in saved)
    return {port: owner for port, owner in found if port and isinstance(owner, str) and owner.startswith("/")}


def _names_port(env_file: Path, port: int) -> bool:
    try:
        return str(port) in environment.parse(files.text(env_file)).values()
    except (OSError, ValueError):
        return False
