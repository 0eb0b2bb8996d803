"""The power-loss model is worth what it catches: each bug planted here must break a promise within a few histories.

A bug is planted into the real code, mostly by giving one of its functions a disk or a file on which one call is left
out, moved or changed. `ran()` notes that the changed code was used, so that no bug counts as caught by accident.
"""

import pytest

from tests.write.histories import Violation, replay
from tests.write.planted_bugs import BUGS
from tests.write.planted_page_bugs import PAGE_BUGS
from tests.write.planted_table_bugs import TABLE_BUGS
from tests.write.planting import Plant

HISTORIES = 600


@pytest.mark.parametrize("bug", [*BUGS, *PAGE_BUGS, *TABLE_BUGS], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    """The histories fail, in a history in which the changed code ran."""
    runs = []
    bug(Plant(monkeypatch, lambda: runs.append(True)))
    for seed in range(HISTORIES):
        runs.clear()
        try:
            replay(seed)
        except Violation as violation:
            assert runs, f"seed {seed} failed without the planted bug: {violation}"
            print(f"{bug.__name__}: caught by history {seed + 1}: {violation.promise}")
            return
    pytest.fail(f"{bug.__name__} went unnoticed in {HISTORIES} histories")
