"""Where a row's answers may come from, and where its pages go on, given how it stood."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.pages import FIRST, Place
from fetcher.errands import Errand, Step, came, errand_of, failed
from fetcher.errors import GaveUp, Incomplete, Refused
from fetcher.fetch.sources import Source
from fetcher.job.load import load_job
from fetcher.job.sections import Fetch
from fetcher.model import Row, RowState, Standing
from fetcher.parse.records import Parsed
from fetcher.selection import Verdict

JOB = """\
name = "paged"
read.dates = { from = "2024-01-01", to = "2024-01-01" }
parse.records = "items"
write.folder = "out"
[fetch]
base_url = "https://api.example.org"
url = "/"
headers = { Authorization = "${secret:TOKEN}" }
"""
THIRD = Place(3, 20, 20, "cursor")
ROW = Row("key", {})


def fetch_of(**keys) -> Fetch:
    return Fetch(base_url="https://api.example.org", url="/", pages={"kind": "page", **keys})


@pytest.mark.parametrize(
    ("state", "source"),
    [
        (RowState.WAITING, Source.KEPT_FIRST),
        (RowState.GAVE_UP, Source.API_ONLY),
        (RowState.REFUSED, Source.KEPT_FIRST),
        (RowState.QUARANTINED, Source.KEPT_FIRST),
    ],
)
def test_a_row_goes_on_at_its_page_and_asks_anew_for_one_that_failed(state, source):
    """What was kept and not committed is taken from the cache; a page that gave up, or that somebody wants again, is
    not."""
    errand = errand_of(ROW, Verdict.ASK, Standing(state, position=THIRD.text), fetch_of())
    assert (errand.place, errand.source) == (THIRD, source)


@pytest.mark.parametrize(
    ("is_paged", "is_here", "source"),
    [(False, True, Source.KEPT_FIRST), (True, True, Source.API_ONLY), (True, False, Source.API_ONLY)],
)
def test_an_answer_that_annotators_ask_about_is_not_asked_for_again(is_paged, is_here, source):
    """While its old records stand. Of pages the next ones of an older pass are kept, too, and are not those."""
    standing = Standing(RowState.GAVE_UP, digest=b"old", position=replace(FIRST, is_here=is_here, number=2).text)
    fetch = fetch_of() if is_paged else Fetch(base_url="https://api.example.org", url="/")
    assert errand_of(ROW, Verdict.ASK, standing, fetch).source == source


@given(st.sampled_from(RowState), st.binary(max_size=2), st.sampled_from([Verdict.ASK, Verdict.ASK_ANEW]))
def test_a_server_that_forgets_its_cursors_is_asked_from_the_first_page(state, digest, asked):
    """And its pages are not taken from the cache, where others of an older cursor lie."""
    standing = Standing(state, digest=digest, position=THIRD.text)
    errand = errand_of(ROW, asked, standing, fetch_of(resume="start"))
    assert (errand.place, errand.source) == (FIRST, Source.API_ONLY)


@given(st.sampled_from(RowState), st.sampled_from([Verdict.ASK, Verdict.ASK_ANEW, Verdict.REPARSE]))
def test_a_window_that_has_grown_begins_anew(state, asked):
    """Its pages of yesterday are pages of another question: going on behind them would leave records out."""
    standing = Standing(state, first_day=1, last_day=5, position=THIRD.text)
    grown = Row("key", {}, first_day=1, last_day=6)
    assert errand_of(grown, asked, standing, fetch_of()).place == FIRST
    same = Row("key", {}, first_day=1, last_day=5)
    assert errand_of(same, asked, standing, fetch_of()).place == (FIRST if asked is Verdict.REPARSE else THIRD)


def test_a_second_look_does_not_mix_old_pages_with_new_ones():
    """What the cache has of later pages belongs to the first look."""
    standing = Standing(RowState.DONE, digest=b"x", position=THIRD.text)
    assert errand_of(ROW, Verdict.ASK, standing, fetch_of()).source is Source.API_ONLY


@pytest.mark.parametrize(("choice", "source"), [("stop", Source.KEPT_ONLY), ("skip", Source.KEPT_ONLY)])
def test_what_may_have_been_carried_out_is_looked_for_at_its_page(choice, source):
    """Without a request, unless the job allows a second one."""
    standing = Standing(RowState.UNKNOWN, position=THIRD.text)
    fetch = Fetch(base_url="https://api.example.org", url="/", method="POST", on_unknown=choice, pages={"kind": "page"})
    errand = errand_of(ROW, Verdict.LOOK, standing, fetch)
    assert (errand.place, errand.source, errand.is_lost) == (THIRD, source, True)
    allowed = fetch.model_copy(update={"on_unknown": "retry"})
    assert errand_of(ROW, Verdict.LOOK, standing, allowed).source is Source.KEPT_FIRST


def loaded(tmp_path, *overrides: str, fetch: str = ""):
    """A job with pages; its credential is `hunter2&co`."""
    file = tmp_path / "job.toml"
    file.write_text(f'{JOB}{fetch}\n[fetch.pages]\nkind = "next_url"\nnext = "next"\n')
    return load_job(file, {"TOKEN": "hunter2&co"}, overrides)


@pytest.mark.parametrize("written", ["hunter2&co", "hunter2%26co"])
def test_no_secret_is_kept_in_a_place(tmp_path, written):
    """A server may repeat the credential in the address of the next page; such a row begins anew after a restart."""
    job, errand = loaded(tmp_path), Errand(ROW, Source.KEPT_FIRST, None)
    after = Place(2, 1, 1, f"https://api.example.org/?key={written}&page=2")
    told = [
        came(errand, Step(FIRST, after, Parsed(b"{}\n", 1), 1), job),
        failed(errand, GaveUp("503"), after, job),
    ]
    assert [outcome.position for outcome in told] == ["", ""]
    plain = Place(2, 1, 1, "https://api.example.org/?page=2")
    assert failed(errand, GaveUp("503"), plain, job).position == plain.text


@pytest.mark.parametrize(("cursor", "position"), [("expired", ""), (None, Place(3, 20, 20).text)])
def test_a_cursor_that_was_refused_is_not_asked_with_again(tmp_path, cursor, position):
    """It will be refused for ever; a page that goes by its number is asked for again where a person wants it."""
    errand = Errand(ROW, Source.KEPT_FIRST, None)
    assert failed(errand, Refused("HTTP 410"), Place(3, 20, 20, cursor), loaded(tmp_path)).position == position


@pytest.mark.parametrize(
    ("keys", "state"),
    [
        ('method = "POST"', RowState.QUARANTINED),
        ('method = "POST"\nidempotency_key = true', RowState.GAVE_UP),
        ('method = "POST"\non_unknown = "retry"', RowState.GAVE_UP),
        ("", RowState.GAVE_UP),
    ],
)
def test_pages_that_do_not_add_up_are_asked_again_only_where_that_does_no_harm(tmp_path, keys, state):
    """Every page of a POST would be carried out a second time."""
    errand = Errand(ROW, Source.KEPT_FIRST, None)
    assert failed(errand, Incomplete("10 of 12"), THIRD, loaded(tmp_path, fetch=keys)).state is state


def test_a_lost_answer_is_not_an_older_one():
    """What was kept before the request was sent is the answer to an earlier question."""
    lost = Standing(RowState.UNKNOWN, settled_at=1000.0)
    assert errand_of(ROW, Verdict.LOOK, lost, fetch_of()).kept_since == 1000.0
    assert errand_of(ROW, Verdict.ASK, lost._replace(state=RowState.WAITING), fetch_of()).kept_since == float("-inf")
