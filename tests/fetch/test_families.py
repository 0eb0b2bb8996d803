from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.families import family_limits, window_limits
from fetcher.fetch.http_dates import as_http_date
from fetcher.fetch.policies import ToldLimit
from fetcher.job.hints import WindowRule

NOW = datetime(2024, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
FAMILIES = ["x-ratelimit", "x-rate-limit", "ratelimit", "rate-limit"]
PARTS = ["limit", "remaining", "reset", "reset-after", "interval"]


def family(prefix="x-ratelimit", kind="auto", suffix="", **parts):
    fields = {f"{prefix}-{part.replace('_', '-')}{suffix}": [text] for part, text in parts.items()}
    return family_limits(fields, kind, NOW)


@pytest.mark.parametrize("prefix", FAMILIES)
def test_a_family_is_known_by_each_of_its_names(prefix):
    """Limit, Remaining and Reset of one prefix belong together."""
    limits = family(prefix, limit="5000", remaining="4999", reset="30")
    assert limits == [ToldLimit(prefix, remaining=4999, reset_s=30, quota=5000)]


@pytest.mark.parametrize(
    ("kind", "reset", "reset_s"),
    [
        ("auto", f"{NOW + 30:.0f}", 30),
        ("auto", f"{(NOW + 30) * 1000:.0f}", 30),
        ("auto", "30", 30),
        ("auto", "64.57", 64.57),
        ("auto", "6m0s", 360),
        ("auto", as_http_date(NOW + 30), 30),
        ("auto", "2024-01-31T12:00:30Z", 30),
        ("milliseconds", "600000", 600),
        ("seconds", "600000", 600_000),
    ],
)
def test_every_kind_of_reset_is_read(kind, reset, reset_s):
    """Six dialects; milliseconds that are left only where the job says so."""
    assert family(kind=kind, remaining="0", reset=reset) == [ToldLimit("x-ratelimit", remaining=0, reset_s=reset_s)]


def test_budgets_are_told_apart_by_what_they_count():
    """Requests and tokens side by side; a unit that nobody knows keeps its name and counts no requests."""
    fields = {
        "x-ratelimit-limit-requests": ["120"],
        "x-ratelimit-remaining-requests": ["119"],
        "x-ratelimit-reset-requests": ["17ms"],
        "x-ratelimit-remaining-tokens": ["0"],
        "x-ratelimit-reset-tokens": ["1m4.296s"],
        "x-ratelimit-remaining-minute": ["3"],
    }
    assert family_limits(fields, "auto", NOW) == [
        ToldLimit("x-ratelimit", "requests", remaining=119, reset_s=0.017, quota=120),
        ToldLimit("x-ratelimit-tokens", "tokens", remaining=0, reset_s=64.296),
        ToldLimit("x-ratelimit-minute", "minute", remaining=3),
    ]


def test_what_is_left_wins_over_an_epoch():
    """`Reset-After` is exact and beyond misunderstanding."""
    assert family(remaining="0", reset="1470173023.123", reset_after="64.57")[0].reset_s == 64.57


def test_a_limit_may_list_its_policies():
    """Drafts up to 06: `100, 100;w=60`; the window is that of the quota in force."""
    assert family("ratelimit", limit="100, 100;w=60, 5000;w=3600", remaining="9", reset="30") == [
        ToldLimit("ratelimit", remaining=9, reset_s=30, quota=100, per_s=60),
        ToldLimit("100;w=60", quota=100, per_s=60),
        ToldLimit("5000;w=3600", quota=5000, per_s=3600),
    ]


def test_a_limit_and_an_interval_are_a_rate():
    """Crossref's way: so many in so long."""
    fields = {"x-rate-limit-limit": ["5"], "x-rate-limit-interval": ["1s"]}
    assert family_limits(fields, "auto", NOW) == [ToldLimit("x-rate-limit", quota=5, per_s=1)]


@pytest.mark.parametrize(
    "parts",
    [
        {"remaining": "-1", "reset": "30"},
        {"remaining": "5", "reset": "-1"},
        {"limit": "-1", "remaining": "5", "reset": "30"},
        {"remaining": "many", "reset": "30"},
        {"remaining": "5", "reset": "soon"},
        {"remaining": "", "reset": "30"},
        {"remaining": "5", "reset": ""},
        {"remaining": "5, 6", "reset": "30"},
        {"remaining": "1e3", "reset": "30"},
        {"remaining": "9" * 19, "reset": "30"},
        {"remaining": "5", "reset": "1706702430000000"},
        {"remaining": "5", "reset": "30", "interval": "soon"},
    ],
)
def test_a_family_with_one_bad_part_is_ignored_whole(parts):
    """Negative sentinels ("no limit") and everything that cannot be read: a half-understood limit is not obeyed."""
    assert family(**parts) == []
    assert family_limits({"x-rate-limit-remaining": ["7"]} | named(parts), "auto", NOW) == [
        ToldLimit("x-rate-limit", remaining=7)
    ]


def named(parts):
    return {f"x-ratelimit-{part}": [text] for part, text in parts.items()}


def test_a_limit_in_words_is_passed_over():
    """Nothing depends on it."""
    assert family(limit="100 per hour", remaining="5", reset="30") == [
        ToldLimit("x-ratelimit", remaining=5, reset_s=30)
    ]


def test_a_header_that_comes_twice_must_say_the_same():
    """Two proxies may repeat each other; when they differ nobody knows which to believe."""
    same = {"x-ratelimit-remaining": ["5", "5 "], "x-ratelimit-reset": ["30"]}
    assert family_limits(same, "auto", NOW) == [ToldLimit("x-ratelimit", remaining=5, reset_s=30)]
    assert family_limits(same | {"x-ratelimit-remaining": ["5", "6"]}, "auto", NOW) == []


@pytest.mark.parametrize("name", ["x-ratelimit", "ratelimit-policy", "x-ratelimit-used", "my-ratelimit-reset"])
def test_other_headers_belong_to_no_family(name):
    """Only the four prefixes and the five parts."""
    assert family_limits({name: ["5"]}, "auto", NOW) == []


@pytest.mark.parametrize(
    ("rule", "fields", "limits"),
    [
        (
            {"remaining": "X-Rl", "reset": "X-Ttl", "kind": "seconds"},
            {"x-rl": ["0"], "x-ttl": ["42"]},
            [ToldLimit("x-rl", remaining=0, reset_s=42)],
        ),
        (
            {"remaining": "T-Left", "reset": "T-At", "unit": "tokens"},
            {"t-left": ["7"], "t-at": ["2024-01-31T12:00:30Z"]},
            [ToldLimit("t-left", "tokens", remaining=7, reset_s=30)],
        ),
        (
            {"filling": "Call-Limit", "refill": "2/s"},
            {"call-limit": ["32/40"]},
            [ToldLimit("call-limit", remaining=8, reset_s=0.5)],
        ),
        ({"filling": "Call-Limit"}, {"call-limit": ["41/40"]}, [ToldLimit("call-limit", remaining=0)]),
        ({"filling": "Call-Limit"}, {"call-limit": ["full"]}, []),
        ({"filling": "Call-Limit"}, {"call-limit": ["-1/40"]}, []),
        ({"filling": "Call-Limit"}, {}, []),
        ({"limit": "L", "interval": "I"}, {"l": ["10"], "i": ["1s"]}, [ToldLimit("l", quota=10, per_s=1)]),
        ({"remaining": "X-Rl", "reset": "X-Ttl"}, {"x-rl": ["-1"], "x-ttl": ["42"]}, []),
    ],
)
def test_headers_of_an_apis_own_are_read_as_the_job_says(rule, fields, limits):
    """Whatever their names; a bucket tells how full it is, and has room again when one has run out."""
    assert window_limits(fields, [WindowRule(**rule)], NOW) == limits


def test_each_window_of_an_apis_own_is_told():
    """Those behind the first, and behind one that cannot be read, too; one without a count is called by its limit."""
    rules = [
        WindowRule(limit="L-Minute", interval="I-Minute"),
        WindowRule(remaining="Broken", reset="R"),
        WindowRule(remaining="Day", reset="R", kind="seconds"),
        WindowRule(filling="Bucket"),
    ]
    fields = {"l-minute": ["10"], "i-minute": ["60"], "broken": ["-1"], "day": ["5"], "r": ["9"], "bucket": ["1/4"]}
    assert window_limits(fields, rules, NOW) == [
        ToldLimit("l-minute", quota=10, per_s=60),
        ToldLimit("day", remaining=5, reset_s=9),
        ToldLimit("bucket", remaining=3),
    ]


def test_absent_headers_say_nothing():
    """A rule for headers that do not come finds no limit."""
    [limit] = window_limits({}, [WindowRule(remaining="X-Rl", reset="X-Ttl")], NOW)
    assert (limit.remaining, limit.reset_s, limit.quota) == (None, None, None)


@given(st.dictionaries(st.sampled_from([f"x-ratelimit-{part}" for part in PARTS]), st.lists(st.text(), min_size=1)))
def test_no_text_breaks_it(fields):
    """A list of limits, none of them negative."""
    rule = WindowRule(filling="x-ratelimit-limit", refill="1/s")
    for limit in family_limits(fields, "auto", NOW) + window_limits(fields, [rule], NOW):
        assert all(value is None or value >= 0 for value in (limit.remaining, limit.reset_s, limit.quota, limit.per_s))
