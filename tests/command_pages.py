"""Write docs/commands.md from the help of every command: `python -m tests.command_pages`."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scaffold.cli.app import COMMANDS

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"

GROUPS = {"template": ("add", "list", "show", "versions", "remove", "new", "lint", "test", "release")}
"""Commands that have commands of their own."""
ALL = tuple(
    word for name in COMMANDS for word in (name, *(f"{name} {inner}" for inner in GROUPS.get(name, ())))
)

SECTIONS = {
    "Create and run": ("new", "run", "plan", "env"),
    "Follow a template": ("update", "diff", "check", "adopt"),
    "Templates": tuple(word for word in ALL if word.startswith("template")),
    "Look": ("status", "ps", "logs", "stats", "events", "volumes", "networks"),
    "Inside": ("shell", "exec", "db", "cp"),
    "Restart, stop, remove": ("restart", "stop", "kill", "down", "destroy"),
    "Images": ("images", "build", "pull"),
    "The whole engine": ("list", "clean", "doctor"),
}
"""Commands that are in none of them come last."""

INTRODUCTION = """\
# Commands

What people learn to type by hand around Docker, and the command that does it. Services have the names that
compose.yaml gives them; the long names of containers, networks and volumes are never needed.

| By hand | With scaffold |
|---|---|
| `docker pull IMAGE` | `scaffold run` pulls what is missing; `scaffold pull` looks for newer images |
| `docker build -t NAME .` | `scaffold run` builds what has changed; `scaffold build` builds now |
| `docker network create`, `docker volume create` | `scaffold run` |
| `docker run -d -p … -e … -v … --network … --name …` | `scaffold run` |
| `docker ps -a` | `scaffold ps`, or `scaffold status` with what is missing and out of date |
| `docker logs -f NAME` | `scaffold logs -f SERVICE` |
| `docker stats`, `docker events` | `scaffold stats`, `scaffold events`: of this project |
| `docker exec -it NAME sh` | `scaffold shell SERVICE`, `scaffold exec SERVICE COMMAND` |
| `docker exec -it NAME psql -U … -d …` | `scaffold db` |
| `docker cp NAME:/path .` | `scaffold cp SERVICE:/path .` |
| `docker restart NAME` | `scaffold restart SERVICE`: in order, and proven afterwards |
| `docker stop`, `docker kill` | `scaffold stop`, `scaffold kill SERVICE` |
| `docker rm`, `docker network rm` | `scaffold down`: the data stays |
| `docker rmi`, `docker image prune` | `scaffold images clean`: of this project |
| `docker volume ls`, `docker network ls`, and `inspect` of each | `scaffold volumes`, `scaffold networks` |
| `docker volume rm` | `scaffold destroy`, once the project's name is typed |
| finding out which old project a container belongs to | `scaffold list`, `scaffold clean` |

Containers of one project reach each other by the names of their services. The database of an app that runs in
a container is at `db`, not at `localhost`: that is what DATABASE_URL in compose.yaml says.

## What all commands have in common

- `--explain` prints the docker commands that a command stands for, each below a line that says why, and does
  nothing. They hold no secret: where one is needed, the first line asks `scaffold env --export` for it. For
  `scaffold run`, `scaffold plan --commands` is the same.
- `--json` prints the result as one JSON document on standard output. `stats --follow` and `events` print one
  on each line. Everything that is not the result goes to standard error.
- Exit codes: 0 done, 1 failed, 2 wrong usage or wrong files of the project, 130 ended by Ctrl-C. `shell`,
  `exec` and `db` pass on the exit code of what ran inside.
- `-C DIR` works on a project elsewhere.
- `scaffold --install-completion` teaches the shell commands, options, services and projects.

`scaffold clean` takes a project for gone when the folder that its labels name does not exist. A folder that
was moved, or is on a disk that is not mounted, may look the same: its data stays all the same, and `scaffold
run` makes the rest again.
"""


def help_of(*words: str) -> str:
    """Return what `scaffold … --help` prints, 100 columns wide."""
    done = subprocess.run(
        [sys.executable, "-m", "scaffold", *words, "--help"],
        env={**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def all_help() -> dict[str, str]:
    """Return the help of every command, in order."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(ALL, pool.map(lambda name: help_of(*name.split()), ALL), strict=True))


def page(helps: dict[str, str]) -> str:
    """Return the text of docs/commands.md."""
    placed = {name for names in SECTIONS.values() for name in names}
    rest = tuple(name for name in helps if name not in placed)
    sections = {**SECTIONS, **({"And": rest} if rest else {})}
    parts = [INTRODUCTION]
    for title, names in sections.items():
        parts.append(f"\n## {title}\n")
        parts += [f"\n### scaffold {name}\n\n```text\n{helps[name]}\n```\n" for name in names]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(all_help()))
