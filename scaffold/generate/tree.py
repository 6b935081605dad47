"""Draw a list of files as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def draw(root: str, files: Iterable[str]) -> str:
    """`root` and the files below it, folders first, as the `tree` command draws them."""
    return "\n".join((f"{root}/", *_branches([tuple(file.split("/")) for file in files], "")))


def _branches(paths: list[tuple[str, ...]], indent: str) -> Iterator[str]:
    below: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in paths:
        below.setdefault(first, []).extend([tuple(rest)] if rest else [])
    names = sorted(below, key=lambda name: (not below[name], name))
    for name in names:
        is_last = name == names[-1]
        yield f"{indent}{'└── ' if is_last else '├── '}{name}{'/' if below[name] else ''}"
        yield from _branches(below[name], indent + ("    " if is_last else "│   "))
