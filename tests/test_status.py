"""Where a job stands: counts that add up, gaps, waits and files, without a request and without a trace."""

import io

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fetcher.cli import main
from fetcher.errors import Contradiction
from fetcher.export.tables import Wanted, export
from fetcher.fetch.quotas import Quotas
from fetcher.fetch.rations import Rations
from fetcher.model import Row, RowState, Standing
from fetcher.progress import local_time
from fetcher.realms import shared_by
from fetcher.status import GAPS_SHOWN, Gap, Status, status, status_text
from tests.settled_jobs import NOW, STATIONS, beside, done, everything, failed, job_in, settle

OPEN = sorted(set(RowState) - {RowState.DONE, RowState.EMPTY})


def test_every_row_of_the_job_is_in_one_state(tmp_path):
    """Rows that no run has asked for wait; the counts add up to the rows of the job."""
    job = job_in(tmp_path)
    settle(job, done(1, 2), done(2, 0), *(failed(3 + number, state) for number, state in enumerate(OPEN)))
    found = status(job, NOW, tmp_path / "state")
    assert found.rows == {RowState.DONE: 1, RowState.EMPTY: 1, **dict.fromkeys(OPEN, 1), RowState.WAITING: 3}
    assert sum(found.rows.values()) == 10


def test_the_text_of_a_job_with_something_of_everything(tmp_path):
    """Sum, reasons, waits, gaps, files: a snapshot."""
    job = job_in(tmp_path)
    settle(job, done(1, 2), done(2, 0), failed(3, RowState.REFUSED, "404 Not Found"))
    settle(job, failed(4, RowState.WAITING, "429", NOW + 60), done(6, 3), done(7, 1), is_finished=False)
    assert status_text("air", status(job, NOW, tmp_path / "state"), NOW) == (
        "air: 10 rows = 3 done + 1 empty + 1 refused + 5 waiting\n"
        "  1 x refused: 404 Not Found\n"
        "  1 x waiting: 429\n"
        f"  the last of what has to wait may be asked for at {local_time(NOW + 60)}\n"
        "  gaps: 2024-01-03 to 2024-01-05 (3), 2024-01-08 to 2024-01-10 (3)\n"
        "  5 records in 2 files, 1 not published yet"
    )


def test_a_job_of_one_row_is_told_in_the_singular(tmp_path):
    """As everywhere."""
    found = Status()
    found.rows[RowState.UNKNOWN] = 1
    assert status_text("air", found, NOW).splitlines()[0] == "air: 1 row = 1 unknown"


def test_each_table_has_its_line(tmp_path):
    """Also one that has no records yet."""
    job = job_in(tmp_path, STATIONS, 'write.tables.units.records="units[]"')
    settle(job, beside(done(1, 2), 7))
    settle(job, beside(done(2, 1), 8, 9), is_finished=False)
    assert status_text("air", status(job, NOW, tmp_path / "state"), NOW).splitlines()[-3:] == [
        "  2 records in 1 file, 1 not published yet",
        "  1 record of stations in 1 file, 2 not published yet",
        "  0 records of units in 0 files, 0 not published yet",
    ]


def test_records_that_stand_no_more_are_not_counted_with_those_that_do(tmp_path):
    """As an export has it: a revision stands once it is published, and until then the one before does."""
    job = job_in(tmp_path, STATIONS)

    def told() -> list[str]:
        return [held.text() for held in status(job, NOW, tmp_path / "state").held]

    settle(job, beside(done(1, 2), 7), done(2, 1))
    assert told() == ["3 records in 1 file, 0 not published yet", "1 record of stations in 1 file, 0 not published yet"]
    settle(job, beside(done(1, 2, "new"), 8, 9), is_finished=False)
    assert told()[0] == "3 records in 1 file, 2 not published yet"
    settle(job)
    assert told() == [
        "3 records in 2 files, 0 not published yet; 2 more stand no longer",
        "2 records of stations in 2 files, 0 not published yet; 1 more stand no longer",
    ]
    exported = io.BytesIO()
    assert export(job, Wanted("jsonl"), exported, NOW).records == 3


def test_of_what_is_not_published_yet_only_the_newest_counts(tmp_path):
    """Two revisions of a row may lie in one open segment."""
    job = job_in(tmp_path, "write.rotate.records=100")
    settle(job, done(1, 2), is_finished=False)
    settle(job, done(1, 3, "new"), is_finished=False)
    (held,) = status(job, NOW, tmp_path / "state").held
    assert held.text() == "0 records in 0 files, 3 not published yet"


def test_a_wait_that_is_over_is_not_told(tmp_path):
    """The row is asked for by the next run, whenever that is."""
    job = job_in(tmp_path)
    settle(job, failed(4, RowState.WAITING, "429", NOW - 60))
    text = status_text("air", status(job, NOW, tmp_path / "state"), NOW)
    assert "wait" not in text.replace("10 waiting", "").replace("x waiting", "")
    assert status(job, NOW, tmp_path / "state").not_before == 0.0
    assert status(job, NOW - 61, tmp_path / "state").not_before == NOW - 60


def test_a_server_cannot_write_on_the_terminal(tmp_path):
    """What is left of an escape sequence in a reason is text, on one line."""
    job = job_in(tmp_path)
    settle(job, failed(1, RowState.REFUSED, "\x1b]0;owned\x07\nair: 10 rows = 10 done"))
    text = status_text("air", status(job, NOW, tmp_path / "state"), NOW)
    assert "  1 x refused:  ]0;owned  air: 10 rows = 10 done" in text.splitlines()


@given(st.lists(st.none() | st.sampled_from(RowState)))
def test_gaps_are_the_rows_that_are_not_done(states):
    """Each such row is in exactly one gap, and between two gaps there is a row that is done."""
    found = Status()
    for number, state in enumerate(states):
        found.note_gap(Row(str(number), {}), None if state is None else Standing(state))
    inside = [number for gap in found.gaps for number in range(int(gap.first), int(gap.last) + 1)]
    assert inside == [number for number, state in enumerate(states) if state not in (RowState.DONE, RowState.EMPTY)]
    assert [gap.rows for gap in found.gaps] == [int(gap.last) - int(gap.first) + 1 for gap in found.gaps]
    assert all(
        int(after.first) > int(before.last) + 1 for before, after in zip(found.gaps, found.gaps[1:], strict=False)
    )


@pytest.mark.parametrize(("gaps", "more"), [(GAPS_SHOWN, ""), (GAPS_SHOWN + 1, " and 1 more")])
def test_only_the_first_gaps_are_shown(gaps, more):
    """Twenty, and how many more there are."""
    found = Status(gaps=[Gap(str(n), str(n), 1) for n in range(gaps)])
    shown = status_text("air", found, NOW).splitlines()[1]
    assert shown == f"  gaps: {', '.join(map(str, range(GAPS_SHOWN)))}{more}"


def test_what_is_used_up_and_what_a_server_asked_for_is_told(tmp_path):
    """Days, hard stops and money of the job, and the wait of its realm: a snapshot."""
    limits = ['fetch.limits.rate="5000/day"', "fetch.limits.max_requests=100"]
    budget = ["fetch.limits.budget.total=2.5", "fetch.limits.budget.cost_per_request=0.01"]
    job, state = job_in(tmp_path, *limits, *budget), tmp_path / "state"
    settle(job, done(1))
    assert "  money: 0 of 2.5 used" in status_text("air", status(job, NOW, state), NOW)
    assert not state.exists()
    state.mkdir()
    (shared,), quotas = shared_by(job, state, lambda: NOW), Quotas(state / "quotas.sqlite")
    for ration in Rations(job.fetch.limits, quotas, shared.realm, shared.job, lambda: [NOW]).rations(1):
        quotas.reserve(ration.account, 12 * ration.amount, 12 * ration.amount)
    quotas.keep_wait(shared.realm, "", NOW, NOW + 600)
    assert status_text("air", status(job, NOW, state), NOW).splitlines()[1:5] == [
        f"  the API asks for nothing before {local_time(NOW + 600)}",
        "  day 2024-01-10 UTC: 12 of 5,000 used",
        "  requests: 12 of 100 used",
        "  money: 0.12 of 2.5 used",
    ]


@pytest.mark.parametrize("is_finished", [True, False])
def test_looking_changes_nothing(tmp_path, is_finished):
    """After a run that ended well and after one that was killed."""
    job = job_in(tmp_path)
    settle(job, done(1), is_finished=is_finished)
    before = everything(tmp_path)
    ran = CliRunner().invoke(main, ["status", str(job.file)])
    assert (ran.exit_code, ran.output.splitlines()[0]) == (0, "air: 10 rows = 1 done + 9 waiting")
    assert everything(tmp_path) == before


def test_a_job_that_never_ran_has_no_status_and_gets_no_folder(tmp_path):
    """Exit 65, one line, and nothing is created."""
    job = job_in(tmp_path)
    with pytest.raises(Contradiction, match=r"data: no ledger here; the job has not been run yet"):
        status(job, NOW, tmp_path / "state")
    ran = CliRunner().invoke(main, ["status", str(job.file)])
    assert (ran.exit_code, ran.stderr.count("\n")) == (65, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]
