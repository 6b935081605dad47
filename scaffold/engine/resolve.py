"""Ask Docker Compose what compose.yaml means: interpolation, env_file, merges. We write no Compose parser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from scaffold import files
from scaffold.engine import plugins
from scaffold.engine.endpoint import chosen
from scaffold.errors import ProjectError, ScaffoldError
from scaffold.project.checkout import Checkout

if TYPE_CHECKING:
    from scaffold.stack.desired import Desired


PATIENCE = 120.0
"""Seconds for Compose, which may have to fetch an `include:` with git."""
_LARGEST = 16_384
"""Bytes that a secret has at most; what is larger is a bundle of certificates."""

# What Compose may use for a project; a usual one takes a tenth of a second and 50 MB.
_SECONDS = 10
_MEMORY = 2**30
_EXHAUSTED = re.compile(r"SIGXCPU|out of memory|cannot allocate memory")


class Resolving:
    """`docker compose config` on its way: started at once, so that imports run meanwhile."""

    def __init__(
        self, process: subprocess.Popen[str], checkout: Checkout, environment: Mapping[str, str]
    ) -> None:
        self._process = process
        self._environment = environment
        self._checkout = checkout

    @classmethod
    def begin(cls, checkout: Checkout, environment: Mapping[str, str] | None = None) -> Self:
        """Start resolving; `environment` is the process's own by default."""
        # All profiles: a service that is switched off is not an orphan.
        arguments = ("--profile", "*", "config", "--format", "json")
        process = subprocess.Popen(
            [*plugins.command("compose"), *arguments],
            cwd=checkout.path,
            env=chosen().environment(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C is for this program: a Compose that it ended would look like a wrong compose.yaml.
            # Nothing needs to end it with this program, and what would takes a slower way to start it.
            process_group=0,
        )
        _limit(process.pid)
        return cls(process, checkout, environment or os.environ)

    def end(self) -> None:
        """Leave no process behind when the result is not wanted after all."""
        if self._process.poll() is None:
            # Its whole group: it may be waiting for a git that fetches an `include:`.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()

    def result(self, profiles: tuple[str, ...] = ()) -> Desired:
        """Return the project. Raises ProjectError with Compose's own words when it cannot be read."""
        try:
            output, complaints = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise ProjectError(
                f"Docker Compose has not said within {PATIENCE:g} seconds what compose.yaml means.",
                "`docker compose config` shows what it waits for: a pipe that `env_file:`, `include:` or "
                "`extends:` names, or a git address that does not answer.",
            ) from None
        code = self._process.returncode
        if code in (-signal.SIGXCPU, -signal.SIGKILL) or (code and _EXHAUSTED.search(complaints)):
            raise _too_much(
                f"Compose needs more than {_SECONDS} seconds of the processor or {_MEMORY >> 30} GB for it"
            )
        if code != 0:
            raise _unusable(complaints, self._checkout)
        try:
            return self._read(output, profiles)
        except RecursionError as error:
            raise _too_much("it is nested too deep") from error

    def _read(self, output: str, profiles: tuple[str, ...]) -> Desired:
        from dataclasses import replace

        from scaffold.stack import desired

        try:
            document = _plain(json.loads(output))
        except ValueError as error:
            raise ProjectError(f"Docker Compose's answer cannot be used: {files.why(error)}.") from error
        if not isinstance(document, Mapping):
            raise ProjectError("compose.yaml cannot be used: it describes nothing.")
        read = desired.read(
            document,
            str(self._checkout.path),
            profiles or self._checkout.profiles,
            self._checkout.variables | dict(self._environment),
        )
        secret = read.secret_files
        read = read.with_secrets(
            lambda: [(name, _content(path)) for name, path in secret], self._checkout.variables
        )
        return replace(read, config_files=tuple(map(str, self._checkout.config_files)))


def _limit(process: int) -> None:
    """Bound a process: a stranger's few aliases can stand for thousands of millions of values."""
    import resource

    if not hasattr(resource, "prlimit"):
        return  # it exists on Linux only
    with contextlib.suppress(OSError, ValueError):  # it has ended, or is bounded already
        resource.prlimit(process, resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 1))
        resource.prlimit(process, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def _too_much(why: str) -> ProjectError:
    return ProjectError(
        f"compose.yaml cannot be used: {why}.",
        "Look in it, and in what it includes, for aliases (`*name`) of lists of aliases, and for brackets.",
    )


def _content(path: str) -> str:
    """Return what is in a secret's file; nothing where it is missing, or too large to be one."""
    try:
        # Nobody may write into a pipe that stands there.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            content = file.read(_LARGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return ""
    return content.decode(errors="surrogateescape") if len(content) <= _LARGEST else ""


def _plain(value: object) -> object:
    """Undo the `$$` with which `config` protects its output from a second interpolation."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _unusable(complaints: str, checkout: Checkout) -> ScaffoldError:
    from scaffold.stack import complaints as known
    from scaffold.stack.request import KEYS

    place = _no_yaml(checkout) if re.search(r"\byaml: |mapping values|cannot unmarshal", complaints) else None
    if place:
        return ProjectError(
            f"compose.yaml cannot be used: {place}.",
            f"Correct {place.partition(':')[0]}: look at its indentation.",
        )
    found = known.explained(complaints, str(checkout.path), KEYS)
    return ProjectError(f"compose.yaml cannot be used: {found.message}.", found.hint)


def _no_yaml(checkout: Checkout) -> str | None:
    """Return where a file is not YAML: Compose counts lines from the begin of a block, not of the file."""
    import yaml

    for path in checkout.config_files:
        try:
            yaml.safe_load(files.text(path))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{path.name}, line {mark.line + 1}" if mark else path.name
            return f"{where}: {error.problem}"
        except (yaml.YAMLError, OSError, ValueError, RecursionError):
            continue
    return None
