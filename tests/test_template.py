"""The bundled backend template, rendered by plain copier: what every generated project must hold."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from docker.utils import exclude_paths

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "backend"
TOOLS = Path(sys.executable).parent
LANGUAGES = ("python", "node")
BAD_NAMES = (
    "",
    "a",
    "A",
    "..",
    "a b",
    "a--b",
    "a-",
    "9a",
    "é",
    "a\n",
    "x" * 41,
    "test",
    "app",
    "node",
    "nul",
)
BAD_DESCRIPTIONS = ("", " ", "a\nb", 'say "hi"', "$HOME", "`id`", "back\\slash", "x" * 121)
PASSWORDS = {"postgres": "POSTGRES_PASSWORD", "mongo": "MONGO_INITDB_ROOT_PASSWORD"}


@dataclass(frozen=True)
class Database:
    kind: str
    location: str = "container"
    version: str = ""

    @property
    def in_container(self) -> bool:
        return self.kind != "none" and self.location == "container"

    def __str__(self) -> str:
        return "-".join(filter(None, (self.kind, self.version, self.location)))


DATABASES = (
    Database("postgres", version="18"),
    Database("postgres", version="17"),
    Database("postgres", "external", "18"),
    Database("mongo", version="8"),
    Database("mongo", "external", "8"),
    Database("none"),
)


@dataclass(frozen=True)
class Combination:
    language: str
    database: Database
    extras: bool

    @property
    def answers(self) -> dict[str, object]:
        answers: dict[str, object] = {
            "project_name": "corner-shop",
            "description": "Sells what's in the shed: nails & <b>more</b> #1",
            "language": self.language,
            "database": self.database.kind,
            "devcontainer": self.extras,
            "github_actions": self.extras,
        }
        if self.database.kind != "none":
            answers["database_location"] = self.database.location
            answers["database_version"] = self.database.version
        return answers

    def __str__(self) -> str:
        return f"{self.language}-{self.database}{'-extras' if self.extras else ''}"


COMBINATIONS = (
    *(Combination(language, database, extras=True) for language in LANGUAGES for database in DATABASES),
    *(Combination(language, DATABASES[0], extras=False) for language in LANGUAGES),
)


@dataclass(frozen=True)
class Rendered:
    combination: Combination
    root: Path

    def text(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def yaml(self, name: str) -> dict[str, Any]:
        document = yaml.safe_load(self.text(name))
        assert isinstance(document, dict)
        return document

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        services: dict[str, dict[str, Any]] = self.yaml("compose.yaml")["services"]
        return services

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()))

    @property
    def example(self) -> dict[str, str]:
        lines = self.text(".env.example").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module", params=COMBINATIONS, ids=str)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    combination: Combination = request.param
    root = tmp_path_factory.mktemp("rendered") / "corner-shop"
    copier.run_copy(
        str(TEMPLATE), root, data=combination.answers, defaults=True, quiet=True, settings=copier.Settings()
    )
    return Rendered(combination, root)


def run(*command: str | Path, cwd: Path) -> str:
    """Return what a command printed; fail with it unless it succeeded."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_of_the_template_language_is_left(rendered: Rendered) -> None:
    # A space follows the braces of our templates only: docker's --format has none, GitHub's have a $ before.
    left = re.compile(r"{%|%}|{#|(?<!\$){{ ")
    assert [name for name in rendered.files if left.search(rendered.text(name))] == []


def test_text_is_tidy(rendered: Rendered) -> None:
    untidy = re.compile(r"\A\n|\n\n\n\n|[ \t]\n|\n\n\Z|[^\n]\Z")
    assert [name for name in rendered.files if untidy.search(rendered.text(name))] == []


def test_no_file_of_the_other_language(rendered: Rendered) -> None:
    suffixes = {Path(name).suffix for name in rendered.files}
    ours, theirs = (".py", ".ts") if rendered.combination.language == "python" else (".ts", ".py")
    assert ours in suffixes
    assert theirs not in suffixes


def test_extras_are_there_when_asked_for(rendered: Rendered) -> None:
    folders = {Path(name).parts[0] for name in rendered.files}
    assert ({".github", ".devcontainer"} <= folders) is rendered.combination.extras


def test_services_match_the_database(rendered: Rendered) -> None:
    database = rendered.combination.database
    expected = {"app", "test"}
    expected |= {"db"} if database.in_container else set()
    expected |= {"migrate"} if database.kind == "postgres" else set()
    assert set(rendered.services) == expected
    volumes = {"db-data": None} if database.in_container else None
    assert rendered.yaml("compose.yaml").get("volumes") == volumes


def test_data_is_where_this_major_version_keeps_it(rendered: Rendered) -> None:
    database = rendered.combination.database
    if not database.in_container:
        pytest.skip("no database in a container")
    paths = {
        ("postgres", "17"): "/var/lib/postgresql/data",
        ("postgres", "18"): "/var/lib/postgresql",
        ("mongo", "8"): "/data/db",
    }
    path = paths[database.kind, database.version]
    assert rendered.services["db"]["volumes"] == [f"db-data:{path}"]
    assert f"source=$volume,target={path}" in rendered.text("run.sh")


def test_every_service_is_locked_down(rendered: Rendered) -> None:
    for service in rendered.services.values():
        assert service["init"]
        assert service["read_only"]
        assert "/tmp" in service["tmpfs"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]


def test_ports_are_published_on_this_machine_only(rendered: Rendered) -> None:
    ports = [port for service in rendered.services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_run_script_asks_for_health_as_compose_does(rendered: Rendered) -> None:
    script = rendered.text("run.sh").replace("\\", "")
    for service in rendered.services.values():
        if "healthcheck" in service:
            assert service["healthcheck"]["test"].replace("$$", "$") in script


def test_tests_start_only_when_asked_for(rendered: Rendered) -> None:
    assert rendered.services["test"]["profiles"] == ["test"]


def test_every_variable_of_compose_is_in_the_example(rendered: Rendered) -> None:
    used = set(re.findall(r"\${([A-Z_]+)", rendered.text("compose.yaml")))
    documented = set(re.findall(r"^#?([A-Z_]+)=", rendered.text(".env.example"), re.MULTILINE))
    of_the_machine = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    assert used - of_the_machine == documented


def test_example_holds_no_secret(rendered: Rendered) -> None:
    database = rendered.combination.database
    empty = {name for name, value in rendered.example.items() if not value}
    if database.kind == "none":
        assert empty == set()
    elif database.in_container:
        assert empty == {PASSWORDS[database.kind]}
    else:
        assert empty == {"DATABASE_URL"}
    assert rendered.example["COMPOSE_PROJECT_NAME"] == "corner-shop"
    assert rendered.example["APP_PORT"] == "8000"


def test_run_script_writes_settings_once(rendered: Rendered) -> None:
    settings = rendered.root / ".env"
    try:
        run("./run.sh", "env", cwd=rendered.root)
        first = settings.read_text()
        run("./run.sh", "env", cwd=rendered.root)
        assert settings.read_text() == first
        assert settings.stat().st_mode & 0o777 == 0o600
    finally:
        settings.unlink()
    example = rendered.text(".env.example")
    assert re.search(r"^COMPOSE_PROJECT_NAME=corner-shop-[0-9a-f]{8}$", first, re.MULTILINE)
    assert not re.search(r"^[A-Z]+_PASSWORD=$", first, re.MULTILINE)
    assert [line for line in first.splitlines() if line.startswith("#")] == [
        line for line in example.splitlines() if line.startswith("#")
    ]


def test_run_script_is_clean(rendered: Rendered) -> None:
    assert (rendered.root / "run.sh").stat().st_mode & 0o111
    run(TOOLS / "shellcheck", "run.sh", cwd=rendered.root)


def test_dockerfile_is_clean(rendered: Rendered) -> None:
    run(TOOLS / "hadolint", "Dockerfile", cwd=rendered.root)
    text = rendered.text("Dockerfile")
    assert "# syntax=" not in text
    assert "curl" not in text
    assert not re.search(r"^COPY (--\S+ )*\.\s", text, re.MULTILINE)
    assert re.findall(r"^USER (.*)", text, re.MULTILINE)[-1] == "1000:1000"
    command = json.loads(re.findall(r"^CMD (.*)", text, re.MULTILINE)[-1])
    assert command[0] == rendered.combination.language


def test_secrets_stay_out_of_the_build_context(rendered: Rendered, tmp_path: Path) -> None:
    kept = (".env.example", "Dockerfile-notes", "app/main.py", "src/main.ts", "tests/test_items.py")
    secret = (".env", ".env.local", "app/.env", "server.pem", "certs/server.key", ".git/config")
    needless = ("node_modules/a/b.js", ".venv/bin/python", "app/__pycache__/main.pyc", "README.md")
    for name in (*kept, *secret, *needless):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    patterns = [line for line in rendered.text(".dockerignore").splitlines() if line and line[0] != "#"]
    sent = {name for name in exclude_paths(str(tmp_path), patterns) if (tmp_path / name).is_file()}
    assert sent - {"Dockerfile"} == set(kept)  # docker itself always gets the Dockerfile


def test_locks_hold_hashes_and_no_registry(rendered: Rendered) -> None:
    if rendered.combination.language == "node":
        packages: dict[str, dict[str, Any]] = json.loads(rendered.text("package-lock.json"))["packages"]
        assert all(package.get("integrity") for path, package in packages.items() if path)
        assert not any("resolved" in package for package in packages.values())
        return
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in rendered.text(name)
        pinned = re.split(r"^(?=\S)", rendered.text(name), flags=re.MULTILINE)[1:]
        assert pinned
        assert all("==" in block and "--hash=sha256:" in block for block in pinned)


def test_generated_python_is_clean(rendered: Rendered) -> None:
    if rendered.combination.language == "node":
        pytest.skip("not Python")
    run(TOOLS / "ruff", "check", "--no-cache", cwd=rendered.root)
    run(TOOLS / "ruff", "format", "--no-cache", "--check", cwd=rendered.root)


def test_actions_are_pinned_and_read_only(rendered: Rendered) -> None:
    if not rendered.combination.extras:
        pytest.skip("no workflow")
    workflow = rendered.yaml(".github/workflows/ci.yml")
    uses = re.findall(r"uses: (\S+)(.*)", rendered.text(".github/workflows/ci.yml"))
    assert workflow["permissions"] == {"contents": "read"}
    assert uses
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40}", action) and "# v" in version for action, version in uses)


def test_development_container_reaches_the_same_database(rendered: Rendered) -> None:
    if not rendered.combination.extras:
        pytest.skip("no development container")
    settings = json.loads(rendered.text(".devcontainer/devcontainer.json"))
    dev = rendered.yaml(".devcontainer/compose.yaml")["services"][settings["service"]]
    app = rendered.services["app"]["environment"].get("DATABASE_URL")
    assert dev.get("environment", {}).get("DATABASE_URL") == (app and re.sub(r":\?[^}]*}", "}", app))


def test_answers_are_recorded(rendered: Rendered) -> None:
    recorded = rendered.yaml(".copier-answers.yml")
    assert rendered.combination.answers.items() <= recorded.items()


def test_every_file_of_the_template_is_used(tmp_path: Path) -> None:
    used = set()
    for number, (language, database) in enumerate(itertools.product(LANGUAGES, DATABASES)):
        root = tmp_path / str(number)
        answers = Combination(language, database, extras=True).answers
        copier.run_copy(
            str(TEMPLATE), root, data=answers, defaults=True, quiet=True, settings=copier.Settings()
        )
        used |= {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    project = TEMPLATE / "project"
    sources = (path for path in project.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {str(path.relative_to(project)).removesuffix(".jinja") for path in sources} == used


@pytest.mark.parametrize(
    ("question", "value"),
    [
        *(("project_name", name) for name in BAD_NAMES),
        *(("description", text) for text in BAD_DESCRIPTIONS),
        *(("app_port", port) for port in (0, 80, 65536)),
        ("language", "cobol"),
        ("database_version", "8"),
    ],
)
def test_wrong_answer_is_refused(tmp_path: Path, question: str, value: object) -> None:
    with pytest.raises(ValueError, match=question):
        copier.run_copy(
            str(TEMPLATE),
            tmp_path / "project",
            data={question: value},
            defaults=True,
            quiet=True,
            settings=copier.Settings(),
        )
    assert not (tmp_path / "project").exists()
