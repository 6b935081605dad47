"""Ask the local engine for labels and wait for no answer: for shell completion, where a person waits."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping

from scaffold.engine import answers
from scaffold.engine.endpoint import chosen
from scaffold.engine.wire import Wire, fitting, with_query
from scaffold.errors import ScaffoldError

PATIENCE = 0.3
"""Seconds: an engine that takes longer has nothing to offer at TAB."""
_LISTS = {"containers": "/containers/json", "volumes": "/volumes"}


def labelled(
    label: str, kinds: tuple[str, ...] = ("containers", "volumes")
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (name, labels) of what carries a label; nothing when the engine cannot be asked at once."""
    try:
        meant = chosen()
    except ScaffoldError:
        return
    if meant.machine:
        return
    with contextlib.closing(Wire(meant)) as wire:
        for kind in kinds:
            target = with_query(_LISTS[kind], {"all": True, "filters": {"label": [label]}})
            try:
                shape = answers.shape_of(f"GET {_LISTS[kind]}")
                found = fitting(target, shape, wire.send("GET", target, None, PATIENCE))
            except (OSError, http.client.HTTPException, ScaffoldError):
                return
            for item in (found.get("Volumes") if isinstance(found, dict) else found) or ():
                name = item["Names"][0].lstrip("/") if item.get("Names") else item.get("Name", "")
                yield name, item.get("Labels") or {}
