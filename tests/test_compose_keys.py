"""The schema of the Compose Specification, walked: a key is honoured, without effect, or refused by name."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scaffold.engine import plugins
from scaffold.errors import ProjectError
from scaffold.stack import desired as wish
from scaffold.stack import keys
from scaffold.stack.desired import Desired

SUPPORT = Path(__file__).parents[1] / "docs" / "compose-support.md"


@cache
def schema() -> Mapping[str, Any]:
    """Return the schema that the Compose of this machine carries: the text is in its program as it is."""
    program = Path(plugins.command("compose")[0]).read_bytes()
    name = program.index(b'"compose_spec.json"')
    text = program[program.rindex(b"{", 0, name) :][: 1 << 20].decode(errors="replace")
    found: Mapping[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return found


def properties() -> Iterator[tuple[str, str]]:
    """Yield every key of the specification with the path of the mapping that it stands in."""
    yield from dict.fromkeys(_walk(schema(), "", ()))


def _walk(node: Any, path: str, seen: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    while "$ref" in node:
        node = schema()["definitions"][node["$ref"].rpartition("/")[2]]
    if id(node) in seen:
        return
    seen += (id(node),)
    for choice in ("oneOf", "anyOf", "allOf"):
        for each in node.get(choice, ()):
            yield from _walk(each, path, seen)
    for key, value in node.get("properties", {}).items():
        yield path or ".", key
        yield from _walk(value, f"{path}.{key}" if path else key, seen)
    others = [value for key, value in node.get("patternProperties", {}).items() if key != "^x-"]
    for value in [*others, node.get("additionalProperties")]:
        if isinstance(value, dict):
            yield from _walk(value, f"{path}.*", seen)
    if isinstance(node.get("items"), dict):
        yield from _walk(node["items"], f"{path}[]", seen)


KINDS = {
    "resolved": keys.RESOLVED,
    "honoured": keys.HONOURED,
    "without effect": keys.WITHOUT_EFFECT,
    "refused": keys.REFUSED,
}


def kinds(path: str, key: str) -> list[str]:
    return [kind for kind, table in KINDS.items() if key in table.get(path, ())]


def above_is_refused(path: str) -> bool:
    """Return whether a mapping that this one is in is refused, or without effect, as a whole."""
    parts = path.split(".")
    whole = [(".".join(parts[:end]) or ".", re.sub(r"\W", "", parts[end])) for end in range(len(parts))]
    return any(set(kinds(place, key)) & {"refused", "without effect"} for place, key in whole)


def test_every_key_of_the_specification_has_one_place() -> None:
    found = list(properties())
    assert len(found) > 200, "the schema was not walked"
    wrong = {
        f"{path} {key}": kinds(path, key)
        for path, key in found
        if len(kinds(path, key)) != 1 and not above_is_refused(path)
    }
    assert wrong == {}


def test_no_key_has_two_places() -> None:
    every = {(path, key) for table in KINDS.values() for path, names in table.items() for key in names}
    assert {f"{path} {key}" for path, key in every if len(kinds(path, key)) > 1} == set()


@pytest.mark.parametrize("kind", ["honoured", "without effect", "refused"])
def test_page_names_every_key(kind: str) -> None:
    """Of what is honoured, the keys that stand directly under a service, its build, a network or a volume."""
    text = SUPPORT.read_text()
    section = text.split(f"## {kind.capitalize()}\n")[1].split("\n## ")[0].replace("deploy.", "deploy` `")
    for path, names in KINDS[kind].items():
        if kind == "honoured" and path not in ("services.*", "services.*.build", "networks.*", "volumes.*"):
            continue
        assert {key for key in names if f"`{key}`" not in section} == set(), path


PLACED: Mapping[str, Any] = {
    "services.app.deploy.restart_policy": {"deploy": {"restart_policy": {}}},
    "services.app.deploy.resources": {"deploy": {"resources": {}}},
    "services.app.deploy.resources.limits": {"deploy": {"resources": {"limits": {}}}},
    "services.app.build": {"build": {"context": "/x"}},
    "services.app.build.secrets[0]": {"build": {"context": "/x", "secrets": [{"source": "token"}]}},
    "services.app.build.ulimits.nofile": {"build": {"context": "/x", "ulimits": {"nofile": {"soft": 1}}}},
    "services.app.depends_on.db": {"depends_on": {"db": {"condition": "service_started"}}},
    "services.app.devices[0]": {"devices": [{"source": "/dev/null"}]},
    "services.app.gpus[0]": {"gpus": [{"count": -1}]},
    "services.app.healthcheck": {"healthcheck": {"test": ["CMD", "true"]}},
    "services.app.logging": {"logging": {"driver": "json-file"}},
    "services.app.networks.default": {"networks": {"default": {"priority": 1}}},
    "services.app.ports[0]": {"ports": [{"target": 80}]},
    "services.app.secrets[0]": {"secrets": [{"source": "token"}]},
    "services.app.configs[0]": {"configs": [{"source": "conf"}]},
    "services.app.ulimits.nofile": {"ulimits": {"nofile": {"soft": 1, "hard": 1}}},
    "services.app.volumes[0]": {"volumes": [{"type": "tmpfs", "target": "/t"}]},
    "services.app.volumes[0].bind": {
        "volumes": [{"type": "bind", "source": "/s", "target": "/t", "bind": {}}]
    },
    "services.app.volumes[0].volume": {"volumes": [{"type": "volume", "target": "/t", "volume": {}}]},
    "services.app.volumes[0].tmpfs": {"volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {}}]},
    "services.app.volumes[0].image": {"volumes": [{"type": "image", "target": "/t", "image": {}}]},
    "services.app.blkio_config": {"blkio_config": {"weight": 10}},
    "services.app.develop": {"develop": {"watch": []}},
    "networks.default": {},
    "networks.default.ipam": {},
    "networks.default.ipam.config[0]": {},
    "volumes.data": {},
    "secrets.token": {"secrets": [{"source": "token"}]},
    "configs.conf": {"configs": [{"source": "conf"}]},
}
"""Where keys stand, and the least service in which there is such a place."""


def document(service: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "p",
        "services": {"app": {"image": "x", **json.loads(json.dumps(service))}, "db": {"image": "y"}},
        "networks": {"default": {"name": "p_default", "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}},
        "volumes": {"data": {"name": "p_data"}},
        "secrets": {"token": {"file": "/token"}},
        "configs": {"conf": {"file": "/conf"}},
    }


@pytest.mark.parametrize("path", PLACED)
def test_key_that_nobody_knows_is_refused_at_any_depth(path: str) -> None:
    asked = document(PLACED[path])
    wish.read(asked, "/project")
    place: Any = asked
    for part in re.findall(r"[\w-]+", path):
        place = place[int(part)] if isinstance(place, list) else place[part]
    place["x-own"] = 1
    wish.read(asked, "/project")
    place["surprise"] = 1
    with pytest.raises(ProjectError, match=rf"^{re.escape(path)}\.surprise: scaffold cannot honour"):
        wish.read(asked, "/project")


def test_what_is_switched_off_or_unused_may_ask_for_anything() -> None:
    asked = document({})
    asked["services"]["db"] |= {"profiles": ["extra"], "links": ["app"], "use_api_socket": False}
    asked["secrets"]["theirs"] = {"external": True}
    assert [service.name for service in wish.read(asked, "/project").services] == ["app"]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"external": True}, r"^secrets\.token\.external: scaffold cannot honour"),
        ({"content": "x"}, r"secrets\[0\]: token has neither `file` nor `environment`"),
    ],
)
def test_secret_that_a_build_cannot_have_is_refused(definition: dict[str, Any], message: str) -> None:
    asked = document({"build": {"context": "/x", "secrets": [{"source": "token"}]}})
    asked["secrets"]["token"] = definition
    with pytest.raises(ProjectError, match=message):
        wish.read(asked, "/project")


def test_owner_and_mode_that_a_mounted_file_cannot_have_are_said() -> None:
    secret = {"source": "token", "uid": "7", "mode": "0400"}
    (warning,) = wish.read(document({"secrets": [secret]}), "/project").warnings
    assert warning.startswith("services.app.secrets[0]: uid and mode cannot be given to a mounted file")
    assert wish.read(document({"secrets": [{"source": "token"}]}), "/project").warnings == ()


def app(service: Mapping[str, Any], platform: str = "") -> Any:
    read: Desired = wish.read(document(service), "/project", default_platform=platform)
    return read.service("app")


BUILD = {"build": {"context": "/x"}}
BOTH = {"build": {"context": "/x", "platforms": ["linux/amd64", "linux/arm64"]}}


@pytest.mark.parametrize(
    ("service", "default", "platform", "built"),
    [
        (BUILD, "", None, ()),
        (BUILD | {"platform": "linux/arm64"}, "", "linux/arm64", ("linux/arm64",)),
        (BUILD, "linux/arm64", "linux/arm64", ("linux/arm64",)),
        (BUILD | {"platform": "linux/amd64"}, "linux/arm64", "linux/amd64", ("linux/amd64",)),
        (BOTH, "", None, ()),
        (BOTH | {"platform": "linux/arm64"}, "", "linux/arm64", ("linux/arm64",)),
        ({"build": {"context": "/x", "platforms": ["linux/arm64"]}}, "", None, ("linux/arm64",)),
        ({"image": "x"}, "linux/arm64", "linux/arm64", None),
    ],
)
def test_image_is_built_for_the_platform_of_its_container(
    service: dict[str, Any], default: str, platform: str | None, built: tuple[str, ...] | None
) -> None:
    """As pkg/compose/build.go of Compose decides it for `up`."""
    read = app(service, default)
    assert read.platform == platform
    assert (read.build.platforms if read.build else None) == built


def test_build_that_is_not_for_the_platform_of_its_container_is_refused() -> None:
    with pytest.raises(ProjectError, match=r"build\.platforms: linux/riscv64 is not among them"):
        app(BOTH | {"platform": "linux/riscv64"})


def test_devices_are_asked_for_as_compose_does() -> None:
    """Seen on the engine beside `docker compose create`, which leaves `gpus` out before 2.30."""
    reserved = {"capabilities": ["gpu", "utility"], "device_ids": ["0", "3"], "driver": "nvidia"}
    service = {
        "gpus": [{"count": -1}, {"capabilities": ["compute"], "count": 2, "options": {"x": "1"}}],
        "deploy": {"resources": {"reservations": {"devices": [reserved], "cpus": 0.5}}},
        "devices": [{"source": "/dev/null"}, {"source": "vendor.example/tpu=all"}],
    }
    host = app(service).body["HostConfig"]
    assert host["DeviceRequests"] == [
        {"Driver": "cdi", "DeviceIDs": ["vendor.example/tpu=all"]},
        {"Count": -1, "Capabilities": [["gpu"]]},
        {"Count": 2, "Capabilities": [["compute", "gpu"]], "Options": {"x": "1"}},
        {"Driver": "nvidia", "DeviceIDs": ["0", "3"], "Capabilities": [["gpu", "utility"]]},
    ]
    assert [device["PathOnHost"] for device in host["Devices"]] == ["/dev/null"]


def test_limits_of_a_disk_are_read_as_compose_prints_them() -> None:
    limits = {
        "weight_device": [{"Path": "/dev/vda", "Weight": 400}],
        "device_read_bps": [{"Path": "/dev/vda", "Rate": "12582912"}],
        "device_write_iops": [{"path": "/dev/vda", "rate": 30}],
    }
    host = app({"blkio_config": limits}).body["HostConfig"]
    assert host["BlkioWeightDevice"] == [{"Path": "/dev/vda", "Weight": 400}]
    assert host["BlkioDeviceReadBps"] == [{"Path": "/dev/vda", "Rate": 12582912}]
    assert host["BlkioDeviceWriteIOps"] == [{"Path": "/dev/vda", "Rate": 30}]
