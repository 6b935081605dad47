"""The released versions of a bundled template: a git bundle beside its folder, which every wheel carries.

A bundle only ever grows. Beside it, `<name>.versions` says in text what is in it, one line a version (tag,
commit, tree), so that a new project is made without git and without unpacking anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ScaffoldError
from scaffold.generate import git

# Until there is a public one. Plain copier takes it for a git repository because of its end.
_ADDRESS = "https://templates.scaffold.invalid/{name}.git"
_OLD_ADDRESS = "git+scaffold:{name}"  # in the answers of projects made before the first release
_IDENTITY = "scaffold <scaffold@localhost>"


@dataclass(frozen=True)
class Release:
    """A released version: its tag, its commit in the bundle, and the hash of its files."""

    tag: str
    commit: str
    tree: str


def address(name: str) -> str:
    """What the answers of a project remember as the source of a bundled template."""
    return _ADDRESS.format(name=name)


def name_of(text: str, names: tuple[str, ...]) -> str | None:
    """The bundled template that an address in somebody's answers means."""
    return next((name for name in names if text in {address(name), _OLD_ADDRESS.format(name=name)}), None)


def file(template: Path) -> Path:
    """The bundle of the template in a folder."""
    return template.with_name(f"{template.name}.bundle")


def digest(path: Path) -> str:
    """What tells one state of a bundle from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def releases(template: Path) -> tuple[Release, ...]:
    """The released versions of the template in a folder, oldest first."""
    try:
        text = _index(template).read_text(encoding="ascii")
    except FileNotFoundError:
        return ()
    return tuple(Release(*line.split()) for line in text.splitlines())


def _index(template: Path) -> Path:
    return template.with_name(f"{template.name}.versions")


# ── the hash of a folder ───────────────────────────────────────────────────────────────────────────────


def tree(folder: Path) -> str:
    """The hash that git would give to the files of a folder; what Python leaves behind is none of them."""
    return _tree(folder).hex()


def _tree(folder: Path) -> bytes:
    entries = []
    for path in folder.iterdir():
        if path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        mode, content = entry(path)
        if content:
            name = os.fsencode(path.name)
            # git sorts a folder as if its name ended in a slash.
            entries.append((name + (b"/" if mode == b"40000" else b""), mode + b" " + name + b"\0" + content))
    return _hash(b"tree", b"".join(entry for _, entry in sorted(entries))) if entries else b""


def entry(path: Path) -> tuple[bytes, bytes]:
    """The mode and the hash of what is at a path, as git has them."""
    if path.is_symlink():
        return b"120000", _hash(b"blob", os.fsencode(path.readlink()))
    if path.is_dir():
        return b"40000", _tree(path)
    is_program = path.stat().st_mode & stat.S_IXUSR
    return b"100755" if is_program else b"100644", _hash(b"blob", path.read_bytes())


def _hash(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).digest()


# ── releasing ──────────────────────────────────────────────────────────────────────────────────────────


def release(template: Path, tag: str, when: int) -> Release:
    """Add a folder's files to its bundle as a version. `when` is its date, in seconds since 1970, UTC.

    The same files, tag and date make the same bytes with one version of git. The older commits come out of
    the bundle itself, so that none of them ever changes.
    """
    known = releases(template)
    if any(each.tag == tag for each in known):
        raise ScaffoldError(f"{template.name} {tag} is released already.", "Choose the next version.")
    bundle = file(template)
    with tempfile.TemporaryDirectory(prefix="scaffold-release-") as scratch:
        place = Path(scratch)
        _run(place, "init", "--quiet", "--bare", "--template=", "--object-format=sha1", ".")
        if known:
            _run(place, "--git-dir=.", "fetch", "--quiet", str(bundle.resolve()), "+refs/*:refs/*")
        _run(
            place,
            "--git-dir=.",
            "fast-import",
            "--quiet",
            "--force",
            stdin=b"".join(_commands(template, tag, when, has_parent=bool(known))),
        )
        _run(place, "--git-dir=.", "symbolic-ref", "HEAD", "refs/heads/main")
        # One thread and no delta of before: the order of the objects depends on nothing else.
        packing = ("-c", "pack.threads=1", "-c", "core.compression=9")
        _run(place, *packing, "--git-dir=.", "repack", "-q", "-a", "-d", "-F", "--window=50", "--depth=50")
        made = place / "made.bundle"
        _run(
            place,
            *packing,
            "--git-dir=.",
            "bundle",
            "create",
            "-q",
            "--version=2",
            str(made),
            "--all",
            "HEAD",
        )
        commit = _run(place, "--git-dir=.", "rev-parse", f"refs/tags/{tag}").decode().strip()
        added = Release(tag, commit, tree(template))
        if _run(place, "--git-dir=.", "rev-parse", f"{commit}^{{tree}}").decode().strip() != added.tree:
            raise ScaffoldError(f"{template} changed while it was being released.", "Do it again.")
        _replace(bundle, made.read_bytes())
    lines = "".join(f"{each.tag} {each.commit} {each.tree}\n" for each in (*known, added))
    _replace(_index(template), lines.encode())
    return added


def _commands(template: Path, tag: str, when: int, *, has_parent: bool) -> Iterator[bytes]:
    """The version for `git fast-import`, which has neither index nor work tree: no filter touches a byte."""
    yield b"commit refs/heads/main\n"
    yield f"committer {_IDENTITY} {when} +0000\n".encode()
    yield b"data %d\n%s\n" % (len(tag.encode()), tag.encode())
    if has_parent:
        yield b"from refs/heads/main^0\n"
    yield b"deleteall\n"
    for path in sorted(_files(template), key=lambda path: os.fsencode(path.relative_to(template))):
        name = os.fsencode(path.relative_to(template))
        quoted = b'"%s"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
        mode = entry(path)[0]
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        yield b"M %s inline %s\ndata %d\n%s\n" % (mode, quoted, len(data), data)
    yield b"\nreset refs/tags/%s\nfrom refs/heads/main\n\n" % tag.encode()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def _run(folder: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    done = git.run(folder, *arguments, stdin=stdin)
    if done.returncode:
        raise ScaffoldError(f"The release could not be made: {git.reason(done)}")
    return done.stdout


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)
