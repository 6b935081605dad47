"""Translate one service of the resolved compose.yaml into the engine's own JSON for its containers.

Follows pkg/compose/create.go of docker/compose field by field, so that `scaffold run` and
`docker compose up` make the same container. Pure; the result goes to the engine as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scaffold.errors import ProjectError
from scaffold.numbers import whole
from scaffold.stack.reader import Reader
from scaffold.stack.requests.fields import Context, dense
from scaffold.stack.requests.mounts import InlineFile, mounts_of
from scaffold.stack.requests.networking import endpoints, network_keys, ports
from scaffold.stack.requests.resources import resources

NAMESPACES = ("NetworkMode", "IpcMode", "PidMode")
"""Where a container may use what belongs to another one."""
_OF_SERVICE = "service:"

# Compose's names for restart conditions under `deploy`, and the engine's.
_RESTART = {"none": "no", "any": "always"}


@dataclass(frozen=True)
class Made:
    """The create request of a service and what the planner needs to know of it."""

    request: dict[str, object]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    has_healthcheck: bool
    restarts: bool
    stop_timeout: int
    shares: tuple[str, ...] = ()
    """Services of whose first container it uses the network, the IPC or the process namespace."""
    files: tuple[InlineFile, ...] = ()


def translate(name: str, reader: Reader, context: Context) -> Made:
    """Return the create request for a service, without name, image and Compose labels."""
    environment = reader.optional_mapping("environment")
    healthcheck = _healthcheck(reader.reader("healthcheck"))
    stop = reader.nanoseconds("stop_grace_period")
    network_mode = reader.text("network_mode", "")
    networks = network_keys(reader, context, network_mode)
    binds, mounts, volumes, files = mounts_of(reader, context)
    restart = _restart(reader)
    exposed, bindings = ports(reader)
    host = {
        "Annotations": reader.mapping("annotations"),
        "Binds": binds,
        "Mounts": mounts,
        "CapAdd": reader.texts("cap_add"),
        "CapDrop": reader.texts("cap_drop"),
        "NetworkMode": network_mode or (context.networks[networks[0]] if networks else "none"),
        "Init": reader.flag("init") if reader.has("init") else None,
        "IpcMode": reader.text("ipc", ""),
        "CgroupnsMode": reader.text("cgroup", ""),
        "ReadonlyRootfs": reader.flag("read_only"),
        "RestartPolicy": restart,
        "ShmSize": reader.size("shm_size"),
        "Sysctls": reader.mapping("sysctls"),
        "PortBindings": bindings,
        "Dns": reader.texts("dns"),
        "DnsSearch": reader.texts("dns_search"),
        "DnsOptions": reader.texts("dns_opt"),
        "ExtraHosts": _extra_hosts(reader),
        "SecurityOpt": _security(reader),
        "StorageOpt": reader.mapping("storage_opt"),
        "UsernsMode": reader.text("userns_mode", ""),
        "UTSMode": reader.text("uts", ""),
        "Privileged": reader.flag("privileged"),
        "PidMode": reader.text("pid", ""),
        "Tmpfs": {
            target: options for target, _, options in (t.partition(":") for t in reader.texts("tmpfs"))
        },
        "Isolation": reader.text("isolation", ""),
        "Runtime": reader.text("runtime", ""),
        "LogConfig": _logging(reader),
        "GroupAdd": reader.texts("group_add"),
        "OomScoreAdj": reader.integer("oom_score_adj", 0),
        **resources(reader),
    }
    if "systempaths=unconfined" in reader.texts("security_opt"):
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    made = {
        "Hostname": reader.text("hostname", ""),
        "Domainname": reader.text("domainname", ""),
        "User": reader.text("user", ""),
        "ExposedPorts": exposed,
        "Tty": reader.flag("tty"),
        "OpenStdin": reader.flag("stdin_open"),
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": list(reader.texts("command")) if reader.has("command") else None,
        "Entrypoint": list(reader.texts("entrypoint")) if reader.has("entrypoint") else None,
        "WorkingDir": reader.text("working_dir", ""),
        "Labels": reader.mapping("labels"),
        "StopSignal": reader.text("stop_signal", ""),
        "Env": sorted(key if value is None else f"{key}={value}" for key, value in environment.items()),
        "Healthcheck": healthcheck,
        "StopTimeout": None if stop is None else stop // 10**9,
        "HostConfig": dense(host, keep=("MaskedPaths", "ReadonlyPaths")),
        "NetworkingConfig": endpoints(name, reader, context, networks),
    }
    return Made(
        request=dense(made, keep=("Cmd", "Entrypoint", "StopTimeout")),
        networks=tuple(context.networks[key] for key in networks),
        volumes=tuple(sorted(set(volumes))),
        environment=tuple(sorted((key, value or "") for key, value in environment.items())),
        has_healthcheck=bool(healthcheck) and healthcheck.get("Test") not in (None, [], ["NONE"]),
        restarts=restart.get("Name", "") not in ("", "no"),
        stop_timeout=10 if stop is None else int(stop // 10**9),
        shares=_shares(network_mode, reader.text("ipc", ""), reader.text("pid", "")),
        files=files,
    )


def _shares(*modes: str) -> tuple[str, ...]:
    services = {mode.removeprefix(_OF_SERVICE) for mode in modes if mode.startswith(_OF_SERVICE)}
    return tuple(sorted(services))


def resolved_modes(host: Mapping[str, object], containers: Mapping[str, str]) -> dict[str, object]:
    """Return the host configuration with `service:db` replaced by the container of that service."""
    made = dict(host)
    for key in NAMESPACES:
        mode = str(host.get(key, ""))
        if mode.startswith(_OF_SERVICE):
            made[key] = f"container:{containers[mode.removeprefix(_OF_SERVICE)]}"
    return made


def _healthcheck(reader: Reader) -> dict[str, object]:
    if reader.flag("disable"):
        return {"Test": ["NONE"]}
    test = reader.raw("test")
    if isinstance(test, str):
        test = ["CMD-SHELL", test]
    if reader.has("start_interval") and not reader.has("start_period"):
        # The engine ignores it then (moby issue 48874).
        raise ProjectError(f"{reader.path}.start_interval: needs `start_period` as well.")
    return dense(
        {
            "Test": test,
            "Interval": reader.nanoseconds("interval"),
            "Timeout": reader.nanoseconds("timeout"),
            "StartPeriod": reader.nanoseconds("start_period"),
            "StartInterval": reader.nanoseconds("start_interval"),
            "Retries": reader.integer("retries", 0),
        }
    )


def _restart(reader: Reader) -> dict[str, object]:
    policy = reader.reader("deploy").reader("restart_policy")
    if policy.has("condition"):
        condition = policy.text("condition")
        count = policy.integer("max_attempts", 0)
    else:
        condition, _, attempts = reader.text("restart", "").partition(":")
        count = whole(attempts) or 0
    return dense({"Name": _RESTART.get(condition, condition), "MaximumRetryCount": count})


def _extra_hosts(reader: Reader) -> tuple[str, ...]:
    value = reader.raw("extra_hosts")
    if isinstance(value, Mapping):
        pairs = [
            (host, address)
            for host, own in value.items()
            for address in ([own] if isinstance(own, str) else own)
        ]
        return tuple(f"{host}:{address}" for host, address in sorted(pairs))
    return tuple(sorted(re.sub("[=:]", ":", entry, count=1) for entry in reader.texts("extra_hosts")))


def _security(reader: Reader) -> tuple[str, ...]:
    options = tuple(option for option in reader.texts("security_opt") if option != "systempaths=unconfined")
    for option in options:
        profile = re.fullmatch(r"seccomp[=:](.+)", option)
        if profile and profile[1] not in ("unconfined", "builtin"):
            raise ProjectError(
                f"{reader.path}.security_opt: scaffold cannot honour a seccomp profile from a file.",
                "Remove it, or start the project with `docker compose up`.",
            )
    return options


def _logging(reader: Reader) -> dict[str, object]:
    logging = reader.reader("logging")
    return dense({"Type": logging.text("driver", ""), "Config": logging.mapping("options")})
