"""A model that is paid for, killed again and again: nothing that was received is paid for twice, nothing is lost."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from aiohttp import web

from tests.stories.feeds import listening, states, until

ROWS, TEXTS, KILLS = 60, 45, 4
LABELS = ("negative", "neutral", "positive")
JOB = """\
name = "reviews"
read.table = { path = "reviews.csv" }
[[annotate]]
into = "sentiment"
[annotate.model]
base_url = "URL/v1"
model = "any"
auth = { kind = "bearer", token = "${secret:MODEL_KEY}" }
prompt = "{text}"
labels = ["negative", "neutral", "positive"]
limits = { concurrency = 4 }
[write]
folder = "out"
"""


def label_of(text: str) -> str:
    """The label that the model gives."""
    return LABELS[int(text.rpartition(" ")[2]) % 3]


@dataclass
class Model:
    """`paid` counts the questions that came: each is paid for, whether its answer is ever seen or not. From the one
    numbered `silent_from` on none is answered."""

    url: str = ""
    silent_from: float = float("inf")
    paid: Counter[str] = field(default_factory=Counter)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer model-key"
        content = (await request.json())["messages"][-1]["content"]
        is_batch = content.startswith("{")
        texts = [json.loads(line)["record"] for line in content.split("\n")] if is_batch else [content]
        self.paid.update(texts)
        if self.paid.total() >= self.silent_from:
            await asyncio.Event().wait()
        told = [{"number": number, "answer": label_of(text)} for number, text in enumerate(texts, 1)]
        content = json.dumps(told[::-1]) if is_batch else label_of(content)
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"total_tokens": 10}})


def has_paid(model: Model, enough: float) -> bool:
    """Whether so many questions came."""
    return model.paid.total() >= enough


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    with listening(model):
        yield model


@pytest.mark.parametrize("batch", [1, 3], ids=["one by one", "in batches"])
def test_a_paid_model_that_is_killed_is_paid_once(fetcher, start, output, tmp_path, monkeypatch, model, batch):
    """Over all kills no question is sent twice; those in flight are listed as unknown, with every row that asks the
    same; a person decides, and then they alone are asked again."""
    monkeypatch.setenv("MODEL_KEY", "model-key")
    rows = ROWS * batch  # a kill loses that many times as many
    texts = [f"review {number % (TEXTS * batch)}" for number in range(rows)]
    (tmp_path / "reviews.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    job = tmp_path / "job.toml"
    job.write_text(
        JOB.replace("URL", model.url).replace("[write]", f"batch = {batch}\n[write]" if batch > 1 else "[write]")
    )
    for _ in range(KILLS):
        model.silent_from = enough = model.paid.total() + 7
        process = start("run", job)
        until(partial(has_paid, model, enough), process)
        process.kill()
        process.wait()
    model.silent_from = float("inf")
    assert model.paid.most_common(1)[0][1] == 1

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    once = Counter(model.paid)
    assert set(once.values()) == {1}
    found = {str(state): count for state, count in states(tmp_path / "out").items()}
    assert set(found) == {"done", "unknown"}
    assert found["done"] + found["unknown"] == rows
    done = {record["text"] for record in output(tmp_path / "out").records()}
    lost = set(texts) - done  # some may have been on record, and not have left yet
    assert KILLS <= len(lost) <= 4 * KILLS * batch
    assert found["unknown"] == sum(text in lost for text in texts)
    assert set(once) >= done
    assert fetcher("run", job).code == 3
    assert model.paid == once

    assert fetcher("failures", "retry", job).code == 0
    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert model.paid == once + Counter(lost)
    records = output(tmp_path / "out").records()
    assert sorted((int(record["id"]), record["sentiment"]) for record in records) == [
        (number, label_of(text)) for number, text in enumerate(texts)
    ]
    assert fetcher("verify", job).code == 0
    assert b"model-key" not in b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
