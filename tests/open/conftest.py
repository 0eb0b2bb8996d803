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


@pytest.fixture
def annotating(tmp_path: Path):
    """The same for a job whose annotator asks the API; its service, or its model, is the first annotator."""

    def arguments(name: str, api: Emulator, *overrides: str) -> list[str]:
        path = ROOT / "configs" / f"{name}.toml"
        asks = "annotate.0.model" if "[annotate.model]" in path.read_text() else "annotate.0.service"
        version = "/v1" if asks.endswith("model") else ""
        told = [
            f'{asks}.base_url="{api.url}{version}"',
            f"write.folder='{tmp_path / 'out'}'",
            f'{asks}.retries.first_wait="10 ms"',
            *overrides,
        ]
        return ["run", str(path), *sets(*told)]

    return arguments
