"""What strangers write never reaches a terminal raw: the spelling, and every command fed with escapes."""

from __future__ import annotations

import json
import re
import shlex
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import docker
import pexpect
import pytest
import yaml

from scaffold import characters, console
from scaffold.cli import app
from scaffold.console import terminal
from scaffold.console.terminal import Look
from tests.conftest import RUN
from tests.hostile.corpus import Hostile
from tests.projects import SCAFFOLD, surroundings

EVIL = "\x1b[2K\x1b[1A\x1b]0;t\x07\rA\x9b2J\x7f\u202eB\u200b\u2066\ufeff\U000e0041\u2028fine\nup to date"
"""Erases a line, names the window, goes back, reverses, hides, and begins a line of its own."""

RAW = re.compile(f"{characters.UNSEEN}")
"""What a result may not have."""


def raw(text: str) -> list[str]:
    return [ascii(found[0]) for found in RAW.finditer(text)]


# ── the spelling ───────────────────────────────────────────────────────────────────────────────────────


def test_unseen_characters_are_spelt_out() -> None:
    assert characters.visible("a\x1b[31mb\r\x9b\u202e\U000e0041\udcff\n\tc") == (
        "a\\x1b[31mb\\r\\x9b\\u202e\\U000e0041\\udcff\n\tc"
    )
    assert characters.line("a\nb\tc") == "a\\nb c"


@pytest.mark.parametrize(
    "text", ["plain", "caf\u00e9 \u65e5\u672c", "\U0001f469\u200d\U0001f4bb", "\u0646\u200c\u0647", "a\tb\nc"]
)
def test_text_of_any_script_stays(text: str) -> None:
    assert characters.visible(text) == text


def test_joiner_between_ascii_letters_is_a_trick() -> None:
    assert characters.visible("pay\u200dpal\u200c") == "pay\\u200dpal\\u200c"


def test_json_stays_the_same_value() -> None:
    for ensure_ascii in (False, True):
        document = characters.in_json(json.dumps({EVIL: [EVIL]}, ensure_ascii=ensure_ascii))
        assert raw(document) == []
        assert json.loads(document) == {EVIL: [EVIL]}


@pytest.mark.parametrize("value", [EVIL, "it's\x1b'", "\x07", "\n\x1b\n", '$x `y` \\ " \x1b'])
def test_word_for_a_shell_stays_the_same_value(value: str) -> None:
    word = characters.in_shell(shlex.quote(value))
    assert raw(word) == []
    done = subprocess.run(["sh", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout.decode() == value


def test_nobody_else_can_write_our_own_sequences() -> None:
    look = Look(colour=True, live=True)
    text = f"{look.paint('red', 'x' + EVIL)}\x1b<0000000000000000>[2K\x1b[32mgreen"
    shown = terminal.shown(text)
    assert raw(shown.replace("\x1b[31m", "", 1).replace("\x1b[0m", "", 1)) == []


def test_log_lines_keep_colours_and_nothing_else_on_a_terminal() -> None:
    line = "\x1b[1;31mred\x1b[0m \x1b[8mhidden\x1b[2J\x1b]0;t\x07\r\u202e"
    shown = terminal.shown(terminal.coloured(line, Look(colour=True)))
    assert shown.startswith("\x1b[1;31mred\x1b[0m hidden\\x1b[2J\\x1b]0;t\\x07")
    assert raw(re.sub("\x1b\\[[0-9;]*m", "", shown)) == []
    assert terminal.shown(terminal.coloured("\x1b[31mred", Look(colour=False))) == "red"


def test_piped_log_is_what_the_container_printed(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    line = b"\x1b[2J\xff\xfe \x9b \r"
    console.log(["app"], lambda: None)("app", line.decode(errors="surrogateescape"))
    assert capfdbinary.readouterr().out == line + b"\n"


def test_error_has_no_line_that_a_value_began(capsys: pytest.CaptureFixture[str]) -> None:
    from scaffold.errors import ScaffoldError

    console.error(ScaffoldError(f"It is {EVIL}.", f"Try {EVIL}.", evidence=(EVIL,)))
    said = capsys.readouterr().err
    assert raw(said) == []
    assert not any(line.startswith("up to date") for line in said.splitlines())


def test_reason_of_a_printed_command_stays_in_its_comment(capsys: pytest.CaptureFixture[str]) -> None:
    from scaffold.cli.working import explained
    from scaffold.dockercli.explain import Command

    explained([Command("the value is now: x\ntouch gone", "true")])
    assert capsys.readouterr().out == "# the value is now: x\\ntouch gone\ntrue\n"


# ── every command ──────────────────────────────────────────────────────────────────────────────────────

WORDS: dict[str, tuple[str, ...]] = {
    "new": ("out", "--template=../template", "--defaults"),
    "template add": ("short", "../template"),
    "template list": (),
    "template show": ("../template",),
    "template versions": ("../template",),
    "template remove": ("short",),
    "template new": ("../started",),
    "template lint": ("../template",),
    "template test": ("../template",),
    "template release": ("../template",),
    "update": ("--defaults",),
    "diff": (),
    "check": (),
    "adopt": ("../template", "--yes"),
    "run": ("--timeout=60",),
    "plan": (),
    "env": (),
    "status": (),
    "ps": (),
    "logs": (),
    "stats": (),
    "events": ("--since=1m",),
    "volumes": (),
    "networks": (),
    "shell": ("app",),
    "exec": ("app", "true"),
    "db": (),
    "cp": ("app:/etc/hostname", "copied"),
    "restart": (),
    "stop": (),
    "kill": ("app",),
    "down": (),
    "destroy": (),
    "images": (),
    "build": (),
    "pull": (),
    "list": (),
    "clean": (),
    "doctor": (),
}
"""What follows each command, for it to do as much as it can."""

FOR_A_STRANGER = {"clean", "pull", "doctor"}
"""What looks at more than the project, so that it is asked of the lying engine only."""


def test_no_command_is_forgotten() -> None:
    found = {name: found_command(name) for name in app.COMMANDS}
    whole = {f"{name} {item}".rstrip() for name in found for item in getattr(found[name], "commands", [""])}
    assert set(WORDS) == whole


def found_command(name: str) -> Any:
    """The command of a name such as `template show`."""
    from typer.main import get_command

    found: Any = get_command(app.app)
    for word in name.split():
        found = found.get_command(None, word)
    return found


def ways(command: str) -> list[tuple[str, ...]]:
    """Each way of asking a command: as it is, explained, as JSON."""
    found = found_command(command)
    options = {option for parameter in found.params for option in parameter.opts}
    flags = (
        "--explain",
        "--json",
        "--dry-run",
        "--commands",
        "--pretend",
        "--export",
        "--markdown",
        "--github",
    )
    more = [(flag,) for flag in flags if flag in options]
    return [*more, ()]


class Lies(BaseHTTPRequestHandler):
    """An engine that answers, and has hostile words for everything."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.endswith("/_ping"):
            self.answer(200, "OK")
        elif path.endswith("/version"):
            self.answer(
                200, {"Version": f"28.0{EVIL}", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": EVIL}
            )
        elif path.endswith("/info"):
            self.answer(
                200, {"Name": EVIL, "ServerVersion": EVIL, "OperatingSystem": EVIL, "Warnings": [EVIL]}
            )
        elif path.endswith("/containers/json"):
            self.answer(200, [self.container()])
        elif path.endswith("/images/json"):
            self.answer(200, [])
        elif path.endswith(("/volumes", "/system/df")):
            self.answer(200, {"Volumes": [self.volume()]})
        elif path.endswith("/networks"):
            self.answer(200, [self.volume() | {"Id": EVIL}])
        else:
            self.answer(500, {"message": EVIL})

    def volume(self) -> dict[str, object]:
        return {
            "Name": EVIL,
            "Driver": EVIL,
            "Labels": self.container()["Labels"],
            "CreatedAt": "2026-01-01T00:00:00Z",
            "UsageData": {"Size": 1, "RefCount": 1},
        }

    def container(self) -> dict[str, object]:
        labels = {
            "com.docker.compose.project": EVIL,
            "com.docker.compose.service": EVIL,
            "com.docker.compose.project.working_dir": f"/nowhere/{EVIL}",
            "com.docker.compose.project.config_files": EVIL,
            "com.docker.compose.oneoff": "False",
            "dev.scaffold.path": f"/nowhere/{EVIL}",
            "dev.scaffold.project": EVIL,
        }
        return {
            "Id": "0" * 64,
            "Names": [f"/{EVIL}"],
            "Image": EVIL,
            "ImageID": "sha256:" + "0" * 64,
            "Labels": labels,
            "State": "running",
            "Status": EVIL,
            "Created": 0,
            "Ports": [],
            "Mounts": [],
            "NetworkSettings": {"Networks": {}},
        }

    def answer(self, code: int, document: object) -> None:
        body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Api-Version", "1.45")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_HEAD = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        connection, _ = super().get_request()
        return connection, ("", 0)  # the handler wants an address


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine whose every word is hostile."""
    path = tmp_path_factory.mktemp("e") / "s"
    with Server(str(path), Lies) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()


QUOTED = yaml.safe_dump(EVIL, default_style='"', width=10_000).strip()
COMPOSE = f"""
services:
  app:
    image: python:3.13-slim
    init: true
    command: ["python", "-c", "import os,time; print(os.environ['EVIL'], flush=True); time.sleep(600)"]
    environment: {{EVIL: {QUOTED}, "K\\e[2J": x}}
    labels: {{evil: {QUOTED}}}
    networks: [backend]
    volumes: ["data:/data"]
    stop_grace_period: 1s
networks:
  backend: {{labels: {{evil: {QUOTED}}}}}
volumes:
  data: {{labels: {{evil: {QUOTED}}}}}
x-evil: {QUOTED}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose every text is hostile, in a folder whose name is, beside a template that is."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / f"{RUN}\x1b[2J\r\u202e"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / ".copier-answers.yml").write_text(
        yaml.safe_dump({"_src_path": EVIL, "_commit": EVIL, EVIL: EVIL})
    )
    subprocess.run(("git", "init", "--quiet"), cwd=folder, check=True)
    subprocess.run(("git", "add", "--all"), cwd=folder, check=True)
    person = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(("git", *person, "commit", "--quiet", "--message=Start"), cwd=folder, check=True)
    (folder / ".env.example").write_text(f"COMPOSE_PROJECT_NAME={RUN}-evil\nEVIL='{EVIL}'\n")
    question = yaml.safe_dump({"q": {"type": "str", "help": EVIL, "default": EVIL}})
    failing = yaml.safe_dump({"r": {"type": "str", "default": "x", "validator": EVIL}})
    template = Hostile("", {"p/{{ q }}": "x"}, "", extra=question + failing)
    template.write(tmp_path / "template", tmp_path)
    return folder


def piped(words: Sequence[str], folder: Path, host: str | None) -> str:
    """Everything that a command prints into pipes; what goes on for ever is interrupted."""
    environment = surroundings({"DOCKER_HOST": host} if host else {})
    done = subprocess.run(
        [
            "timeout",
            "--signal=INT",
            "--kill-after=60",
            "60" if host else "3" if "events" in words else "200",
            SCAFFOLD,
            *words,
        ],
        cwd=folder,
        env=environment,
        input=b"",
        capture_output=True,
    )
    out = done.stdout.decode(errors="surrogateescape")
    text = out + done.stderr.decode(errors="surrogateescape")
    assert "Traceback" not in text
    if "--json" in words and out.strip() and words[0] != "events":
        json.loads(out)
    return text


@pytest.mark.parametrize("command", WORDS)
def test_command_on_an_engine_of_hostile_words(command: str, place: Path, liar: str) -> None:
    for way in ways(command):
        text = piped((*command.split(), *way, *WORDS[command]), place, liar)
        assert raw(text) == [], text
        assert not any(line.startswith("up to date") for line in text.splitlines()), text


OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AJK])|\r\x1b\[|\r+\n|\x1b\[\?25[lh]|\r(?=\x1b|$)")
"""Colours, and how a picture is drawn again."""


@pytest.mark.parametrize("command", sorted(set(WORDS) - {"events"}))
def test_command_on_a_terminal(command: str, place: Path, liar: str) -> None:
    child = pexpect.spawn(
        SCAFFOLD,
        [*command.split(), *WORDS[command]],
        cwd=str(place),
        env=surroundings({"DOCKER_HOST": liar, "TERM": "xterm"}),
        timeout=60,
        encoding="utf-8",
        codec_errors="surrogateescape",
        dimensions=(24, 80),
    )
    child.expect(pexpect.EOF)
    text = OURS.sub("\n", child.before or "")
    assert child.before
    assert raw(text) == [], text


@pytest.mark.engine
def test_every_command_of_a_hostile_project(
    place: Path, engine: docker.DockerClient, project_name: str
) -> None:
    (place / ".env.example").write_text(f"COMPOSE_PROJECT_NAME={project_name}\n")
    try:
        for command, words in WORDS.items():
            for way in ways(command):
                if command in FOR_A_STRANGER and "--explain" not in way:
                    continue
                text = piped((*command.split(), *way, *words), place, None)
                if command == "logs" and way == ():
                    assert EVIL.split("\n", maxsplit=1)[0] in text  # a pipe gets the very bytes
                else:
                    assert raw(text) == [], (command, way, text)
                if command == "run" and way == ():
                    assert re.search("is (ready|up to date)", text), text
    finally:
        subprocess.run(
            ("docker", "compose", "down", "--volumes", "--timeout=1"),
            cwd=place,
            check=False,
            capture_output=True,
        )
