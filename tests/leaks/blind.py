"""More ways in which a secret gets into an image, by someone who had not read the search."""

from __future__ import annotations

import base64
import gzip
import io
import json
import marshal
import random
import sqlite3
import subprocess
import tarfile
import tempfile
import zipfile
from html import escape
from pathlib import Path
from urllib.parse import quote

from tests.leaks.cases import ARGUMENT, BASE, COPY, ENV, FROM_ENV, MOUNT, PASSWORD, READ, TOKEN, Case

QUOTED = "Kq8'zR4w-pL2m"
DOLLAR = "pa$Word9x-Qz7"
ACCENT = "Zürich-9x7Qz-Gärtner"
BODY = "".join(random.Random(7).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789+/", k=124)) + "aQ=="
LINES = [BODY[at : at + 64] for at in range(0, len(BODY), 64)]
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----", ""])
TRIXIE = BASE.split()[1]


def _base64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def pack() -> bytes:
    """The pack of a repository whose last commit has taken the password out."""
    settings = "".join(f"setting_{number} = {number * number}\n" for number in range(400))
    with tempfile.TemporaryDirectory() as folder:
        git = ("git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run([*git, "init", "-q"], check=True)
        for line in (f"password = '{PASSWORD}'", "password = os.environ['DB_PASSWORD']"):
            (Path(folder) / "settings.py").write_text(f"{settings}{line}\n{settings * 2}")
            subprocess.run([*git, "add", "-A"], check=True)
            subprocess.run([*git, "commit", "-q", "-m", "settings"], check=True)
        subprocess.run([*git, "gc", "-q", "--aggressive"], check=True)
        (made,) = Path(folder).glob(".git/objects/pack/*.pack")
        return made.read_bytes()


def _sqlite() -> bytes:
    """A database out of which the row with the password was deleted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.sqlite3"
        connection = sqlite3.connect(path)
        connection.execute("pragma secure_delete = off")
        connection.execute("create table settings (name text, value text)")
        connection.execute("insert into settings values ('other', 'x'), ('password', ?)", (PASSWORD,))
        connection.commit()
        connection.execute("delete from settings where name = 'password'")
        connection.commit()
        connection.close()
        return path.read_bytes()


def zip_of(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


def tar(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def _large(before: int, value: str) -> bytes:
    """Bytes that do not compress, with a value in them."""
    noise = random.Random(1)
    return noise.randbytes(before) + value.encode() + noise.randbytes(100_000)


def _context(name: str, path: str, content: str | bytes, finds: str = "DB_PASSWORD", env: str = ENV) -> Case:
    return Case(name, {"Dockerfile": COPY, path: content}, (finds,), env)


def _mount(name: str, steps: str, place: str = "") -> Case:
    """A build secret `token` out of .env, and what follows the first line of the Dockerfile."""
    return Case(
        name, {"Dockerfile": BASE + steps}, ("API_TOKEN",), compose=MOUNT, extra=FROM_ENV, place=place
    )


def _argument(name: str, steps: str, place: str = "") -> Case:
    return Case(name, {"Dockerfile": BASE + steps}, ("API_TOKEN",), compose=ARGUMENT, place=place)


def _file(name: str, content: str, step: str, place: str = "") -> Case:
    """A build secret `token` that is a file, from which a step takes something."""
    return Case(
        name,
        {"Dockerfile": BASE + READ + step + "\n", "token.txt": content, ".dockerignore": "token.txt\n"},
        ("token",),
        env="",
        compose=MOUNT,
        extra="secrets: {token: {file: ./token.txt}}\n",
        place=place,
    )


CAT = '"$(cat /run/secrets/token)"'

BLIND: tuple[Case, ...] = (
    # Stages, contexts and settings of the build
    _mount(
        "a file of another stage",
        f"{READ}mkdir /out && cp /run/secrets/token /out/t\n{BASE}COPY --from=0 /out /out\n",
    ),
    Case(
        "a context beside the context",
        {"app/Dockerfile": f"{BASE}COPY --from=conf . /etc/app/\n", "conf/app.ini": f"pw={PASSWORD}"},
        compose="build: {context: ./app, additional_contexts: {conf: ./conf}}",
        place="app.ini",
    ),
    Case(
        "a Dockerfile in compose.yaml",
        {"a": ""},
        ("API_TOKEN",),
        compose=f'build: {{context: ., dockerfile_inline: "FROM {TRIXIE}\\nENV T={TOKEN}\\n"}}',
        place="environment",
    ),
    Case(
        "a label in compose.yaml",
        {"Dockerfile": BASE},
        ("API_TOKEN",),
        compose="build: {context: ., labels: {com.example.token: '${API_TOKEN}'}}",
        place="labels",
    ),
    Case(
        "an argument with a value in compose.yaml",
        {"Dockerfile": f"{BASE}ARG NPM_TOKEN\nRUN echo $NPM_TOKEN >/root/t\n"},
        ("NPM_TOKEN",),
        env="",
        compose="build: {context: ., args: {NPM_TOKEN: npm_Zx81kQv55TtR0aYw2}}",
    ),
    Case(
        "an environment with a value in compose.yaml",
        {"Dockerfile": COPY, "a.ini": "key = Zx81kQv55TtR0aYw2"},
        ("SERVICE_API_KEY",),
        env="",
        compose="build: .\n    environment: {SERVICE_API_KEY: Zx81kQv55TtR0aYw2}",
    ),
    # Configuration of the image
    Case(
        "a default of an argument",
        {"Dockerfile": f"{BASE}ARG API_TOKEN={TOKEN}\nRUN true\n"},
        ("API_TOKEN",),
        place="history",
    ),
    Case("CMD", {"Dockerfile": f'{BASE}CMD ["app", "--password={PASSWORD}"]\n'}),
    Case(
        "HEALTHCHECK",
        {"Dockerfile": f"{BASE}HEALTHCHECK CMD curl -fH 'Bearer: {TOKEN}' localhost\n"},
        ("API_TOKEN",),
    ),
    Case("ONBUILD", {"Dockerfile": f"{BASE}ONBUILD ENV T={TOKEN}\n"}, ("API_TOKEN",)),
    _argument("ENV of a URL", "ARG API_TOKEN\nENV INDEX=https://ci:$API_TOKEN@pypi.example.com/simple\n"),
    _argument("WORKDIR", "ARG API_TOKEN\nWORKDIR /srv/$API_TOKEN\n"),
    # Files that steps make
    _argument(
        "a heredoc", "ARG API_TOKEN\nCOPY <<END /etc/app.toml\ntoken = '$API_TOKEN'\nEND\n", "/etc/app.toml"
    ),
    _mount("npmrc", f"{READ}printf '//r.example.com/:_authToken=%s' {CAT} >/root/.npmrc\n", "/root/.npmrc"),
    _mount("netrc", f"{READ}echo machine a login b password {CAT} >/root/.netrc\n", "/root/.netrc"),
    _mount(
        "the environment in a log",
        f"{READ}NPM_TOKEN={CAT} env >/var/log/build.log\n",
        "build.log",
    ),
    _mount(
        "a file removed two layers later, over a folder",
        f"{READ}mkdir -p /b/c && cp /run/secrets/token /b/c/t\nRUN rm -r /b\nRUN mkdir /b\n",
        "b/c/t",
    ),
    _mount("the name of a file", f"RUN true\n{READ}touch /tmp/get?token={CAT}\n"),
    _mount("the target of a link", f"{READ}ln -s https://ci:{CAT}@example.com /root/origin\n"),
    _mount(
        "a folder without rights",
        f'{READ}mkdir "/opt/a b\\n" && cp /run/secrets/token "/opt/a b\\n/.-x" && chmod -R 000 /opt\n',
    ),
    _mount(
        "the end of a large file",
        f"{READ}head -c 100000000 /dev/urandom >/big; cat /run/secrets/token >>/big\n",
        "/big",
    ),
    _mount(
        "the end of a sparse file", f"{READ}truncate -s 300M /big && cat /run/secrets/token >>/big\n", "/big"
    ),
    _mount("the trace of a shell", f"{READ}: NONCE; set -x; test -n {CAT}\n", "output"),
    _mount("the output in base64", f"{READ}: NONCE; echo user:{CAT} | base64\n", "output"),
    _mount(
        "hex digits", f'{READ}perl -e \'print unpack("H*", join("", <>))\' /run/secrets/token >/t\n', "/t"
    ),
    _mount(
        "a compressed archive of a folder",
        f"{READ}mkdir -p /r && cp /run/secrets/token /r/.t && tar -czf /r.tgz /r && rm -r /r\n",
    ),
    _mount(
        "a debugging dump with NUL between", f"{READ}printf 'A\\0TOKEN=%s\\0B' {CAT} >/environ\n", "/environ"
    ),
    # Parts of a file that is a secret
    _file(
        "the token of an npmrc",
        "registry=https://r.example.com/\n//r.example.com/:_authToken=npm_Zx81kQv55TtR0aYw2\n",
        "sed -n 's/.*_authToken=//p' /run/secrets/token >/etc/yarn",
        "/etc/yarn",
    ),
    _file(
        "the password of a netrc",
        "machine a.example.com\nlogin ci\npassword Zx81kQv55TtR0aYw2\n",
        "sed -n 's/password //p' /run/secrets/token >/t",
        "/t",
    ),
    _file(
        "a line of a settings file",
        "A=1\nSESSION_SECRET=Zx81kQv55TtR0aYw2\nB=2\n",
        "grep SESSION /run/secrets/token >/t",
        "/t",
    ),
    _file(
        "the key of a service account",
        json.dumps({"type": "service_account", "private_key": KEY}),
        r"""perl -ne 'print join(chr(10), split(/\\n/, $1)) if /_key": "(.*?)"/' /run/secrets/token >/key""",
        "/key",
    ),
    _file(
        "a token with a line end of Windows",
        "Zx81kQv55TtR0aYw2\r\n",
        "tr -d '\\r\\n' </run/secrets/token >/t",
        "/t",
    ),
    _file("a key without its line ends", KEY, "tr -d '\\n' </run/secrets/token >/t", "/t"),
    _file("a key with line ends of Windows", KEY, "sed 's/$/\\r/' /run/secrets/token >/t", "/t"),
    _file("a key, indented", KEY, "sed 's/^/        /' /run/secrets/token >/t.yaml", "/t.yaml"),
    _file("a key in DER", KEY, "grep -v -- -- /run/secrets/token | base64 -d >/t.der", "/t.der"),
    Case(
        "a key of one line in .env, in a file",
        {"Dockerfile": COPY, "key.pem": KEY},
        ("SIGNING_KEY",),
        env='SIGNING_KEY="' + KEY.strip().replace("\n", "\\n") + '"\n',
    ),
    Case(
        "a key of one line, not of quotes, in .env",
        {"Dockerfile": COPY, "key.pem": KEY.replace("\n", "\r\n")},
        ("SIGNING_KEY",),
        env="SIGNING_KEY='" + KEY.strip().replace("\n", "\\n") + "'\n",
    ),
    Case(
        "a service account in base64 in .env, decoded",
        {"Dockerfile": COPY, "account.json": json.dumps({"client_secret": "Zx81kQv55TtR0aYw2"}, indent=4)},
        ("ACCOUNT_CREDENTIALS",),
        env=f"ACCOUNT_CREDENTIALS={_base64(json.dumps({'client_secret': 'Zx81kQv55TtR0aYw2'}))}\n",
    ),
    # Ways to write a value
    _context("JSON of Go", "a.json", json.dumps({"p": PASSWORD}).replace("&", "\\u0026")),
    _context("JSON of PHP", "a.json", json.dumps({"p": PASSWORD}).replace("/", "\\/")),
    _context(
        "JSON in JSON",
        "a.json",
        json.dumps({"a": json.dumps({"p": 'x"' + PASSWORD}).replace("&", "\\u0026")}),
    ),
    _context("XML", "settings.xml", f"<password>{escape(PASSWORD)}</password>"),
    _context(
        "a URL in lower case",
        "a",
        "postgres://app:"
        + quote(PASSWORD, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%2B", "%2b")
        + "@db/app",
    ),
    _context("a URL with its slash left alone", "a", f"postgres://app:{quote(PASSWORD)}@db/app"),
    _context("properties of Java", "a.properties", "db.password=" + PASSWORD.replace("=", "\\=") + "\n"),
    _context(
        "a word of a shell",
        ".bash_history",
        "export PGPASSWORD=" + PASSWORD.replace("&", "\\&").replace("=", "\\=") + "\n",
    ),
    _context(
        "a quote in YAML",
        "a.yaml",
        "p: '" + QUOTED.replace("'", "''") + "'\n",
        env=f'DB_PASSWORD="{QUOTED}"\n',
    ),
    _context(
        "a quote in SQL",
        "a.sql",
        "INSERT INTO s VALUES ('" + QUOTED.replace("'", "\\'") + "');\n",
        env=f'DB_PASSWORD="{QUOTED}"\n',
    ),
    _context(
        "a quote in a shell",
        "a.sh",
        "P='" + QUOTED.replace("'", "'\\''") + "'\n",
        env=f'DB_PASSWORD="{QUOTED}"\n',
    ),
    _context(
        "a dollar in Compose",
        "compose.prod.yaml",
        "services: {app: {environment: {P: " + DOLLAR.replace("$", "$$") + "}}}\n",
        env=f"DB_PASSWORD='{DOLLAR}'\n",
    ),
    _context("Latin-1", "a.ini", f"p={ACCENT}\n".encode("latin-1"), env=f"DB_PASSWORD={ACCENT}\n"),
    _context("an accent in JSON", "a.json", json.dumps({"p": ACCENT}), env=f"DB_PASSWORD={ACCENT}\n"),
    _context("UTF-16 of another order", "a.txt", PASSWORD.encode("utf-16-be")),
    _context(
        "a command of PowerShell", "a.ps1", "powershell -e " + _base64(f"$p='{PASSWORD}'".encode("utf-16-le"))
    ),
    _context(
        "base64 of URLs",
        "a.jwt",
        base64.urlsafe_b64encode(("??>>" + PASSWORD + "??>>").encode()).rstrip(b"="),
    ),
    _context("base64 at another place", "auth.json", json.dumps({"auth": _base64(f"root:{PASSWORD}")})),
    _context(
        "base64 in base64",
        "pull.yaml",
        ".dockerconfigjson: " + _base64(json.dumps({"auths": {"r": {"auth": _base64(f"ci:{PASSWORD}")}}})),
    ),
    _context(
        "base64 in YAML, wrapped",
        "a.yaml",
        "data: |\n"
        + "".join(f"    {_base64('-' * 100 + PASSWORD)[at : at + 64]}\n" for at in range(0, 164, 64)),
    ),
    # Files that hold files
    _context("a pack of git", ".git/objects/pack/pack-1.pack", pack()),
    _context(
        "the address of a remote",
        ".git/config",
        f"[remote]\n\turl = https://ci:{TOKEN}@git.example.com/a\n",
        finds="API_TOKEN",
    ),
    _context(
        "bytes of Python",
        "__pycache__/settings.cpython-313.pyc",
        b"\xcb\r\r\n" + bytes(12) + marshal.dumps(compile(f"P = {PASSWORD!r}", "s", "exec")),
    ),
    _context("a deleted row of SQLite", "app.sqlite3", _sqlite()),
    _context(
        "a jar in a war",
        "a.war",
        zip_of("WEB-INF/lib/a.jar", zip_of("a.properties", f"p: {PASSWORD}".encode())),
    ),
    _context("gzip in a tar file", "backup.tgz", tar("db/dump.sql.gz", gzip.compress(PASSWORD.encode()))),
    _context("gzip in two parts", "log", gzip.compress(b"started\n") + gzip.compress(PASSWORD.encode())),
    Case(
        "a tar file that ADD unpacks",
        {"Dockerfile": f"{BASE}ADD a.tgz /srv/\n", "a.tgz": tar("x/.env", f"P={PASSWORD}".encode())},
        place="a.tgz",
    ),
    _context("over the end of a block", "a.bin", _large((1 << 20) - 9, PASSWORD)),
    _context("over the end of a small block", "a.bin", _large((1 << 16) - 9, PASSWORD)),
)
