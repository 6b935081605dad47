"""Run git so that nothing but git runs: no hook, filter, monitor or helper that a tree or a setting names.

The only place that starts git. A repository that git merely stands in may be a stranger's, and a person's own
settings can name programs that a stranger's `.gitattributes` would start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Given on the command line, these win over every file of settings, the repository's own among them.
_SETTINGS = (
    "advice.detachedHead=false",
    "commit.gpgSign=false",
    "core.alternateRefsCommand=",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "diff.external=",
    # No background process may still write into a folder that is about to be moved.
    "gc.auto=0",
    "init.defaultBranch=main",
    "init.templateDir=",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "tag.gpgSign=false",
)
_OPTIONS = ("--no-pager", *(part for setting in _SETTINGS for part in ("-c", setting)))

# What of git's own variables says who somebody is, or where the settings are. The rest of them, which git
# sets inside a hook among others, lead away from the folder that is meant, or start a program.
_IDENTITY = frozenset(f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL"))
_FILES = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CEILING_DIRECTORIES"}
)
# How a server is reached is the person's own choice.
_NETWORK = frozenset(
    {"GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_TERMINAL_PROMPT"}
)
_NETWORK_PREFIXES = ("GIT_HTTP_", "GIT_SSL_")

_NOWHERE = "/dev/null"


def is_installed() -> bool:
    """Whether there is a git to run."""
    return shutil.which("git") is not None


def run(
    folder: Path,
    *arguments: str,
    stdin: bytes | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
    held: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder with no settings but the repository's own, as far as these start nothing.

    Nobody is logged in, and no filter, driver or alias is defined outside the repository. A bare one has to
    be named: `run(folder, "--git-dir=.", …)`. `variables` are added to the environment. git keeps the open
    files `held`: a lock outlives the process that took it for as long as git writes.
    """
    environment = _environment(_IDENTITY | {"GIT_CEILING_DIRECTORIES"})
    environment |= {
        # A git before 2.32 knows no other way to have no settings than an empty home.
        "HOME": _NOWHERE,
        "XDG_CONFIG_HOME": _NOWHERE,
        "GIT_CONFIG_GLOBAL": _NOWHERE,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }
    return _run(folder, arguments, environment | dict(variables or {}), stdin, timeout, held)


def run_as_person(
    folder: Path,
    *arguments: str,
    stdin: bytes | None = None,
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git with the person's settings: identity, proxies, credentials, `insteadOf`, trusted folders.

    For what talks to a server or asks for a setting. It must not check files out or add them: the person's
    filters are defined here, and a stranger's tree says on which files they run.
    """
    environment = _environment(_IDENTITY | _FILES | _NETWORK)
    environment["GIT_ATTR_NOSYSTEM"] = "1"
    return _run(folder, arguments, environment | dict(variables or {}), stdin, timeout)


def person(folder: Path) -> dict[str, str]:
    """Who commits in the folder, as variables for `run`; a role that git cannot name is left out."""
    found: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        done = run_as_person(folder, "var", f"GIT_{role}_IDENT")
        if done.returncode == 0:
            name, _, rest = os.fsdecode(done.stdout).partition(" <")
            found |= {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": rest.partition(">")[0]}
    return found


def ignored_everywhere(folder: Path) -> str | None:
    """The person's own list of ignored files, wherever their settings put it."""
    done = run_as_person(folder, "config", "--type=path", "--get", "core.excludesFile")
    if done.returncode == 0:
        return os.fsdecode(done.stdout).strip() or None
    usual = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "git", "ignore")
    return str(usual) if usual.is_file() else None


def reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """What git says about its failure, on one line."""
    said = (done.stderr or done.stdout).decode("utf-8", "replace")
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"


def _environment(kept: frozenset[str]) -> dict[str, str]:
    prefixes = _NETWORK_PREFIXES if kept >= _NETWORK else ()
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in kept or name.startswith(prefixes or ("\0",))
    }


def _run(
    folder: Path,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    stdin: bytes | None,
    timeout: float | None,
    held: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ("git", *_OPTIONS, *arguments),
        cwd=folder,
        env={**environment, "LC_ALL": "C"},
        input=stdin or b"",
        capture_output=True,
        timeout=timeout,
        pass_fds=held,
        check=False,
    )
