import asyncio
import random
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import CredentialRefused, GaveUp, Parked, Refused, Unknown
from fetcher.fetch.budget import Budget
from fetcher.fetch.deadlines import Deadline
from fetcher.fetch.hints import Hints
from fetcher.fetch.retries import AttemptFailed, Retries, backoff_s, excerpt, hinted_s, judged
from fetcher.job import sections
from fetcher.model import Response
from fetcher.testing.clock import VirtualClock, run_virtual

A_BIT_S = 1e-6
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


class Longest(random.Random):
    """Chance that always chooses the longest."""

    def uniform(self, a, b):
        return b


@dataclass
class Story:
    """How a run of attempts ended: when each was made, the answer or the error, and when that was."""

    made: list[float]
    ended: Response | Exception
    ended_s: float

    @property
    def waits(self):
        """Seconds from each attempt to the next."""
        return [after - before for before, after in pairwise(self.made)]


def tell(settings, failures, chance=0, budget=None, takes_s=0.0):
    """Attempts that take so long and fail in the given ways, then succeed, on a clock of their own."""
    clock = VirtualClock(STARTED_S)
    chance = random.Random(chance) if isinstance(chance, int) else chance
    deadline = Deadline(settings.deadline, clock.now)
    made = []
    left = list(failures)

    async def attempt():
        deadline.begin()
        made.append(clock.now())
        await asyncio.sleep(min(takes_s, deadline.left_s()))
        if left:
            raise left.pop(0)
        return GOOD

    async def story():
        try:
            return await Retries(settings, chance, clock.now, budget=budget or Budget()).run(attempt, deadline)
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


def test_back_off_doubles_up_to_the_longest_wait():
    """From one attempt to the next, whichever part of the program makes it; a server's wait comes on top."""
    settings = sections.Retries(attempts=9, first_wait="1 s", longest_wait="20 s")
    told = tell(settings, [AttemptFailed("HTTP 500")] * 8, Longest())
    assert told.waits == [1, 2, 4, 8, 16, 20, 20, 20]
    hinted = tell(settings, [AttemptFailed("HTTP 503", 10.0), AttemptFailed("HTTP 503", 120.0)], Longest())
    assert hinted.waits == [1 + 11, 2 + 132]


def test_a_guessed_wait_doubles_while_that_goes_on():
    """A server that says "too fast" and not when: 60 s, then twice that, never more than `max_wait`."""
    settings = sections.Retries(attempts=6, first_wait="1 ms", longest_wait="1 ms", max_wait="200 s")
    told = tell(settings, [AttemptFailed("HTTP 403", 30.0, True)] * 5, Longest())
    assert told.waits == pytest.approx([33, 66, 132, 220, 220], abs=0.01)


def test_waits_are_sat_out_by_what_the_caller_gives():
    """Also those of the second attempt and later."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def attempt():
        if len(slept) < 3:
            raise AttemptFailed("HTTP 500")
        return GOOD

    settings = sections.Retries(first_wait="1 h", longest_wait="1 day")
    assert asyncio.run(Retries(settings, Longest(), time.time, sleep).run(attempt)) is GOOD
    assert slept == [3600, 7200, 14400]


@pytest.mark.parametrize(
    ("failures", "left", "is_done"),
    [
        ([], 51, True),
        ([AttemptFailed("HTTP 500")], 50, True),
        ([AttemptFailed("HTTP 500")] * 2, 40, True),
        ([AttemptFailed("HTTP 500")] * 6, 0, False),
    ],
)
def test_every_retry_is_taken_from_the_budget(failures, left, is_done):
    """One that succeeds gives itself back, a first attempt that does adds a tenth; with none left, rows end early."""
    budget = Budget(50)
    told = tell(sections.Retries(attempts=9), failures, budget=budget)
    assert budget.tenths == left
    assert (told.ended is GOOD) == is_done
    if isinstance(told.ended, GaveUp):
        assert told.ended.is_early is True
        assert str(told.ended) == "HTTP 500; 6 attempts; too much has failed lately for more in this run"


@given(SETTINGS, st.lists(HINTS_S, max_size=20), st.floats(0, 40), st.floats(0.01, 300), st.integers())
def test_nothing_is_sent_after_the_deadline(settings, hints, takes_s, deadline_s, seed):
    """A row ends by then, with its answer or without one, and without sitting out a wait that leads to nothing."""
    settings = settings.model_copy(update={"deadline": deadline_s})
    told = tell(settings, [AttemptFailed("HTTP 503", hint) for hint in hints], seed, takes_s=takes_s)
    over_s = STARTED_S + deadline_s + A_BIT_S
    assert max(told.made) < over_s
    assert told.ended_s < over_s
    if told.ended is not GOOD:
        assert told.ended_s == pytest.approx(min(told.made[-1] + takes_s, over_s), abs=A_BIT_S)


def test_a_row_gives_up_where_its_deadline_leaves_no_time():
    """The next run asks again; where the server asked for a longer wait, not before that."""
    settings = sections.Retries(attempts=9, first_wait="4 s", longest_wait="1 h", deadline="10 s")
    told = tell(settings, [AttemptFailed("HTTP 500")] * 8, Longest(), takes_s=0.5)
    assert told.waits == [4.5]
    assert isinstance(told.ended, GaveUp)
    assert told.ended.is_early is True
    said = "HTTP 500; 2 attempts; fetch.retries.deadline leaves no time for more in this run"
    assert str(told.ended) == said
    last = tell(settings.model_copy(update={"attempts": 2}), [AttemptFailed("HTTP 500")] * 2, Longest(), takes_s=0.5)
    assert str(last.ended) == "HTTP 500; 2 attempts"
    parked = tell(settings, [AttemptFailed("HTTP 503", 10.5)], Longest())
    assert isinstance(parked.ended, Parked)
    assert parked.ended.until == STARTED_S + 10.5
    assert parked.ended_s == STARTED_S


def test_a_deadline_runs_from_the_first_attempt():
    """Whoever waits for its turn has not begun."""
    clock = VirtualClock()
    deadline = Deadline(10.0, clock.now)
    assert deadline.left_s() == float("inf")
    clock.advance(100.0)
    deadline.begin()
    assert deadline.left_s() == 10.0
    clock.advance(7.0)
    deadline.begin()
    assert deadline.left_s() == 3.0
    clock.advance(7.0)
    assert deadline.left_s() == 0.0
    endless = Deadline(None, clock.now)
    endless.begin()
    assert endless.left_s() == float("inf")


@given(SETTINGS, st.lists(HINTS_S, max_size=20), st.integers())
def test_a_servers_wait_is_never_shortened(settings, hints, seed):
    """The next attempt comes no earlier than asked, and no later than the back-off and a tenth more explain."""
    told = tell(settings, [AttemptFailed("HTTP 503", hint) for hint in hints], seed)
    for number, wait_s in enumerate(told.waits):
        hint = hints[number] or 0.0
        most = min(settings.longest_wait, settings.first_wait * 2**number)
        assert hint - A_BIT_S <= wait_s <= most + 1.1 * hint + A_BIT_S


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


def test_the_longest_wait_itself_is_sat_out():
    """`max_wait` is the longest that is waited for, not the first that is not."""
    told = tell(sections.Retries(max_wait="2 min"), [AttemptFailed("HTTP 429", 120.0)])
    assert told.ended is GOOD


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


SENT_ONCE = [
    (500, Hints(), Unknown, "HTTP 500: only the server knows whether it was carried out"),
    (304, Hints(), Unknown, "HTTP 304: only the server knows whether it was carried out"),
    (500, Hints(should_retry=False), Unknown, "HTTP 500: only the server knows whether it was carried out"),
    (503, Hints(), GaveUp, "HTTP 503; not repeated within this run"),
    (503, Hints(wait_s=5.0), AttemptFailed, "HTTP 503"),
    (503, Hints(should_retry=False), GaveUp, "HTTP 503"),
    (200, Hints(is_throttled=True), GaveUp, "HTTP 200; not repeated within this run"),
    (200, Hints(is_throttled=True, wait_s=5.0), AttemptFailed, "HTTP 200"),
    (500, Hints(should_retry=True), AttemptFailed, "HTTP 500"),
    (404, Hints(), Refused, "HTTP 404"),
    (404, Hints(should_retry=False), Refused, "HTTP 404"),
    (
        401,
        Hints(),
        CredentialRefused,
        "HTTP 401: the credential is refused; put a good one into the job, then run again",
    ),
]


@pytest.mark.parametrize(("status", "said", "reaction", "text"), SENT_ONCE)
def test_what_must_not_be_sent_twice_is_repeated_only_where_it_was_turned_away(status, said, reaction, text):
    """With a wait, that is; what may have been carried out is unknown, and a server that says "again" is believed."""
    with pytest.raises(reaction) as caught:
        judged(Response(status, (), b"", STARTED_S), said, is_repeatable=False)
    assert (caught.type, str(caught.value)) == (reaction, text)


@pytest.mark.parametrize(
    ("status", "said", "reaction"),
    [
        (500, Hints(should_retry=False), GaveUp),
        (400, Hints(should_retry=False), Refused),
        (400, Hints(should_retry=True), AttemptFailed),
        (200, Hints(is_throttled=True), AttemptFailed),
    ],
)
def test_a_servers_word_on_retrying_is_believed(status, said, reaction):
    """Against what its status would mean."""
    with pytest.raises(reaction) as caught:
        judged(Response(status, (), b"no", STARTED_S), said)
    assert (caught.type, str(caught.value)) == (reaction, f"HTTP {status} no")


def test_a_guess_stays_one():
    """So that it doubles."""
    for is_guess in (True, False):
        with pytest.raises(AttemptFailed) as caught:
            judged(Response(403, (), b"", STARTED_S), Hints(wait_s=60.0, is_guess=is_guess))
        assert (caught.value.hint_s, caught.value.is_guess) == (60.0, is_guess)
    assert AttemptFailed("").is_guess is False


@pytest.mark.parametrize(("status", "is_one"), [(299, None), (300, True), (301, True), (399, True), (400, False)])
def test_a_redirect_is_told_with_its_target(status, is_one):
    """The job has to name the final address: nothing is followed."""
    response = Response(status, (("location", "/elsewhere"),), b"moved", STARTED_S)
    if is_one is None:
        assert judged(response, Hints()) is response
        return
    with pytest.raises(Refused) as caught:
        judged(response, Hints())
    target = ": a redirect to '/elsewhere'; name the final address in the job" if is_one else ""
    assert str(caught.value) == f"HTTP {status} moved{target}"


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


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b" slow \n\tdown\x1b[2J ", "slow down [2J"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"x" * 120, "x" * 120),
        (b"x" * 121, "x" * 117 + "..."),
        (b" " * 480 + b"late", ""),
        (b" " * 479 + b"late", "l"),
    ],
)
def test_the_quote_of_a_body(body, text):
    """Its first words, parted by one blank each."""
    assert excerpt(body) == text
