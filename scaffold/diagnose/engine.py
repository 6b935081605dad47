"""What the engine's refusals mean. It answers 400, 404, 409 or 500 to them; the texts are all there is."""

from __future__ import annotations

import re

from scaffold.diagnose.cause import Cause, Verdict, first, shortened

# How far down the error comes from is of no use to anybody.
_LAYERS = re.compile(
    r"failed to create task for container: |failed to create shim task: |OCI runtime create failed: |"
    r"runc create failed: |unable to start container process: |error during container init: |"
    r"Error response from daemon: |"
    r"driver failed programming external connectivity on endpoint \S+ \([0-9a-f]+\): |: unknown\.?$"
)

CAUSES = (
    Cause(
        r'exec: "(?P<program>[^"]+)": (?:executable file not found|stat \S+: no such file or directory)',
        "{program} is not found in the container",
        "Correct `command:` or `entrypoint:` in compose.yaml, or install {program} in the image.",
    ),
    Cause(
        r'exec: "(?P<program>[^"]+)": permission denied',
        "{program} cannot be executed: no permission for it",
        "Make it executable with `chmod +x`, in the Dockerfile or where it is mounted from.",
    ),
    Cause(
        r"exec (?P<program>\S+): no such file or directory",
        "{program} cannot be executed: its interpreter is missing, or it has Windows line ends",
        "Give it Unix line ends with `sed -i 's/\\r$//' {program}`, or install its interpreter in the image.",
    ),
    Cause(
        r"exec format error",
        "the program is for another processor than this machine's, or a script without its first line",
        "Build or pull the image for this machine, or begin the script with `#!/bin/sh`.",
    ),
    Cause(
        r"bind source path does not exist: (?P<path>\S+)|open (?P<other>\S+): no such file or directory$",
        "{path}{other} is to be mounted, and does not exist",
        "Create {path}{other}, or correct the path in compose.yaml.",
    ),
    Cause(
        r'mount(?:ing)? "(?P<source>[^"]+)" to rootfs at "(?P<target>[^"]+)".*'
        r"(?:not a directory|cannot mkdir)",
        "{source} is mounted at {target}: one of the two is a file, the other a folder",
        "Mount a file where the container has a file, and a folder where it has a folder (Docker makes a "
        "folder of a source that is missing), and start anew with `scaffold run --recreate`.",
    ),
    Cause(
        r"does not match the specified platform: wanted (?P<wanted>\S+), actual: (?P<actual>[^\s.,]+)",
        "the image on this engine is for {actual}, and `platform:` wants {wanted}",
        "Remove `platform:` from compose.yaml, or build or pull an image for {wanted}.",
    ),
    Cause(
        r'unknown capability: "(?:CAP_)?(?P<name>[^"]+)"',
        "there is no capability {name}",
        "Correct it in `cap_add:` or `cap_drop:`; `man capabilities` lists them.",
    ),
    Cause(
        r"setting rlimits?.*|invalid ulimit.*|ulimit soft limit.*",
        "a ulimit cannot be set ({found})",
        "Check `ulimits:` in compose.yaml: the soft value may not be above the hard one, nor the engine's.",
    ),
    Cause(
        r'adding custom device "(?P<path>[^"]+)"',
        "this machine has no device {path}",
        "Correct or remove it in `devices:` of compose.yaml.",
    ),
    Cause(
        r'could not select device driver "(?P<name>[^"]*)"',
        "the engine has no driver for the device that compose.yaml reserves ({found})",
        "Install it (for NVIDIA: nvidia-container-toolkit), or remove `devices` from `reservations:`.",
    ),
    Cause(
        r'sysctl "(?P<name>[^"]+)" is not in a separate kernel namespace',
        "{name} belongs to the whole machine, so a container cannot have its own",
        "Remove it from `sysctls:` in compose.yaml, or set it on the machine: `sudo sysctl -w {name}=…`.",
    ),
    Cause(
        r"Minimum memory limit allowed is (?P<least>\w+)",
        "the memory limit is too low: the least is {least}",
        "Raise `mem_limit` in compose.yaml, for example to `256m`.",
    ),
    Cause(
        r"Range of CPUs is from (?P<least>[\d.]+) to (?P<most>[\d.]+)",
        "there are not as many CPUs: the engine has {most}",
        "Lower `cpus:` in compose.yaml to {most} at the most.",
    ),
    Cause(
        r"no configured subnet.*contain the IP address (?P<address>[\w.:]+?)\.?$",
        "the address {address} lies in none of the network's subnets",
        "Correct `ipv4_address:` of the service, or `subnet:` of the network.",
    ),
    Cause(
        r"Pool overlaps with other one on this address space",
        "its address range overlaps with another network's",
        "Give it another `subnet:` in compose.yaml, or leave the choice to Docker.",
    ),
    Cause(
        r"non-overlapping IPv4 address pool|predefined address pools have been fully subnetted",
        "the engine has no address range left for another network",
        "Remove the networks that nothing uses with `docker network prune`.",
    ),
    Cause(
        r"unknown log opt '(?P<name>[^']+)' for (?P<driver>\S+) log driver",
        "the log driver {driver} has no option {name}",
        "Correct `logging:` in compose.yaml.",
    ),
    Cause(
        r"looking up (?P<kind>volume|logging|network) plugin (?P<name>\S+?):",
        "the engine has no {kind} driver {name}",
        "Correct `driver:` (under `logging:` for a log) in compose.yaml, or see `docker plugin install`.",
    ),
    Cause(
        r"unable to find (?P<kind>user|group) (?P<name>\S+?):",
        "the image knows no {kind} {name}",
        "Correct `user:` in compose.yaml, or add {name} in the Dockerfile.",
    ),
    Cause(
        r"unknown or invalid runtime name: (?P<name>[\w.-]+?)\.?$",
        "the engine has no runtime {name}",
        "Correct or remove `runtime:` in compose.yaml; `docker info` lists those that there are.",
    ),
    Cause(
        r'container name "/(?P<name>[^"]+)" is already in use',
        "the name {name} is already in use by a container that is not this project's",
        "Give it another name with `docker rename {name} {name}-old`, or remove it.",
    ),
    Cause(
        r"(?i)no space left on device",
        "the disk of the Docker engine is full",
        "Make room, for example with `docker builder prune`; `docker system df` shows what takes it.",
    ),
    Cause(
        r"(?i)cannot assign requested address",
        "this machine does not have the address to publish on ({found})",
        "Use `127.0.0.1` in `ports:` of compose.yaml.",
    ),
    Cause(
        r"volume is in use|has active endpoints",
        "{found}",
        "Stop the containers that use it: `docker ps --all` lists them.",
    ),
)


def bare(text: str) -> str:
    """Return a refusal without the layers that it came through."""
    return _LAYERS.sub("", text.strip()).rstrip(".")


def explained(text: str) -> Verdict:
    """Return what a refusal means; one that is not known in the engine's own words, with an empty hint."""
    return first(CAUSES, bare(text)) or Verdict(bare(text), "")


PULLS = (
    Cause(
        r"must be lowercase",
        "a repository's name is in lower case",
        "Write it in lower case in compose.yaml: `{lower}`.",
    ),
    Cause(
        r"invalid reference format",
        "it is no image name",
        "Correct `image:` in compose.yaml; a name is `[registry/]name[:tag]`.",
    ),
    Cause(
        r"no matching manifest for (?P<platform>\S+)",
        "the registry has it, but not for {platform}",
        "Take a tag that is built for {platform}, or set `platform:` to one that the engine can emulate.",
    ),
    Cause(
        r"(?i)x509|certificate",
        "the engine does not trust the certificate of {registry} ({said})",
        "Add your proxy's certificate to the machine's trust store, and restart the engine.",
    ),
    Cause(
        r"(?i)no such host|connection refused|i/o timeout|unreachable|timeout|deadline exceeded|"
        r"server misbehaving|connection reset|no route to host|EOF",
        "the registry {registry} cannot be reached ({said})",
        "Check the network and the proxy of the engine; REGISTRY in .env names a mirror.",
    ),
    Cause(
        r"(?i)manifest unknown|manifest for .* not found|not found: manifest",
        "the registry {registry} does not have it",
        "Check the name and the tag.",
    ),
    Cause(
        r"(?i)denied|unauthorized|no basic auth",
        "access denied by {registry}: it does not exist, or needs a login",
        "Log in with `docker login {registry}`, or check the name.",
    ),
    Cause(
        r"(?i)toomanyrequests|rate limit",
        "the registry {registry} wants no more pulls for now",
        "Log in with `docker login`, wait, or name a mirror with REGISTRY in .env.",
    ),
)


def unpulled(reference: str, said: str, registry: str = "") -> Verdict:
    """Return why an image was not pulled; `registry` is the REGISTRY of .env, which ends in a slash."""
    if registry and not registry.endswith("/") and reference.startswith(registry):
        return Verdict("REGISTRY in .env has to end in a slash", f"Write `REGISTRY={registry}/` in .env.")
    host = reference.split("/", 1)[0] if "/" in reference else ""
    known = host if "." in host or ":" in host or host == "localhost" else "docker.io"
    words = {"registry": known, "said": shortened(said), "lower": reference.lower()}
    return first(PULLS, said, words) or Verdict(
        said.strip().rstrip("."), "Check the name, your network, and `docker login` for a private registry."
    )
