"""What a model has said, and whether it can be used: an answer of a chat API holds text, and the text a label, or one
for each of several records. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from fetcher.annotate.schemas import fault_in
from fetcher.errors import Quarantined
from fetcher.job.model import AROUND_LABELS

FENCED = re.compile(r"```[\w-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
BEGIN_JSON = ("{", "[", '"')
SHOWN = 80


@dataclass(frozen=True)
class Chat:
    """What an answer may be: one of `labels`, or JSON that fits a `schema`."""

    labels: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)

    def said(self, answer: object) -> object:
        """The label, or the JSON. Raises `Quarantined` with what is wrong where it cannot be used."""
        content = _content(answer)
        return self._label(content) if self.labels else self._json(content)

    def said_of_each(self, answer: object, count: int) -> list[str | Quarantined]:
        """What was said of each of so many records, from the first on: a label or JSON, as it was written, or why that
        cannot be used. Raises `Quarantined` where nothing of it can.

        What is told of a record that there is not is nobody's. But a model that counts from 0, or beyond the last one,
        has taken other records for these: none of it is believed.
        """
        content = _content(answer)
        told = list(_numbered(content))
        times = Counter(number for number, _ in told)
        if 0 in times or count + 1 in times:
            raise Quarantined(
                f"the model was asked about records 1 to {count:,}, and counts otherwise: {_shown(content)}"
            )
        found = dict(told)
        return [self._one_of_several(number, found.get(number), times[number]) for number in range(1, count + 1)]

    def _one_of_several(self, number: int, said: bytes | None, times: int) -> str | Quarantined:
        if said is None:
            return Quarantined(f"the model said nothing of record {number:,} of its batch")
        if times > 1:
            return Quarantined(f"the model answered {times:,} times about record {number:,} of its batch")
        try:
            text = said.decode()
            if not self.labels:
                self._json(text)
                return text
            label = msgspec.json.decode(said)
            return self._label(label if isinstance(label, str) else text)
        except Quarantined as error:
            return error

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


def _content(answer: object) -> str:
    """What was said, without the fence that it may stand in. One within JSON is part of what was said."""
    text = _text(answer)
    fenced = [] if text.lstrip().startswith(BEGIN_JSON) else FENCED.findall(text)
    return fenced[0] if len(fenced) == 1 else text


def _numbered(text: str) -> Iterator[tuple[int, bytes]]:
    """(number, what is said of that record) of a list of answers, which may stand alone in an object. Raises
    `Quarantined` where it is no such list."""
    try:
        if text.lstrip()[:1] == "{":
            (items,) = msgspec.json.decode(text, type=dict[str, list[dict[str, msgspec.Raw]]]).values()
        else:
            items = msgspec.json.decode(text, type=list[dict[str, msgspec.Raw]])
    # ValueError: msgspec's own errors, and an object of several.
    except (ValueError, RecursionError) as error:
        raise Quarantined(f"the model said {_shown(text)}, which is no list of answers") from error
    for item in items:
        number = re.fullmatch(rb'"?([0-9]{1,4})"?', bytes(item.get("number", b"")))
        if number and "answer" in item:
            yield int(number[1]), bytes(item["answer"])


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
