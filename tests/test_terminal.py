"""What a person meets on a real terminal: live progress, questions, logs that are followed, a shell."""

import re
from pathlib import Path

import docker
import pexpect
import pytest

from tests.conftest import take_inventory
from tests.projects import GATED, SCAFFOLD, SERVES, Project, app_of, get, handwritten, surroundings, until

pytestmark = pytest.mark.engine

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
HIDE_CURSOR, SHOW_CURSOR, ERASE = "\x1b[?25l", "\x1b[?25h", "\x1b[J"


@pytest.fixture
def project(tmp_path: Path, project_name: str) -> Project:
    return app_of(tmp_path / project_name, SERVES)


class Screen:
    """One command on a pseudo-terminal."""

    def __init__(self, project: Project, *arguments: str, columns: int = 100) -> None:
        self.child: pexpect.spawn[str] = pexpect.spawn(
            SCAFFOLD,
            list(arguments),
            cwd=project.folder,
            # The pseudo-terminals here do not answer where their cursor is.
            env=surroundings({"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}),
            timeout=60,
            encoding="utf-8",
            dimensions=(40, columns),
        )
        self.raw = ""

    def see(self, pattern: str) -> None:
        self.child.expect(pattern)
        self.raw += f"{self.child.before}{self.child.after}"

    def type(self, text: str) -> None:
        self.child.sendline(text)

    def ctrl_c(self) -> None:
        self.child.sendintr()

    @property
    def hides_its_cursor(self) -> bool:
        return self.raw.rfind(HIDE_CURSOR) > self.raw.rfind(SHOW_CURSOR)

    def end(self, code: int) -> str:
        """Wait for the end, insist on the exit code, and return what was to be read."""
        self.child.expect(pexpect.EOF)
        self.raw += str(self.child.before)
        self.child.close()
        text = ESCAPES.sub("", self.raw)
        assert self.child.exitstatus == code, text
        assert "Traceback" not in text
        assert "bug in scaffold" not in text
        return text


@pytest.fixture
def running(project: Project) -> Project:
    project.scaffold("run")
    return project


def state(engine: docker.DockerClient, project: Project) -> str:
    found: str = engine.api.inspect_container(project.container("app"))["State"]["Status"]
    return found


def test_steps_are_redrawn_while_they_happen_and_the_summary_stays(tmp_path: Path, project_name: str) -> None:
    project = app_of(tmp_path / project_name, GATED)
    screen = Screen(project, "run")
    screen.see("wait until app is ready")
    (project.folder / "gate" / "open").touch()
    text = screen.end(0)
    assert ERASE in screen.raw, "nothing was redrawn"
    assert not screen.hides_its_cursor
    assert f"✓ {project.name} is ready" in text
    for said in (project.url, "scaffold logs -f", "scaffold stop", "scaffold down"):
        assert said in text


def test_no_color_is_respected(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen(project, "run")
    screen.end(0)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screen.raw)


def test_ctrl_c_while_waiting_gives_the_cursor_back(
    engine: docker.DockerClient, tmp_path: Path, project_name: str
) -> None:
    project = app_of(tmp_path / project_name, GATED)
    screen = Screen(project, "run")
    until(project.env_file.exists, ".env is there")
    until(lambda: f"/{project.container('app')}" in names(engine), "the app's container")
    until(lambda: state(engine, project) == "running", "the app runs")
    screen.ctrl_c()
    text = screen.end(130)
    assert "Interrupted. Now there:" in text
    assert not screen.hides_its_cursor
    (project.folder / "gate" / "open").touch()
    project.scaffold("run")


def names(engine: docker.DockerClient) -> set[str]:
    return {item["Names"][0] for item in engine.api.containers(all=True)}


def test_attached_run_shows_the_logs_and_ctrl_c_stops_the_app(
    engine: docker.DockerClient, project: Project
) -> None:
    screen = Screen(project, "run", "--attach")
    screen.see("Ctrl-C stops")
    screen.see("version 1")
    assert get(project.url) == (200, "1")
    screen.ctrl_c()
    text = screen.end(130)
    assert "`scaffold run` starts it again" in text.replace("\n", " ")
    assert state(engine, project) == "exited"


def test_attached_run_ends_when_its_app_does(engine: docker.DockerClient, project: Project) -> None:
    screen = Screen(project, "run", "--attach")
    screen.see("version 1")
    engine.api.kill(project.container("app"))
    assert "has ended" in screen.end(1)


def test_followed_logs_end_with_ctrl_c_and_leave_the_app_alone(
    engine: docker.DockerClient, running: Project
) -> None:
    screen = Screen(running, "logs", "--follow")
    screen.see("version 1")
    get(running.url)
    screen.see("GET / HTTP")
    screen.ctrl_c()
    screen.end(130)
    assert state(engine, running) == "running"


def test_destroy_shows_what_goes_and_asks_for_the_name(engine: docker.DockerClient, running: Project) -> None:
    screen = Screen(running, "destroy")
    screen.see(f"Type {running.name} to go on")
    screen.type(running.name)
    text = screen.end(0)
    assert f"remove container {running.container('app')}: the project is destroyed" in " ".join(text.split())
    assert "[recreate]" not in text
    assert "?" not in text.replace("? This deletes", "")
    left = take_inventory(engine).only(lambda name: running.name in name)
    assert (left.containers, left.networks) == (frozenset(), frozenset())


def test_destroy_does_nothing_for_another_name(engine: docker.DockerClient, running: Project) -> None:
    screen = Screen(running, "destroy")
    screen.see("to go on")
    screen.type("yes")
    assert "nothing was" in screen.end(1)
    assert state(engine, running) == "running"


def test_ctrl_c_at_the_question_destroys_nothing(engine: docker.DockerClient, running: Project) -> None:
    screen = Screen(running, "destroy")
    screen.see("to go on")
    screen.ctrl_c()
    screen.end(130)
    assert state(engine, running) == "running"


def test_destroy_without_a_terminal_names_the_option(engine: docker.DockerClient, running: Project) -> None:
    done = running.scaffold("destroy", code=2)
    assert f"--yes-delete-data {running.name}" in " ".join(done.err.split())
    assert state(engine, running) == "running"


def test_shell_has_a_terminal_and_passes_its_exit_code(running: Project) -> None:
    screen = Screen(running, "shell")
    screen.see(r"[#$] ")
    screen.type("tty; stty size")
    screen.see("/dev/pts/")
    screen.see("40 100")
    screen.type("exit 3")
    screen.end(3)


def test_ctrl_c_inside_the_shell_is_for_what_runs_in_it(running: Project) -> None:
    screen = Screen(running, "shell")
    screen.see(r"[#$] ")
    screen.type("sh -c 'echo sleeps; exec sleep 300'")  # one process: Ctrl-C cannot fall between two
    screen.see("sleeps\r\n")
    screen.ctrl_c()
    screen.see(r"[#$] ")  # a terminal forgets at Ctrl-C what was typed and not read yet
    screen.type("echo code $?")
    screen.see("code 130")
    screen.type("exit 0")
    screen.end(0)


def test_db_opens_a_prompt_that_is_logged_in(tmp_path: Path, project_name: str) -> None:
    compose = (
        "services:\n  db:\n    image: postgres:18\n"
        "    environment: {POSTGRES_USER: app, POSTGRES_PASSWORD: '${DB_PASSWORD:?}'}\n"
    )
    project = handwritten(tmp_path / project_name, compose, "DB_PASSWORD=\n")
    project.scaffold("run")
    screen = Screen(project, "db")
    screen.see("app=# ")
    screen.type("select 40 + 2 as answer;")
    screen.see("42")
    screen.type(r"\q")
    screen.end(0)


def test_failed_build_shows_its_output_below_the_steps(tmp_path: Path, project_name: str) -> None:
    project = handwritten(tmp_path / project_name, "services:\n  app: {build: .}\n")
    (project.folder / "Dockerfile").write_text("FROM python:3.13-slim\nRUN echo no such wheel; exit 7\n")
    text = Screen(project, "run").end(1)
    assert "no such wheel" in text
    assert text.count("error:") == 1
