"""Remember which database has accepted which login since it was started. No Docker.

So a run with nothing to do need not ask again, and loads no database driver. Of the password only a digest
is kept, made with a key that never leaves this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from scaffold.project import private
from scaffold.project.checkout import Checkout
from scaffold.project.state import state_folder
from scaffold.stack import names

MOST = 64
"""Proofs that are kept for one checkout: the latest ones."""
LARGEST = 65536
"""Bytes of a file that is one of ours."""

_guard = threading.Lock()


@dataclass(frozen=True)
class Proof:
    """A login that worked: it counts for this start of the container and for these credentials."""

    container: str
    """Its id."""
    started: str
    login: str
    """Digest of the credentials."""


def read(checkout: Checkout) -> tuple[Proof, ...]:
    """Return what is remembered; nothing where that cannot be read: then it is proven once more."""
    path = _file(checkout)
    try:
        if not path.is_file():
            return ()
        with path.open("rb") as file:
            items = json.loads(file.read(LARGEST))
        return tuple(
            Proof(str(item["container"]), str(item["started"]), str(item["login"])) for item in items
        )
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def remember(checkout: Checkout, proof: Proof) -> None:
    """Add a proof; for whoever holds the checkout's lock, from any of its threads."""
    with _guard:
        others = tuple(item for item in read(checkout) if item.container != proof.container)
        items = [vars(item) for item in (*others, proof)[-MOST:]]
        private.write(_file(checkout), json.dumps(items, indent=1))


def digest(*parts: str) -> str:
    """Return a digest of credentials that says nothing to who does not have the key."""
    with _guard:
        return hmac.new(_key(), json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    """Return the key of this user on this machine, made when it is first needed."""
    file = state_folder() / "proofs.key"
    with contextlib.suppress(OSError, ValueError):
        found = bytes.fromhex(file.read_text().strip()) if file.is_file() else b""
        if len(found) >= 32:
            return found
    made = os.urandom(32)
    private.write(file, made.hex())
    return made


def _file(checkout: Checkout) -> Path:
    return state_folder() / f"{names.checkout_hash(str(checkout.path))}.proofs.json"
