"""What an API repeats of a credential is masked before anything else reads its answer.

Servers put the key that they were asked with into links, errors and echoes; from there it would get into the cache, the
ledger and the records.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from fetcher.model import Response
from fetcher.redaction import MASK, forms_of, redacted

LEAST_SECRET = 8
"""A shorter secret is looked for in messages only: in data it could be anything, a year, a name."""

LEARNT = 16
PIECE = 4 << 20
"""Bytes that are looked through without a breath for others: a millisecond or two a secret."""


class Masks:
    """The secrets of a run, those that it learns on the way among them, of which the newest are known."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret for secret in secrets if len(secret) >= LEAST_SECRET]
        self._learnt: deque[str] = deque(maxlen=LEARNT)
        self._update()

    def learn(self, secret: str) -> None:
        """One more."""
        if len(secret) >= LEAST_SECRET and secret not in (*self._secrets, *self._learnt):
            self._learnt.append(secret)
            self._update()

    def _update(self) -> None:
        forms = {form for secret in (*self._secrets, *self._learnt) for form in forms_of(secret)}
        self.forms = tuple(sorted(forms, key=len, reverse=True))
        """How each secret may be written, longest first."""
        self._needles = tuple(form.encode("utf-8", "surrogatepass") for form in self.forms)

    async def masked(self, response: Response) -> Response:
        """The answer without the secrets."""
        if not self.forms:
            return response
        body = response.body
        for needle in self._needles:
            if await is_within(needle, body):
                body = body.replace(needle, MASK.encode())
        headers, url = response.headers, self.redacted(response.url)
        if any(form in value for _, value in headers for form in self.forms):
            headers = tuple((name, self.redacted(value)) for name, value in headers)
        if body is response.body and headers is response.headers and url == response.url:
            return response
        return replace(response, body=body, headers=headers, url=url)

    def redacted(self, text: str) -> str:
        """A text without the secrets."""
        return redacted(text, (*self._secrets, *self._learnt))


async def is_within(needle: bytes, body: bytes) -> bool:
    """Whether those bytes are in a body; the loop is not held for long, however large that is."""
    for begin in range(0, len(body), PIECE):
        if body.find(needle, begin, begin + PIECE + len(needle)) >= 0:
            return True
        if begin:
            await asyncio.sleep(0)
    return False
