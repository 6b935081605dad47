"""What teams do to a project: five kinds of edits, each by a rule, so that every run makes the same ones."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STRUCTURED = (".toml", ".yml", ".yaml", ".json")
OURS = "zzuser"


@dataclass(frozen=True)
class Changed:
    """What the template changes between two versions: ranges of the old lines by file, and new files."""

    ranges: Mapping[str, Sequence[tuple[int, int]]]
    added: Sequence[str]


def files(folder: Path) -> list[str]:
    """Every file below a folder, without git's own."""
    found = []
    for root, folders, names in os.walk(folder):
        if ".git" in folders:
            folders.remove(".git")
        found += [Path(root, name).relative_to(folder).as_posix() for name in names]
    return sorted(found)


def text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def changed(old: Path, new: Path) -> Changed:
    before, after = set(files(old)), set(files(new))
    ranges = {}
    for name in sorted(before & after):
        one, other = text(old / name), text(new / name)
        if (
            "copier-answers" in name
            or (old / name).is_symlink()
            or one is None
            or other is None
            or one == other
        ):
            continue
        matcher = difflib.SequenceMatcher(None, one.split("\n"), other.split("\n"), autojunk=False)
        ranges[name] = [(start, end) for kind, start, end, _, _ in matcher.get_opcodes() if kind != "equal"]
    return Changed(ranges, sorted(after - before))


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_bytes("\n".join(lines).encode())


def _lines(path: Path) -> list[str]:
    return (text(path) or "").split("\n")


def _bumped(line: str, name: str) -> str:
    """The line as somebody might have changed it, still valid."""
    numbers = list(re.finditer(r"\d+", line))
    if numbers:
        last = numbers[-1]
        return f"{line[: last.start()]}{int(last[0]) + 40}{line[last.end() :]}"
    if name.endswith(".json"):
        words = list(re.finditer(r'"([^"]*)"', line))
        return (
            f'{line[: words[-1].start()]}"{OURS} {words[-1][1]}"{line[words[-1].end() :]}'
            if len(words) > 1
            else line
        )
    if name.endswith((".md", ".rst", ".txt")):
        return f"{line} {OURS}"
    return f"{line}  # {OURS}" if line.strip() and not line.rstrip().endswith(("\\", "|", ">")) else line


def _insert_after(path: Path, pattern: str, new: Sequence[str], *, last: bool = False) -> None:
    lines = _lines(path)
    hits = [number for number, line in enumerate(lines) if re.search(pattern, line)]
    if hits:
        at = hits[-1 if last else 0] + 1
        lines[at:at] = new
        _write(path, lines)


def _append_to_list(path: Path, pattern: str, item: str) -> None:
    """Add to a TOML list that starts at a line, on one line or on several."""
    lines = _lines(path)
    for number, line in enumerate(lines):
        if not re.search(pattern, line):
            continue
        if line.rstrip().endswith("["):
            end = next(
                (at for at in range(number + 1, len(lines)) if lines[at].strip().startswith("]")), None
            )
            if end is None:
                return
            if end > number + 1 and not lines[end - 1].rstrip().endswith(",") and "#" not in lines[end - 1]:
                lines[end - 1] += ","
            indent = re.match(r"\s*", lines[end - 1])[0] if end > number + 1 else "    "  # type: ignore[index]
            lines.insert(end, f"{indent}{item},")
        elif line.rstrip().endswith("]") and "[" in line:
            inner = line.rstrip()[:-1]
            lines[number] = f"{inner}{'' if inner.endswith('[') else ', '}{item}]"
        else:
            continue
        _write(path, lines)
        return


def dependencies(project: Path, template: Changed) -> None:
    """Requirements, services, hooks and steps of the team's own."""
    for name in files(project):
        path = project / name
        if name.endswith("pyproject.toml"):
            _append_to_list(path, r"^dependencies\s*=", f'"{OURS}-lib>=1.0"')
            _append_to_list(path, r"^dev\s*=", f'"{OURS}-dev>=2"')
            _append_to_list(path, r"select\s*=", '"ZZ"')
        elif name.endswith("package.json"):
            _insert_after(path, r'^\s*"(dependencies|devDependencies)": \{', [f'    "{OURS}": "^1.0.0",'])
            _insert_after(path, r'^\s*"scripts": \{', [f'    "{OURS}": "echo {OURS}",'])
        elif re.search(r"compose.*\.ya?ml$", name):
            is_list = re.search(r"environment:\n\s+- ", text(path) or "")
            _insert_after(path, r"^\s+environment:", ["      - ZZUSER=1" if is_list else "      ZZUSER: '1'"])
            _insert_after(
                path, r"^services:", [f"  {OURS}:", "    image: redis:7", "    restart: always", ""]
            )
        elif name.endswith(".pre-commit-config.yaml"):
            body = (text(path) or "").rstrip("\n")
            dent = "  " if re.search(r"^  - repo", body, re.MULTILINE) else ""
            added = (f"- repo: https://e.org/{OURS}", "  rev: v1.0.0", "  hooks:", f"    - id: {OURS}")
            hook = "".join(f"{dent}{line}\n" for line in added)
            path.write_text(f"{body}\n{hook}")
        elif name.startswith(".github/workflows/") and name in template.ranges:
            lines = _lines(path)
            steps = [number for number, line in enumerate(lines) if re.match(r"\s*- (uses|name|run):", line)]
            if steps:
                at = steps[min(1, len(steps) - 1)]
                indent = re.match(r"\s*", lines[at])[0]  # type: ignore[index]
                lines[at:at] = [f"{indent}- name: {OURS}", f"{indent}  run: echo {OURS}"]
                _write(path, lines)
        elif path.name == "Makefile":
            path.write_text(f"{text(path)}\n{OURS}:\n\techo {OURS}\n")
        elif path.name == "Dockerfile":
            _insert_after(path, r"^(FROM|ENV)", ["ENV ZZUSER=1"], last=True)


def _picked(template: Changed, count: int) -> list[str]:
    return sorted(template.ranges, key=lambda name: (not name.endswith(STRUCTURED), name))[:count]


def adjacent(project: Path, template: Changed) -> None:
    """Lines beside those that the template changes."""
    for name in _picked(template, 4):
        lines = _lines(project / name)
        for start, end in template.ranges[name][:3]:
            for at in (end, start - 1):
                if 0 <= at < len(lines) and not re.match(r'^[\s\]\}\[\{,"\']*$', lines[at]):
                    bumped = _bumped(lines[at], name)
                    if bumped != lines[at]:
                        lines[at] = bumped
                        break
        _write(project / name, lines)


def same(project: Path, template: Changed) -> None:
    """Lines that the template changes too."""
    for name in _picked(template, 2):
        lines = _lines(project / name)
        for start, end in template.ranges[name]:
            if end > start and lines[start].strip() and _bumped(lines[start], name) != lines[start]:
                lines[start] = _bumped(lines[start], name)
                break
        _write(project / name, lines)


def moved(project: Path, template: Changed) -> None:
    """A file deleted, a file moved, and a file of the team's where the template adds one."""
    names = sorted(template.ranges)
    if len(names) > 1:
        (project / names[-1]).unlink()
    readable = [name for name in names[:-1] or names if name.endswith((".md", ".py", ".yml", ".yaml", ".sh"))]
    if readable:
        old = project / readable[0]
        new = old.with_name(f"{OURS}-{old.name}")
        old.rename(new)
        new.write_text(f"{text(new)}\n# {OURS} moved\n")
    for name in template.added[:1]:
        if not name.endswith(STRUCTURED):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(f"{OURS} own file\n")


def drift(project: Path, template: Changed) -> None:
    """Years of work: a README of the team's own, other versions, another indentation, new modules."""
    for name in files(project):
        path = project / name
        body = text(path) or ""
        if name == "README.md":
            lines = body.split("\n")
            own = [f"{OURS}: our own text about the service.", "", "## Run", "", "make run"]
            _write(path, lines[:2] + own + lines[len(lines) // 2 :])
        elif name.endswith("pyproject.toml"):
            body = re.sub(r"^(version)( *=).*", r'\1\2 "9.9.9"', body, count=2, flags=re.MULTILINE)
            body = re.sub(r"^(line-length\s*=\s*)\d+", r"\g<1>140", body, flags=re.MULTILINE)
            body = re.sub(r"^(requires-python\s*=\s*).*", r'\1">=3.13,<4"', body, flags=re.MULTILINE)
            path.write_bytes(body.encode())
        elif name.endswith("package.json"):
            path.write_text(json.dumps(json.loads(body), indent=4) + "\n")
        elif re.search(r"compose.*\.ya?ml$", name):
            body = re.sub(r"(image: *\S+?):(\d+)", r"\1:99", body)
            path.write_bytes(
                re.sub(r"^(\s+)restart: .*$", r"\1restart: unless-stopped", body, flags=re.MULTILINE).encode()
            )
    workflows = [name for name in files(project) if name.startswith(".github/workflows/")]
    if len(workflows) > 1:
        (project / workflows[-1]).unlink()
    (project / OURS).mkdir(exist_ok=True)
    for number in range(5):
        (project / OURS / f"m{number}.py").write_text(f"X={number}\n")


EDITS: Mapping[str, Callable[[Path, Changed], None]] = {
    "dependencies": dependencies,
    "adjacent": adjacent,
    "same": same,
    "moved": moved,
    "drift": drift,
}
