"""Where a row's answers may come from, and where its pages go on, given how it stood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.pages import FIRST, Place
from fetcher.errands import errand_of
from fetcher.fetch.client import Source
from fetcher.job.sections import Fetch
from fetcher.model import Row, RowState, Standing
from fetcher.selection import Verdict

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
