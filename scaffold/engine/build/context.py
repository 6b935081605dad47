"""Say what an image is built from: the digest of a build's files, Dockerfile, arguments and base images.

Reads files, never writes into the project. What is remembered between runs (digests of unchanged files,
the file lists of earlier builds) lies in the user's cache folder; losing it costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import fnmatch
import graphlib
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scaffold.dockercli.buildx import dockerfile_path, is_local
from scaffold.engine.build import dockerfile, ignore
from scaffold.errors import ProjectError
from scaffold.files import cache
from scaffold.files import read as read_file
from scaffold.project.checkout import COMPOSE_FILES
from scaffold.stack import environment
from scaffold.stack.desired import Build

VERSION = 2
"""Part of every digest and cache file; raised when the same files shall count as changed."""
KEPT_MANIFESTS = 20
"""File lists of earlier builds that are kept for one context."""
_KEPT_FILES = 400
"""Files kept in one cache folder, over all projects."""
_CACHED = 2**28
"""Bytes of a cache file: of a million files."""
_RACY = 2_000_000_000
"""Nanoseconds: a file may change again in the same clock tick, unseen, so a young one is read each time."""

BaseIds = Callable[[str], str | None]
_Entry = list[Any]
"""mtime, ctime, size and inode of a file, and the digest of its content: what JSON gives back."""


def read(build: Build, base_ids: BaseIds | None = None, *, service: str = "", home: str = "") -> Build:
    """Return the build with its digest and the digests of its files.

    `base_ids` gives the engine's id of a base image, None when the engine does not have it; `home` is the
    checkout, whose .env is withheld even before it is written. Raises ProjectError, naming `service`, for
    what would make the build fail: no context, no Dockerfile.
    """
    return _read(build, base_ids, f"services.{service}.build: " if service else "", _Trees(home))


def read_all(
    builds: Mapping[str, Build],
    base_ids: BaseIds | None = None,
    home: str = "",
    images: Mapping[str, str] | None = None,
) -> dict[str, Build]:
    """Return the same for the builds of several services; a context that they share is read once.

    `images` are the images of all services, by service. A build upon another's image knows what it needs,
    and changes with it: that one's digest stands for the base, which may be built anew before it is used.
    """
    trees = _Trees(home)
    known = _Siblings(builds, images or {})
    made: dict[str, Build] = {}
    for service in known.order():
        needs = known.needs[service]

        def identity(reference: str, needs: tuple[str, ...] = needs) -> str | None:
            owner = known.owner(reference)
            # A base image of the build's own name is the one that is there before it.
            if owner in needs:
                return f"build:{made[owner].digest}"
            return base_ids(reference) if base_ids else None

        where = f"services.{service}.build: "
        build = replace(known.builds[service], needs=needs)
        made[service] = _read(build, identity, where, trees)
    return {service: made[service] for service in builds}


class _Siblings:
    """Which builds of a project stand upon the images of which others."""

    def __init__(self, builds: Mapping[str, Build], images: Mapping[str, str]) -> None:
        self._images = images
        self._owners = {_plain(images[name]): name for name in builds if name in images}
        self._owners |= {_plain(tag): name for name, build in builds.items() for tag in build.tags}
        self.builds = {name: self._resolved(name, build) for name, build in builds.items()}
        self.needs = {
            name: tuple(
                sorted(
                    {owner for owner in map(self.owner, _bases_of(name, build)) if owner and owner != name}
                )
            )
            for name, build in self.builds.items()
        }

    def owner(self, reference: str) -> str | None:
        """Return the service whose build makes an image, None when that is somebody else's."""
        return self._owners.get(_plain(reference))

    def order(self) -> tuple[str, ...]:
        """Return the services, each after those whose images it is built upon. Raises ProjectError."""
        try:
            return tuple(graphlib.TopologicalSorter(self.needs).static_order())
        except graphlib.CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise ProjectError(f"The images of services are built upon each other: {circle}.") from error

    def _resolved(self, service: str, build: Build) -> Build:
        """Return the build with `service:x` as the image of x: that is what the builder understands."""
        contexts = []
        for name, source in build.contexts:
            kind, _, other = source.partition(":")
            if kind == "service" and other not in self._images:
                raise ProjectError(
                    f"services.{service}.build.additional_contexts.{name}: there is no service {other}.",
                    f"Services: {', '.join(sorted(self._images))}. One in a profile has to be active.",
                )
            image = self._images[other] if kind == "service" else ""
            contexts.append((name, f"docker-image://{image}" if image else source))
        return replace(build, contexts=tuple(contexts))


def _plain(reference: str) -> str:
    """Return an image's name as the engine spells it: `debian` is `debian:latest`."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def bases(build: Build) -> tuple[str, ...]:
    """Return the images that the build starts from or copies from, as the Dockerfile names them."""
    return _bases_of("", build)


def _bases_of(service: str, build: Build) -> tuple[str, ...]:
    if not is_local(build.context) and build.inline is None:
        return ()
    return _bases(build, _dockerfile(build, f"services.{service}.build: " if service else ""))


def ignore_file(build: Build) -> str:
    """Return the ignore file that BuildKit takes: `<Dockerfile>.dockerignore` before `.dockerignore`."""
    own = f"{dockerfile_path(build)}.dockerignore"
    if build.inline is None and Path(own).is_file():
        return own
    return f"{build.context}/.dockerignore"


def remember(build: Build) -> None:
    """Keep the file list of a build that was made, for saying later what changed."""
    folder = cache("manifests")
    group = _key(build.context)
    if build.digest and _write(folder / f"{group}-{build.digest}.json", dict(build.files)):
        _prune(folder, f"{group}-*.json", KEPT_MANIFESTS)
        _prune(folder, "*.json", _KEPT_FILES)


def manifest(digest: str) -> Mapping[str, str]:
    """Return the files of an earlier build by its digest, nothing when it is not known any more."""
    return _Manifest(digest)


def remember_image(image_id: str, build: Build) -> None:
    """Keep what an image was built from: it carries no label of ours, and is the one that Compose builds."""
    folder = cache("images")
    if build.digest and _write(folder / f"{_key(image_id)}.json", {"digest": build.digest}):
        _prune(folder, "*.json", _KEPT_FILES)


def made_from(image_id: str) -> str:
    """Return the digest of the build that made an image, empty when that is not known on this machine."""
    return str(_load(cache("images") / f"{_key(image_id)}.json", str).get("digest", ""))


class Searched:
    """Which files of a folder were looked at for the same secrets before: path and digest of the content."""

    def __init__(self, root: str, key: str) -> None:
        self._path = cache("searched") / f"{_key(root)}-{key}.json"
        self.files: Mapping[str, str] = _load(self._path, str)

    def keep(self, files: Mapping[str, str]) -> None:
        if files != self.files and _write(self._path, files):
            _prune(self._path.parent, "*.json", _KEPT_FILES)


def is_proven(build: Build) -> bool:
    """Return whether the layers of another build of the same recipe have been searched."""
    return bool(build.recipe) and (cache("proven") / f"{build.recipe}.json").exists()


def remember_proof(build: Build) -> None:
    if build.recipe and _write(cache("proven") / f"{build.recipe}.json", {}):
        _prune(cache("proven"), "*.json", _KEPT_FILES)


_STEP = re.compile(r"\[(?:\S+ )?(\d+)/(\d+)\]")


def is_trigger(step: str) -> bool:
    """Return whether a step of a build, as BuildKit names it, is one more than the Dockerfile has.

    It comes from an ONBUILD instruction of a base image, which may copy what no line of the Dockerfile names.
    """
    found = _STEP.match(step)
    return found is not None and int(found[1]) > int(found[2])


def remember_triggers(build: Build) -> None:
    """From now on everything in the context counts for builds of this recipe."""
    if build.recipe and _write(cache("triggers") / f"{build.recipe}.json", {}):
        _prune(cache("triggers"), "*.json", _KEPT_FILES)


class _Manifest(Mapping[str, str]):
    """Read from disk only when somebody looks: most runs find the digest unchanged and never do."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    @cached_property
    def _files(self) -> dict[str, str]:
        if not re.fullmatch(r"[0-9a-f]+", self._digest):
            return {}
        paths = sorted(cache("manifests").glob(f"*-{self._digest}.json"))
        return _load(paths[0], str) if paths else {}

    def __getitem__(self, path: str) -> str:
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@dataclass
class _Tree:
    """One folder after its ignore rules: files and links by path, and the folders' modes."""

    files: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    private: list[str] = field(default_factory=list)
    """Files that no ignore rule keeps out, and that no build may get: what this program writes."""


@dataclass
class _Trees:
    """The folders that were read for one project; `home` is its checkout."""

    home: str
    known: dict[tuple[str, str], _Tree] = field(default_factory=dict)


def _read(build: Build, base_ids: BaseIds | None, where: str, trees: _Trees) -> Build:
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    local = is_local(build.context)
    text = _dockerfile(build, where) if local or build.inline is not None else ""
    exposed: dict[str, str] = {}
    withheld: list[str] = []
    if local:
        tree = _tree(build.context, ignore_file(build), where, trees)
        files |= tree.files
        folders |= tree.folders
        exposed = _exposed(build, text, tree, "")
        withheld = [path for path in tree.private if path not in exposed]
        files |= _digests_of(build.context, exposed, where)
        # Ignored or not, the Dockerfile counts; inside the context it is there already.
        name = "dockerfile_inline"
        if build.inline is None:
            name = os.path.relpath(dockerfile_path(build), build.context)
        files.setdefault(name, _digest_text(text))
    elif build.inline is not None:
        files["dockerfile_inline"] = _digest_text(text)
    withheld_from: list[tuple[str, str, tuple[str, ...]]] = []
    for name, source in build.contexts:
        if is_local(source):
            tree = _tree(source, f"{source}/.dockerignore", f"{where}additional_contexts.{name}: ", trees)
            named = _exposed(build, text, tree, name)
            own = tree.files | _digests_of(source, named, where)
            files |= {f"{name}:{path}": value for path, value in own.items()}
            folders |= {f"{name}:{path}": value for path, value in tree.folders.items()}
            exposed |= {f"{name}:{path}": line for path, line in named.items()}
            if kept := tuple(path for path in tree.private if path not in named):
                withheld_from.append((name, source, kept))
    references = _bases(build, text)
    identities = {name: base_ids(name) if base_ids else None for name in references}
    parts = [
        VERSION,
        "" if local else build.context,
        "" if local or build.inline is not None else build.dockerfile,
        build.target,
        sorted(_arguments(build).items()),
        build.labels,
        build.platforms,
        build.tags,
        build.contexts,
        [[name, identities[name]] for name in references],
    ]
    # What few builds have counts where it is there: the digests of all the others stay as they were.
    parts += [item for item in (build.entitlements, build.ulimits, build.attestations) if item]
    recipe = _digest_text(json.dumps(parts) + text)
    if not (cache("triggers") / f"{recipe}.json").exists():
        files, folders = _counted(build, text, files, folders)
    total = hashlib.sha256(json.dumps(parts).encode())
    for kind in (files, folders):
        lines = "".join([f"{path}\0{kind[path]}\n" for path in sorted(kind)])
        total.update(f"{len(kind)}\n{lines}".encode(errors="surrogateescape"))
    return replace(
        build,
        digest=total.hexdigest()[:32],
        files=files,
        withheld=tuple(withheld),
        withheld_from=tuple(withheld_from),
        ignore_file=ignored_by if local and Path(ignored_by := ignore_file(build)).is_file() else "",
        exposed=tuple(exposed.items()),
        sources=_sources(text, build) if text else None,
        recipe=recipe,
    )


def _counted(
    build: Build, text: str, files: dict[str, str], folders: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what of a context can have come into the image: what the Dockerfile takes.

    All of it where that is not certain. An edit of what no instruction takes makes no other image.
    """
    takes = dockerfile.taken(text, _arguments(build), build.target or "") if text else None
    if takes is None:
        return files, folders
    contexts = {"": build.context, **dict(build.contexts)}
    places: list[str] = []
    for origin, path in takes:
        if origin not in contexts or not is_local(contexts[origin]):
            continue
        if _is_through_link(contexts[origin], path):
            return files, folders
        places.append(f"{origin}:{path}" if origin else path)
    if any(place in ("", ".") for place in places):
        return files, folders
    own = (
        os.path.relpath(dockerfile_path(build), build.context)
        if build.inline is None
        else "dockerfile_inline"
    )

    def counts(name: str) -> bool:
        return name == own or any(name == place or name.startswith(_below(place)) for place in places)

    return (
        {name: value for name, value in files.items() if counts(name)},
        {name: value for name, value in folders.items() if counts(name)},
    )


def _below(place: str) -> str:
    return place if place.endswith(":") else f"{place}/"


def _is_through_link(root: str, path: str) -> bool:
    """Return whether a path leads through a link: BuildKit takes what that leads to."""
    parts = path.split("/") if path else []
    return any(Path(root, *parts[: number + 1]).is_symlink() for number in range(len(parts)))


def _exposed(build: Build, text: str, tree: _Tree, context: str) -> dict[str, str]:
    """Return which private files the Dockerfile asks for by name, each with the line that does."""
    found: dict[str, str] = {}
    if not tree.private:
        return found
    where = "dockerfile_inline" if build.inline is not None else build.dockerfile
    for copied in dockerfile.copies(text, _arguments(build)):
        if copied.context != context:
            continue
        for path in tree.private:
            # A wildcard names what it stands for where nothing else is meant.
            named = path == copied.source or (
                fnmatch.fnmatchcase(path, copied.source)
                and not any(fnmatch.fnmatchcase(other, copied.source) for other in tree.files)
            )
            if named:
                found.setdefault(path, f"{where}, line {copied.line}: {copied.text}")
    return found


def _sources(text: str, build: Build) -> tuple[tuple[str, str], ...] | None:
    """Return what the Dockerfile copies; None where a variable leaves open what that is."""
    found = tuple((copied.context, copied.source) for copied in dockerfile.copies(text, _arguments(build)))
    return None if any("$" in source for _, source in found) else found


def _digests_of(root: str, paths: Iterable[str], where: str) -> dict[str, str]:
    """Return the digests of files that are private and sent all the same."""
    found = {path: _digest_file(f"{root}/{path}", where) for path in paths}
    return {path: digest for path, digest in found.items() if digest is not None}


def _arguments(build: Build) -> dict[str, str]:
    """Return the build arguments; one without a value is this process's variable, if there is one."""
    pairs = ((name, os.environ.get(name) if value is None else value) for name, value in build.args)
    return {name: value for name, value in pairs if value is not None}


def _bases(build: Build, text: str) -> tuple[str, ...]:
    images = [
        source.removeprefix("docker-image://")
        for _, source in build.contexts
        if source.startswith("docker-image://")
    ]
    found = dockerfile.bases(text, _arguments(build), [name for name, _ in build.contexts])
    return tuple(dict.fromkeys((*found, *images)))


def _dockerfile(build: Build, where: str) -> str:
    if build.inline is not None:
        return build.inline
    path = Path(dockerfile_path(build))
    try:
        return read_file(path).decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        if not Path(build.context).is_dir():
            raise _no_context(build.context, where) from None
        raise ProjectError(
            f"{where}there is no Dockerfile at {path}.", "Write it, or set `dockerfile:` in compose.yaml."
        ) from None
    except OSError as error:
        raise ProjectError(f"{where}cannot read {path}: {error.strerror}.") from error


def _no_context(path: str, where: str) -> ProjectError:
    kind = "is not a folder" if Path(path).exists() else "does not exist"
    return ProjectError(f"{where}the build context {path} {kind}.", "Correct `context:` in compose.yaml.")


def _rules(path: str, where: str) -> ignore.Rules:
    try:
        text = read_file(path).decode(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ignore.Rules()
    except OSError as error:
        raise ProjectError(f"{where}cannot read {path}: {error.strerror}.") from error
    return ignore.parse(text, path)


def _tree(root: str, ignore_path: str, where: str, trees: _Trees) -> _Tree:
    if not Path(root).is_dir():
        raise _no_context(root, where)
    rules = _rules(ignore_path, where)
    if (root, rules.text) not in trees.known:
        own = _within(root, trees.home) if trees.home else None
        tree = _digests(root, rules, where, own)
        if own and own not in tree.private and not rules.ignores(own):
            tree.private.append(own)
        tree.private.sort()
        trees.known[root, rules.text] = tree
    return trees.known[root, rules.text]


def _within(root: str, home: str) -> str | None:
    """Return the path of the checkout's .env inside a context, None where it is outside."""
    path = os.path.relpath(os.path.join(home, environment.FILE), os.path.realpath(root))  # noqa: PTH118
    return None if path.startswith("../") else path


def _is_private(root: str, path: str, name: str) -> bool:
    """Return whether a file is one that this program writes into a project: .env beside a compose.yaml."""
    if not name.startswith(environment.FILE):
        return False
    if name.startswith(environment.DRAFT):
        return True
    folder = Path(root, path).parent
    return name == environment.FILE and any((folder / file).exists() for file in COMPOSE_FILES)


def _digests(root: str, rules: ignore.Rules, where: str, own: str | None) -> _Tree:
    kept = cache("contexts") / f"{_key(root, rules.text)}.json"
    known: dict[str, _Entry] = _load(kept, list)
    fresh: dict[str, _Entry] = {}
    same = True
    tree = _Tree()
    files = tree.files
    newest = time.time_ns() - _RACY
    for path, status in _walk(root, rules, where):
        mode = status.st_mode
        if (
            ".env" in path
            and not stat.S_ISDIR(mode)
            and (path == own or _is_private(root, path, path.rpartition("/")[2]))
        ):
            tree.private.append(path)
            continue
        if stat.S_ISREG(mode):
            old = known.get(path)
            mtime, ctime, size, inode = status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
            if old is not None and old[0] == mtime and old[1] == ctime and old[2] == size and old[3] == inode:
                content = old[4]
                fresh[path] = old
            else:
                read_now = _digest_file(f"{root}/{path}", where)
                if read_now is None:
                    continue
                content = read_now
                if mtime < newest and ctime < newest:
                    fresh[path] = [mtime, ctime, size, inode, content]
                    same = False
            files[path] = f"{content}-{mode & 0o7777:o}"
        elif stat.S_ISDIR(mode):
            tree.folders[path] = f"{mode & 0o7777:o}"
        elif stat.S_ISLNK(mode):
            with contextlib.suppress(FileNotFoundError):
                files[path] = "link-" + _digest_text(os.readlink(f"{root}/{path}"))  # noqa: PTH115
        elif not stat.S_ISSOCK(mode):
            files[path] = f"special-{mode:o}"
    if not same or len(fresh) != len(known):  # a file that is gone leaves fewer
        _write(kept, fresh)
        _prune(kept.parent, "*.json", _KEPT_FILES)
    return tree


def _walk(root: str, rules: ignore.Rules, where: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of all that is not ignored; ignored folders are not opened."""
    judge = rules.judge if rules.groups else None
    pending: list[tuple[str, ignore.State]] = [("", rules.start)]
    while pending:
        folder, state = pending.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                found = list(entries)
        except FileNotFoundError:  # gone since its parent was read
            continue
        except OSError as error:
            raise _unreadable(f"{root}/{folder}", where, error) from error
        for entry in found:
            name = entry.name
            path = folder + name
            ignored, own = judge(path, name, state) if judge else (False, state)
            if entry.is_dir(follow_symlinks=False) and (not ignored or rules.may_include_below(path)):
                pending.append((f"{path}/", own))
            if not ignored:
                try:
                    yield path, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue


def _digest_file(path: str, where: str) -> str | None:
    """Return the digest of a file's content, None when it is gone."""
    try:
        with open(path, "rb", buffering=0, opener=_at_once) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, where, error) from error


def _digest_text(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _unreadable(path: str, where: str, error: OSError) -> ProjectError:
    return ProjectError(
        f"{where}cannot read {path.rstrip('/')}: {error.strerror}.",
        "Make it readable, or name it in .dockerignore if the image does not need it.",
    )


def _key(*texts: str) -> str:
    return _digest_text("\0".join(texts))[:16]


def _load(path: Path, kind: type) -> dict[str, Any]:
    """Return the files of a cache file; whatever is wrong with it, it is as if it were not there."""
    try:
        document = json.loads(read_file(path, _CACHED))
        if document["version"] != VERSION:
            return {}
        files = document["files"]
        sound = isinstance(files, dict) and all(type(value) is kind for value in files.values())
        if kind is list:
            sound = sound and all(len(value) == 5 and type(value[4]) is str for value in files.values())
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return files if sound else {}


def _write(path: Path, files: Mapping[str, object]) -> bool:
    """Write a cache file whole or not at all, readable for its owner alone; say whether it worked."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with open(draft, "w", encoding="ascii", opener=_private) as file:
                file.write(json.dumps({"version": VERSION, "files": files}, separators=(",", ":")))
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True


def _at_once(path: str, flags: int) -> int:
    # A pipe may have taken the place of a file since the folder was read.
    return os.open(path, flags | os.O_NONBLOCK)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _prune(folder: Path, pattern: str, keep: int) -> None:
    """Remove the oldest cache files beyond `keep`; another run may do the same at the same time."""
    with contextlib.suppress(OSError):
        paths: Sequence[Path] = list(folder.glob(pattern))
        if len(paths) > keep:
            for path in sorted(paths, key=lambda item: item.stat().st_mtime_ns)[: len(paths) - keep]:
                path.unlink(missing_ok=True)
