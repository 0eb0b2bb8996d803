"""What the stories about other people's APIs need: the command line and what it left behind, as in `tests/stories`."""

import pytest

from tests.stories.conftest import fetcher, output, start

__all__ = ["fetcher", "output", "start"]


@pytest.fixture(params=["generated", "recorded"])
def source(request: pytest.FixtureRequest) -> str:
    """Where an API's data comes from; a test that needs recordings is skipped where there are none."""
    return str(request.param)
