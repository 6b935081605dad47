"""Find what is wrong with a compose.yaml: unknown keys, loose ends, too many rights. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scaffold.generate.author.problem import Problem

_SERVICE = frozenset(
    re.findall(
        r"\w+",
        """
        annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs
        container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus
        cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search
        domainname entrypoint env_file environment expose extends external_links extra_hosts gpus group_add
        healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit
        mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
        oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider
        pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open
        stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode
        uts volumes volumes_from working_dir
        """,
    )
)
_TOP = frozenset(
    {"configs", "include", "models", "name", "networks", "secrets", "services", "version", "volumes"}
)
_SOCKETS = frozenset({"/var/run/docker.sock", "/run/docker.sock"})
_MACHINE = frozenset({"/", "/etc", "/home", "/root", "/var"})


def problems(path: str, document: object) -> Iterator[Problem]:
    """Everything that can be seen without an engine."""
    if not isinstance(document, dict):
        yield Problem(path, 0, "A Compose file is a mapping.")
        return
    for key in document:
        if str(key) not in _TOP and not str(key).startswith("x-"):
            yield Problem(path, 0, f'Compose has no top-level key "{key}".')
    services = document.get("services")
    if not isinstance(services, dict):
        yield Problem(path, 0, "It has no services.")
        return
    for name, service in services.items():
        if not isinstance(service, dict):
            yield Problem(path, 0, f"The service {name} is no mapping.")
            continue
        # A file in a folder is laid over another one, which may have what this one lacks.
        loose = () if "/" in path else tuple(_loose_ends(service, document))
        for text in (*_keys(service), *_rights(service), *loose):
            yield Problem(path, 0, f"The service {name} {text}.")


def _keys(service: Mapping[Any, Any]) -> Iterator[str]:
    for key in service:
        if str(key) not in _SERVICE and not str(key).startswith("x-") and key != "<<":
            yield f'has the unknown key "{key}"'


def _rights(service: Mapping[Any, Any]) -> Iterator[str]:
    if service.get("privileged") is True:
        yield "is privileged: it may do anything on the machine"
    for key in ("network_mode", "pid", "ipc"):
        if service.get(key) == "host":
            yield f"shares the machine's own {key.removesuffix('_mode')}"
    for source, _ in _mounts(service):
        if source in _SOCKETS:
            yield "has the engine's socket: it may do anything on the machine"
        elif source in _MACHINE:
            yield f"has {source} of the machine"


def _loose_ends(service: Mapping[Any, Any], document: Mapping[Any, Any]) -> Iterator[str]:
    services = document["services"]
    for other in service.get("depends_on") or ():
        if other not in services:
            yield f"depends on {other}, which does not exist"
    for kind in ("networks", "secrets", "configs"):
        defined = {*(document.get(kind) or ()), "default"}
        for used in service.get(kind) or ():
            name = used.get("source") if isinstance(used, dict) else used
            if name not in defined:
                yield f"uses {name}, which {kind} does not define"
    for source, is_volume in _mounts(service):
        if is_volume and source not in (document.get("volumes") or ()):
            yield f"uses the volume {source}, which volumes does not define"


def _mounts(service: Mapping[Any, Any]) -> Iterator[tuple[str, bool]]:
    """What is mounted, and whether it is a named volume."""
    for volume in service.get("volumes") or ():
        if isinstance(volume, dict):
            if source := volume.get("source"):
                yield str(source), volume.get("type") == "volume"
        elif ":" in str(volume):
            source = str(volume).partition(":")[0]
            yield source, re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", source) is not None
