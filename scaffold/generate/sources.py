"""Decide what a reference to a template means, and open the version that is wanted.

A reference is the name of a bundled template, a folder, or a git repository: a URL, a path, `gh:owner/repo`,
`gl:owner/repo`. Each may end in `@REF`, a tag, branch or commit. What came with this program is found
without git.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import bundle, git, mirror, settings, versions
from scaffold.generate.mirror import Mirror
from scaffold.generate.versions import Version

DEFAULT = "backend"
AS_IT_STANDS = "HEAD"  # of a folder: its files as they are now, committed or not
_CONFIGURATIONS = ("copier.yml", "copier.yaml")
_HOSTS = {"gh": "https://github.com", "gl": "https://gitlab.com"}


class Kind(Enum):
    """How a template is kept."""

    BUNDLED = "bundled"
    FOLDER = "folder"
    GIT = "git"


@dataclass(frozen=True)
class Source:
    """Where a template comes from.

    `address` is what a project's answers remember: it holds no secret, and plain copier understands it.
    `place` is what git is given, or the folder.
    """

    kind: Kind
    name: str
    address: str
    place: str


@dataclass(frozen=True)
class Reference:
    """A source, and the version of it that was asked for."""

    source: Source
    ref: str | None = None


@dataclass(frozen=True)
class Template:
    """One version of a template, on disk at `path` as long as it is open.

    `source`, `version` and `commit` are what the project's answers file remembers. `commit` is None where no
    commit has these very files: between two releases of a bundled template, in a folder with changes.
    `repository` is the copy of the template's repository; where there is none, git knows nothing of it.
    `note` is something to say about the choice of the version. `is_trusted`: a person lets its code run.
    """

    name: str
    path: Path
    source: str
    version: str | None = None
    commit: str | None = None
    repository: Mirror | None = None
    note: str | None = None
    is_trusted: bool = False


# ── what is meant ──────────────────────────────────────────────────────────────────────────────────────


def bundled() -> tuple[Template, ...]:
    """The templates that came with this program, sorted by name."""
    return tuple(_bundled(folder) for folder in _folders().values())


def names() -> tuple[str, ...]:
    """The names of the templates that came with this program, sorted."""
    return tuple(_folders())


def _folders() -> dict[str, Path]:
    package = Path(__file__).resolve().parent.parent
    installed = package / "templates"
    # A checkout keeps the templates beside the package, where they are edited; a wheel carries them inside.
    root = installed if installed.is_dir() else package.parent / "templates"
    if not root.is_dir():
        return {}
    return {folder.name: folder for folder in sorted(root.iterdir()) if _is_template(folder)}


def _bundled(folder: Path) -> Template:
    found = Template(folder.name, folder, bundle.address(folder.name))
    releases = bundle.releases(folder)
    if not releases:
        return found
    newest = releases[-1]
    if bundle.tree(folder) == newest.tree:
        return replace(found, version=newest.tag, commit=newest.commit)
    return replace(found, version=f"{newest.tag}-dev")


def find(reference: str) -> Template:
    """The template that needs no git: a bundled one by its name, or a folder, both as they stand."""
    source = parse(reference).source
    if source.kind is Kind.BUNDLED:
        return _bundled(_folders()[source.name])
    return _folder(source)


def parse(reference: str) -> Reference:
    """What `--template` means."""
    if found := _known(reference):
        return found
    base, ref = _split(reference)
    if ref is not None and (found := _known(base)):
        return replace(found, ref=ref)
    raise UsageError(f'There is no template "{mirror.without_credentials(reference)}".', _suggestion(base))


def _known(text: str) -> Reference | None:
    """The reference that is the whole text: a short name that was registered, or a source."""
    if text not in names() and (entry := settings.registered().get(text)):
        base, ref = (entry.source, None) if _source(entry.source) else _split(entry.source)
        if source := _source(base):
            return Reference(replace(source, name=text), ref)
        raise ScaffoldError(
            f'The template "{text}" is {entry.source}, which is not there.',
            "Look at it with `scaffold template list`.",
        )
    source = _source(text)
    return Reference(source) if source else None


def remembered(address: str) -> Source:
    """The source that a project's answers name."""
    source = _source(address)
    if source is None:
        raise ScaffoldError(f'The answers name "{address}" as their template: it is no longer there.')
    return source


def _split(reference: str) -> tuple[str, str | None]:
    """A reference and its `@REF`. The `@` after a user's name is another one, and so is that of a scope."""
    if "://" in reference:
        start = reference.find("/", reference.find("://") + 3)
    elif re.match(r"[^/@:]+@[^/:]+:", reference):
        start = reference.find(":")
    else:
        start = 0
    if start < 0 or reference.endswith(".git"):
        return reference, None
    found = re.fullmatch(r"(.*[^/:])@([^@]*)", reference[start:], re.DOTALL)
    return (reference[:start] + found[1], found[2]) if found else (reference, None)


def _source(text: str) -> Source | None:
    """The source that the whole text names, if it does."""
    if text in names():
        return _of_bundle(text)
    if (name := bundle.name_of(text, names())) is not None:
        return _of_bundle(name)
    if found := re.fullmatch(r"(gh|gl):/?([^\s@:]+/[^\s@:]+?)(\.git)?/?", text):
        return _git(f"{_HOSTS[found[1]]}/{found[2]}.git")
    url = text.removeprefix("git+")
    if mirror.is_remote(url) or url.startswith("file:///"):
        return _git(url) if _split(url)[1] is None or _exists(url.removeprefix("file://")) else None
    return _of_path(text)


def _of_bundle(name: str) -> Source:
    return Source(Kind.BUNDLED, name, bundle.address(name), name)


def _git(url: str) -> Source:
    """A repository by its URL; copier takes it for one at the sight of `.git` or `git+`."""
    plain = mirror.without_credentials(url)
    name = re.split(r"[/:]", plain.rstrip("/").removesuffix(".git"))[-1] or "template"
    known = plain.endswith(".git") or plain.startswith(("git@", "git://"))
    return Source(Kind.GIT, name, plain if known else f"git+{plain}", url)


def _of_path(text: str) -> Source | None:
    if not _exists(text):
        # A disk that is not mounted now: there may be a copy of what was there.
        return _at(Path(text), Path(text).name) if text.startswith("/") and mirror.known(text) else None
    path = Path(text).expanduser().resolve()
    if path.is_file():
        return _at(path, path.stem) if _is_bundle(path) else None
    if (path / ".git").exists() and _has_commits(path):
        return _at(path, path.name)
    if not _is_template(path) and _is_bare(path):
        # copier takes a bare repository for one only at the sight of `.git`.
        address = str(path) if path.suffix == ".git" else f"git+file://{path}"
        return Source(Kind.GIT, path.name.removesuffix(".git"), address, str(path))
    return Source(Kind.FOLDER, path.name, str(path), str(path))


def _exists(text: str) -> bool:
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, the home of nobody
        return False


def _at(path: Path, name: str) -> Source:
    return Source(Kind.GIT, name, str(path), str(path))


def _is_template(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _CONFIGURATIONS)


def _is_bundle(path: Path) -> bool:
    with path.open("rb") as stream:
        return re.match(rb"# v[23] git bundle\n", stream.read(20)) is not None


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _has_commits(path: Path) -> bool:
    """Whether the folder is the top of a work tree in which something was committed."""
    # As the person: somebody else's repository is theirs to trust, and what git refuses is a folder to us.
    done = git.run_as_person(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", "--")
    return done.returncode == 0


def _suggestion(reference: str) -> str:
    close = get_close_matches(reference, (*names(), *settings.registered()), n=1)
    if close:
        return f'Did you mean "{close[0]}"?'
    return (
        f"Bundled templates: {', '.join(names())}. Others: the path of a folder, the URL of a git repository,"
        " gh:owner/repo, gl:owner/repo."
    )


# ── which version ──────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def opened(reference: str) -> Iterator[Template]:
    """The template that a reference means, ready to be read and rendered."""
    wanted = parse(reference)
    source, ref = wanted.source, wanted.ref
    match source.kind:
        case Kind.BUNDLED if ref is None:
            yield find(source.name)
        case Kind.FOLDER:
            if ref not in {None, AS_IT_STANDS}:
                raise UsageError(
                    f'"{source.place}" is no git repository, so it has no version "{ref}".',
                    "Leave out what follows the @.",
                )
            yield _folder(source)
        case _ if ref == AS_IT_STANDS and _is_dirty(source):
            yield replace(_folder(source), note=_DIRTY)
        case _:
            copy = repository(source, ref)
            version = resolve(source, copy, ref)
            with at(source, copy, version) as template:
                yield replace(template, note=_note(source, copy, version, ref))


_DIRTY = "Its uncommitted changes are in it. No commit has them, so the project cannot be updated from it."


def repository(source: Source, ref: str | None = None) -> Mirror:
    """The copy of a source's repository, brought up to date unless the commit that is wanted is there."""
    match source.kind:
        case Kind.BUNDLED:
            template = find(source.name)
            path = bundle.file(template.path)
            if not path.is_file():
                raise ScaffoldError(f"The template {source.name} has no released version.")
            # The name of the copy is the bundle's content: a newer program brings a newer copy.
            digest = bundle.digest(path)
            return mirror.of_file(path, f"{source.name}-{digest}", source.address)
        case Kind.FOLDER:
            raise ScaffoldError(f"{source.place} is no git repository, so it has no versions.")
        case Kind.GIT:
            if ref is not None and mirror.is_hash(ref):
                copy = mirror.known(source.place)
                if copy is not None and mirror.commit(copy, ref):
                    return copy
            return mirror.opened(source.place)


def resolve(source: Source, copy: Mirror, ref: str | None = None) -> Version:
    """The version that is wanted; otherwise the newest version tag, and without tags the newest commit."""
    tags = mirror.tags(copy)
    wanted = ref if ref is not None else versions.newest(tags) or "HEAD"
    if wanted in tags:
        return Version(wanted, tags[wanted])
    found = mirror.commit(copy, wanted)
    if found is None and mirror.is_hash(wanted) and mirror.fetch_commit(copy, source.place, wanted):
        found = wanted
    if found is None:
        raise _no_version(source, wanted, tags, copy)
    return Version(mirror.describe(copy, found), found)


@contextmanager
def at(source: Source, copy: Mirror, version: Version) -> Iterator[Template]:
    """A version of a template, checked out for as long as the block lasts."""
    with mirror.checkout(copy, version.commit) as path:
        if not _is_template(path):
            raise UsageError(
                f'"{source.name}" is not a template at {version.ref}: it has no copier.yml.',
                "Name another version: `@REF` after the source.",
            )
        yield Template(source.name, path, source.address, version.ref, version.commit, copy)


def _folder(source: Source) -> Template:
    path = Path(source.place)
    if source.kind is Kind.GIT and not path.is_dir():
        raise UsageError(f'"{source.place}" is no folder.')
    if not _is_template(path):
        raise UsageError(
            f'"{source.place}" is not a template: it has no copier.yml.',
            "Give the folder that holds the copier.yml, or one of: " + ", ".join(names()),
        )
    return Template(path.name, path, str(path))


def _is_dirty(source: Source) -> bool:
    """Whether a work tree has changes that are in no commit."""
    if not _is_work_tree(source):
        return False
    path = Path(source.place)
    # To compare, git would run the filters that the repository defines for itself.
    defined = git.run(path, "config", "--includes", "--name-only", "--get-regexp", r"^filter\..*").stdout
    off = (part for name in os.fsdecode(defined).split() for part in ("-c", f"{name}="))
    done = git.run_as_person(path, *off, "status", "--porcelain")
    return done.returncode != 0 or bool(done.stdout.strip())


def _is_work_tree(source: Source) -> bool:
    return source.kind is Kind.GIT and source.place.startswith("/") and (Path(source.place) / ".git").exists()


def _note(source: Source, copy: Mirror, version: Version, ref: str | None) -> str | None:
    if copy.stale:
        return f"{copy.stale} The copy of {_ago(copy.age)} ago is used."
    is_newer = ref is None and _is_work_tree(source) and mirror.commit(copy, "HEAD") != version.commit
    if is_newer or (ref is None and _is_dirty(source)):
        return f"{version.ref} is its newest version; {source.place}@HEAD is the folder as it stands."
    return None


def _ago(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def _no_version(source: Source, wanted: str, tags: dict[str, str], copy: Mirror) -> mirror.NoSuchVersion:
    known = versions.ordered(tags)
    hint = f"Its newest versions: {', '.join(known[:5])}." if known else "It has no version tags."
    if close := versions.nearest(wanted, tags):
        hint = f'Did you mean "{close}"? {hint}'
    if copy.stale:
        hint = f"{copy.stale} Its copy on this machine is {_ago(copy.age)} old. {hint}"
    return mirror.NoSuchVersion(f'Template "{source.name}" has no version "{wanted}".', hint)
