"""The client: cache around retries around a slot around the rate around the wire.

A hit spends nothing; every attempt spends a start; no slot is held while a failed attempt waits for its next turn.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType

from fetcher.errors import ApiDown, CredentialRefused, GaveUp, NotKept, Parked, Refused, RowError, Unknown
from fetcher.fetch.attempts import Asking
from fetcher.fetch.auth import has_tokens, placed
from fetcher.fetch.breaker import Sign, sign_of
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import PLAIN, HttpCache, Policy
from fetcher.fetch.costs import told_cost
from fetcher.fetch.deadlines import Deadline, turn_within
from fetcher.fetch.expectations import Meaning, is_about_row, told_wait_s
from fetcher.fetch.facts import ALWAYS, Facts
from fetcher.fetch.guard import check_public
from fetcher.fetch.health import Hopeless
from fetcher.fetch.hints import Hints, hints
from fetcher.fetch.judging import Judging, Witness
from fetcher.fetch.keys import Key, Keys
from fetcher.fetch.limits import Realm, TooLong
from fetcher.fetch.masks import Masks
from fetcher.fetch.redirects import Hop, first_hop, method_after, next_hop
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import AttemptFailed, Retries, judged
from fetcher.fetch.sources import KEPT, Fetched, Keeping, Source, Wanted
from fetcher.fetch.tokens import Tokens
from fetcher.fetch.usable import Usable
from fetcher.fetch.windows import Start
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response
from fetcher.origins import homes_of
from fetcher.tally import Tally


class Client:
    """`async with Client(...)`: one session, one realm and one cache for every row of a run.

    `cache` is None where the job keeps nothing; `tally` and `log` are told of every exchange, `witness` of every answer
    before it is judged. `realms` are open, and shared with others, one for each of several keys; without them the
    client has its own. `secrets` are masked in answers, and sent to no stranger; `check` says which addresses strangers
    may have. Where a credential is refused nothing more is sent, unless `ends_refused` is false. Answers that are not
    `usable` are asked for again.
    """

    def __init__(  # noqa: PLR0913  (what a client is made of)
        self,
        settings: Fetch,
        cache: Cache | None,
        retries: Retries,
        tally: Tally,
        *,
        realms: Sequence[Realm] = (),
        log: RequestLog | None = None,
        witness: Witness | None = None,
        secrets: Collection[str] = (),
        check: Callable[[str], None] = check_public,
        policy: Policy = PLAIN,
        ends_refused: bool = True,
        usable: Usable | None = None,
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._log = log
        self._ends_refused = ends_refused
        self._judging = Judging(settings, witness, usable)
        self._masks = Masks(secrets)
        self._homes = homes_of(settings.base_url, settings.allowed_hosts)
        self._keys = Keys(self._made_keys(realms))
        from fetcher.fetch.wire import Wire  # aiohttp takes a fifth of a second, and a job that asks nobody needs none

        self._wire = wire = Wire(settings, tally, retries.now, check)
        self._retries = replace(retries, sleep=lambda wait_s: wire.sleep(retries.sleep(wait_s)))
        self._keeping = self._keeping_of(cache, policy)

    async def __aenter__(self) -> "Client":
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping:
            await self._keeping.close()
        for key in self._keys.all:
            if key.tokens:
                await key.tokens.close()
        await self._wire.__aexit__(kind, error, trace)

    async def fetch(
        self,
        request: Request,
        source: Source = Source.KEPT_FIRST,
        intend: Callable[[], Awaitable[None]] | None = None,
        *,
        kept_since: float = float("-inf"),
        row_key: str = "",
    ) -> Fetched:
        """The answer to a request, from the cache where it is kept there, else from the API.

        A request with an `intend` must not be carried out twice: that is awaited once there is a connection and before
        the first byte leaves, and it is not repeated where it may have arrived. An answer that was kept before
        `kept_since` (epoch seconds) is none. A kept answer is not dropped before the row `row_key` is settled.

        Raises a `RowError` with the `attempts` that were made, or `ApiDown` or `DiskFailed` for the whole run.
        """
        if self._keeping is None:
            if source in KEPT:
                raise NotKept("no answer to this row is kept")
            return await self.ask(request, intend=intend)
        wanted = Wanted(request, source, kept_since, row_key)
        fetched = await self._keeping.fetch(wanted, partial(self.ask, intend=intend))
        if fetched.attempts == 0:
            await self._hit(request, fetched)
        return fetched

    async def _hit(self, request: Request, kept: Fetched) -> None:
        self._tally.cache_hits += 1
        await self._judging.tell(request, kept.response)

    async def kept(self, request: Request, source: Source, since: float) -> Fetched | None:
        """The kept answer where one may be used. Raises `NotKept` where it would have to be and there is none."""
        if self._keeping and (kept := await self._keeping.kept(Wanted(request, source, since))):
            await self._hit(request, kept)
            return kept
        if source in KEPT:
            raise NotKept("no answer to this row is kept")
        return None

    async def keep(self, request: Request, response: Response, row_key: str = "") -> None:
        """Keep an answer that was got otherwise, where the job keeps such."""
        if self._keeping:
            await self._keeping.keep(Wanted(request, row_key=row_key), response)

    async def ask(
        self,
        request: Request,
        accepted: frozenset[int] = frozenset(),
        *,
        intend: Callable[[], Awaitable[None]] | None = None,
        is_again: bool = False,
    ) -> Fetched:
        """The answer of the API, over as many attempts as it takes; it is not kept. Raises as `fetch` does.

        Answers of `accepted` statuses are taken as they are. What is asked again, after an answer that could not be
        used, waits no longer than until the client is halted.
        """
        began, deadline = time.monotonic(), Deadline(self._settings.retries.deadline)
        hop = first_hop(request, self._homes, self._masks.forms)
        asking = Asking(request, intend, intend is None, hop, deadline=deadline, accepted=accepted, is_again=is_again)
        try:
            return await self._retries.run(partial(self._attempt, asking), deadline)
        except RowError as error:
            error.attempts, error.status = asking.attempts, asking.status
            if isinstance(error, GaveUp) and not error.is_early and not self._wire.reach.is_since(began):
                raise self._wire.down(str(error)) from error
            raise

    async def _attempt(self, asking: Asking) -> Fetched:
        self._tally.retries += asking.was_sent
        may_renew = True
        while True:
            response, said, key = await self._chain(asking)
            try:
                meant = await self._meaning(response, said, asking, key)
            except CredentialRefused as refusal:
                if not asking.hop.is_home:  # a stranger, who was shown none
                    raise GaveUp(f"HTTP {response.status}: {response.url} wants a credential") from refusal
                if not (key.tokens and may_renew):
                    if self._ends_refused:
                        self.halt()  # whoever comes next would be refused, too
                    raise
                may_renew = False
                await key.tokens.renewed(asking.shown)
            except (AttemptFailed, GaveUp) as error:
                if asking.hop.is_result and not asking.is_repeatable:
                    raise unknown(error) from error
                raise
            else:
                return Fetched(response, asking.attempts, meant, asking.asked_at)

    async def _chain(self, asking: Asking) -> tuple[Response, Hints, Key]:
        """The answer at the end of a chain of redirects, each of them a request that is counted."""
        asking.hop = first_hop(asking.request, self._homes, self._masks.forms)
        while True:
            response, said, key = await self._exchanged(asking)
            hop = asking.hop
            try:
                after = next_hop(hop, response, self._homes, self._masks.forms)
            except Refused as error:
                refused = Refused(self._masks.redacted(str(error)))
                is_sent = method_after(response.status, hop.request.method) != hop.request.method
                if (is_sent or hop.is_result) and not asking.is_repeatable:
                    raise unknown(refused) from error
                raise refused from error
            if after is None:
                return await self._masks.masked(response), said, key
            asking.hop = after

    async def _exchanged(self, asking: Asking) -> tuple[Response, Hints, Key]:
        """One request and its answer, in a start of its own."""
        self._wire.check_turned_away(asking)
        if asking.is_signed:
            await self._keys.prepared()
        async with self._started(asking) as (key, start):
            self._wire.check_turned_away(asking)
            await self._wire.check_halted()
            asking.deadline.begin()
            asking.start, asking.realm = start, key.realm
            asking.shown = key.shown if asking.is_signed and asking.hop.is_home else None
            asking.attempts += 1
            self._tally.requests += 1
            status = asking.status = None
            asking.asked_at = self._retries.now()
            try:
                response = await self._wire.exchange(asking)
                asking.status = response.status
                said = hints(response, self._settings.hints, self._retries.now())
                key.realm.obey(said, start, is_about_job=response.status == 202)
                if (cost := told_cost(response, self._settings.limits)) is not None:
                    key.realm.settle(start, cost)
                    self._tally.cost += cost
                status, start.sign = response.status, await self._sign(response, said, asking)
            except (AttemptFailed, GaveUp) as error:
                if start.sign is Sign.NONE and not asking.is_reused:
                    start.sign = Sign.BAD
                if (start.has_left or asking.hop.is_result) and not asking.is_repeatable:
                    raise unknown(error) from error
                raise
            finally:
                if start.has_left and self._log:
                    self._log.note(start.at, time.monotonic(), status)
        return response, said, key

    async def _sign(self, response: Response, said: Hints, asking: Asking) -> Sign:
        """What an answer says about the realm; the job's rules know of some failures that they are about a row."""
        sign = sign_of(response.status, said.wait_s)
        is_ruled = sign is not Sign.GOOD and asking.is_signed
        rule = await self._judging.rule(response) if is_ruled else None
        if rule is None:
            return sign
        return Sign.GOOD if is_about_row(rule) else sign_of(response.status, told_wait_s(rule, response, said))

    def _made_keys(self, realms: Sequence[Realm]) -> list[Key]:
        settings, auth = self._settings, self._settings.auth
        count = auth.count if auth else 1
        realms = realms or [Realm(settings.limits, time.monotonic) for _ in range(count)]
        if auth is None:
            return [Key(realms[0])]
        if not has_tokens(auth):
            return [Key(realm, placed(auth, number)) for number, realm in enumerate(realms)]
        tokens = Tokens(auth, settings.base_url, self._ask_token, learn=self._masks.learn, clock=time.monotonic)
        return [Key(realms[0], tokens=tokens)]

    async def _ask_token(self, request: Request) -> Response:
        """The answer to a request for a token. It is never kept, follows nothing, and nobody is shown it."""
        asking = Asking(request, None, is_repeatable=True, hop=Hop(request, is_home=True), is_signed=False)
        return await self._retries.run(partial(self._token_attempt, asking))

    async def _token_attempt(self, asking: Asking) -> Response:
        response, said, _ = await self._exchanged(asking)
        try:
            return judged(response, said)
        except (Refused, GaveUp, CredentialRefused) as refusal:
            reason = self._masks.redacted(str(refusal))
            raise CredentialRefused(f"no token is given by {asking.request.url}: {reason}") from refusal

    def now(self) -> float:
        """Epoch seconds."""
        return self._retries.now()

    def halt(self) -> None:
        """No further request leaves; whoever asks for one waits to be cancelled. Those under way go on."""
        self._wire.halt()

    def _keeping_of(self, cache: Cache | None, policy: Policy) -> Keeping | None:
        keep, now = self._settings.cache.keep, self._retries.now
        if cache is None or keep == "none":
            return None
        if keep == "http":
            policy = replace(policy, may_guess=self._settings.cache.heuristic)
            return HttpCache(cache, policy, self._judging.kept_meaning, now)
        keep_s = ALWAYS if keep == "forever" else keep
        return Facts(cache, keep_s, self._judging.kept_meaning, now, label=policy.label)

    async def _meaning(self, response: Response, said: Hints, asking: Asking, key: Key) -> Meaning:
        try:
            return await self._judging.meaning(response, said, asking)
        except AttemptFailed as failure:
            if failure.hint_s and failure.hint_s != said.wait_s:
                key.realm.cool_down(time.monotonic() + failure.hint_s)
            raise

    @asynccontextmanager
    async def _started(self, asking: Asking) -> AsyncIterator[tuple[Key, Start]]:
        left_s = asking.deadline.left_s()
        longest_s = min(self._settings.retries.max_wait, left_s)
        was_sent = asking.was_sent and not asking.is_repeatable
        try:
            async with AsyncExitStack() as stack:
                async with turn_within(left_s, self._wire.later_turns if was_sent else set()):
                    started = await stack.enter_async_context(self._keys.start(longest_s, asking.request.cost))
                yield started
        except GaveUp:
            self._wire.check_turned_away(asking)
            raise
        except Hopeless as error:
            raise ApiDown(
                f"{self._settings.base_url} has failed for too long; run again when it is well, nothing is lost"
            ) from error
        except TooLong as wait:
            raise Parked(str(wait), 0.0 if wait.wait_s is None else self._retries.now() + wait.wait_s) from wait


def unknown(error: Exception) -> Unknown:
    """What a failure means for a request that was sent and must not be sent twice."""
    return Unknown(f"{error}: only the server knows whether it was carried out")
