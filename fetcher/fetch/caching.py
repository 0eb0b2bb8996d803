"""Answers kept as HTTP says (RFC 9111, RFC 5861), by a cache that serves one user.

What may be done is decided in `freshness`, `storing`, `varying`, `validating` and `ranges`; here it is done. A request
that changes something is passed on, and drops what is kept of its target.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fetcher.errors import ApiDown, NotKept, RowError, RunStopped
from fetcher.fetch.cache import Cache, Label
from fetcher.fetch.directives import request_directives
from fetcher.fetch.flights import Flights
from fetcher.fetch.freshness import Use, aged, does_offline, does_on_error, use_of
from fetcher.fetch.invalidating import changed_targets
from fetcher.fetch.ranges import cut_out
from fetcher.fetch.sources import KEPT, Ask, Fetched, Judge, Source, Wanted
from fetcher.fetch.stored import Stored
from fetcher.fetch.storing import does_for_get, may_store, may_update, storable
from fetcher.fetch.validating import (
    conditional,
    confirmed,
    freshened,
    has_conditions,
    is_forwarded,
    is_same_thing,
    is_unchanged,
    not_modified,
)
from fetcher.fetch.varying import identity_of, matches, newest, selecting
from fetcher.model import Request, Response

logger = logging.getLogger("fetcher")

MOST_REFRESHES = 16
"""Answers that are asked for anew in the background at once; a further one is used stale until its next use."""

SERVER_ERRORS = frozenset({500, 502, 503, 504})
"""What RFC 5861 section 4 calls an error, besides no answer at all."""

NOTHING = frozenset[int]()


@dataclass(frozen=True, slots=True)
class Policy:
    """How an HTTP cache is set up: whether lifetimes may be guessed, who asks (besides the request's credentials), and
    what a request is called before people."""

    may_guess: bool = False
    identity: str = ""
    label: Callable[[str], str] = str


PLAIN = Policy()

IsForOthers = Callable[[], bool]
"""Whether an answer may be given to others who asked for the same meanwhile; asked only where there are such."""


def yes() -> bool:
    """It may."""
    return True


def no() -> bool:
    """It was for the one who asked, and for nobody else."""
    return False


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What is kept of a target for this client: what this request may have, and what it may not."""

    fit: Sequence[Stored]
    others: Sequence[Stored]


NO_CANDIDATES = _Candidates((), ())


class HttpCache:
    """Answers by target and variant. `judge` says what a kept one means; `now` gives epoch seconds."""

    def __init__(self, cache: Cache, policy: Policy, judge: Judge, now: Callable[[], float]) -> None:
        self._cache = cache
        self._policy = policy
        self._judge = judge
        self._now = now
        self._flights: Flights[tuple[Fetched, IsForOthers]] = Flights()
        self._refreshes: dict[str, asyncio.Task[None]] = {}
        self._problem: RunStopped | None = None

    async def fetch(self, wanted: Wanted, ask: Ask) -> Fetched:
        """The kept answer where HTTP lets this request have it, else the API's, which is kept where it may be."""
        if self._problem:
            raise self._problem
        request = wanted.request
        if request.method not in ("GET", "HEAD"):
            return await self._pass_on(wanted, ask)
        candidates = self._candidates(wanted)
        if candidates.fit and (kept := await self._kept(wanted, candidates, ask)) is not None:
            return kept
        if wanted.source in KEPT or "only-if-cached" in request_directives(request.headers):
            raise NotKept("no answer to this row is kept that may be used")
        about = (wanted.key, wanted.source)
        shared, is_mine = await self._flights.share(about, partial(self._asked, wanted, candidates, ask))
        fetched, is_for_others = shared
        if is_mine:
            return fetched
        if is_for_others():
            return replace(fetched, attempts=0)
        return (await self._asked(wanted, candidates, ask))[0]

    async def kept(self, wanted: Wanted) -> Fetched | None:
        """None: what HTTP says of keeping, it says of an exchange as a whole."""
        return None

    async def keep(self, wanted: Wanted, response: Response) -> None:
        """Nothing is kept of an answer that was no answer to this request."""

    async def close(self) -> None:
        """Leave off asking in the background."""
        for task in self._refreshes.values():
            task.cancel()
        await asyncio.gather(*self._refreshes.values(), return_exceptions=True)

    def _candidates(self, wanted: Wanted) -> _Candidates:
        request = wanted.request
        if not (kept := self._cache.variants(wanted.target)):
            return NO_CANDIDATES
        identity = self._identity(request)
        kept = [it for it in kept if it.identity == identity]
        if request.header("Range") is None:
            kept = [it for it in kept if it.response.status != 206]
        fit = [it for it in kept if matches(it, request, identity) and it.response.fetched_at >= wanted.since]
        return _Candidates(fit, [it for it in kept if it not in fit])

    async def _kept(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> Fetched | None:
        """The answer from the cache, where nothing has to be asked before it may be given."""
        request, now = wanted.request, self._now()
        if wanted.source is Source.API_ONLY or is_forwarded(request):
            return None
        left = list(candidates.fit)
        while (stored := newest(left)) is not None:
            left.remove(stored)
            use = self._use(wanted, stored, now)
            if use is Use.CONFIRMED:
                if request.header("Range") is None:
                    return None  # an older one is no better
                continue
            if (fetched := await self._given(request, stored, now)) is not None:
                if use is Use.WHILE_ASKED_ANEW:
                    self._refresh(wanted, candidates, ask)
                return fetched
        return None

    def _use(self, wanted: Wanted, stored: Stored, now: float) -> Use:
        if wanted.source is Source.KEPT_ONLY or (wanted.source is Source.OFFLINE and does_offline(stored, now)):
            return Use.AS_IT_IS
        use = use_of(wanted.request, stored, now, self._policy.may_guess)
        return Use.CONFIRMED if wanted.source is Source.OFFLINE and use is Use.WHILE_ASKED_ANEW else use

    async def _given(self, request: Request, stored: Stored, now: float) -> Fetched | None:
        """A kept answer as this request gets it; None where it is of no use after all."""
        whole = self._cache.whole(stored)
        if whole is None or (meant := await self._judge(whole.response)) is None:
            return None
        answer: Response | None = aged(whole, now, request.url)
        assert answer is not None
        if not request.headers and request.method == "GET":
            return Fetched(answer, 0, meant)
        if has_conditions(request) and request.header("Range") is None and is_unchanged(request, answer):
            answer = not_modified(answer)
        elif request.method == "HEAD":
            answer = replace(answer, body=b"")
        elif request.header("Range") is not None:
            answer = None if has_conditions(request) else cut_out(answer, request.headers)
        return Fetched(answer, 0, meant) if answer else None

    async def _asked(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> tuple[Fetched, IsForOthers]:
        """The API's answer, and whether it may be given to others who ask for the same now."""
        request = wanted.request
        if request.method == "HEAD" or request.header("Range") is not None or has_conditions(request):
            return await self._asked_plainly(wanted, candidates, ask), no
        if candidates is NO_CANDIDATES:
            return await self._received(wanted, await ask(request, NOTHING))
        return await self._validated(wanted, candidates, ask)

    async def _validated(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> tuple[Fetched, IsForOthers]:
        """The API's answer, or a kept one that it confirms or that stands in for an error; and whom it is for."""
        request, stored = wanted.request, newest(candidates.fit)
        others = [it for it in candidates.others if it.response.status != 206]
        asked = conditional(request, stored, others)
        try:
            fetched = await ask(asked, NOTHING if asked is request else frozenset({304}))
        except (RowError, ApiDown) as error:
            if stored and is_outage(error) and (stale := await self._stale(request, stored)):
                return stale, yes
            raise
        if fetched.response.status in SERVER_ERRORS and stored and (stale := await self._stale(request, stored)):
            return stale, yes
        if fetched.response.status != 304:
            return await self._received(wanted, fetched)
        subjects = [stored, *others] if stored else others
        if answer := await self._confirmed(wanted, fetched, subjects):
            return answer
        return await self._received(wanted, await ask(request, NOTHING))

    async def _asked_plainly(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> Fetched:
        """The answer to a request with wishes of its own: for the head, for a part, or under a condition."""
        request, own = wanted.request, has_conditions(wanted.request)
        accepted = {304} if own else set()
        accepted |= {206} if request.header("Range") is not None else set()
        fetched = await ask(request, frozenset(accepted))
        whole = [it for it in candidates.fit if it.response.status != 206]
        if not may_update(request, fetched.response):
            return fetched
        if fetched.response.status == 304:
            if (about := confirmed(fetched.response, whole)) and (kept := self._cache.whole(about)):
                await self._keep(wanted, freshened(kept, fetched.response, fetched.asked_at))
        elif request.method == "HEAD":
            await self._look_over(wanted, fetched, whole)
        else:
            fetched, _ = await self._received(wanted, fetched)
        return fetched

    async def _received(self, wanted: Wanted, fetched: Fetched) -> tuple[Fetched, IsForOthers]:
        """Keep an answer that may be kept; the second part tells whether others may have it now."""
        url = wanted.request.url  # a redirect from there may change tomorrow
        came_from = fetched.response.url
        is_elsewhere = came_from not in ("", url) and came_from != self._policy.label(url)
        if is_elsewhere or not may_store(wanted.request, fetched.response):
            return fetched, no
        stored = self._stored(wanted.request, fetched)
        await self._keep(wanted, stored)
        return fetched, partial(self._is_for_others, wanted.request, stored)

    async def _confirmed(
        self, wanted: Wanted, fetched: Fetched, subjects: Sequence[Stored]
    ) -> tuple[Fetched, IsForOthers] | None:
        """The kept answer that a 304 is about, with its news; None where it is about none that we have."""
        about = confirmed(fetched.response, subjects)
        whole = self._cache.whole(about) if about else None
        meant = await self._judge(whole.response) if whole else None
        if whole is None or meant is None:
            return None
        fresh = freshened(whole, fetched.response, fetched.asked_at)
        fresh = replace(fresh, selecting=selecting(fresh.response, wanted.request.headers))
        if is_kept := may_update(wanted.request, fetched.response):
            await self._keep(wanted, fresh)
        answer = aged(fresh, self._now(), wanted.request.url)
        confirmed_now = Fetched(answer, fetched.attempts, meant, fetched.asked_at)
        return confirmed_now, partial(self._is_for_others, wanted.request, fresh) if is_kept else no

    async def _stale(self, request: Request, stored: Stored) -> Fetched | None:
        now = self._now()
        if not does_on_error(request, stored, now, self._policy.may_guess):
            return None
        return await self._given(request, stored, now)

    async def _look_over(self, wanted: Wanted, fetched: Fetched, kept: Sequence[Stored]) -> None:
        """What the head of an answer says about kept ones: news of them, or that they are of the past."""
        if fetched.response.status != 200:
            return
        for stored in kept:
            if not is_same_thing(stored, fetched.response):
                await self._cache.forget(wanted.target)
                return
            if whole := self._cache.whole(stored):
                await self._keep(wanted, freshened(whole, fetched.response, fetched.asked_at))

    async def _pass_on(self, wanted: Wanted, ask: Ask) -> Fetched:
        """Ask for what changes something; once it has, what is kept of it is out of date (section 4.4)."""
        if wanted.source in KEPT:
            raise NotKept("no answer to this row is kept: it changes something")
        fetched = await ask(wanted.request, NOTHING)
        for target in changed_targets(wanted.request, fetched.response):
            await self._cache.forget(target)
        if does_for_get(wanted.request, fetched.response):
            await self._received(replace(wanted, request=replace(wanted.request, method="GET", body=b"")), fetched)
        return fetched

    def _stored(self, request: Request, fetched: Fetched) -> Stored:
        response = storable(fetched.response)
        return Stored(response, fetched.asked_at, self._identity(request), selecting(response, request.headers))

    def _identity(self, request: Request) -> str:
        """Who asks; and for which page, where pages have one URL."""
        identity = identity_of(request.headers, self._policy.identity)
        return f"{identity} page {request.page}" if request.page else identity

    def _keep(self, wanted: Wanted, stored: Stored) -> Awaitable[None]:
        label = Label(self._policy.label(f"GET {wanted.request.url}"), wanted.row_key)
        return self._cache.put_variant(wanted.target, stored, label)

    def _is_for_others(self, request: Request, stored: Stored) -> bool:
        """Whether an answer that has just come does for equal requests that were made meanwhile."""
        is_for_anybody = stored.selecting is not None
        return is_for_anybody and use_of(request, stored, self._now(), self._policy.may_guess) is Use.AS_IT_IS

    def _refresh(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> None:
        key = wanted.key
        if key in self._refreshes or len(self._refreshes) >= MOST_REFRESHES:
            return
        task = asyncio.create_task(self._ask_anew(wanted, candidates, ask))
        self._refreshes[key] = task
        task.add_done_callback(lambda _: self._refreshes.pop(key, None))

    async def _ask_anew(self, wanted: Wanted, candidates: _Candidates, ask: Ask) -> None:
        try:
            await self._flights.share((wanted.key, wanted.source), partial(self._asked, wanted, candidates, ask))
        except RowError as error:
            logger.debug("asked anew in the background, in vain: %s", error)
        except RunStopped as error:
            self._problem = error


def is_outage(error: RowError | ApiDown) -> bool:
    """Whether the API gave no answer, or one that says that it is ill."""
    if isinstance(error, ApiDown):
        return True
    return error.attempts > 0 and (error.status is None or error.status in SERVER_ERRORS)
