"""One project and its engine, opened when they are first needed.

Light to import: Compose's binary resolves compose.yaml in a process of its own while this one still imports.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from scaffold.engine.resolve import Resolving
from scaffold.errors import ProjectError
from scaffold.project import env_file
from scaffold.project.checkout import Checkout
from scaffold.stack import environment

if TYPE_CHECKING:
    from scaffold.engine.client import Engine
    from scaffold.stack.desired import Desired


class _Awaited(Mapping[str, str]):
    """Texts by name that something is still at work on: whoever reads one first, waits."""

    def __init__(self, ask: Callable[[], Mapping[str, str]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._found: Mapping[str, str] | None = None

    def _all(self) -> Mapping[str, str]:
        with self._lock:
            if self._found is None:
                self._found = self._ask()
            return self._found

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class Session:
    """`checkout` is there at once; `engine` and `desired` are made at their first use.

    They raise ProjectError for files that cannot be used, EngineUnavailable without an engine.
    """

    def __init__(
        self,
        checkout: Checkout,
        resources: contextlib.ExitStack,
        profiles: tuple[str, ...],
        *,
        write_env: bool,
        allowed: frozenset[str] = frozenset(),
        changes: bool = False,
    ) -> None:
        self.checkout = checkout
        self.allowed = allowed
        """Names of secrets that a person lets into an image."""
        self.thorough = False
        """Every image that is built is searched for secrets to the ground."""
        self.new_data: tuple[str, ...] = ()
        """Names under which a person wants to begin anew."""
        self.changes = changes
        """Whether the command holds the project's lock, and may remove what killed ones have left."""
        self._resources = resources
        self._profiles = profiles
        self._write_env = write_env
        self.notes: tuple[str, ...] = ()
        """What is to be said of the name that was chosen."""
        # Compose would wait for ever for what is no file.
        there = checkout.env_file.exists() and checkout.readable
        self._is_whole = there and not env_file.lacking(checkout)
        self._resolving = self._begin() if self._is_whole else None

    def _begin(self, variables: Mapping[str, str] | None = None) -> Resolving:
        resolving = Resolving.begin(self.checkout, {**os.environ, **variables} if variables else None)
        self._resources.callback(resolving.end)
        return resolving

    @cached_property
    def engine(self) -> Engine:
        from scaffold.engine.client import Engine

        return self._resources.enter_context(Engine())

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Return the variables of .env; what it lacks is written first, or only thought up."""
        if self._is_whole:
            return self.checkout.variables
        if not self._write_env:
            return env_file.preview(self.checkout, self._known)
        added = env_file.write(self.checkout, self._known).added
        if added:
            self.notes += (f".env had no {', '.join(added)}: added, as .env.example has it.",)
        return self.checkout.variables

    @cached_property
    def desired(self) -> Desired:
        if self._resolving is None:
            # Without .env compose.yaml means nothing yet. What the shell has counts for more than .env.
            variables = self.variables
            shown = {name: os.environ.get(name, value) for name, value in variables.items()}
            self._resolving = self._begin(None if self._write_env else shown)
        desired = self._resolving.result(self._profiles)
        if self._profiles or self.allowed:
            from scaffold.stack import asked

            asked.check(desired, self._profiles, self.allowed, self.variables)
        return desired

    def begin_hashing(self) -> None:
        """Let Compose work out its hashes while this program is busy with something else."""
        if self._resolving:
            self._resolving.begin_hashing()

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """Return Compose's own hash of each service; waited for when it is read."""
        return _Awaited(lambda: self._resolving.hashes() if self._resolving else {})

    def renew(self) -> Mapping[str, tuple[str, str]]:
        """Choose the ports in .env anew and add what it lacks; return (before, now) of what has changed."""
        return env_file.renew(self.checkout, self._known)

    def _known(self, default: str, declared: Mapping[str, str]) -> env_file.Known:
        from scaffold.engine import inventory
        from scaffold.project import folders
        from scaffold.stack import recovery

        project = self._named(default, declared)
        probes = recovery.probes(declared)
        probing = self._begin({environment.PROJECT_NAME: project, **probes})
        own = inventory.own_containers(self.engine, project, str(self.checkout.path))
        taken, volumes = inventory.ports(self.engine), inventory.volumes(self.engine)
        try:
            desired = probing.result(("*",))
        except ProjectError:
            # What is wrong with compose.yaml is said when it is read with the new .env.
            return env_file.Known(
                frozenset(taken), inventory.own_ports(own), {environment.PROJECT_NAME: project}
            )
        return env_file.Known(
            taken=frozenset(taken),
            own=inventory.own_ports(own),
            variables={**recovery.recovered(probes, desired, own), environment.PROJECT_NAME: project},
            published=recovery.published(probes, desired),
            guarded=recovery.guarded(
                probes, desired, lambda place: place in volumes or folders.holds_something(place)
            ),
        )

    def _named(self, default: str, declared: Mapping[str, str]) -> str:
        """Return the name that .env has, or that it gets."""
        from scaffold.project import folders
        from scaffold.run import claims

        if self.checkout.env_file.exists() and environment.PROJECT_NAME not in declared:
            path = self.checkout.path
            return (
                self.checkout.variables.get(environment.PROJECT_NAME) or folders.meaning(str(path), path).name
            )
        chosen = claims.choose(
            self.engine, self.checkout, default, lambda: self._volumes(declared), self.new_data
        )
        self.notes += (chosen.note,) if chosen.note else ()
        return chosen.name

    def _volumes(self, declared: Mapping[str, str]) -> tuple[str, ...]:
        """Return the volumes of compose.yaml as Compose names them without .env."""
        from scaffold.stack import recovery

        try:
            desired = self._begin(recovery.probes(declared)).result(self._profiles)
        except ProjectError:
            return ()
        return tuple(volume.name for volume in desired.volumes)


@contextlib.contextmanager
def opened(
    checkout: Checkout,
    *,
    profiles: tuple[str, ...] = (),
    write_env: bool = False,
    allowed: frozenset[str] = frozenset(),
    changes: bool = False,
) -> Iterator[Session]:
    """Open a project; with `write_env` a missing .env is written before compose.yaml is read.

    `changes` is for a command that holds the project's lock.
    """
    with contextlib.ExitStack() as resources:
        yield Session(checkout, resources, profiles, write_env=write_env, allowed=allowed, changes=changes)
