"""Remember, for each checkout, the one-shots whose containers `down` has removed. No Docker."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from scaffold import files
from scaffold.project import private
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_folder
from scaffold.stack import names
from scaffold.stack.observed import Completion


def read(checkout: Checkout) -> tuple[Completion, ...]:
    """Return what is remembered; nothing where that cannot be read: then they run once more."""
    try:
        return tuple(
            Completion(
                service=str(item["service"]),
                parts=tuple((str(name), str(digest), str(image)) for name, digest, image in item["parts"]),
                volumes=tuple((str(name), str(created)) for name, created in item["volumes"]),
                begun=_moment(item.get("begun", "")),
            )
            for item in json.loads(files.read(_file(checkout)))
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()


def _moment(text: object) -> str:
    """Return a time as it was written. Raises ValueError for anything else."""
    return datetime.fromisoformat(str(text)).isoformat() if text else ""


def write(checkout: Checkout, completions: tuple[Completion, ...]) -> None:
    """Remember these and no others; for whoever holds the checkout's lock."""
    if completions == read(checkout):
        return
    items = [vars(item) for item in completions]
    private.write(_file(checkout), json.dumps(items, indent=1))


def forget(checkout: Checkout, services: Collection[str]) -> None:
    """Forget services that are about to run again: from now on only their containers count."""
    write(checkout, tuple(item for item in read(checkout) if item.service not in services))


def _file(checkout: Checkout) -> Path:
    return state_folder() / f"{names.checkout_hash(str(checkout.path))}.done.json"
