"""What an answer says of waits and allowances. The letters are those of the fault catalogue."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import GaveUp, Parked
from fetcher.fetch.hints import Hints, Quota, ToldAllowance, hints
from fetcher.fetch.http_dates import as_http_date
from fetcher.fetch.retries import AttemptFailed, Retries, hinted_s, judged
from fetcher.fetch.retry_after import FOR_EVER_S
from fetcher.job import sections
from fetcher.job.hints import HintsSection
from fetcher.model import Request, Response
from fetcher.testing.clock import VirtualClock, run_virtual

NOW = datetime(2024, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
DAY_S = 86400
TYPES = "https://iana.org/assignments/http-problem-types#"
NAMES = [
    *("Retry-After", "retry-after-ms", "x-should-retry", "Date", "Age", "RateLimit", "RateLimit-Policy"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Rate-Limit-Interval"),
    *("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "X-Concurrency-Limit", "Content-Type", "X-Own"),
]
TEXTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r'"[a-c]";(q|r|t|w)=-?[0-9]{1,16}(;(q|r|t|w)=[0-9]{1,9}){0,3}(, "[a-c]";r=0)?', fullmatch=True),
    st.from_regex(r"([0-9]{1,3}(ms|s|m|h)){1,4}", fullmatch=True),
    st.integers(0, 4_000_000_000).map(as_http_date),
    st.sampled_from(["true", "false", "application/problem+json", "2024-01-31T12:00:30Z", "32/40", "limit=1, reset=2"]),
)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), TEXTS), max_size=8)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(["quota-exceeded", "abnormal-usage-detected"]).map(
        lambda name: f'{{"type": "{TYPES}{name}"}}'.encode()
    ),
    st.floats().map(lambda number: json.dumps({"backoff": number}).encode()),
    st.just(b"please try again in 1m4.2s"),
)
EVERYTHING = HintsSection(
    should_retry=True,
    waits=[
        {"header": "X-Own", "kind": "milliseconds"},
        {"body": "backoff"},
        {"text": "try again in (?P<wait>[^ ]*)"},
    ],
    windows=[{"remaining": "X-Own", "reset": "X-RateLimit-Reset"}, {"filling": "X-Own", "refill": "2/s"}],
)


def answer(status=200, body=b"", from_cache=False, **headers):
    """`x_ratelimit_reset="30"` is the header X-Ratelimit-Reset."""
    named = tuple((name.replace("_", "-").title(), str(text)) for name, text in headers.items())
    return Response(status, named, body, NOW, from_cache)


def told(status=200, body=b"", settings=None, from_cache=False, **headers):
    settings = HintsSection(**(settings or {}))
    return hints(answer(status, body, from_cache, **headers), settings, NOW)


def judge(response, **settings):
    return judged(response, hints(response, HintsSection(**settings), NOW))


def after_failures(responses, seconds=0.5, max_wait="2 min", **settings):
    """When attempts were made that are answered so, in seconds from the first, and how it ended."""
    clock = VirtualClock(NOW)
    made: list[float] = []
    coming = iter(responses)

    async def attempt():
        made.append(clock.now() - NOW)
        return judge(next(coming), **settings)

    retrying = sections.Retries(attempts=len(responses), first_wait=f"{seconds} s", max_wait=max_wait)
    try:
        ended: object = run_virtual(Retries(retrying, random.Random(0), clock.now).run(attempt), clock)
    except (Parked, GaveUp) as error:
        ended = error
    return made, ended


@pytest.mark.parametrize("status", [200, 202, 301, 399, 400, 503])
def test_a_wait_is_heard_whatever_the_status(status):
    """A result may ask for one too, in each of the ways in which a wait is asked for."""
    assert told(status, retry_after="5").wait_s == 5
    assert told(status, retry_after_ms="1500").wait_s == 1.5


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_a_problem_is_heard_of_every_refusal(status):
    """No header has to say anything of waits beside it."""
    body = json.dumps({"type": f"{TYPES}quota-exceeded"}).encode()
    assert told(status, body, content_type="application/problem+json").is_throttled


async def test_h01_a_wait_holds_for_the_whole_realm(client_of, speaking):
    """Fifty under way are told to wait: none of the fifty comes before, and then no faster than the job declares."""
    wait_ms, rate, window_s = 300, 10, 0.1
    arrivals: list[float] = []
    told_at: list[float] = []
    full = asyncio.Event()

    async def respond(number, head, writer):
        loop = asyncio.get_running_loop()
        arrivals.append(loop.time())
        if number < 50:
            await full.wait()
        elif number == 50:
            full.set()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            return
        told_at.append(loop.time())
        writer.write(f"HTTP/1.1 429 Slow\r\nretry-after-ms: {wait_ms}\r\nContent-Length: 0\r\n\r\n".encode())

    limits = {"rate": f"{rate}/{window_s * 1000:.0f} ms", "concurrency": 50, "strict": False, "smooth": False}
    async with (
        speaking(respond) as (url, _),
        client_of(url, limits=limits) as (client, _),
        asyncio.TaskGroup() as group,
    ):
        for row in range(50):
            group.create_task(client.fetch(Request("GET", f"{url}/{row}")))
    again = sorted(arrivals[50:])
    assert len(again) == 50
    assert again[0] >= min(told_at) + wait_ms / 1000
    # What a busy loop notices late is bunched in its notes; a burst of all fifty would be one window.
    assert again[-1] - again[0] >= (50 / rate - 2) * window_s


@pytest.mark.parametrize("wrong_s", [3600, -3600, DAY_S, -DAY_S, 0])
def test_h02_a_date_counts_from_the_servers_clock(wrong_s):
    """A date three seconds ahead, by a clock that is an hour off: three seconds, and a tenth at most."""
    server_now = NOW + wrong_s
    wait_s = told(429, retry_after=as_http_date(server_now + 3), date=as_http_date(server_now)).wait_s
    assert wait_s == 3
    assert 3 <= hinted_s(wait_s, random.Random(0)) <= 4


@pytest.mark.parametrize("text", ["0", as_http_date(NOW - 5), "", "soon", "-5", "1e9"])
def test_h04_a_useless_wait_leaves_the_jobs_own_back_off(text):
    """Zero, past or unreadable: neither a hot loop nor a crash."""
    assert not told(429, retry_after=text).wait_s
    made, ended = after_failures([answer(429, retry_after=text)] * 6)
    assert isinstance(ended, GaveUp)
    assert len(made) == 6
    assert made[-1] > 1


def test_h04_a_wait_of_thirty_digits_parks():
    """Too long to mean anything is still too long to sit out."""
    made, ended = after_failures([answer(429, retry_after="9" * 30)] * 2)
    assert made == [0]
    assert isinstance(ended, Parked)
    assert ended.until == NOW + FOR_EVER_S


def test_h05_a_day_is_not_slept():
    """The row is parked until then; the seam to the ledger is `Parked.until`. A kept answer says nothing any more."""
    made, ended = after_failures([answer(429, retry_after=86400)] * 2)
    assert made == [0]
    assert isinstance(ended, Parked)
    assert ended.until == NOW + 86400
    assert told(429, retry_after=86400, from_cache=True) == Hints()
    assert told(200, ratelimit='"a";r=0;t=3', x_ratelimit_remaining=0, from_cache=True) == Hints()


@pytest.mark.parametrize(
    ("reset", "settings"),
    [
        (f"{NOW + 30:.0f}", {}),
        (f"{(NOW + 30) * 1000:.0f}", {}),
        ("30", {}),
        ("30.25", {}),
        ("30000", {"reset": "milliseconds"}),
        ("30s", {}),
        ("0m30s", {}),
        ("2024-01-31T12:00:30Z", {}),
        (as_http_date(NOW + 30), {}),
    ],
)
@pytest.mark.parametrize("wrong_s", [0, 3600, -DAY_S])
def test_h06_a_used_up_limit_holds_the_realm_until_its_reset(reset, settings, wrong_s):
    """On a 200, in every dialect, whatever our own clock says."""
    response = answer(200, x_ratelimit_remaining=0, x_ratelimit_reset=reset, date=as_http_date(NOW))
    said = hints(response, HintsSection(**settings), NOW + wrong_s)
    assert said.wait_s == pytest.approx(30, abs=1)
    assert said.allowances == (ToldAllowance("x-ratelimit", 0, said.wait_s or 0),)
    assert judged(response, said) is response


def test_h06_what_is_left_is_an_allowance():
    """No wait while there is some."""
    said = told(200, x_ratelimit_limit=60, x_ratelimit_remaining=7, x_ratelimit_reset=30)
    assert said == Hints(allowances=(ToldAllowance("x-ratelimit", 7, 30),))


def test_h08_of_several_budgets_all_must_have_room():
    """The one that is used up says when; both are told to the realm."""
    said = told(200, ratelimit='"burst";r=0;t=3, "daily";r=900;t=40000')
    assert said.wait_s == 3
    assert said.allowances == (ToldAllowance("burst", 0, 3), ToldAllowance("daily", 900, 40000))


def test_h08_without_a_reset_the_window_of_the_policy_holds():
    """`r=0` without `t`: `w` seconds, and else the job's own back-off."""
    said = told(200, ratelimit='"burst";r=0', ratelimit_policy='"burst";q=100;w=60,"daily";q=1000;w=86400')
    assert said.wait_s == 60
    assert said.allowances == (ToldAllowance("burst", 0, 60),)
    assert said.quotas == (Quota("burst", 100, 60), Quota("daily", 1000, 86400))
    assert told(200, ratelimit='"burst";r=0') == Hints()


@pytest.mark.parametrize(
    "field", ['"burst";r=0;t=3, "unclosed', '"burst";r=0.5;t=3', '"burst";r=-1;t=3', "=", '"a";r=0;t=3,']
)
def test_h09_a_malformed_field_is_ignored_whole(field):
    """Nothing of it is believed, and the families beside it are."""
    assert told(200, ratelimit=field) == Hints()
    assert told(200, ratelimit=field, x_ratelimit_remaining=0, x_ratelimit_reset=5).wait_s == 5


def test_h10_retry_after_wins():
    """Section 7 of the draft: it MUST take precedence over `t`; what is left elsewhere still holds."""
    said = told(429, retry_after=1, ratelimit='"burst";r=0;t=30, "daily";r=9;t=40000')
    assert said.wait_s == 1
    assert said.allowances == (ToldAllowance("daily", 9, 40000),)
    assert told(429, retry_after=0, ratelimit='"burst";r=0;t=30').wait_s == 30


@pytest.mark.parametrize(
    ("service_limits", "policies"),
    [
        ('"a";r=1000000000000000;t=0', '"a";q=1000000000000000;w=0'),
        ('"a";r=999999999999999;t=0', '"a";q=999999999999999;w=0'),
        ('"a";r=0;t=0', None),
        ('"a";r=0;t=999999999999999', '"a";q=0;w=999999999999999'),
    ],
)
def test_h11_hostile_values_say_nothing(service_limits, policies):
    """The job's own caps rule: nothing to wait for, nothing to be allowed."""
    said = told(200, ratelimit=service_limits, **({"ratelimit_policy": policies} if policies else {}))
    assert not said.wait_s
    assert (said.allowances, said.quotas, said.concurrency) == ((), (), None)


def test_h12_other_units_are_not_read_as_requests():
    """Bytes are a budget of their own, requests at once a cap, and what nobody knows stops nothing."""
    policies = (
        '"size";q=65535;qu="content-bytes";w=10, "at once";q=5;qu="concurrent-requests", "x";q=9;qu="parsecs";w=9'
    )
    said = told(200, ratelimit='"size";r=4096;t=6, "at once";r=0;t=8, "x";r=0;t=7', ratelimit_policy=policies)
    assert said.wait_s is None
    assert said.allowances == ()
    assert said.budgets == (ToldAllowance("size", 4096, 6, "content-bytes"), ToldAllowance("x", 0, 7, "parsecs"))
    assert said.quotas == (Quota("size", 65535, 10, "content-bytes"), Quota("x", 9, 9, "parsecs"))
    assert said.concurrency == 5
    assert told(200, ratelimit='"size";r=0;t=6', ratelimit_policy='"size";q=9;qu="content-bytes"').wait_s == 6
    assert told(429, ratelimit='"x";r=0;t=7', ratelimit_policy='"x";q=9;qu="parsecs"').wait_s == 7


@pytest.mark.parametrize(("field", "cap"), [("1", 1), ("3", 3), ("0", 1), ("-1", None), ("many", None), ("", None)])
def test_h12_a_cap_of_its_own_header_is_read(field, cap):
    """One request may always be under way, or nothing would ever be asked again."""
    assert told(200, x_concurrency_limit=field).concurrency == cap
    assert told(200, x_own=field, settings={"concurrency": "X-Own"}).concurrency == cap
    both = {"ratelimit_policy": '"a";q=5;qu="concurrent-requests", "b";q=7;qu="concurrent-requests"'}
    assert told(200, x_concurrency_limit=field, **both).concurrency == (5 if cap is None else min(cap, 5))


def test_s03_a_403_with_nothing_left_is_throttling():
    """With the reset that it tells; without one a minute, then two, bounded; with something left it is a refusal."""
    with pytest.raises(AttemptFailed) as caught:
        judge(answer(403, x_ratelimit_remaining=0, x_ratelimit_reset=f"{NOW + 90:.0f}"))
    assert (caught.value.hint_s, caught.value.is_guess) == (90, False)
    assert told(403, x_ratelimit_remaining=0) == Hints(wait_s=60, is_throttled=True, is_guess=True)
    assert told(404, x_ratelimit_remaining=0) == Hints()
    with pytest.raises(GaveUp):
        judge(answer(403, x_ratelimit_remaining=5, x_ratelimit_reset=f"{NOW + 90:.0f}"))
    with pytest.raises(GaveUp):
        judge(answer(403, x_ratelimit_remaining_minute=0))
    made, ended = after_failures([answer(403, x_ratelimit_remaining=0)] * 5, max_wait="3 min")
    waits = [later - sooner for sooner, later in pairwise(made)]
    assert isinstance(ended, GaveUp)
    for wait_s, least_s in zip(waits, [60, 120, 180, 180], strict=True):
        assert least_s <= wait_s <= 1.1 * least_s + 10


def test_s03_a_secondary_limit_is_known_by_its_text():
    """No header says it: a rule of the job does. By itself a 403 stays a matter of credentials."""
    body = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
    rule = {"waits": [{"text": "secondary rate limit"}]}
    with pytest.raises(GaveUp):
        judge(answer(403, body))
    with pytest.raises(GaveUp):
        judge(answer(403, b"forbidden"), **rule)
    made, ended = after_failures([answer(403, body), answer(403, body), answer(200)], **rule)
    assert isinstance(ended, Response)
    assert made[1] >= 60
    assert made[2] - made[1] >= 120
    two = {"waits": [{"text": "secondary", "least": "2 min"}, {"text": "rate limit", "least": "90 s"}]}
    assert told(403, body, two) == Hints(wait_s=120, is_throttled=True, is_guess=True)
    assert told(403, body, rule, retry_after=5) == Hints(wait_s=5, is_throttled=True)


def test_s12_the_servers_number_is_told_as_it_is():
    """Another client eats from the quota: whatever was left before, what the newest answer says is passed on."""
    for remaining in (50, 20, 3, 1):
        assert told(200, ratelimit=f'"a";r={remaining};t=9').allowances == (ToldAllowance("a", remaining, 9),)
    assert told(200, ratelimit='"a";r=0;t=9').wait_s == 9


def test_s13_every_answer_speaks_for_itself():
    """A reset may grow from answer to answer; where fields stay away there is nothing, and the job's rate holds."""
    for reset_s in (3, 30, 7):
        assert told(200, ratelimit=f'"a";r=1;t={reset_s}').allowances == (ToldAllowance("a", 1, reset_s),)
    assert all(told(200, content_type="application/json") == Hints() for _ in range(100))


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 31 Jan 2024 12:00:00"])
def test_t07_without_a_usable_date_our_own_clock_counts(date):
    """The same holds for a wait, a reset and a date of the answer's body."""
    dated = {} if date is None else {"date": date}
    rule = {"waits": [{"body": "until"}]}
    assert told(429, retry_after=as_http_date(NOW + 30), **dated).wait_s == 30
    assert told(200, x_ratelimit_remaining=0, x_ratelimit_reset=f"{NOW + 30:.0f}", **dated).wait_s == 30
    assert told(429, b'{"until": "2024-01-31T12:00:30Z"}', rule, **dated).wait_s == 30


def test_t07_an_answer_that_a_cache_has_kept_has_an_old_date():
    """Rule 3: its `Date` is not that of now, and what it says of limits was another's."""
    kept = {"age": 600, "date": as_http_date(NOW - 600)}
    assert told(503, retry_after=as_http_date(NOW + 30), **kept).wait_s == 30
    assert told(200, ratelimit='"a";r=0;t=3', x_ratelimit_remaining=0, x_ratelimit_reset=3, **kept) == Hints()
    assert told(200, ratelimit='"a";r=0;t=3', age=0).wait_s == 3


@pytest.mark.parametrize(
    "dialect", ["retry-after", "retry-after date", "ratelimit", "delta", "epoch", "epoch ms", "iso", "go"]
)
def test_no_hinted_wait_ends_early(dialect):
    """10,000 waits over all dialects, both clocks wrong by up to a day: never one request before its time."""
    clock = VirtualClock(NOW)
    chance = random.Random(dialect)
    retrying = sections.Retries(attempts=2)
    seen: Counter[str] = Counter()

    async def one() -> None:
        wrong_s, our_wrong_s = chance.uniform(-DAY_S, DAY_S), chance.uniform(-DAY_S, DAY_S)
        wait_s = chance.choice([1, 2, 7, 60, 119, 3600, 86400, chance.randrange(1, 10**6)])
        ready_at = 0.0

        def ours() -> float:
            return clock.now() + our_wrong_s

        async def attempt() -> Response:
            nonlocal ready_at
            if not ready_at:
                response, ready_at = said(dialect, clock.now() + wrong_s, wait_s)
                ready_at -= wrong_s
                await asyncio.sleep(chance.uniform(0, 2))
                return judged(response, hints(response, HintsSection(), ours()))
            seen["early" if clock.now() < ready_at - 1e-3 else "late" if clock.now() > ready_at + 45 else "kept"] += 1
            return Response(200, (), b"", ours())

        try:
            await Retries(retrying, chance, ours).run(attempt)
        except Parked as parked:
            # Retries' clock is set to wherever it is wrong, and stays so: what counts is how long it is from now.
            seen["early" if parked.until - ours() < ready_at - clock.now() - 1e-3 else "parked"] += 1

    async def story() -> None:
        for _ in range(1250):
            await one()

    run_virtual(story(), clock)
    assert seen["early"] == seen["late"] == 0
    assert seen["kept"] > 300
    assert seen["parked"] > 300


def said(dialect, server_now, wait_s):
    """A 429 by a server's clock, and the moment of that clock from which on it would serve again."""
    until = int(server_now) + wait_s + 1
    family = {"X-RateLimit-Remaining": "0"}
    headers = {
        "retry-after": {"Retry-After": str(wait_s)},
        "retry-after date": {"Retry-After": as_http_date(until)},
        "ratelimit": {"RateLimit": f'"a";r=0;t={wait_s}, "b";r=5;t=1000000'},
        "delta": family | {"X-RateLimit-Reset": str(wait_s)},
        "epoch": family | {"X-RateLimit-Reset": str(until)},
        "epoch ms": family | {"X-RateLimit-Reset": str(until * 1000)},
        "iso": family | {"X-RateLimit-Reset": datetime.fromtimestamp(until, UTC).isoformat()},
        "go": family | {"X-RateLimit-Reset": f"{wait_s // 60}m{wait_s % 60}s"},
    }[dialect]
    is_moment = dialect in ("retry-after date", "epoch", "epoch ms", "iso")
    response = Response(429, (("Date", as_http_date(int(server_now))), *headers.items()), b"", NOW)
    return response, until if is_moment else server_now + wait_s


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after_ms": "374"}, 0.374),
        ({"retry_after_ms": "374", "retry_after": "1"}, 0.374),
        ({"x_ms_retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "0", "retry_after": "1"}, 1),
        ({"retry_after_ms": "-5", "retry_after": "1"}, 1),
        ({"retry_after_ms": "soon", "retry_after": "1"}, 1),
        ({"retry_after_ms": "9" * 18}, FOR_EVER_S),
    ],
)
def test_milliseconds_are_the_same_wait_more_exactly(headers, wait_s):
    """A vendor's `retry-after-ms` comes before `Retry-After`, unless it says nothing usable."""
    assert told(429, **headers).wait_s == pytest.approx(wait_s)


@pytest.mark.parametrize("name", ["x_should_retry", "stripe_should_retry"])
def test_a_server_may_overrule_the_status(name):
    """Where the job believes it: false ends a retry, true begins one; an answer stays an answer."""
    believing = {"should_retry": True}
    for status, said, reaction in [(409, "true", AttemptFailed), (400, "true", AttemptFailed), (500, "false", GaveUp)]:
        with pytest.raises(reaction):
            judge(answer(status, **{name: said}), **believing)
    assert judge(answer(200, **{name: "true"}), **believing).status == 200
    assert told(429, **{name: "false"}).should_retry is None
    assert told(429, settings=believing, **{name: "maybe"}).should_retry is None
    with pytest.raises(AttemptFailed):
        judge(answer(500, **{name: "false"}))


def test_two_servers_words_against_each_other_are_none():
    """One says retry, the other does not."""
    both = {"x_should_retry": "true", "stripe_should_retry": "false"}
    assert told(429, settings={"should_retry": True}, **both).should_retry is None


def problem(name, *violated):
    return json.dumps({"type": f"{TYPES}{name}", "violated-policies": violated}).encode()


def test_a_problem_says_which_policy_was_violated():
    """Its reset counts although something remains of it; without one its window does; the others do not."""
    limits = '"burst";r=5;t=30, "daily";r=9;t=40000, "hourly";r=1'
    policies = '"hourly";q=100;w=3600'
    json_type = "application/problem+json"
    said = told(429, problem("quota-exceeded", "burst"), content_type=json_type, ratelimit=limits)
    assert (said.wait_s, said.violated, said.is_throttled) == (30, ("burst",), True)
    both = problem("temporary-reduced-capacity", "hourly", "burst")
    assert told(503, both, content_type=json_type, ratelimit=limits, ratelimit_policy=policies).wait_s == 3600
    assert told(429, problem("quota-exceeded"), content_type=json_type, ratelimit=limits).wait_s is None


def test_whoever_is_taken_for_an_attacker_leaves():
    """A wait that parks the realm: nothing is sent for an hour, or for as long as was asked."""
    abuse = problem("abnormal-usage-detected", "burst")
    said = told(429, abuse, content_type="application/problem+json", retry_after=5)
    assert (said.wait_s, said.is_abuse) == (3600, True)
    assert told(429, abuse, content_type="application/problem+json", retry_after=7200).wait_s == 7200


def test_a_refusal_without_remaining_waits_for_its_reset():
    """A 429 with a reset alone says when; a 200 with a reset alone says nothing."""
    assert told(429, x_ratelimit_reset=30).wait_s == 30
    assert told(503, x_ratelimit_reset=30).wait_s == 30
    assert told(500, x_ratelimit_reset=30).wait_s is None
    assert told(200, x_ratelimit_reset=30).wait_s is None
    assert told(429, x_ratelimit_remaining=5, x_ratelimit_reset=30).wait_s is None


def test_ratelimit_is_believed_before_the_families():
    """Of a server that sends both, only one has a specification; a family can be switched off altogether."""
    said = told(200, ratelimit='"a";r=5;t=30', x_ratelimit_remaining=0, x_ratelimit_reset=600_000)
    assert said == Hints(allowances=(ToldAllowance("a", 5, 30),))
    ignoring = {"reset": "ignored"}
    assert told(403, x_ratelimit_remaining=0, settings=ignoring) == Hints()


def test_a_limit_with_an_interval_is_a_quota():
    """Crossref tells how fast it may be asked, and nothing of what is left."""
    said = told(200, x_rate_limit_limit=5, x_rate_limit_interval="1s", x_concurrency_limit=1)
    assert said == Hints(quotas=(Quota("x-rate-limit", 5, 1),), concurrency=1)


def test_tokens_are_a_budget_of_their_own():
    """Two budgets side by side: a request without tokens waits for them."""
    said = told(
        200,
        x_ratelimit_remaining_requests=119,
        x_ratelimit_reset_requests="17ms",
        x_ratelimit_remaining_tokens=0,
        x_ratelimit_reset_tokens="1m4.296s",
    )
    assert said.wait_s == pytest.approx(64.296)
    assert said.allowances == (ToldAllowance("x-ratelimit", 119, 0.017),)
    assert said.budgets == (ToldAllowance("x-ratelimit-tokens", 0, said.wait_s or 0, "tokens"),)


def test_headers_of_an_apis_own_hold_the_realm():
    """ip-api: what is left and how long; a bucket has room when one has run out of it."""
    window = {"windows": [{"remaining": "X-Rl", "reset": "X-Ttl", "kind": "seconds"}]}
    assert told(200, settings=window, x_rl=0, x_ttl=42).wait_s == 42
    assert told(200, settings=window, x_rl=3, x_ttl=42).allowances == (ToldAllowance("x-rl", 3, 42),)
    bucket = {"windows": [{"filling": "X-Calls", "refill": "2/s"}]}
    assert told(200, settings=bucket, x_calls="40/40").wait_s == 0.5
    assert told(200, settings=bucket, x_calls="32/40").allowances == (ToldAllowance("x-calls", 8, 0.5),)


def test_of_several_waits_the_longest_holds():
    """A field of the body and a header that disagree: nobody is asked early."""
    rule = {"waits": [{"body": "backoff"}, {"header": "X-Own"}]}
    assert told(429, b'{"backoff": 10}', rule, retry_after=3, x_own=5).wait_s == 10
    assert told(200, b'{"backoff": 10}', rule).wait_s == 10
    assert told(200, b'{"backoff": 1}', rule, x_ratelimit_remaining=0, x_ratelimit_reset=60).wait_s == 60


@pytest.mark.parametrize(("status", "is_later"), [(200, False), (400, True), (403, True), (502, True)])
def test_a_refusal_that_a_rule_finds_a_wait_in_means_later(status, is_later):
    """Over the limit has many statuses; a 200 with a back-off is an answer all the same."""
    rule = {"waits": [{"body": "backoff"}]}
    assert told(status, b'{"backoff": 10}', rule) == Hints(wait_s=10, is_throttled=is_later)


def test_a_text_found_in_a_200_is_no_answer():
    """Where the job names the status; the realm waits, and the row is asked for again."""
    rule = {"waits": [{"text": "ratelimited", "status": [200]}]}
    with pytest.raises(AttemptFailed) as caught:
        judge(answer(200, b'{"ok": false, "error": "ratelimited"}'), **rule)
    assert (caught.value.hint_s, caught.value.is_guess) == (60, True)


def test_an_endless_line_makes_its_field_malformed():
    """It is read by nobody, and what stands beside it in the same field is not believed."""
    endless = "9" * 8193
    assert told(429, retry_after=endless) == Hints()
    assert told(200, x_ratelimit_remaining=0, x_ratelimit_reset=endless) == Hints()
    lines = (("RateLimit", '"a";r=0;t=3'), ("RateLimit", f'"{endless}";r=0;t=3'))
    assert hints(Response(200, lines, b"", NOW), HintsSection(), NOW) == Hints()


@given(st.sampled_from([200, 204, 301, 400, 403, 429, 500, 503]), HEADERS, BODIES, st.floats(0, 4e9))
def test_nothing_a_server_says_breaks_it(status, headers, body, now):
    """Never an exception; no wait that is negative, endless or not a number; no cap below one."""
    said = hints(Response(status, tuple(headers), body, now), EVERYTHING, now)
    assert said.wait_s is None or 0 <= said.wait_s <= FOR_EVER_S
    for allowance in said.allowances + said.budgets:
        assert allowance.remaining >= 0
        assert 0 < allowance.reset_s <= FOR_EVER_S
    assert all(allowance.unit == "requests" for allowance in said.allowances)
    assert all(quota.units > 0 and quota.per_s > 0 for quota in said.quotas)
    assert said.concurrency is None or said.concurrency >= 1


@given(st.integers(1, 500), st.integers(0, 500), HEADERS, st.floats(0, 4e9))
def test_retry_after_is_never_shortened(wait_s, other_s, headers, now):
    """Whatever else an answer says: nothing in it makes a wait shorter that was asked for outright."""
    others = [(name, text) for name, text in headers if "retry-after" not in name.lower()]
    response = Response(429, (*others, ("Retry-After", str(wait_s)), ("Retry-After", str(other_s))), b"", now)
    assert (hints(response, HintsSection(), now).wait_s or 0) >= max(wait_s, other_s)
