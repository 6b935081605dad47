"""Every fault of the bench: `scaffold run` names its cause, and doing what the hint says mends it."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import docker
import pytest

from tests.conftest import RUN
from tests.faults import FAULTS, Outcome
from tests.faults.bench import WORKERS, safely

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def outcomes(
    engine: docker.DockerClient, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Outcome]]]:
    """What came of each fault: several are examined at once, since most of it is waiting."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = [str(item.callspec.params["name"]) for item in items if item.originalname == _TEST]
    with ThreadPoolExecutor(WORKERS) as pool:
        yield {name: pool.submit(safely, FAULTS[name], RUN) for name in wanted}


_TEST = "test_verdict_names_the_cause_and_its_hint_mends_it"


@pytest.mark.parametrize("name", list(FAULTS))
def test_verdict_names_the_cause_and_its_hint_mends_it(
    name: str, outcomes: dict[str, Future[Outcome]]
) -> None:
    outcome = outcomes[name].result()
    assert not outcome.trouble, f"{outcome.trouble}\n{outcome.verdict}"
    assert outcome.named
    assert outcome.mended
