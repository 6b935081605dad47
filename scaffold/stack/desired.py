"""What the project asks for: the resolved compose.yaml as frozen values, nothing dropped.

The input is the output of `docker compose config --format json`, the reference implementation of the
Compose Specification. A key that cannot be honoured stops here with the name of the service and the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scaffold.errors import ProjectError
from scaffold.numbers import whole
from scaffold.stack import keys, names
from scaffold.stack.develop import Trigger, triggers
from scaffold.stack.reader import Reader
from scaffold.stack.requests.container import translate
from scaffold.stack.requests.fields import Context
from scaffold.stack.requests.mounts import InlineFile
from scaffold.stack.requests.resources import ulimits
from scaffold.stack.secrets import NOTHING, Confidential, Known, declared, known_of, known_secrets, values


@dataclass(frozen=True)
class BuildSecret:
    """A secret for the build alone: `id` as the Dockerfile mounts it, from a file or a variable."""

    id: str
    file: str | None = None
    environment: str | None = None


@dataclass(frozen=True)
class Build:
    """One image to build; paths are absolute, everything that changes the result is here."""

    context: str
    dockerfile: str
    inline: str | None = None
    target: str | None = None
    args: tuple[tuple[str, str | None], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    secrets: tuple[BuildSecret, ...] = ()
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    contexts: tuple[tuple[str, str], ...] = ()
    extra_hosts: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    network: str | None = None
    shm_size: int | None = None
    no_cache: bool = False
    pull: bool = False
    entitlements: tuple[str, ...] = ()
    ulimits: tuple[tuple[str, str], ...] = ()
    """Name and `soft:hard`."""
    attestations: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    """Services upon whose images it is built; filled in once the Dockerfile is read."""
    digest: str = ""
    """Digest of the context and all the above; filled in once the files are read."""
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Digest of each file of the context by its path, for saying what changed."""
    withheld: tuple[str, ...] = ()
    """What is in the context, is not ignored, and is not sent all the same: `.env` above all."""
    withheld_from: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """The same for other contexts that are folders: name, folder and paths."""
    ignore_file: str = ""
    """The ignore file that the builder takes, empty when there is none."""
    sources: tuple[tuple[str, str], ...] | None = None
    """What the Dockerfile takes from contexts: (context or stage, path); None where that is not known."""
    recipe: str = ""
    """Digest of the Dockerfile, its arguments and its base images."""
    exposed: tuple[tuple[str, str], ...] = ()
    """What the Dockerfile asks for by name though it is withheld otherwise, each with the line that does."""


@dataclass(frozen=True)
class Port:
    """`host_ip:published → target/protocol`; `published` is 0 when the engine picks, a range stays text."""

    target: int
    published: str = ""
    host_ip: str = ""
    protocol: str = "tcp"

    @property
    def number(self) -> int:
        """The port of this machine; 0 when the engine picks it, or one of a range."""
        return whole(self.published, 5) or 0


@dataclass(frozen=True)
class Dependency:
    """`service` comes first, up to `condition`; `restart` passes a restart on."""

    service: str
    condition: str = "service_started"
    restart: bool = False
    required: bool = True


@dataclass(frozen=True)
class Service:
    """One service: the engine's own JSON for its containers, and what surrounds it."""

    name: str
    image: str
    body: Mapping[str, object]
    """The create request without the labels that `container_request` adds."""
    container_name: str | None = None
    build: Build | None = None
    replicas: int = 1
    depends_on: tuple[Dependency, ...] = ()
    networks: tuple[str, ...] = ()
    """Names on the engine, the first one is the primary."""
    volumes: tuple[str, ...] = ()
    """Named volumes, by their names on the engine."""
    environment: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()
    ready_path: str | None = None
    has_healthcheck: bool = False
    restarts: bool = False
    """The engine restarts it when it exits."""
    one_shot: bool = False
    """Another service waits for it to complete."""
    once: bool = False
    """All that it does is in the volumes behind it, so that it outlasts its container."""
    pull_policy: str = ""
    platform: str | None = None
    stop_timeout: int = 10
    """Seconds between the stop signal and SIGKILL."""
    shares: tuple[str, ...] = ()
    """Services of whose first container it uses the network, the IPC or the process namespace."""
    files: tuple[InlineFile, ...] = ()
    develop: tuple[Trigger, ...] = ()
    """What a changed file leads to; no container is made from it."""
    confidential: Confidential = field(default=NOTHING, compare=False, repr=False)
    """The secrets of the whole project: one service may print what belongs to another."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """Return what may not be shown, wherever it stands."""
        return tuple({*values(self.confidential.known), *known_secrets([self.environment])})

    def env(self, name: str) -> str | None:
        """Return the value of one environment variable, None when it is not set."""
        return dict(self.environment).get(name)


@dataclass(frozen=True)
class Network:
    """A network of the project, or an external one that only has to exist."""

    key: str
    name: str
    external: bool = False
    driver: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    ipam: str = ""
    """Compose's ipam section as canonical JSON, empty for the engine's default."""
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """Return what the network is compared by; its key and whether it is external do not count."""
        return digest(
            [self.driver, self.options, self.ipam, self.internal, self.attachable, self.ipv6, self.labels]
        )


@dataclass(frozen=True)
class Volume:
    """A named volume; an existing one is never changed or recreated."""

    key: str
    name: str
    external: bool = False
    driver: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Desired:
    """The whole project as it should be on the engine."""

    project: str
    path: str
    services: tuple[Service, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    profiles: tuple[str, ...] = ()
    """All that services name, active or not."""
    inactive: tuple[str, ...] = ()
    """Services whose profile is not active: neither started nor orphans."""
    dormant: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The profiles of those services, any of which would start them."""
    config_files: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is to be known of compose.yaml though it can be used, in sentences."""
    hashes: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Compose's own hash of each service, once it was asked for: containers that carry it stay."""
    compose_version: str = ""
    given: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The values of the variables that secrets and configs name."""
    secrets: tuple[str, ...] = ()
    """The names of all secrets that compose.yaml declares."""
    secret_files: tuple[tuple[str, str], ...] = ()
    """The files of secrets that compose.yaml declares, by name."""
    confidential: Confidential = field(default=NOTHING, compare=False, repr=False)
    """The secrets that the project is known to have."""

    def service(self, name: str) -> Service:
        """Return one service; raise ProjectError with the known names for any other."""
        for service in self.services:
            if service.name == name:
                return service
        if name in self.inactive:
            raise ProjectError(
                f'The profile of service "{name}" is not active.', "COMPOSE_PROFILES in .env makes it so."
            )
        known = ", ".join(service.name for service in self.services) or "none"
        raise ProjectError(f'There is no service "{name}" in compose.yaml.', f"Services: {known}.")

    def with_secrets(
        self, files: Callable[[], Iterable[tuple[str, str]]], variables: Mapping[str, str]
    ) -> Desired:
        """Return the same with the secrets that it has; `files` reads the declared ones, when it is asked."""

        def find() -> Iterator[Known]:
            yield from known_of(variables.items())
            yield from self.confidential.known
            for service in self.services:
                yield from known_of(service.environment)
                given = service.build.args if service.build else ()
                yield from known_of((name, value) for name, value in given if value)
            for name, text in files():
                yield from declared(name, text)

        found = Confidential(find)
        services = tuple(replace(service, confidential=found) for service in self.services)
        return replace(self, services=services, confidential=found)

    def with_builds(self, builds: Mapping[str, Build]) -> Desired:
        """Return the same with other builds, by service name: those whose files have been read."""
        return replace(
            self,
            services=tuple(
                replace(service, build=builds.get(service.name, service.build)) for service in self.services
            ),
        )


def digest(value: object) -> str:
    """Return 32 hex digits that are equal for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def container_digest(service: Service) -> str:
    """Return the digest of a service's container: the one place that decides what "changed" means."""
    return digest([service.image, service.body, service.platform, [file.identity for file in service.files]])


def container_name(desired: Desired, service: Service, number: int) -> str:
    """Return the container's name: `container_name:` of compose.yaml, or the one that Compose gives."""
    return service.container_name or names.container(desired.project, service.name, number)


def container_names(desired: Desired, service: Service) -> dict[str, int]:
    """Return the names of all of a service's containers, each with its number."""
    return {container_name(desired, service, n): n for n in range(1, service.replicas + 1)}


def variables(document: Mapping[str, object]) -> frozenset[str]:
    """Return the variables that secrets and configs are taken from; `config` prints no values of them."""
    root = Reader(document, "")
    return frozenset(
        reader.text("environment")
        for key in ("secrets", "configs")
        for _, reader in root.readers(key)
        if reader.has("environment")
    )


_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
"""Read part by part: what is switched off or unused may ask for anything."""


def read(
    document: Mapping[str, object],
    path: str,
    profiles: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
    default_platform: str = "",
) -> Desired:
    """Return the project described by a resolved Compose document.

    `path` is the real path of the checkout, `variables` what secrets and configs may name, `default_platform`
    that of services which name none (DOCKER_DEFAULT_PLATFORM). Raises
    ProjectError for a key that cannot be honoured.
    """
    root = Reader(document, "")
    project = root.text("name")
    keys.check({key: value for key, value in root.value.items() if key not in _SECTIONS}, ".", "")
    networks = {key: _network(key, reader) for key, reader in root.readers("networks")}
    volumes = {key: _volume(key, reader) for key, reader in root.readers("volumes")}
    context = Context(
        networks={key: network.name for key, network in networks.items()},
        volumes={key: volume.name for key, volume in volumes.items()},
        secrets=dict(root.readers("secrets")),
        configs=dict(root.readers("configs")),
        project=project,
        variables=variables or {},
        default_platform=default_platform,
    )
    active, inactive = _by_profile(list(root.readers("services")), set(profiles))
    services = tuple(_service(key, reader, context) for key, reader in sorted(active))
    _check_dependencies(services, inactive)
    waited_for = {
        item.service
        for service in services
        for item in service.depends_on
        if item.condition == "service_completed_successfully"
    }
    return Desired(
        project=project,
        warnings=tuple(warning for _, reader in sorted(active) for warning in _unmet_owners(reader, context)),
        path=path,
        services=tuple(replace(item, one_shot=item.name in waited_for or item.once) for item in services),
        networks=tuple(networks[key] for key in sorted(networks)),
        volumes=tuple(volumes[key] for key in sorted(volumes)),
        profiles=tuple(
            sorted({name for _, reader in root.readers("services") for name in reader.texts("profiles")})
        ),
        inactive=tuple(sorted(inactive)),
        dormant=tuple(
            (name, reader.texts("profiles")) for name, reader in root.readers("services") if name in inactive
        ),
        given=context.variables,
        secrets=tuple(context.secrets),
        secret_files=tuple(
            (key, reader.text("file")) for key, reader in context.secrets.items() if reader.has("file")
        ),
        confidential=Confidential(
            lambda: [
                known for key, reader in context.secrets.items() for known in _inline(key, reader, context)
            ]
        ),
    )


def _unmet_owners(reader: Reader, context: Context) -> Iterator[str]:
    """Yield what is asked for of mounted files and cannot be done: Compose passes over it as well."""
    for kind in ("secrets", "configs"):
        for item in reader.items(kind):
            asked = [key for key in ("uid", "gid", "mode") if item.has(key)]
            file = context.definition(kind, item.text("source"), item.path).text("file", "")
            if asked and file:
                yield (
                    f"{item.path}: {' and '.join(asked)} cannot be given to a mounted file: it has those of "
                    f"{file}. One from `environment:` or `content:` gets them."
                )


def _inline(key: str, reader: Reader, context: Context) -> Iterator[Known]:
    """Yield the secret that stands in compose.yaml itself or in a variable."""
    variable = reader.text("environment", "")
    yield from declared(key, context.variables.get(variable, "") if variable else reader.text("content", ""))


def _by_profile(
    services: Sequence[tuple[str, Reader]], profiles: set[str]
) -> tuple[list[tuple[str, Reader]], list[str]]:
    active = []
    inactive = []
    for key, reader in services:
        own = set(reader.texts("profiles"))
        if not own or "*" in profiles or own & profiles:
            active.append((key, reader))
        else:
            inactive.append(key)
    return active, inactive


def _check_dependencies(services: tuple[Service, ...], inactive: Sequence[str]) -> None:
    present = {service.name for service in services}
    for service in services:
        for item in service.depends_on:
            if item.service in present or not item.required:
                continue
            why = "is in a profile that is not active" if item.service in inactive else "does not exist"
            raise ProjectError(
                f"services.{service.name}.depends_on: {item.service} {why}.",
                "Add it, activate its profile with --profile, or set `required: false`.",
            )
    _check_cycles(services)


def _check_cycles(services: tuple[Service, ...]) -> None:
    left = {service.name: {item.service for item in service.depends_on} for service in services}
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            raise ProjectError(f"services.{min(left)}.depends_on: the dependencies form a circle.")
        for name in free:
            del left[name]


def _service(key: str, reader: Reader, context: Context) -> Service:
    keys.check(reader.value, "services.*", reader.path)
    made = translate(key, reader, context)
    platform = reader.text("platform", context.default_platform)
    build = _build(reader.reader("build"), context, platform) if reader.has("build") else None
    image = reader.text("image", "") or (names.image(context.project, key) if build else "")
    if not image:
        raise ProjectError(f"services.{key}: needs `image` or `build`.")
    deploy = reader.reader("deploy")
    if deploy.text("mode", "replicated") not in ("replicated", ""):
        raise ProjectError(f"services.{key}.deploy.mode: only `replicated` works on a single engine.")
    replicas = reader.number("scale", int(deploy.number("replicas", 1)))
    container = reader.text("container_name", "") or None
    if container and replicas > 1:
        raise ProjectError(f"services.{key}.container_name: {replicas} containers cannot share one name.")
    if not reader.has("image") and build and image != image.lower():
        raise ProjectError(
            f"services.{key}.build: an image's name has small letters only, and would be {image}.",
            f"Name it: `image: {image.lower()}`, or call the service {key.lower()}.",
        )
    labels = reader.mapping("labels")
    once = labels.get(names.ONCE, "")
    if once not in ("", "volume"):
        raise ProjectError(f"services.{key}.labels.{names.ONCE}: `volume` is the only value, not `{once}`.")
    ports = tuple(
        Port(
            target=int(item.number("target")),
            published=item.text("published", ""),
            host_ip=item.text("host_ip", ""),
            protocol=item.text("protocol", "tcp"),
        )
        for item in reader.items("ports")
    )
    fixed = next((port for port in ports if port.number), None)
    if fixed and replicas > 1:
        last = fixed.number + int(replicas) - 1
        raise ProjectError(
            f"services.{key}.ports: {int(replicas)} containers cannot share one port, {fixed.number}.",
            f"Publish a range, `{fixed.number}-{last}:{fixed.target}`, or let the engine choose: "
            f'`ports: ["{fixed.target}"]`.',
        )
    depends_on = tuple(
        Dependency(
            name,
            item.text("condition", "service_started"),
            item.flag("restart"),
            item.flag("required", default=True),
        )
        for name, item in sorted(reader.readers("depends_on"))
    )
    return Service(
        name=key,
        image=image,
        body=made.request,
        container_name=container,
        build=build,
        replicas=int(replicas),
        depends_on=depends_on,
        networks=made.networks,
        volumes=made.volumes,
        environment=made.environment,
        ports=ports,
        ready_path=labels.get(names.READY),
        has_healthcheck=made.has_healthcheck,
        restarts=made.restarts,
        once=bool(once),
        pull_policy=reader.text("pull_policy", ""),
        platform=platform or None,
        stop_timeout=made.stop_timeout,
        shares=made.shares,
        develop=triggers(reader.reader("develop"), has_build=build is not None),
        files=made.files,
    )


def _platforms(reader: Reader, platform: str) -> tuple[str, ...]:
    """Return the platform to build for: that of the container, as for `docker compose up`.

    Of several without one the builder takes its own: an engine runs one of them. Raises ProjectError when
    the build is not for the platform that the container is to have.
    """
    several = reader.texts("platforms")
    if platform and several and platform not in several:
        raise ProjectError(
            f"{reader.path}.platforms: {platform} is not among them, and the container is to be for it.",
            f"Add {platform}, or change `platform:` of the service or DOCKER_DEFAULT_PLATFORM.",
        )
    return (platform,) if platform else several if len(several) == 1 else ()


def _build(reader: Reader, context: Context, platform: str) -> Build:
    secrets = tuple(_build_secret(item, context) for item in reader.items("secrets"))
    return Build(
        context=reader.text("context"),
        dockerfile=reader.text("dockerfile", "Dockerfile"),
        inline=reader.text("dockerfile_inline", "") or None,
        target=reader.text("target", "") or None,
        args=tuple(sorted(reader.optional_mapping("args").items())),
        labels=tuple(sorted(reader.mapping("labels").items())),
        secrets=secrets,
        platforms=_platforms(reader, platform),
        tags=reader.texts("tags"),
        cache_from=reader.texts("cache_from"),
        cache_to=reader.texts("cache_to"),
        contexts=tuple(sorted(reader.mapping("additional_contexts").items())),
        extra_hosts=reader.texts("extra_hosts"),
        ssh=reader.texts("ssh"),
        network=reader.text("network", "") or None,
        shm_size=reader.size("shm_size"),
        no_cache=reader.flag("no_cache"),
        pull=reader.flag("pull"),
        entitlements=reader.texts("entitlements"),
        ulimits=tuple((str(item["Name"]), f"{item['Soft']}:{item['Hard']}") for item in ulimits(reader)),
        attestations=_attestations(reader),
    )


def _attestations(reader: Reader) -> tuple[tuple[str, str], ...]:
    """Return what is to be said of the image beside it, as options of buildx: provenance and sbom."""
    given = ((key, reader.raw(key)) for key in ("provenance", "sbom"))
    return tuple((key, str(value).lower() if value is True else str(value)) for key, value in given if value)


def _build_secret(item: Reader, context: Context) -> BuildSecret:
    source = item.text("source")
    definition = context.definition("secrets", source, item.path)
    if not definition.has("file") and not definition.has("environment"):
        raise ProjectError(
            f"{item.path}: {source} has neither `file` nor `environment`, and a build takes no other.",
            f"Give secrets.{source} one of them.",
        )
    return BuildSecret(
        id=item.text("target", "") or source,
        file=definition.text("file", "") or None,
        environment=definition.text("environment", "") or None,
    )


def _network(key: str, reader: Reader) -> Network:
    keys.check(reader.value, "networks.*", reader.path)
    if not reader.flag("enable_ipv4", default=True):
        raise ProjectError(
            f"{reader.path}.enable_ipv4: scaffold makes no network without IPv4.",
            "Remove it, or start the project with `docker compose up`.",
        )
    ipam = reader.raw("ipam")
    return Network(
        key=key,
        name=reader.text("name", key),
        external=reader.flag("external"),
        driver=reader.text("driver", "") or None,
        options=tuple(sorted(reader.mapping("driver_opts").items())),
        ipam=json.dumps(ipam, sort_keys=True) if ipam else "",
        internal=reader.flag("internal"),
        attachable=reader.flag("attachable"),
        ipv6=reader.flag("enable_ipv6"),
        labels=tuple(sorted(reader.mapping("labels").items())),
    )


def _volume(key: str, reader: Reader) -> Volume:
    keys.check(reader.value, "volumes.*", reader.path)
    return Volume(
        key=key,
        name=reader.text("name", key),
        external=reader.flag("external"),
        driver=reader.text("driver", "") or None,
        options=tuple(sorted(reader.mapping("driver_opts").items())),
        labels=tuple(sorted(reader.mapping("labels").items())),
    )
