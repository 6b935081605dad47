"""Decide the steps of a restart: stop dependents first, start dependencies first. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from scaffold.stack import plan as planning
from scaffold.stack.desired import Desired, Service
from scaffold.stack.observed import Container, Observed
from scaffold.stack.plan import Plan, Planned
from scaffold.stack.steps import Impact, Prove, StartContainer, StopContainer

REASON = "restart"


def restart(desired: Desired, observed: Observed, asked: Collection[str] = ()) -> Plan:
    """Return the steps that restart the services asked for, or all.

    Each is proven before what needs it starts. Services with `depends_on: {…: {restart: true}}` follow. A
    one-shot that is done runs again only when it is asked for by name. Nothing is created here.
    """
    services = _restarted(desired, asked)
    containers = {service.name: _existing(service, observed, asked) for service in services}
    affected = [service.name for service in services if containers[service.name]]
    stopping = planning.stop(desired, observed, affected).steps if affected else ()
    steps = [replace(item, step=replace(item.step, reason=REASON)) for item in stopping]
    stops = {
        item.step.name: index for index, item in enumerate(steps) if isinstance(item.step, StopContainer)
    }
    proofs: dict[str, int] = {}
    started: dict[str, list[int]] = {}
    for service in services:
        found = containers[service.name]
        waits = []
        for need in service.depends_on:
            if need.condition == "service_started":
                waits += started.get(need.service, [])
            elif need.service in proofs:
                waits.append(proofs[need.service])
        started[service.name] = []
        for container in found:
            before = [*waits, *([stops[container.name]] if container.name in stops else [])]
            started[service.name].append(len(steps))
            start = StartContainer(container.name, REASON, Impact.RESTART)
            steps.append(Planned(start, tuple(sorted(set(before)))))
        if found:
            proofs[service.name] = len(steps)
            proof = Prove(service, tuple(item.name for item in found), "restarted")
            steps.append(Planned(proof, tuple(started[service.name])))
    return Plan(tuple(steps))


def _restarted(desired: Desired, asked: Collection[str]) -> tuple[Service, ...]:
    """Return the services asked for and those that follow them, dependencies first."""
    chosen = {desired.service(name).name for name in asked} or {item.name for item in desired.services}
    ordered = planning.in_order(desired.services)
    for service in ordered:
        if any(need.restart and need.service in chosen for need in service.depends_on):
            chosen.add(service.name)
    return tuple(service for service in ordered if service.name in chosen)


def _existing(service: Service, observed: Observed, asked: Collection[str]) -> tuple[Container, ...]:
    if service.one_shot and service.name not in asked:
        return ()
    return observed.of_service(service.name)
