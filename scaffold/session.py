"""One project and its engine, opened when they are first needed.

Light to import: Compose's binary resolves compose.yaml in a process of its own while this one still imports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from scaffold import checkout as checkouts
from scaffold.checkout import Checkout
from scaffold.engine.resolve import Resolving

if TYPE_CHECKING:
    from scaffold.engine.client import Engine
    from scaffold.stack.desired import Desired


class Session:
    """`checkout` is there at once; `engine` and `desired` are made at their first use.

    They raise ProjectError for files that cannot be used, EngineUnavailable without an engine.
    """

    def __init__(
        self, checkout: Checkout, resources: contextlib.ExitStack, profiles: tuple[str, ...], *, first: bool
    ) -> None:
        self.checkout = checkout
        self._resources = resources
        self._profiles = profiles
        self._resolving = None if first else self._begin()

    def _begin(self) -> Resolving:
        resolving = Resolving.begin(self.checkout)
        self._resources.callback(resolving.end)
        return resolving

    @cached_property
    def engine(self) -> Engine:
        from scaffold.engine.client import Engine

        return self._resources.enter_context(Engine())

    @cached_property
    def desired(self) -> Desired:
        if self._resolving is None:
            # The first time: .env has to be written before compose.yaml means anything.
            checkouts.write_env(self.checkout, self._known)
            self._resolving = self._begin()
        return self._resolving.result(self._profiles)

    def _known(self, project: str) -> checkouts.Known:
        from scaffold.engine import inventory

        own = inventory.recovered(self.engine, project, str(self.checkout.path))
        return checkouts.Known(frozenset(inventory.ports(self.engine)), own.ports, own.variables)


@contextlib.contextmanager
def opened(
    checkout: Checkout, *, profiles: tuple[str, ...] = (), write_env: bool = False
) -> Iterator[Session]:
    """Open a project; with `write_env` a missing .env is written before compose.yaml is read."""
    with contextlib.ExitStack() as resources:
        first = write_env and not checkout.env_file.exists()
        yield Session(checkout, resources, profiles, first=first)
