"""Which packages bring Docker on Debian and Ubuntu, from what apt knows. Decides, installs nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

# Docker's own packages first, where somebody has set them up; then the distribution's.
SETS = (
    ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"),
    ("docker.io", "docker-cli", "docker-buildx", "docker-compose"),
    ("docker.io", "docker-buildx", "docker-compose-v2"),
)
"""Debian 13 and later split the command off; Ubuntu calls the plugin docker-compose-v2."""
PLUGINS = {
    "compose": ("docker-compose-plugin", "docker-compose-v2", "docker-compose"),
    "buildx": ("docker-buildx-plugin", "docker-buildx"),
}
OLDEST = (25, 0)
MANUAL = "https://docs.docker.com/engine/install/"


def commands(system: Mapping[str, str], version_of: Callable[[str], str]) -> tuple[str, ...]:
    """Return the commands that install an engine, its command and its plugins; none where apt cannot.

    `system` is /etc/os-release, `version_of` gives the version that apt would install, or nothing.
    """
    if not {"debian", "ubuntu"} & {system.get("ID", ""), *system.get("ID_LIKE", "").split()}:
        return ()
    chosen = next((names for names in SETS if all(map(version_of, names))), None)
    if chosen is None or _number(version_of(chosen[0])) < OLDEST:
        return ()
    return (_install(*chosen, "iptables"),)


def plugin_command(plugin: str, version_of: Callable[[str], str]) -> tuple[str, ...]:
    """Return the command that installs a plugin of the docker command; none where apt does not have it.

    Debian's docker-compose was the old program in Python up to version 1.29.
    """
    for name in PLUGINS[plugin]:
        version = version_of(name)
        if version and not (name == "docker-compose" and _number(version) < (2, 0)):
            return (_install(name),)
    return ()


def _install(*names: str) -> str:
    command = f"apt-get install --yes --no-install-recommends {' '.join(names)}"
    return f"{sudo()}{command}"


def sudo() -> str:
    """Return what a command for root begins with."""
    return "" if os.geteuid() == 0 else "sudo "


def refresh() -> tuple[str, ...]:
    """Return the command without which a fresh machine's apt knows no packages."""
    lists = Path("/var/lib/apt/lists")
    known = lists.is_dir() and any(lists.glob("*_Packages*"))
    return () if known or not shutil.which("apt-get") else (f"{sudo()}apt-get update",)


def candidate(name: str) -> str:
    """Return the version of a package that apt would install, empty when it knows none."""
    if not shutil.which("apt-cache"):
        return ""
    done = subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True, env={"LC_ALL": "C"})
    lines = (line.strip() for line in done.stdout.splitlines())
    found = next((line.partition(": ")[2] for line in lines if line.startswith("Candidate: ")), "")
    return "" if found == "(none)" else found


def system() -> dict[str, str]:
    """Return /etc/os-release."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _number(version: str) -> tuple[int, int]:
    digits = version.rpartition(":")[2].split(".")
    # 1:2.38.1-5, and 2.39~rc1: what stands behind the digits is no number
    major, minor = (re.match(r"[0-9]{0,9}", part) for part in (*digits, "")[:2])
    return int(major[0] or 0) if major else 0, int(minor[0] or 0) if minor else 0
