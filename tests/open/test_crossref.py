"""`configs/crossref_works.toml`: a cursor that never changes, limits told in headers, pages that a 503 swallows."""

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.crossref import API, POOLS, Crossref, expected, generated_works, recorded_works
from tests.open.serving import STRICT, recorded, serving
from tests.stories.feeds import next_page, states, until

FAST = ('fetch.limits.rate="50/s"', "fetch.limits.concurrency=8")
EIGHT = (f"read.values.query={[f'widget {number}' for number in range(8)]}",)
POLITE = ['fetch.query.mailto="a@example.org"']
TWENTY = "fetch.query.rows=20"


@pytest.fixture
def api():
    with serving(Crossref()) as api:
        yield api


@pytest.mark.parametrize("polite", [[], POLITE], ids=["public", "polite"])
def test_all_works_of_a_query_are_there_once(fetcher, output, job, tmp_path, source, polite):
    """Sixty records, four requests, never two at once; the hash is the specification's."""
    works = recorded_works() if source == "recorded" else generated_works()
    with serving(Crossref(works=works)) as api:
        ran = fetcher(*job("crossref_works", api, TWENTY, *polite))

    assert ran.code == 0, ran.err
    assert api.stats() == {"requests": 4, "by_status": {"200": 4}, "early": 0}
    assert api.most_at_once == 1
    records = output(tmp_path / "out").records()
    assert len({record["doi"] for record in records}) == 60
    assert canonical_hash(records) == canonical_hash(expected(works))
    if source == "recorded":
        told = recorded(API, "expected.json")["main"]
        assert canonical_hash(records) == (told["records"], told["sha256"])


@pytest.mark.parametrize("polite", [[], POLITE], ids=["public", "polite"])
def test_limits_are_taken_from_the_headers(fetcher, job, polite):
    """Configured ten times too fast and with eight workers, a run of eight queries slows down at the first answer."""
    with serving(Crossref(interval="200ms")) as api:
        ran = fetcher(*job("crossref_works", api, TWENTY, *EIGHT, *FAST, *polite))
    assert ran.code == 0, ran.err
    assert api.by_status[200] == 32
    assert api.by_status[429] <= 8


@pytest.mark.parametrize("pool", POOLS)
def test_no_more_requests_overlap_than_the_pool_allows(fetcher, job, pool):
    """As configured: one at a time, or three for who says who asks."""
    per_window, at_once = POOLS[pool]
    told = [f'fetch.limits.rate="{per_window}/0.2 s"', f"fetch.limits.concurrency={at_once}", STRICT]
    with serving(Crossref(interval="200ms")) as api:
        ran = fetcher(*job("crossref_works", api, TWENTY, *EIGHT, *told, *(POLITE if pool == "polite" else [])))
    assert ran.code == 0, ran.err
    assert (api.by_status[200], api.by_status[429]) == (32, 0)
    assert api.most_at_once <= at_once


def test_a_page_that_failed_before_the_position_moved_is_asked_for_again(fetcher, output, job, tmp_path):
    """The 503 has cost nothing."""
    with serving(Crossref(fault="before")) as api:
        ran = fetcher(*job("crossref_works", api, TWENTY))
    assert ran.code == 0, ran.err
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(api.works))


def test_a_page_that_was_swallowed_is_noticed_and_the_next_run_has_it(fetcher, output, job, tmp_path):
    """Forty of sixty are no success; asking again from the first page completes them, nothing is there twice."""
    with serving(Crossref(fault="after")) as api:
        ran = fetcher(*job("crossref_works", api, TWENTY))
        assert ran.code == 3, ran.err
        assert "announces 60 items, its pages hold 40" in ran.err
        assert states(tmp_path / "out") == {"gave up": 1}

        ran = fetcher(*job("crossref_works", api, TWENTY))
    assert ran.code == 0, ran.err
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(api.works))


def test_a_killed_run_begins_again_at_the_first_page(fetcher, start, output, job, tmp_path):
    """The handle may be gone by then; no work is there twice."""
    with serving(Crossref(stops_at=2)) as api:
        process = start(*job("crossref_works", api, TWENTY))
        until(lambda: next_page(tmp_path / "out") == 3, process)
        process.kill()
        process.wait()
        api.stops_at = None
        api.positions.clear()
        api.taken()

        ran = fetcher(*job("crossref_works", api, TWENTY))
    assert ran.code == 0, ran.err
    assert "cursor=%2A" in api.asked[0] and len(api.asked) == 4
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(api.works))


def test_a_bad_parameter_is_one_request_and_its_reason(fetcher, job, api):
    """A 400 is not asked again; what the API says of it is shown."""
    ran = fetcher(*job("crossref_works", api, 'fetch.query.rows="things"'))
    assert ran.code == 3, ran.err
    assert api.stats()["by_status"] == {"400": 1}
    assert '"type": "integer-not-valid", "value": "things' in ran.err


def test_an_error_in_plain_text_is_one_too(fetcher, job, api):
    """No JSON parser sees it."""
    ran = fetcher(*job("crossref_works", api, 'fetch.url="/elsewhere"'))
    assert ran.code == 3, ran.err
    assert api.stats()["by_status"] == {"404": 1}
    assert "Resource not found." in ran.err
