"""The limits and devices of a container, in the engine's units. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scaffold.errors import ProjectError
from scaffold.numbers import whole
from scaffold.stack.reader import Reader
from scaffold.stack.requests.fields import dense

_RATES = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_write_iops": "BlkioDeviceWriteIOps",
}

_VENDORS = re.compile(r"[a-zA-Z][\w.-]*/[a-zA-Z][\w-]*=[\w.:-]+", re.ASCII)
"""A device by the name that its vendor gives it, `vendor.com/class=name` (Container Device Interface)."""


def resources(reader: Reader) -> dict[str, object]:
    """Return limits in the engine's units; `deploy.resources` wins over the service's own keys."""
    resources = reader.reader("deploy").reader("resources")
    limits, reservations = resources.reader("limits"), resources.reader("reservations")
    blkio = reader.reader("blkio_config")
    devices = list(reader.items("devices"))
    vendors = [name for name in (item.text("source") for item in devices) if _VENDORS.fullmatch(name)]
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
        "BlkioWeightDevice": [
            {"Path": item.text("path"), "Weight": item.integer("weight")}
            for item in _throttles(blkio, "weight_device")
        ],
        **{
            engines: [
                {"Path": item.text("path"), "Rate": item.size("rate")} for item in _throttles(blkio, key)
            ]
            for key, engines in _RATES.items()
        },
        "DeviceRequests": [
            *({"Driver": "cdi", "DeviceIDs": [name]} for name in vendors),
            *(_request(item, also="gpu") for item in reader.items("gpus")),
            *(_request(item) for item in reservations.items("devices")),
        ],
        "Devices": [_device(item) for item in devices if item.text("source") not in vendors],
        "Ulimits": ulimits(reader),
    }


def _throttles(blkio: Reader, key: str) -> Iterator[Reader]:
    """Yield the entries of a list under `blkio_config`, whose keys Compose prints with a capital letter."""
    for item in blkio.items(key):
        yield Reader({name.lower(): value for name, value in item.value.items()}, item.path)


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


def _request(item: Reader, also: str = "") -> dict[str, object]:
    """Return a request for devices that a driver of the engine hands out; `gpus` means those that can `gpu`.

    Without count and ids it is for all of them, as for Compose. Raises ProjectError for both at once.
    """
    ids = item.texts("device_ids")
    count = -1 if item.raw("count") == "all" else item.integer("count", 0 if ids else -1)
    if ids and count:
        raise ProjectError(
            f"{item.path}: `count` and `device_ids` exclude each other.", "Remove one of them."
        )
    able = list(item.texts("capabilities"))
    return dense(
        {
            "Driver": item.text("driver", ""),
            "Count": count,
            "DeviceIDs": list(ids),
            "Capabilities": [able + [also] * (bool(also) and also not in able)],
            "Options": item.mapping("options"),
        }
    )


def ulimits(reader: Reader) -> list[dict[str, object]]:
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
