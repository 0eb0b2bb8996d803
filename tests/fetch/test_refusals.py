import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.refusals import LARGEST_JSON, LARGEST_TEXT, Problem, RuledWait, problem, ruled_waits
from fetcher.job.hints import WaitRule
from fetcher.model import Response

NOW = 1_706_702_400.0  # 2024-01-31 12:00 UTC
TYPES = "https://iana.org/assignments/http-problem-types#"
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def stated(body, status=429, media_type="application/problem+json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return problem(Response(status, (("Content-Type", media_type),), body, NOW))


def found(said, status=429, headers=(), /, **rule):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    fields = {name: [text] for name, text in headers}
    return ruled_waits(Response(status, (), body, NOW), fields, [WaitRule(**rule)], NOW)


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        (
            "application/problem+json",
            {"type": f"{TYPES}quota-exceeded", "violated-policies": ["daily", "bandwidth"]},
            Problem("quota-exceeded", ("daily", "bandwidth")),
        ),
        (
            "Application/Problem+JSON; charset=utf-8",
            {"type": f"{TYPES}temporary-reduced-capacity", "violated-policies": ["hourly"]},
            Problem("temporary-reduced-capacity", ("hourly",)),
        ),
        ("application/problem+json", {"type": f"{TYPES}abnormal-usage-detected"}, Problem("abnormal-usage-detected")),
        (
            "application/problem+json",
            {"type": f"{TYPES}quota-exceeded", "violated-policies": "daily"},
            Problem("quota-exceeded"),
        ),
        (
            "application/problem+json",
            {"type": f"{TYPES}quota-exceeded", "violated-policies": ["daily", 7, None]},
            Problem("quota-exceeded", ("daily",)),
        ),
        ("application/json", {"type": f"{TYPES}quota-exceeded"}, None),
        ("application/problem+json", {"type": 7}, None),
        ("application/problem+json", {"title": "quota-exceeded"}, None),
        ("application/problem+json", {"type": "about:blank"}, None),
        ("application/problem+json", {"type": "https://example.org/problems#quota-exceeded"}, None),
        ("application/problem+json", [f"{TYPES}quota-exceeded"], None),
        ("application/problem+json", b"{", None),
        ("application/problem+json", b"[" * 100_000, None),
        ("application/problem+json", b"", None),
    ],
)
def test_a_problem_of_the_draft_is_recognised(media_type, body, expected):
    """RFC 9457: by its type and nothing else; members of the wrong type are not there, other problems are others'."""
    assert stated(body, media_type=media_type) == expected


@pytest.mark.parametrize("status", [200, 206, 302])
def test_the_real_status_rules(status):
    """What is no refusal states no problem, whatever its body claims."""
    assert stated({"type": f"{TYPES}quota-exceeded", "status": 429}, status) is None


@pytest.mark.parametrize(
    ("body", "rule", "wait_s"),
    [
        ({"backoff": 10}, {"body": "backoff"}, 10),
        ({"error": {"retry_after": 0.5}}, {"body": "error.retry_after"}, 0.5),
        ({"retry_after": "30"}, {"body": "retry_after"}, 30),
        ({"retry_after_ms": 1500}, {"body": "retry_after_ms", "kind": "milliseconds"}, 1.5),
        ({"until": NOW + 5}, {"body": "until"}, 5),
        ({"until": (NOW + 5) * 1000}, {"body": "until"}, 5),
        ({"until": "2024-01-31T12:00:05Z"}, {"body": "until"}, 5),
        ({"details": [{"delay": "7s"}]}, {"body": "details[0].delay"}, 7),
        ({"backoff": -1}, {"body": "backoff"}, None),
        ({"backoff": None}, {"body": "backoff"}, None),
        ({"backoff": True}, {"body": "backoff"}, None),
        ({"backoff": {"s": 1}}, {"body": "backoff"}, None),
        ({"other": 1}, {"body": "backoff"}, None),
        ({"backoff": "x"}, {"body": "abs(backoff)"}, None),
        (b'{"backoff": 1e999}', {"body": "backoff"}, None),
        (b"not JSON", {"body": "backoff"}, None),
        (b"", {"body": "backoff"}, None),
        (b" " * LARGEST_JSON + b'{"backoff": 1}', {"body": "backoff"}, None),
        (b'{"backoff": 1}'.rjust(LARGEST_JSON), {"body": "backoff"}, 1),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_a_field_of_the_body_is_a_wait(body, rule, wait_s, status):
    """Of refusals and of results; in every kind of reset; what is not one says nothing."""
    assert found(body, status, **rule) == ([] if wait_s is None else [RuledWait(wait_s)])


@pytest.mark.parametrize(
    ("pattern", "text", "wait_s"),
    [
        ("try again in (?P<wait>[0-9hms.]+)", "Rate limit reached. Please try again in 1m4.2s. Thanks", 64.2),
        ("try again in (?P<wait>[0-9hms.]+)", "Please TRY AGAIN in 374ms.", 0.374),
        ("available in (?P<wait>[0-9]+ seconds)", '{"detail": "Expected available in 20 seconds."}', 20),
        ("try again in (?P<wait>.*)", "Limit exceeded. Please try again in one minute.", 60),
        ("try again in (?P<wait>.*)", "Hourly limit exceeded. Please try again in the next hour.", 3600),
        ("try again (?P<wait>tomorrow)", "Daily limit exceeded. Please try again tomorrow.", 43200),
        ("until (?P<wait>[^ ]+)", "banned until 2024-01-31T12:00:05Z for abuse", 5),
        ("again after (?P<wait>[0-9]+)", "again after 90", 90),
        ("try again (?P<wait>.*)", "try again whenever you like", None),
        ("secondary rate limit", "You have exceeded a secondary rate limit.", None),
        ("(?P<wait>[0-9]+)?slow down", "slow down", None),
    ],
)
def test_a_wait_is_read_from_english(pattern, text, wait_s):
    """The group `wait` in every kind and in words; a text that says no time asks for the least that the job states."""
    assert found(text.encode(), text=pattern, least="90 s") == [RuledWait(wait_s, 90, is_refusal=True)]


def test_a_text_is_looked_for_in_refusals_alone():
    """A record may quote those very words; where a status is named the job has said otherwise."""
    said = b"please try again in 5 seconds"
    assert found(said, 200, text="try again") == []
    assert found(said, 300, text="try again") != []
    assert found(said, 302, text="try again") != []
    assert found(said, 200, text="try again", status=[200]) != []
    assert found(said, 429, text="try again", status=[200]) == []
    assert found({"backoff": 1}, 200, body="backoff", status=[429]) == []


def test_each_rule_speaks_for_itself():
    """One that is about another status, or finds nothing, does not silence those behind it."""
    rules = [WaitRule(body="backoff", status=[503]), WaitRule(body="other"), WaitRule(body="backoff", status=[429])]
    response = Response(429, (), b'{"backoff": 7}', NOW)
    assert ruled_waits(response, {}, rules, NOW) == [RuledWait(7)]


def test_a_text_is_looked_for_at_the_front():
    """Refusals are short; an expression that is slow is slow on no more than that."""
    assert found(b"x" * (LARGEST_TEXT - 4) + b"slow", text="slow") != []
    assert found(b"x" * (LARGEST_TEXT - 3) + b"slow", text="slow") == []
    assert found(b"\xff\xfe slow", text="slow") != []


def test_a_header_of_the_apis_own_is_a_wait():
    """Whatever its name's case; an absent or unreadable one says nothing."""
    assert found(b"", 429, [("x-backoff", "1500")], header="X-Backoff", kind="milliseconds") == [RuledWait(1.5)]
    assert found(b"", 429, [("x-backoff", "-1")], header="X-Backoff") == []
    assert found(b"", header="X-Backoff") == []


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 429]))
def test_no_body_breaks_it(body, status):
    """Nothing raised, no wait below nothing."""
    stated(body, status)
    rules = [{"body": "*[0] | [0]"}, {"body": "sum(@)"}, {"text": "(?P<wait>.*)"}, {"text": "again"}]
    for rule in rules:
        assert all(wait.wait_s is None or wait.wait_s >= 0 for wait in found(body, status, **rule))
