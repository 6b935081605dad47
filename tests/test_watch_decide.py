"""Which action a changed file means: decided from texts, and nothing is touched."""

from __future__ import annotations

from typing import Any

import pytest

from scaffold.engine.build import ignore
from scaffold.errors import ProjectError
from scaffold.stack import desired as reading
from scaffold.stack.desired import Desired
from scaffold.watch.decide import Batch, batch, rules

ROOT = "/work/shop"
SOURCE = {"action": "sync", "path": f"{ROOT}/src", "target": "/app/src"}
LOCK = {"action": "rebuild", "path": f"{ROOT}/package.json"}


def project(*entries: dict[str, Any], build: bool = True, **more: Any) -> Desired:
    app: dict[str, Any] = {"image": "app", "develop": {"watch": list(entries)}, **more}
    if build:
        app["build"] = {"context": ROOT}
    return reading.read({"name": "shop", "services": {"app": app}}, ROOT)


def meant(*entries: dict[str, Any], changed: str, withheld: str = "", sources: str = "") -> str:
    """Return in words what changed files of the project mean; names are relative to its folder."""
    known = rules(project(*entries), {"app": ignore.parse(withheld.replace(" ", "\n"))})
    paths = [f"{ROOT}/{name}" for name in changed.split(" ")]
    return words(batch(paths, known, [f"{ROOT}/{name}" for name in sources.split()]))


def words(found: Batch) -> str:
    said = ["converge"] if found.converge else []
    for work in found.works:
        said += [f"rebuild {work.service}"] if work.rebuild else []
        said += [f"{copy.source.removeprefix(ROOT + '/')} → {copy.target}" for copy in work.copies]
        said += [f"restart {work.service}"] if work.restart else []
        said += [f"{work.service}: {' '.join(trigger.hook.command)}" for trigger in work.hooks]
    return "; ".join(said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("src/a.js", "src/a.js → /app/src/a.js"),
        ("src/deep/er/a.js", "src/deep/er/a.js → /app/src/deep/er/a.js"),
        ("src", "src → /app/src"),
        ("src/a.js src/a.js src/./a.js", "src/a.js → /app/src/a.js"),
        ("srcs/a.js", ""),
        ("notes.txt", ""),
        ("package.json", "rebuild app"),
        ("package.json src/a.js", "rebuild app; src/a.js → /app/src/a.js"),
        ("package.json.bak", ""),
        # What editors leave for a moment, at any depth.
        ("src/.a.js.swp src/4913 src/a.js~ src/.#a.js src/#a.js# src/x___jb_tmp___", ""),
        ("src/.git/index src/deep/.git/HEAD src/.idea/workspace.xml", ""),
        ("src/agit src/.gitignore", "src/.gitignore → /app/src/.gitignore; src/agit → /app/src/agit"),
    ],
)
def test_changed_files_mean(changed: str, said: str) -> None:
    assert meant(SOURCE, LOCK, changed=changed) == said


@pytest.mark.parametrize(
    ("patterns", "changed", "said"),
    [
        ({"ignore": ["node_modules/", "*.log"]}, "src/node_modules/x/a.js src/a.log", ""),
        ({"ignore": ["*.log"]}, "src/deep/a.log", "src/deep/a.log → /app/src/deep/a.log"),
        (
            {"ignore": ["**/*.log", "!**/keep.log"]},
            "src/d/a.log src/keep.log",
            "src/keep.log → /app/src/keep.log",
        ),
        ({"include": ["**/*.js"]}, "src/a.js src/a.css", "src/a.js → /app/src/a.js"),
        ({"include": ["**/*.js"], "ignore": ["gen"]}, "src/gen/a.js", ""),
    ],
)
def test_patterns_are_relative_to_the_path(patterns: dict[str, Any], changed: str, said: str) -> None:
    assert meant(SOURCE | patterns, changed=changed) == said


def test_what_is_kept_out_of_the_build_is_not_synced() -> None:
    assert (
        meant(SOURCE, changed="src/secret.pem src/a.js", withheld="**/*.pem .env")
        == "src/a.js → /app/src/a.js"
    )


def test_restart_and_command_come_once_and_after_the_copies() -> None:
    restart = {"action": "sync+restart", "path": f"{ROOT}/conf", "target": "/etc/app"}
    hook = {
        "action": "sync+exec",
        "path": f"{ROOT}/migrations",
        "target": "/app/migrations",
        "exec": {"command": ["migrate", "up"]},
    }
    assert (
        meant(restart, hook, changed="conf/a conf/b migrations/1.sql migrations/2.sql")
        == "conf/a → /etc/app/a; conf/b → /etc/app/b; migrations/1.sql → /app/migrations/1.sql; "
        "migrations/2.sql → /app/migrations/2.sql; restart app; app: migrate up"
    )


def test_restart_alone_copies_nothing() -> None:
    assert meant({"action": "restart", "path": f"{ROOT}/conf"}, changed="conf/a conf/b") == "restart app"


def test_two_rules_may_copy_one_file() -> None:
    again = {"action": "sync", "path": f"{ROOT}/src/lib", "target": "/other/lib"}
    assert meant(SOURCE, again, changed="src/lib/a") == "src/lib/a → /app/src/lib/a; src/lib/a → /other/lib/a"


def test_what_the_project_is_read_from_converges() -> None:
    assert meant(SOURCE, changed="compose.yaml", sources="compose.yaml .env") == "converge"
    assert meant(SOURCE, changed=".env src/a", sources="compose.yaml .env") == "converge; src/a → /app/src/a"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"action": "sink", "path": ROOT},
            r"services\.app\.develop\.watch\[0\]\.action: `sink` is none of sync, ",
        ),
        ({"action": "sync", "path": ROOT}, r"`sync` needs a `target`"),
        ({"action": "sync+exec", "path": ROOT, "target": "/a"}, r"needs a command in `exec`"),
        ({"action": "rebuild", "path": ROOT, "surprise": 1}, r"watch\[0\]\.surprise: scaffold cannot honour"),
    ],
)
def test_entry_that_cannot_be_done_is_named(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        project(entry)


def test_rebuild_without_a_build_is_refused() -> None:
    with pytest.raises(ProjectError, match="needs a `build` section"):
        project(LOCK, build=False)


def test_develop_changes_no_container() -> None:
    with_it, without = project(SOURCE, LOCK), project()
    assert with_it.service("app").body == without.service("app").body
