"""What is taken of the answers to questions about records. Pure: who asks them is the pipeline's affair."""

from collections.abc import Mapping
from dataclasses import dataclass

import jmespath

from fetcher.annotate.chat import Chat
from fetcher.annotate.steps import Record, Step, is_wanted
from fetcher.errors import Quarantined
from fetcher.provenance import Origin


@dataclass(frozen=True, slots=True)
class Asked:
    """An annotator that asks. `take` are (field, path in the answer), None where the answer is taken as it is; of a
    `chat` it is what the model has said. Its result goes `into` a field, or its fields into the record.

    `name` tells it from others in messages; `then` are the annotators behind it that ask nobody. `drops` are fields
    with pictures that nobody needs behind it. With an `origin` the record says where its fields are from.
    """

    name: str
    take: tuple[tuple[str, str], ...] | None = None
    chat: Chat | None = None
    into: str = ""
    when: str = ""
    only_empty: bool = False
    then: tuple[Step, ...] = ()
    origin: Origin | None = None
    drops: tuple[str, ...] = ()

    def wants(self, record: Record) -> bool:
        """Whether this record is asked about."""
        return is_wanted(self, record)

    def added(self, answer: object) -> Mapping[str, object]:
        """The fields for a record whose question has this answer. Raises `Quarantined` where there are none in it."""
        found = self.chat.said(answer) if self.chat else answer
        if self.take is not None:
            found = {field: _at(path, found) for field, path in self.take}
        if self.into:
            return {self.into: found}
        if isinstance(found, Mapping):
            return found
        raise Quarantined(f"the answer is of type {type(found).__name__}, expected an object (or say 'into')")

    def nothing(self) -> Mapping[str, object]:
        """The same where the answer says that there is nothing."""
        taken = None if self.take is None else {field: None for field, _ in self.take}
        return {self.into: taken} if self.into else taken or {}


def _at(path: str, answer: object) -> object:
    try:
        return jmespath.search(path, answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"take: '{path}' cannot be taken of the answer: {error}") from error
