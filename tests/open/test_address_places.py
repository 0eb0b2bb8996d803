"""`configs/address_places.toml`: the same API asked by an annotator; each line of the table is a record already."""

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.ip_api import API, IpApi, Table, expected, generated_table, recorded_table
from tests.open.serving import recorded, serving
from tests.stories.feeds import kept_answers, until

JOB = "address_places"
ALONE = ('rate="1000/s"', "concurrency=1")
TOGETHER = ('rate="1000/s"', "concurrency=16")
BATCHES = (
    'annotate.0.service.url="/batch"',
    'annotate.0.service.method="POST"',
    'annotate.0.service.json=["{ip}"]',
    'annotate.0.service.on_unknown="retry"',
    'annotate.0.service.limits.rate="15/0.4 s"',
)


@pytest.fixture
def table(source) -> Table:
    """What is to be enriched, and what the API knows."""
    return recorded_table() if source == "recorded" else generated_table()


@pytest.fixture
def enriching(annotating, tmp_path):
    """`enriching(api, table, ...)`: the arguments that enrich that table."""

    def arguments(api: IpApi, table: Table, *overrides: str) -> list[str]:
        table.write(tmp_path / "addresses.csv")
        return annotating(JOB, api, f"read.table.path='{tmp_path / 'addresses.csv'}'", *overrides)

    return arguments


def limits(*told: str) -> list[str]:
    """Overrides of the service's limits."""
    return [f"annotate.0.service.limits.{limit}" for limit in told]


def as_told(records: list[dict]) -> list[dict]:
    """Records as the specification has them: cells of a table are text, and it wants a number."""
    return [{**record, "row": int(record["row"])} for record in records]


def distinct(table: Table) -> int:
    """How many addresses there are to ask about."""
    return len({row["ip"].strip() for row in table.rows} - {""})


@pytest.mark.parametrize(("workers", "refused"), [(ALONE, 0), (TOGETHER, 4)], ids=["one worker", "sixteen workers"])
def test_every_line_gets_its_columns(fetcher, output, enriching, tmp_path, source, table, workers, refused):
    """One record a line, failures among them; each address is asked about once, and nobody goes on at zero."""
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        ran = fetcher(*enriching(api, table, *limits(*workers)))

    assert ran.code == 0, ran.err
    assert api.by_status[200] == distinct(table)
    assert api.by_status[429] <= refused
    records = as_told(output(tmp_path / "out").records())
    assert len(records) == len(table.rows)
    assert sum(record["error"] is not None for record in records) == sum(
        "message" in table.answers.get(row["ip"].strip(), {"message": "empty"}) for row in table.rows
    )
    assert canonical_hash(records) == canonical_hash(expected(table))
    if source == "recorded":
        told = recorded(API, "expected.json")["main"]
        assert canonical_hash(records) == (told["records"], told["sha256"])


def test_a_second_run_and_a_new_rule_ask_for_nothing(fetcher, output, enriching, tmp_path, table):
    """Failures are results, and are kept like any."""
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        arguments = enriching(api, table, *limits(*TOGETHER))
        assert fetcher(*arguments).code == 0
        api.taken()
        assert fetcher(*arguments).code == 0
        changed = [*arguments, "--set", "annotate.0.service.take.error=\"message && 'failed'\"", "--reparse"]
        assert fetcher(*changed).code == 0
        assert api.taken() == []


def test_a_killed_run_asks_for_no_answer_again_that_was_kept(fetcher, start, output, enriching, tmp_path):
    """Answers are kept in groups; the newest may be on its way to the disk when the kill comes."""
    table = generated_table()
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        arguments = enriching(api, table, *limits(*ALONE))
        process = start(*arguments)
        until(lambda: kept_answers(tmp_path / "out") > 10, process)
        process.kill()
        process.wait()
        kept, answered = kept_answers(tmp_path / "out"), set(api.taken())
        ran = fetcher(*arguments)

        assert ran.code == 0, ran.err
        assert len(answered & set(api.taken())) <= len(answered) - kept
        assert canonical_hash(as_told(output(tmp_path / "out").records())) == canonical_hash(expected(table))


def test_in_batches_of_a_hundred_two_requests_are_enough(fetcher, output, enriching, tmp_path, table):
    """A second run asks for nothing."""
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        arguments = enriching(api, table, *BATCHES, 'annotate.0.service.batch={size=100, each=["ip"]}')
        ran = fetcher(*arguments)
        assert ran.code == 0, ran.err
        assert fetcher(*arguments).code == 0

    assert len(api.batches) == -(-distinct(table) // 100)
    assert sum(api.batches) == distinct(table)
    assert canonical_hash(as_told(output(tmp_path / "out").records())) == canonical_hash(expected(table))


def test_a_batch_that_is_too_large_is_asked_for_in_halves(fetcher, output, enriching, tmp_path):
    """A job that says 150 is refused once, with 422, and gets its answers all the same."""
    table = generated_table(count=300, distinct=140)
    with serving(IpApi(answers=table.answers, lasts_s=0.4)) as api:
        ran = fetcher(*enriching(api, table, *BATCHES, 'annotate.0.service.batch={size=150, each=["ip"]}'))
    assert ran.code == 0, ran.err
    assert max(api.batches[1:]) <= 100
    assert canonical_hash(as_told(output(tmp_path / "out").records())) == canonical_hash(expected(table))
