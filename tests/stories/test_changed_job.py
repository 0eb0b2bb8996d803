"""A job file that changes between runs: nothing is mixed silently, nothing is asked for twice."""

import pytest

from tests.stories.feeds import expected, in_order, make_job, serving, sets

DAYS = 60
HALVED = sets('parse.records="items[?number < `2`]"')
PARSE_CHANGED = "parse: changed since"


def halved(records: list[dict]) -> list[dict]:
    return [record for record in records if record["number"] < 2]


def newest(folder) -> list[dict]:
    from fetcher import read_records

    return in_order([row for frame in read_records(folder, latest=True) for row in frame.to_dict("records")])


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


@pytest.fixture
def job(fetcher, tmp_path, feed):
    """A job that has run."""
    job = make_job(tmp_path, feed.url, DAYS)
    assert fetcher("run", job).code == 0
    assert sorted(feed.taken()) == sorted({record["day"] for record in expected(DAYS)})
    return job


def test_a_changed_parse_part_is_refused_until_someone_says_what_to_do(fetcher, output, tmp_path, feed, job):
    """Exit 78, how many rows, both ways out; nothing sent, nothing written."""
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*") if path.is_file()}
    ran = fetcher("run", job, *HALVED)
    assert ran.code == 78
    assert f"{PARSE_CHANGED} {DAYS} rows were parsed" in ran.err
    assert "--reparse" in ran.err
    assert "--as-is" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert feed.asked == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*") if path.is_file()} == before
    assert fetcher("run", job).code == 0, "the old rules are still welcome"


def test_reparse_sends_nothing_and_is_exact(fetcher, tmp_path, feed, job):
    """And the next plain run has nothing left to say."""
    ran = fetcher("run", job, "--reparse", *HALVED)
    assert ran.code == 0, ran.err
    assert newest(tmp_path / "out") == halved(expected(DAYS))
    assert fetcher("run", job, *HALVED).code == 0
    assert feed.asked == []
    assert fetcher("verify", job).code == 0


def test_a_reparse_that_is_killed_is_repeated(fetcher, start, output, tmp_path, feed, job):
    """Until one has come to its end the job stays refused; rows that were re-parsed before are not written again."""
    process = start("run", job, "--reparse", *HALVED, "--set", "write.rotate.records=1")
    while len(list((tmp_path / "out" / ".fetcher").glob("*.open"))) < 3:
        assert process.poll() is None, process.communicate()[1]
    process.kill()
    process.wait()

    assert fetcher("run", job, *HALVED).code == 78
    assert fetcher("run", job, "--reparse", *HALVED).code == 0

    assert newest(tmp_path / "out") == halved(expected(DAYS))
    assert len(output(tmp_path / "out").lines()) == DAYS * 5
    assert fetcher("run", job, *HALVED).code == 0
    assert feed.asked == []


def test_a_reparse_that_runs_out_of_time_is_not_taken_for_done(fetcher, tmp_path, feed, job):
    """`--reparse --for`: exit 75, and the rows that are left still need to be spoken of."""
    assert fetcher("run", job, "--reparse", "--for", "1ms", *HALVED).code == 75
    assert fetcher("run", job, *HALVED).code == 78
    assert fetcher("run", job, "--reparse", *HALVED).code == 0
    assert newest(tmp_path / "out") == halved(expected(DAYS))
    assert feed.asked == []


def test_as_is_leaves_old_rows_and_parses_new_ones_anew(fetcher, output, tmp_path, feed, job):
    """Old records stay byte for byte; from then on the new rules need no word."""
    lines = output(tmp_path / "out").lines()
    make_job(tmp_path, feed.url, DAYS + 2)
    ran = fetcher("run", job, "--as-is", *HALVED)
    assert ran.code == 0, ran.err
    assert output(tmp_path / "out").lines()[: len(lines)] == lines
    new = halved(expected(DAYS + 2)[3 * DAYS :])
    assert in_order(output(tmp_path / "out").records()) == in_order(expected(DAYS) + new)
    assert len(feed.taken()) == 2
    assert fetcher("run", job, *HALVED).code == 0
    assert feed.asked == []


def test_a_changed_request_part_makes_new_rows_and_says_so(fetcher, output, tmp_path, feed, job):
    """Every day is asked in the new way; back at the old way nothing is."""
    lines = output(tmp_path / "out").lines()
    other = sets('fetch.query.unit="F"')
    ran = fetcher("run", job, *other)
    assert ran.code == 0, ran.err
    assert "what is asked for has changed, so every row is a new one" in ran.err
    assert len(feed.taken()) == DAYS
    assert output(tmp_path / "out").lines() == lines * 2
    for back in (other, []):
        ran = fetcher("run", job, *back)
        assert (ran.code, feed.asked) == (0, [])
        assert "what is asked for has changed" not in ran.err


def test_speed_and_limits_may_change_at_any_time(fetcher, output, tmp_path, feed, job):
    """They decide neither what is asked nor what comes of it."""
    lines = output(tmp_path / "out").lines()
    ran = fetcher(
        "run",
        job,
        *sets(
            'fetch.limits.rate="100/s"',
            "fetch.limits.concurrency=2",
            'fetch.timeout="5 s"',
            "fetch.retries.attempts=7",
            'write.rotate.bytes="1 kB"',
            'write.compress="zstd"',
            "parse.workers=1",
        ),
    )
    assert ran.code == 0, ran.err
    assert feed.asked == []
    assert output(tmp_path / "out").lines() == lines
