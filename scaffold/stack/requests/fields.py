"""What is empty in a request, and what a service refers to by key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scaffold.errors import ProjectError
from scaffold.stack.keys import check
from scaffold.stack.reader import Reader


@dataclass(frozen=True)
class Context:
    """What a service refers to by key: names on the engine, and the definitions of files."""

    project: str
    networks: Mapping[str, str]
    volumes: Mapping[str, str]
    secrets: Mapping[str, Reader]
    configs: Mapping[str, Reader]
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment that compose.yaml was resolved with: secrets and configs may name a variable of it."""
    default_platform: str = ""
    """That of services which name none: DOCKER_DEFAULT_PLATFORM."""

    def definition(self, kind: str, name: str, path: str) -> Reader:
        """Return what a name under `secrets` or `configs` stands for; `path` is where it is used.

        Only what is used is checked. Raises ProjectError for what is not there, or comes from elsewhere.
        """
        found = (self.secrets if kind == "secrets" else self.configs).get(name)
        if found is None:
            raise ProjectError(f"{path}: {name} is not defined under `{kind}`.")
        check(found.value, f"{kind}.*", found.path)
        return found


def dense(values: Mapping[str, object], *, keep: tuple[str, ...] = ()) -> dict[str, object]:
    """Drop what is empty: the engine's default, so that it does not count in the digest."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value not in (None, "", False, 0, (), [], {})
        or (key in keep and value is not None)
        # `init: false` is a decision against the engine's own default
        or (key == "Init" and value is False)
    }
