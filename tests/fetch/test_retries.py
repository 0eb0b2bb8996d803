import asyncio
import random
from dataclasses import dataclass

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import CredentialRefused, GaveUp, Parked, Refused
from fetcher.fetch.hints import Hints
from fetcher.fetch.retries import AttemptFailed, Retries, backoff_s, excerpt, hinted_s, judged
from fetcher.job import sections
from fetcher.model import Response
from fetcher.testing.clock import VirtualClock, run_virtual

STARTED_S = 1_700_000_000.0
GOOD = Response(200, (), b"{}", STARTED_S)
HINTS_S = st.one_of(st.none(), st.floats(0, 120))
SETTINGS = st.builds(
    sections.Retries,
    attempts=st.integers(1, 20),
    first_wait=st.integers(1, 5_000).map("{} ms".format),
    longest_wait=st.integers(1, 600).map("{} s".format),
    max_wait=st.just("2 min"),
)


@dataclass
class Story:
    """How a run of attempts ended: when each was made, the answer or the error, and when that was."""

    made: list[float]
    ended: Response | Exception
    ended_s: float


def tell(settings, failures, seed=0):
    """Attempts that fail in the given ways, then succeed, on a clock of their own."""
    clock = VirtualClock(STARTED_S)
    made = []
    left = list(failures)

    async def attempt():
        made.append(clock.now())
        if left:
            raise left.pop(0)
        return GOOD

    async def story():
        try:
            return await Retries(settings, random.Random(seed), clock.now).run(attempt)
        except (GaveUp, Parked, Refused) as error:
            return error

    ended = run_virtual(story(), clock)
    return Story(made, ended, clock.now())


@given(SETTINGS, st.integers(0, 25))
def test_attempts_are_as_many_as_configured(settings, failures):
    """The first time included, and not one more."""
    told = tell(settings, [AttemptFailed("HTTP 500")] * failures)
    assert len(told.made) == min(settings.attempts, failures + 1)
    assert (told.ended is GOOD) == (failures < settings.attempts)
    if told.ended is not GOOD:
        assert isinstance(told.ended, GaveUp)
        assert str(told.ended) == f"HTTP 500; {settings.attempts} attempt{'s' if settings.attempts > 1 else ''}"


@given(SETTINGS, st.lists(HINTS_S, max_size=20), st.integers())
def test_a_servers_wait_is_never_shortened(settings, hints, seed):
    """The next attempt comes no earlier than asked, and no later than the back-off and a tenth more explain."""
    told = tell(settings, [AttemptFailed("HTTP 503", hint) for hint in hints], seed)
    for number, (before, after) in enumerate(zip(told.made, told.made[1:], strict=False)):
        hint = hints[number] or 0.0
        most = min(settings.longest_wait, settings.first_wait * 2**number)
        assert hint - 1e-6 <= after - before <= most + 1.1 * hint + 1e-6


@given(SETTINGS, st.integers(1, 10_000), st.integers())
def test_back_off_is_full_jitter(settings, failed, seed):
    """Anything from nothing to a step that doubles up to `longest_wait`, however many attempts have failed."""
    step_s = min(settings.longest_wait, settings.first_wait * 2 ** min(failed - 1, 60))
    assert 0 <= backoff_s(settings, failed, random.Random(seed)) <= step_s


def test_back_off_uses_all_of_its_room():
    """Waits spread over the whole step, so that clients that failed together do not return together."""
    settings, chance = sections.Retries(first_wait="1 s", longest_wait="60 s"), random.Random(0)
    for failed, step_s in [(1, 1), (2, 2), (4, 8), (7, 60), (20, 60)]:
        tenths = [int(10 * backoff_s(settings, failed, chance) / step_s) for _ in range(2000)]
        assert min(tenths.count(tenth) for tenth in range(10)) > 140


@given(st.floats(0, 1e9), st.integers())
def test_chance_only_lengthens_a_hint(hint_s, seed):
    """By a tenth, and by half a minute at most."""
    assert hint_s <= hinted_s(hint_s, random.Random(seed)) <= hint_s + min(0.1 * hint_s, 30.0)


@given(SETTINGS, st.integers(0, 19), st.floats(120.1, 1e8))
def test_a_wait_beyond_the_longest_parks_the_row(settings, failures, hint_s):
    """At whichever attempt, the only and the last included: no sleeping, and nothing sent before that time."""
    failures = min(failures, settings.attempts - 1)
    told = tell(settings, [*[AttemptFailed("HTTP 500")] * failures, AttemptFailed("HTTP 429", hint_s)])
    assert isinstance(told.ended, Parked)
    assert "HTTP 429" in str(told.ended)
    assert told.ended.until == pytest.approx(told.made[-1] + hint_s)
    assert told.ended_s == told.made[-1]
    assert len(told.made) == failures + 1


@pytest.mark.parametrize(
    ("status", "hint_s", "reaction"),
    [
        *((status, None, None) for status in (200, 201, 204, 299)),
        *(
            (status, None, AttemptFailed)
            for status in (206, 304, 408, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529)
        ),
        (401, None, CredentialRefused),
        *((status, None, GaveUp) for status in (403, 407, 511)),
        *((status, None, Refused) for status in (300, 301, 308, 400, 404, 405, 410, 413, 414, 422, 431, 451)),
        *((status, None, Refused) for status in (501, 505, 525)),
        *((status, 5.0, AttemptFailed) for status in (403, 413, 429, 503)),
        *((status, 5.0, Refused) for status in (301, 400, 404)),
    ],
)
def test_a_status_decides_what_becomes_of_the_row(status, hint_s, reaction):
    """Settled, asked again now, or asked again in the next run; a wait turns some refusals into "later"."""
    response = Response(status, (("location", "/elsewhere"),), b"", STARTED_S)
    if reaction is None:
        assert judged(response, Hints(wait_s=hint_s)) is response
        return
    with pytest.raises(reaction, match=f"HTTP {status}") as caught:
        judged(response, Hints(wait_s=hint_s))
    assert caught.type is reaction
    assert getattr(caught.value, "hint_s", None) == (hint_s if reaction is AttemptFailed else None)


def test_what_asking_again_does_not_mend_is_asked_once():
    """A refusal passes through, at the first attempt and at later ones."""
    settings = sections.Retries(attempts=5)
    assert len(tell(settings, [Refused("HTTP 404")]).made) == 1
    assert len(tell(settings, [AttemptFailed("HTTP 500"), Refused("HTTP 404")]).made) == 2


def test_a_success_costs_no_tenacity(monkeypatch):
    """The retrying machinery is made only when a first attempt has failed."""
    made = []
    real = tenacity.AsyncRetrying

    def noted(**options):
        made.append(options)
        return real(**options)

    monkeypatch.setattr(tenacity, "AsyncRetrying", noted)
    assert tell(sections.Retries(), []).ended is GOOD
    assert made == []
    assert tell(sections.Retries(), [AttemptFailed("HTTP 500")]).ended is GOOD
    assert len(made) == 1


def test_a_cancelled_wait_ends_at_once():
    """A run that stops does not sit its back-off out, nor ask again."""
    clock = VirtualClock()
    made = []

    async def attempt():
        made.append(clock.now())
        raise AttemptFailed("HTTP 503", 100.0)

    async def story():
        async with asyncio.timeout(150):
            await Retries(sections.Retries(), random.Random(0), clock.now).run(attempt)

    with pytest.raises(TimeoutError):
        run_virtual(story(), clock)
    assert len(made) == 2
    assert clock.now() == 150


@given(st.binary(max_size=2000))
def test_an_errors_body_is_quoted_on_one_short_line(body):
    """Whatever it holds: it goes into the ledger, onto a screen and into a page."""
    text = excerpt(body)
    assert len(text) <= 120
    assert text.isprintable() or not text
