"""The docker commands that looking at a project and entering it stand for. Pure.

What changes the engine is a plan, and explain.py knows its commands.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime

from scaffold.dockercli.explain import Command
from scaffold.stack import names
from scaffold.stack.desired import Desired, Network, Volume


def line(why: str, *words: str) -> Command:
    """Return one docker command."""
    return Command(why, shlex.join(("docker", *words)))


def ours(desired: Desired) -> tuple[str, str]:
    """Return the words that keep a docker command to one project."""
    return "--filter", f"label={names.PROJECT}={desired.project}"


def _volumes(desired: Desired) -> tuple[Volume, ...]:
    """Return the volumes that there are once the project runs."""
    used = {name for service in desired.services for name in service.volumes}
    return tuple(volume for volume in desired.volumes if volume.name in used)


def _networks(desired: Desired) -> tuple[Network, ...]:
    """Return the networks that there are once the project runs: `default` only where a service is on it."""
    used = {name for service in desired.services for name in service.networks}
    return tuple(network for network in desired.networks if network.name in used)


def status(desired: Desired) -> tuple[Command, ...]:
    return (
        line("containers, their state and ports", "ps", "--all", *ours(desired)),
        line("networks", "network", "ls", *ours(desired)),
        line("volumes: the data", "volume", "ls", *ours(desired)),
        line("how large each volume is", "system", "df", "--verbose"),
    )


def containers(desired: Desired) -> tuple[Command, ...]:
    return (line("containers, the stopped ones too", "ps", "--all", *ours(desired)),)


def images(desired: Desired) -> tuple[Command, ...]:
    built = {service.image for service in desired.services if service.build}
    pulled = sorted({service.image for service in desired.services} - built)
    return (
        line("images built for the project, outdated ones are <none>", "image", "ls", *ours(desired)),
        *(line("an image that it only uses", "image", "ls", reference) for reference in pulled),
    )


def remove_images(references: Iterable[str]) -> tuple[Command, ...]:
    return tuple(line("nothing uses it any more", "image", "rm", reference) for reference in references)


def volumes(desired: Desired) -> tuple[Command, ...]:
    return (
        line("volumes of the project", "volume", "ls", *ours(desired)),
        line("how large they are, and how many containers use them", "system", "df", "--verbose"),
        *(
            line(f"who is attached to {volume.key}", "ps", "--all", "--filter", f"volume={volume.name}")
            for volume in _volumes(desired)
        ),
    )


def networks(desired: Desired) -> tuple[Command, ...]:
    return (
        line("networks of the project", "network", "ls", *ours(desired)),
        *(
            line(
                f"who is attached to {network.key}, and with which address",
                "network",
                "inspect",
                network.name,
            )
            for network in _networks(desired)
        ),
    )


def stats(containers: Sequence[str], *, follow: bool) -> tuple[Command, ...]:
    flags = () if follow else ("--no-stream",)
    return (line("processor, memory and traffic of each container", "stats", *flags, *containers),)


def events(desired: Desired, since: datetime | None) -> tuple[Command, ...]:
    """Filters of one kind add up, but no filter for the project fits networks and volumes."""
    flags = ("--since", since.isoformat(timespec="seconds")) if since else ()
    lines = [line("what happens to containers and images", "events", *flags, *ours(desired))]
    for kind, resources in (("network", _networks(desired)), ("volume", _volumes(desired))):
        chosen = [word for item in resources for word in ("--filter", f"{kind}={item.name}")]
        if chosen:
            what = ("events", *flags, "--filter", f"type={kind}", *chosen)
            lines.append(line(f"what happens to its {kind}s, in another terminal", *what))
    return tuple(lines)


def logs(
    containers: Iterable[str], *, follow: bool, tail: int | None, timestamps: bool
) -> tuple[Command, ...]:
    flags = ["--follow"] if follow else []
    flags += [] if tail is None else ["--tail", str(tail)]
    flags += ["--timestamps"] if timestamps else []
    why = "what it prints" + (", each in a terminal of its own" if follow else "")
    return tuple(line(why, "logs", *flags, name) for name in containers)


def inside(why: str, flags: Sequence[str], container: str, command: Sequence[str]) -> tuple[Command, ...]:
    return (line(why, "exec", *flags, container, *command),)


def kill(containers: Iterable[str], signal: str) -> tuple[Command, ...]:
    return tuple(
        line(f"send {signal} to its first process", "kill", "--signal", signal, name) for name in containers
    )


def copy(source: str, target: str) -> tuple[Command, ...]:
    return (line("copy; owner and mode are kept inside the container's rules", "cp", source, target),)


def projects() -> tuple[Command, ...]:
    return (
        line(
            "every container that scaffold made, with the folder of its project",
            *("ps", "--all", "--filter", f"label={names.PATH}"),
            *("--format", f'table {{{{.Names}}}}\t{{{{.Status}}}}\t{{{{.Label "{names.PATH}"}}}}'),
        ),
        line(
            "every volume of theirs: data of projects that have no container",
            "volume",
            "ls",
            "--filter",
            f"label={names.PATH}",
        ),
        line("how large each volume is", "system", "df", "--verbose"),
    )
