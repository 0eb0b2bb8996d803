"""`[annotate.model]`: a model behind a chat-completions API that labels each record. It becomes a service."""

import json
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

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
        if strange := [name for name in (*BODIES, "batch") if getattr(self, name) is not None]:
            raise ValueError(f"a model does not take '{strange[0].rstrip('_')}': its prompt is what it is asked")
        if self.labels and self.take:
            raise ValueError("labels are the whole answer, so there is nothing to 'take'")
        return self

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
        return self.model_copy(update={"json_": body, "expect": (*self.expect, *rules), "limits": limits})

    @property
    def _instruction(self) -> str:
        if self.labels:
            return f"Answer with one of these labels alone: {', '.join(self.labels)}."
        schema = json.dumps(self.schema_, ensure_ascii=False, separators=(",", ":"))
        return f"Answer with JSON alone, by this JSON Schema: {schema}"
