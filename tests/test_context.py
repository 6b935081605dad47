"""What a build is made from: which files count, what changes the digest, what is read again."""

import json
import os
import socket
import stat
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.engine.build import context, dockerfile, ignore
from scaffold.errors import ProjectError
from scaffold.stack.desired import Build, BuildSecret

DOCKERFILE = "FROM debian:trixie-slim\nCOPY . /src\n"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own for each test."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "scaffold"


def write(root: Path, files: Mapping[str, str]) -> Build:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return Build(context=str(root), dockerfile="Dockerfile")


def age(root: Path, seconds: int = 3600) -> None:
    """Make every file look as if nobody had touched its content for a while."""
    then = time.time() - seconds
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def files(build: Build) -> set[str]:
    return set(context.read(build).files)


def digest(build: Build, bases: Mapping[str, str] | None = None) -> str:
    return context.read(build, (bases or {}).get).digest


# --- what belongs to the context


def test_every_file_counts_with_the_dockerfile(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1", "deep/er/b": "2"})
    assert files(build) == {"Dockerfile", "a", "deep/er/b"}


def test_ignored_env_is_neither_read_nor_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = write(
        tmp_path,
        {"Dockerfile": DOCKERFILE, ".dockerignore": "**/.env*\n!.env.example\n", "app/main.py": ""}
        | {".env": "SECRET=1", "app/.env.local": "SECRET=2", ".env.example": "SECRET="},
    )
    opened: list[str] = []
    digest_file = context._digest_file

    def spy(path: str, where: str) -> str | None:
        opened.append(Path(path).name)
        return digest_file(path, where)

    monkeypatch.setattr(context, "_digest_file", spy)
    assert files(build) == {"Dockerfile", ".dockerignore", ".env.example", "app/main.py"}
    assert not {".env", ".env.local"} & set(opened)


def test_ignored_dockerfile_counts_all_the_same(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, ".dockerignore": "*\n", "a": "1"})
    before = digest(build)
    assert files(build) == {"Dockerfile"}
    (tmp_path / "a").write_text("2")
    assert digest(build) == before
    (tmp_path / "Dockerfile").write_text(DOCKERFILE + "RUN true\n")
    assert digest(build) != before


def test_dockerfile_outside_the_context_counts(tmp_path: Path) -> None:
    build = replace(
        write(tmp_path / "app", {"a": "1"}),
        context=str(tmp_path / "app"),
        dockerfile="../docker/Dockerfile.dev",
    )
    write(tmp_path, {"docker/Dockerfile.dev": DOCKERFILE})
    assert files(build) == {"a", "../docker/Dockerfile.dev"}


def test_ignore_file_of_the_dockerfile_wins(tmp_path: Path) -> None:
    build = write(
        tmp_path,
        {
            "Dockerfile": DOCKERFILE,
            ".dockerignore": "a\n",
            "Dockerfile.dockerignore": "b\n",
            "a": "",
            "b": "",
        },
    )
    assert files(build) == {"Dockerfile", ".dockerignore", "Dockerfile.dockerignore", "a"}


def test_links_count_by_their_target_even_when_broken(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    (tmp_path / "link").symlink_to("nowhere")
    before = context.read(build)
    assert "link" in before.files
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    assert digest(build) != before.digest


def test_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    build = write(tmp_path / "app", {"Dockerfile": DOCKERFILE})
    write(tmp_path, {"outside/a": "1"})
    (tmp_path / "app/link").symlink_to(tmp_path / "outside")
    assert files(build) == {"Dockerfile", "link"}


def test_sockets_are_left_out_as_in_buildkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert files(build) == {"Dockerfile"}


def test_named_local_context_counts_under_its_own_ignore_file(tmp_path: Path) -> None:
    build = write(tmp_path / "app", {"Dockerfile": DOCKERFILE})
    write(tmp_path / "lib", {"a": "1", "b": "2", ".dockerignore": "b\n"})
    build = replace(build, contexts=(("lib", str(tmp_path / "lib")),))
    before = context.read(build)
    assert set(before.files) == {"Dockerfile", "lib:a", "lib:.dockerignore"}
    (tmp_path / "lib/a").write_text("other")
    assert digest(build) != before.digest


# --- what changes the digest


def test_same_files_have_the_same_digest_anywhere(tmp_path: Path) -> None:
    content = {"Dockerfile": DOCKERFILE, "a": "1", "b/c": "2"}
    assert digest(write(tmp_path / "one", content)) == digest(write(tmp_path / "two", content))


@pytest.mark.parametrize(
    "change",
    [
        {"target": "test"},
        {"args": (("A", "1"),)},
        {"labels": (("a", "b"),)},
        {"platforms": ("linux/arm64",)},
        {"tags": ("x:1",)},
        {"inline": "FROM scratch\n"},
        {"contexts": (("lib", "docker-image://debian"),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_option_changes_the_digest(tmp_path: Path, change: dict[str, object]) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    assert digest(replace(build, **change)) != digest(build)  # type: ignore[arg-type]


def test_secrets_and_network_do_not_change_the_digest(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    other = replace(build, secrets=(BuildSecret("s", file="/dev/null"),), network="host", no_cache=True)
    assert digest(other) == digest(build)


def test_mode_changes_the_digest(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "run.sh": "#!/bin/sh\n"})
    before = context.read(build)
    (tmp_path / "run.sh").chmod(0o755)
    after = context.read(build)
    assert after.digest != before.digest
    assert after.files["run.sh"] != before.files["run.sh"]


def test_empty_folder_changes_the_digest(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    before = digest(build)
    (tmp_path / "empty").mkdir()
    assert digest(build) != before


def test_base_image_changes_the_digest(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": "ARG TAG=a\nFROM debian:${TAG}\n"})
    assert digest(build, {"debian:a": "1"}) != digest(build, {"debian:a": "2"})
    assert digest(build, {"debian:a": "1", "debian:b": "1"}) == digest(
        build, {"debian:a": "1", "debian:b": "2"}
    )
    other = replace(build, args=(("TAG", "b"),))
    assert digest(other, {"debian:b": "1"}) != digest(other, {"debian:b": "2"})


def test_argument_without_a_value_is_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = replace(write(tmp_path, {"Dockerfile": DOCKERFILE}), args=(("SCAFFOLD_TEST_ARG", None),))
    monkeypatch.setenv("SCAFFOLD_TEST_ARG", "1")
    before = digest(build)
    monkeypatch.setenv("SCAFFOLD_TEST_ARG", "2")
    assert digest(build) != before


def test_remote_context_is_only_its_text() -> None:
    build = Build(context="https://example.com/a.git#main", dockerfile="Dockerfile")
    read = context.read(build)
    assert (read.files, context.bases(build)) == ({}, ())
    assert digest(replace(build, context="https://example.com/a.git#next")) != read.digest


def test_inline_dockerfile_needs_no_file(tmp_path: Path) -> None:
    build = replace(write(tmp_path, {"a": "1"}), inline="FROM debian:trixie-slim\nCOPY . /\n")
    assert files(build) == {"a", "dockerfile_inline"}
    assert context.bases(build) == ("debian:trixie-slim",)


# --- what is wrong with a project


def test_missing_context_names_the_service_and_the_path(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as raised:
        context.read(Build(context=f"{tmp_path}/gone", dockerfile="Dockerfile"), service="app")
    assert raised.value.message == f"services.app.build: the build context {tmp_path}/gone does not exist."


def test_missing_dockerfile_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as raised:
        context.read_all({"app": write(tmp_path, {"a": ""})})
    assert raised.value.message == f"services.app.build: there is no Dockerfile at {tmp_path}/Dockerfile."


def test_bad_pattern_names_file_and_line(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, ".dockerignore": "a\n!\n"})
    with pytest.raises(ProjectError, match=r"\.dockerignore, line 2: `!` needs a pattern"):
        context.read(build)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's rights")
def test_unreadable_file_is_named(tmp_path: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "secret": "x"})
    (tmp_path / "secret").chmod(0o600)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ProjectError) as raised:
            context.read(build)
    finally:
        os.seteuid(0)
    assert raised.value.message == f"cannot read {tmp_path}/secret: Permission denied."
    assert ".dockerignore" in str(raised.value.hint)


# --- the cache


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    original = context._digest_file

    def spy(path: str, where: str) -> str | None:
        read.append(Path(path).name)
        return original(path, where)

    monkeypatch.setattr(context, "_digest_file", spy)
    # A file's change time cannot be set: let "just now" be long ago instead.
    monkeypatch.setattr(context, "_RACY", -(10**9))
    return read


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1", "b": "2"})
    read = counted(monkeypatch)
    before = digest(build)
    read.clear()
    assert digest(build) == before
    assert read == []
    (tmp_path / "a").write_text("3")
    assert digest(build) != before
    assert read == ["a"]


def test_same_size_and_time_but_other_content_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1"})
    age(tmp_path)
    counted(monkeypatch)
    before = digest(build)
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    (tmp_path / "a").write_text("2")
    age(tmp_path)
    assert digest(build) != before


def test_young_file_is_not_trusted(tmp_path: Path, cache: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1"})
    before = digest(build)
    assert list(cache.rglob("*.json")) == []
    (tmp_path / "a").write_text("2")
    assert digest(build) != before


def test_cache_is_private_and_written_only_on_change(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1"})
    counted(monkeypatch)
    digest(build)
    (path,) = cache.rglob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    first = path.stat().st_ino
    digest(build)
    assert path.stat().st_ino == first
    (tmp_path / "a").unlink()
    digest(build)
    assert set(json.loads(path.read_text())["files"]) == {"Dockerfile"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version":1,"files":{"a":1}}', '{"version":0,"files":{}}'])
def test_broken_cache_is_as_good_as_none(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE, "a": "1"})
    counted(monkeypatch)
    before = digest(build)
    (path,) = cache.rglob("*.json")
    path.write_text(text)
    assert digest(build) == before


def test_no_cache_folder_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    counted(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/x")
    read = context.read(build)
    context.remember(read)
    assert dict(context.manifest(read.digest)) == {}


# --- file lists of earlier builds


def test_manifest_gives_back_what_was_remembered(tmp_path: Path) -> None:
    build = context.read(write(tmp_path, {"Dockerfile": DOCKERFILE, "ä": "1"}))
    context.remember(build)
    assert context.manifest(build.digest) == build.files
    assert dict(context.manifest("0" * 32)) == {}
    assert dict(context.manifest("../*")) == {}


def test_only_the_newest_manifests_stay(tmp_path: Path, cache: Path) -> None:
    build = write(tmp_path, {"Dockerfile": DOCKERFILE})
    builds = [replace(build, digest=f"{number:032x}", files={"a": str(number)}) for number in range(30)]
    for number, item in enumerate(builds):
        context.remember(item)
        for path in (cache / "manifests").glob(f"*-{item.digest}.json"):
            os.utime(path, (number, number))
    kept = [item for item in builds if context.manifest(item.digest)]
    assert kept == builds[-context.KEPT_MANIFESTS :]


# --- ignore rules and Dockerfiles, as text


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("node_modules", "node_modules", True),
        ("node_modules", "a/node_modules", False),
        ("**/node_modules", "a/b/node_modules", True),
        ("**/node_modules", "node_modules", True),
        ("/a/", "a", True),
        ("a ", "a", True),
        ("./a", "a", True),
        ("b/../a", "a", True),
        ("#a", "#a", False),
        ("\\#a", "#a", True),
        ("A", "a", False),
        ("*.py", "a.py", True),
        ("*.py", "b/a.py", False),
        ("*/*.py", "b/a.py", True),
        ("**/*.py[co]", "b/c/a.pyc", True),
        ("a?c", "a/c", False),
        ("a/**", "a", False),
        ("a/**", "a/b", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("**", "x", True),
        ("a.c", "abc", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a\n!a", "a", False),
        ("!a\na", "a", True),
        ("*\n!.env.example", ".env.example", False),
        ("\ufeffa", "a", True),
        ("a\r\nb\r", "b", True),
        (".", "a", False),
    ],
)
def test_pattern(rules: str, path: str, ignored: bool) -> None:
    parsed = ignore.parse(rules)
    assert parsed.judge(path, path.rpartition("/")[2], parsed.start)[0] is ignored


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("FROM a", {}, ("a",)),
        ("from a as x\nFROM X\nFROM b", {}, ("a", "b")),
        ("FROM scratch", {}, ()),
        ("FROM --platform=$BUILDPLATFORM a", {}, ("a",)),
        ("ARG R=\nARG V=3\nFROM ${R}py:$V", {"R": "host/"}, ("host/py:3",)),
        ("ARG A=1\nARG B=x-${A}\nFROM i:${B}", {}, ("i:x-1",)),
        ("FROM i:${V:-${W:-9}}", {}, ("i:9",)),
        ("ARG V\nFROM i${V:+:$V}", {"V": "2"}, ("i:2",)),
        ('ARG V="1 2"\nFROM "i:1"', {}, ("i:1",)),
        (
            "FROM a AS x\nARG V=1\nCOPY --from=x /a /b\nCOPY --from=c /a /b\nCOPY --from=0 /a /b",
            {},
            ("a", "c"),
        ),
        ("FROM a\nRUN --mount=type=bind,from=t,target=/t true", {}, ("a", "t")),
        ("FROM a\nRUN <<EOF\nFROM no\nEOF\nFROM b", {}, ("a", "b")),
        ("FROM a\nRUN x \\\n  # FROM c\n  FROM d\nFROM b", {}, ("a", "b")),
        ("# escape=`\nFROM `\n  a", {}, ("a",)),
        ("FROM named\nFROM a", {}, ("a",)),
        ("", {}, ()),
        ("FROM", {}, ()),
    ],
)
def test_bases(text: str, args: Mapping[str, str], expected: tuple[str, ...]) -> None:
    assert dockerfile.bases(text, args, ["named"]) == expected
