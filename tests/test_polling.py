"""Jobs at the server: where their status lies, when they are done, and where their results are."""

import pytest

from fetcher.compose.pages import Place
from fetcher.errors import Incomplete, Quarantined, Refused
from fetcher.job.poll import Poll
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response, Row
from fetcher.polling import RESULT, STATUS, after, look

FETCH = Fetch.model_validate({"base_url": "https://a.example/v1", "url": "/jobs", "method": "POST"})
ROW = Row("key", {"city": "é/x"})
URL = "https://a.example/v1/jobs"
WAITING = Place(2, cursor=f"{URL}/7", phase=STATUS, job="7", since=100.0)


def ahead(place: Place, body: bytes = b"{}", *headers: tuple[str, str], status: int = 200, **poll):
    poll.setdefault("id", "id")
    poll.setdefault("path", "/jobs/{job}")
    response = Response(status, headers, body, 100.0 if place == Place() else 130.0, url=str(place.cursor or URL))
    section = Poll.model_validate({key: value for key, value in poll.items() if value is not None})
    return after(FETCH, section, ROW, (place, response))


@pytest.mark.parametrize(
    ("poll", "body", "headers", "address"),
    [
        ({}, b'{"id": 7}', (), f"{URL}/7"),
        ({"path": "/{city}/{job}/s"}, b'{"id": "a b"}', (), "https://a.example/v1/%C3%A9%2Fx/a%20b/s"),
        ({"id": None, "path": None, "address": "links.self"}, b'{"links": {"self": "jobs/7"}}', (), f"{URL}/7"),
        ({"id": None, "path": None, "address_header": "Location"}, b"", (("location", "/v1/jobs/7"),), f"{URL}/7"),
    ],
)
def test_the_answer_to_a_submission_leads_to_its_status(poll, body, headers, address):
    """By the job's id, by an address in the body, by a header; relative ones count from the answer."""
    found = ahead(Place(), body, *headers, **poll).place
    assert found is not None
    assert (found.cursor, found.phase, found.since) == (address, STATUS, 100.0)


@pytest.mark.parametrize(
    ("poll", "body"),
    [
        ({}, b"{}"),
        ({}, b'{"id": null}'),
        ({}, b'{"id": ""}'),
        ({}, b'{"id": true}'),
        ({}, b'{"id": {}}'),
        ({}, b"<html>"),
        ({"id": None, "path": None, "address_header": "Location"}, b""),
    ],
)
def test_a_submission_that_says_not_where_is_set_aside(poll, body):
    """Nobody could ever fetch the results; submitting again by ourselves would pay twice."""
    with pytest.raises(Quarantined):
        ahead(Place(), body, **poll)


def test_a_status_on_another_host_is_not_asked():
    """It would take the credentials along."""
    with pytest.raises(Refused, match="lies elsewhere"):
        ahead(Place(), b'{"a": "https://evil.example/7"}', id=None, path=None, address="a")


@pytest.mark.parametrize(
    ("poll", "body", "headers", "status", "wait_s"),
    [
        ({"done": "state == 'done'"}, b'{"state": "running"}', (), 200, 5.0),
        ({"done": "state == 'done'", "every": "1 min"}, b"{}", (), 200, 60.0),
        ({"done": "state == 'done'"}, b"{}", (("Retry-After", "17"),), 200, 17.0),
        ({"done": "state == 'done'"}, b"{}", (("Retry-After", "0"),), 200, 5.0),
        ({}, b"", (("Retry-After", "17"),), 202, 17.0),
    ],
)
def test_s16_a_job_that_is_not_done_is_looked_at_again_when_the_server_says(poll, body, headers, status, wait_s):
    """By its hint, else by the job's own step; the place is the same job."""
    found = ahead(WAITING, body, *headers, status=status, **poll)
    assert found.wait_s == wait_s
    assert found.place == Place(3, cursor=WAITING.cursor, phase=STATUS, job="7", since=100.0)


@pytest.mark.parametrize(
    ("poll", "body", "address"),
    [
        ({}, b"[1]", None),
        ({"done": "ok"}, b'{"ok": true}', None),
        ({"done": "ok", "result_path": "/jobs/{job}/rows"}, b'{"ok": true}', f"{URL}/7/rows"),
        ({"done": "ok", "result": "url"}, b'{"ok": true, "url": "7/rows"}', f"{URL}/7/rows"),
    ],
)
def test_a_job_that_is_done_has_its_results_there_or_elsewhere(poll, body, address):
    """In the status itself, by its id, or by an address in it."""
    found = ahead(WAITING, body, **poll)
    assert found.wait_s == 0
    if address is None:
        assert found.place is None
    else:
        assert found.place is not None
        assert (found.place.cursor, found.place.phase) == (address, RESULT)
        assert ahead(found.place, b"rows", **poll).place is None


def test_a_job_that_failed_is_refused_and_one_that_never_ends_is_given_up():
    """The first is an answer; the second begins anew, for nobody knows whether it will ever end."""
    with pytest.raises(Refused, match="out of memory"):
        ahead(WAITING, b'{"state": "failed", "why": "out of memory"}', done="ok", failed="state == 'failed'")
    with pytest.raises(Incomplete, match="not done after 30 s"):
        ahead(WAITING, b"{}", done="ok", longest="29 s")
    assert ahead(WAITING, b"{}", done="ok", longest="30 s").place is not None


def test_a_look_is_a_get_with_the_jobs_headers():
    """What described the body that was submitted is left behind."""
    submitted = Request("POST", URL, (("X-Key", "k"), ("Content-Type", "application/json")), b"{}")
    assert look(submitted, WAITING) == Request("GET", f"{URL}/7", (("X-Key", "k"),))


@pytest.mark.parametrize(
    ("told", "address"),
    [("https://files.example/r?sig=1", "https://files.example/r?sig=1"), ("/r", "https://a.example/r")],
)
def test_results_may_lie_with_strangers(told, address):
    """A store of files, say: who is told nothing of the job."""
    found = ahead(WAITING, f'{{"state": "ok", "r": "{told}"}}'.encode(), done="state == 'ok'", result="r").place
    assert found is not None and (found.cursor, found.phase) == (address, RESULT)


@pytest.mark.parametrize("told", ["http://a.example/r", "file:///etc/passwd", "https://user:word@files.example/"])
def test_results_that_lie_nowhere_are_refused(told):
    with pytest.raises(Refused, match=r"the results' address .* cannot be asked") as caught:
        ahead(WAITING, f'{{"state": "ok", "r": "{told}"}}'.encode(), done="state == 'ok'", result="r")
    assert "word" not in str(caught.value)


def test_a_look_is_for_the_same_credential():
    assert look(Request("POST", URL, (), b"{}", credential="whose"), WAITING).credential == "whose"
