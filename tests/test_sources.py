"""Where templates come from: references, versions, the copy in the cache; with real repositories."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import destination, handover, mirror, project, sources, versions
from scaffold.generate.mirror import Unreachable
from scaffold.generate.sources import Kind, Template
from tests.repositories import TINY, commit, git, repository, write


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a cache of the test's own, and an empty current folder."""
    home, place = tmp_path / "home", tmp_path / "workplace"
    home.mkdir()
    place.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A template repository: v1.0.0, then v1.1.0, then a commit without a tag."""
    folder = repository(tmp_path / "tiny", TINY, "v1.0.0", "nightly")
    commit(folder, {"added.txt": "in 1.1\n"}, "v1.1.0")
    commit(folder, {"later.txt": "after 1.1\n"})
    return folder


def make(reference: str, place: str = "myapp", **answers: object) -> Template:
    with sources.opened(reference) as template:
        project.create(template, destination.check(place), answers, git=False)
    return template


def answers_in(folder: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(Path(folder, ".copier-answers.yml").read_text())
    return loaded


# ── references ─────────────────────────────────────────────────────────────────────────────────────────

HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("reference", "address", "ref"),
    [
        ("backend", "https://templates.scaffold.invalid/backend.git", None),
        ("backend@v0.1.0", "https://templates.scaffold.invalid/backend.git", "v0.1.0"),
        ("git+scaffold:backend", "https://templates.scaffold.invalid/backend.git", None),
        (
            "https://templates.scaffold.invalid/backend.git",
            "https://templates.scaffold.invalid/backend.git",
            None,
        ),
        ("gh:owner/repo", "https://github.com/owner/repo.git", None),
        ("gh:owner/repo.git", "https://github.com/owner/repo.git", None),
        ("gh:/owner/repo@v1", "https://github.com/owner/repo.git", "v1"),
        ("gl:group/sub/repo@feature/x", "https://gitlab.com/group/sub/repo.git", "feature/x"),
        ("https://example.com/t.git", "https://example.com/t.git", None),
        ("https://example.com/t", "git+https://example.com/t", None),
        ("git+https://example.com/t@v2", "git+https://example.com/t", "v2"),
        ("https://ada@example.com/t.git@v1", "https://example.com/t.git", "v1"),
        ("https://ada:secret@example.com:8443/a/t.git", "https://example.com:8443/a/t.git", None),
        ("https://example.com/@scope/t", "git+https://example.com/@scope/t", None),
        ("git@example.com:team/t.git", "git@example.com:team/t.git", None),
        ("git@example.com:team/t.git@v1", "git@example.com:team/t.git", "v1"),
        ("git@example.com:team/t@" + HASH, "git@example.com:team/t", HASH),
        ("example.com:team/t", "git+example.com:team/t", None),
        ("ssh://git@example.com:22/team/t.git@v1", "ssh://git@example.com:22/team/t.git", "v1"),
        ("ssh://git:secret@example.com/t.git", "ssh://git@example.com/t.git", None),
        ("file:///srv/t.git@v1", "file:///srv/t.git", "v1"),
        ("file:///srv/t", "git+file:///srv/t", None),
    ],
)
def test_reference_has_an_address_that_copier_reads_too_and_a_ref(
    reference: str, address: str, ref: str | None
) -> None:
    found = sources.parse(reference)
    assert (found.source.address, found.ref) == (address, ref)
    assert sources.remembered(address).address == address


@pytest.mark.parametrize(
    "address",
    ["https://example.com/t.git", "git+https://example.com/t", "git@example.com:team/t", "git+file:///srv/t"],
)
def test_copier_takes_the_address_for_a_repository(address: str) -> None:
    from copier._vcs import get_repo

    assert get_repo(address)


def test_folder_bare_repository_and_bundle_are_told_apart(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/copier.yml").touch()
    git(tmp_path, "clone", "--quiet", "--bare", "tiny", "tiny.git")
    git(tmp_path, "clone", "--quiet", "--bare", "tiny", "bare")
    git(tiny, "bundle", "create", str(tmp_path / "tiny.bundle"), "--all")
    found = {
        name: sources.parse(str(tmp_path / name)).source
        for name in ("plain", "tiny", "tiny.git", "bare", "tiny.bundle")
    }
    assert {name: (source.kind, source.name) for name, source in found.items()} == {
        "plain": (Kind.FOLDER, "plain"),
        "tiny": (Kind.GIT, "tiny"),
        "tiny.git": (Kind.GIT, "tiny"),
        "bare": (Kind.GIT, "bare"),
        "tiny.bundle": (Kind.GIT, "tiny"),
    }
    assert found["bare"].address == f"git+file://{tmp_path}/bare", "copier sees no repository in its path"


def test_at_sign_in_the_name_of_a_folder_is_no_ref(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t@home", TINY, "v1.0.0")
    assert sources.parse(str(folder)).ref is None
    assert sources.parse(f"{folder}@v1.0.0").ref == "v1.0.0"


def test_short_form_and_its_url_are_one_source() -> None:
    assert sources.parse("gh:owner/repo").source == sources.parse("https://github.com/owner/repo.git").source


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tags", "newest"),
    [
        (("v1.9.0", "v1.10.0", "v1.2.0"), "v1.10.0"),
        (("5.3.0", "v5.2.9"), "5.3.0"),
        (("2026.06.18", "2025.12.1"), "2026.06.18"),
        (("v1.0.0", "v2.0.0rc1", "v2.0.0.dev1", "v2.0.0a1"), "v1.0.0"),
        (("nightly", "release-3", "v0.1"), "v0.1"),
        (("v1!1.0", "v9.0"), "v1!1.0"),
        (("nightly",), None),
        ((), None),
    ],
)
def test_newest_version_is_what_copier_takes(
    tags: tuple[str, ...], newest: str | None, tmp_path: Path
) -> None:
    from copier._vcs import get_latest_tag

    assert versions.newest(tags) == newest
    folder = repository(tmp_path / "t", TINY, *tags)
    assert get_latest_tag(str(folder)) == (newest or "HEAD")


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}.git", "file://{}.git", "{}.bundle", "../tiny"])
def test_newest_version_tag_is_taken_from_every_form(tiny: Path, tmp_path: Path, form: str) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", "tiny", "tiny.git")
    git(tiny, "bundle", "create", "--quiet", str(tmp_path / "tiny.bundle"), "--all", "HEAD")
    template = make(form.format(tiny))
    assert template.version == "v1.1.0"
    assert Path("myapp/README.md").read_text() == "myapp v1.1.0\n"
    assert Path("myapp/added.txt").exists()
    assert not Path("myapp/later.txt").exists()
    assert answers_in("myapp") == {
        "_commit": "v1.1.0",
        "_commit_hash": git(tiny, "rev-parse", "v1.1.0"),
        "_src_path": template.source,
        "project_name": "myapp",
    }


@pytest.mark.parametrize(
    ("ref", "recorded", "files"),
    [
        ("v1.0.0", "v1.0.0", set()),
        ("nightly", "nightly", set()),
        ("main", "v1.1.0-1-g", {"added.txt", "later.txt"}),
        ("HEAD", "v1.1.0-1-g", {"added.txt", "later.txt"}),
        ("HASH", "v1.1.0-1-g", {"added.txt", "later.txt"}),
        ("SHORT", "v1.1.0-1-g", {"added.txt", "later.txt"}),
    ],
)
def test_ref_is_a_tag_a_branch_or_a_commit(tiny: Path, ref: str, recorded: str, files: set[str]) -> None:
    full = git(tiny, "rev-parse", "HEAD")
    make(f"file://{tiny}@" + {"HASH": full, "SHORT": full[:9]}.get(ref, ref))
    assert str(answers_in("myapp")["_commit"]).startswith(recorded)
    assert {name for name in ("added.txt", "later.txt") if Path("myapp", name).exists()} == files


def test_repository_without_tags_is_taken_by_commit(tmp_path: Path) -> None:
    folder = repository(tmp_path / "young")
    full = git(folder, "rev-parse", "HEAD")
    make(str(folder))
    assert answers_in("myapp")["_commit_hash"] == full
    assert full.startswith(str(answers_in("myapp")["_commit"]))


def test_branch_that_is_not_called_main_is_the_newest_commit(tmp_path: Path) -> None:
    folder = repository(tmp_path / "young")
    git(folder, "branch", "--move", "trunk")
    assert make(f"file://{folder}").commit == git(folder, "rev-parse", "trunk")


def test_older_version_of_the_bundled_template_is_there() -> None:
    with sources.opened("backend@v0.1.0") as template:
        assert (template.path / "copier.yml").is_file()
        assert (template.version, template.name) == ("v0.1.0", "backend")


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("1.1.0", 'Did you mean "v1.1.0"?'),
        ("v9", "Its newest versions: v1.1.0, v1.0.0."),
        ("", "newest"),
        ("-x", ""),
    ],
)
def test_version_that_does_not_exist_is_named_with_those_that_do(tiny: Path, ref: str, hint: str) -> None:
    with pytest.raises(ScaffoldError) as caught, sources.opened(f"file://{tiny}@{ref}"):
        pass
    assert caught.value.message == f'Template "tiny" has no version "{ref}".'
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_tag_on_something_that_is_no_commit_is_no_version(tiny: Path) -> None:
    git(tiny, "tag", "v9.0.0", "HEAD:README.md.jinja")
    with sources.opened(f"file://{tiny}") as template:
        assert template.version == "v1.1.0"


# ── a folder that is a repository ──────────────────────────────────────────────────────────────────────


def test_folder_as_it_stands_is_asked_for_with_head(tiny: Path) -> None:
    write(tiny, {"draft.txt": "not committed\n"})
    template = make(f"{tiny}@HEAD")
    assert Path("myapp/draft.txt").exists()
    assert answers_in("myapp") == {"_src_path": str(tiny), "project_name": "myapp"}
    assert "uncommitted changes" in str(template.note)


def test_changes_after_the_newest_version_are_pointed_out(tiny: Path) -> None:
    assert f"{tiny}@HEAD is the folder as it stands" in str(make(str(tiny)).note)


def test_look_at_a_folder_runs_nothing_of_it(tiny: Path, tmp_path: Path) -> None:
    for name in ("filter.x.clean", "filter.x.smudge", "core.fsmonitor", "core.sshCommand", "diff.external"):
        git(tiny, "config", name, f"touch {tmp_path}/ran; cat")
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        path = tiny / ".git/hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        path.chmod(0o755)
    commit_files = {".gitattributes": "* filter=x\n"}
    write(tiny, commit_files)
    (tiny / "added.txt").write_text("other")
    make(f"{tiny}@HEAD")
    make(str(tiny), "second")
    assert not (tmp_path / "ran").exists()


# ── the copy ───────────────────────────────────────────────────────────────────────────────────────────


def test_copy_is_used_when_the_source_is_gone_and_that_is_said(tiny: Path, tmp_path: Path) -> None:
    url = f"file://{tiny}"
    make(url, "one")
    tiny.rename(tmp_path / "away")
    template = make(url, "two")
    assert template.version == "v1.1.0"
    assert "cannot be read" in str(template.note)
    assert "The copy of less than a minute ago is used." in str(template.note)


def test_path_that_is_gone_is_found_in_the_copy_too(tiny: Path, tmp_path: Path) -> None:
    make(str(tiny), "one")
    tiny.rename(tmp_path / "away")
    assert make(str(tiny), "two").version == "v1.1.0"


def test_new_version_is_seen_at_once_and_a_moved_tag_too(tiny: Path) -> None:
    url = f"file://{tiny}"
    make(url, "one")
    commit(tiny, {"new.txt": "2\n"}, "v2.0.0")
    assert make(url, "two").version == "v2.0.0"
    commit(tiny, {"newer.txt": "2\n"})
    git(tiny, "tag", "--force", "v2.0.0")
    assert make(url, "three").commit == git(tiny, "rev-parse", "HEAD")


def test_commit_that_no_tag_leads_to_any_more_stays_readable(tiny: Path) -> None:
    url = f"file://{tiny}"
    before = make(f"{url}@v1.1.0", "one").commit
    git(tiny, "tag", "--delete", "v1.1.0")
    git(tiny, "checkout", "--quiet", "-B", "main", "v1.0.0")
    make(url, "two")
    assert make(f"{url}@{before}", "three").commit == before


def test_known_commit_is_read_without_asking_the_source(tiny: Path, tmp_path: Path) -> None:
    found = make(f"file://{tiny}", "one")
    tiny.rename(tmp_path / "away")
    assert make(f"file://{tiny}@{found.commit}", "two").note is None


def test_damaged_copy_is_made_anew(tiny: Path) -> None:
    make(f"file://{tiny}", "one")
    (copy,) = mirror.folder().glob("*.git")
    shutil.rmtree(copy / "objects")
    assert make(f"file://{tiny}", "two").version == "v1.1.0"


def test_copy_that_was_cut_short_is_swept_and_never_used(tiny: Path) -> None:
    """Killed at any moment of the first fetch, the next command has a whole copy."""
    code = f"from scaffold.generate import mirror; mirror.opened('file://{tiny}')"
    write(tiny, {f"file{number}.txt": f"{number}\n" * 50 for number in range(200)})
    commit(tiny, {}, "v3.0.0")
    for delay in (0.15, 0.2, 0.25, 0.3):
        shutil.rmtree(mirror.folder(), ignore_errors=True)
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        time.sleep(delay)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        with sources.opened(f"file://{tiny}") as template:
            assert template.version == "v3.0.0"
            assert len(list(template.path.glob("file*.txt"))) == 200
        assert [path.suffix for path in sorted(mirror.folder().iterdir())] == [".git", ".lock"]


def test_left_lock_of_a_killed_fetch_does_not_stop_the_next(tiny: Path) -> None:
    make(f"file://{tiny}", "one")
    (copy,) = mirror.folder().glob("*.git")
    (copy / "packed-refs.lock").touch()
    commit(tiny, {"new.txt": "2\n"}, "v2.0.0")
    assert make(f"file://{tiny}", "two").version == "v2.0.0"


def test_two_at_once_make_one_copy(tiny: Path) -> None:
    code = f"from scaffold.generate import mirror; print(mirror.opened('file://{tiny}').folder)"
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({child.communicate()[0] for child in children}) == 1
    assert [child.returncode for child in children] == [0] * 4


# ── submodules ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["absolute", "relative"])
def test_submodules_come_along_also_offline(tmp_path: Path, address: str) -> None:
    inner = repository(tmp_path / "inner", {"deep.txt": "deep\n"})
    parts = repository(tmp_path / "parts", {"part.txt": "part\n"})
    git(parts, "submodule", "--quiet", "add", str(inner) if address == "absolute" else "../inner", "inner")
    commit(parts, {})
    outer = repository(tmp_path / "outer", TINY)
    git(outer, "submodule", "--quiet", "add", str(parts) if address == "absolute" else "../parts", "parts")
    commit(outer, {}, "v1.0.0")
    make(str(outer), "one")
    assert Path("one/parts/part.txt").read_text() == "part\n"
    assert Path("one/parts/inner/deep.txt").read_text() == "deep\n"
    for folder in (inner, parts, outer):
        folder.rename(folder.with_name(f"{folder.name}-away"))
    make(str(outer), "two")
    assert Path("two/parts/inner/deep.txt").read_text() == "deep\n"


@pytest.mark.parametrize(
    ("url", "parent", "full"),
    [
        ("../b.git", "https://example.com/team/a.git", "https://example.com/team/b.git"),
        ("../../x/b.git", "https://example.com/team/a.git", "https://example.com/x/b.git"),
        ("./b", "https://example.com/team/a.git", "https://example.com/team/a.git/b"),
        ("../b.git", "git@example.com:team/a.git", "git@example.com:team/b.git"),
        ("../b.git", "git@example.com:a.git", "git@example.com:b.git"),
        ("../b", "/srv/a", "/srv/b"),
        ("https://other.example/b", "https://example.com/a.git", "https://other.example/b"),
    ],
)
def test_relative_address_of_a_submodule_is_that_of_git(url: str, parent: str, full: str) -> None:
    assert mirror.relative(url, parent) == full


@pytest.mark.parametrize("url", ["/etc", "file:///etc", "ext::sh -c id", "-x"])
def test_submodule_of_a_server_may_not_name_a_place_on_this_machine(url: str) -> None:
    with pytest.raises(ScaffoldError, match="The submodule parts of "):
        mirror.check_module(url, "https://example.com/a.git", "parts")


# ── what goes wrong ────────────────────────────────────────────────────────────────────────────────────


def test_source_that_is_not_there_is_one_error_with_a_command_that_shows_why(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught, sources.opened(f"file://{tmp_path}/none.git"):
        pass
    assert caught.value.message.startswith(f"file://{tmp_path}/none.git cannot be read: ")
    assert f"`git ls-remote file://{tmp_path}/none.git`" in str(caught.value.hint)
    assert not list(mirror.folder().glob("*.git"))


def test_server_that_refuses_connections_is_named_at_once() -> None:
    before = time.monotonic()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"), sources.opened("http://127.0.0.1:9/t.git"):
        pass
    assert time.monotonic() - before < 5


def test_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(mirror, "_LOOK", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/t.git"
        with pytest.raises(Unreachable, match="did not answer within 1 seconds"), sources.opened(url):
            pass


def test_password_in_an_address_is_in_no_error_no_argument_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught, sources.opened("http://ada:hunter2@127.0.0.1:9/t.git"):
        pass
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__}"
    variables = mirror.credentials("https://ada:hunter2@example.com/t.git")
    assert variables["GIT_CONFIG_KEY_0"] == "http.https://example.com/.extraHeader"
    assert mirror.credentials("https://example.com/t.git") == {}


def test_git_that_is_missing_is_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScaffoldError, match="git is not installed"), sources.opened(f"file://{tiny}"):
        pass


def test_repository_that_is_no_template_is_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path / "code", {"main.py": "print()\n"}, "v1.0.0")
    with (
        pytest.raises(UsageError, match=r'"code" is not a template at v1\.0\.0: it has no copier\.yml'),
        sources.opened(str(folder)),
    ):
        pass


def test_repository_without_commits_is_a_folder_as_it_stands(tmp_path: Path) -> None:
    write(tmp_path / "new", TINY)
    git(tmp_path / "new", "init", "--quiet")
    assert make(str(tmp_path / "new")).version is None


def test_empty_bare_repository_is_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    with (
        pytest.raises(ScaffoldError, match="is a repository without commits"),
        sources.opened(str(tmp_path / "empty.git")),
    ):
        pass


def test_version_of_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "plain", TINY)
    with (
        pytest.raises(UsageError, match='is no git repository, so it has no version "v1"'),
        sources.opened(f"{tmp_path}/plain@v1"),
    ):
        pass


def test_cache_that_cannot_be_written_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ScaffoldError, match="cannot be used") as caught, sources.opened(f"file://{tiny}"):
        pass
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


# ── copier ─────────────────────────────────────────────────────────────────────────────────────────────

RICH = {
    "copier.yml": (
        "_subdirectory: project\n"
        "_answers_file: .config/answers.yml\n"
        "project_name: {type: str, default: unnamed}\n"
        "made_by: {type: str, default: '{{ _copier_conf.vcs_ref_hash }}', when: false}\n"
    ),
    "project/{{ _copier_conf.answers_file }}.jinja": "# Hello.\n{{ _copier_answers|to_nice_yaml }}",
    "project/about.txt.jinja": (
        "{{ _copier_answers._commit }} {{ _commit }} {{ _src_path }} {{ made_by }} {{ _folder_name }}\n"
    ),
    "project/{% if _commit %}tagged{% endif %}": "yes\n",
}


@pytest.mark.parametrize("way", ["told", "asked"])
@pytest.mark.parametrize("ref", ["v1.0.0", "main"])
def test_result_is_what_copier_makes_of_the_repository(
    tmp_path: Path, way: str, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, but for our own key; also where copier does not let itself be told what git knows."""
    import copier

    if way == "asked":
        monkeypatch.setattr(handover, "description", lambda template: None)
    folder = repository(tmp_path / "rich", RICH, "v1.0.0")
    (folder / "project/run.sh").write_text("#!/bin/sh\n")
    (folder / "project/run.sh").chmod(0o755)
    (folder / "project/link").symlink_to("run.sh")
    commit(folder, {"project/crlf.txt": "a\n", ".gitattributes": "crlf.txt text eol=crlf\n"}, "v1.1.0")
    address = f"git+file://{folder}"
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "copier"))
    (tmp_path / "theirs").mkdir()
    copier.run_copy(
        address,
        tmp_path / "theirs/myapp",
        vcs_ref=ref,
        data={"project_name": "myapp"},
        defaults=True,
        quiet=True,
    )
    make(f"{address}@{ref}", project_name="myapp")
    assert snapshot(Path("myapp")) == snapshot(tmp_path / "theirs/myapp")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode & 0o111,
            b"".join(
                line for line in path.read_bytes().splitlines(True) if not line.startswith(b"_commit_hash")
            ),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_copier_lets_itself_be_told_what_git_knows(tiny: Path) -> None:
    """It is most of the time that a render takes; a copier that has changed inside still works, slower."""
    with sources.opened(str(tiny)) as template:
        assert handover.description(template) is not None
