"""Ask Docker Compose what compose.yaml means: interpolation, env_file, merges. We write no Compose parser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from scaffold import files
from scaffold.engine import plugins
from scaffold.engine.endpoint import chosen
from scaffold.errors import ProjectError, ScaffoldError
from scaffold.project.checkout import Checkout

if TYPE_CHECKING:
    from scaffold.stack.desired import Desired


PATIENCE = 120.0
"""Seconds for Compose, which may have to fetch an `include:` with git."""
_CONFIG = ("config", "--format", "json")
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
        self._resolved = ""
        self._hashing: subprocess.Popen[str] | None = None

    @classmethod
    def begin(cls, checkout: Checkout, environment: Mapping[str, str] | None = None) -> Self:
        """Start resolving; `environment` is the process's own by default."""
        # All profiles: a service that is switched off is not an orphan.
        arguments = ("--profile", "*", *_CONFIG)
        given = os.environ if environment is None else environment
        return cls(_asked(checkout, given, *arguments), checkout, given)

    def end(self) -> None:
        """Leave no process behind when the result is not wanted after all."""
        for process in filter(None, (self._process, self._hashing)):
            if process.poll() is None:
                # Its whole group: it may be waiting for a git that fetches an `include:`.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def begin_hashing(self) -> None:
        """Let Compose hash its services meanwhile: needed where a container is made, or was not made by us.

        It gets what it has resolved itself: of compose.yaml as it stands, its answer is wrong for a service
        with `env_file` (docker/compose issue 14001).
        """
        if self._hashing or not self._resolved:
            return
        # A pipe might fill up while nobody reads.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            file.write(self._resolved)
            file.seek(0)
            self._hashing = _asked(
                self._checkout,
                self._environment,
                *("--file", "-", "--project-directory", str(self._checkout.path), "--profile", "*"),
                *("config", "--hash", "*"),
                stdin=file.fileno(),
            )

    def hashes(self) -> dict[str, str]:
        """Return Compose's hash of each service; nothing where it does not say."""
        self.begin_hashing()
        if self._hashing is None:
            return {}
        try:
            output, _ = self._hashing.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return {}
        pairs = (line.rpartition(" ") for line in output.splitlines())
        return {name: value for name, _, value in pairs if re.fullmatch(r"[0-9a-f]{64}", value)}

    def result(self, profiles: tuple[str, ...] = ()) -> Desired:
        """Return the project. Raises ProjectError with Compose's own words when it cannot be read."""
        profiles = profiles or self._checkout.profiles
        code, output, complaints = self._answer()
        switched_off: Collection[str] = ()
        warnings: tuple[str, ...] = ()
        if complaints:  # most projects cause none, and what knows them takes long to import
            from scaffold.diagnose import compose as known

            if code and known.lacks_env_file(complaints) and "*" not in profiles:
                # Compose reads none of a service that is switched off: this is what it makes of the others.
                active = [word for name in profiles for word in ("--profile", name)]
                self._process = _asked(self._checkout, self._environment, *active, *_CONFIG)
                code, output, complaints = self._answer()
                switched_off = _services_in(self._checkout.config_files)
            warnings = known.warnings(complaints)
        if code in (-signal.SIGXCPU, -signal.SIGKILL) or (code and _EXHAUSTED.search(complaints)):
            raise _too_much(
                f"Compose needs more than {_SECONDS} seconds of the processor or {_MEMORY >> 30} GB for it"
            )
        if code != 0:
            raise _unusable(complaints, self._checkout)
        self._resolved = output
        try:
            read = self._read(output, profiles)
        except RecursionError as error:
            raise _too_much("it is nested too deep") from error
        present = {service.name for service in read.services}
        return replace(
            read,
            config_files=tuple(map(str, self._checkout.config_files)),
            inactive=tuple(sorted({*read.inactive, *switched_off} - present)),
            warnings=(*warnings, *read.warnings),
            compose_version=plugins.compose_version() if any(item.build for item in read.services) else "",
        )

    def _answer(self, given: str | None = None) -> tuple[int, str, str]:
        """Return exit code, output and complaints of Compose, which may be given a file on standard input.

        Raises ProjectError when it does not come to an end.
        """
        try:
            output, complaints = self._process.communicate(given, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise ProjectError(
                f"Docker Compose has not said within {PATIENCE:g} seconds what compose.yaml means.",
                "`docker compose config` shows what it waits for: a pipe that `env_file:`, `include:` or "
                "`extends:` names, or a git address that does not answer.",
            ) from None
        return self._process.returncode, output, complaints

    def _read(self, output: str, profiles: tuple[str, ...]) -> Desired:
        from scaffold.stack import desired

        document = _document(output)
        given = self._values(desired.variables(document))
        default = {**self._checkout.variables, **self._environment}.get("DOCKER_DEFAULT_PLATFORM", "")
        read = desired.read(document, str(self._checkout.path), profiles, given, default)
        secret = read.secret_files
        return read.with_secrets(
            lambda: [(name, _content(path)) for name, path in secret], {**self._checkout.variables, **given}
        )

    def _values(self, names: Collection[str]) -> dict[str, str]:
        """Return what secrets and configs take from variables, each byte as Compose gives it.

        The output of `config` has no values for them. A service on standard input that names them gets
        them, from the shell or from .env in whatever way that is written.
        """
        if not names:
            return {}
        probe = {"services": {"probe": {"image": "probe", "environment": sorted(names)}}}
        self._process = _asked(
            self._checkout,
            {**self._environment, "COMPOSE_PROFILES": ""},
            *("--file", "-", "--project-directory", str(self._checkout.path), "--project-name", "probe"),
            *_CONFIG,
            stdin=subprocess.PIPE,
        )
        code, output, complaints = self._answer(json.dumps(probe))
        if code:
            raise _unusable(complaints, self._checkout)
        services = _document(output)["services"]
        return {name: value for name, value in services["probe"]["environment"].items() if value is not None}


def _asked(
    checkout: Checkout, environment: Mapping[str, str], *arguments: str, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    """Return Compose on its way, in the checkout's folder whichever way led there."""
    process = subprocess.Popen(
        [*plugins.command("compose"), *arguments],
        cwd=checkout.path,
        # `${PWD}` in compose.yaml, and what is relative to it, is the project's folder for everybody.
        env=chosen().environment({**environment, "PWD": str(checkout.path)}),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",  # Compose knows no other, whatever the locale
        errors="replace",
        # Ctrl-C is for this program: a Compose that it ended would look like a wrong compose.yaml.
        # Nothing needs to end it with this program, and what would takes a slower way to start it.
        process_group=0,
    )
    _limit(process.pid)
    return process


def _document(output: str) -> Mapping[str, Any]:
    try:
        # `config` doubles each `$` of its output, in keys too, to protect it from a second interpolation.
        document = json.loads(output.replace("$$", "$"))
    except ValueError as error:
        raise ProjectError(f"Docker Compose's answer cannot be used: {files.why(error)}.") from error
    if not isinstance(document, Mapping):
        raise ProjectError("compose.yaml cannot be used: it describes nothing.")
    return document


def _services_in(paths: Collection[Path]) -> frozenset[str]:
    """Return the services that files name, switched on or off; an `include:` is not followed."""
    import yaml

    found: set[str] = set()
    for path in paths:
        with contextlib.suppress(yaml.YAMLError, OSError, ValueError, RecursionError):
            document = yaml.safe_load(files.text(path))
            services = document.get("services") if isinstance(document, Mapping) else None
            found.update(map(str, services) if isinstance(services, Mapping) else ())
    return frozenset(found)


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


def _unusable(complaints: str, checkout: Checkout) -> ScaffoldError:
    from scaffold.diagnose import compose as known
    from scaffold.stack import keys

    place = _no_yaml(checkout) if re.search(r"\byaml: |mapping values|cannot unmarshal", complaints) else None
    if place:
        return ProjectError(
            f"compose.yaml cannot be used: {place}.",
            f"Correct {place.partition(':')[0]}: look at its indentation.",
        )
    found = known.explained(complaints, str(checkout.path), keys.of_service())
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
