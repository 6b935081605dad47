"""Say in a few words what a template is: in those of its own author."""

from __future__ import annotations

import re
from pathlib import Path

from scaffold.generate import configuration
from scaffold.generate.sources import Template

_READMES = ("README.md", "README.rst", "README.txt", "README")
_MOST = 2**16
_LONGEST = 300


def description(template: Template) -> str | None:
    """The comment that copier.yml begins with, or else the first paragraph of the README."""
    comment = []
    for line in _text(configuration.file(template)).splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# ").strip())
    words = " ".join(part for part in comment if part)
    if words and not re.match(r"-\*-|yaml-language-server|vim?:|=|-{3}", words):
        return _short(words)
    for name in _READMES:
        for paragraph in re.split(r"\n\s*\n", _text(template.path / name)):
            plain = " ".join(paragraph.split())
            if re.match(r"[A-Za-z*_`]", plain) and "badge" not in plain and len(plain.split()) > 2:
                return _short(plain)
    return None


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as stream:
        return stream.read(_MOST).decode("utf-8", "replace")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rsplit(" ", 1)[0] + "…"
