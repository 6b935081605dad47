"""`scaffold run`, `./run.sh up` and `docker compose up` are three ways to one environment and its data."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.conftest import named
from tests.projects import SCAFFOLD, Project, add_item, generated, item_names, unused_port

pytestmark = pytest.mark.engine

Json = dict[str, Any]

UP = {
    "scaffold": (SCAFFOLD, "run"),
    "run.sh": ("./run.sh", "up"),
    "compose": ("docker", "compose", "up", "--detach", "--wait"),
}
# Every one follows every other one once.
WALK = ("scaffold", "run.sh", "compose", "scaffold", "compose", "run.sh", "scaffold")

# What may differ between the containers that the three ways make, and why that changes nothing.
EXCEPTIONS = {
    "Config.Hostname": "the container's own id",
    "Config.AttachStdout": "whether the docker command that created it was attached",
    "Config.AttachStderr": "as AttachStdout",
    "HostConfig.Binds": "another spelling of a mount; Mounts below says what came of it",
    "HostConfig.Mounts": "as Binds",
}
# Labels: each tool's own bookkeeping.
OWN_LABELS = (
    "com.docker.compose.config-hash",
    "com.docker.compose.depends_on",
    "com.docker.compose.image",
    "com.docker.compose.replace",
    "com.docker.compose.version",
    "dev.scaffold.context",
    "dev.scaffold.digest",
    "dev.scaffold.path",
)


@dataclass
class Record:
    """What was seen on a walk through the three ways, with nothing taken down in between."""

    project: Project
    found: list[set[str]] = field(default_factory=list)
    """The items after each arrival."""
    written: list[set[str]] = field(default_factory=list)
    """The items that had been created by then."""
    containers: dict[str, dict[str, Json]] = field(default_factory=dict)
    """The engine's documents by way and service, of the first arrival."""
    networks: dict[str, Json] = field(default_factory=dict)
    volumes: dict[str, Json] = field(default_factory=dict)
    listed: Json = field(default_factory=dict)
    """What `docker compose ps` and `ls` list of scaffold's containers."""


@pytest.fixture(scope="module", params=["python-postgres", "node-mongo"])
def record(
    engine: docker.DockerClient, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Record]:
    language, database = request.param.split("-")
    with named(engine) as name:
        folder = tmp_path_factory.mktemp("ways") / name
        yield walk(engine, generated(folder, f"language={language}", f"database={database}"))


def walk(engine: docker.DockerClient, project: Project) -> Record:
    record = Record(project)
    expected: set[str] = set()
    for number, way in enumerate(WALK):
        project.run(*UP[way])
        record.found.append(item_names(project))
        record.written.append(set(expected))
        add_item(project, f"{number} by {way}")
        expected.add(f"{number} by {way}")
        if way in record.containers:
            continue
        found = engine.api.containers(
            all=True, filters={"label": f"com.docker.compose.project={project.name}"}
        )
        documents = [engine.api.inspect_container(item["Id"]) for item in found]
        record.containers[way] = {
            item["Config"]["Labels"]["com.docker.compose.service"]: item for item in documents
        }
        record.networks[way] = engine.api.inspect_network(f"{project.name}_backend")
        record.volumes[way] = engine.api.inspect_volume(f"{project.name}_db-data")
        if way == "scaffold":
            record.listed = listed(project)
    return record


def listed(project: Project) -> Json:
    services = project.run("docker", "compose", "ps", "--all", "--format", "{{.Service}} {{.Name}}").out
    projects = json.loads(project.run("docker", "compose", "ls", "--format", "json").out)
    return {
        "services": dict(line.split() for line in services.splitlines()),
        "projects": {item["Name"]: item["ConfigFiles"] for item in projects},
    }


def test_rows_written_in_one_way_are_seen_in_every_other(record: Record) -> None:
    assert record.found == record.written


def test_names_are_the_same(record: Record) -> None:
    seen = {
        way: sorted(document["Name"] for document in documents.values())
        for way, documents in record.containers.items()
    }
    assert seen["scaffold"] == seen["run.sh"] == seen["compose"]
    services = sorted(record.containers["scaffold"])
    assert seen["scaffold"] == [f"/{record.project.name}-{service}-1" for service in services]


def test_containers_are_the_same(record: Record) -> None:
    for service in record.containers["scaffold"]:
        ways = {way: plain(documents[service]) for way, documents in record.containers.items()}
        for way in ("run.sh", "compose"):
            assert differences(ways["scaffold"], ways[way]) == [], f"{service} of scaffold and of {way}"


def test_network_and_volume_are_the_same(record: Record) -> None:
    for documents, keys in (
        (
            record.networks,
            ("Id", "Name", "Driver", "Options", "Internal", "Attachable", "EnableIPv6", "Labels"),
        ),
        (record.volumes, ("Name", "Driver", "Options", "CreatedAt", "Labels")),
    ):
        seen = {way: {key: document[key] for key in keys} for way, document in documents.items()}
        assert seen["scaffold"] == seen["run.sh"] == seen["compose"]


def test_services_find_each_other_by_name(record: Record) -> None:
    for way, documents in record.containers.items():
        for service, document in documents.items():
            networks = document["NetworkSettings"]["Networks"]
            assert networks.keys() == {f"{record.project.name}_backend"}, way
            assert service in next(iter(networks.values()))["Aliases"], way


def test_compose_lists_what_scaffold_started(record: Record) -> None:
    project = record.project
    assert record.listed["services"] == {
        service: project.container(service) for service in record.containers["scaffold"]
    }
    assert record.listed["projects"][project.name] == str(project.folder / "compose.yaml")


def plain(document: Json) -> Json:
    """Return the fields that say how a container is set up, by path, in one spelling."""
    found = {
        f"{part}.{key}": value
        for part in ("Config", "HostConfig")
        for key, value in document[part].items()
        if f"{part}.{key}" not in EXCEPTIONS
    }
    found["Config.Labels"] = {k: v for k, v in document["Config"]["Labels"].items() if k not in OWN_LABELS}
    found["Config.Env"] = sorted(document["Config"]["Env"])
    found["Mounts"] = sorted(
        (item["Type"], item.get("Name", ""), item["Destination"], item["RW"]) for item in document["Mounts"]
    )
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what is not the same; absent, null and empty are."""
    return [
        f"{key}: {one.get(key)} / {other.get(key)}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key) and (one.get(key) or other.get(key))
    ]


# ── certificates for the build ──────────────────────────────────────────────────────────────────────────

SHOWS_ITS_SECRET = """\
FROM python:3.13-slim AS final
COPY round /round
RUN --mount=type=secret,id=ca_bundle mkdir /www && cp /run/secrets/ca_bundle /www/readyz
WORKDIR /www
CMD ["python", "-m", "http.server", "8000"]
"""


@pytest.mark.parametrize("setting", ["CA_BUNDLE in .env", "SSL_CERT_FILE"])
def test_every_way_passes_the_certificates_to_the_build(
    tmp_path: Path, project_name: str, setting: str
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"certificates of {setting}\n")
    environment = {} if setting == "CA_BUNDLE in .env" else {"SSL_CERT_FILE": str(bundle)}
    folder = generated(tmp_path / project_name, "database=none", f"app_port={unused_port()}").folder
    project = Project(folder, environment)
    (folder / "Dockerfile").write_text(SHOWS_ITS_SECRET)
    (folder / ".dockerignore").write_text("*\n!round\n")
    project.run("./run.sh", "env")
    if not environment:
        project.env_file.write_text(f"{project.env_file.read_text()}CA_BUNDLE={bundle}\n")
    # What this Dockerfile does with a secret is refused unless somebody lets it through.
    run = (SCAFFOLD, "run", "--allow-secret", "ca_bundle")
    for command in (run, ("./run.sh", "up"), ("docker", "compose", "build", "app")):
        # BuildKit does not look at secrets: without this, the second build would be the first one's cache.
        (folder / "round").write_text(f"{setting} {command}")
        project.run(*command)
        shown = ("docker", "run", "--rm", f"{project.name}-app", "cat", "/www/readyz", "/round")
        assert project.run(*shown).out == f"{bundle.read_text()}{setting} {command}"
