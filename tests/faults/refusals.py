"""What the engine refuses when a container is created or started."""

from __future__ import annotations

from tests.faults.bench import Fate, Scene, fault


@fault(
    "a folder mounted where the image has a file",
    cause=r"/etc/passwd.*(file|folder|not a directory)|not a directory.*/etc/passwd",
    hint=r"file.*folder|folder.*file",
)
def _(scene: Scene) -> Fate:
    (scene.folder / "conf").mkdir()
    scene.edit("compose.yaml", '"./app.py:/app.py:ro"', '"./app.py:/app.py:ro", "./conf:/etc/passwd"')
    verdict = yield
    scene.edit("compose.yaml", ', "./conf:/etc/passwd"', "")
    scene.start_anew(verdict)


@fault("external network missing", cause=r"network.*shared-", hint=r"`(docker network create \S+)`")
def _(scene: Scene) -> Fate:
    scene.service(networks=["shared"])
    scene.add("compose.yaml", f"networks: {{shared: {{external: true, name: shared-{scene.name}}}}}\n")
    verdict = yield
    scene.shell(verdict.command)


@fault("external volume missing", cause=r"volume.*shared-", hint=r"`(docker volume create \S+)`")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", 'app.py:ro"]', 'app.py:ro", "shared:/shared"]')
    scene.add("compose.yaml", f"volumes: {{shared: {{external: true, name: shared-{scene.name}}}}}\n")
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "somebody else's network has our name",
    cause=r"network\S*( named)? \S+_default",
    hint=r"`(docker network rm \S+)`",
)
def _(scene: Scene) -> Fate:
    scene.do("docker", "network", "create", f"{scene.name}_default")
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "somebody else's container has our name",
    cause=r"\S+-app-1.*(already|belongs|in use)",
    hint=r"`(docker (?:rename|rm|stop)[^`]+)`",
)
def _(scene: Scene) -> Fate:
    scene.do(
        "docker",
        "run",
        "--detach",
        "--init",
        "--name",
        f"{scene.name}-app-1",
        "python:3.13-slim",
        "sleep",
        "99",
    )
    verdict = yield
    scene.shell(verdict.command)


@fault("command not found", cause=r"\bpyhton\b.*not (found|in)", hint=r"`command:`|command")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", '["python",', '["pyhton",')
    yield
    scene.edit("compose.yaml", '["pyhton",', '["python",')


@fault("entrypoint not executable", cause=r"/start\.sh.*(permission|execut)", hint=r"`(chmod \+x \S+)`")
def _(scene: Scene) -> Fate:
    scene.write("start.sh", '#!/bin/sh\nexec "$@"\n', 0o644)
    scene.edit("compose.yaml", '"./app.py:/app.py:ro"', '"./app.py:/app.py:ro", "./start.sh:/start.sh:ro"')
    scene.service(entrypoint=["/start.sh"])
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "entrypoint with Windows line ends",
    cause=r"/start\.sh.*(line ends|interpreter)",
    hint=r"`(sed -i [^`]+)`",
)
def _(scene: Scene) -> Fate:
    scene.write("start.sh", '#!/bin/sh\r\nexec "$@"\r\n', 0o755)
    scene.edit("compose.yaml", '"./app.py:/app.py:ro"', '"./app.py:/app.py:ro", "./start.sh:/start.sh:ro"')
    scene.service(entrypoint=["/start.sh"])
    verdict = yield
    scene.shell(verdict.command)


@fault(
    "program for another processor, or no program",
    cause=r"exec format|processor|architecture",
    hint=r"#!/bin/sh",
)
def _(scene: Scene) -> Fate:
    scene.write("start.sh", 'exec "$@"\n', 0o755)
    scene.edit("compose.yaml", '"./app.py:/app.py:ro"', '"./app.py:/app.py:ro", "./start.sh:/start.sh:ro"')
    scene.service(entrypoint=["/start.sh"], init=False)
    scene.edit("compose.yaml", "    init: true\n", "")
    yield
    scene.write("start.sh", '#!/bin/sh\nexec "$@"\n', 0o755)


@fault("platform that this machine has no image of", cause=r"linux/arm64", hint=r"`platform:`")
def _(scene: Scene) -> Fate:
    scene.service(platform="linux/arm64")
    yield
    scene.edit("compose.yaml", '    platform: "linux/arm64"\n', "")


@fault("unknown capability", cause=r"NET_ADMINN", hint=r"cap_add")
def _(scene: Scene) -> Fate:
    scene.service(cap_add=["NET_ADMINN"])
    yield
    scene.edit("compose.yaml", "NET_ADMINN", "NET_ADMIN")


@fault(
    "capability taken that the program needs",
    cause=r"operation not permitted|not permitted|may not",
    hint=r"cap_(add|drop)",
)
def _(scene: Scene) -> Fate:
    scene.edit(
        "app.py", "import http.server, os, sys\n", "import http.server, os, sys\nos.chown('/tmp', 1, 1)\n"
    )
    scene.service(cap_drop=["ALL"])
    yield
    scene.edit("compose.yaml", '    cap_drop: ["ALL"]\n', '    cap_drop: ["ALL"]\n    cap_add: [CHOWN]\n')


@fault("ulimit whose soft value is above the hard one", cause=r"ulimit|rlimit", hint=r"ulimits")
def _(scene: Scene) -> Fate:
    scene.service(ulimits={"nofile": {"soft": 4096, "hard": 1024}})
    yield
    scene.edit("compose.yaml", "1024", "4096")


@fault("device that is not there", cause=r"/dev/nothing", hint=r"devices")
def _(scene: Scene) -> Fate:
    scene.service(devices=["/dev/nothing:/dev/nothing"])
    yield
    scene.edit("compose.yaml", '    devices: ["/dev/nothing:/dev/nothing"]\n', "")


@fault("sysctl that a container cannot have", cause=r"kernel\.panic", hint=r"sysctls")
def _(scene: Scene) -> Fate:
    scene.service(sysctls={"kernel.panic": "1"})
    yield
    scene.edit("compose.yaml", '    sysctls: {"kernel.panic": "1"}\n', "")


@fault("memory limit below the least", cause=r"6 ?MB", hint=r"mem_limit")
def _(scene: Scene) -> Fate:
    scene.service(mem_limit="1m")
    yield
    scene.edit("compose.yaml", '"1m"', '"256m"')


@fault("more processors than there are", cause=r"\bCPUs\b", hint=r"\bcpus\b")
def _(scene: Scene) -> Fate:
    scene.service(cpus=512)
    yield
    scene.edit("compose.yaml", "cpus: 512", "cpus: 1")


@fault("fixed address outside of its network", cause=r"10\.9\.9\.9", hint=r"ipv4_address")
def _(scene: Scene) -> Fate:
    scene.service(networks={"own": {"ipv4_address": "10.9.9.9"}})
    scene.add("compose.yaml", "networks: {own: {ipam: {config: [{subnet: 10.97.77.0/24}]}}}\n")
    yield
    scene.edit("compose.yaml", "10.9.9.9", "10.97.77.9")


@fault(
    "address range that another network has",
    cause=r"overlap",
    hint=r"subnet",
)
def _(scene: Scene) -> Fate:
    scene.do("docker", "network", "create", "--subnet", "10.97.78.0/24", f"other-{scene.name}")
    scene.service(networks=["own"])
    scene.add("compose.yaml", "networks: {own: {ipam: {config: [{subnet: 10.97.78.0/24}]}}}\n")
    yield
    scene.edit("compose.yaml", "10.97.78.0/24", "10.97.79.0/24")


@fault("unknown option of the log driver", cause=r"max-sizes", hint=r"logging")
def _(scene: Scene) -> Fate:
    scene.service(logging={"driver": "json-file", "options": {"max-sizes": "1m"}})
    yield
    scene.edit("compose.yaml", "max-sizes", "max-size")


@fault("user that the image does not know", cause=r"\bnobodyy\b", hint=r"`user:`")
def _(scene: Scene) -> Fate:
    scene.service(user="nobodyy")
    yield
    scene.edit("compose.yaml", '"nobodyy"', '"nobody"')


@fault("unknown runtime", cause=r"nvidiaa", hint=r"runtime")
def _(scene: Scene) -> Fate:
    scene.service(runtime="nvidiaa")
    yield
    scene.edit("compose.yaml", '    runtime: "nvidiaa"\n', "")
