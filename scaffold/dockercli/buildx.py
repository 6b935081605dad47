"""Decide the arguments of `docker buildx build`: those that run are those that are printed. Pure."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from scaffold.stack import names
from scaffold.stack.desired import Build, BuildSecret


def arguments(
    image: str, build: Build, labels: Iterable[tuple[str, str]] = (), hidden: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the words after `docker buildx build`, without the values of `hidden` build arguments.

    `labels` are for the image, beside its own. An inline Dockerfile is read from stdin.
    """
    attested = dict(build.attestations)
    made = ["--load", f"--provenance={attested.get('provenance', 'false')}"]
    made += [f"--sbom={attested['sbom']}"] if "sbom" in attested else []
    made += ["--tag", image]
    made += _each("--tag", build.tags)
    if build.inline is not None:
        made += ["--file", "-"]
    elif is_local(build.context):
        made += ["--file", dockerfile_path(build)]
    elif build.dockerfile != "Dockerfile":
        made += ["--file", build.dockerfile]
    if build.target:
        made += ["--target", build.target]
    for name, value in build.args:
        made += ["--build-arg", name if value is None or name in hidden else f"{name}={value}"]
    made += _each("--secret", map(_secret, build.secrets))
    every = {**dict(build.labels), **dict(labels)}
    made += _each("--label", (f"{name}={value}" for name, value in every.items()))
    made += ["--platform", ",".join(build.platforms)] if build.platforms else []
    made += ["--network", build.network] if build.network else []
    made += _each("--add-host", (re.sub("[=:]", ":", host, count=1) for host in build.extra_hosts))
    made += _each("--ssh", (item.removesuffix("=") for item in build.ssh))
    made += _each("--cache-from", build.cache_from)
    made += _each("--cache-to", build.cache_to)
    made += _each("--build-context", (f"{name}={source}" for name, source in build.contexts))
    made += _each("--allow", build.entitlements)
    made += _each("--ulimit", (f"{name}={value}" for name, value in build.ulimits))
    made += ["--shm-size", str(build.shm_size)] if build.shm_size else []
    made += ["--no-cache"] if build.no_cache else []
    made += ["--pull"] if build.pull else []
    return (*made, build.context)


def labels(project: str, service: str, version: str) -> tuple[tuple[str, str], ...]:
    """Return the labels that Compose of this version gives to an image: with others it would be another."""
    found = ((names.PROJECT, project), (names.SERVICE, service), (names.VERSION, version))
    return tuple((name, value) for name, value in found if value)


def is_filtered(build: Build) -> bool:
    """Return whether something has to be kept out of the build that no ignore file keeps out."""
    return bool(build.withheld or build.withheld_from)


def filtered(build: Build, folder: str) -> Build:
    """Return the build as it is sent: `folder` holds what keeps `build.withheld` out of it.

    That is a copy of the Dockerfile, with an ignore file of its own beside it, which the builder takes before
    .dockerignore, and copies of the other contexts, which have no such thing.
    """
    kept = {name: f"{folder}/{name}" for name, _, _ in build.withheld_from}
    contexts = tuple((name, kept.get(name, source)) for name, source in build.contexts)
    if not build.withheld:
        return replace(build, contexts=contexts)
    return replace(build, contexts=contexts, dockerfile=f"{folder}/{dockerfile_name(build)}", inline=None)


def ignored(path: str) -> str:
    """Return the line of an ignore file that means this path and no other."""
    escaped = re.sub(r"([\\*?\[\]])", r"\\\1", path)
    return f"\\{escaped}" if escaped.startswith(("#", "!")) else escaped


def dockerfile_name(build: Build) -> str:
    """Return the name of the copy of the Dockerfile: its own, which the builder's messages give."""
    return "Dockerfile" if build.inline is not None else build.dockerfile.rpartition("/")[2]


def is_local(context: str) -> bool:
    """Return whether a context is a folder here and not a URL; compose.yaml's are absolute by now."""
    return context.startswith("/")


def dockerfile_path(build: Build) -> str:
    """Return where the Dockerfile of a local context is."""
    return os.path.join(build.context, build.dockerfile)  # noqa: PTH118 - a Path would lose `..` and `./`


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _secret(secret: BuildSecret) -> str:
    source = f"src={secret.file}" if secret.file else f"env={secret.environment}"
    return listed(f"id={secret.id}", source)


def listed(*parts: str) -> str:
    """Return the parts of an option's value as the docker command reads them: as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(parts)
    return line.getvalue()
