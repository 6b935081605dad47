"""Keep a bare copy of a template's repository in the user's cache, whole at every moment, readable offline.

A new copy is made beside its place and moved in with one rename; a known one gets new objects before new
names. Nothing is ever removed from it: the version that a project was made from stays, also when its tag is
moved.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from scaffold.errors import ScaffoldError
from scaffold.generate import git

_LOOK = 30  # seconds that a server may take to say what it has, where nobody is asked for a password
_LOOK_ASKING = 180
_FETCH = 1800
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SSH = "ssh -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"


class Unreachable(ScaffoldError):
    """A repository does not answer, and there is no copy of it on this machine."""


class NoSuchVersion(ScaffoldError):
    """A repository has no tag, branch or commit of that name."""

    exit_code = 2


@dataclass(frozen=True)
class Mirror:
    """The copy of a repository. `stale` says why it could not be brought up to date; None: it is."""

    folder: Path
    url: str
    stale: str | None = None

    @property
    def age(self) -> float:
        """Seconds since it was last brought up to date."""
        try:
            return max(0.0, time.time() - (self.folder / "HEAD").stat().st_mtime)
        except OSError:
            return 0.0


def folder() -> Path:
    """Where the copies are."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "scaffold" / "templates"


def opened(url: str, *, refresh: bool = True) -> Mirror:
    """The copy of a repository, brought up to date if that is wanted and it answers."""
    plain = without_credentials(url)
    if not git.is_installed():
        raise ScaffoldError(f"git is not installed; {plain} is read with it.", "Install git.")
    place = _place(plain)
    with _locked(place):
        known = _is_whole(place)
        if known and not refresh:
            return Mirror(place, plain)
        try:
            listing = _list(url)
        except Unreachable as error:
            if known:
                return Mirror(place, plain, stale=error.message)
            raise
        if not known:
            _make(url, place)
        elif listing.refs != _refs(place):
            _bring(url, place)
        _point(place, listing.head)
    return Mirror(place, plain)


def known(url: str) -> Mirror | None:
    """The copy of a repository as it is, if there is one."""
    plain = without_credentials(url)
    place = _place(plain)
    return Mirror(place, plain) if _is_whole(place) else None


def of_file(path: Path, name: str, url: str) -> Mirror:
    """The copy of a git bundle that never changes, under a name that says which one it is."""
    place = folder() / f"{name}.git"
    with _locked(place):
        if not _is_whole(place):
            _make(str(path), place)
    return Mirror(place, url)


def _place(plain: str) -> Path:
    return folder() / f"{hashlib.sha256(plain.encode()).hexdigest()[:32]}.git"


def is_hash(text: str) -> bool:
    """Whether this is the whole hash of a commit."""
    return _HASH.fullmatch(text) is not None


def remove(url: str) -> None:
    """Forget the copy of a repository."""
    place = _place(without_credentials(url))
    if place.exists():
        with _locked(place):
            shutil.rmtree(place, ignore_errors=True)


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────


def tags(mirror: Mirror) -> dict[str, str]:
    """Every tag with the hash of its commit; a tag on something else is left out."""
    done = _read(
        mirror,
        "for-each-ref",
        "--format=%(refname:strip=2) %(objecttype) %(objectname) %(*objecttype) %(*objectname)",
        "refs/tags",
    )
    found = {}
    for line in done.splitlines():
        name, *fields = line.split(" ")
        kinds = dict(zip(fields[0::2], fields[1::2], strict=False))
        if "commit" in kinds:
            found[name] = kinds["commit"]
    return found


def dates(mirror: Mirror) -> dict[str, str]:
    """The date of every tag, as ISO 8601 writes it."""
    lines = _read(
        mirror, "for-each-ref", "--format=%(creatordate:iso-strict) %(refname:strip=2)", "refs/tags"
    )
    return {name: date for date, _, name in (line.partition(" ") for line in lines.splitlines())}


def branches(mirror: Mirror) -> tuple[str, ...]:
    """The names of the branches."""
    return tuple(_read(mirror, "for-each-ref", "--format=%(refname:strip=2)", "refs/heads").splitlines())


def commit(mirror: Mirror, ref: str) -> str | None:
    """The hash of the commit that a tag, a branch, a hash or `git describe` names; None if there is none."""
    if not ref or ref.startswith("-") or not ref.isprintable():
        return None
    for name in (f"refs/tags/{ref}", f"refs/heads/{ref}", ref):
        done = _git(mirror, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
    return None


def fetch_commit(mirror: Mirror, url: str, wanted: str) -> bool:
    """Ask for a commit that no branch or tag leads to any more; whether it is here now."""
    if not _HASH.fullmatch(wanted):
        return False
    if commit(mirror, wanted) is None:
        with _locked(mirror.folder), suppress(subprocess.TimeoutExpired):
            _remote(
                url,
                mirror.folder,
                "fetch",
                "--quiet",
                "--no-tags",
                without_credentials(url),
                wanted,
                timeout=_FETCH,
            )
    return commit(mirror, wanted) is not None


def describe(mirror: Mirror, at: str) -> str:
    """What git calls a commit: its tag, or the nearest one with the distance, or a part of its hash."""
    return _read(mirror, "describe", "--tags", "--always", at).strip()


def is_ancestor(mirror: Mirror, one: str, other: str) -> bool:
    """Whether the history of `other` holds the commit `one`."""
    return _git(mirror, "merge-base", "--is-ancestor", one, other).returncode == 0


def files(mirror: Mirror, at: str) -> dict[str, tuple[str, str]]:
    """Every file of a commit with its mode and the hash of its content; a submodule has mode 160000."""
    found = {}
    for entry in _bytes(mirror, "ls-tree", "-r", "-z", "--full-tree", at).split(b"\0"):
        if entry:
            fields, _, path = entry.partition(b"\t")
            mode, _, content = fields.decode().split(" ")
            found[os.fsdecode(path)] = (mode, content)
    return found


def content(mirror: Mirror, blob: str) -> bytes:
    """The content of a file by its hash."""
    return _bytes(mirror, "cat-file", "blob", blob)


def tree(mirror: Mirror, at: str) -> str:
    """The hash of everything in a commit."""
    return _read(mirror, "rev-parse", "--verify", "--end-of-options", f"{at}^{{tree}}").strip()


# ── checking out ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def checkout(mirror: Mirror, at: str) -> Iterator[Path]:
    """The files of a commit and of its submodules, in a folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="scaffold-template-") as scratch:
        place = Path(scratch, "template")
        place.mkdir()
        _write(mirror, at, place, depth=0)
        yield place


def _write(mirror: Mirror, at: str, place: Path, *, depth: int) -> None:
    index = place.with_name(f"{place.name}.index-{depth}")
    done = git.run(
        place,
        "read-tree",
        "-m",
        "-u",
        at,
        variables={
            "GIT_DIR": str(mirror.folder),
            "GIT_WORK_TREE": str(place),
            "GIT_INDEX_FILE": str(index),
        },
    )
    index.unlink(missing_ok=True)
    if done.returncode:
        _check_room(done, Path(tempfile.gettempdir()), "TMPDIR")
        raise ScaffoldError(f"{mirror.url} cannot be read at {at[:12]}: {git.reason(done)}")
    found = files(mirror, at)
    modules = {path: hash_ for path, (mode, hash_) in found.items() if mode == "160000"}
    if not modules:
        return
    if depth == _DEEPEST:
        raise ScaffoldError(f"{mirror.url} has submodules in submodules, more than {_DEEPEST} levels deep.")
    urls = _module_urls(mirror, found)
    for path, wanted in sorted(modules.items()):
        if path in urls:  # git passes over one without an address too
            url = relative(urls[path], mirror.url)
            check_module(url, mirror.url, path)
            module = opened(url, refresh=False)
            if commit(module, wanted) is None:
                module = opened(url)
            if not fetch_commit(module, url, wanted):
                raise ScaffoldError(
                    f"The submodule {path} of {mirror.url} has no commit {wanted[:12]} at {module.url}"
                    + (f": {module.stale}" if module.stale else ".")
                )
            (place / path).mkdir(parents=True, exist_ok=True)
            _write(module, wanted, place / path, depth=depth + 1)


_DEEPEST = 5


def _module_urls(mirror: Mirror, found: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    mode, blob = found.get(".gitmodules", ("", ""))
    if not mode.startswith("100"):
        return {}
    done = _git(mirror, "config", "--blob", blob, "--null", "--get-regexp", r"^submodule\..*\.(path|url)$")
    fields: dict[str, dict[str, str]] = {}
    for entry in done.stdout.split(b"\0"):
        key, _, value = os.fsdecode(entry).partition("\n")
        name, _, field = key.removeprefix("submodule.").rpartition(".")
        fields.setdefault(name, {})[field.lower()] = value
    return {each["path"]: each["url"] for each in fields.values() if {"path", "url"} <= set(each)}


def relative(url: str, parent: str) -> str:
    """A submodule's address, which may be relative to the address of what it is in."""
    if not url.startswith(("./", "../")):
        return url
    base = parent.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            base = base[: cut if base[cut] == "/" else cut + 1] if cut > 0 else base
            url = url[3:]
        else:
            url = url[2:]
    return f"{base}{url}" if base.endswith(":") else f"{base}/{url}"


def check_module(url: str, parent: str, path: str) -> None:
    """A template may name other servers, and folders of this machine only if it is in one itself."""
    if is_local(url) and not is_local(parent):
        raise ScaffoldError(f"The submodule {path} of {parent} is at {url}, a place on this machine.")
    if not is_local(url) and not is_remote(url):
        raise ScaffoldError(f"The submodule {path} of {parent} is at {url}, which is no address of a server.")


# ── addresses ──────────────────────────────────────────────────────────────────────────────────────────

_SCHEMES = ("https://", "http://", "ssh://", "git://", "git+ssh://")
_SCP = re.compile(r"(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?!//)[^\s:][^\s]*")


def is_remote(url: str) -> bool:
    """Whether this is the address of a repository on a server; none that starts a program is."""
    return url.startswith(_SCHEMES) or _SCP.fullmatch(url) is not None


def is_local(url: str) -> bool:
    """Whether this is a path, or a URL of one."""
    return url.startswith(("/", "file://"))


def without_credentials(url: str) -> str:
    """The address without a password, and over HTTP without a user's name: it goes into files and errors."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url
    kept = "" if parts.scheme in {"http", "https"} else user.partition(":")[0] + at
    return urlunsplit(parts._replace(netloc=kept + host))


def credentials(url: str) -> dict[str, str]:
    """The credentials in an address as a setting in git's environment: a process list shows arguments."""
    parts = urlsplit(url) if "://" in url else None
    if parts is None or "@" not in parts.netloc or parts.scheme not in {"http", "https"}:
        return {}
    login, _, host = parts.netloc.rpartition("@")
    user = unquote(login)
    basic = b64encode((user if ":" in user else f"{user}:").encode()).decode()
    server = urlunsplit(parts._replace(netloc=host, path="/", query="", fragment=""))
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }


# ── bringing up to date ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Listing:
    """What a server has: HEAD, as the branch that it stands for or else a hash, and every branch and tag."""

    head: str
    refs: Mapping[str, str]


def _list(url: str) -> _Listing:
    asking = sys.stdin.isatty() and sys.stderr.isatty()
    try:
        done = _remote(
            url,
            Path("/"),
            "ls-remote",
            "--symref",
            "--",
            without_credentials(url),
            "HEAD",
            "refs/heads/*",
            "refs/tags/*",
            timeout=_LOOK_ASKING if asking else _LOOK,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreachable(url, f"it did not answer within {error.timeout:.0f} seconds") from error
    if done.returncode:
        raise _unreachable(url, _said(done))
    head, refs = "", {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        value, _, name = line.partition("\t")
        if name == "HEAD":
            head = head or value.removeprefix("ref: ")
        elif not name.endswith("^{}"):
            refs[name] = value
    if not refs:
        raise ScaffoldError(f"{without_credentials(url)} is a repository without commits.")
    return _Listing(head, refs)


def _refs(place: Path) -> dict[str, str]:
    lines = _read(Mirror(place, ""), "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    return {name: value for value, _, name in (line.partition(" ") for line in lines)}


def _make(url: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{place.name}.", dir=place.parent) as scratch:
        made = Path(scratch, "new.git")
        _fetched(
            url,
            Path("/"),
            "clone",
            "--quiet",
            "--bare",
            "--no-local",
            "--template=",
            "--",
            without_credentials(url),
            str(made),
        )
        shutil.rmtree(place, ignore_errors=True)  # what is there is no whole copy
        made.rename(place)


def _bring(url: str, place: Path) -> None:
    for left in place.rglob("*.lock"):  # of a fetch that was killed: nobody else may be at it now
        left.unlink(missing_ok=True)
    _fetched(
        url,
        place,
        "--git-dir=.",
        "fetch",
        "--quiet",
        "--prune",
        "--no-auto-gc",
        "--",
        without_credentials(url),
        "+refs/heads/*:refs/heads/*",
        "+refs/tags/*:refs/tags/*",
    )


def _point(place: Path, head: str) -> None:
    """Let HEAD mean what it means on the server; its time is when this copy was last compared with it."""
    if head.startswith("refs/heads/"):
        git.run(place, "--git-dir=.", "symbolic-ref", "HEAD", head)
    elif _HASH.fullmatch(head):
        git.run(place, "--git-dir=.", "update-ref", "--no-deref", "HEAD", head)
    with suppress(OSError):
        (place / "HEAD").touch()


def _fetched(url: str, where: Path, *arguments: str) -> None:
    try:
        done = _remote(url, where, *arguments, timeout=_FETCH)
    except subprocess.TimeoutExpired as error:
        raise _unreachable(url, f"it did not deliver within {_FETCH // 60} minutes") from error
    if done.returncode:
        _check_room(done, folder(), "XDG_CACHE_HOME")
        raise _unreachable(url, _said(done))


def _remote(url: str, where: Path, *arguments: str, timeout: float) -> subprocess.CompletedProcess[bytes]:
    variables = credentials(url)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        variables["GIT_TERMINAL_PROMPT"] = "0"
    if not any(name in os.environ for name in ("GIT_SSH", "GIT_SSH_COMMAND")) and not _is_local_command(url):
        batch = "" if variables.get("GIT_TERMINAL_PROMPT") != "0" else " -o BatchMode=yes"
        variables["GIT_SSH_COMMAND"] = _SSH + batch
    settings = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60")
    return git.run_as_person(where, *settings, *arguments, variables=variables, timeout=timeout)


def _is_local_command(url: str) -> bool:
    """Whether no ssh is needed, or the person has settings of their own for it."""
    if is_local(url) or url.startswith(("http://", "https://", "git://")):
        return True
    return git.run_as_person(Path("/"), "config", "--get", "core.sshCommand").returncode == 0


_NO_ROOM = re.compile("No space left on device|Disk quota exceeded|unable to write file")


def _check_room(done: subprocess.CompletedProcess[bytes], place: Path, variable: str) -> None:
    """Raise an error where git failed to write on this machine, which is not the server's fault."""
    for line in done.stderr.decode("utf-8", "replace").splitlines():
        if not line.startswith("remote:") and (why := _NO_ROOM.search(line)):
            free = shutil.disk_usage(place).free // 10**6
            raise ScaffoldError(
                f"The template cannot be written to {place}, where {free} MB are free: {why[0]}.",
                f"Make room there, or set {variable} to a folder on another disk.",
            )


def _unreachable(url: str, why: str) -> Unreachable:
    plain = without_credentials(url)
    hint = f"Look at the address, and at what `git ls-remote {plain}` says."
    if "dubious ownership" in why:
        hint = (
            "It belongs to another user. If you trust it:"
            f" `git config --global --add safe.directory {plain.removeprefix('file://')}`."
        )
    return Unreachable(f"{plain} cannot be read: {why.rstrip('.')}.", hint)


_NOISE = re.compile(r"^(fatal|error|remote|warning|ERROR):\s*")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The line that says why, of several that git, ssh and a server wrote."""
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "ERROR:", "error:", "ssh:"))] or lines
    if not told:
        return f"git ended with exit code {done.returncode}"
    # "Could not read from remote repository" is what git adds to ssh's own words.
    best = next((line for line in lines if "Permission denied" in line or line.startswith("ssh:")), None)
    best = best or next((line for line in told if "Could not read from remote" not in line), told[0])
    return _NOISE.sub("", best)


def _is_whole(place: Path) -> bool:
    if not (place / "objects").is_dir():
        return False
    return git.run(place, "--git-dir=.", "rev-parse", "--is-bare-repository").stdout.strip() == b"true"


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Let one process at a time change a copy, and sweep what a killed one left."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = (place.with_suffix(".lock")).open("w")
    except OSError as error:
        raise ScaffoldError(
            f"{place.parent} cannot be used: {error.strerror}.", "Set XDG_CACHE_HOME to a folder of your own."
        ) from error
    with lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.parent.glob(f"{place.name}.*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield


# ── git ────────────────────────────────────────────────────────────────────────────────────────────────


def _git(mirror: Mirror, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return git.run(mirror.folder, "--git-dir=.", *arguments)


def _bytes(mirror: Mirror, *arguments: str) -> bytes:
    done = _git(mirror, *arguments)
    if done.returncode:
        raise ScaffoldError(
            f"The copy of {mirror.url} in {mirror.folder} cannot be read: {git.reason(done)}",
            f"Remove it, and it is fetched anew: `rm -rf {mirror.folder}`.",
        )
    return done.stdout


def _read(mirror: Mirror, *arguments: str) -> str:
    return _bytes(mirror, *arguments).decode("utf-8", "surrogateescape")
