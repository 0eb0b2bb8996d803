"""What a machine has for workers."""

import multiprocessing.context
import os
import sys

import pytest

from fetcher.engines.machine import LEAST_SHARE, cores, memory_share, no_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")


def test_a_worker_has_an_even_share_of_what_its_container_has(tmp_path):
    """Less where there are more of them, never too little to begin with, never all."""
    limit = tmp_path / "memory.max"
    limit.write_text("4000000000\n")
    assert memory_share(1, (str(limit),)) == 3_000_000_000
    assert memory_share(3, (str(limit),)) == 1_000_000_000
    assert memory_share(100, (str(limit),)) == LEAST_SHARE


@pytest.mark.parametrize("text", ["max\n", "", None])
def test_without_a_container_it_is_the_machines(tmp_path, text):
    """A file that says nothing, or is not there, is no limit."""
    limit = tmp_path / "memory.max"
    if text is not None:
        limit.write_text(text)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_share(1, (str(limit),)) == max(LEAST_SHARE, int(0.75 * physical))


def test_cores_are_those_that_may_be_used():
    """A process that is held to some of them starts no more workers."""
    assert cores() == len(os.sched_getaffinity(0))


def test_a_machine_without_locks_says_why(monkeypatch):
    """Some sandboxes have no semaphores; most machines do."""
    assert no_processes() == ""

    def none(_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(multiprocessing.context.SpawnContext, "RLock", none)
    assert "Function not implemented" in no_processes()
