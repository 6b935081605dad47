"""Build one image with `docker buildx build` and report each step; on failure say which step and why.

The SDK knows no BuildKit. Nothing is decided here about whether to build: that is the plan's business.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import posixpath
import re
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scaffold import files
from scaffold.diagnose.cause import Cause, Verdict, first
from scaffold.diagnose.log import headline
from scaffold.dockercli import buildx
from scaffold.engine import children, plugins
from scaffold.engine.build import context
from scaffold.engine.endpoint import chosen, settings
from scaffold.errors import (
    BuildFailed,
    EngineError,
    EngineUnavailable,
    Interrupted,
    ProjectError,
    ScaffoldError,
)
from scaffold.stack.desired import Build
from scaffold.stack.secrets import hide, is_secret, masked

OLDEST_BUILDX = (0, 13)
"""The first one with --progress=rawjson."""
_EVIDENCE = 20
"""Lines of the failing step's output that an error carries."""
_PATIENCE = 10
"""Seconds that a cancelled build has for ending by itself."""


@dataclass(frozen=True)
class StepStarted:
    """A step began; BuildKit starts some again after they were done."""

    id: str
    name: str


@dataclass(frozen=True)
class StepOutput:
    """One line that the step printed."""

    id: str
    line: str


@dataclass(frozen=True)
class BuildWarning:
    text: str


BuildEvent = StepStarted | StepOutput | BuildWarning


@dataclass(frozen=True)
class Options:
    """What a person or the caller adds to a build."""

    labels: tuple[tuple[str, str], ...] = ()
    """For the image, beside its own: com.docker.compose.project and .service, as Compose puts them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The project's variables, for secrets that name one; those of this process win."""
    loaded_as: str = ""
    """The one name that the image has until its own are put upon it; empty, it has its own at once."""
    overhear: Callable[[str], object] = lambda _text: None
    """Gets all that the build says, as it says it."""


def build(
    image: str,
    build: Build,
    report: Callable[[BuildEvent], None],
    options: Options = Options(),
    *,
    process_hook: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> None:
    """Build the image, load it into the engine and remember what it was made from.

    `build` has been through `context.read_all`. `process_hook` gets the process, for terminating it from
    another thread. Raises BuildFailed with the step that failed and the last lines of its output.
    """
    environment = {**options.environment, **os.environ}
    secret = _Secrets.of(build, environment)
    log = _Log(report, secret.hide, options.overhear)
    with tempfile.TemporaryFile() as inline, _sent(build) as sent:
        inline.write((sent.inline or "").encode(errors="surrogateescape"))
        inline.seek(0)
        named = replace(sent, tags=()) if options.loaded_as else sent
        words = buildx.arguments(options.loaded_as or image, named, options.labels, secret.arguments)
        command = [*plugins.command("buildx"), "build", "--progress=rawjson", *words]
        process = subprocess.Popen(
            command,
            stdin=inline,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=chosen().environment({**os.environ, **secret.variables, **secret.arguments})
            | {"BUILDX_GIT_INFO": "false"},
            # Ctrl-C reaches this program, which then ends the build in an orderly way.
            **children.ours_alone(),
        )
        with process:
            try:
                if process_hook:
                    process_hook(process)
                assert process.stderr is not None
                for record in _records(process.stderr, log.text):
                    log.take(record)
                code = process.wait()
            except BaseException:
                _end(process)
                raise
    if code != 0:
        raise _failure(image, build, log, code)
    context.remember(build)


@contextlib.contextmanager
def _sent(build: Build) -> Iterator[Build]:
    """Make what keeps files out of the build that no ignore file keeps out, and remove it at the end."""
    if not buildx.is_filtered(build):
        yield build
        return
    with tempfile.TemporaryDirectory(prefix="scaffold-build-") as folder:
        sent = buildx.filtered(build, folder)
        if build.withheld:
            text = build.inline
            copy = Path(sent.dockerfile)
            if text is None:
                copy.write_bytes(Path(buildx.dockerfile_path(build)).read_bytes())
            else:
                copy.write_bytes(text.encode(errors="surrogateescape"))
            rules = Path(build.ignore_file).read_bytes() if build.ignore_file else b""
            added = "".join(f"{buildx.ignored(path)}\n" for path in build.withheld)
            own = copy.with_name(f"{copy.name}.dockerignore")
            own.write_bytes(rules + b"\n" + added.encode(errors="surrogateescape"))
        for name, source, withheld in build.withheld_from:
            _copy_without(source, f"{folder}/{name}", {f"{source}/{path}" for path in withheld})
        yield sent


def _copy_without(source: str, target: str, withheld: Collection[str]) -> None:
    def left_out(folder: str, found: list[str]) -> set[str]:
        return {name for name in found if f"{folder}/{name}" in withheld}

    shutil.copytree(source, target, symlinks=True, ignore=left_out, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk
        shutil.copy2(source, target, follow_symlinks=False)


def used(build: Build, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values that the steps of a build get to see: secret mounts and secret arguments."""
    secret = _Secrets.of(build, {**environment, **os.environ})
    return (*secret.values, *secret.arguments.values())


@dataclass(frozen=True)
class _Secrets:
    """Values that must not be seen: in the list of processes, in the output, in an error."""

    arguments: Mapping[str, str]
    variables: Mapping[str, str]
    """What build secrets name of the project's variables; no other one reaches buildx."""
    values: tuple[str, ...]

    @staticmethod
    def of(build: Build, environment: Mapping[str, str]) -> _Secrets:
        hidden = {
            name: value for name, value in build.args if value is not None and masked(name, value) != value
        }
        values = {value for name, value in hidden.items() if is_secret(name)}
        variables = {}
        for secret in build.secrets:
            if secret.environment is not None:
                if secret.environment not in environment:
                    raise ProjectError(
                        f"The build secret {secret.id} needs the variable {secret.environment}, "
                        "which is not set.",
                        f"Set {secret.environment} in .env.",
                    )
                variables[secret.environment] = environment[secret.environment]
                values.add(environment[secret.environment])
            elif secret.file is not None:
                values |= _secret_lines(secret.id, Path(secret.file), environment)
        # Shorter ones are in every other line by chance; hiding them tells more than it hides.
        return _Secrets(
            hidden, variables, tuple(sorted((v for v in values if len(v) > 3), key=len, reverse=True))
        )

    def hide(self, text: str) -> str:
        return hide(text, self.values)


def _secret_lines(name: str, path: Path, environment: Mapping[str, str]) -> set[str]:
    """Return the lines of a secret file that is small enough to be a secret; a CA bundle is not."""
    try:
        if not path.is_file() or path.stat().st_size > 16_384:
            path.stat()
            return set()
        return {line.strip() for line in path.read_text(errors="replace").splitlines()}
    except FileNotFoundError:
        named = [key for key, value in sorted(environment.items()) if value == str(path)]
        raise ProjectError(
            f"The file of the build secret {name} does not exist: {path}.",
            f"Correct {named[0]} in .env (or where else it is set), or remove it."
            if named
            else "Create it, or correct its path in compose.yaml.",
        ) from None
    except OSError as error:
        raise ProjectError(f"Cannot read the build secret {name}, {path}: {error.strerror}.") from error


def _records(stream: Iterable[bytes], text: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects, one a line (buildx ≥ 0.14) or spread over lines (0.13); the rest is `text`."""
    open_lines: list[str] = []
    for raw in stream:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if open_lines:
            open_lines.append(line)
            if line == "}":
                yield json.loads("\n".join(open_lines))
                open_lines = []
        elif line == "{":
            open_lines = [line]
        elif line.startswith('{"'):
            yield json.loads(line)
        else:
            text(line)
    for line in open_lines:
        text(line)


@dataclass
class _Vertex:
    name: str
    started: bool = False
    error: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_EVIDENCE))
    partial: dict[int, str] = field(default_factory=dict)


class _Log:
    """Turns buildx's records into events and keeps what an error will need."""

    def __init__(
        self,
        report: Callable[[BuildEvent], None],
        hide: Callable[[str], str],
        overhear: Callable[[str], object],
    ) -> None:
        self._report = report
        self.hide = hide
        self._overhear = overhear
        self.vertices: dict[str, _Vertex] = {}
        self.lines: deque[str] = deque(maxlen=200)
        self.is_empty = True

    def text(self, line: str) -> None:
        self.lines.append(self.hide(line))

    def take(self, record: Mapping[str, Any]) -> None:
        self.is_empty = False
        # One record can end a step and start it again: the last word counts.
        latest = {item["digest"]: item for item in record.get("vertexes") or ()}
        for digest, item in latest.items():
            vertex = self.vertices.setdefault(digest, _Vertex(self.hide(item["name"])))
            self._overhear(item["name"])
            if item.get("started") and not vertex.started:
                vertex.started = True
                self._report(StepStarted(digest, vertex.name))
            if item.get("completed") and vertex.started:
                self._flush(digest, vertex)
                vertex.started = False
                vertex.error = self.hide(item.get("error") or "")
        for item in record.get("logs") or ():
            vertex = self.vertices.setdefault(item["vertex"], _Vertex(""))
            self._output(item["vertex"], vertex, item.get("stream", 1), base64.b64decode(item["data"]))
        for item in record.get("warnings") or ():
            self._report(BuildWarning(self.hide(base64.b64decode(item["short"]).decode(errors="replace"))))

    def _output(self, digest: str, vertex: _Vertex, stream: int, data: bytes) -> None:
        text = vertex.partial.get(stream, "") + data.decode(errors="replace")
        *whole, vertex.partial[stream] = text.split("\n")
        for line in whole:
            self._line(digest, vertex, line)

    def _flush(self, digest: str, vertex: _Vertex) -> None:
        for line in vertex.partial.values():
            if line:
                self._line(digest, vertex, line)
        vertex.partial.clear()

    def _line(self, digest: str, vertex: _Vertex, line: str) -> None:
        self._overhear(line)
        # A progress bar writes over itself; what stands there at the end is the line.
        shown = self.hide(line.rstrip("\r").rpartition("\r")[2])
        vertex.tail.append(shown)
        self._report(StepOutput(digest, shown))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no build behind: ask it to stop, which makes the daemon cancel, and wait for it."""
    process.terminate()
    try:
        process.communicate(timeout=_PATIENCE)  # reads on: a full pipe would keep it from ending
    except subprocess.TimeoutExpired:
        process.kill()


# buildx and BuildKit put every cause into one sentence and carry no code for it: the words are all there is.
_METADATA = "[internal] load metadata for "
_EXIT_CODE = re.compile(r"exit code: (\d+)")
_SYNTAX = re.compile(r"dockerfile parse error on line (\d+): (.*)")
_NO_STAGE = re.compile(r'target stage "?([^"\s]+)"? could not be found')
_BLANK = re.compile(r"base name \((\$\{?(\w+)\}?)\) should not be blank")
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_UNTRUSTED = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|x509: |self[- ]signed certificate|"
    r"unable to get (local )?issuer certificate|SSL certificate problem|UnknownIssuer",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"no such host|connection refused|i/o timeout|network is unreachable|TLS handshake timeout|"
    r"no route to host|deadline exceeded|server misbehaving|connection reset|"
    r"Temporary failure in name resolution|Name or service not known|Could not resolve host|EAI_AGAIN|"
    r"ENOTFOUND",
    re.IGNORECASE,
)
_ENGINE_GONE = re.compile(
    r"Cannot connect to the Docker daemon|code = Unavailable|error reading from server: EOF"
    r"|failed to dial gRPC|error during connect|[Ee]rror while dialing|^(unexpected )?EOF$"
)
_MEMORY = 137


def cancelled(image: str) -> Interrupted:
    """Return what a build ends with that was told to stop."""
    return Interrupted(f"{image}: the build was cancelled; the image is as it was before.")


def _failure(image: str, build: Build, log: _Log, code: int) -> ScaffoldError:
    last = next((line for line in reversed(log.lines) if line.startswith("ERROR: ")), "")
    error = last.removeprefix("ERROR: ").removeprefix("failed to solve: ")
    error = error or next((line for line in reversed(log.lines) if line), f"buildx ended with {code}")
    # The code is all that remains of one that was ended before Go's own handler stood.
    if code == -signal.SIGTERM:
        return cancelled(image)
    if _ENGINE_GONE.search(error):
        return EngineUnavailable(f"{image}: the engine went away during the build.", "Try `docker version`.")
    if error.endswith("context canceled"):
        return cancelled(image)
    if log.is_empty:
        return _not_started(image, error)
    # Of steps that ran side by side the others fail too, as cancelled.
    failed = [vertex for vertex in log.vertices.values() if vertex.error]
    vertex = next((item for item in failed if error.endswith(item.error)), failed[-1] if failed else None)
    frame = _frame(log.lines)
    if vertex is None:
        return _without_step(image, build, error, frame)
    if vertex.name.startswith(_METADATA):
        return _no_base(image, vertex, frame)
    step = _shortened(_instruction(vertex.name), 100)
    output = "\n".join((*vertex.tail, vertex.error))
    exit_code = _EXIT_CODE.search(vertex.error)
    missing = () if exit_code else _missing_sources(build, _instruction(vertex.name))
    if missing:
        return _not_in_context(image, build, step, missing[0], frame)
    cause = f"exit code {exit_code[1]}" if exit_code else _shortened(vertex.error, 200)
    said = f"{image}: build failed at step `{step}` ({cause})"
    why = first(_STEPS, output if exit_code else vertex.error)
    if exit_code and int(exit_code[1]) == _MEMORY:
        why = Verdict(
            "it was killed, mostly for want of memory", "Give the engine more memory, or build less at once."
        )
    if why is None:
        line = headline(vertex.tail) if exit_code else ""
        where = _line_of(build, vertex.name)
        why = Verdict(line, f"Correct {where}, or see all that it prints with `scaffold run --verbose`.")
    return BuildFailed(
        f"{said}: {why.message}." if why.message else f"{said}.",
        why.hint,
        evidence=tuple(vertex.tail) or frame,
    )


def _line_of(build: Build, vertex: str) -> str:
    """Return where the step stands: the Dockerfile, with the line where there is one like it alone."""
    file = "dockerfile_inline" if build.inline is not None else build.dockerfile
    text = build.inline
    if text is None:
        with contextlib.suppress(OSError, ValueError):
            text = files.text(buildx.dockerfile_path(build))
    begin = _instruction(vertex).split("\n")[0].rstrip("\\ ")
    found = [
        number for number, line in enumerate((text or "").splitlines(), 1) if line.strip().startswith(begin)
    ]
    return f"{file}, line {found[0]}" if begin and len(found) == 1 else f"the step in {file}"


def _not_started(image: str, error: str) -> ScaffoldError:
    """Return why buildx did not come to its first step; one that is too old says so in no stable words."""
    answer = subprocess.run([*plugins.command("buildx"), "version"], capture_output=True, text=True)
    found = re.search(r"\bv?(\d+)\.(\d+)\S*", answer.stdout)
    if found and (int(found[1]), int(found[2])) < OLDEST_BUILDX:
        return EngineError(
            f"buildx {found[0]} is too old: scaffold needs {'.'.join(map(str, OLDEST_BUILDX))} or newer.",
            "Install a newer one: the package docker-buildx-plugin of Docker's own packages, "
            "or docker-buildx of Debian and Ubuntu.",
        )
    return BuildFailed(f"{image}: the build did not start: {error}", "Try `docker buildx ls`.")


def _without_step(image: str, build: Build, error: str, frame: tuple[str, ...]) -> BuildFailed:
    where = "dockerfile_inline" if build.inline is not None else build.dockerfile
    if syntax := _SYNTAX.search(error):
        return BuildFailed(
            f"{image}: {where}, line {syntax[1]}: {syntax[2]}.", f"Correct {where}.", evidence=frame
        )
    if stage := _NO_STAGE.search(error):
        known = ", ".join(_stages(build)) or "none with a name"
        return BuildFailed(
            f'{image}: {where} has no stage "{stage[1]}".', f"Correct `target:`, or add it. Stages: {known}."
        )
    if blank := _BLANK.search(error):
        return BuildFailed(
            f"{image}: {where} begins with an image that has no name: {blank[1]} is empty.",
            f"Give {blank[2]} a value: `ARG {blank[2]}=…` before FROM, or `args:` under `build:`.",
            evidence=frame,
        )
    if not _NO_SPACE.search(error):
        return BuildFailed(f"{image}: build failed: {error}", None, evidence=frame)
    # buildx itself writes here: what it sends, and what it remembers.
    here = any(place in error for place in (str(settings()), tempfile.gettempdir()))
    whose, hint = ("this machine", "Make room.") if here else ("the Docker engine", _NO_SPACE_HINT)
    return BuildFailed(f"{image}: build failed: the disk of {whose} is full: {error}", hint, evidence=frame)


def _stages(build: Build) -> tuple[str, ...]:
    """Return the names of the Dockerfile's stages."""
    try:
        text = build.inline or Path(buildx.dockerfile_path(build)).read_text(errors="replace")
    except OSError:
        return ()
    return tuple(re.findall(r"(?im)^FROM\s.*\sAS\s+(\S+)\s*$", text))


def _no_base(image: str, vertex: _Vertex, frame: tuple[str, ...]) -> BuildFailed:
    base = vertex.name.removeprefix(_METADATA).removeprefix("docker.io/").removeprefix("library/")
    if _UNTRUSTED.search(vertex.error):
        why = "the engine does not trust the registry's certificate"
        hint = "Add your proxy's certificate to the machine's trust store and restart the engine."
    elif _UNREACHABLE.search(vertex.error):
        why = "it is not on this machine and the registry cannot be reached"
        hint = f"Check the network and the proxy with `docker pull {base}`; REGISTRY in .env names a mirror."
    else:
        why = "it does not exist, or needs `docker login`"
        hint = f"Check the name and tag with `docker pull {base}`."
    return BuildFailed(
        f"{image}: no base image {base}: {why}.", hint, evidence=(*frame, _shortened(vertex.error, 300))
    )


def _missing_sources(build: Build, instruction: str) -> tuple[str, ...]:
    """Return what a COPY or ADD step asks for and the context does not hold."""
    keyword, _, rest = instruction.partition(" ")
    flags = re.match(r"(--\S+\s+)*", rest)
    if keyword not in ("COPY", "ADD") or flags is None or "--from=" in flags[0]:
        return ()
    rest = rest[flags.end() :]
    # BuildKit prints the JSON form without its quotes.
    words = rest.strip("[]").split(", ") if rest.startswith("[") else rest.split()
    wanted = [posixpath.normpath(word).lstrip("/") for word in words[:-1] if not set("*?[:<") & set(word)]
    return tuple(
        name
        for name in wanted
        if name != "." and name not in build.files and not any(p.startswith(f"{name}/") for p in build.files)
    )


def _not_in_context(image: str, build: Build, step: str, name: str, frame: tuple[str, ...]) -> BuildFailed:
    if (Path(build.context) / name).exists():
        ignored_by = context.ignore_file(build)
        why, hint = (
            f"{name} is ignored by {ignored_by}",
            f"Add the line `!{name}` at the end of {ignored_by}.",
        )
    else:
        why = f"{name} does not exist in {build.context}"
        hint = "Create it, or correct the path; it counts from the build context."
    return BuildFailed(f"{image}: build failed at step `{step}`: {why}.", hint, evidence=frame)


_NO_SPACE_HINT = (
    "Free disk space: `docker system df` shows what takes it, `docker builder prune` frees build cache."
)

# What the programs of a step print before it fails; the more special ones come first.
_STEPS = (
    Cause(f"(?i){_NO_SPACE.pattern}", "the disk of the Docker engine is full", _NO_SPACE_HINT),
    Cause(
        f"(?i){_UNTRUSTED.pattern}",
        "a certificate is not trusted inside the build ({found})",
        "Name your proxy's certificate bundle in .env, e.g. CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt.",
    ),
    Cause(
        f"(?i){_UNREACHABLE.pattern}",
        "the step could not reach the network, or not resolve a name ({found})",
        "Check the network and its DNS, and HTTPS_PROXY behind a proxy; `scaffold doctor` looks closer.",
    ),
    Cause(
        r"No matching distribution found for (?P<name>[\w.\[\]-]+)",
        "there is no package {name} in the version asked for",
        "Check the spelling and the version of {name}.",
    ),
    Cause(
        r"(?s)DO NOT MATCH THE HASHES.*?\n\s*(?P<name>[\w.-]+)",
        "the lock file has other hashes than the package index ({name})",
        "Lock anew, and look at what changed.",
    ),
    Cause(
        r"npm (?:ERR!|error) 404\s+'?(?P<name>[^\s']+)'? is not in",
        "the npm registry has no {name}",
        "Check the spelling and the version of {name} in package.json.",
    ),
    Cause(
        r"package\.json and package-lock\.json[^\n]* (?:are not )?in sync",
        "package-lock.json does not fit package.json",
        "Run `npm install`, and commit package-lock.json.",
    ),
    Cause(
        r"E: Unable to locate package (?P<name>\S+)"
        r"|E: Package '(?P<other>[^']+)' has no installation candidate",
        "Debian has no package {name}{other}",
        "Check the spelling of the name; `apt-get update` has to stand in the same RUN step.",
    ),
    Cause(
        r"(?:ba|da)?sh: (?:line )?(?:\d+: )?(?P<name>[^\s:]+): (?:command )?not found",
        "{name}: not found",
        "The image has no {name}: install it in an earlier step, or correct the name.",
    ),
)


def _frame(lines: Iterable[str]) -> tuple[str, ...]:
    """Return buildx's excerpt of the Dockerfile, with `>>>` at the line that failed."""
    return tuple(line for line in lines if re.match(r"\s*\d+ \| ", line))[-_EVIDENCE:]


def _instruction(name: str) -> str:
    """Return `RUN make` for `[builder 3/5] RUN make`."""
    return re.sub(r"^\[[^\]]*\] ", "", name)


def _shortened(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
