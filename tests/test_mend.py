"""What is mended in volumes, and what is left behind: nothing, and nothing of anybody's is touched."""

from __future__ import annotations

import docker
import pytest

from scaffold.engine import oneoff
from scaffold.engine.client import Engine
from scaffold.mend import _IDLE, Mending
from scaffold.stack import names
from scaffold.stack.desired import Desired, Service

pytestmark = pytest.mark.engine


def test_oneoff_leaves_no_anonymous_volume_and_the_named_one(
    engine: docker.DockerClient, project_name: str
) -> None:
    volume = f"{project_name}_data"
    engine.volumes.create(volume)
    # The image declares a second volume, /data/configdb.
    service = Service("db", "mongo:8", {})
    with (
        Engine() as ours,
        oneoff.container(
            ours, Desired(project_name, "/shop"), service, _IDLE, [f"{volume}:/data/db"]
        ) as name,
    ):
        mounts = engine.api.inspect_container(name)["Mounts"]
        assert len(mounts) == 2
    left = {item["Name"] for item in engine.api.volumes()["Volumes"]}
    assert {item["Name"] for item in mounts} & left == {volume}


def test_innermost_volume_holds_the_data(engine: docker.DockerClient, project_name: str) -> None:
    mounts = []
    for part, where in (
        ("home", "/var/lib"),
        ("data", "/var/lib/postgresql"),
        ("other", "/var/lib/postgres"),
    ):
        volume = engine.volumes.create(f"{project_name}_{part}", labels={names.PROJECT: project_name})
        mounts.append({"Type": "volume", "Name": volume.name, "Destination": where})
    document = {"Config": {"Env": ["PGDATA=/var/lib/postgresql/18/docker"]}, "Mounts": mounts}
    with Engine() as ours:
        place = Mending(ours, Desired(project_name, "/shop"))._place(document)
    assert place is not None
    assert (place.volume, place.mount) == (f"{project_name}_data", "/var/lib/postgresql")
