"""`scaffold template`: short names, a team's list, and what a template is before it is used."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.repositories import TINY, commit, repository, write

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
LIST = """
[templates]
team = "{}@v1.0.0"

[defaults]
license = "MIT"
project_name = "never"
port = 9000
"""
ASKS = {
    **TINY,
    "copier.yml": (
        "# A service of the platform team.\n"
        "project_name: {type: str, default: unnamed, help: Its name}\n"
        "license: {type: str, default: none, choices: [none, MIT]}\n"
        "port: {type: int, default: 8000}\n"
        "extras: {type: str, multiselect: true, default: [], choices: [a, b, c]}\n"
        "token: {type: str, secret: true, default: changeme}\n"
        "owner: {type: str}\n"
        "slug: {type: str, default: '{{ project_name }}', when: false}\n"
    ),
    "all.txt.jinja": "{{ license }} {{ port }} {{ extras }} {{ token }} {{ owner }} {{ slug }}\n",
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home, place = tmp_path / "home", tmp_path / "workplace"
    home.mkdir()
    place.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def asks(tmp_path: Path) -> Path:
    folder = repository(tmp_path / "asks", ASKS, "v1.0.0")
    commit(folder, {"new.txt": "1.1\n"}, "v1.1.0")
    return folder


def scaffold(*arguments: str, code: int = 0) -> str:
    """What the command says: its result, or the error on one line."""
    done = subprocess.run(
        (SCAFFOLD, *arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else " ".join(done.stderr.split())


def answers_in(folder: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load(Path(folder, ".copier-answers.yml").read_text())
    return loaded


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────


def test_short_name_stands_for_its_source_and_version(asks: Path) -> None:
    scaffold("template", "add", "team", f"{asks}@v1.0.0")
    scaffold("new", "one", "--template", "team", "-d", "owner=me")
    scaffold("new", "two", "--template", "team@v1.1.0", "-d", "owner=me")
    assert [answers_in(name)["_commit"] for name in ("one", "two")] == ["v1.0.0", "v1.1.0"]
    assert answers_in("one")["_src_path"] == str(asks)


def test_relative_folder_is_kept_as_an_absolute_one(asks: Path, own_folders: Path) -> None:
    said = json.loads(scaffold("template", "add", "team", "../asks", "--json"))
    assert said == {"name": "team", "source": str(asks), "version": "v1.1.0"}


def test_names_are_listed_with_where_they_are_from(asks: Path) -> None:
    scaffold("template", "add", "team", str(asks))
    listed = json.loads(scaffold("template", "list", "--json"))["templates"]
    assert [(each["name"], each["from"]) for each in listed] == [
        ("backend", "scaffold"),
        ("team", "your settings"),
    ]


def test_comments_in_the_settings_stay(asks: Path, tmp_path: Path) -> None:
    settings = tmp_path / "home/.config/scaffold/settings.toml"
    write(settings.parent, {"settings.toml": '# mine\n[templates]\nold = "gh:a/b"  # keep\n'})
    scaffold("template", "add", "team", str(asks))
    assert settings.read_text() == f'# mine\n[templates]\nold = "gh:a/b"  # keep\nteam = "{asks}"\n'


def test_removed_name_is_forgotten_with_its_copy(asks: Path, tmp_path: Path) -> None:
    scaffold("template", "add", "team", str(asks))
    scaffold("template", "remove", "team")
    assert not list((tmp_path / "home/.cache/scaffold/templates").glob("*.git"))
    assert 'There is no template "team".' in scaffold("template", "show", "team", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "backend", "gh:a/b"), '"backend" is a template that came with scaffold.'),
        (("add", "a/b", "ASKS"), '"a/b" is no short name for a template.'),
        (("add", "team"), "NAME or SOURCE is missing."),
        (("add", "team", "/nowhere"), 'There is no template "/nowhere".'),
        (("add", "team", "ASKS@v9"), 'has no version "v9"'),
        (("remove", "backend"), '"backend" came with scaffold and stays.'),
        (("remove", "none"), 'There is no template "none".'),
        (("versions", "."), "is no git repository, so it has no versions."),
    ],
)
def test_wrong_name_or_source_is_one_error(asks: Path, arguments: tuple[str, ...], message: str) -> None:
    words = [word.replace("ASKS", str(asks)) for word in arguments]
    done = subprocess.run((SCAFFOLD, "template", *words), capture_output=True, text=True, check=False)
    assert done.returncode in {1, 2}
    assert message in " ".join(done.stderr.split())


def test_taken_name_is_not_given_again(asks: Path) -> None:
    scaffold("template", "add", "team", str(asks))
    said = scaffold("template", "add", "team", f"{asks}@v1.0.0", code=2)
    assert f'"team" is {asks} already.' in said
    assert "`scaffold template remove team`" in said


def test_broken_settings_are_named(tmp_path: Path) -> None:
    write(tmp_path / "home/.config/scaffold", {"settings.toml": "[templates\n"})
    said = scaffold("template", "list", code=1)
    assert "settings.toml is not TOML" in said


# ── a team's list ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("kind", ["file", "url", "git", "git, another file"])
def test_list_brings_names_and_answers_to_begin_with(
    asks: Path, tmp_path: Path, served: str, kind: str
) -> None:
    text = LIST.format(asks)
    write(tmp_path / "www", {"list.toml": text})
    origin = {
        "file": str(tmp_path / "www/list.toml"),
        "url": f"{served}/list.toml",
        "git": str(repository(tmp_path / "platform", {"scaffold.toml": text})),
        "git, another file": f"{repository(tmp_path / 'other', {'a/b.toml': text})}#a/b.toml",
    }[kind]
    scaffold("template", "add", "--from", origin)
    scaffold("new", "shop", "--template", "team", "-d", "owner=me")
    answers = answers_in("shop")
    assert (answers["_commit"], answers["license"], answers["port"]) == ("v1.0.0", "MIT", 9000)
    assert answers["project_name"] == "shop", "the folder's name, not a default"


def test_list_added_again_is_brought_up_to_date_and_own_settings_win(asks: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text('[templates]\none = "gh:a/b"\n[defaults]\nlicense = "MIT"\n')
    scaffold("template", "add", "--from", str(file))
    file.write_text('[templates]\ntwo = "gh:a/c"\n[defaults]\nlicense = "MIT"\n')
    scaffold("template", "add", "--from", str(file))
    scaffold("template", "add", "two", str(asks))
    listed = json.loads(scaffold("template", "list", "--json"))
    assert {each["name"]: each["source"] for each in listed["templates"][1:]} == {"two": str(asks)}
    scaffold("template", "remove", str(file))
    assert json.loads(scaffold("template", "list", "--json"))["lists"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[templates", "is not TOML"),
        ("", "has neither templates nor defaults"),
        ("[template]\na = 'b'\n", "has the unknown key template"),
        ("[templates]\na = 1\n", "write one template a line"),
        ("[templates]\n'a b' = 'c'\n", '"a b" is no short name'),
        ("defaults = 1\n[templates]\n", "defaults is no table"),
    ],
)
def test_wrong_list_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.toml").write_text(text)
    assert message in scaffold("template", "add", "--from", str(tmp_path / "list.toml"), code=1)


def test_list_that_is_not_there_is_one_error(served: str) -> None:
    assert "answers 404" in scaffold("template", "add", "--from", f"{served}/none.toml", code=1)
    assert "cannot be read" in scaffold("template", "add", "--from", "http://127.0.0.1:9/a.toml", code=1)


def test_default_that_does_not_fit_is_named_with_where_it_is_from(asks: Path, tmp_path: Path) -> None:
    write(tmp_path / "home/.config/scaffold", {"settings.toml": '[defaults]\nlicense = "GPL"\n'})
    said = scaffold("new", "shop", "--template", str(asks), "-d", "owner=me", code=2)
    assert "license=GPL, a default of your settings" in said


# ── what a template is ─────────────────────────────────────────────────────────────────────────────────


def test_show_tells_what_it_asks(asks: Path) -> None:
    found = json.loads(scaffold("template", "show", str(asks), "--json"))
    assert (found["name"], found["version"]) == ("asks", "v1.1.0")
    assert found["description"] == "A service of the platform team."
    questions = {each["name"]: each for each in found["questions"]}
    assert questions["license"]["choices"] == ["none", "MIT"]
    assert questions["license"]["default"] == "none"
    assert questions["project_name"]["help"] == "Its name"
    assert questions["owner"]["required"]
    assert questions["extras"]["multiselect"]
    assert not questions["slug"]["asked"]
    assert (questions["token"]["secret"], questions["token"]["default"]) == (True, None)
    assert found["code"]["tasks"] == []
    text = scaffold("template", "show", str(asks))
    assert "It runs no programs." in text
    assert "changeme" not in text
    assert "slug" not in text


def test_show_tells_what_it_would_run_and_runs_nothing(tmp_path: Path) -> None:
    files = {**TINY, "copier.yml": TINY["copier.yml"] + "_tasks: ['touch ran']\n"}
    folder = repository(tmp_path / "t", files, "v1.0.0")
    text = scaffold("template", "show", str(folder))
    assert "nobody trusted it yet" in text
    assert "touch ran" in text
    scaffold("new", "shop", "--template", str(folder), "--trust")
    assert json.loads(scaffold("template", "show", str(folder), "--json"))["code"]["trusted"] is True


def test_versions_are_listed_newest_first(asks: Path) -> None:
    found = json.loads(scaffold("template", "versions", str(asks), "--json"))["versions"]
    assert [(each["version"], each["newest"]) for each in found] == [("v1.1.0", True), ("v1.0.0", False)]


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────


def test_secret_answer_is_in_the_file_that_asks_for_it_and_nowhere_else(asks: Path) -> None:
    done = subprocess.run(
        (SCAFFOLD, "new", "shop", "--template", asks, "-d", "token=hunter2", "-d", "owner=me", "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hunter2" not in done.stdout + done.stderr
    found = [
        path.name for path in Path("shop").rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()
    ]
    assert found == ["all.txt"]


@pytest.mark.parametrize(
    "question",
    [
        "token: {type: int, secret: true, default: 1}\n",
        "token: {type: str, secret: true, default: a, choices: [a, b]}\n",
        "token: {type: str, secret: true, default: a, validator: \"{{ 'no: ' ~ token if token != 'a' }}\"}\n",
        "token: {type: str, secret: true, default: a, choices: \"{{ ['a'] }}\"}\n",
        'token: {type: str, secret: true, default: a, when: "{{ false }}"}\n',
        "token: {type: str, default: a, choices: [a]}\n_secret_questions: [token]\n",
    ],
)
def test_wrong_secret_answer_is_in_no_error(tmp_path: Path, question: str) -> None:
    folder = repository(tmp_path / "t", {"copier.yml": question}, "v1.0.0")
    said = scaffold("new", "shop", "--template", str(folder), "-d", "token=hunter2", code=2)
    assert "hunter2" not in said
    assert "token" in said


def test_several_answers_are_a_list(asks: Path) -> None:
    scaffold("new", "shop", "--template", str(asks), "-d", "owner=me", "-d", "extras=[a, c]")
    assert answers_in("shop")["extras"] == ["a", "c"]
    said = scaffold("new", "two", "--template", str(asks), "-d", "owner=me", "-d", "extras=a", code=2)
    assert "-d extras=a: extras takes a list." in said
    assert "`-d 'extras=[a, b]'`, in a file `extras: [a, b]`" in said
    said = scaffold("new", "two", "--template", str(asks), "-d", "owner=me", "-d", "extras=[a, z]", code=2)
    assert "choose one of a, b, c" in said


def test_answers_of_another_project_may_hold_more_than_is_asked(asks: Path) -> None:
    Path("old.yml").write_text(
        "_commit: v0\n_src_path: gh:a/b\nowner: me\nport: 1234\ndropped: 1\nslug: old\nlicense: MIT\n"
    )
    done = subprocess.run(
        (SCAFFOLD, "new", "shop", "--template", asks, "--answers", "old.yml"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Left out, since the template does not ask for it: dropped." in done.stderr
    assert (answers_in("shop")["port"], answers_in("shop")["owner"]) == (1234, "me")


def test_misspelt_key_of_a_file_that_somebody_wrote_is_still_refused(asks: Path) -> None:
    Path("mine.yml").write_text("licence: MIT\n")
    said = scaffold("new", "shop", "--template", str(asks), "--answers", "mine.yml", code=2)
    assert 'Did you mean "license"?' in said


def test_messages_of_the_template_are_shown(tmp_path: Path) -> None:
    said = "_message_before_copy: Hello.\n_message_after_copy: 'Made {{ project_name }}.'\n"
    folder = repository(tmp_path / "t", {**TINY, "copier.yml": TINY["copier.yml"] + said}, "v1.0.0")
    assert "Made shop." in scaffold("new", "shop", "--template", str(folder))
    assert json.loads(scaffold("new", "two", "--template", str(folder), "--json"))["message"] == "Made two."


def test_name_of_the_project_needs_no_default(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", {**TINY, "copier.yml": "project_name: {type: str}\n"}, "v1.0.0")
    scaffold("new", "shop", "--defaults", "--template", str(folder))
    assert answers_in("shop")["project_name"] == "shop"


@pytest.mark.parametrize("answers_file", [".answers/base.yml", None])
def test_answers_file_is_anywhere_or_nowhere(tmp_path: Path, answers_file: str | None) -> None:
    files = dict(TINY) if answers_file else {key: TINY[key] for key in ("copier.yml", "README.md.jinja")}
    setting = f"_answers_file: {answers_file}\n" if answers_file else ""
    folder = repository(tmp_path / "t", {**files, "copier.yml": TINY["copier.yml"] + setting}, "v1.0.0")
    scaffold("new", "shop", "--template", str(folder))
    assert Path("shop/README.md").read_text() == "shop v1.0.0\n"
    if answers_file:
        assert yaml.safe_load(Path("shop", answers_file).read_text())["_commit"] == "v1.0.0"


def test_external_data_and_skipped_files_work(tmp_path: Path) -> None:
    files = {
        **TINY,
        "copier.yml": TINY["copier.yml"]
        + "_external_data: {other: extra.yml}\n_skip_if_exists: [once.txt]\n",
        "once.txt": "once\n",
        "data.txt.jinja": "{{ _external_data.other.key | default('nothing') }}\n",
    }
    scaffold("new", "shop", "--template", str(repository(tmp_path / "t", files, "v1.0.0")))
    assert Path("shop/once.txt").read_text() == "once\n"
    assert Path("shop/data.txt").read_text() == "nothing\n"
