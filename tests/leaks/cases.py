"""Ways in which a secret gets into an image, as a table: each is planted in a project of its own and found.

A case is a name, the files of the project, and what stands in .env beside the project's name. `compose` is
what stands below the service `app`, the build included. NONCE in a text is another one each time, so that the
build's cache does not know the step.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

PASSWORD = "Tr0ub4dor&3-x/y+z=Q9"
TOKEN = "9f86d081884c7d659a2feaa0c55ad015"
ENV = f"DB_PASSWORD='{PASSWORD}'\nAPI_TOKEN={TOKEN}\n"
BASE = "FROM debian:trixie-slim\n"
COPY = f"{BASE}COPY . /app\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ4vWcZ0jXqk1\n-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Case:
    """One way; `finds` are the names of the secrets that have to be named, by scaffold, in the refusal."""

    name: str
    files: Mapping[str, str | bytes]
    finds: tuple[str, ...] = ("DB_PASSWORD",)
    env: str = ENV
    compose: str = "build: ."
    extra: str = ""
    """More of compose.yaml, on its top level."""
    place: str = ""
    """A word of the place that has to be named too."""

    @property
    def is_form(self) -> bool:
        """Whether it is about the form of a secret in a file: no engine is needed to find it."""
        return self.files.get("Dockerfile") == COPY and self.compose == "build: ."


def _zip(name: str, text: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return made.getvalue()


def _tar(name: str, text: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


ARGUMENT = "build: {context: ., args: {API_TOKEN: '${API_TOKEN}'}}"
MOUNT = "build: {context: ., secrets: [token]}"
FROM_ENV = "secrets: {token: {environment: API_TOKEN}}\n"
READ = "RUN --mount=type=secret,id=token "

CASES: tuple[Case, ...] = (
    Case(
        "a settings file",
        {"Dockerfile": COPY, "settings.ini": f"password = {PASSWORD}"},
        place="settings.ini",
    ),
    Case("a copy of .env", {"Dockerfile": COPY, ".env.bak": f"DB_PASSWORD={PASSWORD}\n"}, place=".env.bak"),
    Case(
        "JSON", {"Dockerfile": COPY, "config.json": json.dumps({"p": 'x"' + PASSWORD})}, place="config.json"
    ),
    Case("a URL", {"Dockerfile": COPY, "url.txt": f"postgres://app:{quote(PASSWORD, safe='')}@db/app"}),
    Case("base64", {"Dockerfile": COPY, "auth": base64.b64encode(f"app:{PASSWORD}".encode())}),
    Case(
        "wrapped base64", {"Dockerfile": COPY, "blob": base64.encodebytes(b"-" * 45 + PASSWORD.encode() * 2)}
    ),
    Case(
        "a gzip file", {"Dockerfile": COPY, "dump.sql.gz": gzip.compress(f"PASSWORD '{PASSWORD}'".encode())}
    ),
    Case("bzip2", {"Dockerfile": COPY, "a.bz2": bz2.compress(PASSWORD.encode())}),
    Case("xz", {"Dockerfile": COPY, "a.xz": lzma.compress(PASSWORD.encode())}),
    Case("a zip file", {"Dockerfile": COPY, "a.zip": _zip("settings.py", f"P = {PASSWORD!r}")}),
    Case("a tar file", {"Dockerfile": COPY, "a.tgz": _tar("deep/settings.py", f"P = {PASSWORD!r}")}),
    Case(
        "an object of git",
        {"Dockerfile": COPY, ".git/objects/ab/cd": zlib.compress(b"blob 20\0" + PASSWORD.encode(), 1)},
    ),
    Case("UTF-16", {"Dockerfile": COPY, "a.reg": PASSWORD.encode("utf-16")}),
    Case(
        "ENV from an argument",
        {"Dockerfile": f"{BASE}ARG API_TOKEN\nENV T=$API_TOKEN\n"},
        ("API_TOKEN",),
        compose=ARGUMENT,
        place="environment",
    ),
    Case(
        "an argument of RUN",
        {"Dockerfile": f"{BASE}ARG API_TOKEN\nRUN true\n"},
        ("API_TOKEN",),
        compose=ARGUMENT,
        place="history",
    ),
    Case(
        "a label",
        {"Dockerfile": f"{BASE}ARG API_TOKEN\nLABEL t=$API_TOKEN\n"},
        ("API_TOKEN",),
        compose=ARGUMENT,
        place="labels",
    ),
    Case(
        "the build's output",
        {"Dockerfile": f"{BASE}{READ}: NONCE; cat /run/secrets/token\n"},
        ("API_TOKEN",),
        compose=MOUNT,
        extra=FROM_ENV,
        place="output",
    ),
    Case(
        "a secret mount that is copied",
        {"Dockerfile": f"{BASE}{READ}cp /run/secrets/token /etc/t\n"},
        ("API_TOKEN",),
        compose=MOUNT,
        extra=FROM_ENV,
        place="/etc/t",
    ),
    Case(
        "a file removed in a later layer",
        {"Dockerfile": f"{BASE}{READ}cp /run/secrets/token /t\nRUN rm /t\n"},
        ("API_TOKEN",),
        compose=MOUNT,
        extra=FROM_ENV,
        place="/t",
    ),
    Case(
        "a secret mount, packed",
        {"Dockerfile": f"{BASE}{READ}gzip -c /run/secrets/token >/t.gz\n"},
        ("API_TOKEN",),
        compose=MOUNT,
        extra=FROM_ENV,
        place="/t.gz",
    ),
    Case(
        "a secret mount in base64",
        {"Dockerfile": f"{BASE}{READ}base64 /run/secrets/token >/t\n"},
        ("API_TOKEN",),
        compose=MOUNT,
        extra=FROM_ENV,
    ),
    Case(
        "a private key of compose.yaml",
        {"Dockerfile": COPY, "key.pem": KEY},
        ("tls",),
        compose="build: .\n    secrets: [tls]",
        extra="secrets: {tls: {file: ./key.pem}}\n",
        place="key.pem",
    ),
    Case(
        "a word beside its name",
        {"Dockerfile": f"{BASE}ENV DB_PASSWORD=postgres\n"},
        env="DB_PASSWORD=postgres\n",
        place="environment",
    ),
    Case(
        "a password of a URL",
        {"Dockerfile": COPY, "a": f"pw={PASSWORD}"},
        ("DATABASE_URL",),
        env=f"DATABASE_URL=postgres://a:{quote(PASSWORD, safe='')}@db/a\n",
    ),
)


@dataclass(frozen=True)
class Clean:
    """A project in which nothing may be found."""

    name: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: str = ENV
    compose: str = "build: ."
    extra: str = ""
    example: str = ""


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ4vWcZ0jXqk1\n-----END CERTIFICATE-----\n"

KEY_PEM = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFtIiUoswKTt8yoJH
Y3rUqPATf+bX02gNqqOZDbWYteuhRANCAAT6kd+5OaDDwkgUwrz0netVojG2dYk8
+yJAw12zhJToErPiTUK32Lj2JRnad0TdIHmn8O8ioObrZDMrK7PwVu5P
-----END PRIVATE KEY-----
"""
"""Of an elliptic curve: its second half is public."""
CERTIFICATE_PEM = """-----BEGIN CERTIFICATE-----
MIIBbjCCAROgAwIBAgIUCX0Mif+jKCMHK9vhzOVFfq2EqkEwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAeFw0yNjExMjYwMjAwMTVaFw0zNjExMjMwMjAwMTVaMAwx
CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT6kd+5OaDDwkgU
wrz0netVojG2dYk8+yJAw12zhJToErPiTUK32Lj2JRnad0TdIHmn8O8ioObrZDMr
K7PwVu5Po1MwUTAdBgNVHQ4EFgQUtfO8r8KHOihA5qtnVzPMJeD53vowHwYDVR0j
BBgwFoAUtfO8r8KHOihA5qtnVzPMJeD53vowDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNJADBGAiEAo0qWmOcQdu+xO1fr8N/h6Sq0Sh0e+CR4ykVpdBBbLC8C
IQDHnEC5LuF84nsuNrPhKZwmNWloUjImEcLD8Bh8mFCfmg==
-----END CERTIFICATE-----
"""
CERTIFICATE_LINES = "".join(CERTIFICATE_PEM.splitlines()[1:-1])

CLEAN: tuple[Clean, ...] = (
    Clean(
        "a word that is a password",
        {"Dockerfile": COPY, "a": "postgres is the user"},
        "DB_PASSWORD=postgres\n",
    ),
    Clean(
        "a value that everybody has",
        {"Dockerfile": COPY, "a": "dev-password-1"},
        "DB_PASSWORD=dev-password-1\n",
        example="DB_PASSWORD=dev-password-1\n",
    ),
    Clean(
        "a certificate as a build secret",
        {
            "Dockerfile": f"{COPY}RUN --mount=type=secret,id=ca cat /run/secrets/ca >/ca\n",
            "ca.pem": CERTIFICATE,
        },
        compose="build: {context: ., secrets: [ca]}",
        extra="secrets: {ca: {file: ./ca.pem}}\n",
    ),
    Clean(
        "a secret mount that is used as it should be",
        {"Dockerfile": f'{BASE}{READ}test -n "$(cat /run/secrets/token)"\n'},
        compose=MOUNT,
        extra=FROM_ENV,
    ),
    Clean(
        "an address in a secret file",
        {
            "Dockerfile": f"{BASE}COPY npmrc /app/\n",
            "npmrc": "registry=https://r.example.com/\nalways-auth=true\n",
            "token": f"registry=https://r.example.com/\n//r.example.com/:_authToken={TOKEN}\n",
        },
        env="",
        compose=MOUNT,
        extra="secrets: {token: {file: ./token}}\n",
    ),
    Clean(
        "a certificate of a private key",
        {
            "Dockerfile": f"{BASE}COPY cert* /app/\n",
            "cert.pem": CERTIFICATE_PEM,
            "cert.der": base64.b64decode(CERTIFICATE_LINES),
            "cert.json": CERTIFICATE_LINES,
            "key.pem": KEY_PEM,
        },
        env="",
        compose=MOUNT,
        extra="secrets: {token: {file: ./key.pem}}\n",
    ),
    Clean(
        "a file that is not copied",
        {"Dockerfile": f"{BASE}COPY src /app\n", "src/a": "", "secret.txt": PASSWORD},
    ),
    Clean(
        "a file that is ignored", {"Dockerfile": COPY, ".dockerignore": "secret.txt", "secret.txt": PASSWORD}
    ),
    Clean(
        "settings about secrets",
        {"Dockerfile": COPY, "a": "scram-sha-256 /run/secrets/x 86400000"},
        "POSTGRES_HOST_AUTH_METHOD=scram-sha-256\nDB_PASSWORD_FILE=/run/secrets/x\nTOKEN_TTL=86400000\n",
    ),
)
