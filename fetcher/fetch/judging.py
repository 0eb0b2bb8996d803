"""What answers mean to a job, new ones and kept ones, and who is told of them. Rules are in `expectations`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fetcher.fetch.attempts import Asking
from fetcher.fetch.expectations import Meaning, kept_meaning, looks_into_body, meaning, rule_for
from fetcher.fetch.hints import Hints
from fetcher.fetch.usable import Usable
from fetcher.job.expect import Expect
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response

LARGEST_IN_LOOP = 64_000
"""Bytes of a body that a rule looks into without leaving the loop."""

Witness = Callable[[Request, Response, Expect | None], None]
"""Told of an answer to a request, and of the rule that it falls under."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Judges by the rules of a job, and by whether an answer is `usable`. A `witness` is told before."""

    settings: Fetch
    witness: Witness | None = None
    usable: Usable | None = None

    async def rule(self, response: Response) -> Expect | None:
        """The rule that an answer falls under. A big body is decoded in a thread."""
        rules = self.settings.expect
        if len(response.body) > LARGEST_IN_LOOP and looks_into_body(rules):
            return await asyncio.to_thread(rule_for, rules, response)
        return rule_for(rules, response) if rules else None

    async def meaning(self, response: Response, said: Hints, asking: Asking) -> Meaning:
        """What an answer that counts is. Raises what any other means for the row."""
        rule = await self.rule(response)
        if self.witness:
            self.witness(asking.request, response, rule)
        if rule is None and response.status in asking.accepted:
            return Meaning.RECORDS
        meant = meaning(response, said, rule, is_repeatable=asking.is_repeatable)
        if self.usable and meant is Meaning.RECORDS:
            asking.answers += 1
            self.usable.check(response, asking.answers)
        return meant

    async def kept_meaning(self, response: Response) -> Meaning | None:
        """What a kept answer is by the rules of today; None where they would not have kept it."""
        return kept_meaning(response, await self.rule(response))

    async def tell(self, request: Request, kept: Response) -> None:
        """Tell the witness, where there is one, of a kept answer."""
        if self.witness:
            self.witness(request, kept, await self.rule(kept))
