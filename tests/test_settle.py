"""Which signal a container is stopped with: a number of the engine's kernel, whatever machine asks."""

import signal
import sys

import pytest

from scaffold.engine.settle import _signal


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (None, 15),
        ("SIGINT", 2),
        ("quit", 3),
        ("10", 10),
        ("SIGUSR1", 10),
        ("SIGRTMIN+3", 37),
        ("²", 15),
        ("SIGNONE", 15),
    ],
)
def test_signal_has_the_number_that_linux_gives_it(name: object, number: int) -> None:
    assert _signal(name) == number


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of this kernel are not the engine's")
def test_every_signal_of_this_kernel_is_known() -> None:
    named = {each.name: int(each) for each in signal.Signals}
    assert {name: _signal(name) for name in named} == named
