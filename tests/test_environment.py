"""What .env says: read as Compose reads it, and written so that Compose reads back what was meant."""

import json
import subprocess
from pathlib import Path

import pytest

from scaffold.engine import plugins
from scaffold.stack import environment

READ = {
    "x # c": "x",
    "x  #c": "x",
    "x#y": "x#y",
    "# c": "# c",
    " sp aced  ": "sp aced",
    "'x' # c": "x",
    '"x # y" # c': "x # y",
    r"'a$b#c \n \ d'": r"a$b#c \n \ d",
    r'"a\$b\"c\\d\te"': 'a$b"c\\d\te',
    r"'it\'s'": "it's",
    "a'b": "a'b",
}
VALUES = (
    "",
    "plain-1",
    "a$b",
    "a #b",
    "#",
    "it's $5",
    'say "x"',
    "end\\",
    "a\\'$\\\\",
    "two\nlines",
    " x ",
    "ü&;",
)


def by_compose(folder: Path, lines: list[str]) -> list[str]:
    """What Compose makes of the values of a .env file."""
    (folder / ".env").write_text("".join(f"V{index}={line}\n" for index, line in enumerate(lines)))
    (folder / "compose.yaml").write_text("services: {app: {image: x, env_file: .env}}\n")
    done = subprocess.run(
        [*plugins.command("compose"), "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)["services"]["app"]["environment"]
    return [found[f"V{index}"].replace("$$", "$") for index in range(len(lines))]


@pytest.mark.engine
def test_values_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    assert [environment.parse(f"A={text}")["A"] for text in READ] == list(READ.values())
    assert by_compose(tmp_path, list(READ)) == list(READ.values())


def fill(example: str, **kept: str) -> str:
    choices = environment.Choices(port=lambda wanted: wanted + 1, secret=lambda _: "made")
    return environment.fill(f"COMPOSE_PROJECT_NAME=p\n{example}", "/p", "p", choices, kept).split("\n", 1)[1]


@pytest.mark.engine
def test_kept_values_are_read_back_unchanged(tmp_path: Path) -> None:
    written = [fill("A=\n", A=value).removeprefix("A=").removesuffix("\n") for value in VALUES]
    assert [environment.parse(f"A={text}")["A"] for text in written] == list(VALUES)
    assert by_compose(tmp_path, written) == list(VALUES)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("APP_PORT=8000 # the app", "APP_PORT=8001"),
        ("A='x $y' # as it is", "A='x $y' # as it is"),
        ("DB_PASSWORD=''", "DB_PASSWORD=made"),
    ],
)
def test_line_of_the_example_counts_without_quotes_and_comment(line: str, expected: str) -> None:
    assert fill(line) == f"{expected}\n"
