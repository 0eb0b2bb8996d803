"""Annotators that ask: what a job may say of them, and what is wrong with it."""

import pytest

from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint
from fetcher.job.load import load_job

JOB = """\
name = "names"
[read.table]
path = "names.csv"
[[annotate]]
{annotator}
[write]
folder = "out"
"""
SERVICE = """\
[annotate.service]
base_url = "https://api.example.org"
url = "/place/{name}"
take = ["place.city", "length"]
"""
MODEL = """\
into = "label"
[annotate.model]
base_url = "https://api.example.org/v1"
model = "small"
prompt = "What is {name}?"
labels = ["good", "bad"]
"""


@pytest.fixture
def load(tmp_path):
    """`load(annotator)`: the job with that annotator."""

    def loaded(annotator: str, environ: dict[str, str] | None = None, job: str = JOB):
        (tmp_path / "names.csv").write_text("id,name\n1,ann\n")
        (tmp_path / "job.toml").write_text(job.replace("{annotator}", annotator))
        return load_job(tmp_path / "job.toml", environ or {})

    return loaded


@pytest.fixture
def faults(load):
    """`faults(annotator)`: what is wrong with it, without the name of the file."""

    def told(annotator: str) -> list[str]:
        with pytest.raises(Exception, match=r"job\.toml") as caught:
            load(annotator)
        return [line.partition("job.toml:")[2].partition(" ")[2] for line in str(caught.value).splitlines()]

    return told


def test_names_of_paths_are_fields_under_their_last_name(load):
    """Or under the name that the job gives."""
    (asking,) = load(SERVICE).asking.values()
    assert asking.fetch.take == (("city", "place.city"), ("length", "length"))
    (asking,) = load(SERVICE.replace('["place.city", "length"]', '{ far = "a[0].b" }')).asking.values()
    assert asking.fetch.take == (("far", "a[0].b"),)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("{name}", "{nam}", "annotate[0].service.url: nothing fills {nam}: the rows offer {id} and {name}"),
        ('["place.city", "length"]', '["a.b", "c.b"]', "two of these end in the same name"),
        ('["place.city", "length"]', '["a[0]"]', "expected names such as 'place.country', got 'a[0]'"),
        ('["place.city", "length"]', "[]", "expected ['city', 'place.country'] or { field = 'path' }, got a list"),
        ('["place.city", "length"]', '{ x = "a[" }', "which is not JMESPath"),
        ("take =", "tke =", "annotate[0].service.tke: unknown key; did you mean 'take'?"),
        ("base_url =", "#", "annotate[0].service.base_url: this key is required and missing"),
        ("take =", 'pages = { kind = "page" }\ntake =', "does not take 'pages': a question has one answer"),
        ("take =", 'limits = { rate = "5/s", cost = 6 }\ntake =', "annotate[0].service.limits.cost: is more than"),
        ("take =", 'json = { a = "b" }\ntake =', "a GET has no body"),
        ("take =", 'headers.A = "${secret:GONE}"\ntake =', "the environment variable GONE is not set"),
        ("[annotate.service]", "only_empty = true\n[annotate.service]", "only_empty needs 'into'"),
        (
            "[annotate.service]",
            'function = "x.py:y"\n[annotate.service]',
            "'x.py' cannot be read",
        ),
    ],
)
def test_faults_of_a_service_are_told_where_they_are(faults, old, new, fault):
    """As those of `[fetch]` are."""
    assert any(fault in line for line in faults(SERVICE.replace(old, new))), faults(SERVICE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('labels = ["good", "bad"]', "", "expected either 'labels' or 'schema'"),
        ('labels = ["good", "bad"]', 'labels = ["a", "A"]', "expected labels that are told apart by their letters"),
        ('into = "label"', "", "labels need 'into'"),
        ("labels =", 'take = ["a"]\nlabels =', "labels are the whole answer"),
        ("labels =", 'text = "b"\nlabels =', "a model does not take 'text'"),
        ("{name}", "{nme}", "annotate[0].model.prompt: nothing fills {nme}"),
        ('labels = ["good", "bad"]', "schema = { oneOf = [] }", "'oneOf' of JSON Schema is not known here"),
        ('labels = ["good", "bad"]', 'schema.properties.a.type = "text"', "expected a type such as string"),
        ('labels = ["good", "bad"]', 'schema.required = "a"', "expected a list of 'required'"),
        ('labels = ["good", "bad"]', "schema = {}", "expected a JSON Schema such as"),
        ("labels =", "batch = 0\nlabels =", "batch: expected a whole number from 1 to 1000, got 0"),
        ("labels =", "batch = { size = 5 }\nlabels =", "batch: expected a whole number from 1 to 1000, got a table"),
        ("labels =", "batch = 5\nidempotency_key = true\nlabels =", "expected either 'batch' or 'idempotency_key'"),
        ("labels =", 'batch = 5\nsystem = "{name}"\nlabels =', "batch needs a slot in 'prompt' that 'system'"),
    ],
)
def test_faults_of_a_model_are_told_where_they_are(faults, old, new, fault):
    """A schema with words that answers are not held against is refused, not half understood."""
    assert any(fault in line for line in faults(MODEL.replace(old, new))), faults(MODEL.replace(old, new))


def test_what_annotators_before_have_added_fills_slots(load):
    """And what nothing has added does not; behind a function nobody knows."""
    rules = '[[annotate]]\ninto = "topic"\nrules = { field = "name", rule = [{ label = "a", terms = ["b"] }] }\n'
    ask = SERVICE.replace("{name}", "{topic}-{city}").replace("[annotate.service]", "[[annotate]]\n[annotate.service]")
    load(f"{SERVICE}{rules}{ask}")
    with pytest.raises(Exception, match=r"annotate\[2\].service.url: nothing fills \{city\}"):
        load(f"{SERVICE.replace('place.city', 'place.town')}{rules}{ask}")


def test_secrets_of_annotators_are_the_jobs(load):
    """Those in headers and those in auth; what else a variable holds is none, and never a slot."""
    told = 'headers.A = "${secret:KEY}"\nquery.q = "${PLAIN}"\nauth = { kind = "bearer", token = "${TOKEN}" }\n'
    job = load(SERVICE + told, {"KEY": "k3y-k3y", "PLAIN": "{name}", "TOKEN": "t0ken"})
    assert job.secrets == {"k3y-k3y", "t0ken"}
    (asking,) = job.asking.values()
    assert asking.fetch.slots() == {"name"}


def test_another_question_is_another_parse_part_and_no_other_request(load):
    """A new limit, retry or secret is none; records that stand by another question have to be made anew."""
    job = load(SERVICE)
    same = SERVICE + 'limits.rate = "1/s"\nretries.attempts = 9\ntimeout = "1 s"\n'
    assert parse_fingerprint(load(same)) == parse_fingerprint(job)
    for old, new in (
        ("/place", "/there"),
        ('"length"]', '"lat"]'),
        ("take", 'expect = [{ status = [404], action = "empty" }]\ntake'),
    ):
        changed = load(SERVICE.replace(old, new))
        assert parse_fingerprint(changed) != parse_fingerprint(job)
        assert fetch_fingerprint(changed) == fetch_fingerprint(job)
    prompts = {
        parse_fingerprint(load(MODEL.replace(*words))) for words in (("", ""), ("What", "Who"), ("good", "fine"))
    }
    assert len(prompts) == 3


def test_how_many_records_go_into_a_prompt_is_no_part_of_the_question(load):
    """Records that stand by answers to single prompts stand."""
    assert parse_fingerprint(load(MODEL + "batch = 20\n")) == parse_fingerprint(load(MODEL))


def test_records_of_a_batch_differ_in_the_slots_of_the_prompt_alone(load):
    """What the system prompt or a header is filled with is the same for all of a request."""
    told = 'batch = 20\nsystem = "You know {id}."\n'
    (asking,) = load(MODEL.replace("{name}", "{name} {id}") + told).asking.values()
    assert (asking.fetch.batch.size, asking.fetch.batch.each) == (20, ("name",))


def test_a_model_is_a_service_with_a_body_and_rules(load):
    """Its own rules come first; its answers tell its cost."""
    own = (
        'expect = [{ status = [418], action = "stop" }]\nsystem = "You know {id}."\nparameters = { temperature = 0 }\n'
    )
    ((name, asking),) = load(MODEL + own).asking.items()
    assert name == "annotate[0].model 'label'"
    fetch = asking.fetch
    assert (fetch.method, fetch.slots(), fetch.expect[0].action) == ("POST", {"id", "name"}, "stop")
    assert fetch.limits.cost_path == "usage.total_tokens"
    assert fetch.json_["temperature"] == 0
    assert [message["role"] for message in fetch.json_["messages"]] == ["system", "user"]
    assert "good, bad" in fetch.json_["messages"][0]["content"].text
