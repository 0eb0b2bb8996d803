"""What a job file may say of asking: a model a section, a description a key. An editor shows them to a newcomer.

How each kind of value is read is in `entries`; here is only which key holds what.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StrictBool, model_validator

from fetcher.job.auth import Auth
from fetcher.job.batch import Batch
from fetcher.job.bodies import Bodies
from fetcher.job.cache import CacheSection
from fetcher.job.days import TimezoneText
from fetcher.job.entries import (
    BaseUrl,
    Cost,
    HeaderName,
    Headers,
    HostName,
    JsonPath,
    QueryValue,
    RatesText,
    RealmName,
    UrlPath,
)
from fetcher.job.expect import Expect
from fetcher.job.hints import HintsSection
from fetcher.job.kinds import number, whole_number
from fetcher.job.pages import Pages
from fetcher.job.poll import Poll
from fetcher.job.section import Section, written
from fetcher.job.skip import Skip
from fetcher.job.units import duration_between, size_between
from fetcher.template import Template

BILLIONTH = 1e-9


class Budget(Section):
    """Money as a hard stop. Amounts count to the billionth of whatever they are in."""

    cost_per_request: Annotated[float, number(0, 10**6)] = Field(default=0, description="What one request costs.")
    cost_per_1000: Annotated[float, number(0, 10**6)] = Field(
        default=0, description="What 1,000 of what requests count for ('cost') cost, such as tokens."
    )
    total: Annotated[float, number(0, 10**9)] = Field(description="What all requests of the job may cost together.")

    @model_validator(mode="after")
    def _check_cost(self) -> Self:
        if self.cost_per_request < BILLIONTH and self.cost_per_1000 < 1000 * BILLIONTH:
            raise ValueError("expected cost_per_request, or cost_per_1000 of what requests count for, as tokens")
        return self


class Limits(Section):
    """How fast the API may be asked. Every limit holds at once."""

    rate: RatesText = Field(
        default=(),
        description="Requests that may begin within a window: '6/10 s', '20/s', '5000/day', or a list of them.",
    )
    timezone: TimezoneText = written("UTC", "Time zone in which the API's day and month begin.")
    spacing: Annotated[float, duration_between("1 ms", "1 day")] | None = Field(
        default=None, description="Time between the starts of two requests, at least: '1 s'. Left out: none."
    )
    cost: Cost = Field(
        default=1, description="What a request counts for in each rate: a whole number, or a slot such as '{tokens}'."
    )
    cost_header: HeaderName | None = Field(
        default=None, description="Header of the answer with what the request has cost; it corrects 'cost'."
    )
    cost_path: JsonPath | None = Field(
        default=None, description="Path of that in the answer (JMESPath), such as 'usage.total_tokens'."
    )
    max_requests: Annotated[int, whole_number(1, 10**12)] | None = Field(
        default=None, description="Requests that this job may send at all, over all its runs. Left out: no such limit."
    )
    budget: Budget | None = Field(default=None, description="Money that this job may spend at all, over all its runs.")
    realm: RealmName | None = Field(
        default=None,
        description="Name of what the limits are about. Left out: the API's address and the credential.",
    )
    concurrency: Annotated[int, whole_number(1, 1000)] = Field(
        default=8, description="Requests that may be under way at once, from 1 to 1000."
    )
    adaptive: StrictBool = Field(
        default=True,
        description="Send fewer requests at once while answers become slow or fail, never more than 'concurrency'.",
    )
    smooth: StrictBool | None = Field(
        default=None,
        description="Space requests evenly rather than in bursts. Left out: evenly for rates above one a second.",
    )
    strict: StrictBool = Field(
        default=False,
        description="Count each request from its answer rather than from its start: slower, and safe on slow networks.",
    )
    headroom: Annotated[float, number(0, 0.5)] = Field(
        default=0.01, description="Share of each rate that is left unused, from 0 to 0.5."
    )


class Retries(Section):
    """What happens when a request fails in a way that may pass."""

    attempts: Annotated[int, whole_number(1, 20)] = Field(
        default=5, description="How often a request is sent at most, the first time included, from 1 to 20."
    )
    first_wait: Annotated[float, duration_between("1 ms", "1 h")] = written(
        "0.5 s", "Wait before the second attempt; it doubles from then on, with chance mixed in."
    )
    longest_wait: Annotated[float, duration_between("1 ms", "1 day")] = written(
        "60 s", "The wait between two attempts never grows beyond this."
    )
    max_wait: Annotated[float, duration_between("0 s", "1 day")] = written(
        "2 min", "Longest wait that a server may ask for within a run; beyond it the row waits for the next run."
    )
    deadline: Annotated[float, duration_between("1 ms", "30 days")] | None = Field(
        default=None,
        description="Longest time that a request may take over all its attempts and the waits between them, such as "
        "'10 min'; beyond it the next run asks again. Each page has its own. Left out: as long as its attempts take.",
    )


class Fetch(Bodies):
    """What is asked, of whom, and how politely."""

    base_url: BaseUrl = Field(
        description="Address of the API: http or https, no query, such as 'https://api.example.org'."
    )
    allowed_hosts: tuple[HostName, ...] = Field(
        default=(),
        description="Hosts besides that of base_url that redirects and links may lead to with headers and credential, "
        "such as 'files.example.org'. Others get neither.",
    )
    auth: Auth | None = Field(default=None, description="How a request shows whose it is. All of it is secret.")
    url: UrlPath = Field(description="Path after base_url. Slots such as {date} are filled from the row.")
    query: dict[str, QueryValue] = Field(
        default_factory=dict,
        description="Query of the URL: text with slots such as '{date:%Y-%m-%d}', numbers, true, false.",
    )
    headers: Headers = Field(
        default_factory=dict,
        description="Headers sent with each request; '${secret:NAME}' keeps a value out of every log.",
    )
    idempotency_key: StrictBool = Field(
        default=False,
        description="Send an Idempotency-Key, so that a POST may be repeated. Only for servers that honour it.",
    )
    on_unknown: Literal["stop", "retry", "skip"] = Field(
        default="stop",
        description="What happens to a row whose POST or PATCH was sent and whose answer was lost: 'stop' leaves it to "
        "you ('fetcher failures'), 'retry' may carry it out twice, 'skip' gives it up.",
    )
    pages: Pages | None = Field(default=None, description="How an answer that comes in pages is asked for.")
    poll: Poll | None = Field(
        default=None, description="How the job that a request begins at the server is asked about until it is done."
    )
    batch: Batch | None = Field(default=None, description="How several rows are asked about in one request.")
    skip: Skip | None = Field(default=None, description="Which rows are not asked about.")
    timeout: Annotated[float, duration_between("1 ms", "1 day")] = written(
        "30 s", "Longest time that one attempt may take, from connecting to the last byte."
    )
    max_body: Annotated[int, size_between("1 B", "16 GB")] = written(
        "64 MB", "Largest answer that is read; a larger one is refused."
    )
    limits: Limits = Field(default_factory=Limits, description="How fast the API may be asked.")
    retries: Retries = Field(default_factory=Retries, description="What happens when a request fails.")
    hints: HintsSection = Field(default_factory=HintsSection, description="How the API says when to come back.")
    expect: tuple[Expect, ...] = Field(
        default=(), description="What an answer means where its status does not say so; the first rule decides."
    )
    cache: CacheSection = Field(default_factory=CacheSection, description="How long answers are kept.")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.pages and self.pages.into == "json" and not (isinstance(self.json_, dict) or self.graphql):
            raise ValueError("pages.into = 'json' needs a table 'json' or 'graphql' that the parameters go into")
        if self.pages and self.batch:
            raise ValueError("expected either 'pages' or 'batch', got both: a batch's pages are nobody's")
        if fault := self._split_fault() or self._batch_fault():
            raise ValueError(fault)
        if self.poll and (self.pages or self.batch):
            raise ValueError("expected 'poll' alone, got it with 'pages' or 'batch'")
        return self

    def _split_fault(self) -> str | None:
        is_split = self.pages is not None and self.pages.kind == "split"
        has_rule = any(rule.action == "split" for rule in self.expect)
        if has_rule and not is_split:
            return "the action 'split' of expect needs pages = { kind = 'split' }, which halves windows"
        if self.pages and is_split and not (has_rule or self.pages.size or self.pages.more or self.pages.total):
            return (
                "pages.kind = 'split' needs something that says when a window holds too much: a rule in expect with "
                "action = 'split', or pages.size, pages.more or pages.total"
            )
        return None

    def _batch_fault(self) -> str | None:
        batch, cost = self.batch, self.limits.cost
        if batch is None:
            return None
        if self.idempotency_key:
            return "expected either 'batch' or 'idempotency_key', got both: no row of a batch has a key of its own"
        if strange := [name for name in batch.each if name not in self.slots()]:
            return f"batch.each names '{strange[0]}', which is no slot of this request"
        most = min((rate.starts for rate in self.limits.rate), default=None)
        if batch.counts_rows and most is not None and isinstance(cost, int) and batch.size * cost > most:
            return f"a batch of {batch.size} rows counts for {batch.size * cost}, and a rate allows {most}"
        return None

    def slots(self) -> set[str]:
        """The names of all slots of the request."""
        bodies = (self.json_, self.form, self.multipart, self.text, self.graphql and self.graphql.variables)
        return {name for part in (self.url, self.query, self.headers, *bodies) for name in slots_in(part)}


def slots_in(value: object) -> Iterator[str]:
    """The names of the slots in a value, tables and lists included."""
    match value:
        case Template():
            yield from value.slots
        case BaseModel():
            yield from slots_in(dict(value))
        case dict():
            for item in value.values():
                yield from slots_in(item)
        case list() | tuple():
            for item in value:
                yield from slots_in(item)


def nobody() -> Fetch:
    """What a job asks that has no `[fetch]`: nobody. Nothing of it is ever sent."""
    return Fetch.model_validate({"base_url": "http://localhost", "url": "/", "cache": {"keep": "none"}})
