"""`[annotate.model]`: a model behind a chat-completions API that labels each record. It becomes a service."""

import json
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fetcher.job.batch import Batch
from fetcher.job.entries import BaseUrl, UrlPath
from fetcher.job.expect import Expect
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import written
from fetcher.job.sections import slots_in
from fetcher.job.service import ServiceSection
from fetcher.job.values import parse_json_schema
from fetcher.template import Template, escape_braces, read_template

AROUND_LABELS = " \t\r\n\"'`.*"
"""What models put round a label."""

BODIES = ("json_", "form", "multipart", "text", "graphql")
COST_PATH = "usage.total_tokens"
MOST_RECORDS = 1000
WRAPPING = 16
"""Tokens that the number of a record takes in an answer about several, and what stands round it."""

RULES = (
    {"status": [429], "text": "insufficient_quota", "action": "stop", "reason": "error.message"},
    {
        "status": [400, 413, 429],
        "text": "reduce your prompt|context_length_exceeded",
        "action": "refuse",
        "reason": "error.message",
    },
    {"status": [429], "text": "try again in (?P<wait>[0-9hms.]+)", "action": "cooldown", "reason": "error.message"},
    {"status": [500, 502, 503, 529], "action": "retry", "reason": "error.message"},  # no completion came, none is paid
)
"""What answers of such APIs mean, behind the rules of the job itself."""


def parse_batch(value: object) -> Batch:
    """A number of records; what differs between them is known once there is a prompt."""
    if isinstance(value, Batch):
        return value
    return Batch(size=_RECORDS.read(value), each=("prompt",))


_RECORDS = whole_number(1, MOST_RECORDS)
_Batch = Annotated[Batch, Kind(parse_batch, lambda: {**_RECORDS.schema(), "examples": [20]})]
_Text = Annotated[Template, Kind(read_template, lambda: {"type": "string"})]
_Schema = Annotated[dict[str, Any], Kind(parse_json_schema, lambda: {"type": "object"})]


class ModelSection(ServiceSection):
    """A model that labels each record. It has all that a service has; its rates count tokens."""

    base_url: BaseUrl = Field(description="Address of the API, with its version: 'http://localhost:11434/v1'.")
    url: UrlPath = written("/chat/completions", "Path after base_url.")
    method: Literal["POST"] = Field(default="POST", description="HTTP method of the request.")
    model: str = Field(min_length=1, description="Name of the model, as the API has it: 'gpt-4o-mini'.")
    prompt: _Text = Field(description="What the model is asked; slots are filled from the record: '{review}'.")
    system: _Text | None = Field(
        default=None, description="What the model is told before. How it has to answer is added to it."
    )
    labels: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="The labels that there are; the answer is one of them, and goes 'into' a field."
    )
    schema_: _Schema | None = Field(
        default=None,
        alias="schema",
        description="JSON Schema of the answer, in place of labels; what does not fit it is asked for again.",
    )
    attempts: Annotated[int, whole_number(1, 20)] = Field(
        default=3, description="How often a record is asked about at most whose answers cannot be used."
    )
    max_tokens: Annotated[int, whole_number(1, 10**6)] = Field(
        default=64, description="Tokens that an answer may have. They count in the rate until the answer tells."
    )
    batch: _Batch | None = Field(
        default=None,
        description="How many records are asked about in one prompt at most: 20. Left out: each by itself.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Further keys of the request, such as { temperature = 0 }; no slots."
    )

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if bool(self.labels) == (self.schema_ is not None):
            raise ValueError("expected either 'labels' or 'schema', which say what an answer is")
        bare = {label.strip(AROUND_LABELS).casefold() for label in self.labels}
        if len(bare) < len(self.labels) or "" in bare:
            raise ValueError("expected labels that are told apart by their letters, whatever their case")
        if strange := [name for name in BODIES if getattr(self, name) is not None]:
            raise ValueError(f"a model does not take '{strange[0].rstrip('_')}': its prompt is what it is asked")
        if self.labels and self.take:
            raise ValueError("labels are the whole answer, so there is nothing to 'take'")
        return self

    def _batch_fault(self) -> str | None:
        if self.batch is None:
            return None
        if self.idempotency_key:
            return "expected either 'batch' or 'idempotency_key', got both: no record of a batch has a key of its own"
        if not self._differing:
            return "batch needs a slot in 'prompt' that 'system', 'url', 'query' and 'headers' have not"
        return None

    @property
    def _differing(self) -> tuple[str, ...]:
        """The slots that may be filled differently for records of one prompt."""
        shared = set(slots_in([self.system, self.url, self.query, self.headers]))
        return tuple(name for name in self.prompt.slots if name not in shared)

    @cached_property
    def prompt_slots(self) -> frozenset[str]:
        """The names of the slots of what the model is told and asked; they are filled with text."""
        return frozenset(slots_in([self.prompt, self.system]))

    @cached_property
    def composed(self) -> "ModelSection":
        """The same as a service: its body, its rules, and where its answers tell their cost."""
        told = f"{self.system.text}\n\n" if self.system else ""
        system = Template.parse(told + escape_braces(self._instruction))
        messages = [{"role": "system", "content": system}, {"role": "user", "content": self.prompt}]
        body = {"model": self.model, "max_tokens": self.max_tokens, "messages": messages, **self.parameters}
        rules = tuple(Expect.model_validate(rule) for rule in RULES)
        limits = self.limits
        if not (limits.cost_path or limits.cost_header):
            limits = limits.model_copy(update={"cost_path": COST_PATH})
        told_apart = {"each": self._differing, "counts_rows": isinstance(limits.cost, Template)}
        batch = self.batch and self.batch.model_copy(update=told_apart)
        rules = (*self.expect, *rules)
        return self.model_copy(update={"json_": body, "expect": rules, "limits": limits, "batch": batch})

    @property
    def _instruction(self) -> str:
        if self.labels:
            return f"Answer with one of these labels alone: {', '.join(self.labels)}."
        return f"Answer with JSON alone, by this JSON Schema: {_compact(self.schema_)}"

    @property
    def instruction_for_several(self) -> str:
        """How the model has to answer about several records."""
        answer = self.schema_ if self.schema_ is not None else {"enum": list(self.labels)}
        item = {"properties": {"number": {"type": "integer"}, "answer": answer}, "required": ["number", "answer"]}
        return (
            "You are given several records, each a line of JSON with its number. Judge each by itself, and answer "
            "about all of them with JSON alone, an item for each record with its number, by this JSON Schema: "
            + _compact({"type": "array", "items": {"type": "object", **item}})
        )


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
