"""Remember, for each checkout, where its databases keep their files. No Docker.

After `down` nothing on the engine says any more which folder a database was in: only a volume with the
project's label can be found again. A mount that leads elsewhere the next time is noticed by what stands here.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from scaffold import files
from scaffold.project import private
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_folder
from scaffold.stack import names
from scaffold.stack.look import Former

MOST = 32
"""Databases that are remembered of one checkout."""

_guard = threading.Lock()


def read(checkout: Checkout, project: str) -> tuple[Former, ...]:
    """Return what is remembered of a project in this folder; nothing where that cannot be read."""
    return tuple(item for item in _all(checkout) if item.project == project)


def _all(checkout: Checkout) -> tuple[Former, ...]:
    try:
        return tuple(
            Former(**{key: str(item[key]) for key in ("project", "service", "medium", "source", "path")})
            for item in json.loads(files.read(_file(checkout)))
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()


def remember(checkout: Checkout, former: Former) -> None:
    """Remember where a service's database was when it let somebody in, in the place of what was known."""
    with _guard:
        known = _all(checkout)
        if former in known:
            return
        here = (former.project, former.service)
        others = tuple(item for item in known if (item.project, item.service) != here)
        items = [vars(item) for item in (*others, former)[-MOST:]]
        private.write(_file(checkout), json.dumps(items, indent=1))


def _file(checkout: Checkout) -> Path:
    return state_folder() / f"{names.checkout_hash(str(checkout.path))}.places.json"
