"""The real program, its kernel calls failing one by one."""

import shutil
from pathlib import Path

import pytest

from tests.stories.syscalls import CALLS, HARMS, Harm, call_counts, fault_after, make_job

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

PLACES = {"pwrite64": (0.1, 0.4, 0.7), "fdatasync": (0.3, 0.8), "fsync": (0.2, 0.6)}
"""How far into a run the calls lie that are harmed here; scripts/chaos --syscalls harms all of them."""


@pytest.fixture(scope="module")
def job(tmp_path_factory, serve_module):
    return make_job(tmp_path_factory.mktemp("small"), serve_module("--limit", "none", "--no-faults").url)


@pytest.fixture(scope="module")
def counts(job):
    counts = call_counts(job)
    assert all(counts.values()), f"a call is never made, so harming it shows nothing: {counts}"
    return counts


@pytest.mark.parametrize("what", HARMS)
@pytest.mark.parametrize("call", CALLS)
def test_a_run_whose_system_calls_fail_is_resumed_exactly(fetcher, job, counts, call, what):
    """F01, F03, F04: whichever call is the last one or fails, the next run ends with every record exactly once."""

    def resume(job: Path) -> tuple[int, str]:
        ran = fetcher("run", job)
        return ran.code, ran.err

    for place in PLACES.get(call, (0.9,)):
        harm = Harm(call, 1 + int(place * (counts[call] - 1)), what)

        assert fault_after(job, harm, resume) == "", harm
