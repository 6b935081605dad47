"""A flag that a signal's handler raises, in the midst of whatever the main thread does with it."""

import subprocess
import sys
import threading

from scaffold.interrupt import Flag

# The handler comes some thousand times, most of them while the main thread is inside `wait`.
STORM = """
import signal, sys, threading
from scaffold.interrupt import Flag
make = {"flag": Flag, "event": threading.Event}[sys.argv[1]]
raised = 0
flag = make()
def handle(number, frame):
    global raised
    raised += 1
    flag.set()
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
while raised < 5000:
    flag = make()
    for _ in range(20):
        flag.wait(0.00001)
signal.setitimer(signal.ITIMER_REAL, 0)
print(raised >= 5000)
"""


def _storm(kind: str, patience: float) -> str:
    command = (sys.executable, "-c", STORM, kind)
    return subprocess.run(command, capture_output=True, text=True, timeout=patience, check=True).stdout


def test_flag_may_be_raised_by_a_handler_at_any_moment() -> None:
    assert _storm("flag", 60).strip() == "True"


def test_flag_wakes_everybody_who_waits() -> None:
    flag = Flag()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(30))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert not flag.wait(0.01)
    flag.set()
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 5
    assert flag.wait(0)
    assert flag.is_set()
