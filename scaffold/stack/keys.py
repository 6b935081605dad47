"""Say of every key of the Compose Specification whether it is honoured, without effect, or refused. Pure.

A path is that of the resolved document: `.*` stands for a name of one's own, `[]` for an item of a list. A
mapping whose path is not here takes any key: labels, options, variables. tests/test_compose_keys.py walks the
specification's schema, key by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scaffold.errors import ProjectError


def _table(text: str) -> Mapping[str, frozenset[str]]:
    """Return the keys of each path; a line is a path and its keys, `.` the top of the document."""
    lines = (line.split() for line in text.strip().splitlines())
    found: dict[str, frozenset[str]] = {}
    for path, *keys in lines:
        found[path] = found.get(path, frozenset()) | frozenset(keys)
    return found


RESOLVED = _table("""
. version include
services.* extends env_file label_file
networks.*.external name
volumes.*.external name
secrets.*.external name
configs.*.external name
include[] path env_file project_directory
services.*.extends service file
services.*.env_file[] path format required
""")
"""What `docker compose config` has done away with, or spelt otherwise, before anything is read."""

HONOURED = _table("""
. name services networks volumes secrets configs
services.* image build platform pull_policy command entrypoint user group_add working_dir environment init
services.* tty stdin_open stop_signal stop_grace_period restart oom_score_adj oom_kill_disable runtime
services.* isolation depends_on profiles scale deploy container_name network_mode networks ports expose
services.* hostname domainname extra_hosts dns dns_search dns_opt mac_address volumes tmpfs secrets
services.* configs read_only shm_size storage_opt devices device_cgroup_rules gpus mem_limit
services.* mem_reservation memswap_limit mem_swappiness cpus cpu_shares cpu_period cpu_quota cpu_rt_period
services.* cpu_rt_runtime cpu_count cpu_percent cpuset pids_limit ulimits blkio_config cgroup_parent
services.* cap_add cap_drop security_opt privileged sysctls ipc pid uts userns_mode cgroup healthcheck
services.* labels annotations logging develop
services.*.develop watch
services.*.develop.watch[] action path target ignore include exec initial_sync
services.*.develop.watch[].exec command user privileged working_dir environment
services.*.deploy mode replicas resources restart_policy
services.*.deploy.resources limits reservations
services.*.deploy.resources.limits cpus memory pids
services.*.deploy.resources.reservations memory devices
services.*.deploy.resources.reservations.devices[] capabilities count device_ids driver options
services.*.deploy.restart_policy condition max_attempts
services.*.build context dockerfile dockerfile_inline target args labels secrets ssh platforms tags
services.*.build cache_from cache_to additional_contexts extra_hosts network shm_size no_cache pull
services.*.build entitlements ulimits provenance sbom
services.*.build.secrets[] source target
services.*.build.ulimits.* hard soft
services.*.blkio_config weight weight_device device_read_bps device_read_iops device_write_bps
services.*.blkio_config device_write_iops
services.*.blkio_config.weight_device[] path weight Path Weight
services.*.blkio_config.device_read_bps[] path rate Path Rate
services.*.blkio_config.device_read_iops[] path rate Path Rate
services.*.blkio_config.device_write_bps[] path rate Path Rate
services.*.blkio_config.device_write_iops[] path rate Path Rate
services.*.depends_on.* condition restart required
services.*.devices[] source target permissions
services.*.gpus[] capabilities count device_ids driver options
services.*.healthcheck disable test interval timeout retries start_period start_interval
services.*.logging driver options
services.*.networks.* aliases ipv4_address ipv6_address link_local_ips mac_address driver_opts priority
services.*.networks.* gw_priority
services.*.ports[] target published host_ip protocol
services.*.secrets[] source target uid gid mode
services.*.configs[] source target uid gid mode
services.*.ulimits.* hard soft
services.*.volumes[] type source target read_only consistency bind volume tmpfs image
services.*.volumes[].bind propagation create_host_path recursive selinux
services.*.volumes[].volume labels nocopy subpath
services.*.volumes[].tmpfs size mode
services.*.volumes[].image subpath
networks.* name driver driver_opts ipam external internal enable_ipv6 attachable labels
networks.*.ipam driver config options
networks.*.ipam.config[] subnet ip_range gateway aux_addresses
volumes.* name driver driver_opts external labels
secrets.* name file environment content
configs.* name file environment content
""")

WITHOUT_EFFECT = _table("""
services.* attach pull_refresh_after
services.*.deploy endpoint_mode labels placement update_config rollback_config
services.*.deploy.resources.reservations cpus generic_resources
services.*.deploy.restart_policy delay window
services.*.build.secrets[] uid gid mode
services.*.ports[] mode name app_protocol
networks.* enable_ipv4
secrets.* labels
configs.* labels
""")
"""What changes nothing for containers on one engine, as it changes nothing for `docker compose up`."""

REFUSED = _table("""
. models
services.* credential_spec external_links links models post_start pre_stop provider use_api_socket
services.* volumes_from
services.*.build isolation privileged
services.*.networks.* interface_name
secrets.* external driver driver_opts template_driver
configs.* external template_driver
""")
"""What containers would lack if it were passed over. A key that nobody knows is refused like these."""

_BELOW_UNREAD = frozenset({"external"})
"""Keys that may be a mapping in the specification, and are plain once Compose has resolved them."""


def of_service() -> frozenset[str]:
    """Return all keys of a service that mean something here or to Compose."""
    return HONOURED["services.*"] | WITHOUT_EFFECT["services.*"] | RESOLVED["services.*"]


def accepted(path: str) -> frozenset[str] | None:
    """Return the keys that a mapping at this path may have; None where any may stand."""
    if path not in HONOURED:
        return None
    return HONOURED[path] | WITHOUT_EFFECT.get(path, frozenset())


def check(value: object, pattern: str, path: str) -> None:
    """Refuse the first key in a part of the document that cannot be honoured, at any depth.

    `pattern` is the part's path here, `path` the one that a person reads. Keys that begin with `x-` are the
    user's own. Raises ProjectError.
    """
    for place in unknown(value, pattern, path):
        raise ProjectError(
            f"{place}: scaffold cannot honour this key.",
            "Remove it, or start the project with `docker compose up`.",
        )


def unknown(value: object, pattern: str, path: str) -> Iterator[str]:
    """Yield the path of each key that is refused, or that nobody knows."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown(item, f"{pattern}[]", f"{path}[{index}]")
    if not isinstance(value, Mapping):
        return
    known = accepted(pattern)
    for key, item in value.items():
        if known is None:
            if f"{pattern}.*" in HONOURED:
                yield from unknown(item, f"{pattern}.*", f"{path}.{key}")
            continue
        # Nothing is asked for by what is empty, or switched off.
        if str(key).startswith("x-") or item is False or item in (None, [], {}):
            continue
        here = f"{path}.{key}" if path else str(key)
        if key not in known:
            yield here
        elif key not in _BELOW_UNREAD:
            yield from unknown(item, f"{pattern}.{key}" if pattern != "." else str(key), here)
