"""`fetcher preview --sample`: what would become of many rows, counted, and nothing written."""

import asyncio
import pickle
from collections import Counter

import pytest
from aiohttp import web
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fetcher.cli import main
from fetcher.ledger import LedgerView
from fetcher.model import DoneRows, Outcome, RowState
from fetcher.sample import FIELDS_KEPT, VALUES_KEPT, Sampled, Values, field_line
from tests.reviews import JOB, LENGTH, WRITE
from tests.serving import serving

SOURCE = """
def length(record):
    if record["review"] == "raises":
        raise ValueError("no length")
    return len(record["review"])
"""
REVIEWS = ["late", "late and broken", "fine", "too,many", "broken", "raises", "late", "fine"]
API = """\
name = "look"
read.dates = { from = "2024-01-01", to = "2024-01-09" }
parse.records = "rows[]"
write = { folder = "out", key = ["n"] }
[fetch]
base_url = "URL"
url = "/v1"
query = { date = "{date}" }
auth = { kind = "bearer", token = "${secret:KEY}" }
"""
SECRET = "s3cr3t-key"


@pytest.fixture
def fetcher(tmp_path):
    """`fetcher("preview", ...)` of the job in `job.toml`: its output; `code` is what it has to exit with."""

    def ran(command: str, *options: str, code: int = 0) -> str:
        found = CliRunner().invoke(main, [command, str(tmp_path / "job.toml"), *options])
        assert found.exit_code == code, found.output
        return found.output

    return ran


@pytest.fixture
def table(tmp_path):
    """A job over a table of reviews."""
    lines = "".join(f"{number},{review}\n" for number, review in enumerate(REVIEWS))
    (tmp_path / "reviews.csv").write_text(f"id,review\n{lines}")
    (tmp_path / "labels.py").write_text(SOURCE)
    (tmp_path / "job.toml").write_text(JOB + LENGTH + WRITE)


def test_labels_and_failures_of_the_first_rows_are_counted(table, fetcher):
    """By field, without the columns that the table has anyway."""
    assert fetcher("preview", "--sample", "6").splitlines() == [
        "reviews: 6 rows: 4 done, 2 quarantined",
        "  4 records; nothing is written but the cache of answers",
        "  topics: in 3 of 4 records (75.0%): logistics 2, quality 2",
        "  length: in 4 of 4 records (100.0%): 4 2, 15 1, 6 1",
        "  1 x quarantined: reviews.csv:5 expected 2 fields, got 3: 3,too,many",
        "  1 x quarantined: reviews.csv:7 length raised ValueError: no length (labels.py, line 4): id=5, review=raises",
    ]


@pytest.mark.parametrize("option", ["--rows", "--pages"])
def test_a_sample_has_all_pages_and_its_own_number_of_rows(table, fetcher, option):
    """What would be passed over in silence is a fault, also where it says what is said anyway."""
    assert "leave out --rows and --pages" in fetcher("preview", "--sample", "6", option, "3", code=2)


@pytest.mark.parametrize("rows", [1, 5, len(REVIEWS), 10_000])
def test_it_tries_the_rows_that_read_table_sample_takes(table, fetcher, tmp_path, rows):
    """What is counted is what a run over that sample finds."""
    told = fetcher("preview", "--sample", str(rows)).splitlines()[0]
    failed = sum(review in ("raises", "too,many") for review in REVIEWS[:rows])
    fetcher("run", "--set", f"read.table.sample={rows}", code=3 if failed else 0)
    with LedgerView(tmp_path / "out" / ".fetcher" / "ledger.sqlite") as ledger:
        counts = Counter({str(state): 0 for state in ("done", "quarantined")})
        for (state, _), count in ledger.counts().items():
            counts[str(state)] += count
    assert f"{counts['done']:,} done" in told
    assert (f"{counts['quarantined']:,} quarantined" in told) == bool(failed)
    assert fetcher("preview", "--sample", str(rows)).splitlines()[0] == told  # what a run has done makes no difference


def test_nothing_is_written(table, fetcher, tmp_path):
    """No record, no row in a ledger, nothing to reproduce a failure with."""
    fetcher("preview", "--sample", "100")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == [".fetcher"]


def test_what_was_asked_is_not_asked_again_by_a_run(fetcher, tmp_path, monkeypatch):
    """Rows are asked side by side; repeats, failures and requests are counted, and no secret is shown."""
    monkeypatch.setenv("KEY", SECRET)
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        day = request.query["date"]
        asked.append(day)
        if day == "2024-01-03":
            return web.Response(status=404)
        return web.json_response({"rows": [{"n": int(day[-1]), "key": SECRET}, {"n": 0, "key": "a"}]})

    with serving(answer) as url:
        (tmp_path / "job.toml").write_text(API.replace("URL", url))
        told = fetcher("preview", "--sample", "5")
        assert SECRET not in told
        first, second, third, *fields = told.splitlines()
        assert first == "look: 5 rows: 4 done, 1 refused"
        assert second == "  5 records, 3 repeats by write.key; nothing is written but the cache of answers"
        assert third == "  5 requests (0 retries), 0 answers from the cache"
        assert fields[0] == "  n: in 8 of 8 records (100.0%): 0 4, 1 1, 2 1, 4 1, 5 1"
        assert sorted(asked) == [f"2024-01-0{day}" for day in range(1, 6)]
        fetcher("run", code=3)
        assert sorted(asked) == sorted([*(f"2024-01-0{day}" for day in range(1, 10)), "2024-01-03"])


def test_what_came_before_a_run_would_end_is_shown(fetcher, tmp_path, monkeypatch):
    """With the exit code of that end."""
    monkeypatch.setenv("KEY", SECRET)

    async def answer(request: web.Request) -> web.Response:
        if request.query["date"] == "2024-01-03":
            return web.Response(status=401)
        return web.json_response({"rows": [{"n": request.query["date"]}]})

    with serving(answer) as url:
        (tmp_path / "job.toml").write_text(API.replace("URL", url) + "limits.concurrency = 1\n")
        told = fetcher("preview", "--sample", "9", code=78)
    assert told.startswith("look: 9 rows: ")
    assert told.splitlines()[-1].startswith("  stopped: ")


@pytest.mark.parametrize(("on_unknown", "state"), [("stop", "unknown"), ("skip", "discarded")])
def test_it_tells_of_requests_that_a_run_may_carry_out_again(fetcher, tmp_path, monkeypatch, on_unknown, state):
    """A run would have on record that they were sent, and never answered."""
    monkeypatch.setenv("KEY", SECRET)

    async def answer(request: web.Request) -> web.Response:
        if request.query["date"] in ("2024-01-03", "2024-01-04"):
            assert request.transport
            request.transport.abort()
        return web.json_response({"rows": [{"n": request.query["date"]}]})

    with serving(answer) as url:
        posted = f'method = "POST"\non_unknown = "{on_unknown}"\n'
        (tmp_path / "job.toml").write_text(API.replace("URL", url) + posted)
        told = fetcher("preview", "--sample", "5").splitlines()
    assert told[0] == f"look: 5 rows: 3 done, 2 {state}"
    assert told[-1] == (
        "  sent, and never answered: 2 rows; nothing is on record here, so a run sends that again, carried out or not"
    )


ITEMS = st.one_of(st.sampled_from(["a", "b", "", "c"]), st.integers(-2, 2), st.booleans(), st.none())


@given(
    st.lists(st.one_of(ITEMS, st.lists(ITEMS, max_size=3), st.dictionaries(st.sampled_from("xy"), ITEMS)), max_size=20)
)
def test_each_value_counts_once_a_record(values):
    """Null, empty texts, lists and objects fill nothing."""
    found = Values()
    for value in values:
        found.add(value)
    assert found.filled == sum(value not in (None, "", [], {}) for value in values)
    for item in ("a", "b", "c"):
        assert found.counts[item] == sum(
            item == value or (isinstance(value, list) and item in value) for value in values
        )
    assert found.counts.total() <= sum(len(value) if isinstance(value, list | dict) else 1 for value in values)


def test_values_that_are_too_many_are_not_kept():
    """A field of free text takes no more memory for a longer sample."""
    found = Values()
    for number in range(3 * VALUES_KEPT):
        found.add(f"text {number}")
    assert len(found.counts) == VALUES_KEPT
    assert (
        field_line("text", found, 3 * VALUES_KEPT)
        == "text: in 3,000 of 3,000 records (100.0%): 1,000 or more different values"
    )


def test_of_long_texts_no_more_is_kept_than_is_shown():
    """However long they are; two that begin alike are two all the same."""
    found = Values()
    for number in (1, 2, 2):
        found.add("x" * 5000 + str(number))
        found.add({"a" * 5000: "y" * 5000 + str(number)})
    assert sorted(found.counts.values()) == [1, 2, 3]  # of an object no more is looked at than is shown
    assert len(pickle.dumps(found.counts)) < 1000
    cut, named = "x" * 37 + "...", "a" * 37 + "..."
    assert field_line("text", found, 6) == f"text: in 6 of 6 records (100.0%): {named} 3, {cut} 2, {cut} 1"


def test_fields_that_are_too_many_are_not_kept(table, fetcher, monkeypatch):
    """As those of objects whose names are data."""
    found = Sampled()
    for number in range(FIELDS_KEPT + 1):
        line = b'{"id": 1, "field %d": 1}\n' % number
        asyncio.run(found.add(Outcome(f"{number}", RowState.DONE, lines=line, records=1)))
    assert (len(found.fields), found.is_cut, found.fields["id"].filled) == (FIELDS_KEPT, True, FIELDS_KEPT + 1)
    monkeypatch.setattr("fetcher.sample.FIELDS_KEPT", 1)
    told = fetcher("preview", "--sample", "6").splitlines()
    assert told[2:4] == [
        "  topics: in 3 of 4 records (75.0%): logistics 2, quality 2",
        "  and more fields than 1, which are not counted",
    ]


def test_numbers_that_are_all_different_are_told_by_their_range():
    """As lengths and prices are."""
    found = Values()
    for number in range(20):
        found.add(number / 2)
    assert field_line("price", found, 40) == "price: in 20 of 40 records (50.0%): from 0.0 to 9.5"


def test_rows_that_came_together_are_counted_one_by_one():
    """As those that came alone."""
    found = Sampled()
    together = DoneRows(["1", "2"], b'{"a": "x"}\n{"a": "y"}\n', b"")
    asyncio.run(found.add(together))
    asyncio.run(found.add(Outcome("3", RowState.DONE, lines=b'{"a": "x"}\n', records=1)))
    assert found.tally.settled_now[RowState.DONE] == 3
    assert found.fields["a"].counts == Counter({"x": 2, "y": 1})
