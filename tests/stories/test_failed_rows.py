"""Rows that fail: listed, asked again, given up for good, and gone from the list once they come."""

import json

import pytest
from aiohttp import web

from tests.stories.feeds import days, expected, failing, in_order, make_job, manifest_faults, published, serving, states

GAVE_UP, REFUSED, BROKEN = days(3)
"""Three ways to fail: an answer that asking again may mend, one that it will not, and one that is not JSON."""


def three_bad_days(day: str) -> web.Response:
    if day == GAVE_UP:
        return failing()
    if day == REFUSED:
        return web.Response(status=404, text="no such day")
    return web.Response(text="}{") if day == BROKEN else published(day)


def listed(folder) -> dict[str, str]:
    """`failures.jsonl`: state by row."""
    lines = (folder / "failures.jsonl").read_text().splitlines()
    return {line["row"]: line["state"] for line in map(json.loads, lines)}


@pytest.fixture
def feed():
    with serving(three_bad_days) as feed:
        yield feed


@pytest.fixture
def job(fetcher, tmp_path, feed):
    """A job of ten days that has run once, three of which failed."""
    job = make_job(tmp_path, feed.url)
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert "7 done + 1 refused + 1 gave up + 1 quarantined" in ran.err
    feed.taken()
    return job


def test_failures_are_listed_with_their_reasons(fetcher, tmp_path, job):
    """On the screen and in `failures.jsonl`, which agree with the ledger."""
    assert listed(tmp_path / "out") == {GAVE_UP: "gave up", REFUSED: "refused", BROKEN: "quarantined"}
    lines = [line.split("\t") for line in fetcher("failures", "list", job).out.splitlines()]
    assert [line[:3] for line in lines] == [
        [GAVE_UP, "gave up", "2 attempts"],
        [REFUSED, "refused", "1 attempt"],
        [BROKEN, "quarantined", "1 attempt"],
    ]
    assert "HTTP 500" in lines[0][3]
    assert "no such day" in lines[1][3]
    assert "not JSON" in lines[2][3]


def test_the_next_run_asks_for_what_gave_up_and_for_nothing_else(fetcher, tmp_path, feed, job):
    """And once it comes it is on no list any more."""
    feed.answer = published
    assert fetcher("run", job).code == 3
    assert feed.taken() == [GAVE_UP]
    assert listed(tmp_path / "out") == {REFUSED: "refused", BROKEN: "quarantined"}
    assert manifest_faults(tmp_path / "out") == []


def test_only_failed_asks_for_every_kind_of_failure_and_for_no_new_row(fetcher, output, tmp_path, feed, job):
    """Rows that were never asked for wait: exit 75, however well the failed ones went."""
    make_job(tmp_path, feed.url, 12)
    feed.answer = published
    ran = fetcher("run", job, "--only", "failed")
    assert ran.code == 75, ran.err
    assert sorted(feed.taken()) == [GAVE_UP, REFUSED], "the answer that is no JSON is kept, and parsed again"
    assert states(tmp_path / "out") == {"done": 9, "quarantined": 1}
    assert listed(tmp_path / "out") == {BROKEN: "quarantined"}
    assert fetcher("run", job).code == 3
    assert feed.taken() == days(12)[10:]


def test_retry_asks_again_at_the_next_run(fetcher, output, tmp_path, feed, job):
    """For the rows named, or all; the list is empty once they have come."""
    feed.answer = published
    told = fetcher("failures", "retry", job, REFUSED)
    assert (told.code, told.out) == (0, "1 row is asked for at the next run\n")
    assert fetcher("run", job).code == 3
    assert sorted(feed.taken()) == [GAVE_UP, REFUSED]

    assert fetcher("failures", "retry", job).code == 0
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert feed.taken() == [BROKEN]
    assert listed(tmp_path / "out") == {}
    assert fetcher("failures", "list", job).out == ""
    assert in_order(output(tmp_path / "out").records()) == expected(10)
    assert manifest_faults(tmp_path / "out") == []


def test_discarded_rows_fail_no_run_and_are_counted(fetcher, tmp_path, feed, job):
    """They are not asked for again; the counts still add up to the rows read."""
    assert fetcher("failures", "discard", job, GAVE_UP, REFUSED, BROKEN).code == 0
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert feed.asked == []
    assert "10 rows = 7 done + 3 discarded" in ran.err
    assert listed(tmp_path / "out") == {}
    assert "3 discarded" in fetcher("status", job).out


def test_a_key_that_did_not_fail_is_left_alone(fetcher, tmp_path, feed, job):
    """Neither retry nor discard touches what is done: exit 2 names the keys."""
    for deed in ("retry", "discard"):
        ran = fetcher("failures", deed, job, days(10)[9], "nonsense")
        assert ran.code == 2, ran.err
        assert f"{days(10)[9]}, nonsense" in ran.err
    assert states(tmp_path / "out") == {"done": 7, "refused": 1, "gave up": 1, "quarantined": 1}
