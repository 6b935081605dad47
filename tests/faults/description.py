"""Faults in the project's own files: compose.yaml, .env and what they point at."""

from __future__ import annotations

from tests.faults.bench import Fate, Scene, fault


@fault("compose.yaml is not YAML", cause=r"compose\.yaml, line 5\b|yaml: line", hint=r"line 5\b")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "    init: true", "   init: true: yes")
    yield
    scene.edit("compose.yaml", "   init: true: yes", "    init: true")


@fault("misspelt key", cause=r"\bcomand\b", hint=r"`command`")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "    command:", "    comand:")
    yield
    scene.edit("compose.yaml", "    comand:", "    command:")


@fault("key of a wrong type", cause=r"\bports\b", hint=r"list")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", 'ports: ["127.0.0.1:${APP_PORT}:8000"]', 'ports: "127.0.0.1:${APP_PORT}:8000"')
    yield
    scene.edit("compose.yaml", 'ports: "127.0.0.1:${APP_PORT}:8000"', 'ports: ["127.0.0.1:${APP_PORT}:8000"]')


@fault(
    "undefined network",
    cause=r"network.*\bbackend\b|\bbackend\b.*network",
    hint=r"`networks: \{(backend): \{\}\}`",
)
def _(scene: Scene) -> Fate:
    scene.service(networks=["backend"])
    verdict = yield
    scene.add("compose.yaml", f"networks: {{{verdict.command}: {{}}}}\n")


@fault("undefined volume", cause=r"volume.*\bcache\b|\bcache\b.*volume", hint=r"`volumes: \{(cache): \{\}\}`")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", 'app.py:ro"]', 'app.py:ro", "cache:/cache"]')
    verdict = yield
    scene.add("compose.yaml", f"volumes: {{{verdict.command}: {{}}}}\n")


@fault(
    "undefined secret",
    cause=r"secret.*\btoken\b|\btoken\b.*secret",
    hint=r"`secrets: \{(token): \{file: \S+\}\}`",
)
def _(scene: Scene) -> Fate:
    scene.service(secrets=["token"])
    verdict = yield
    scene.write("token.txt", "x")
    scene.add("compose.yaml", f"secrets: {{{verdict.command}: {{file: ./token.txt}}}}\n")


@fault(
    "dependency on an unknown service",
    cause=r'"?app"? .*"?dbb"?',
    hint=r"depends_on.*(?:services: |only has )app|add .*dbb",
)
def _(scene: Scene) -> Fate:
    scene.service(depends_on=["dbb"])
    yield
    scene.edit("compose.yaml", '    depends_on: ["dbb"]\n', "")


@fault("dependency circle", cause=r"circle|cycle", hint=r"depends_on")
def _(scene: Scene) -> Fate:
    scene.service(depends_on=["other"])
    scene.add(
        "compose.yaml", "  other: {image: 'python:3.13-slim', command: [sleep, '99'], depends_on: [app]}\n"
    )
    yield
    scene.edit("compose.yaml", ", depends_on: [app]}", "}")


@fault(
    "dependency on a service of a switched-off profile",
    cause=r"\btool\b.*profile|depends on.*\btool\b",
    hint=r"`(required: false)`",
)
def _(scene: Scene) -> Fate:
    scene.service(depends_on={"tool": {"condition": "service_started"}})
    scene.add(
        "compose.yaml", "  tool: {image: 'python:3.13-slim', command: [sleep, '99'], profiles: [tools]}\n"
    )
    verdict = yield
    scene.edit("compose.yaml", '"service_started"', f'"service_started", {verdict.command}')


@fault("required variable missing", cause=r"\bAPI_TOKEN\b", hint=r"set (API_TOKEN) in \S*\.env")
def _(scene: Scene) -> Fate:
    scene.service(environment={"API_TOKEN": "${API_TOKEN:?}"})
    verdict = yield
    scene.add(".env", f"{verdict.command}=x\n")


@fault("empty DATABASE_URL", cause=r"\bDATABASE_URL\b", hint=r"set (DATABASE_URL) in \S*\.env")
def _(scene: Scene) -> Fate:
    scene.service(environment={"DATABASE_URL": "${DATABASE_URL:?the URL of your database}"})
    scene.add(".env", "DATABASE_URL=\n")
    verdict = yield
    scene.edit(".env", "DATABASE_URL=", f"{verdict.command}=postgresql://app@db.example/app")


@fault("interpolation that is not closed", cause=r"APP_PORT", hint=r"\$\{NAME\}")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "${APP_PORT}", "${APP_PORT")
    yield
    scene.edit("compose.yaml", "${APP_PORT", "${APP_PORT}")


@fault("env_file missing", cause=r"app\.env", hint=r"`(touch \S*app\.env)`")
def _(scene: Scene) -> Fate:
    scene.service(env_file=["app.env"])
    verdict = yield
    scene.shell(verdict.command)


@fault("a line of .env that is none", cause=r"\.env.*line 3|line 3.*\.env", hint=r"NAME=value")
def _(scene: Scene) -> Fate:
    scene.add(".env", "just some words\n")
    yield
    scene.edit(".env", "just some words\n", "")


@fault(".env that cannot be read", cause=r"\.env.*permission|permission.*\.env", hint=r"`(sudo chown [^`]+)`")
def _(scene: Scene) -> Fate:
    # Root, without the right to read everybody's files: what a file of somebody else is to a person.
    scene.prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    scene.do("chown", "12345:12345", ".env")
    verdict = yield
    scene.shell(verdict.command.replace("sudo ", "").replace("$USER", "root"))


@fault("secret file missing", cause=r"token\.txt", hint=r"token\.txt")
def _(scene: Scene) -> Fate:
    scene.service(secrets=["token"])
    scene.add("compose.yaml", "secrets: {token: {file: ./token.txt}}\n")
    yield
    scene.write("token.txt", "x")


@fault("neither image nor build", cause=r"\bimage\b.*\bbuild\b", hint=r"`image:`")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "    image: python:3.13-slim\n", "")
    yield
    scene.edit("compose.yaml", "    init: true\n", "    init: true\n    image: python:3.13-slim\n")


@fault("port number that does not exist", cause=r"99999", hint=r"65535")
def _(scene: Scene) -> Fate:
    good = scene.variable("APP_PORT")
    scene.edit(".env", f"APP_PORT={good}", "APP_PORT=99999")
    yield
    scene.edit(".env", "APP_PORT=99999", f"APP_PORT={good}")


@fault("memory limit that is no size", cause=r"mem_limit|\blots\b", hint=r"such as `?(\d+m)")
def _(scene: Scene) -> Fate:
    scene.service(mem_limit="lots")
    verdict = yield
    scene.edit("compose.yaml", '"lots"', f'"{verdict.command}"')


@fault("build context missing", cause=r"\bbackend\b.*(does not exist|not found)", hint=r"context")
def _(scene: Scene) -> Fate:
    scene.built("FROM python:3.13-slim\n")
    scene.edit("compose.yaml", "build: .", "build: ./backend")
    yield
    scene.edit("compose.yaml", "build: ./backend", "build: .")


@fault("file to include missing", cause=r"common\.yaml", hint=r"common\.yaml")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "services:\n", "include: [common.yaml]\nservices:\n")
    yield
    scene.write("common.yaml", "services: {}\n")


@fault("image name that is none", cause=r"Python:3\.13", hint=r"lower[ -]case")
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "image: python:3.13-slim", "image: Python:3.13-slim")
    yield
    scene.edit("compose.yaml", "image: Python:3.13-slim", "image: python:3.13-slim")
