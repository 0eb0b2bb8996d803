"""`[fetch.hints]`: what a job may say of how its API tells waits."""

import pytest
from pydantic import ValidationError

from fetcher.job.hints import HintsSection, WaitRule, WindowRule
from fetcher.job.load import load_job
from fetcher.job.units import Rate

JOB = """
name = "hinted"
[read.dates]
from = "2024-01-01"
to = "2024-01-02"
[fetch]
base_url = "http://127.0.0.1:1"
url = "/v1"
[fetch.hints]
reset = "milliseconds"
should_retry = true
waits = [
    { header = "X-Backoff", kind = "seconds" },
    { body = "error.retry_after" },
    { text = 'try again in (?P<wait>[0-9hms.]+)', status = [429, 503] },
    { text = "secondary rate limit", least = "2 min" },
]
[[fetch.hints.windows]]
remaining = "X-Rl"
reset = "X-Ttl"
kind = "seconds"
[[fetch.hints.windows]]
filling = "X-Call-Limit"
refill = "2/s"
[parse]
records = "items"
[write]
folder = "out"
"""


def test_everything_that_may_be_said_is_read(tmp_path):
    """The example of the manual, whole."""
    file = tmp_path / "job.toml"
    file.write_text(JOB)
    hints = load_job(file, {}).fetch.hints
    assert (hints.reset, hints.should_retry, hints.concurrency) == ("milliseconds", True, "X-Concurrency-Limit")
    header, body, text, limit = hints.waits
    assert (header.header, header.kind) == ("X-Backoff", "seconds")
    assert (body.body, body.kind) == ("error.retry_after", "auto")
    assert text.text is not None
    assert text.text.search("Try again in 5s.")
    assert text.status == (429, 503)
    assert limit.least == 120
    window, bucket = hints.windows
    assert (window.remaining, window.reset, window.kind, window.unit) == ("X-Rl", "X-Ttl", "seconds", "requests")
    assert (bucket.filling, bucket.refill) == ("X-Call-Limit", Rate(2, 1.0))


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (WaitRule, {}, "expected one of 'header', 'body' and 'text', got 0 of them"),
        (WaitRule, {"header": "A", "body": "b"}, "got 2 of them"),
        (WaitRule, {"header": "not a name"}, "expected a header's name"),
        (WaitRule, {"body": "a["}, "expected the path of a wait, such as 'error.retry_after', got 'a\\['"),
        (WaitRule, {"body": "nope(a)"}, "JMESPath has no function nope"),
        (WaitRule, {"text": "("}, "expected a regular expression .* got '\\('"),
        (WaitRule, {"text": ""}, "expected a regular expression"),
        (WaitRule, {"text": "a", "status": [99]}, "from 100 to 599"),
        (WaitRule, {"text": "a", "least": "0 s"}, "from 1 s to 1 day"),
        (WaitRule, {"header": "A", "kind": "weeks"}, "Input should be 'auto'"),
        (WindowRule, {}, "expected 'remaining' or 'filling', or 'limit' with 'interval'"),
        (WindowRule, {"limit": "L"}, "expected 'remaining' or 'filling', or 'limit' with 'interval'"),
        (WindowRule, {"remaining": "R", "filling": "F"}, "expected 'remaining' or 'filling'"),
        (HintsSection, {"reset": "never"}, "Input should be"),
        (HintsSection, {"should_retry": "yes"}, "valid boolean"),
    ],
)
def test_what_makes_no_sense_is_told(model, values, message):
    """Before the first request, each with what was expected."""
    with pytest.raises(ValidationError, match=message):
        model(**values)


def test_by_default_nothing_has_to_be_said():
    """The usual headers are read, and no body is looked into."""
    hints = HintsSection()
    assert (hints.reset, hints.should_retry, hints.waits, hints.windows) == ("auto", False, (), ())
