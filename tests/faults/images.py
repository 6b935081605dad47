"""Faults of images: pulling them, and building them."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from functools import partial

from tests.faults.bench import HEALTHY_PATIENCE, Fate, Scene, fault, free_port

GOOD = "FROM python:3.13-slim\n"


class _Registry(http.server.BaseHTTPRequestHandler):
    """A registry that has nothing, or shows nothing."""

    def __init__(self, status: int, code: str, *arguments: object) -> None:
        self._status, self._code = status, code
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        ping = self.path == "/v2/"
        body = b"{}" if ping else b'{"errors":[{"code":"%s","message":"no"}]}' % self._code.encode()
        self.send_response(200 if ping else self._status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET  # noqa: N815 - http.server looks for this name

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(handler: object, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a port of this machine until the block ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), handler)  # type: ignore[arg-type]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@fault(
    "image that the registry does not have",
    cause=r"python:9\.99.*(not found|does not exist|does not have)",
    hint=r"name|tag",
)
def _(scene: Scene) -> Fate:
    with served(partial(_Registry, 404, "MANIFEST_UNKNOWN")) as port:
        scene.edit("compose.yaml", "python:3.13-slim", f"127.0.0.1:{port}/python:9.99")
        yield
        scene.edit("compose.yaml", f"127.0.0.1:{port}/python:9.99", "python:3.13-slim")


@fault(
    "image that one has to log in for",
    cause=r"denied|log ?in|unauthori[sz]ed",
    hint=r"`docker login 127\.0\.0\.1:\d+`",
)
def _(scene: Scene) -> Fate:
    with served(partial(_Registry, 403, "DENIED")) as port:
        scene.edit("compose.yaml", "python:3.13-slim", f"127.0.0.1:{port}/team/python:1")
        yield
        # Logging in changes what the registry answers; here it is the image that changes.
        scene.edit("compose.yaml", f"127.0.0.1:{port}/team/python:1", "python:3.13-slim")


@fault(
    "registry that cannot be reached",
    cause=r"127\.0\.0\.1:\d+.*(reach|answer|refused)",
    hint=r"REGISTRY|mirror|network",
)
def _(scene: Scene) -> Fate:
    scene.edit("compose.yaml", "image: python:", "image: ${REGISTRY}python:")
    scene.add(".env", f"REGISTRY=127.0.0.1:{free_port()}/\n")
    yield
    scene.edit(".env", "REGISTRY=127.0.0.1:", "OLD_REGISTRY=127.0.0.1:")
    scene.edit("compose.yaml", "${REGISTRY}", "${REGISTRY:-}")


@fault(
    "REGISTRY without its last slash",
    cause=r"REGISTRY|mirror-\S+python.*slash",
    hint=r"`(REGISTRY=mirror\S+/)`",
)
def _(scene: Scene) -> Fate:
    scene.do("docker", "tag", "python:3.13-slim", f"mirror-{scene.name}/python:3.13-slim")
    scene.edit("compose.yaml", "image: python:", "image: ${REGISTRY}python:")
    scene.add(".env", f"REGISTRY=mirror-{scene.name}\n")
    verdict = yield
    scene.edit(".env", f"REGISTRY=mirror-{scene.name}\n", f"{verdict.command}\n")


@fault(
    "build: a command fails",
    cause=r"(RUN|-c) false.*exit code:? 1",
    hint=r"RUN|step|Dockerfile",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUN false\n")
    yield
    scene.write("Dockerfile", GOOD)


@fault(
    "build: COPY of a file that is missing",
    cause=r"requirements\.txt.*not (exist|found)",
    hint=r"create|path",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "COPY requirements.txt /\n")
    yield
    scene.write("requirements.txt", "")


@fault(
    "build: COPY of a file that .dockerignore hides",
    cause=r"requirements\.txt.*ignored.*\.dockerignore",
    hint=r"line `(!\S+)`",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "COPY requirements.txt /\n")
    scene.write("requirements.txt", "")
    scene.write(".dockerignore", "*.txt\n")
    verdict = yield
    scene.add(".dockerignore", f"{verdict.command}\n")


@fault(
    "build: base image that the registry does not have",
    cause=r"python:9\.99.*(not exist|not found|has no)",
    hint=r"name|tag",
    compared=False,
)
def _(scene: Scene) -> Fate:
    with served(partial(_Registry, 404, "MANIFEST_UNKNOWN")) as port:
        scene.built(f"FROM 127.0.0.1:{port}/python:9.99\n")
        yield
        scene.write("Dockerfile", GOOD)


@fault(
    "build: base image out of reach", cause=r"python:3\.13.*(reach|refused)", hint=r"REGISTRY|mirror|network"
)
def _(scene: Scene) -> Fate:
    scene.built(f"FROM 127.0.0.1:{free_port()}/python:3.13\n")
    yield
    scene.write("Dockerfile", GOOD)


@fault("build: base image left empty", cause=r"FROM|base.*\bBASE\b|\bBASE\b", hint=r"\bBASE\b")
def _(scene: Scene) -> Fate:
    scene.built("ARG BASE\nFROM ${BASE}\n")
    yield
    scene.edit("Dockerfile", "ARG BASE", "ARG BASE=python:3.13-slim")


@fault(
    "build: Dockerfile missing",
    cause=r"Dockerfile.*(not exist|missing|no such)|no Dockerfile",
    hint=r"Dockerfile",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD)
    (scene.folder / "Dockerfile").unlink()
    yield
    scene.write("Dockerfile", GOOD)


@fault("build: unknown instruction", cause=r"line 2.*RUNN", hint=r"Dockerfile")
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUNN true\n")
    yield
    scene.write("Dockerfile", GOOD + "RUN true\n")


@fault("build: unknown stage", cause=r'stage "?prod"?', hint=r"target.*\bfinal\b")
def _(scene: Scene) -> Fate:
    scene.built("FROM python:3.13-slim AS final\n")
    scene.edit("compose.yaml", "build: .", "build: {context: ., target: prod}")
    yield
    scene.edit("compose.yaml", "target: prod", "target: final")


_FETCH = (
    "RUN --mount=type=secret,id=ca_bundle"
    " if [ -s /run/secrets/ca_bundle ]; then export SSL_CERT_FILE=/run/secrets/ca_bundle; fi;"
    " python -c \"import urllib.request as u; u.urlopen('https://127.0.0.1:{port}/v2/')\"\n"
)


@fault("build: certificate that nobody vouches for", cause=r"certificate", hint=r"(CA_BUNDLE)=")
def _(scene: Scene) -> Fate:
    certificate = scene.folder / "ca.pem"
    scene.do(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", "key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=127.0.0.1"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, scene.folder / "key.pem")
    with served(partial(_Registry, 404, "NO"), context) as port:
        scene.built(GOOD + _FETCH.format(port=port))
        scene.edit("compose.yaml", "build: .", "build: {context: ., network: host, secrets: [ca_bundle]}")
        scene.add("compose.yaml", 'secrets: {ca_bundle: {file: "${CA_BUNDLE:-/dev/null}"}}\n')
        verdict = yield
        scene.add(".env", f"{verdict.command}={certificate}\n")
        assert scene.run("--timeout", HEALTHY_PATIENCE).returncode == 0


@fault(
    "build: CA_BUNDLE names no file",
    cause=r"/nowhere\.pem",
    hint=r"CA_BUNDLE.*\.env",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUN --mount=type=secret,id=ca_bundle true\n")
    scene.edit("compose.yaml", "build: .", "build: {context: ., secrets: [ca_bundle]}")
    scene.add("compose.yaml", 'secrets: {ca_bundle: {file: "${CA_BUNDLE:-/dev/null}"}}\n')
    scene.add(".env", "CA_BUNDLE=/nowhere.pem\n")
    yield
    scene.edit(".env", "CA_BUNDLE=/nowhere.pem\n", "")


@fault(
    "build: Python package that does not exist",
    cause=r"nosuchpackage",
    hint=r"nosuchpackage.*(requirements|spelling|name)|(spelling|name)",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUN pip install --no-index nosuchpackage\n")
    yield
    scene.write("Dockerfile", GOOD)


@fault(
    "build: Debian package that does not exist", cause=r"libnosuch-dev", hint=r"apt-get update|spelling|name"
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUN apt-get install -y libnosuch-dev\n")
    yield
    scene.write("Dockerfile", GOOD)


@fault(
    "build: program that the image does not have",
    cause=r"\bmake\b.*not found|not found.*\bmake\b",
    hint=r"\bmake\b.*install|install.*\bmake\b",
)
def _(scene: Scene) -> Fate:
    scene.built(GOOD + "RUN makee install\n".replace("makee", "make"))
    yield
    scene.write("Dockerfile", GOOD)


@fault("build: no space left", cause=r"space|disk.*full", hint=r"docker (system df|builder prune)|size")
def _(scene: Scene) -> Fate:
    scene.built(
        GOOD + "RUN --mount=type=tmpfs,target=/t,size=1048576 dd if=/dev/zero of=/t/x bs=1M count=4\n"
    )
    yield
    scene.edit("Dockerfile", "size=1048576", "size=16777216")


@fault(
    "build: host name that cannot be resolved",
    cause=r"packages\.invalid.*(resol|name or service not known)",
    hint=r"network|DNS|proxy",
)
def _(scene: Scene) -> Fate:
    scene.built(
        GOOD + "RUN python -c \"import urllib.request as u; u.urlopen('http://packages.invalid/')\"\n"
    )
    yield
    scene.write("Dockerfile", GOOD)
