"""Hold a plan against what its databases' storage holds, before anything is done; see data.guards."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote

from scaffold.data import guards
from scaffold.engine import volume_look
from scaffold.engine.client import Engine
from scaffold.engine.wire import Refused
from scaffold.stack.desired import Desired
from scaffold.stack.look import Former, Medium
from scaffold.stack.observed import Container, Observed, Stored
from scaffold.stack.steps import SetAsideData, Step


@dataclass(frozen=True)
class Known:
    """What is known of the data that a plan begins with."""

    notes: tuple[str, ...] = ()
    stored: tuple[Stored, ...] = ()


def check(
    engine: Engine, desired: Desired, observed: Observed, steps: Sequence[Step], empty: Collection[str] = ()
) -> Known:
    """Return what is known of the data. Raises DataRefused for steps that would lose sight of it.

    Asks the engine only when a database is started, or a container goes that has one in itself.
    """
    late = {service.name for service in guards.late(desired, observed, steps)}
    # The plan itself empties their storage: what is in it has been looked at, and goes aside.
    known = {step.service.name for step in steps if isinstance(step, SetAsideData)}
    subjects = [
        item for item in guards.subjects(desired, observed, steps) if item.service not in late | known
    ]
    leaving = guards.leaving(observed, steps)
    notes = tuple(
        f"services.{name}: what its storage holds is held against its image, once that is there."
        for name in sorted(late)
    )
    if not subjects and not leaving:
        return Known(notes)
    observed = replace(observed, formers=tuple(item for item in observed.formers if _is_there(engine, item)))
    asked = (
        *guards.glances(desired, observed, subjects, empty),
        *guards.glances_at(leaving, observed),
    )
    looks = guards.Looks()
    if asked:
        volume_look.sweep(engine, desired.project)
        looks = guards.Looks(volume_look.look(engine, desired.project, _image(observed), asked))
    found = guards.judge(desired, observed, subjects, looks, empty)
    guards.refuse_to_remove(leaving, looks, empty)
    return Known((*notes, *found), guards.stored(subjects, looks))


def holding(engine: Engine, project: str, containers: Iterable[Container]) -> tuple[str, ...]:
    """Return the containers that have the rows of a database in themselves, or may have, by name."""
    found = guards.inside(containers)
    looks = guards.Looks(volume_look.look(engine, project, None, guards.glances_at(found, Observed())))
    rows = ((container.name, guards.rows_inside(container, looks)) for container in found)
    return tuple(name for name, item in rows if item.kind or item.unknown)


def _is_there(engine: Engine, former: Former) -> bool:
    """Return whether a volume is there; a folder may be: only a look into it tells."""
    if former.medium != Medium.VOLUME:
        return True
    try:
        engine.get(f"/volumes/{quote(former.source, safe='')}")
    except Refused as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


def _image(observed: Observed) -> str | None:
    """Return an image that is there; one that asks for no volumes of its own is the quickest."""
    found = sorted(observed.images.values(), key=lambda item: (len(item.volumes), item.reference))
    return found[0].id if found else None
