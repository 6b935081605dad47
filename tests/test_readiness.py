"""What `ready` means: somebody asked, and was answered. What was only looked at is looked at once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import handwritten

pytestmark = pytest.mark.engine

FALLING = """\
services:
  worker:
    image: debian:trixie-slim
    command: [sh, -c, "sleep 0.3; echo no queue >&2; exit 3"]
  db:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    healthcheck:
      test: [CMD-SHELL, "test -e /up || { sleep 1; touch /up; false; }"]
      interval: 1s
      retries: 9
"""
DOING = """\
services:
  seed:
    image: debian:trixie-slim
    command: [sh, -c, "exit 0"]
  steady:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
"""
WAITING = """\
services:
  app:
    image: debian:trixie-slim
    command: [sleep, infinity]
    init: true
    depends_on: {behind: {condition: service_healthy}}
  behind:
    build: .
    command: [sleep, infinity]
    init: true
"""
CHECKED = "FROM debian:trixie-slim\nHEALTHCHECK --interval=1s --retries=2 CMD %s\n"


def test_program_that_dies_meanwhile_is_no_success(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, FALLING)
    done = project.scaffold("run", code=1)
    assert "worker exited with code 3" in done.err, done
    assert "no queue" in done.err, done
    assert "worker ready" not in done.err, done
    assert "worker exited (3)" in project.scaffold("status").out


def test_program_that_comes_to_its_end_is_done_each_time(project_name: str, tmp_path: Path) -> None:
    project = handwritten(tmp_path / project_name, DOING)
    done = project.scaffold("run")
    assert "steady running" in done.err, done
    # The end of a program that has just begun is seen or not, so one look of five has to see it.
    again = [project.scaffold("run").err for _ in range(5)]
    assert not any("seed ready" in said for said in again), again
    assert any("seed done (exit code 0)" in said for said in again), again


def test_health_check_that_only_the_image_has_counts(project_name: str, tmp_path: Path) -> None:
    files = {"Dockerfile": CHECKED % "false"}
    project = handwritten(tmp_path / project_name, WAITING, files=files)
    done = project.scaffold("run", code=1)
    assert "behind is unhealthy" in done.err, done
    (project.folder / "Dockerfile").write_text(CHECKED % "true")
    project.scaffold("run")
    (project.folder / "Dockerfile").write_text("FROM debian:trixie-slim\n")
    done = project.scaffold("run", code=2)
    assert "`service_healthy` needs a health check" in done.err, done
