"""Boot what the cases of a template make: each as a project of its own, run, called and destroyed.

The program runs itself for it, as a person would. Names, ports and state are of the trial's own: no project
of the person's is touched, and nothing of a trial stays on the engine.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scaffold.errors import ScaffoldError
from scaffold.generate import destination, project, questions
from scaffold.generate.author.matrix import Case
from scaffold.generate.author.problem import Problem
from scaffold.generate.render import Answers
from scaffold.generate.sources import Template
from scaffold.project.checkout import COMPOSE_FILES

AT_ONCE = 2
_FOLDER = "sample-project"
_PATIENCE = 10.0  # seconds for an answer; what has no health check may still be starting


@dataclass(frozen=True)
class Boot:
    """How one case went; `left_out` says why it was not tried."""

    case: Case
    problems: tuple[Problem, ...]
    seconds: float
    left_out: bool = False


@dataclass(frozen=True)
class _Programs:
    """What runs now: at Ctrl-C each is asked to end once, and what it has made is still removed."""

    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        with self.guard:
            self.ended.set()
            for process in self.running:
                process.send_signal(signal.SIGINT)


def boots(
    template: Template, cases: Sequence[Case], without: Sequence[Mapping[str, object]] = ()
) -> Generator[Boot]:
    """Boot each case, two at a time; those with all the answers of one of `without` are left out."""
    programs = _Programs()
    # What a container has written into the project may belong to root.
    with tempfile.TemporaryDirectory(prefix="scaffold-boot-", ignore_cleanup_errors=True) as scratch:
        # Rendering makes processes, which does not go with threads.
        made = [_made(template, Path(scratch), programs, without, case) for case in cases]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                yield from pool.map(_boot, made)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                programs.end()
                raise


def _made(
    template: Template,
    scratch: Path,
    programs: _Programs,
    without: Sequence[Mapping[str, object]],
    case: Case,
) -> _Trial | Boot:
    started = time.monotonic()
    name = f"boot-{secrets.token_hex(5)}"
    folder = scratch / name / _FOLDER
    folder.parent.mkdir()
    asked = {question.name for question in questions.read(template)}
    given = {key: value for key, value in case.answers.items() if key in asked}
    try:
        made = project.create(
            template, destination.check(str(folder)), Answers(given, reused=frozenset(given)), git=False
        )
    except ScaffoldError as error:
        return Boot(case, (Problem("copier.yml", 0, error.message, case.name),), time.monotonic() - started)
    answers = made.rendered.answers
    file = next((file for file in COMPOSE_FILES if file in made.rendered.files), None)
    if file is None or any(one.items() <= answers.items() for one in without):
        return Boot(case, (), 0, left_out=True)
    return _Trial(case, file, folder, name, scratch / "state", programs)


def _boot(made: _Trial | Boot) -> Boot:
    if isinstance(made, Boot):
        return made
    started = time.monotonic()
    # The same fault of two cases has the same words.
    said = [text.replace(made.name, _FOLDER) for text in _tried(made)]
    problems = tuple(Problem(made.file, 0, text, made.case.name) for text in said)
    return Boot(made.case, problems, time.monotonic() - started)


@dataclass(frozen=True)
class _Trial:
    """One project that is booted."""

    case: Case
    file: str
    folder: Path
    name: str
    state: Path
    programs: _Programs

    def scaffold(self, *arguments: str, always: bool = False) -> dict[str, Any]:
        """Run a command of this program for the project; what it could not do is a ScaffoldError."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        environment |= {"COMPOSE_PROJECT_NAME": self.name, "XDG_STATE_HOME": str(self.state)}
        environment.pop("SCAFFOLD_DEBUG", None)
        with self.programs.guard:
            if self.programs.ended.is_set() and not always:
                raise ScaffoldError("Interrupted.")
            # Not in the project: Python would look for its modules there. Ctrl-C is passed on by `end`.
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", "scaffold", *arguments, "-C", str(self.folder), "--json"),
                cwd=self.folder.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            if not always:
                self.programs.running.add(process)
        try:
            out, err = process.communicate()
        finally:
            with self.programs.guard:
                self.programs.running.discard(process)
        try:
            document = json.loads(out)
        except ValueError:
            document = {}
        if process.returncode == 0:
            return dict(document)
        error = document.get("error") or {"message": err.decode(errors="replace").strip()}
        said = str(error["message"])
        shown = (str(line) for line in error.get("evidence") or ())
        raise ScaffoldError(" ".join((said, *(line for line in shown if line not in said))))


def _tried(trial: _Trial) -> list[str]:
    """What is wrong with a project once it is run; whatever happens, it is removed from the engine."""
    found = []
    try:
        url = trial.scaffold("run").get("url")
        if url and (said := _called(str(url))):
            found.append(said)
    except ScaffoldError as error:
        found.append(f"It does not boot: {error.message}")
    finally:
        try:
            _removed(trial)
        except ScaffoldError as error:
            way = f"`scaffold clean {trial.name}` removes what is left."
            found.append(f"It could not be removed: {error.message} {way}")
    return found


def _removed(trial: _Trial) -> None:
    from scaffold.engine import observe
    from scaffold.engine.client import Engine

    with Engine() as engine:
        there = observe.containers(engine, trial.name)
        # `destroy` leaves what has no name; of a project that was just made, it is nobody's data.
        nameless = [volume for container in there for volume, _ in container.anonymous]
        trial.scaffold("destroy", "--yes-delete-data", trial.name, always=True)
        for volume in nameless:
            engine.delete(f"/volumes/{volume}")


def _called(url: str) -> str | None:
    """What is wrong with the answer at a URL; a path that tells of readiness `run` has asked already."""
    deadline = time.monotonic() + _PATIENCE
    parts = urlsplit(url)
    while (status := _status(parts.hostname or "", parts.port or 80)) is None:
        if time.monotonic() > deadline:
            return "It runs, but nothing answers at its address."
        time.sleep(0.2)
    return f"GET / answers {status}." if status >= 500 else None


def _status(host: str, port: int) -> int | None:
    """The status of an answer, 0 of one that is not HTTP, None without any."""
    with closing(http.client.HTTPConnection(host, port, timeout=_PATIENCE)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except (OSError, http.client.RemoteDisconnected):
            return None
        except http.client.HTTPException:
            return 0
