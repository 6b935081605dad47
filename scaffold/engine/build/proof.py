"""Prove that no secret of the project is in an image before the image gets its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from scaffold.engine.build import context, leaks
from scaffold.engine.build import image as images
from scaffold.engine.client import Engine
from scaffold.engine.wire import TIMEOUT, Refused
from scaffold.errors import SecretFound
from scaffold.stack import environment, names
from scaffold.stack.desired import Build
from scaffold.stack.leaks import Finding, verdict
from scaffold.stack.secrets import Known, values, without


@dataclass(frozen=True)
class Secrets:
    """What may not be in an image."""

    known: tuple[Known, ...]
    home: str
    """The folder of the project: what its .env.example gives everybody is no secret."""
    variables: Mapping[str, str]
    allowed: frozenset[str]
    """Names that a person lets through."""
    thorough: bool
    """The layers are searched in any case."""


class Proof:
    """One image has another name until it is proven, and does not outlive a finding.

    Whoever is killed in between leaves an image under that name, and the next run builds it again.
    """

    def __init__(self, image: str, build: Build, *, engine: Engine, secrets: Secrets) -> None:
        self._image = image
        self._build = build
        self._engine = engine
        self._secrets = secrets
        allowed = secrets.allowed
        if environment.FILE in allowed:
            allowed |= frozenset(secrets.variables)
        self._search = leaks.searcher(secrets.known, secrets.home, allowed)
        self._heard: set[Finding] = set()
        self.loaded_as = names.unproven(image) if self._search else ""
        """Empty when there is nothing to look for."""

    def overhear(self, text: str) -> None:
        """Take a part of what the build says."""
        for needle in self._search.in_text(text) if self._search else ():
            self._heard.add(Finding(needle.name, "its output", needle.form))

    def before(self) -> None:
        """Raise SecretFound for a file that the build would be sent."""
        if self._search and (found := tuple(leaks.in_context(self._build, self._search))):
            raise self._refused(found, "Nothing was built.")

    def after(self) -> None:
        """Give the image its names, or raise SecretFound and remove it."""
        if not self._search:
            return
        found = self._heard | leaks.in_configuration(self._engine, self.loaded_as, self._search)
        deep = self._is_deep()
        if deep:
            left_out = leaks.base_layers(self._engine, self._build)
            with contextlib.closing(
                self._engine.stream("GET", f"/images/{quote(self.loaded_as)}/get", {})
            ) as archive:
                found |= leaks.in_layers(archive.pieces(TIMEOUT), self._search, left_out)
        if found:
            self._remove()
            raise self._refused(
                found, "The image was not kept; the build cache has it until `docker builder prune`."
            )
        for name in (self._image, *self._build.tags):
            repository, tag = names.split_image(name)
            self._engine.post(f"/images/{quote(self.loaded_as)}/tag", repo=repository, tag=tag)
        self._remove()
        if deep:
            context.remember_proof(self._build)

    def _remove(self) -> None:
        with contextlib.suppress(Refused):
            self._engine.delete(f"/images/{quote(self.loaded_as)}")

    def _is_deep(self) -> bool:
        """Return whether the layers may hold what neither the files that were sent nor the output show."""
        if self._secrets.thorough or os.environ.get("CI") or not context.is_proven(self._build):
            return True
        seen = images.used(self._build, self._secrets.variables)
        return bool(self._search.in_text("\n".join(seen)))

    def _refused(self, found: Iterable[Finding], done: str) -> SecretFound:
        hidden = values(self._secrets.known)
        shown = [Finding(item.name, without(item.place, hidden), item.form) for item in found]
        return verdict(self._image, shown, done)
