"""Decide which images are built or pulled because a person says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaffold.errors import ProjectError, UsageError
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Image
from scaffold.stack.plan import Plan, Planned, built_upon, in_build_order
from scaffold.stack.steps import BuildImage, PullImage

REASON = "asked for"


def build(desired: Desired, asked: str | None, *, no_cache: bool, pull: bool) -> Plan:
    """Return a build for each image that is built, or for one service's and those that it is built upon.

    They run side by side, each after those whose images it needs.
    """
    wanted_for = _with_needs(desired, asked) if asked else None
    every = in_build_order(desired.services)
    services = {
        service.image: service for service in every if wanted_for is None or service.name in wanted_for
    }
    if asked and not desired.service(asked).build:
        image = desired.service(asked).image
        raise UsageError(
            f"Service {asked} is not built here: it uses {image}.", f"Get it with `scaffold pull {asked}`."
        )
    steps: list[Planned] = []
    made: dict[str, int] = {}
    for service in services.values():
        assert service.build is not None
        wanted = replace(
            service.build,
            no_cache=service.build.no_cache or no_cache,
            pull=service.build.pull or pull,
        )
        after = tuple(sorted(made[image] for image in built_upon(service, desired.services) if image in made))
        made[service.image] = len(steps)
        reason = REASON if asked in (None, service.name) else f"{asked} is built upon it"
        steps.append(Planned(BuildImage(replace(service, build=wanted), reason), after))
    return Plan(tuple(steps))


def pull(desired: Desired, asked: str | None) -> Plan:
    """Return a pull for each image that is not built, or for one service's."""
    built = {service.image for service in desired.services if service.build}
    chosen = _chosen(desired, asked)
    if asked and chosen[0].image in built:
        raise UsageError(
            f"Service {asked} is built here, not pulled.",
            f"Build it on a newer base image with `scaffold build {asked} --pull`.",
        )
    if asked and chosen[0].pull_policy == "never":
        raise ProjectError(
            f"services.{asked}: pull_policy is never.", f"Get it with `docker pull {chosen[0].image}`."
        )
    wanted = {
        service.image: service
        for service in chosen
        if service.image not in built and service.pull_policy != "never"
    }
    steps = [PullImage(image, service.platform, REASON) for image, service in sorted(wanted.items())]
    return Plan(tuple(map(Planned, steps)))


def _with_needs(desired: Desired, name: str) -> frozenset[str]:
    """Return a service and all those upon whose images it is built."""
    service = desired.service(name)
    needs = service.build.needs if service.build else ()
    return frozenset({name}).union(*(_with_needs(desired, other) for other in needs))


def _chosen(desired: Desired, asked: str | None) -> tuple[Service, ...]:
    return (desired.service(asked),) if asked else desired.services


@dataclass(frozen=True)
class Made:
    """An image that was built or pulled; field names are the contract of `--json`."""

    name: str
    id: str
    changed: bool
    """It is another image than before."""
    size: int


def made(plan: Plan, before: Mapping[str, Image], after: Mapping[str, Image]) -> tuple[Made, ...]:
    """Return what a plan of builds and pulls has made."""
    names = [
        step.service.image if isinstance(step, BuildImage) else step.reference
        for step in plan.changes
        if isinstance(step, BuildImage | PullImage)
    ]
    return tuple(
        Made(
            name=name,
            id=after[name].id,
            changed=name not in before or before[name].id != after[name].id,
            size=after[name].size,
        )
        for name in sorted(names)
        if name in after
    )
