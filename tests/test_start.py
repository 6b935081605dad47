"""The first moments of the command, before it knows what it is asked for."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.projects import SCAFFOLD


def test_ctrl_c_during_the_imports_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        (SCAFFOLD, "--version"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "error: Interrupted.\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_stream_is_one_that_nobody_reads(closed: str) -> None:
    done = subprocess.run(
        ("sh", "-c", f'"$0" new --pretend no.name {closed}', SCAFFOLD),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert ("error: " in done.stderr) is (closed != "2>&-")
    assert "bug" not in done.stderr
