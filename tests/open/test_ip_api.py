"""`configs/addresses.toml`: a table enriched row by row or in batches; a countdown in headers, failures in a 200."""

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.ip_api import API, IpApi, expected, generated_table, recorded_table
from tests.open.serving import recorded, serving
from tests.stories.feeds import until

JOB = "addresses"
ALONE = ('fetch.limits.rate="1000/s"', "fetch.limits.concurrency=1")
BATCHES = (
    'fetch.url="/batch"',
    'fetch.method="POST"',
    'fetch.json=["{ip}"]',
    'fetch.batch={size=150, each=["ip"]}',
    'fetch.on_unknown="retry"',
    'fetch.limits.rate="15/0.4 s"',
)
TOGETHER = ('fetch.limits.rate="1000/s"', "fetch.limits.concurrency=16")


@pytest.fixture
def table(source):
    """What is to be enriched, and what the API knows."""
    return recorded_table() if source == "recorded" else generated_table()


def written(table, folder) -> str:
    """An override: the table as CSV."""
    table.write(folder / "addresses.csv")
    return f"read.table.path='{folder / 'addresses.csv'}'"


def distinct(table) -> int:
    """How many addresses there are to ask for."""
    return len({row["ip"].strip() for row in table.rows} - {""})


@pytest.mark.parametrize(("workers", "refused"), [(ALONE, 0), (TOGETHER, 4)], ids=["one worker", "sixteen workers"])
def test_every_row_gets_its_columns(fetcher, output, job, tmp_path, source, table, workers, refused):
    """One record a row, errors among them; each address is asked for once, and nobody goes on at zero."""
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        ran = fetcher(*job(JOB, api, *workers, written(table, tmp_path)))

    assert ran.code == 0, ran.err
    assert api.by_status[200] == distinct(table)
    assert api.by_status[429] <= refused
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash(expected(table))
    if source == "recorded":
        told = recorded(API, "expected.json")["main"]
        assert canonical_hash(records) == (told["records"], told["sha256"])


def test_a_killed_run_asks_again_for_the_newest_answers_alone(fetcher, start, output, job, tmp_path):
    """What was answered before the kill is in the cache, but for the group that was not committed yet."""
    table = generated_table()
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        arguments = job(JOB, api, *ALONE, written(table, tmp_path))
        process = start(*arguments)
        until(lambda: len(api.asked) > 20, process)
        process.kill()
        process.wait()
        answered = set(api.taken())
        ran = fetcher(*arguments)

        assert ran.code == 0, ran.err
        assert len(answered & set(api.taken())) < len(answered) / 2
        assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(table))
        assert fetcher(*arguments, "--reparse").code == 0  # failures are results, and are kept like any
        assert api.taken() == []


def test_in_batches_of_a_hundred_two_requests_are_enough(fetcher, output, job, tmp_path, source, table):
    """Never more than the API takes; a second run asks for nothing."""
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        arguments = job(JOB, api, *BATCHES, "fetch.batch.size=100", written(table, tmp_path))
        ran = fetcher(*arguments)
        assert ran.code == 0, ran.err
        assert fetcher(*arguments).code == 0

    assert len(api.batches) == -(-distinct(table) // 100)
    assert sum(api.batches) == distinct(table)
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(table))


def test_a_batch_that_is_too_large_is_asked_for_in_halves(fetcher, output, job, tmp_path):
    """A job that says 150 is refused once, with 422, and gets its answers all the same."""
    table = generated_table(count=300, distinct=140)
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        ran = fetcher(*job(JOB, api, *BATCHES, written(table, tmp_path)))
    assert ran.code == 0, ran.err
    assert max(api.batches[1:]) <= 100
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(table))
