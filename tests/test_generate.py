"""Templates, questions, answers and destinations: what is decided before anything is rendered."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.errors import ScaffoldError, UsageError
from scaffold.generate import destination, questions, sources, tree
from scaffold.generate.questions import Given, Question
from scaffold.generate.sources import Template

TEMPLATE = Template("tiny", Path("/templates/tiny"), "tiny")
QUESTIONS = (
    Question("name", "str", is_required=True),
    Question("language", "str", choices=("python", "node")),
    Question("port", "int"),
    Question("ratio", "float"),
    Question("docs", "bool"),
    Question("extras", "str", choices=("a", "b"), is_list=True),
    Question("anything", "yaml"),
)


def parsed(*options: str) -> dict[str, object]:
    return questions.parse(questions.from_options(options), QUESTIONS, TEMPLATE)


# ── templates ──────────────────────────────────────────────────────────────────────────────────────────


def test_bundled_template_is_found_by_name_and_remembered_without_a_path() -> None:
    template = sources.find("backend")
    assert template.source == "https://templates.scaffold.invalid/backend.git"
    assert (template.path / "copier.yml").is_file()


def test_folder_with_a_copier_file_is_a_template(tmp_path: Path) -> None:
    (tmp_path / "copier.yaml").write_text("name: x\n")
    assert sources.find(str(tmp_path)) == Template(tmp_path.name, tmp_path, str(tmp_path))


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "@",
        "bakend",
        "bakend@v1",
        "/nowhere",
        "~nobody/x",
        "x" * 5000,
        "a\0b",
        "ext::sh -c touch% x",
        "-x",
    ],
)
def test_unknown_template_is_a_usage_error(reference: str) -> None:
    with pytest.raises(UsageError, match="There is no template"):
        sources.find(reference)


def test_misspelt_template_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        sources.find("bakend")
    assert caught.value.hint == 'Did you mean "backend"?'


def test_folder_without_a_copier_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has no copier\.yml"):
        sources.find(str(tmp_path))


# ── questions ──────────────────────────────────────────────────────────────────────────────────────────


def questions_in(folder: Path, text: str) -> tuple[Question, ...]:
    (folder / "copier.yml").write_text(text)
    return questions.read(Template("tiny", folder, "tiny"))


def test_questions_are_read_in_order_with_type_choices_and_default(tmp_path: Path) -> None:
    text = """
    _subdirectory: project
    name: {type: str}
    language: {type: str, default: python, choices: {Python: python, Node: node}}
    version: {type: str, default: "1", choices: "{{ ['1', '2'] }}"}
    port: 8000
    docs: no
    extra: {type: str, when: "{{ docs }}"}
    pairs: {type: int, default: 1, choices: [[one, 1], [two, 2]]}
    """
    found = questions_in(tmp_path, text)
    assert [question.default for question in found] == [None, "python", "1", 8000, False, None, 1]
    assert tuple(replace(question, default=None, when=True) for question in found) == (
        Question("name", "str", is_required=True),
        Question("language", "str", choices=("python", "node")),
        Question("version", "str"),
        Question("port", "int"),
        Question("docs", "bool"),
        Question("extra", "str"),
        Question("pairs", "int", choices=(1, 2)),
    )


def test_included_question_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "shared.yml").write_text("license: MIT\n")
    found = questions_in(tmp_path, "name: x\n---\n!include shared.yml\n")
    assert [question.name for question in found] == ["name", "license"]


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x80"])
def test_broken_copier_file_is_one_error_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "copier.yml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ScaffoldError, match=r"copier\.yml"):
        questions.read(Template("tiny", tmp_path, "tiny"))


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────


def test_answers_get_the_type_of_their_question() -> None:
    assert parsed("name=7", "language=node", "port=9000", "ratio=0.5", "docs=yes", "extras=[a]") == {
        "name": "7",
        "language": "node",
        "port": 9000,
        "ratio": 0.5,
        "docs": True,
        "extras": ["a"],
    }


@pytest.mark.parametrize("word", ["no", "No", "FALSE", "off", "0", "n"])
def test_no_has_many_spellings(word: str) -> None:
    assert parsed(f"docs={word}") == {"docs": False}


def test_value_may_contain_an_equals_sign_or_be_empty() -> None:
    assert parsed("name=a=b") == {"name": "a=b"}
    assert parsed("name=") == {"name": ""}


def test_later_answer_wins() -> None:
    assert parsed("port=1", "port=2") == {"port": 2}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("language", '-d "language" is not KEY=VALUE.'),
        ("=node", '-d "=node" is not KEY=VALUE.'),
        ("langauge=node", '-d langauge=node: template "tiny" has no question "langauge".'),
        ("language=nod", "-d language=nod: choose one of python, node."),
        ("port=eight", "-d port=eight: not a whole number."),
        ("port=8.5", "-d port=8.5: not a whole number."),
        ("port=", "-d port=: not a whole number."),
        ("ratio=x", "-d ratio=x: not a number."),
        ("docs=maybe", "-d docs=maybe: answer yes or no."),
    ],
)
def test_wrong_option_is_named(option: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(option)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("langauge=node", 'Did you mean "language"?'),
        ("language=nod", 'Did you mean "node"?'),
        ("zzz=1", "Its questions are: name, language, port, ratio, docs, extras, anything."),
    ],
)
def test_wrong_option_gets_a_suggestion(option: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(option)
    assert caught.value.hint == hint


def from_text(folder: Path, text: str) -> dict[str, object]:
    file = folder / "team.yaml"
    file.write_bytes(text.encode("latin-1"))
    return questions.parse(questions.from_file(file), QUESTIONS, TEMPLATE)


def test_answers_file_gives_values_of_the_questions_types(tmp_path: Path) -> None:
    text = "_commit: v1\n_src_path: x\nname: 18\nlanguage: node\nport: '9000'\ndocs: true\nanything: {a: 1}\n"
    assert from_text(tmp_path, text) == {
        "name": "18",
        "language": "node",
        "port": 9000,
        "docs": True,
        "anything": {"a": 1},
    }


def test_empty_answers_file_answers_nothing(tmp_path: Path) -> None:
    assert from_text(tmp_path, "# nothing yet\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("\x80", "is not YAML"),
        ("- language", "is not a mapping"),
        ("node", "is not a mapping"),
        ("name: yes", "team.yaml, name: true: not a text; put it in quotes."),
        ("name: [a]", "team.yaml, name: [a]: not a text; put it in quotes."),
        ("name:", "team.yaml, name: null: has no value."),
        ("port: true", "team.yaml, port: true: not a whole number."),
        ("language: rust", "team.yaml, language: rust: choose one of python, node."),
        ("colour: red", 'team.yaml, colour: red: template "tiny" has no question "colour".'),
    ],
)
def test_wrong_answers_file_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_text(tmp_path, text)
    assert message in caught.value.message


def test_missing_or_unreadable_answers_file_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        questions.from_file(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        questions.from_file(tmp_path)


def test_required_question_without_an_answer_is_named_with_its_option() -> None:
    error = questions.missing(QUESTIONS, {"port": 1})
    assert error is not None
    assert error.message == "No answer for name, which has no default."
    assert error.hint == "Add `-d name=VALUE`, or put it into a file for --answers."


def test_nothing_is_missing_when_the_required_are_answered() -> None:
    assert questions.missing(QUESTIONS, {"name": "x"}) is None


def test_given_answer_shows_where_it_came_from() -> None:
    assert str(Given("port", "1", "-d")) == "-d port=1"
    assert str(Given("port", None, "team.yaml")) == "team.yaml, port: null"


# ── destinations ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["myapp", "myapp/", "./myapp", "new/parents/myapp", "My App", "café"])
def test_free_place_is_accepted(inside: Path, given: str) -> None:
    place = destination.check(given)
    assert place.path == (inside / given)
    assert place.name == Path(given).name


def test_existing_empty_folder_is_accepted(inside: Path) -> None:
    Path("myapp").mkdir()
    assert destination.check("myapp").path == inside / "myapp"


def test_symbolic_links_on_the_way_are_followed(inside: Path) -> None:
    Path("real").mkdir()
    Path("link").symlink_to("real")
    assert destination.check("link/myapp").path == inside / "real" / "myapp"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "The destination is empty."),
        ("  ", "The destination is empty."),
        (".", '"." is not a name for a new folder.'),
        ("..", '".." is not a name for a new folder.'),
        ("a/..", '"a/.." is not a name for a new folder.'),
        ("/", '"/" is not a name for a new folder.'),
        ("full", '"full" exists and is not empty.'),
        ("file", '"file" exists and is a file.'),
        ("file/myapp", '"file/myapp" cannot be created: {inside}/file is a file.'),
        ("a\nb", r"The destination 'a\nb' contains control characters."),
        ("a\0b", r"The destination 'a\x00b' contains control characters."),
        ("\udcff", r"The destination '\udcff' contains control characters."),
        ("x" * 300, f'"{"x" * 40}… (300 characters)" cannot be used: File name too long.'),
    ],
)
def test_impossible_place_is_one_error(inside: Path, given: str, message: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    Path("file").touch()
    with pytest.raises(UsageError) as caught:
        destination.check(given)
    assert caught.value.message == message.replace("{inside}", str(inside))


def test_the_current_folder_is_not_replaced(inside: Path) -> None:
    Path("here").mkdir()
    os.chdir("here")
    with pytest.raises(UsageError, match="is the current folder"):
        destination.check("../here")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_parent_without_write_permission_is_refused(inside: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="no permission to write"):
        destination.check("locked/myapp")


# ── trees ──────────────────────────────────────────────────────────────────────────────────────────────


def test_tree_shows_folders_first() -> None:
    assert tree.draw("myapp", ("README.md", "app/main.py", "app/db/pool.py", "run.sh")) == (
        "myapp/\n├── app/\n│   ├── db/\n│   │   └── pool.py\n│   └── main.py\n├── README.md\n└── run.sh"
    )
