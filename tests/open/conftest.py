"""What the stories about other people's APIs need: the command line and what it left behind, as in `tests/stories`."""

from pathlib import Path

import pytest

from tests.open.serving import ROOT, Emulator
from tests.stories.conftest import fetcher, output, serve, start
from tests.stories.feeds import sets

__all__ = ["fetcher", "output", "serve", "start"]


@pytest.fixture(params=["generated", "recorded"])
def source(request: pytest.FixtureRequest) -> str:
    """Where an API's data comes from; a test that needs recordings is skipped where there are none."""
    return str(request.param)


@pytest.fixture
def job(tmp_path: Path):
    """`job("crossref_works", api, ...)`: the arguments that run a job of `configs/` against an emulated API, into
    `tmp_path / "out"`; further `KEY=VALUE` win."""

    def arguments(name: str, api: Emulator, *overrides: str) -> list[str]:
        told = [
            f'fetch.base_url="{api.url}"',
            f"write.folder='{tmp_path / 'out'}'",
            'fetch.retries.first_wait="10 ms"',
            *overrides,
        ]
        return ["run", str(ROOT / "configs" / f"{name}.toml"), *sets(*told)]

    return arguments
