"""Say why a container is not ready, from what it left behind: one cause, and one thing to do. Pure.

Programs and engines have no codes for most of this: their texts are all there is. They stand here as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from scaffold.diagnose.cause import Cause, Verdict, first, shortened
from scaffold.diagnose.log import headline, last_error, plain
from scaffold.stack.desired import Service
from scaffold.stack.secrets import masked, without, without_login

LOGS = "See `scaffold logs {service}`."


@dataclass(frozen=True)
class Program:
    """The file that a container should execute: where it is on this machine, and how it begins."""

    path: str
    source: str = ""
    """On this machine, when it is mounted."""
    begin: bytes | None = None
    """None when there is no such file."""


@dataclass(frozen=True)
class Evidence:
    """What is known about a container that did not become ready."""

    service: Service
    waiting: str
    """What the waiting for it ended with."""
    services: tuple[str, ...] = ()
    """All of the project, by name."""
    databases: tuple[str, ...] = ()
    """Those of them that are database servers."""
    limits: tuple[str, ...] = ()
    """Volumes and tmpfs mounts of a limited size, as `size=1m of /data`."""
    ended: bool = False
    exits: int = 0
    exit_code: int = 0
    out_of_memory: bool = False
    log: tuple[str, ...] = ()
    answer: int | None = None
    """The last HTTP status that the ready path gave."""
    listening: tuple[tuple[str, int], ...] | None = None
    """Addresses and ports inside the container; None when they could not be read."""
    health: str | None = None
    """What the failing health check printed; None without a failing one."""
    program: Program | None = None
    """The file that could not be executed."""


def explain(evidence: Evidence) -> Verdict:
    """Return the verdict on a container; the values of secret variables are hidden in it."""
    found = _explain(evidence)
    hidden = evidence.service.hidden
    return Verdict(without(found.message, hidden), without(found.hint, hidden))


def _explain(evidence: Evidence) -> Verdict:
    if evidence.health is not None:
        return _unhealthy(evidence)
    if evidence.ended:
        return _ended(evidence)
    if evidence.answer is not None:
        return _answers(evidence)
    if evidence.service.ready_path and evidence.service.ports and evidence.listening is not None:
        return _deaf(evidence, evidence.listening)
    return _with_log(evidence, evidence.waiting.rstrip("."))


# What programs print before they end.
_CAUSES = (
    Cause(
        r"can't find '__main__' module in '(?P<path>/[^']+)'",
        "{path} is a folder: the file was not there when it was mounted, so Docker made a folder",
        "Remove it with `rmdir {host_path}`, put the file there, and start anew with "
        "`scaffold run --recreate`.",
    ),
    Cause(
        r"(?:can't open file|Cannot find module) '(?P<path>/[^']+)'.*",
        "",
        "{path} is not in the container: copy it into the image, mount it with `volumes:`, or correct "
        "`command:` of services.{service}.",
    ),
    Cause(
        r"ModuleNotFoundError: No module named '(?P<name>[^']+)'",
        "",
        "Add {name} to the file that the image installs from, and run again; where that is a lock, as "
        "requirements.lock or uv.lock, adding it to pyproject.toml is not enough: lock anew.",
    ),
    Cause(
        r"Cannot find (?:module|package) '(?P<name>[^']+)'",
        "",
        "Add {name} to package.json (`npm install {name}`) and run again; the image is built anew.",
    ),
    Cause(
        r'File "(?P<file>[^"]+)", line (?P<line>\d+)\n(?:.*\n){0,4}?'
        r"(?P<what>(?:Syntax|Indentation|Tab)Error: .*)",
        "{what} in {file}, line {line}",
        "Correct {file}, line {line}, and run again.",
    ),
    Cause(
        r"^(?P<file>(?:file://)?/\S+):(?P<line>\d+)\n(?:.*\n){0,6}?(?P<what>SyntaxError: .*)",
        "{what} in {file}, line {line}",
        "Correct {file}, line {line}, and run again.",
    ),
    Cause(
        r"KeyError: '(?P<name>[A-Z][A-Z0-9_]+)'",
        "the variable {name} is not set ({found})",
        "Add {name} to `environment:` of services.{service}, for example from .env.",
    ),
    Cause(
        r"(?i).*no space left on device.*",
        "the disk is full ({found})",
        "Make room, for example with `docker builder prune`; `docker system df` shows what takes it.",
    ),
    Cause(
        r"(?i)(?:.*)read-only file system:? ?'?(?P<path>/[^'\s]*).*",
        "",
        "`read_only` keeps the program from writing {path}: give services.{service} a place for it, such as "
        "`tmpfs: [{folder}]`, or a volume.",
    ),
    Cause(
        r"(?i).*(?:permission denied|EACCES)\b.*?'(?P<path>/[^']+)'.*"
        r"|(?:\S+: )?(?P<other>/\S+): Permission denied",
        "",
        "The container runs as {user}, who may not use that file: let the Dockerfile `chown` it, or correct "
        "`user:` of services.{service}.",
    ),
    Cause(
        r".*(?:\[Errno 1\]|EPERM|[Oo]peration not permitted).*",
        "",
        "The container lacks a capability for that: see `cap_drop:` of services.{service}, and allow what it "
        "needs with `cap_add:`.",
    ),
    Cause(
        r"(?:ba|da|a)?sh: (?:line )?(?:\d+: )?(?P<name>[^\s:]+): (?:command )?not found",
        "{name}: not found",
        "{name} is not in the image: install it there, or correct `command:` of services.{service}.",
    ),
    Cause(
        r"(?i).*(?:EADDRINUSE|address already in use).*",
        "address already in use inside the container, where port {ports} is expected ({found})",
        "Two of its processes want the same port: start only one, or give the second another port.",
    ),
    Cause(
        r"(?P<path>\S+): exec format error",
        "exec format error: {path} is for another processor than this machine's, or a script without its "
        "first line",
        "Build or pull the image for this machine, or begin the script with `#!/bin/sh`.",
    ),
    Cause(r"ERROR:  .*", "", LOGS),
)

_UNRESOLVED = re.compile(
    r"(?i)could not translate host name|getaddrinfo|Name or service not known|gaierror|ENOTFOUND|EAI_AGAIN|"
    r"Temporary failure in name resolution|no such host|nodename nor servname|could not resolve|"
    r"No address associated"
)
_REFUSED = re.compile(r"(?i)connection refused|ECONNREFUSED|could not connect|can't connect")
_NOT_EXECUTED = re.compile(r"exec (?P<path>\S+) failed: (?P<why>No such file or directory|Permission denied)")
_SIGNALS = {
    132: "SIGILL, an instruction that this processor does not have",
    134: "SIGABRT",
    136: "SIGFPE",
    137: "SIGKILL",
    139: "SIGSEGV, a segmentation fault",
    143: "SIGTERM",
}


def program_of(log: Sequence[str]) -> str | None:
    """Return the program that a container's init could not execute."""
    found = _NOT_EXECUTED.search("\n".join(log))
    return found["path"] if found else None


def _ended(evidence: Evidence) -> Verdict:
    service = evidence.service
    if evidence.out_of_memory:
        return _memory(service)
    fact = evidence.waiting.rstrip(".")
    if not service.one_shot:
        times = f" {evidence.exits} times" if evidence.exits > 1 else ""
        fact = f"{service.name} exited{times} with code {evidence.exit_code} before it was ready"
    if evidence.program is not None:
        cause = unexecuted(service, evidence.program)
        return Verdict(f"{fact}: {cause.message}.", cause.hint)
    signal = _SIGNALS.get(evidence.exit_code)
    named = _named(evidence)
    if named is None and signal:
        more = " The memory of the machine may have run out." if evidence.exit_code == 137 else ""
        return Verdict(f"{fact}: killed by {signal}.", f"{LOGS.format(service=service.name)}{more}")
    if named is None and evidence.exit_code == 0:
        return Verdict(
            f"{fact}: its program ended by itself.",
            f"A service goes on running: check `command:` of services.{service.name}, or the image's.",
        )
    return _with_log(evidence, fact)


def _anew(service: Service) -> str:
    """Return how a running program whose files are mounted gets to see that they changed."""
    mounted = any(bind.startswith("/") for bind in _texts(_host(service).get("Binds")))
    return " Its files are mounted, so start it anew: `scaffold run --recreate`." if mounted else ""


def _memory(service: Service) -> Verdict:
    limit = _host(service).get("Memory")
    if isinstance(limit, int) and limit > 0:
        return Verdict(
            f"{service.name} was killed: out of memory, its limit is {limit // 2**20} MB.",
            f"Raise `mem_limit` (or `deploy.resources.limits.memory`) of services.{service.name}.",
        )
    return Verdict(
        f"{service.name} was killed: out of memory, the machine's own.",
        "Stop other containers, or give the engine more memory; `docker stats` shows who has it.",
    )


def unexecuted(service: Service, program: Program) -> Verdict:
    """Return why a program cannot be executed, from how its file begins."""
    path, here = program.path, program.source or program.path
    where = "" if program.source else " in the Dockerfile"
    if program.begin is None:
        return Verdict(
            f"{path} is not found in the container",
            f"Correct `command:` or `entrypoint:` of {service.name}, or install {path} in the image.",
        )
    line = program.begin.split(b"\n", 1)[0]
    if line.startswith(b"#!") and line.endswith(b"\r"):
        return Verdict(
            f"{path} has Windows line ends, so its interpreter is not found",
            f"Give it Unix line ends with `sed -i 's/\\r$//' {here}`{where}; .gitattributes can keep them.",
        )
    if line.startswith(b"#!"):
        interpreter = line[2:].decode(errors="replace").strip()
        return Verdict(
            f"{path} cannot be executed: no permission for it, or its interpreter {interpreter} is missing",
            f"Try `chmod +x {here}`{where}; otherwise install {interpreter} in the image.",
        )
    return Verdict(
        f"{path} cannot be executed: no permission for it",
        f"Make it executable with `chmod +x {here}`{where}.",
    )


def _answers(evidence: Evidence) -> Verdict:
    service = evidence.service
    if evidence.answer is not None and evidence.answer < 500:
        hint = (
            f"Correct the path in the label `dev.scaffold.ready` of services.{service.name}, or let the "
            f"program answer it with 200.{_anew(service)}"
        )
        return Verdict(evidence.waiting, hint)
    return _with_log(evidence, evidence.waiting.rstrip("."))


def _deaf(evidence: Evidence, listening: tuple[tuple[str, int], ...]) -> Verdict:
    """Return why nothing answers at the published port, from where the container listens."""
    service = evidence.service
    wanted = service.ports[0].target
    here = sorted(address for address, port in listening if port == wanted)
    others = sorted({port for _, port in listening} - {wanted})
    if here and all(address in ("127.0.0.1", "::1") for address in here):
        return Verdict(
            f"{service.name} listens on {here[0]}:{wanted} only, which nobody outside its container reaches.",
            f"Let its server listen on 0.0.0.0 (an option or a variable such as HOST).{_anew(service)}",
        )
    if here:
        return Verdict(
            f"{service.name} accepts connections on port {wanted}, but does not answer "
            f"GET {service.ready_path}.",
            f"It hangs, or waits for something. {LOGS.format(service=service.name)}{_anew(service)}",
        )
    if others:
        ports = ", ".join(map(str, others))
        return Verdict(
            f"{service.name} listens on port {ports}, but port {wanted} is the published one.",
            f"Publish the port that it has, `…:{others[0]}` in `ports:` of services.{service.name}, or let "
            f"it listen on {wanted}.",
        )
    fact = f"{service.name} runs, but listens on no port; {wanted} is expected"
    return _with_log(evidence, fact)


def _unhealthy(evidence: Evidence) -> Verdict:
    service = evidence.service
    command = " ".join(_health_command(service))
    said = f" {shortened(evidence.health)}" if evidence.health else " it exits with an error"
    missing = re.search(
        r'"([^"\s]+)": executable file not found|(\S+): (?:command )?not found', evidence.health or ""
    )
    if missing:
        name = missing[1] or missing[2]
        hint = f"Its image has no {name}: use another command in `healthcheck:` of services.{service.name}."
    else:
        hint = f"Correct `healthcheck:` of services.{service.name}, or what it asks. "
        hint += LOGS.format(service=service.name)
    return Verdict(f"{service.name} is unhealthy: its health check `{shortened(command)}` says:{said}.", hint)


def _health_command(service: Service) -> tuple[str, ...]:
    check = service.body.get("Healthcheck")
    words = check.get("Test") if isinstance(check, Mapping) else None
    return tuple(str(word) for word in words[1:]) if isinstance(words, (list, tuple)) else ("of the image",)


def _with_log(evidence: Evidence, fact: str) -> Verdict:
    """Return the fact, with the cause that the log names."""
    named = _named(evidence)
    if named:
        return Verdict(f"{fact}: {named.message}.", named.hint)
    # Of a program that still runs, only what it calls an error is one.
    line = headline(evidence.log) if evidence.ended else last_error(tuple(map(plain, evidence.log)))
    hint = LOGS.format(service=evidence.service.name) + ("" if evidence.ended else _anew(evidence.service))
    hint = _database_elsewhere(evidence) or hint
    return Verdict(f"{fact}: {line}." if line else f"{fact}.", hint)


_UNREACHED = re.compile(
    r"no database|password|authenticat|refused|resolve|\bSSL|\bTLS|timed? ?out", re.IGNORECASE
)


def _database_elsewhere(evidence: Evidence) -> str:
    """Return what to do where the database is none of the project's: here only its URL can be mended."""
    if evidence.databases or not _UNREACHED.search("\n".join(map(plain, evidence.log))):
        return ""
    urls = (name for name, value in evidence.service.environment if _is_url(name) and "://" in value)
    name = next(urls, "")
    return f"Correct {name} in .env, or see to the database that it names." if name else ""


def _is_url(variable: str) -> bool:
    return re.search(r"(^|_)(URL|URI|DSN)$", variable) is not None


def _named(evidence: Evidence) -> Verdict | None:
    service = evidence.service
    text = "\n".join(plain(line) for line in evidence.log)
    if _UNRESOLVED.search(text) or _REFUSED.search(text):
        host = _wrong_host(evidence, unresolved=bool(_UNRESOLVED.search(text)))
        if host:
            return host
    address = _wrong_url(service) if re.search(r"(?i)ur[il]|dsn|scheme|connection string", text) else None
    if address:
        return address
    words = {
        "service": service.name,
        "user": str(service.body.get("User") or "the image's user"),
        "ports": " or ".join(str(port.target) for port in service.ports) or "its",
    }
    path = re.search(r"'(/[^']+)'", text)
    words["host_path"] = source_of(service, path[1]) if path else ""
    words["folder"] = _folder(path[1]) if path else "/tmp"  # noqa: S108 - a word in a sentence
    found = first(_CAUSES, text, words)
    if found and "disk is full" in found.message and evidence.limits:
        return Verdict(
            f"{found.message}; limited is {', '.join(evidence.limits)}",
            f"Raise {evidence.limits[0].split(' ')[0]} in compose.yaml, or write less.",
        )
    return found


def _wrong_host(evidence: Evidence, *, unresolved: bool) -> Verdict | None:
    """Return which variable names a host that a container cannot reach under that name."""
    odd = _unencoded(evidence.service)
    if odd:
        return odd
    known = ", ".join(evidence.services)
    others = [name for name in evidence.services if name != evidence.service.name]
    for name, host in _hosts(evidence.service):
        # A database's URL does not lead to a service that is none.
        of_database = re.search(
            r"postgres|mysql|maria|mongo|DATABASE|^DB_|^PG", name + _scheme(evidence, name)
        )
        better = evidence.databases if of_database else (*evidence.databases, *others)
        if host in ("localhost", "127.0.0.1") and not unresolved and better:
            return Verdict(
                f"{name} names {host}, which inside a container is that container itself",
                f"Put the service's name into {name}: `{better[0]}`.",
            )
        if unresolved and "." not in host and host not in (*evidence.services, "localhost"):
            hint = f"Put a service's name into {name}: `{better[0]}`." if better else f"Correct {name}."
            return Verdict(
                f'{name} names the host "{host}", which cannot be resolved: the services here are {known}',
                hint,
            )
    return None


def _scheme(evidence: Evidence, name: str) -> str:
    return (evidence.service.env(name) or "").partition("://")[0]


_MEANT = {"@": "%40", "/": "%2F", ":": "%3A", "#": "%23", "?": "%3F"}


def _unencoded(service: Service) -> Verdict | None:
    """Return which URL has a password with a letter that ends a part of a URL; its value stays hidden."""
    for name, value in service.environment:
        _, is_url, rest = value.partition("://")
        if not is_url or "@" not in rest:
            continue
        login = rest.rpartition("@")[0]
        odd = "".join(letter for letter in _MEANT if letter in login.partition(":")[2])
        if odd:
            spelt = ", ".join(f"`{letter}` as `{_MEANT[letter]}`" for letter in odd)
            return Verdict(
                f"the password in {name} has a letter that ends a part of a URL",
                f"Write it encoded in {name}: {spelt}.",
            )
    return None


def _hosts(service: Service) -> list[tuple[str, str]]:
    """Return the hosts that variables name, those of URLs too."""
    found = []
    for name, value in service.environment:
        if "://" in value:
            try:
                found.append((name, urlsplit(value).hostname or ""))
            except ValueError:
                continue
        elif re.search(r"(^|_)(HOST|HOSTNAME|SERVER|ADDR)$", name) and name != "HOST":
            found.append((name, value.partition(":")[0]))
    return [(name, host) for name, host in found if host]


_EXAMPLES = (
    (r"postgres", "postgresql://user:password@db:5432/name"),
    (r"mongo", "mongodb://user:password@db:27017/name?authSource=admin"),
    (r"redis", "redis://redis:6379/0"),
    (r"^(DATABASE|DB|PG)", "postgresql://user:password@db:5432/name"),
)


def _wrong_url(service: Service) -> Verdict | None:
    for name, value in service.environment:
        if not _is_url(name) or re.match(r"[a-z][a-z0-9+.-]*://[^/\s]", value):
            continue
        example = next((text for like, text in _EXAMPLES if re.search(like, value or name)), "")
        example = example or next(
            (text for like, text in _EXAMPLES if re.search(like, name)), "https://host/"
        )
        hidden = without_login(masked(name, value))
        shown = f"`{hidden}`" if value else "empty"
        return Verdict(f"{name} is no URL, it is {shown}", f"Write it as `{example}`.")
    return None


def source_of(service: Service, target: str) -> str:
    """Return what is mounted at a path of the container, empty when nothing is."""
    for bind in _texts(_host(service).get("Binds")):
        source, _, rest = bind.partition(":")
        if rest.partition(":")[0] == target:
            return source
    mounts = _host(service).get("Mounts")
    for mount in mounts if isinstance(mounts, (list, tuple)) else ():
        if isinstance(mount, Mapping) and mount.get("Type") == "bind" and mount.get("Target") == target:
            return str(mount.get("Source"))
    return ""


def size_limits(service: Service, volumes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the tmpfs mounts and volumes of a service that have a size; `volumes` are (name, options)."""
    tmpfs = _host(service).get("Tmpfs")
    mounted = (
        [(str(path), str(options)) for path, options in tmpfs.items()] if isinstance(tmpfs, Mapping) else []
    )
    both = [*mounted, *((f"volume {name}", options) for name, options in volumes)]
    found = [(where, re.search(r"size=\w+", options)) for where, options in both]
    return tuple(f"{size[0]} of {where}" for where, size in found if size)


def _host(service: Service) -> Mapping[str, object]:
    host = service.body.get("HostConfig")
    return host if isinstance(host, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else ()


def _folder(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return path if parent == "/" else parent
