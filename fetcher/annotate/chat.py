"""What a model has said, and whether it can be used: an answer of a chat API holds text, and the text a label. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from fetcher.annotate.schemas import fault_in
from fetcher.errors import Quarantined
from fetcher.job.model import AROUND_LABELS

FENCED = re.compile(r"```[\w-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
SHOWN = 80


@dataclass(frozen=True)
class Chat:
    """What an answer may be: one of `labels`, or JSON that fits a `schema`."""

    labels: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)

    def said(self, answer: object) -> object:
        """The label, or the JSON. Raises `Quarantined` with what is wrong where it cannot be used."""
        text = _text(answer)
        fenced = FENCED.findall(text)
        content = fenced[0] if len(fenced) == 1 else text
        return self._label(content) if self.labels else self._json(content)

    def fault(self, body: bytes) -> str:
        """Why an answer cannot be used; nothing where it can."""
        try:
            self.said(msgspec.json.decode(body))
        except Quarantined as error:
            return str(error)
        # ValueError: msgspec's own errors, and text that is not UTF-8.
        except (ValueError, RecursionError) as error:
            return f"the answer is not JSON: {error}"
        return ""

    def _label(self, text: str) -> str:
        label = self._known.get(text.strip(AROUND_LABELS).casefold())
        if label is None:
            raise Quarantined(f"the model said {_shown(text)}, which is no label")
        return label

    def _json(self, text: str) -> object:
        try:
            value = msgspec.json.decode(text)
        except (ValueError, RecursionError) as error:
            raise Quarantined(f"the model said {_shown(text)}, which is no JSON") from error
        if fault := fault_in(self.schema, value):
            raise Quarantined(f"the model said {_shown(text)}, which does not fit the schema: {fault}")
        return value

    @cached_property
    def _known(self) -> Mapping[str, str]:
        return {label.strip(AROUND_LABELS).casefold(): label for label in self.labels}


def _text(answer: object) -> str:
    """The text of the first choice. Raises `Quarantined` where there is none, or not all of it."""
    try:
        choice = answer["choices"][0]  # type: ignore[index]  # what is no such answer raises
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise Quarantined("the answer has no choices[0].message, as chat completions have") from error
    if refusal:
        raise Quarantined(f"the model refuses: {_shown(str(refusal))}")
    if not isinstance(content, str):
        raise Quarantined("the model said nothing")
    if choice.get("finish_reason") == "length":
        raise Quarantined(f"the model was cut short at max_tokens: {_shown(content)}")
    return content


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else f"{line[:SHOWN]}...")
