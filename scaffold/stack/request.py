"""Translate one service of the resolved compose.yaml into the engine's own JSON for its containers.

Follows pkg/compose/create.go of docker/compose field by field, so that `scaffold run` and
`docker compose up` make the same container. Pure; the result goes to the engine as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scaffold.errors import ProjectError
from scaffold.numbers import whole
from scaffold.stack.reader import Reader
from scaffold.stack.secrets import Secret

KEYS = (
    *(
        "build",
        "image",
        "container_name",
        "scale",
        "deploy",
        "profiles",
        "depends_on",
        "pull_policy",
        "platform",
    ),
    *("develop", "annotations", "attach", "blkio_config", "cap_add", "cap_drop", "cgroup", "cgroup_parent"),
    *("command", "configs", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period"),
    *("cpu_rt_runtime", "cpu_shares", "cpus", "cpuset", "device_cgroup_rules", "devices", "dns", "dns_opt"),
    *(
        "dns_search",
        "domainname",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "extra_hosts",
        "group_add",
    ),
    *(
        "healthcheck",
        "hostname",
        "init",
        "ipc",
        "isolation",
        "labels",
        "label_file",
        "logging",
        "mac_address",
    ),
    *("mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "network_mode", "networks"),
    *(
        "oom_kill_disable",
        "oom_score_adj",
        "pid",
        "pids_limit",
        "ports",
        "privileged",
        "read_only",
        "restart",
    ),
    *("runtime", "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal"),
    *("storage_opt", "sysctls", "tmpfs", "tty", "ulimits", "user", "userns_mode", "uts", "volumes"),
    "working_dir",
)
"""Keys of a service that are honoured; any other one is refused by name."""

NAMESPACES = ("NetworkMode", "IpcMode", "PidMode")
"""Where a container may use what belongs to another one."""
_OF_SERVICE = "service:"

# Compose's names for restart conditions under `deploy`, and the engine's.
_RESTART = {"none": "no", "any": "always"}


@dataclass(frozen=True)
class Context:
    """What a service refers to by key: names on the engine, and the definitions of files."""

    project: str
    networks: Mapping[str, str]
    volumes: Mapping[str, str]
    secrets: Mapping[str, Reader]
    configs: Mapping[str, Reader]
    variables: Mapping[str, str] = field(default_factory=dict)
    """The environment that compose.yaml was resolved with: secrets and configs may name a variable of it."""


@dataclass(frozen=True)
class InlineFile:
    """A secret or config whose content is in compose.yaml or a variable: copied in before the start."""

    path: str
    content: Secret
    mode: int = 0o444
    uid: int = 0
    gid: int = 0
    variable: str = ""
    """Where the content comes from, when not from compose.yaml."""

    @property
    def identity(self) -> dict[str, object]:
        """Return what it is compared by."""
        return {**vars(self), "content": self.content.reveal()}


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
    networks = _network_keys(reader, context, network_mode)
    binds, mounts, volumes, files = _mounts(reader, context)
    restart = _restart(reader)
    exposed, bindings = _ports(reader)
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
        **_resources(reader),
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
        "HostConfig": _dense(host, keep=("MaskedPaths", "ReadonlyPaths")),
        "NetworkingConfig": _endpoints(name, reader, context, networks),
    }
    return Made(
        request=_dense(made, keep=("Cmd", "Entrypoint", "StopTimeout")),
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


def _dense(values: Mapping[str, object], *, keep: tuple[str, ...] = ()) -> dict[str, object]:
    """Drop what is empty: the engine's default, so that it does not count in the digest."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value not in (None, "", False, 0, (), [], {})
        or (key in keep and value is not None)
        # `init: false` is a decision against the engine's own default
        or (key == "Init" and value is False)
    }


def _healthcheck(reader: Reader) -> dict[str, object]:
    if reader.flag("disable"):
        return {"Test": ["NONE"]}
    test = reader.raw("test")
    if isinstance(test, str):
        test = ["CMD-SHELL", test]
    if reader.has("start_interval") and not reader.has("start_period"):
        # The engine ignores it then (moby issue 48874).
        raise ProjectError(f"{reader.path}.start_interval: needs `start_period` as well.")
    return _dense(
        {
            "Test": test,
            "Interval": reader.nanoseconds("interval"),
            "Timeout": reader.nanoseconds("timeout"),
            "StartPeriod": reader.nanoseconds("start_period"),
            "StartInterval": reader.nanoseconds("start_interval"),
            "Retries": reader.integer("retries", 0),
        }
    )


def _network_keys(reader: Reader, context: Context, network_mode: str) -> tuple[str, ...]:
    """Return the service's networks, the one of highest priority first, then by name."""
    if network_mode:
        return ()
    entries = [(-entry.number("priority", 0), key) for key, entry in reader.readers("networks")]
    keys = tuple(key for _, key in sorted(entries))
    for key in keys:
        if key not in context.networks:
            raise ProjectError(f"{reader.path}.networks: {key} is not defined under `networks`.")
    return keys


def _endpoints(
    name: str, reader: Reader, context: Context, networks: tuple[str, ...]
) -> dict[str, object] | None:
    if not networks:
        return None
    entries = dict(reader.readers("networks"))
    return {
        "EndpointsConfig": {
            context.networks[key]: _endpoint(
                name, entries[key], reader.text("mac_address", ""), first=index == 0
            )
            for index, key in enumerate(networks)
        }
    }


def _endpoint(name: str, entry: Reader, mac_address: str, *, first: bool) -> dict[str, object]:
    entry.known(
        *(
            "aliases",
            "priority",
            "ipv4_address",
            "ipv6_address",
            "link_local_ips",
            "mac_address",
            "driver_opts",
        ),
        *("gw_priority",),
    )
    address = _dense(
        {
            "IPv4Address": entry.text("ipv4_address", ""),
            "IPv6Address": entry.text("ipv6_address", ""),
            "LinkLocalIPs": entry.texts("link_local_ips"),
        }
    )
    return {
        "Aliases": [name, *entry.texts("aliases")],
        **_dense(
            {
                "IPAMConfig": address,
                "MacAddress": entry.text("mac_address", mac_address if first else ""),
                "DriverOpts": entry.mapping("driver_opts"),
                "GwPriority": entry.integer("gw_priority", 0),
            }
        ),
    }


def _ports(reader: Reader) -> tuple[dict[str, object], dict[str, object]]:
    exposed: dict[str, object] = {}
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in reader.items("ports"):
        port.known("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol")
        key = f"{port.integer('target')}/{port.text('protocol', 'tcp')}"
        exposed[key] = {}
        bindings.setdefault(key, []).append(
            {"HostIp": port.text("host_ip", ""), "HostPort": port.text("published", "")}
        )
    for entry in reader.texts("expose"):
        numbers, _, protocol = entry.partition("/")
        first, _, last = numbers.partition("-")
        begin, end = whole(first, 5), whole(last or first, 5)
        if begin is None or end is None:
            raise ProjectError(f"{reader.path}.expose: {entry!r} is not a port or a range.")
        spread = range(begin, end + 1)
        exposed |= {f"{number}/{protocol or 'tcp'}": {} for number in spread}
    return dict(sorted(exposed.items())), dict(sorted(bindings.items()))


def _mounts(
    reader: Reader, context: Context
) -> tuple[list[str], list[dict[str, object]], list[str], tuple[InlineFile, ...]]:
    """Return binds (old syntax, as Compose uses it), mounts, named volumes and inline files."""
    binds: dict[str, str] = {}
    mounts: dict[str, dict[str, object]] = {}
    named: list[str] = []
    for item in reader.items("volumes"):
        item.known(
            *("type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs", "image"),
        )
        target = item.text("target")
        kind = item.text("type")
        source = item.text("source", "")
        if kind == "volume" and source in context.volumes:
            source = context.volumes[source]
            named.append(source)
        bind, volume = item.reader("bind"), item.reader("volume")
        bind.known("create_host_path", "propagation", "selinux", "recursive")
        volume.known("nocopy", "subpath", "labels")
        plain_bind = (
            kind == "bind"
            and not bind.has("propagation")
            and not bind.has("recursive")
            # Compose prints it wherever it holds.
            and bind.flag("create_host_path")
        )
        plain_volume = (
            kind == "volume" and source and not any(map(volume.has, ("nocopy", "subpath", "labels")))
        )
        if plain_bind or plain_volume:
            options = ["ro" if item.flag("read_only") else "rw"]
            options += [bind.text("selinux")] if bind.has("selinux") else []
            binds[target] = f"{source}:{target}:{','.join(options)}"
            continue
        mounts[target] = _mount(item, kind, source)
    files: list[InlineFile] = []
    for key, base, known in (
        ("secrets", "/run/secrets/", context.secrets),
        ("configs", "/", context.configs),
    ):
        for item in reader.items(key):
            mount, file = _file(item, base, known, context.variables)
            target = file.path if file else str(mount["Target"]) if mount else ""
            if target in binds or target in mounts:
                continue
            if file:
                files.append(file)
            elif mount:
                mounts[target] = mount
    if files and reader.flag("read_only"):
        raise ProjectError(
            f"{reader.path}: inline secrets and configs cannot be copied into a read-only container.",
            "Use `file:`, or drop `read_only`.",
        )
    return (
        [binds[target] for target in sorted(binds)],
        [mounts[target] for target in sorted(mounts)],
        named,
        tuple(files),
    )


def _mount(item: Reader, kind: str, source: str) -> dict[str, object]:
    bind, volume, tmpfs, image = (item.reader(key) for key in ("bind", "volume", "tmpfs", "image"))
    recursive = bind.text("recursive", "")
    return _dense(
        {
            "Type": kind,
            "Source": source,
            "Target": item.text("target"),
            "ReadOnly": item.flag("read_only"),
            "Consistency": item.text("consistency", ""),
            "BindOptions": _dense(
                {
                    "Propagation": bind.text("propagation", ""),
                    "CreateMountpoint": kind == "bind" and bind.flag("create_host_path"),
                    "NonRecursive": recursive == "disabled",
                    "ReadOnlyNonRecursive": recursive == "writable",
                    "ReadOnlyForceRecursive": recursive == "readonly",
                }
            ),
            "VolumeOptions": _dense(
                {
                    "NoCopy": volume.flag("nocopy"),
                    "Subpath": volume.text("subpath", ""),
                    "Labels": volume.mapping("labels"),
                }
            ),
            "TmpfsOptions": _dense({"SizeBytes": tmpfs.size("size"), "Mode": tmpfs.integer("mode", 0)}),
            "ImageOptions": _dense({"Subpath": image.text("subpath", "")}),
        }
    )


def _file(
    item: Reader, base: str, known: Mapping[str, Reader], variables: Mapping[str, str]
) -> tuple[dict[str, object] | None, InlineFile | None]:
    source = item.text("source")
    target = item.text("target", "") or source
    target = target if target.startswith("/") else base + target
    definition = known.get(source)
    if definition is None:
        raise ProjectError(f"{item.path}: {source} is not defined at the top of compose.yaml.")
    definition.known("name", "file", "environment", "content")
    if definition.has("file"):
        mount = _dense(
            {"Type": "bind", "Source": definition.text("file"), "Target": target, "ReadOnly": True}
        )
        return mount, None
    content = definition.text("content", "")
    variable = definition.text("environment", "")
    if variable:
        if variable not in variables:
            raise ProjectError(f"{definition.path}: variable {variable} is not set.", "Set it in .env.")
        content = variables[variable]
    if not content and not variable:
        return None, None
    mode = item.raw("mode")
    return None, InlineFile(
        path=target,
        content=Secret(content),
        mode=0o444 if mode is None else int(str(mode), 8) if isinstance(mode, str) else item.integer("mode"),
        uid=item.integer("uid", 0),
        gid=item.integer("gid", 0),
        variable=variable,
    )


def _restart(reader: Reader) -> dict[str, object]:
    policy = reader.reader("deploy").reader("restart_policy")
    if policy.has("condition"):
        condition = policy.text("condition")
        count = policy.integer("max_attempts", 0)
    else:
        condition, _, attempts = reader.text("restart", "").partition(":")
        count = whole(attempts) or 0
    return _dense({"Name": _RESTART.get(condition, condition), "MaximumRetryCount": count})


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
    logging.known("driver", "options")
    return _dense({"Type": logging.text("driver", ""), "Config": logging.mapping("options")})


def _resources(reader: Reader) -> dict[str, object]:
    """Return limits in the engine's units; `deploy.resources` wins over the service's own keys."""
    resources = reader.reader("deploy").reader("resources")
    resources.known("limits", "reservations")
    limits, reservations = resources.reader("limits"), resources.reader("reservations")
    limits.known("cpus", "memory", "pids")
    reservations.known("cpus", "memory")
    blkio = reader.reader("blkio_config")
    blkio.known("weight")
    cpus = limits.number("cpus", 0) or reader.number("cpus", 0)
    return {
        "CgroupParent": reader.text("cgroup_parent", ""),
        "Memory": limits.size("memory") or reader.size("mem_limit"),
        "MemorySwap": reader.size("memswap_limit"),
        "MemorySwappiness": reader.integer("mem_swappiness", 0),
        "MemoryReservation": reservations.size("memory") or reader.size("mem_reservation"),
        "OomKillDisable": reader.flag("oom_kill_disable"),
        "CpuCount": reader.integer("cpu_count", 0),
        "CpuPercent": int(reader.number("cpu_percent", 0) * 100),
        "CpuPeriod": _microseconds(reader, "cpu_period"),
        "CpuQuota": _microseconds(reader, "cpu_quota"),
        "CpuRealtimePeriod": _microseconds(reader, "cpu_rt_period"),
        "CpuRealtimeRuntime": _microseconds(reader, "cpu_rt_runtime"),
        "CpuShares": reader.integer("cpu_shares", 0),
        "NanoCpus": round(cpus * 10**9),
        "CpusetCpus": reader.text("cpuset", ""),
        "DeviceCgroupRules": reader.texts("device_cgroup_rules"),
        "PidsLimit": limits.integer("pids", 0) or reader.integer("pids_limit", 0),
        "BlkioWeight": blkio.integer("weight", 0),
        "Devices": [_device(item) for item in reader.items("devices")],
        "Ulimits": _ulimits(reader),
    }


def _microseconds(reader: Reader, key: str) -> int:
    value = reader.raw(key)
    if isinstance(value, str) and whole(value.removeprefix("-"), 18) is None:
        return (reader.nanoseconds(key) or 0) // 1000
    return reader.integer(key, 0)


def _device(item: Reader) -> dict[str, object]:
    return {
        "PathOnHost": item.text("source"),
        "PathInContainer": item.text("target", "") or item.text("source"),
        "CgroupPermissions": item.text("permissions", "rwm"),
    }


def _ulimits(reader: Reader) -> list[dict[str, object]]:
    entries = reader.raw("ulimits")
    if not entries:
        return []
    if not isinstance(entries, Mapping):
        raise ProjectError(f"{reader.path}.ulimits: expected a mapping.")
    made: list[dict[str, object]] = []
    limits = reader.reader("ulimits")
    for name, value in sorted(entries.items()):
        if isinstance(value, Mapping):
            both = limits.reader(name)
            soft, hard = both.integer("soft", 0), both.integer("hard", 0)
        else:
            soft = hard = limits.integer(name)
        made.append({"Name": name, "Soft": soft, "Hard": hard})
    return made
