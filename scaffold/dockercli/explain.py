"""The docker commands that a person would type for a plan, in order, each with one line of why. Pure.

Secrets stay where they are: a word that holds one is written with the name of a shell variable. The
environment of a container, and a build argument that is a secret, go through the environment of the docker
command, so that the process list does not show them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from scaffold import characters
from scaffold.dockercli import buildx
from scaffold.stack import names
from scaffold.stack.desired import Build, Desired, Network, Service, Volume
from scaffold.stack.plan import NOT_THERE, Plan
from scaffold.stack.requests.labelled import container_request, network_request, volume_request
from scaffold.stack.requests.mounts import InlineFile
from scaffold.stack.secrets import masked
from scaffold.stack.steps import (
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Prove,
    PullImage,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    SetAsideContainer,
    SetAsideData,
    StartContainer,
    Step,
    StopContainer,
    UnpauseContainer,
)

Json = Mapping[str, object]

_CONTAINER_FLAGS = (
    ("Hostname", "--hostname"),
    ("Domainname", "--domainname"),
    ("User", "--user"),
    ("WorkingDir", "--workdir"),
    ("StopSignal", "--stop-signal"),
    ("StopTimeout", "--stop-timeout"),
)
_HOST_FLAGS = (
    ("IpcMode", "--ipc"),
    ("CgroupnsMode", "--cgroupns"),
    ("CgroupParent", "--cgroup-parent"),
    ("ShmSize", "--shm-size"),
    ("UsernsMode", "--userns"),
    ("UTSMode", "--uts"),
    ("PidMode", "--pid"),
    ("Isolation", "--isolation"),
    ("Runtime", "--runtime"),
    ("OomScoreAdj", "--oom-score-adj"),
    ("Memory", "--memory"),
    ("MemorySwap", "--memory-swap"),
    ("MemorySwappiness", "--memory-swappiness"),
    ("MemoryReservation", "--memory-reservation"),
    ("CpuCount", "--cpu-count"),
    ("CpuPercent", "--cpu-percent"),
    ("CpuPeriod", "--cpu-period"),
    ("CpuQuota", "--cpu-quota"),
    ("CpuRealtimePeriod", "--cpu-rt-period"),
    ("CpuRealtimeRuntime", "--cpu-rt-runtime"),
    ("CpuShares", "--cpu-shares"),
    ("CpusetCpus", "--cpuset-cpus"),
    ("PidsLimit", "--pids-limit"),
    ("BlkioWeight", "--blkio-weight"),
)
_HOST_LISTS = (
    ("Binds", "--volume"),
    ("CapAdd", "--cap-add"),
    ("CapDrop", "--cap-drop"),
    ("Dns", "--dns"),
    ("DnsSearch", "--dns-search"),
    ("DnsOptions", "--dns-option"),
    ("ExtraHosts", "--add-host"),
    ("SecurityOpt", "--security-opt"),
    ("GroupAdd", "--group-add"),
    ("DeviceCgroupRules", "--device-cgroup-rule"),
)
_HOST_PAIRS = (("Sysctls", "--sysctl"), ("StorageOpt", "--storage-opt"), ("Annotations", "--annotation"))
_HEALTH_FLAGS = (
    ("Interval", "--health-interval"),
    ("Timeout", "--health-timeout"),
    ("StartPeriod", "--health-start-period"),
    ("StartInterval", "--health-start-interval"),
)
_RECURSION = (
    ("NonRecursive", "disabled"),
    ("ReadOnlyNonRecursive", "writable"),
    ("ReadOnlyForceRecursive", "readonly"),
)

_THROTTLES = (
    ("BlkioWeightDevice", "--blkio-weight-device", "Weight"),
    ("BlkioDeviceReadBps", "--device-read-bps", "Rate"),
    ("BlkioDeviceReadIOps", "--device-read-iops", "Rate"),
    ("BlkioDeviceWriteBps", "--device-write-bps", "Rate"),
    ("BlkioDeviceWriteIOps", "--device-write-iops", "Rate"),
)

_FOLDER = "/\0folder"
"""Stands for a folder whose name only the shell knows."""
_IMAGE = "\0image"
"""Stands before the name of an image whose id only the engine knows."""
_REPLACED = 4
"""Characters from which a secret is looked for inside a word; a shorter one stands there by chance."""
_RESERVED = re.compile(
    r"(BASH|ZSH|DOCKER|BUILDX|BUILDKIT|COMPOSE|LD|DYLD|SSH|PS)\d*(_|$)|[A-Z_]+_PROXY$|_$|folder$"
    r"|(PATH|HOME|IFS|ENV|UID|EUID|PPID|SHELL\w*|PWD|OLDPWD|TERM|LANG|LC_\w+|TMPDIR|HOST\w*|RANDOM|SECONDS|path|status|argv)$",
    re.IGNORECASE,
)
"""What a variable is called that means something to a shell, to docker or to a program it starts."""
_WIDTH = 100
"""Columns up to which a command stays on one line."""


@dataclass(frozen=True)
class Command:
    """One line for a shell, and why it is there."""

    why: str
    text: str


@dataclass(frozen=True)
class _Shell:
    """Writes words for a shell; `holders` are the secrets by the shell variable that has them."""

    holders: Mapping[str, str]

    def join(self, *words: str) -> str:
        """Return a shell line; a long one is broken before each option, as people write it."""
        quoted = [self.quote(word) for word in words]
        line = " ".join(quoted)
        if len(line) <= _WIDTH:
            return line
        made = quoted[0]
        for before, word in pairwise(quoted):
            # An option's value stays beside it.
            breaks = word.startswith("--") or ("\n" in made and not before.startswith("--"))
            made += (" \\\n  " if breaks else " ") + word
        return made

    def quote(self, word: str) -> str:
        """Return the word for a shell, each secret in it replaced by the variable that has it."""
        if word.startswith(_FOLDER):
            return '"$folder"' + self.quote(word.removeprefix(_FOLDER))
        name, equals, rest = word.partition(f"={_FOLDER}")
        if equals:
            return f'{self.quote(name)}="$folder"{self.quote(rest)}'
        name, known, image = word.partition(f"={_IMAGE}")
        if known:
            asked = f"docker image inspect --format '{{{{.Id}}}}' {self.quote(image)}"
            return f'{self.quote(name)}="$({asked})"'
        parts = self._parts(word)
        if not any(holder for _, holder in parts):
            return characters.in_shell(shlex.quote(word))
        # An exclamation mark in double quotes is a command to an interactive shell.
        if "!" in word:
            return "".join(
                f'"{text}"' if holder else characters.in_shell(shlex.quote(text))
                for text, holder in parts
                if text
            )
        made = (
            text if holder else characters.in_double_quotes(re.sub(r'([\\"$`])', r"\\\1", text))
            for text, holder in parts
        )
        return f'"{"".join(made)}"'

    def hides(self, text: str) -> bool:
        return any(holder for _, holder in self._parts(text))

    def _parts(self, text: str) -> list[tuple[str, bool]]:
        """Return the text in parts; one of them that is a secret is its variable."""
        whole = next((name for name, value in self.holders.items() if value == text), None)
        if whole:
            return [(_of(whole), True)]
        # Shorter ones are words that stand there by chance.
        known = {value: name for name, value in self.holders.items() if len(value) >= _REPLACED}
        if not known:
            return [(text, False)]
        pattern = "|".join(re.escape(value) for value in sorted(known, key=len, reverse=True))
        found = re.split(f"({pattern})", text)
        return [(_of(known[part]), True) if index % 2 else (part, False) for index, part in enumerate(found)]


def _of(variable: str) -> str:
    """Return the variable's value; without one, a shell stops instead of going on with nothing."""
    return f"${{{variable}:?}}"


def holders(desired: Desired, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what `scaffold env --export` gives a shell: each secret by the variable that has it.

    A secret of .env has its own name; one from elsewhere has that of what it is given to.
    """
    found: dict[str, str] = {}
    for name, value in variables.items():
        if value and masked(name, value) != value:
            found[_free("env", name, found)] = value
    for service in desired.services:
        for name, value in _given(service):
            known = [item for item in found.values() if len(item) >= _REPLACED]
            if value and value not in found.values() and not any(item in value for item in known):
                found[_free(service.name, name, found)] = value
    return found


def exported(found: Mapping[str, str]) -> str:
    """Return the lines with which a shell learns the secrets; it runs nothing that is in them."""
    words = {name: characters.in_shell(shlex.quote(value)) for name, value in found.items()}
    return "\n".join(f"{name}={word}" for name, word in words.items())


def _given(service: Service) -> Iterator[tuple[str, str]]:
    """Yield the secrets of a service, each with the name of what it is the value of."""
    arguments = service.build.args if service.build else ()
    for name, value in (*service.environment, *arguments):
        if value and masked(name, value) != value:
            yield name, value
    for file in service.files:
        yield file.variable or file.path.rpartition("/")[2], file.content.reveal()


def _free(service: str, name: str, taken: Mapping[str, str]) -> str:
    """Return a name that a shell variable may have and none has yet."""
    for wanted in (name, f"{service}_{name}", *(f"{service}_{name}_{n}" for n in range(2, 10**6))):
        plain = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        plain = plain if re.match(r"[A-Za-z_]", plain) and not _RESERVED.match(plain) else f"_{plain}"
        if plain not in taken:
            return plain
    raise AssertionError("a million secrets of one name")


def commands(
    plan: Plan, desired: Desired, variables: Mapping[str, str], *, show_secrets: bool = False
) -> tuple[Command, ...]:
    """Return the shell lines for a plan; `variables` are those of .env."""
    found = {} if show_secrets else holders(desired, variables)
    shell = _Shell(found)
    lines = [line for item in plan.steps for line in _lines(item.step, desired, shell)]
    if any(_of(name) in line.text for name in found for line in lines):
        # A failure must not be lost between the two.
        text = 'eval "$(scaffold env --export || echo false)"'
        lines.insert(0, Command("secrets stay where they are: this shell learns them", text))
    return tuple(lines)


def _lines(step: Step, desired: Desired, shell: _Shell) -> Iterator[Command]:
    why = "" if step.reason == NOT_THERE else f": {step.reason}"
    match step:
        case PullImage(reference=reference, platform=platform):
            flags = ["--platform", platform] if platform else []
            yield Command(f"get the image {reference}{why}", shell.join("docker", "pull", *flags, reference))
        case BuildImage(service=service):
            assert service.build is not None
            text = _build(desired, service, service.build, shell)
            yield Command(f"build the image that {service.name} is made from{why}", text)
        case CreateNetwork(network=network):
            text = _network(network, desired, shell)
            yield Command(f"a network on which containers find each other by service name{why}", text)
        case RemoveNetwork(name=name):
            yield Command(f"remove the network{why}", shell.join("docker", "network", "rm", name))
        case CreateVolume(volume=volume):
            text = _volume(volume, desired, shell)
            yield Command(f"a volume: the data in it outlives the containers{why}", text)
        case RemoveVolume(name=name):
            yield Command(f"DELETE THE DATA{why}", shell.join("docker", "volume", "rm", name))
        case RemoveImage(reference=reference):
            yield Command(f"remove the image{why}", shell.join("docker", "image", "rm", reference))
        case SetAsideData():
            yield from _set_aside(step, shell)
        case _:
            yield from _container_lines(step, desired, shell, why)


def _set_aside(step: SetAsideData, shell: _Shell) -> Iterator[Command]:
    """What the engine's API does without a program of the image's is said with the image's own ones."""
    task = ("docker", "run", "--rm", "--network", "none", "--user", "0", "--volume", f"{step.volume}:/volume")
    inside = ("--entrypoint", "sh", step.service.image, "-c")
    if step.directory:
        parent = step.aside.rpartition("/")[0]
        script = (
            f"cd /volume && mkdir -p {parent} && mv {shlex.quote(step.directory)} {shlex.quote(step.aside)}"
        )
        yield Command(f"set aside what is in it: {step.reason}", shell.join(*task, *inside, script))
        return
    label = f"{names.ASIDE}={step.volume}"
    text = shell.join("docker", "volume", "create", "--label", label, step.aside)
    yield Command(f"a volume for what is set aside: {step.reason}", text)
    script = "cp -a /volume/. /aside/ && diff -r /volume /aside && find /volume -mindepth 1 -delete"
    text = shell.join(*task, "--volume", f"{step.aside}:/aside", *inside, script)
    yield Command("copy all of it, compare, and only then remove it where it was", text)


def _container_lines(step: Step, desired: Desired, shell: _Shell, why: str) -> Iterator[Command]:
    match step:
        case CreateContainer(service=service, name=name):
            text = _create(desired, step, shell)
            yield Command(f"make the container of {service.name}; it does not run yet{why}", text)
            for file in service.files:
                yield Command(f"put {file.path} into it", _copy(file, name, shell))
        case SetAsideContainer(name=name):
            text = shell.join("docker", "rename", name, step.aside)
            yield Command(f"set it aside until the new one has its volumes{why}", text)
        case StartContainer(name=name):
            yield Command(f"start it{why}", shell.join("docker", "start", name))
        case UnpauseContainer(name=name):
            yield Command(f"let it go on{why}", shell.join("docker", "unpause", name))
        case StopContainer(name=name, timeout=timeout):
            text = shell.join("docker", "stop", "-t", str(timeout), name)
            yield Command(f"ask it to end, and kill it after {timeout} s{why}", text)
        case RemoveContainer(name=name):
            yield Command(f"remove it; volumes stay{why}", shell.join("docker", "rm", name))
        case Prove():
            yield from _prove(step, shell)
        case _:
            raise AssertionError(f"no command for {step}")


def _prove(step: Prove, shell: _Shell) -> Iterator[Command]:
    service = step.service
    for name in step.containers:
        if service.one_shot:
            yield Command(
                f"wait until {service.name} has finished, and fail if it failed",
                f'test "$({shell.join("docker", "wait", name)})" = 0',
            )
        elif service.ready_path and service.ports:
            port = service.ports[0]
            address = f"$({shell.join('docker', 'port', name, f'{port.target}/{port.protocol}')} | head -n 1)"
            url = f"http://{address}{service.ready_path}"
            yield Command(
                f"wait until {service.name} answers",
                f'until curl -fsS -o /dev/null "{url}" 2>/dev/null; do sleep 0.1; done',
            )
        elif service.has_healthcheck:
            inspect = shell.join("docker", "inspect", "--format", "{{.State.Health.Status}}", name)
            yield Command(
                f"wait until {service.name} is healthy",
                f'until [ "$({inspect})" = healthy ]; do sleep 0.1; done',
            )


def _build(desired: Desired, service: Service, build: Build, shell: _Shell) -> str:
    labels = buildx.labels(desired.project, service.name, desired.compose_version)
    # An argument with a secret comes from the environment, or the list of processes would show it.
    hidden = {name: value for name, value in build.args if value is not None and shell.hides(value)}
    sent = buildx.filtered(build, _FOLDER)
    words = buildx.arguments(service.image, sent, labels, hidden)
    prefix = [f"{name}={shell.quote(value)}" for name, value in hidden.items()]
    prefix += [
        f"{name}={_quoted_variable(name)}"
        for secret in build.secrets
        if (name := secret.environment) and name not in hidden
    ]
    given = f"printf %s {shell.quote(build.inline)} | " if sent.inline is not None and build.inline else ""
    text = given + " ".join((*prefix, shell.join("docker", "buildx", "build", *words)))
    if not buildx.is_filtered(build):
        return text
    return " \\\n  && ".join(("folder=$(mktemp -d)", *_filter(build, sent, shell), text, 'rm -r "$folder"'))


def _filter(build: Build, sent: Build, shell: _Shell) -> Iterator[str]:
    """Yield what puts together a build without the files that no build may get."""
    for name, source, withheld in build.withheld_from:
        target = f"{_FOLDER}/{name}"
        yield shell.join("cp", "-R", "-P", "-p", source, target)
        yield shell.join("rm", "-f", *(f"{target}/{path}" for path in withheld))
    if not build.withheld:
        return
    if build.inline is None:
        yield shell.join("cp", buildx.dockerfile_path(build), sent.dockerfile)
    else:
        yield f"printf %s {shell.quote(build.inline)} >{shell.quote(sent.dockerfile)}"
    lines = shell.join(*map(buildx.ignored, build.withheld))
    added = f"printf '%s\\n' {lines}"
    if build.ignore_file:
        added = f"{{ {shell.join('cat', build.ignore_file)} && printf '\\n%s' '' && {added}; }}"
    yield f"{added} >{shell.quote(sent.dockerfile + '.dockerignore')}"


def _quoted_variable(name: str) -> str:
    return f'"{_of(name)}"'


def _network(network: Network, desired: Desired, shell: _Shell) -> str:
    request = network_request(desired, network)
    words = ["docker", "network", "create"]
    words += ["--driver", network.driver] if network.driver else []
    words += ["--internal"] if network.internal else []
    words += ["--attachable"] if network.attachable else []
    words += ["--ipv6"] if network.ipv6 else []
    words += _pairs("--opt", request["Options"])
    words += _ipam(_mapping(request.get("IPAM")))
    return shell.join(*words, *_labels(_mapping(request["Labels"])), network.name)


def _ipam(section: Json) -> list[str]:
    driver = section.get("Driver", "default")
    words = ["--ipam-driver", str(driver)] if driver != "default" else []
    words += _pairs("--ipam-opt", section.get("Options"))
    pools = section.get("Config")
    for pool in pools if isinstance(pools, list) else ():
        for key, flag in (("Subnet", "--subnet"), ("IPRange", "--ip-range"), ("Gateway", "--gateway")):
            words += [flag, str(pool[key])] if key in pool else []
        words += _pairs("--aux-address", pool.get("AuxiliaryAddresses"))
    return words


def _volume(volume: Volume, desired: Desired, shell: _Shell) -> str:
    request = volume_request(desired, volume)
    words = ["docker", "volume", "create"]
    words += ["--driver", volume.driver] if volume.driver else []
    words += _pairs("--opt", request["DriverOpts"])
    return shell.join(*words, *_labels(_mapping(request["Labels"])), volume.name)


def _create(desired: Desired, step: CreateContainer, shell: _Shell) -> str:
    service = step.service
    request = container_request(desired, service, step.number, step.keeps, _IMAGE + service.image)
    host = _mapping(request.get("HostConfig"))
    words = ["docker", "create", "--name", step.name]
    words += ["--platform", service.platform] if service.platform else []
    words += _networks(request, host)
    prefix = []
    read = []
    for entry in _texts(request.get("Env")):
        variable, equals, value = entry.partition("=")
        if not equals or not shell.hides(value):
            words += ["--env", entry]
        elif re.fullmatch(r"[A-Za-z_]\w*", variable, re.ASCII) and not _RESERVED.match(variable):
            prefix.append(f"{variable}={shell.quote(value)}")
            words += ["--env", variable]
        elif value.isprintable():
            # The docker command would take it for its own, or a shell knows no such name.
            read.append(f"{variable}={value}")
        else:
            words += ["--env", entry]
    words += ["--env-file", "/dev/stdin"] if read else []
    words += _host_flags(request, host)
    words += _health(_mapping(request.get("Healthcheck")))
    words += _labels(_mapping(request.get("Labels")))
    entrypoint = _texts(request.get("Entrypoint"))
    if "Entrypoint" in request:
        words += ["--entrypoint", entrypoint[0] if entrypoint else ""]
    tail = [service.image, *entrypoint[1:], *_texts(request.get("Cmd"))]
    given = f"printf '%s\\n' {shell.join(*read)} | " if read else ""
    folders = _folders(host)
    made = f"{shell.join('mkdir', '-p', *folders)} && " if folders else ""
    return made + given + " ".join((*prefix, shell.join(*words, *tail)))


def _copy(file: InlineFile, container: str, shell: _Shell) -> str:
    """Return the line that copies a file in as a tar, which carries its mode and owner."""
    content = shell.quote(file.content.reveal())
    path = shlex.quote(file.path.lstrip("/"))
    copied = f'"$folder"/{path}'
    options = f"--mode={file.mode:o} --owner={file.uid} --group={file.gid}"
    return " \\\n  ".join(
        (
            f"folder=$(mktemp -d) && install -D /dev/null {copied} && printf %s {content} >{copied}",
            f'&& tar -C "$folder" {options} -c {path} | {shell.join("docker", "cp", "-", f"{container}:/")}',
            '&& rm -r "$folder"',
        )
    )


def _networks(request: Json, host: Json) -> list[str]:
    endpoints = _mapping(_mapping(request.get("NetworkingConfig")).get("EndpointsConfig"))
    if not endpoints:
        return ["--network", str(host.get("NetworkMode", "none"))]
    words = []
    for network, endpoint in endpoints.items():
        settings = _mapping(endpoint)
        address = _mapping(settings.get("IPAMConfig"))
        parts = [f"name={network}", *(f"alias={alias}" for alias in _texts(settings.get("Aliases")))]
        parts += [f"ip={address['IPv4Address']}"] if "IPv4Address" in address else []
        parts += [f"ip6={address['IPv6Address']}"] if "IPv6Address" in address else []
        parts += [f"link-local-ip={item}" for item in _texts(address.get("LinkLocalIPs"))]
        parts += [f"mac-address={settings['MacAddress']}"] if "MacAddress" in settings else []
        parts += [f"gw-priority={settings['GwPriority']}"] if "GwPriority" in settings else []
        parts += [f"driver-opt={key}={value}" for key, value in _mapping(settings.get("DriverOpts")).items()]
        words += ["--network", ",".join(parts)]
    return words


def _host_flags(request: Json, host: Json) -> list[str]:
    words: list[str] = []
    for key, flag in _CONTAINER_FLAGS:
        words += [flag, str(request[key])] if key in request else []
    for key, flag in _HOST_FLAGS:
        words += [flag, str(host[key])] if key in host else []
    for key, flag in _HOST_LISTS:
        for item in _texts(host.get(key)):
            words += [flag, item]
    for key, flag in _HOST_PAIRS:
        words += _pairs(flag, host.get(key))
    words += ["--tty"] if request.get("Tty") else []
    words += ["--interactive"] if request.get("OpenStdin") else []
    words += ["--init" if host["Init"] else "--init=false"] if "Init" in host else []
    words += ["--read-only"] if host.get("ReadonlyRootfs") else []
    words += ["--security-opt", "systempaths=unconfined"] if "MaskedPaths" in host else []
    words += ["--privileged"] if host.get("Privileged") else []
    words += ["--oom-kill-disable"] if host.get("OomKillDisable") else []
    cpus = host.get("NanoCpus")
    words += ["--cpus", f"{cpus / 10**9:g}"] if isinstance(cpus, int) else []
    for target, options in _mapping(host.get("Tmpfs")).items():
        words += ["--tmpfs", f"{target}:{options}" if options else target]
    return words + _ports(request, host) + _restart(host) + _rest(host)


def _ports(request: Json, host: Json) -> list[str]:
    words: list[str] = []
    published = _mapping(host.get("PortBindings"))
    for target, bindings in published.items():
        for binding in bindings if isinstance(bindings, list) else ():
            address = f"{binding['HostIp']}:" if binding.get("HostIp") else ""
            number = binding.get("HostPort", "")
            words += ["--publish", f"{address}{number}:{target}" if address or number else target]
    for target in _mapping(request.get("ExposedPorts")):
        words += [] if target in published else ["--expose", target]
    return words


def _restart(host: Json) -> list[str]:
    policy = _mapping(host.get("RestartPolicy"))
    if not policy.get("Name"):
        return []
    count = policy.get("MaximumRetryCount")
    return ["--restart", f"{policy['Name']}:{count}" if count else str(policy["Name"])]


def _rest(host: Json) -> list[str]:
    words: list[str] = []
    logging = _mapping(host.get("LogConfig"))
    words += ["--log-driver", str(logging["Type"])] if logging.get("Type") else []
    words += _pairs("--log-opt", logging.get("Config"))
    limits = host.get("Ulimits")
    for limit in limits if isinstance(limits, list) else ():
        words += ["--ulimit", f"{limit['Name']}={limit['Soft']}:{limit['Hard']}"]
    devices = host.get("Devices")
    for device in devices if isinstance(devices, list) else ():
        words += [
            "--device",
            f"{device['PathOnHost']}:{device['PathInContainer']}:{device['CgroupPermissions']}",
        ]
    for key, flag, value in _THROTTLES:
        entries = host.get(key)
        for entry in entries if isinstance(entries, list) else ():
            words += [flag, f"{entry['Path']}:{entry[value]}"]
    requests = host.get("DeviceRequests")
    for request in requests if isinstance(requests, list) else ():
        words += _device_request(request)
    for mount in _mounts(host):
        words += ["--mount", _mount(mount)]
    return words


def _device_request(request: Json) -> list[str]:
    """Return how the docker command asks for devices: it adds `gpu` to what they are able to do."""
    ids = _texts(request.get("DeviceIDs"))
    if request.get("Driver") == "cdi":
        return [word for name in ids for word in ("--device", name)]
    sets = request.get("Capabilities")
    able = [word for words in (sets if isinstance(sets, list) else ()) for word in words if word != "gpu"]
    parts = [f"driver={request['Driver']}"] if "Driver" in request else []
    parts += ["device=" + ",".join(ids)] if ids else [f"count={request.get('Count')}"]
    parts += ["capabilities=" + ",".join(able)] if able else []
    options = ",".join(f"{key}={value}" for key, value in _mapping(request.get("Options")).items())
    parts += [f"options={options}"] if options else []
    return ["--gpus", buildx.listed(*parts)]


def _mounts(host: Json) -> list[Json]:
    mounts = host.get("Mounts")
    return [_mapping(mount) for mount in mounts] if isinstance(mounts, list) else []


def _folders(host: Json) -> list[str]:
    """Return the folders of this machine that the engine would make, and the docker command would not."""
    made = [mount for mount in _mounts(host) if _mapping(mount.get("BindOptions")).get("CreateMountpoint")]
    return [str(mount["Source"]) for mount in made]


def _mount(mount: Json) -> str:
    parts = [f"type={mount['Type']}", f"target={mount['Target']}"]
    parts += [f"source={mount['Source']}"] if mount.get("Source") else []
    parts += ["readonly"] if mount.get("ReadOnly") else []
    bind, volume = _mapping(mount.get("BindOptions")), _mapping(mount.get("VolumeOptions"))
    tmpfs, image = _mapping(mount.get("TmpfsOptions")), _mapping(mount.get("ImageOptions"))
    parts += [f"consistency={mount['Consistency']}"] if "Consistency" in mount else []
    parts += [f"image-subpath={image['Subpath']}"] if "Subpath" in image else []
    parts += [f"bind-propagation={bind['Propagation']}"] if "Propagation" in bind else []
    parts += [f"bind-recursive={word}" for key, word in _RECURSION if bind.get(key)]
    parts += [f"volume-label={key}={value}" for key, value in _mapping(volume.get("Labels")).items()]
    parts += ["volume-nocopy"] if volume.get("NoCopy") else []
    parts += [f"volume-subpath={volume['Subpath']}"] if "Subpath" in volume else []
    parts += [f"tmpfs-size={tmpfs['SizeBytes']}"] if "SizeBytes" in tmpfs else []
    mode = tmpfs.get("Mode")
    parts += [f"tmpfs-mode={mode:o}"] if isinstance(mode, int) else []
    return buildx.listed(*parts)


def _health(check: Json) -> list[str]:
    test = _texts(check.get("Test"))
    if test == ["NONE"]:
        return ["--no-healthcheck"]
    words: list[str] = []
    if test:
        # The docker command knows only the shell form.
        words += ["--health-cmd", test[1] if test[0] == "CMD-SHELL" else shlex.join(test[1:])]
    for key, flag in _HEALTH_FLAGS:
        value = check.get(key)
        words += [flag, f"{value / 10**6:g}ms"] if isinstance(value, int) else []
    words += ["--health-retries", str(check["Retries"])] if "Retries" in check else []
    return words


def _labels(labels: Json) -> list[str]:
    return _pairs("--label", dict(sorted(labels.items())))


def _pairs(flag: str, values: object) -> list[str]:
    """Return the flag before each `name=value`."""
    return [word for name, value in _mapping(values).items() for word in (flag, f"{name}={value}")]


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}
