import base64
from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.policies import ToldLimit, draft_limits

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
PARTITIONS = st.none() | st.binary(min_size=1, max_size=4)


def told(service_limits=None, policies=None):
    """What a RateLimit and a RateLimit-Policy field say; of a list, each text is a line of its own."""
    fields = {"ratelimit": service_limits, "ratelimit-policy": policies}
    return draft_limits({name: [said] if isinstance(said, str) else said for name, said in fields.items() if said})


@pytest.mark.parametrize(
    ("service_limits", "policies", "limits"),
    [
        ('"default";r=50;t=30', None, [ToldLimit("default", remaining=50, reset_s=30)]),
        ('"default";r=50', None, [ToldLimit("default", remaining=50)]),
        (
            '"burst";r=0;t=3, "daily";r=900;t=40000',
            None,
            [ToldLimit("burst", remaining=0, reset_s=3), ToldLimit("daily", remaining=900, reset_s=40000)],
        ),
        (
            ['"burst";r=0;t=3', '"daily";r=900'],
            None,
            [ToldLimit("burst", remaining=0, reset_s=3), ToldLimit("daily", remaining=900)],
        ),
        (
            '"burst";r=7',
            '"burst";q=100;w=60,"daily";q=1000;w=86400',
            [ToldLimit("burst", remaining=7, quota=100, per_s=60), ToldLimit("daily", quota=1000, per_s=86400)],
        ),
        (
            '"burst";r=7;acme-why="because"',
            '"burst";q=100;w=60;acme-tier=gold',
            [ToldLimit("burst", remaining=7, quota=100, per_s=60)],
        ),
        (
            '"size";r=4096;t=60',
            '"size";q=65535;qu="content-bytes";w=10',
            [ToldLimit("size", "content-bytes", 4096, 60, 65535, 10)],
        ),
        (None, '"at once";q=5;qu="concurrent-requests"', [ToldLimit("at once", "concurrent-requests", quota=5)]),
        (None, '"a";q=5;qu="request"', [ToldLimit("a", "requests", quota=5)]),
        (None, '"a";q=5;qu="parsecs"', [ToldLimit("a", "parsecs", quota=5)]),
    ],
)
def test_both_fields_are_read_together(service_limits, policies, limits):
    """The examples of the draft, sections 3 and 4: a service limit has the unit and the window of its policy."""
    assert told(service_limits, policies) == limits


@pytest.mark.parametrize(
    "field",
    [
        '"default";t=30',
        '"default";r=-1;t=30',
        '"default";r=1.5;t=30',
        '"default";r="5"',
        '"default";r=?1',
        '"default";r=5;t=-1',
        '"default";r=5;t=1.0',
        '"default";r=5;pk="text"',
        "default;r=5",
        "5;r=5",
        '("default");r=5',
        '"default";r=5, "unclosed',
        '"good";r=5, "bad";r=-1',
        '"default";r=5;t=999999999999999',
        '"default";r=1000000000000000',
        "",
    ],
)
def test_a_malformed_service_limit_discards_the_field(field):
    """Section 7: malformed fields MUST be ignored; the policies beside it are another field."""
    assert told(field) == []
    assert ToldLimit("a", quota=5, per_s=9) in told(field, '"a";q=5;w=9')


@pytest.mark.parametrize(
    "field",
    [
        *('"a"', '"a";q=-1', '"a";q=1.5', '"a";q=5;w=0', '"a";q=5;w=-1', '"a";q=5;w=1.5', '"a";q=5;qu=token', "a;q=5"),
        *('"a";q=5;pk=1', '"a";q=5,', '"good";q=5;w=1, "bad"', "-5;w=60", "10;w=1, 50;w=0"),
    ],
)
def test_a_malformed_policy_discards_the_field(field):
    """The service limits beside it still hold, counted in requests."""
    assert told(None, field) == []
    assert told('"a";r=5;t=9', field) == [ToldLimit("a", remaining=5, reset_s=9)]


def test_a_window_beyond_all_reason_is_none():
    """A policy may be hostile; its quota may still be read."""
    assert told(None, '"a";q=5;w=999999999999999') == [ToldLimit("a", quota=5)]
    assert told(None, '"a";q=5;w=31622400') == [ToldLimit("a", quota=5, per_s=366 * 86400)]
    assert told("remaining=5, reset=31622400") == [ToldLimit("ratelimit", remaining=5, reset_s=366 * 86400)]


@pytest.mark.parametrize("field", ['"a";q=5;w=10, "a";q=9;w=60', '"a";q=9;w=60, "a";q=5;w=10', '"a";q=9;w=60, "a";q=5'])
def test_of_policies_with_one_key_the_most_restrictive_holds(field):
    """The fewest in the longest window."""
    assert told(None, field) == [ToldLimit("a", quota=5, per_s=60)]


def test_partitions_of_one_policy_are_counted_apart():
    """Section 4.1.3: quotas are allocated per partition key; a policy without one stands for all."""
    limits = told('"a";r=5;pk=:b25l:, "a";r=9;pk=:dHdv:, "b";r=1;pk=:b25l:', '"a";q=10;w=1;pk=:b25l:, "b";q=2;w=3')
    assert limits == [
        ToldLimit("a;pk=b25l", remaining=5, quota=10, per_s=1),
        ToldLimit("a;pk=dHdv", remaining=9),
        ToldLimit("b;pk=b25l", remaining=1, quota=2, per_s=3),
        ToldLimit("b", quota=2, per_s=3),
    ]


@given(st.lists(st.tuples(NAMES, PARTITIONS, st.integers(0, 99), st.none() | st.integers(0, 99)), min_size=1))
def test_of_items_with_one_key_the_most_restrictive_holds(items):
    """The fewest that remain, the latest reset: no item of a field is ever exceeded."""
    written: Any = [
        (
            name,
            {key: value for key, value in {"r": remaining, "t": reset_s, "pk": partition}.items() if value is not None},
        )
        for name, partition, remaining, reset_s in items
    ]
    limits = {limit.name: limit for limit in told(http_sf.ser(written))}
    for name, partition, remaining, reset_s in items:
        limit = limits[name if partition is None else f"{name};pk={base64.b64encode(partition).decode()}"]
        assert limit.remaining is not None
        assert limit.remaining <= remaining
        assert reset_s is None or (limit.reset_s is not None and limit.reset_s >= reset_s)


@pytest.mark.parametrize(
    ("service_limits", "policies", "limits"),
    [
        ("limit=100, remaining=50, reset=30", None, [ToldLimit("ratelimit", remaining=50, reset_s=30, quota=100)]),
        (
            "limit=100, remaining=0",
            "100;w=60",
            [ToldLimit("ratelimit", remaining=0, quota=100, per_s=60), ToldLimit("100;w=60", quota=100, per_s=60)],
        ),
        ("remaining=50, limit=100", None, [ToldLimit("ratelimit", remaining=50, quota=100)]),
        (" reset=30, remaining=50", None, [ToldLimit("ratelimit", remaining=50, reset_s=30)]),
        ("limit=100, remaining=-1, reset=30", None, []),
        ("limit=100, reset=30", None, []),
        ("remaining=50, reset=999999999999", None, []),
        ("remaining=50, reset", None, []),
        ("remaining=(1 2)", None, []),
        (
            None,
            "10;w=1, 50;w=60;comment=x",
            [ToldLimit("10;w=1", quota=10, per_s=1), ToldLimit("50;w=60", quota=50, per_s=60)],
        ),
    ],
)
def test_forerunners_of_the_draft_are_read(service_limits, policies, limits):
    """Draft 07 had a dictionary, and policies without names: widespread middleware still sends them."""
    assert told(service_limits, policies) == limits


@given(st.lists(st.text(), max_size=2), st.lists(st.text(), max_size=2))
def test_no_text_breaks_it(service_limits, policies):
    """A list of limits, none of them negative."""
    for limit in told(service_limits, policies):
        assert all(value is None or value >= 0 for value in (limit.remaining, limit.reset_s, limit.quota, limit.per_s))
