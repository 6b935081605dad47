"""Pull an image: what is asked for, with which login, and what the engine says meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scaffold import files
from scaffold.engine import answers
from scaffold.engine.client import Engine
from scaffold.engine.endpoint import settings
from scaffold.errors import EngineError

PATIENCE = 900.0
"""Seconds without a word: of a large layer the engine reports each step within minutes."""


def begin(engine: Engine, reference: str, platform: str | None) -> Iterator[dict[str, Any]]:
    """Yield what the engine says of a pull, one document after the other."""
    name, tag = parted(reference)
    query: dict[str, object] = {"fromImage": name, "tag": tag, "platform": platform}
    stream = engine.stream("POST", "/images/create", query, _login(name), PATIENCE)
    try:
        yield from stream.documents(answers.PROGRESS, PATIENCE)
    finally:
        stream.close()


def parted(reference: str) -> tuple[str, str]:
    """Return a reference's name, and the tag or digest that is pulled of it, as the docker command does.

    Without either an engine would pull every tag.
    """
    whole, at, digest = reference.partition("@")
    path, slash, last = whole.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{path}{slash}{last}", digest if at else tag or "latest"


def _login(name: str) -> Mapping[str, str]:
    """Return the header with the login that `docker login` has left for a registry; nothing without one."""
    from docker import auth
    from docker.errors import DockerException

    path = settings() / "config.json"
    try:
        if path.exists():
            files.read(path)  # the library would wait for a pipe
        registry, _ = auth.resolve_repository_name(name)
        found = auth.resolve_authconfig(auth.load_config(str(path)), registry)
    except DockerException as error:
        if "repository name" in str(error).lower():
            return {}  # the engine says so with more words
        raise EngineError(
            f"The login for the registry of {name} cannot be read: {error}.",
            f"Look at {path} and its credential helper, or log in again: `docker login`.",
        ) from error
    except (ValueError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise EngineError(
            f"{path} cannot be used: {files.why(error)}.",
            "Correct it, or log in again: `docker login`.",
        ) from error
    return {"X-Registry-Auth": auth.encode_header(found).decode()} if found else {}
