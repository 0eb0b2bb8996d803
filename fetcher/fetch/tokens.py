"""Whoever needs a token asks here; one request brings it for all of them."""

import asyncio
from collections.abc import Awaitable, Callable

from fetcher.fetch.auth import Placed, placed_token, renew_at, token_in, token_request
from fetcher.job.auth import Auth
from fetcher.model import Request, Response

Ask = Callable[[Request], Awaitable[Response]]


class Tokens:
    """The token of the hour. `ask` sends a request for one, paced and repeated like any; `clock` is monotonic.

    However many want a new one at once, one request is made, and its failure is everybody's. `learn` is told of every
    new secret.
    """

    def __init__(
        self, auth: Auth, base_url: str, ask: Ask, *, learn: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._auth = auth
        self._base_url = base_url
        self._ask = ask
        self._learn = learn
        self._clock = clock
        self._refresh_token = auth.refresh_token
        self._renew_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self.shown: Placed | None = None

    async def prepared(self) -> None:
        """Return when there is a token that will live for a while."""
        if self._clock() >= self._renew_at:
            await self._asked()

    async def renewed(self, refused: Placed | None) -> None:
        """Return when there is another token than the one that was refused."""
        if self.shown is refused:
            await self._asked()

    async def close(self) -> None:
        """Drop a request that nobody waits for any more."""
        if self._asking:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _asked(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renew())
        asking = self._asking
        await asyncio.wait({asking})  # whoever stops waiting must not stop it for the others
        asking.result()

    async def _renew(self) -> None:
        response = await self._ask(token_request(self._auth, self._base_url, self._refresh_token))
        token = token_in(self._auth, response)
        for secret in (token.text, token.refresh_token or ""):
            self._learn(secret)
        self._refresh_token = token.refresh_token or self._refresh_token
        self._renew_at = renew_at(self._clock(), token.lifetime_s)
        self.shown = placed_token(self._auth, token.text)
