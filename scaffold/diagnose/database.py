"""Say from the log of a database why its server does not start on its volume. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from scaffold.data.model import Database, Place
from scaffold.diagnose import mongo, postgres
from scaffold.diagnose.volume import first
from scaffold.errors import DataRefused

ANYWHERE = Place()
_OF = {"mongo": mongo, "postgres": postgres}


def explain(database: Database, log: Sequence[str], place: Place = ANYWHERE) -> DataRefused | None:
    """Return why the server does not start on its volume, read from its log; None when that does not say.

    Pass a few hundred lines: MongoDB prints some forty more after the one that counts.
    """
    known = _OF[database.kind.name]
    text = "\n".join(log)
    return known.version(database, text) or first(known.CAUSES, database, text, place)
