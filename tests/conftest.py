"""What every test shares: how Hypothesis behaves here, and a state of the user's that is no user's."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from tests.stories.programs import Programs, serving_programs

# A busy machine is slow, not wrong: no test may fail for the seconds it took.
settings.register_profile("unhurried", deadline=None, print_blob=True, max_examples=60)
# A mutant has to be found, always by the same examples; the smallest example of it is of no use.
settings.register_profile(
    "mutants",
    settings.get_profile("unhurried"),
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def own_user_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test knows of another's waits and starts, nor does any touch those of who runs the tests."""
    monkeypatch.setenv("FETCHER_STATE", str(tmp_path_factory.getbasetemp() / "user-state" / os.urandom(8).hex()))


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Starts the command line, and what else is a program, without the time of its imports."""
    with serving_programs() as programs:
        yield programs
