"""Several records in one prompt of a model: numbered in what it is asked, told apart by their numbers in what it says.

Each is kept as if it had been asked alone, in an answer of its own. A record that stands alone is asked as any is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from fetcher.annotate.chat import Chat
from fetcher.compose.request import compose, cost_of
from fetcher.errors import Quarantined, Refused
from fetcher.fetch.costs import told_cost
from fetcher.fetch.retries import AttemptFailed
from fetcher.job.model import COST_PATH, WRAPPING, ModelSection
from fetcher.model import Request, Response, Row

CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Prompts:
    """How records share a prompt. One is asked about `attempts` times at most whose answers cannot be used."""

    fetch: ModelSection
    chat: Chat
    attempts: int

    def request(self, rows: Sequence[Row]) -> Request:
        """What is asked about these records, which differ in nothing but their prompts. Raises `Refused`."""
        fetch, alone = self.fetch, compose(self.fetch, rows[0])
        if len(rows) == 1:
            return with_tokens(fetch, alone)
        told = f"{fetch.system.fill_text(rows[0].values)}\n\n" if fetch.system else ""
        texts = [fetch.prompt.fill_text(row.values) for row in rows]
        lines = [msgspec.json.encode({"number": number, "record": text}) for number, text in enumerate(texts, 1)]
        body = {
            **msgspec.json.decode(alone.body),
            "max_tokens": (fetch.max_tokens + WRAPPING) * len(rows),
            "messages": [
                {"role": "system", "content": told + fetch.instruction_for_several},
                {"role": "user", "content": b"\n".join(lines).decode()},
            ],
            **fetch.parameters,
        }
        return with_tokens(fetch, replace(alone, body=msgspec.json.encode(body), cost=cost_of(fetch, rows)))

    def parts(self, response: Response, rows: Sequence[Row]) -> list[Response | AttemptFailed]:
        """Each record's own answer, or why it cannot be used. Raises `AttemptFailed` where none of several can."""
        if len(rows) == 1:
            fault = self.chat.fault(response.body)
            return [AttemptFailed(fault) if fault else response]
        try:
            said = self.chat.said_of_each(msgspec.json.decode(response.body), len(rows))
        # ValueError: msgspec's own errors, and text that is not UTF-8.
        except (ValueError, RecursionError) as error:
            raise AttemptFailed(f"the answer is not JSON: {error}") from error
        except Quarantined as error:
            raise AttemptFailed(str(error)) from error
        costs = self._shares(response, len(rows))
        return [
            AttemptFailed(str(content)) if isinstance(content, Quarantined) else self._alone(response, content, cost)
            for content, cost in zip(said, costs, strict=True)
        ]

    def _alone(self, response: Response, content: str, cost: int | None) -> Response:
        """The answer that the record would have had by itself, with its share of what all have cost."""
        message = {"role": "assistant", "content": content}
        body: dict[str, object] = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        if cost is not None:
            body["usage"] = {"total_tokens": cost}
        told = (self.fetch.limits.cost_header or "").lower()
        headers = tuple((name, value) for name, value in response.headers if name.lower() != told)
        return replace(response, body=msgspec.json.encode(body), headers=headers, url="")

    def _shares(self, response: Response, count: int) -> list[int | None]:
        """What each of so many records has cost, in whole tokens that add up; None where the answer does not tell, or
        tells it elsewhere."""
        limits = self.fetch.limits
        total = told_cost(response, limits) if limits.cost_path == COST_PATH and not limits.cost_header else None
        if total is None:
            return [None] * count
        return [total * number // count - total * (number - 1) // count for number in range(1, count + 1)]


def with_tokens(fetch: ModelSection, request: Request) -> Request:
    """The request, counted in tokens until its answer tells how many they were: four letters each, and the answer's.

    Raises `Refused` where it counts for more than a rate allows.
    """
    if fetch.limits.cost != 1:
        return request
    asked = msgspec.json.decode(request.body)
    letters = sum(len(message["content"]) for message in asked["messages"])
    answer = asked["max_tokens"]  # which 'parameters' may have set
    tokens = math.ceil(letters / CHARACTERS_A_TOKEN) + (answer if isinstance(answer, int) else fetch.max_tokens)
    most = min((rate.starts for rate in fetch.limits.rate), default=tokens)
    if tokens > most:
        raise Refused(f"it has about {tokens:,} tokens, and a rate allows {most:,}")
    return replace(request, cost=tokens)
