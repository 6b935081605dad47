"""Templates that mean harm, as values: what each one holds, and what `scaffold new` has to say of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CANARY = "/CANARY/"
"""Stands for a folder in which nothing may appear."""

HEADER = """
_subdirectory: p
dot: {type: str, default: ".", when: false}
slash: {type: str, default: "/", when: false}
up: {type: str, default: "..", when: false}
"""


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Pipe:
    pass


@dataclass(frozen=True)
class Device:
    pass


@dataclass(frozen=True)
class Socket:
    pass


@dataclass(frozen=True)
class Zeros:
    """A file with a hole: large for whoever reads it, nothing on the disk."""

    size: int


Content = str | Link | Pipe | Device | Socket | Zeros
Files = Mapping[str, Content]


@dataclass(frozen=True)
class Hostile:
    """One template: `says` is a part of the error; `extra` is added to the header of its copier.yml."""

    name: str
    files: Files
    says: str
    extra: str = ""
    whole: str | None = None
    answers: str | None = None

    def __str__(self) -> str:
        return self.name

    def write(self, folder: Path, canary: Path) -> None:
        """Put the template into a folder; what it would run touches files in `canary`."""
        files: dict[str, Content] = {
            "copier.yml": HEADER + self.extra,
            "p/README.md": "hello\n",
            **self.files,
        }
        if self.whole is not None:
            files["copier.yml"] = self.whole
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path, content, canary)


def _make(path: Path, content: Content, canary: Path) -> None:
    match content:
        case str():
            path.write_text(content.replace(CANARY, f"{canary}/"))
            path.chmod(0o755 if content.startswith("#!") else 0o644)
        case Link(target=target):
            path.symlink_to(target.replace(CANARY, f"{canary}/"))
        case Pipe():
            os.mkfifo(path)
        case Device():
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
        case Socket():
            here = Path.cwd()
            os.chdir(path.parent)  # the name of a socket has room for a hundred characters
            try:
                socket.socket(socket.AF_UNIX).bind(path.name)
            finally:
                os.chdir(here)
        case Zeros(size=size):
            path.touch()
            os.truncate(path, size)


HOOK = f"#!/bin/sh\ntouch {CANARY}hook\n"
CONFIG = f'[core]\n\tfsmonitor = "touch {CANARY}fsmonitor #"\n[filter "x"]\n\tclean = touch {CANARY}filter\n'
HEAD = "ref: refs/heads/main\n"
OWN = "which git takes for its own"


def _bare(place: str) -> Files:
    parts = {"HEAD": HEAD, "config": CONFIG, "objects/keep": "x", "refs/keep": "x", "hooks/pre-commit": HOOK}
    return {f"{place}{name}": text for name, text in parts.items()}


def _renders(name: str, says: str, *, content: Content = "x", extra: str = "") -> Hostile:
    return Hostile(f"renders {name!a}", {"p/{{ name }}": content}, says, extra=_variable(name) + extra)


def _variable(name: str) -> str:
    text = "".join(
        sign if sign.isascii() and sign.isprintable() and sign != "\\" else _escape(sign) for sign in name
    )
    return f'name: {{type: str, default: "{text}", when: false}}\n'


def _escape(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if ord(sign) < 256 else f"\\u{ord(sign):04x}"


DISGUISES = (
    ".git",
    ".GIT",
    ".giT",
    "git~1",
    "GIT~2",
    ".git.",
    ".git ",
    ".git. .",
    ".git:x",
    ".git::$INDEX_ALLOCATION",
    ".g\u200cit",
    ".gi\u200dt",
    "\ufeff.git",
    ".gi\ufe0ft",
    ".\uff47it",
    "sub/.git",
    "sub/deep/.GIT",
)

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{letter}: &{letter} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
)

TEMPLATES: tuple[Hostile, ...] = (
    # git's own folder
    Hostile(
        "a whole .git with a hook and a monitor",
        _bare("p/{{ dot }}git/"),
        OWN,
    ),
    *(_renders(name, OWN) for name in DISGUISES),
    Hostile("a .git file that points elsewhere", {"p/{{ dot }}git": f"gitdir: {CANARY}other\n"}, OWN),
    Hostile(
        "a .git link",
        {"p/{{ dot }}git": Link("README.md")},
        OWN,
        extra="_preserve_symlinks: true\n",
    ),
    Hostile("a bare repository in a folder", _bare("p/vendor/lib.x/"), "takes for a repository"),
    Hostile("a bare repository in the project itself", _bare("p/"), "takes for a repository"),
    Hostile(
        "a bare repository whose parts lie elsewhere",
        {"p/a/HEAD": HEAD, "p/a/commondir": "../b\n", "p/b/config": CONFIG},
        "takes for a repository",
    ),
    Hostile(
        "a link into .git",
        {"p/hooks": Link(".git/hooks")},
        OWN,
        extra="_preserve_symlinks: true\n",
    ),
    Hostile(
        "a linked .gitmodules",
        {"p/.gitmodules": Link("README.md")},
        "list of submodules",
        extra="_preserve_symlinks: true\n",
    ),
    # out of the project
    *(
        Hostile(f"a kept link to {target}", {"p/way": Link(target)}, says, extra="_preserve_symlinks: true\n")
        for target, says in (
            ("/etc", "absolute path"),
            (CANARY, "absolute path"),
            ("../outside", "leads out"),
            ("../../../..", "leads out"),
            ("sub/../../outside", "leads out"),
            ("way", "leads out of the project or in a circle"),
        )
    ),
    Hostile(
        "two kept links that lead out together",
        {"p/a/b/keep": "x", "p/one": Link("a/b/up"), "p/a/b/up": Link("../../../x")},
        "leads out",
        extra="_preserve_symlinks: true\n",
    ),
    Hostile("a link to a file of this machine", {"p/passwords": Link("/etc/passwd")}, "cannot be rendered"),
    Hostile("a link to a folder of this machine", {"p/etc": Link("/etc/apt")}, "cannot be rendered"),
    Hostile("a name that leads up", {"p/{{ up }}{{ slash }}outside": "x"}, "cannot be rendered"),
    Hostile(
        "a name that is an absolute path",
        {"p/{{ name }}": "x"},
        "cannot be rendered",
        extra=f"name: {{type: str, default: {CANARY}x, when: false}}\n",
    ),
    Hostile("a subdirectory that leads out", {}, "cannot be rendered", extra="_subdirectory: ../..\n"),
    Hostile(
        "an answers file that leads out",
        {"p/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}"},
        "cannot be rendered",
        extra="_answers_file: ../outside.yml\n",
    ),
    # names
    *(
        _renders(name, says)
        for name, says in (
            ("a\nb", "control characters"),
            ("a\x1b[2Jb", "control characters"),
            ("a\rb", "control characters"),
            ("a\x9bb", "control characters"),
            ("a\u2028b", "control characters"),
            ("exe\u202etxt.sh", "reverse how it reads"),
            ("a\\b", "backslash"),
        )
    ),
    # what is no file
    Hostile("a named pipe", {"p/pipe": Pipe()}, "a named pipe"),
    Hostile("a named pipe that is included", {"p/a.jinja": "{% include 'pipe' %}", "pipe": Pipe()}, "pipe"),
    Hostile("a socket", {"p/socket": Socket()}, "a socket"),
    Hostile("a named pipe as copier.yml", {"copier.yml": Pipe()}, "no copier.yml"),
    # programs
    Hostile("a task", {}, "programs of its own", extra=f"_tasks: ['touch {CANARY}task']\n"),
    Hostile("a Jinja extension", {}, "programs of its own", extra="_jinja_extensions: [os.system]\n"),
    Hostile(
        "an escape from the sandbox",
        {"p/a.jinja": "{{ ''.__class__.__mro__[1].__subclasses__() }}"},
        "cannot be rendered",
    ),
    Hostile(
        "an escape from the sandbox in a question",
        {},
        "__class__",
        extra='x: {type: str, default: "{{ ().__class__.__bases__[0].__subclasses__() }}"}\n',
    ),
    # bombs
    Hostile("aliases that stand for a thousand million", {}, "aliases stand for", extra=BOMB),
    Hostile("an alias inside of what it names", {}, "stands inside", extra="x: &x [*x]\n"),
    Hostile("10,000 levels of lists", {}, "nested more than", extra=f"x: {'[' * 10000}{']' * 10000}\n"),
    Hostile(
        "10,000 levels of mappings", {}, "nested more than", extra=f"x: {'{a: ' * 10000}1{'}' * 10000}\n"
    ),
    Hostile("a large copier.yml", {"copier.yml": Zeros(2**40)}, "larger than 1 MiB"),
    Hostile("an include of itself", {}, "includes itself", whole=f"{HEADER}\n---\n!include copier.yml\n"),
    Hostile(
        "two includes of each other",
        {"a.yml": "!include b.yml\n", "b.yml": "!include a.yml\n"},
        "includes itself",
        whole=f"{HEADER}\n---\n!include a.yml\n",
    ),
    Hostile(
        "includes that double",
        {f"{place}.yml": f"!include {place + 1}.yml\n---\n!include {place + 1}.yml\n" for place in range(30)}
        | {"30.yml": "x: 1\n"},
        "includes more than",
        whole=f"{HEADER}\n---\n!include 0.yml\n",
    ),
    Hostile(
        "an include of an absolute path", {}, "absolute path", whole=f"{HEADER}\n---\n!include /etc/passwd\n"
    ),
    Hostile(
        "an include that leads up", {}, "leads out", whole=f"{HEADER}\n---\n!include ../home/.gitconfig\n"
    ),
    Hostile(
        "an include of a link that leads out",
        {"a.yml": Link("/etc/passwd")},
        "leads out",
        whole=f"{HEADER}\n---\n!include a.yml\n",
    ),
    Hostile("a number without end", {}, "cannot be read", extra=f"x: {'9' * 10000}\n"),
    Hostile("a day that is none", {}, "cannot be read", extra="x: 2001-99-99\n"),
    Hostile(
        "a tag that makes an object", {}, "cannot be read", extra="x: !!python/object/apply:os.getcwd []\n"
    ),
    Hostile(
        "an endless loop", {"p/a.jinja": "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4}, "takes more"
    ),
    Hostile(
        "an endless loop in a question",
        {},
        "takes more",
        extra="x: {type: str, default: '"
        + "{% for a in range(99999) %}" * 4
        + "{% endfor %}" * 4
        + "', when: false}\n",
    ),
    Hostile("a power without end", {"p/a.jinja": "{{ 9 ** (9 ** (9 ** 9)) }}"}, "takes more"),
    Hostile("a text without end", {"p/a.jinja": "{{ 'x' * 10 ** 12 }}"}, "more memory"),
    Hostile(
        "a text that doubles",
        {
            "p/a.jinja": "{% set n = namespace(t='x') %}"
            "{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}"
        },
        "more memory",
    ),
    Hostile("a file of a terabyte", {"p/large": Zeros(2**40)}, "more memory"),
    Hostile("a template that includes itself", {"p/a.jinja": "{% include 'p/a.jinja' %}"}, "contains itself"),
    Hostile(
        "links in a circle",
        {"p/a/one": Link("."), "p/a/two": Link(".")},
        "cannot be rendered",
    ),
    Hostile(
        "10,000 levels of expressions",
        {"p/a.jinja": "{{ " + "(" * 10000 + "1" + ")" * 10000 + " }}"},
        "contains itself",
    ),
    Hostile("aliases in an answers file", {}, "aliases stand for", answers=BOMB),
)

SPECIAL: tuple[Hostile, ...] = (Hostile("a device file", {"p/null": Device()}, "a device file"),)
"""Templates that only root can make."""
