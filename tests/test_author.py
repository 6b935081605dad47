"""For the people who own a template: seeded faults are found, each with its choice; cases; releases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import docker
import pytest

from scaffold.generate import bundle, sources
from scaffold.generate.author import matrix, problem, rendered, trial, written
from scaffold.generate.author.problem import Problem
from scaffold.generate.questions import Question
from tests.conftest import take_inventory
from tests.projects import interrupt, until
from tests.repositories import commit, git, repository, write

SCAFFOLD = str(Path(sys.executable).with_name("scaffold"))
GOOD = {
    "copier.yml": (
        "_subdirectory: project\n"
        "project_name:\n  type: str\n  default: sample\n"
        "  validator: \"{% if ' ' in project_name %}No spaces.{% endif %}\"\n"
        "language:\n  type: str\n  default: python\n  choices: [python, node]\n"
        "database:\n  type: str\n  default: none\n  choices: [none, postgres]\n"
        "docs: {type: bool, default: false}\n"
    ),
    "project/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers|to_nice_yaml }}",
    "project/README.md.jinja": "# {{ project_name }}\n{% if docs %}See docs.{% endif %}\n",
    "project/{% if language == 'python' %}main.py{% endif %}.jinja": "NAME = '{{ project_name }}'\n",
    "project/{% if language == 'node' %}package.json{% endif %}.jinja": '{"name": "{{ project_name }}"}\n',
    "project/settings.toml.jinja": 'name = "{{ project_name }}"\n',
    "project/compose.yaml.jinja": (
        "services:\n  app:\n    build: .\n"
        "{% if database == 'postgres' %}    depends_on: [db]\n"
        "  db:\n    image: postgres:18\n    volumes: ['data:/var/lib/postgresql']\n"
        "volumes:\n  data: {}\n{% endif %}"
    ),
    "project/Dockerfile": 'FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "main.py"]\n',
    "project/.dockerignore": ".env*\n.git\n",
    "project/run.sh": '#!/bin/sh\nset -eu\nprintf "%s\\n" "$1"\n',
    "project/.github/workflows/ci.yml": (
        "on: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: 'true'\n"
    ),
}
README, COPIER = "project/README.md.jinja", "copier.yml"
COMPOSE, WORKFLOW = "project/compose.yaml.jinja", "project/.github/workflows/ci.yml"


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


def found(folder: Path, files: Mapping[str, str]) -> tuple[Problem, ...]:
    """What lint and the rendering of every case find."""
    write(folder, files)
    template = sources.find(str(folder))
    problems = list(written.problems(template))
    if not any(not each.is_warning for each in problems):
        for made in trial.trials(template, trial.planned(template)):
            problems += made.problems
    return problem.joined(problems)


def scaffold(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        (SCAFFOLD, "template", *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout or " ".join(done.stderr.split())


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────────


def test_good_template_has_no_problem(tmp_path: Path) -> None:
    assert found(tmp_path / "t", GOOD) == ()


# What is added to a file (or put in its place, after =), what is found, and the choice that shows it.
FAULTS: dict[str, tuple[str, str, str, str]] = {
    "syntax of an expression": (README, "{% if docs %}\n", "Unexpected end of template", ""),
    "unknown filter": (README, "{{ project_name|shout }}\n", "No filter named 'shout'", ""),
    "misspelt question": (README, "{{ projet_name }}\n", "projet_name is no question", ""),
    "included file that is not there": (README, "{% include 'parts/gone' %}\n", "parts/gone is included", ""),
    "error for one choice": (
        README,
        "{% if language == 'node' %}{{ project_name.x.y }}{% endif %}\n",
        "has no attribute 'x'",
        "language=node",
    ),
    "error in a path": ("project/{{ project_name|shout }}", "x", "No filter named 'shout'", ""),
    "key that stands twice": (COPIER, "docs: {type: bool}\n", '"docs" is there twice', ""),
    "unknown setting": (COPIER, "_sub_directory: x\n", "_sub_directory is no setting of copier", ""),
    "unknown field": (COPIER, "a: {type: str, defualt: x, when: false}\n", 'unknown field "defualt"', ""),
    "unknown type": (COPIER, "a: {type: text, default: x}\n", 'unknown type "text"', ""),
    "default that is no choice": (
        COPIER,
        "a: {type: str, default: z, choices: [x, y]}\n",
        "The default of a, z, is none of its choices",
        "",
    ),
    "default that fails its validator": (
        COPIER,
        "a: {type: str, default: z, validator: \"{% if a == 'z' %}Not z.{% endif %}\"}\n",
        "Not z.",
        "defaults",
    ),
    "secret without a default": (
        COPIER,
        "a: {type: str, secret: true}\n",
        "is secret and has no default",
        "",
    ),
    "JSON for one choice": (
        "project/{% if language == 'node' %}package.json{% endif %}.jinja",
        ",\n",
        "This is not JSON",
        "language=node",
    ),
    "TOML": ("project/settings.toml.jinja", "x = \n", "This is not TOML", ""),
    "YAML for one choice": (
        COMPOSE,
        "{% if docs %}  a: [\n{% endif %}",
        "This is not YAML",
        "docs=yes",
    ),
    "Python for one choice": (
        "project/{% if language == 'python' %}main.py{% endif %}.jinja",
        "{% if database == 'postgres' %}def f(:{% endif %}\n",
        "This is not Python",
        "database=postgres",
    ),
    "shell script": ("project/run.sh", "if true; then\n", "run.sh", ""),
    "Dockerfile": ("project/Dockerfile", "RUNN true\n", "Dockerfile", ""),
    "unknown key of Compose": (
        COMPOSE,
        "=services:\n  app: {build: ., comand: x}\n",
        'unknown key "comand"',
        "",
    ),
    "service that does not exist": (
        COMPOSE,
        "=services:\n  app:\n    build: .\n{% if docs %}    depends_on: [pages]\n{% endif %}",
        "depends on pages, which does not exist",
        "docs=yes",
    ),
    "volume that does not exist": (
        COMPOSE,
        "=services:\n  app: {build: ., volumes: ['data:/data']}\n",
        "uses the volume data",
        "",
    ),
    "privileged container": (
        COMPOSE,
        "=services:\n  app: {build: ., privileged: true}\n",
        "is privileged",
        "",
    ),
    "engine's socket": (
        COMPOSE,
        "=services:\n  app: {build: ., volumes: ['/var/run/docker.sock:/var/run/docker.sock']}\n",
        "has the engine's socket",
        "",
    ),
    "workflow without a trigger": (WORKFLOW, "=jobs: {a: {runs-on: x}}\n", 'The workflow has no "on"', ""),
    "job that needs another": (
        WORKFLOW,
        "=on: push\njobs: {a: {runs-on: x, needs: b}}\n",
        "needs b, which does not exist",
        "",
    ),
    "step without work": (
        WORKFLOW,
        "=on: push\njobs: {a: {runs-on: x, steps: [{name: y}]}}\n",
        "one of uses and run",
        "",
    ),
    ".env in the image": ("project/.dockerignore", "=.git\n", ".env is not in it", ""),
    "forgotten suffix": ("project/notes.txt", "{{ project_name }}\n", "was not rendered", ""),
    "private key": (
        "project/key.pem",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq8\n",
        "looks like a private key",
        "",
    ),
    "token": ("project/a.txt", f"ghp_{'a1' * 18}\n", "looks like a token of GitHub", ""),
    "own .env": ("project/.env", "A=1\n", "belongs to one machine", ""),
    "question that nothing uses": (COPIER, "unused: {type: bool, default: false}\n", "is used nowhere", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_seeded_fault_is_found_with_the_choice_that_shows_it(tmp_path: Path, fault: str) -> None:
    path, text, message, choice = FAULTS[fault]
    changed = text[1:] if text.startswith("=") else GOOD.get(path, "") + text
    problems = found(tmp_path / "t", {**GOOD, path: changed})
    hits = [each for each in problems if message in str(each)]
    assert hits, "\n".join(map(str, problems))
    assert choice in hits[0].case
    if choice and choice != "defaults":
        assert hits[0].case != ""


def test_bundled_template_has_no_problem() -> None:
    assert [each for each in written.problems(sources.find("backend")) if not each.is_warning] == []


def test_problem_of_several_cases_is_said_once() -> None:
    problems = [Problem("a", 1, "x", case) for case in ("one=1,two=2", "one=1", "two=2,three=3")]
    assert [str(each) for each in problem.joined(problems)] == ["a:1: x [one=1 and 2 more]"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tsconfig.json", "{ // with comments\n}"),
        ("a.yml", "a: !reference [b]\n"),
        (".devcontainer/compose.yaml", "services: {app: {depends_on: [db]}}\n"),
        ("Dockerfile", "FROM x:1\nCOPY app app\n"),
        (".github/workflows/a.yml", "on: push\njobs: {a: {uses: ./b.yml}}\n"),
    ],
)
def test_what_is_right_is_left_alone(tmp_path: Path, path: str, text: str) -> None:
    write(tmp_path, {path: text})
    assert [each for each in rendered.problems(tmp_path, ()) if not each.is_warning] == []


# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────


def test_small_matrix_is_every_combination() -> None:
    asked = (Question("a", "str", ("x", "y"), default="y"), Question("b", "bool", default=False))
    names = [case.name for case in matrix.cases(asked, {"c": 1})]
    assert names == ["defaults", "b=yes", "a=x", "a=x,b=yes"]
    assert matrix.cases(asked, {"c": 1})[0].answers == {"c": 1, "a": "y", "b": False}


def test_large_matrix_has_every_pair_in_few_cases() -> None:
    columns = tuple(tuple(range(size)) for size in (2, 3, 4, 2, 3, 2, 5, 2))
    rows = matrix.pairwise(columns)
    for one in range(len(columns)):
        for other in range(one + 1, len(columns)):
            pairs = {(row[one], row[other]) for row in rows}
            assert len(pairs) == len(columns[one]) * len(columns[other])
    assert rows[0] == (0,) * len(columns)
    assert len(rows) <= 30, "2880 combinations; 20 is the least that is possible"


def test_questions_that_nobody_is_asked_make_no_cases() -> None:
    asked = (
        Question("a", "bool", default=True, when=False),
        Question("b", "str", ("x", "y"), is_secret=True, default="x"),
    )
    assert [case.name for case in matrix.cases(asked, {})] == ["defaults"]


# ── the commands ───────────────────────────────────────────────────────────────────────────────────────


def test_accepted_cases_are_held_and_a_difference_is_named_with_its_choice(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", GOOD)
    assert "Nothing was accepted yet" in scaffold("test", str(folder), code=1)
    scaffold("test", str(folder), "--accept")
    assert "No problem in 8 cases." in scaffold("test", str(folder))
    write(folder, {README: GOOD[README] + "{% if language == 'node' %}new\n{% endif %}"})
    said = scaffold("test", str(folder), "--junit", str(tmp_path / "report.xml"), code=1)
    assert "README.md: This file is another one since it was accepted. [language=node" in said
    suite = ET.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("8", "4")
    scaffold("test", str(folder), "--accept")
    scaffold("test", str(folder))


def test_what_has_not_changed_is_not_rendered_again(tmp_path: Path) -> None:
    template = sources.find(str(repository(tmp_path / "t", GOOD)))
    cases = trial.planned(template)
    assert [made.was_known for made in trial.trials(template, cases)] == [False] * 8
    assert [made.was_known for made in trial.trials(template, cases)] == [True] * 8
    write(template.path, {"tests/cases.yml": "answers: {}\n"})
    assert [made.was_known for made in trial.trials(template, cases)] == [True] * 8
    write(template.path, {README: "other\n"})
    assert [made.was_known for made in trial.trials(template, cases)] == [False] * 8


def test_answers_without_choices_come_from_the_cases_file(tmp_path: Path) -> None:
    needs = {**GOOD, COPIER: GOOD[COPIER] + "owner: {type: str}\n", README: "{{ owner }}\n"}
    folder = repository(tmp_path / "t", needs)
    assert "owner" in scaffold("lint", str(folder), code=1)
    write(folder, {"tests/cases.yml": "answers: {owner: me}\ncases:\n  odd: {project_name: odd}\n"})
    assert "No problem in 9 cases." in scaffold("lint", str(folder))


def test_update_from_each_older_version_is_tried(tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", GOOD, "v1.0.0")
    commit(folder, {README: "new\n"}, "v1.1.0")
    commit(folder, {COPIER: GOOD[COPIER].replace("docs: {", "docs: {help: x, ")})
    found = json.loads(scaffold("test", str(folder), "--accept", "--json"))
    assert (found["cases"], found["ok"]) == (10, True)


def test_template_is_started_tried_and_released(tmp_path: Path, own_folders: Path) -> None:
    base = repository(tmp_path / "base", GOOD, "v1.0.0")
    scaffold("new", "ours", "--from", str(base))
    folder = own_folders / "ours"
    assert (folder / ".github/workflows/template.yml").is_file()
    assert git(folder, "log", "--format=%s") == "Start from the base template"
    scaffold("test", str(folder), "--accept")
    assert "changes that are not committed" in scaffold("release", str(folder), code=2)
    commit(folder, {})
    released = json.loads(scaffold("release", str(folder), "--json", "--bundle", str(tmp_path / "b.bundle")))
    assert released["version"] == "v0.1.0"
    assert git(folder, "describe") == "v0.1.0"
    assert (folder / "CHANGELOG.md").read_text().startswith("# Changelog\n\n## v0.1.0 - ")
    assert sources.parse(str(tmp_path / "b.bundle")).source.kind is sources.Kind.GIT
    with sources.opened(str(tmp_path / "b.bundle")) as template:
        assert template.version == "v0.1.0"


@pytest.mark.parametrize(
    ("change", "version", "reason"),
    [
        ({README: "fixed\n"}, "v1.0.1", "Nothing new is asked"),
        ({"project/new.txt": "x\n"}, "v1.1.0", "Files were added"),
        ({COPIER: GOOD[COPIER] + "more: {type: bool, default: no}\n"}, "v1.1.0", "New question more"),
        ({COPIER: GOOD[COPIER].replace("python, node", "python, node, go")}, "v1.1.0", "language can be go"),
        ({COPIER: GOOD[COPIER].replace("docs:", "pages:")}, "v2.0.0", "The question docs is gone."),
        ({COPIER: GOOD[COPIER] + "owner: {type: str}\n"}, "v2.0.0", "New question owner."),
        ({COPIER: GOOD[COPIER].replace("python, node", "python")}, "v2.0.0", "can no longer be node"),
        ({COPIER: GOOD[COPIER].replace("type: bool", "type: str")}, "v2.0.0", "are of another type: str"),
    ],
)
def test_next_version_follows_from_the_changes(
    tmp_path: Path, change: dict[str, str], version: str, reason: str
) -> None:
    folder = repository(tmp_path / "t", GOOD, "v1.0.0")
    commit(folder, change)
    planned = json.loads(scaffold("release", str(folder), "--dry-run", "--json"))
    assert planned["version"] == version
    assert reason in planned["reason"]
    assert git(folder, "tag") == "v1.0.0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Nothing has changed since v1.0.0."),
        (("--version", "next"), '"next" is no version.'),
        (("--version", "v0.9.0"), "v0.9.0 does not come after v1.0.0."),
    ],
)
def test_wrong_release_is_one_error(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    folder = repository(tmp_path / "t", GOOD, "v1.0.0")
    if arguments:
        commit(folder, {README: "x\n"})
    assert message in scaffold("release", str(folder), *arguments, code=2)


def test_release_of_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t", GOOD)
    assert "is not the top of a git repository" in scaffold("release", str(tmp_path / "t"), code=2)


def test_hash_of_what_is_rendered_is_none_of_the_answers_file(tmp_path: Path) -> None:
    """The answers file names this machine's folder and the version, which are no part of what is held."""
    for place in ("one", "two"):
        write(tmp_path / place / "t", GOOD)
    made = [
        next(iter(trial.trials(template, trial.planned(template)[:1]))).files
        for template in (sources.find(str(tmp_path / place / "t")) for place in ("one", "two"))
    ]
    assert made[0] == made[1]
    assert bundle.tree(tmp_path / "one/t") == bundle.tree(tmp_path / "two/t")


# ── a template of a project ────────────────────────────────────────────────────────────────────────────

PROJECT = {
    "pyproject.toml": '[project]\nname = "web-shop"\n',
    "README.md": "# Web Shop\n\nThe web-shop at http://localhost:8123, not at 81234, no workweb-shops.\n",
    "web_shop/__init__.py": "from web_shop.main import WebShop\n",
    "web_shop/main.py": "class WebShop: ...\n",
    ".env.example": "COMPOSE_PROJECT_NAME=web-shop\nAPP_PORT=8123\nWEB_SHOP_KEY=\n",
    "compose.yaml": "services:\n  app:\n    build: .\n    ports: ['127.0.0.1:${APP_PORT:-8123}:8123']\n",
    "page.html": "<h1>{{ title }}</h1>{% if x %}web-shop{% endif %}\n",
    "mail.jinja": "{{ body }}\n",
    "crlf.txt": "web-shop\r\n",
    "same.txt": "nothing of it\n",
    ".gitignore": ".env\n",
    ".env": "APP_PASSWORD=hunter2\n",
}


def test_project_becomes_a_template_that_makes_it_again(tmp_path: Path, own_folders: Path) -> None:
    project = repository(tmp_path / "web-shop", PROJECT)
    (project / "picture").write_bytes(b"\xff\xfeweb-shop")
    (project / "link").symlink_to("README.md")
    (project / "run.sh").write_text("#!/bin/sh\necho web-shop\n")
    (project / "run.sh").chmod(0o755)
    commit(project, {})
    said = scaffold("new", "ours", "--from-project", str(project))
    assert "project_name, app_port became questions" in said
    assert not list((own_folders / "ours").rglob(".env"))
    new = subprocess.run(
        (SCAFFOLD, "new", "book-store", "--template", "ours", "-d", "app_port=9000"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert new.returncode == 0, new.stderr
    made = own_folders / "book-store"
    assert (made / "book_store/__init__.py").read_text() == "from book_store.main import BookStore\n"
    assert (made / "README.md").read_text() == PROJECT["README.md"].replace("Web Shop", "Book Store").replace(
        "The web-shop", "The book-store"
    ).replace("8123,", "9000,")
    assert (made / "page.html").read_text() == "<h1>{{ title }}</h1>{% if x %}book-store{% endif %}\n"
    assert (made / "mail.jinja").read_text() == "{{ body }}\n"
    assert (made / "crlf.txt").read_bytes() == b"web-shop\r\n"
    assert "BOOK_STORE_KEY" in (made / ".env.example").read_text()
    assert (made / "link").is_symlink()
    assert (made / "run.sh").stat().st_mode & 0o100
    assert (made / "picture").read_bytes() == b"\xff\xfeweb-shop"
    scaffold("test", "ours", "--accept", "--no-updates")


def test_project_without_a_name_of_its_own_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "app", {"a.txt": "app\n"})
    said = scaffold("new", "ours", "--from-project", str(tmp_path / "app"), code=2)
    assert "can become a question" in said
    assert not Path("ours").exists()


def test_generated_project_becomes_a_template(own_folders: Path) -> None:
    subprocess.run((SCAFFOLD, "new", "web-shop", "--defaults"), check=True, capture_output=True)
    scaffold("new", "ours", "--from-project", "web-shop")
    subprocess.run((SCAFFOLD, "new", "book-store", "--template", "ours"), check=True, capture_output=True)
    assert "book-store" in Path("book-store/README.md").read_text()
    assert not [path for path in Path("book-store").rglob("*.py") if "web_shop" in path.read_text()]


# ── projects that boot ─────────────────────────────────────────────────────────────────────────────────

BOOTS = {
    "copier.yml": (
        "_subdirectory: project\nproject_name: {type: str, default: sample}\n"
        "kind: {type: str, default: good, choices: [good, bad, far, files]}\n"
    ),
    "project/.env.example": "COMPOSE_PROJECT_NAME=sample\nAPP_PORT=8700\n",
    "project/{% if kind != 'files' %}compose.yaml{% endif %}.jinja": (
        "services:\n  app:\n    image: python:3.13-slim\n    init: true\n"
        "{% if kind == 'bad' %}    command: [python, -c, 'raise SystemExit(\"no settings\")']\n"
        "{% else %}    command: [python, -m, http.server, '8000']\n{% endif %}"
        "    ports: ['127.0.0.1:${APP_PORT}:8000']\n"
        "    labels: {dev.scaffold.ready: /}\n"
        "    volumes: [/cache, 'data:/data']\n"
        "volumes: {data: {}}\n"
    ),
    "tests/cases.yml": "not_booted:\n- {kind: far}\n",
}


@pytest.mark.engine
def test_projects_are_booted_called_and_destroyed(engine: docker.DockerClient, tmp_path: Path) -> None:
    folder = repository(tmp_path / "t", BOOTS)
    scaffold("test", str(folder), "--accept")
    report = tmp_path / "report.xml"
    done = subprocess.run(
        (SCAFFOLD, "template", "test", str(folder), "--boot", "--no-updates", "--junit", str(report)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "compose.yaml: It does not boot:" in done.stdout
    assert "no settings" in done.stdout
    assert "[kind=bad]" in done.stdout
    assert "1 problem in 6 cases." in done.stdout, "two of four cases are booted, and rendered as all are"
    assert "kind=far: not booted" in done.stderr
    suite = ET.parse(report).getroot()
    cases = {case.get("name"): case.find("failure") is not None for case in suite}
    assert (cases["boot defaults"], cases["boot kind=bad"]) == (False, True)
    assert {"boot kind=far", "boot kind=files"}.isdisjoint(cases)
    left = take_inventory(engine).only(lambda name: name.startswith("boot-"))
    assert (left.containers, left.networks, left.volumes) == (frozenset(),) * 3


@pytest.mark.engine
def test_interrupted_boot_leaves_nothing(engine: docker.DockerClient, tmp_path: Path) -> None:
    path = "project/{% if kind != 'files' %}compose.yaml{% endif %}.jinja"
    slow = BOOTS[path].replace("[python, -m, http.server, '8000']", "[sleep, '600']")
    folder = repository(tmp_path / "t", {**BOOTS, path: slow})
    scaffold("test", str(folder), "--accept")
    process = subprocess.Popen(
        (SCAFFOLD, "template", "test", str(folder), "--boot", "--no-updates"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: any("boot-" in name for name in take_inventory(engine).containers), "a project runs")
    interrupt(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    left = take_inventory(engine).only(lambda name: name.startswith("boot-"))
    assert (left.containers, left.networks, left.volumes) == (frozenset(),) * 3
