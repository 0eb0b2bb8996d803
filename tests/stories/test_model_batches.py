"""A model that is asked about several records at once, and now and then forgets one."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.stories.feeds import listening, pending_signals, sets, states, until

JOB = """\
name = "reviews"
read.table = { path = "reviews.csv" }
[[annotate]]
into = "sentiment"
provenance = true
[annotate.model]
base_url = "URL/v1"
model = "any"
prompt = "{text}"
labels = ["negative", "positive"]
batch = 4
[write]
folder = "out"
"""


def label_of(text: str) -> str:
    """The label that the model gives."""
    return "positive" if len(text) % 2 else "negative"


@dataclass
class Model:
    """`forgets` are records of which it says nothing where there are others, `balks` those that it never labels; a
    `gate` holds those that stand alone, or, where it `holds_batches`, the others; where it `refuses` it takes no batch.
    `asked` counts the records, `batches` are those that came together.
    """

    url: str = ""
    forgets: frozenset[str] = frozenset()
    balks: frozenset[str] = frozenset()
    gate: Callable[[], bool] = lambda: True
    holds_batches: bool = False
    refuses: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    batches: list[list[str]] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        content = (await request.json())["messages"][-1]["content"]
        is_batch = content.startswith("{")
        texts = [json.loads(line)["record"] for line in content.split("\n")] if is_batch else [content]
        self.asked.update(texts)
        self.batches.append(texts)
        while is_batch == self.holds_batches and not self.gate():  # noqa: ASYNC110  (opened from another thread)
            await asyncio.sleep(0.01)
        if is_batch and self.refuses:
            return web.json_response({"error": {"message": "too long"}}, status=400)
        told = {text: "prose" if text in self.balks else label_of(text) for text in texts}
        kept = [(number, text) for number, text in enumerate(texts, 1) if text not in self.forgets]
        items = [{"number": number, "answer": told[text]} for number, text in kept]
        said = json.dumps(items) if is_batch else told[content]
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"total_tokens": 10 * len(texts)}})


@pytest.fixture
def model():
    model = Model()
    with listening(model):
        yield model


@pytest.fixture
def make_job(tmp_path, model):
    """`make_job(texts)`: the job that labels them."""

    def made(texts: list[str]):
        (tmp_path / "reviews.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
        job = tmp_path / "job.toml"
        job.write_text(JOB.replace("URL", model.url))
        return job

    return made


def labels(output, folder) -> dict[str, str]:
    """{text: its label}"""
    return {record["text"]: record["sentiment"] for record in output(folder).records()}


def test_several_are_asked_about_at_once_and_each_question_once(fetcher, output, tmp_path, model, make_job):
    """Equal records are one; what is known is in no batch; a job without batches finds the same answers."""
    texts = ["a", "bb", "c", "dd", "eee", "f", "gg", "a", "bb"]
    job = make_job(texts)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert model.asked == dict.fromkeys(texts, 1)
    assert sorted(map(len, model.batches)) == [3, 4]
    assert labels(output, tmp_path / "out") == {text: label_of(text) for text in texts}
    assert {record["_provenance"]["sentiment"]["cost"] for record in output(tmp_path / "out").records()} == {10}
    job = make_job([*texts, "hh", "f"])
    assert fetcher("run", job).code == 0
    assert model.batches[2:] == [["hh"]]
    alone = job.read_text().replace("batch = 4\n", "")
    job.write_text(alone)
    ran = fetcher("run", job, *sets("annotate.0.only_empty=true"), "--reparse")
    assert ran.code == 0, ran.err
    assert len(model.batches) == 3
    assert fetcher("verify", job).code == 0


def test_a_job_may_take_up_batches_at_any_time(fetcher, model, make_job):
    """They change no question: no records have to be made anew."""
    job = make_job(["a", "bb"])
    assert fetcher("run", job, *sets("annotate.0.model.batch=1")).code == 0
    make_job(["a", "bb", "c", "dd"])
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert sorted(map(sorted, model.batches)) == [["a"], ["bb"], ["c", "dd"]]


def test_records_that_the_model_forgets_or_balks_at_cost_the_others_nothing(fetcher, output, tmp_path, model, make_job):
    """What was good is kept and asked once; the others are asked again, and set aside after three answers."""
    texts = ["a", "bb", "c", "dd", "eee", "f", "gg", "hhh"]
    model.forgets, model.balks = frozenset({"bb", "f"}), frozenset({"dd"})
    job = make_job(texts)
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert model.asked == {**dict.fromkeys(texts, 1), "bb": 3, "f": 2, "dd": 3}
    assert labels(output, tmp_path / "out") == {text: label_of(text) for text in texts if text != "dd"}
    assert "which is no label; 3 answers, none of which can be used" in fetcher("failures", "list", job).out
    asked = model.asked.total()
    assert fetcher("run", job).code == 3
    assert model.asked.total() == asked


def test_a_run_that_is_stopped_while_it_asks_again_loses_nothing(fetcher, start, output, tmp_path, model, make_job):
    """What was good of the batch is done; of what is asked again the answer is waited for."""
    model.forgets, model.gate = frozenset({"bb"}), (tmp_path / "gate").exists
    job = make_job(["a", "bb", "c", "dd"])
    process = start("run", job)
    until(lambda: model.asked["bb"] == 2, process)
    process.terminate()
    until(lambda: not pending_signals(process.pid), process)
    (tmp_path / "gate").touch()
    assert process.wait() in (0, 143)
    assert states(tmp_path / "out") == {"done": 4}
    assert labels(output, tmp_path / "out")["bb"] == "negative"


def test_a_run_that_is_stopped_before_it_asks_again_leaves_that_to_the_next(fetcher, start, tmp_path, model, make_job):
    """It was answered, so nothing is lost, and nothing is waited for."""
    model.forgets, model.gate, model.holds_batches = frozenset({"bb"}), (tmp_path / "gate").exists, True
    job = make_job(["a", "bb", "c", "dd"])
    process = start("run", job)
    until(lambda: model.asked["bb"], process)
    process.terminate()
    until(lambda: not pending_signals(process.pid), process)
    (tmp_path / "gate").touch()
    assert process.wait() == 143
    assert states(tmp_path / "out") == {"done": 3, "waiting": 1}
    assert fetcher("run", job).code == 0
    assert model.batches[1:] == [["bb"]]


def test_a_run_that_is_stopped_before_it_asks_the_halves_of_a_refused_batch_has_lost_nothing(
    fetcher, start, tmp_path, model, make_job
):
    """The server has said that it did nothing: the halves are left to the next run, and are not unknown."""
    model.refuses = True
    job = make_job(["a", "bb", "c", "dd"])
    process = start("run", job, *sets("annotate.0.model.limits.cost=2", 'annotate.0.model.limits.rate="2/min"'))
    until(lambda: model.batches, process)
    process.terminate()
    assert process.wait() == 143
    assert states(tmp_path / "out") == {"waiting": 4}
    model.refuses = False
    assert fetcher("run", job).code == 0
    assert sorted(map(len, model.batches)) == [4, 4]


def test_what_was_asked_again_when_a_run_was_killed_is_unknown_alone(fetcher, start, tmp_path, model, make_job):
    """The others were answered, and are not paid for again."""
    model.forgets, model.gate = frozenset({"bb"}), (tmp_path / "gate").exists
    job = make_job(["a", "bb", "c", "dd"])
    process = start("run", job)
    until(lambda: model.asked["bb"] == 2, process)
    process.kill()
    process.wait()
    (tmp_path / "gate").touch()
    assert fetcher("run", job).code == 3
    assert states(tmp_path / "out") == {"done": 3, "unknown": 1}
    assert model.asked == {"a": 1, "bb": 2, "c": 1, "dd": 1}
    assert fetcher("failures", "retry", job).code == 0
    assert fetcher("run", job).code == 0
    assert model.asked["bb"] == 3
    assert fetcher("verify", job).code == 0


EXAMPLES = """\
[[example]]
name = "a review"
row = { id = "1", text = "bb" }
state = "done"
records = [{ id = "1", text = "bb", sentiment = "negative" }]
answers = [{ json = { choices = [{ message = { content = "Negative." } }] } }]

[[example]]
name = "a review that cannot be labelled"
row = { id = "1", text = "c" }
state = "quarantined"
reason = "which is no label"
answers = [{ json = { choices = [{ message = { content = "well" } }] } }]
"""


def test_examples_and_plans_know_of_batches(fetcher, tmp_path, model, make_job):
    """An example is a record that stands alone; plan and check say how many go together."""
    job = make_job(["a", "bb", "c", "dd", "e"])
    (tmp_path / "job.test.toml").write_text(EXAMPLES)
    ran = fetcher("test", job)
    assert ran.code == 0, ran.out + ran.err
    assert "up to 4 records in one request" in fetcher("check", job).out
    assert "2 requests for 5 questions" in fetcher("plan", job).out
    assert not model.batches
