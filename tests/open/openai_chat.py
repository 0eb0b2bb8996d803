"""OpenAI-compatible chat completions that label reviews: two budgets in headers, three kinds of 429, bad answers."""

import csv
import enum
import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.open.serving import Bucket, Emulator, recordings

API = "openai-chat-completions"
PATH = "/v1/chat/completions"
KEY = "test-key"
MAX_TOKENS = 16
LABELS = ("negative", "neutral", "positive")
PROSE = "I think this review is mostly fine."
COLUMNS = ("id", "Title", "Review Text", "Rating")


class Kind(enum.IntEnum):
    """How a review is answered."""

    FENCED = 0
    PROSE_ONCE = 1
    PROSE_ALWAYS = 2
    CUT_ONCE = 3
    TOO_LARGE = 4
    ERROR_ONCE = 5
    EXTRA_KEY = 6
    PLAIN = 7


def recorded_reviews() -> list[dict[str, str]]:
    """The rows of the specification, cells exactly as they are."""
    with (recordings(API) / "input.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def generated_reviews(seed: int = 8, count: int = 120) -> list[dict[str, str]]:
    """Reviews of our own: line breaks, quotes and blanks at both ends of cells, some without any text."""
    chance = random.Random(seed)
    words = ["soft", "“fits”", "too big,", 'the "petite"', "seams\r\nripped", "returned\nit", "5'4\"", "naïve"]
    rows = []
    for number in range(count):
        text = " ".join(chance.choices(words, k=chance.randrange(3, 12)))
        text = ["", "   ", f" {text} {number} "][min(number % 15, 2)] if number % 5 == 0 else f"{text} {number}"
        rows.append({"id": str(number), "Title": "", "Review Text": text, "Rating": str(number % 5 + 1)})
    return rows


def write_reviews(rows: list[dict[str, str]], path: Path) -> None:
    """As CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def digest(text: str) -> bytes:
    """What decides how a review is answered."""
    return hashlib.sha256(text.encode()).digest()


def kind(text: str) -> Kind:
    """How a review is answered."""
    return Kind(min(digest(text)[0] % 40, Kind.PLAIN))


def label(text: str) -> str:
    """The made-up label of a review."""
    return LABELS[digest(text)[1] % 3]


def expected(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The records that a correct run makes."""
    return [
        {"id": int(row["id"]), "sentiment": label(row["Review Text"])}
        for row in rows
        if row["Review Text"].strip() and kind(row["Review Text"]) not in (Kind.PROSE_ALWAYS, Kind.TOO_LARGE)
    ]


def ids(rows: list[dict[str, str]], *kinds: Kind) -> list[int]:
    """The reviews of those kinds."""
    return [int(row["id"]) for row in rows if row["Review Text"].strip() and kind(row["Review Text"]) in kinds]


@dataclass
class ChatCompletions(Emulator):
    """The API. After `quota` good answers only `insufficient_quota` is left; `per_text` counts requests. Its budgets
    fill in a quarter of the specified time, so that tests are short."""

    quota: int | None = None
    requests_left: Bucket = field(default_factory=lambda: Bucket(120, 0.5))
    tokens_left: Bucket = field(default_factory=lambda: Bucket(12_000, 0.5))
    per_text: Counter[str] = field(default_factory=Counter)
    told_to_retry: int = 0
    tokens: int = 0
    _misbehaved: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        if request.method != "POST" or request.path != PATH:
            return web.Response(status=404)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return failure(401, "invalid_api_key", "Incorrect API key provided.")
        asked = await request.json()
        if not asked.get("messages"):
            return failure(400, "empty_array", "Invalid 'messages': empty array.")
        answer = self._admitted(asked)
        for name, bucket in (("requests", self.requests_left), ("tokens", self.tokens_left)):
            answer.headers[f"x-ratelimit-limit-{name}"] = str(bucket.size)
            answer.headers[f"x-ratelimit-remaining-{name}"] = str(int(bucket.held()))
            answer.headers[f"x-ratelimit-reset-{name}"] = duration(bucket.lacks_s(bucket.size))
        return answer

    def _admitted(self, asked: dict[str, Any]) -> web.Response:
        text = asked["messages"][-1]["content"]
        self.per_text[text] += 1
        if self.quota is not None and self.by_status[200] >= self.quota:
            return failure(429, "insufficient_quota", "You exceeded your current quota, please check your plan.")
        if kind(text) == Kind.TOO_LARGE:
            requested = 4 * self.tokens_left.size
            told = f"Limit {self.tokens_left.size}, Used 0, Requested {requested}. Please reduce your prompt."
            return failure(429, "rate_limit_exceeded", f"Rate limit reached on tokens per min (TPM): {told}")
        characters = sum(len(message["content"]) for message in asked["messages"])
        needed = math.ceil(characters / 4) + asked.get("max_tokens", MAX_TOKENS)
        wait_s = max(self.requests_left.lacks_s(1), self.tokens_left.lacks_s(needed))
        if wait_s:
            self.told_to_retry += 1
            told = f"Limit {self.tokens_left.size}, Used {int(self.tokens_left.size - self.tokens_left.held())}"
            told += f", Requested {needed}. Please try again in {duration(wait_s)}. Visit the documentation."
            return failure(429, "rate_limit_exceeded", f"Rate limit reached: {told}")
        self.requests_left.take(1)
        self.tokens_left.take(needed)
        return self._completed(text, needed, asked["model"])

    def _completed(self, text: str, tokens: int, model: str) -> web.Response:
        is_first = text not in self._misbehaved
        self._misbehaved.add(text)
        if kind(text) == Kind.ERROR_ONCE and is_first:
            return failure(500, None, "The server had an error while processing your request.", "server_error")
        content, reason = completion(text, is_first), "length" if kind(text) == Kind.CUT_ONCE and is_first else "stop"
        message = {"role": "assistant", "content": content, "refusal": None}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]
        self.tokens += tokens
        usage = {"prompt_tokens": tokens - MAX_TOKENS, "completion_tokens": MAX_TOKENS, "total_tokens": tokens}
        told = {"id": f"chatcmpl-{digest(text).hex()[:12]}", "object": "chat.completion", "created": 1700000000}
        told |= {"model": model, "choices": choices, "usage": usage, "system_fingerprint": None}
        return web.json_response(told)


def completion(text: str, is_first: bool) -> str:
    """What the model says."""
    plain = json.dumps({"sentiment": label(text)})
    match kind(text):
        case Kind.FENCED:
            return f"```json\n{plain}\n```"
        case Kind.PROSE_ONCE if is_first:
            return PROSE
        case Kind.PROSE_ALWAYS:
            return PROSE
        case Kind.CUT_ONCE if is_first:
            return plain[:9]
        case Kind.EXTRA_KEY:
            return json.dumps({"reason": "of the words used", "sentiment": label(text)})
    return plain


def duration(seconds: float) -> str:
    """`374ms`, `8.64s`, `1m4.296s`; never less than it is."""
    ms = math.ceil(seconds * 1000)
    minutes, ms_left = divmod(ms, 60_000)
    if ms < 1000:
        return f"{ms}ms"
    return (f"{minutes}m" if minutes else "") + f"{ms_left / 1000:g}s"


def failure(status: int, code: str | None, message: str, type_: str = "requests") -> web.Response:
    """An error in this API's words."""
    told = {"message": message, "type": type_, "param": None, "code": code}
    return web.json_response({"error": told}, status=status)


def unlabelled(rows: list[dict[str, str]]) -> Iterator[int]:
    """The rows without any text."""
    return (int(row["id"]) for row in rows if not row["Review Text"].strip())
