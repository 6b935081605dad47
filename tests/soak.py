"""What `make test` leaves to `make soak`: of a long matrix, what another case of the same kind holds too."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

SOAK = os.environ.get("SCAFFOLD_SOAK") == "1"
"""Whether to take all the time that there is."""

left_to_the_soak = pytest.mark.skipif(not SOAK, reason="left to the soak: SCAFFOLD_SOAK=1")


def sample(cases: Iterable[Any], wanted: Collection[Any]) -> list[ParameterSet]:
    """Return the cases as parameters, of which `make test` takes the wanted ones; a case may be a tuple."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if case in wanted else left_to_the_soak,
        )
        for case in cases
    ]
