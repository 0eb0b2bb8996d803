"""Several records in one prompt: what a model is asked, and what becomes of what it says."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.annotate.chat import Chat
from fetcher.batches import Batches
from fetcher.compose.request import compose
from fetcher.errors import GaveUp, Parked, Quarantined, Refused
from fetcher.fetch.budget import Budget
from fetcher.fetch.client import Client
from fetcher.fetch.sources import Fetched, Source
from fetcher.job.model import ModelSection
from fetcher.model import Request, Response, Row
from fetcher.prompts import Prompts, with_tokens

LABELS = ("good", "bad")
Said = Callable[[dict[int, str]], str]


def section(**keys: object) -> ModelSection:
    """A model that labels texts, as a service."""
    told = {"base_url": "http://localhost/v1", "model": "small", "prompt": "Judge: {text}", "labels": LABELS}
    return ModelSection.model_validate({**told, "batch": 8, **keys}).composed


def rows(*texts: str, **values: str) -> list[Row]:
    """A row a text."""
    return [Row(str(number), {"text": text, **values}) for number, text in enumerate(texts)]


def prompts(fetch: ModelSection, attempts: int = 3) -> Prompts:
    """How its records share a prompt."""
    return Prompts(fetch, Chat(fetch.labels, fetch.schema_ or {}), attempts)


def body_of(fetch: ModelSection, *texts: str) -> dict[str, Any]:
    """What is sent about these texts."""
    body: dict[str, Any] = json.loads(prompts(fetch).request(rows(*texts)).body)
    return body


def completion(content: str, tokens: int = 10) -> Response:
    """An answer of the API."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return Response(200, (), json.dumps({"choices": [choice], "usage": {"total_tokens": tokens}}).encode(), 0.0)


def truth(text: str) -> str:
    """The label of a text."""
    return LABELS[len(text) % 2]


@given(st.lists(st.text(max_size=30), min_size=2, max_size=8))
def test_records_are_numbered_and_cannot_pass_for_others(texts):
    """Each is a line of JSON, whatever line breaks, quotes and braces it holds."""
    told = body_of(section(), *texts)["messages"][1]["content"].split("\n")
    assert [json.loads(line) for line in told] == [
        {"number": number, "record": f"Judge: {text}"} for number, text in enumerate(texts, 1)
    ]


def test_the_model_is_told_how_to_answer_about_several():
    """The schema is a list of labels, or of what the job's schema says, with the numbers of their records."""
    told = body_of(section(system="You judge."), "a", "b")["messages"][0]["content"]
    assert told.startswith("You judge.\n\nYou are given several records")
    assert '"answer":{"enum":["good","bad"]}},"required":["number","answer"]' in told
    schema = {"type": "object", "required": ["a"]}
    told = body_of(section(labels=(), schema=schema), "a", "b")["messages"][0]["content"]
    asked = json.loads(told.partition("by this JSON Schema: ")[2])
    assert asked["type"] == "array"
    assert asked["items"]["properties"]["answer"] == schema


def test_one_record_is_asked_as_if_there_were_no_batches():
    """Which is what its answer is known by: jobs find it with batches, and without."""
    (row,) = rows("a")
    alone = section(batch=None)
    assert prompts(section()).request([row]) == with_tokens(alone, compose(alone, row))


def test_a_batch_counts_as_many_tokens_as_it_may_take():
    """A quarter of its characters, and an answer for each record; more than a rate allows is refused, and is halved."""
    fetch = section(max_tokens=100, limits={"rate": "500/min"})
    request = prompts(fetch).request(rows("a", "b"))
    assert json.loads(request.body)["max_tokens"] == 232
    assert 232 + 100 < request.cost <= 500
    with pytest.raises(Refused, match="a rate allows 500"):
        prompts(fetch).request(rows("a", "b", "c", "d"))
    own = section(max_tokens=100, limits={"cost": "{tokens}", "rate": "20/min"})
    assert prompts(own).request(rows("a", "b", tokens="7")).cost == 14
    with pytest.raises(Refused, match="its 3 rows count for 21, and a rate allows 20"):
        prompts(own).request(rows("a", "b", "c", tokens="7"))


def test_each_record_is_kept_with_its_own_share_of_the_cost():
    """In whole tokens that add up; where a header tells, nobody knows the share."""
    said = json.dumps([{"number": number, "answer": "good"} for number in (1, 2, 3)])
    parts = prompts(section()).parts(completion(said, 11), rows("a", "b", "c"))
    assert [json.loads(part.body)["usage"]["total_tokens"] for part in parts if isinstance(part, Response)] == [3, 4, 4]
    fetch = section(limits={"cost_header": "X-Cost"})
    answer = completion(said)
    answer = Response(200, (("X-Cost", "9"), ("X-Other", "1")), answer.body, 0.0)
    (first, *_) = prompts(fetch).parts(answer, rows("a", "b", "c"))
    assert isinstance(first, Response)
    assert first.headers == (("X-Other", "1"),)
    assert b"usage" not in first.body


class Model:
    """A model behind a client that keeps nothing: `say` makes of {number: true label} what it says of several.

    `asked` counts how often each record came, `sizes` are the batches, in order; `was_kept` has what is kept of a row.
    """

    def __init__(self, say: Said, fate: Callable[[list[str]], None] = lambda texts: None) -> None:
        self.say, self.fate = say, fate
        self.asked, self.sizes, self.was_kept = Counter[str](), list[int](), dict[str, str]()
        self.were_again = list[bool]()

    async def kept(self, *_: object) -> None:
        """Nothing."""

    async def keep(self, request: Request, response: Response, row_key: str = "") -> None:
        """Note what the model has said of a row."""
        assert row_key not in self.was_kept
        self.was_kept[row_key] = json.loads(response.body)["choices"][0]["message"]["content"]

    async def ask(self, request: Request, intend: Any = None, *, is_again: bool = False) -> Fetched:
        """What the model says."""
        content = json.loads(request.body)["messages"][1]["content"]
        told = [json.loads(line)["record"] for line in content.split("\n")] if content[0] == "{" else [content]
        texts = [text.removeprefix("Judge: ") for text in told]
        self.asked.update(texts)
        self.sizes.append(len(texts))
        self.were_again.append(is_again)
        if intend:
            await intend()
        self.fate(texts)
        if len(texts) > 1:
            return Fetched(completion(self.say({number: truth(text) for number, text in enumerate(texts, 1)})), 1)
        return Fetched(completion("prose" if texts[0].startswith("poison") else truth(texts[0])), 1)


def listed(told: dict[int, str]) -> str:
    """A list of answers."""
    return json.dumps([{"number": number, "answer": label} for number, label in told.items()])


async def labelled(model: Model, texts: list[str], budget: Budget | None = None, attempts: int = 3) -> list[object]:
    """What becomes of each text: its label, or the error."""
    fetch, client = section(), cast("Client", model)
    assert fetch.batch
    batches = Batches(fetch, fetch.batch, client, sharing=prompts(fetch, attempts), budget=budget)
    asking = (batches.fetch(row, Source.KEPT_FIRST, None, 0.0) for row in rows(*texts))
    found = await asyncio.gather(*asking, return_exceptions=True)
    return [Chat(LABELS).said(json.loads(one.response.body)) if isinstance(one, Fetched) else one for one in found]


WRONG: dict[str, Said] = {
    "the second is missing": lambda told: listed({n: label for n, label in told.items() if n != 2}),
    "the second is there twice": lambda told: listed(told)[:-1] + ", " + listed({2: "good"})[1:],
    "the second is prose": lambda told: listed({**told, 2: "rather good"}),
    "the second is 77": lambda told: listed({77 if n == 2 else n: label for n, label in told.items()}),
}


@pytest.mark.parametrize("say", WRONG.values(), ids=WRONG)
async def test_records_without_a_good_answer_alone_are_asked_again(say):
    """By themselves where there is one; what was good is kept, and in no further request."""
    texts = ["a", "bb", "c", "dd", "e"]
    model = Model(say)
    assert await labelled(model, texts) == [truth(text) for text in texts]
    assert model.asked == {**dict.fromkeys(texts, 1), "bb": 2}
    assert model.sizes == [5, 1]
    assert model.were_again == [False, True]
    assert model.was_kept == {str(number): truth(text) for number, text in enumerate(texts)}


async def test_several_without_a_good_answer_are_a_smaller_batch_and_each_alone_the_last_time():
    """Three answers at most about each, as without batches."""
    texts = [f"{'poison' if number < 3 else 'text'} {number}" for number in range(8)]
    model = Model(lambda told: listed({n: "prose" if n <= 3 else label for n, label in told.items()}))
    found = await labelled(model, texts)
    assert [str(error) for error in found[:3]] == [
        "the model said 'prose', which is no label; 3 answers, none of which can be used"
    ] * 3
    assert found[3:] == [truth(text) for text in texts[3:]]
    assert model.sizes == [8, 3, 1, 1, 1]
    assert all(model.asked[text] == 3 for text in texts[:3])


@pytest.mark.parametrize("say", [lambda told: "prose", lambda told: listed({n - 1: one for n, one in told.items()})])
async def test_a_batch_of_which_nothing_can_be_used_is_halved(say):
    """A model that cannot answer about several at all does it one by one; nobody gets the label of another."""
    model = Model(say)
    texts = ["a", "bb", "c", "dd"]
    assert await labelled(model, texts) == [truth(text) for text in texts]
    assert model.sizes == [4, 2, 1, 1, 2, 1, 1]


async def test_a_batch_without_any_good_label_is_halved_and_each_is_asked_alone_the_last_time():
    """The list is one, and what is in it is not."""
    model = Model(lambda told: listed(dict.fromkeys(told, "prose")))
    texts = ["a", "bb", "c", "dd"]
    assert await labelled(model, texts) == [truth(text) for text in texts]
    assert model.sizes == [4, 2, 1, 1, 2, 1, 1]


async def test_what_spoils_a_batch_costs_itself_and_a_few_requests():
    """The others are labelled, whatever one of them makes the model say."""

    def refuse(texts: list[str]) -> None:
        if "bad one" in texts:
            raise Refused("too long")

    texts = ["a", "bad one", "c", "dd", "e", "f", "g", "h"]
    model = Model(listed, refuse)
    found = await labelled(model, texts)
    assert [type(one) for one in found].count(Refused) == 1
    assert found[2:] == [truth(text) for text in texts[2:]]
    assert model.sizes == [8, 4, 2, 1, 1, 2, 4]


async def test_a_model_that_says_nothing_of_use_empties_the_budget_and_is_left_alone():
    """As without batches: the rows are asked by the next run."""
    model, budget = Model(lambda told: "prose"), Budget(30)
    found = await labelled(model, [f"poison {number}" for number in range(8)], budget)
    assert {type(error) for error in found} == {GaveUp}
    assert all(error.is_early for error in found)  # type: ignore[attr-defined]  # as the line before says
    assert sum(model.sizes) < 24
    assert budget.tenths < 10


async def test_answers_of_use_give_back_what_was_asked_again():
    """A model that forgets a record now and then goes on for ever."""
    budget = Budget(10)
    for _ in range(20):
        model = Model(WRONG["the second is missing"])
        assert await labelled(model, ["a", "bb", "c"], budget) == ["bad", "good", "bad"]


async def test_a_failure_of_what_is_asked_again_is_that_of_its_records_alone():
    """With all requests that were sent about them; what was good is theirs."""

    def fail(texts: list[str]) -> None:
        if texts == ["bb"]:
            raise Parked("later", 1.0)

    found = await labelled(Model(WRONG["the second is missing"], fail), ["a", "bb", "c"])
    assert found[0] == found[2] == "bad"
    assert isinstance(found[1], Parked)
    assert (found[1].attempts, found[1].until) == (1, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.lists(st.integers(0, 40), min_size=1, max_size=20, unique=True))
def test_whatever_a_model_says_no_record_gets_the_label_of_another(seed, attempts, lengths):
    """It has its own, or none; none is asked about more often than the job says, but in what is halved."""
    texts, chance = ["x" * length for length in lengths], random.Random(seed)

    def say(told: dict[int, str]) -> str:
        faults = [*WRONG.values(), listed, listed, lambda told: "prose"]
        return chance.choice(faults)(told)

    model = Model(say)
    found = asyncio.run(labelled(model, texts, attempts=attempts))
    for text, one in zip(texts, found, strict=True):
        assert one == truth(text) or isinstance(one, Quarantined | GaveUp)
    assert all(times <= attempts + 3 for times in model.asked.values())
