"""Say whether git would take .env into a commit. Changes nothing: that is for `scaffold doctor --fix`."""

from __future__ import annotations

import shlex
import subprocess

from scaffold.generate import git
from scaffold.project.checkout import Checkout
from scaffold.stack import environment

_PATIENCE = 5.0
"""Seconds; a git that takes longer is not waited for."""


def state(checkout: Checkout) -> str:
    """Return `tracked` or `open` for an .env that git has or would add, else nothing."""
    if not git.is_installed():
        return ""
    try:
        if _says(checkout, "--cached"):
            return "tracked"
        return "open" if _says(checkout, "--others", "--exclude-standard") else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _says(checkout: Checkout, *arguments: str) -> bool:
    # The person's list of ignored files counts: it is what `git add` goes by.
    words = ("ls-files", *arguments, "--", environment.FILE)
    done = git.run_as_person(checkout.path, *words, timeout=_PATIENCE)
    return done.returncode == 0 and bool(done.stdout.strip())


def sentence(found: str) -> str:
    """Return what is said of it."""
    if found == "tracked":
        return ".env is in git, with this checkout's passwords: its history keeps them even when it goes."
    return "git does not ignore .env, which holds this checkout's passwords."


def mending(checkout: Checkout, found: str) -> str:
    """Return the command that keeps .env out of git from now on."""
    file = shlex.quote(str(checkout.path / ".gitignore"))
    lines = f"printf '\\n%s\\n' {environment.FILE} '{environment.DRAFT}*' >>{file}"
    if found == "tracked":
        return f"git -C {shlex.quote(str(checkout.path))} rm --quiet --cached {environment.FILE} && {lines}"
    return lines
