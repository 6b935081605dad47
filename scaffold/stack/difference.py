"""Say how a container differs from what the project asks for, one line a field, secrets masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scaffold.stack import names
from scaffold.stack.desired import Service
from scaffold.stack.observed import Container, Image
from scaffold.stack.secrets import PLAIN, Mask, known_secrets

# Compose's word for each field of the create request.
_CONFIG = {
    "Hostname": "hostname",
    "Domainname": "domainname",
    "User": "user",
    "Tty": "tty",
    "OpenStdin": "stdin_open",
    "Cmd": "command",
    "Entrypoint": "entrypoint",
    "WorkingDir": "working_dir",
    "StopSignal": "stop_signal",
    "StopTimeout": "stop_grace_period",
}
_HOST = {
    "Binds": "volumes",
    "Mounts": "mounts",
    "CapAdd": "cap_add",
    "CapDrop": "cap_drop",
    "NetworkMode": "network_mode",
    "Init": "init",
    "IpcMode": "ipc",
    "ReadonlyRootfs": "read_only",
    "ShmSize": "shm_size",
    "Sysctls": "sysctls",
    "Dns": "dns",
    "DnsSearch": "dns_search",
    "DnsOptions": "dns_opt",
    "ExtraHosts": "extra_hosts",
    "SecurityOpt": "security_opt",
    "Privileged": "privileged",
    "PidMode": "pid",
    "Tmpfs": "tmpfs",
    "GroupAdd": "group_add",
    "OomScoreAdj": "oom_score_adj",
    "Memory": "memory limit",
    "MemoryReservation": "memory reservation",
    "NanoCpus": "cpus",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset",
    "PidsLimit": "pids_limit",
    "Ulimits": "ulimits",
    "Devices": "devices",
}
# What the engine fills in where the request says nothing.
_ENGINE_DEFAULTS: Mapping[str, object] = {
    "IpcMode": "private",
    "ShmSize": 67108864,
    "CgroupnsMode": "private",
}


def differences(
    service: Service, container: Container, image: Image | None, mask: Mask = PLAIN
) -> tuple[str, ...]:
    """Return lines such as `environment LOG_LEVEL: info → debug`, in a stable order, secrets hidden."""
    wanted = service.body
    config = _mapping(container.body.get("Config"))
    host = _mapping(container.body.get("HostConfig"))
    wanted_host = _mapping(wanted.get("HostConfig"))
    own = known_secrets([service.environment, environment_of(container)])
    mask = replace(mask, known=tuple({*mask.known, *own}))
    lines = []
    if container.image != service.image:
        lines.append(f"image: {container.image} → {service.image}")
    lines += _environment(wanted, config, image, mask, other_image=container.image != service.image)
    lines += _ports(wanted_host, host)
    lines += _labels(wanted, config, image, mask)
    if "Healthcheck" in wanted and _health(wanted["Healthcheck"]) != _health(config.get("Healthcheck")):
        lines.append("healthcheck changed")
    for key, word in _CONFIG.items():
        if key in wanted and wanted[key] != config.get(key):
            lines.append(_change(word, _shown(config.get(key), mask), _shown(wanted[key], mask)))
    for key, word in _HOST.items():
        now, then = wanted_host.get(key), host.get(key)
        if now == then or (not now and (not then or then == _ENGINE_DEFAULTS.get(key))):
            continue
        if (
            isinstance(now, list)
            and isinstance(then, list)
            and sorted(map(repr, now)) == sorted(map(repr, then))
        ):
            continue
        lines.append(_change(word, _shown(then, mask), _shown(now, mask)))
    if _mapping(wanted_host.get("RestartPolicy")).get("Name", "no") != (
        _mapping(host.get("RestartPolicy")).get("Name") or "no"
    ):
        old = _mapping(host.get("RestartPolicy")).get("Name") or "no"
        lines.append(f"restart: {old} → {_mapping(wanted_host.get('RestartPolicy')).get('Name', 'no')}")
    return tuple(lines)


def _change(what: str, old: str, new: str) -> str:
    """Return one line; when only what is hidden has changed, it says no more than that."""
    return f"{what}: {old} → {new}" if old != new else f"{what}: changed"


def environment_of(container: Container) -> tuple[tuple[str, str], ...]:
    """Return the variables that a container was made with."""
    config = _mapping(container.body.get("Config"))
    return tuple(_pairs(_texts(config.get("Env"))).items())


def _environment(
    wanted: Mapping[str, object],
    config: Mapping[str, object],
    image: Image | None,
    mask: Mask,
    *,
    other_image: bool = False,
) -> list[str]:
    """Return a line for each variable that differs.

    What only the container has came from its image, where that is another one: nobody asked for it.
    """
    base = _pairs(image.environment if image else ())
    now = base | _pairs(_texts(wanted.get("Env")))
    then = base | _pairs(_texts(config.get("Env")))
    lines = []
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) == then.get(name) or (other_image and name not in _pairs(_texts(wanted.get("Env")))):
            continue
        lines.append(_change(f"environment {name}", *_named(name, then, now, mask)))
    return lines


def _ports(wanted: Mapping[str, object], host: Mapping[str, object]) -> list[str]:
    now, then = _bindings(wanted.get("PortBindings")), _bindings(host.get("PortBindings"))
    if now == then:
        return []
    return [f"ports: {', '.join(then) or 'none'} → {', '.join(now) or 'none'}"]


def _labels(
    wanted: Mapping[str, object],
    config: Mapping[str, object],
    image: Image | None,
    mask: Mask,
) -> list[str]:
    ours = ("com.docker.compose.", names.DIGEST, names.PATH, names.CONTEXT)
    base = dict(image.labels) if image else {}
    now = base | {str(k): str(v) for k, v in _mapping(wanted.get("Labels")).items()}
    then = {str(k): str(v) for k, v in _mapping(config.get("Labels")).items()}
    return [
        _change(f"label {name}", *_named(name, then, now, mask))
        for name in sorted(now.keys() | then.keys())
        if not name.startswith(ours) and now.get(name) != then.get(name) and name not in base
    ]


def _named(name: str, then: Mapping[str, str], now: Mapping[str, str], mask: Mask) -> tuple[str, str]:
    """Return the old and the new value of a variable or label as they may be shown."""
    old, new = (mask.value(name, values[name]) if name in values else "(not set)" for values in (then, now))
    return old, new


def _health(value: object) -> dict[str, object]:
    return {key: item for key, item in _mapping(value).items() if item}


def _bindings(value: object) -> tuple[str, ...]:
    found = []
    for target, bindings in _mapping(value).items():
        for binding in bindings if isinstance(bindings, list) else ():
            address = f"{binding.get('HostIp')}:" if binding.get("HostIp") else ""
            found.append(f"{address}{binding.get('HostPort') or '(any)'}→{target}")
    return tuple(sorted(found))


def _pairs(entries: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: object, mask: Mask) -> str:
    if value in (None, "", [], {}):
        return "(not set)"
    text = " ".join(mask.words(value)) if isinstance(value, list) else str(value)
    text = mask.text(text)
    return text if len(text) <= 80 else text[:77] + "..."
