"""Rows that are the records of another job, which is run first."""

import pytest

from tests.stories.feeds import failing, in_order, published, records, serving

PARENT = """\
name = "days"
[read.dates]
from = "2219-01-01"
to = "2219-01-02"
[fetch]
base_url = "{url}"
url = "/days"
query = {{ date = "{{date}}" }}
retries = {{ attempts = 1 }}
[parse]
records = "items[]"
[write]
folder = "parent"
"""
CHILD = """\
name = "numbers"
[read.records]
job = "parent.toml"
select = ["day", "number"]
[fetch]
base_url = "{url}"
url = "/numbers"
query = {{ date = "{{day}}-{{number}}" }}
[parse]
records = "items[]"
[write]
folder = "child"
"""


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


@pytest.fixture
def child(tmp_path, feed):
    """The child's job file; its parent's lies beside it."""
    (tmp_path / "parent.toml").write_text(PARENT.format(url=feed.url))
    (tmp_path / "child.toml").write_text(CHILD.format(url=feed.url))
    return tmp_path / "child.toml"


# Days to come are as recent as any, whenever this test is run.
DAYS = ["2219-01-01", "2219-01-02"]
NUMBERS = [f"{day}-{number}" for day in DAYS for number in range(3)]


def test_the_parent_is_run_first_and_its_records_are_the_rows(fetcher, output, tmp_path, feed, child):
    """Both are told of; the second run asks nothing of either."""
    ran = fetcher("run", child)
    assert ran.code == 0, ran.err
    assert "days: 2 rows = 2 done" in ran.err
    assert "numbers: 6 rows = 6 done" in ran.err
    assert sorted(feed.taken()) == sorted(DAYS + NUMBERS)
    held = in_order([record for name in NUMBERS for record in records(name)])
    assert in_order(output(tmp_path / "child").records()) == held
    assert fetcher("run", child).code == 0
    assert feed.taken() == []
    assert fetcher("status", child).code == 0
    assert "0 of 6 rows would be asked for" in fetcher("plan", child).out


def test_only_records_that_stand_are_rows(fetcher, tmp_path, feed, child):
    """A day that is corrected gives new rows; what stays the same is not asked again."""
    assert fetcher("run", child).code == 0
    feed.taken()
    text = child.read_text().replace('"number"]', '"number", "revision"]')
    child.write_text(text.replace("{number}", "{number}-{revision}"))
    parent = tmp_path / "parent.toml"
    parent.write_text(parent.read_text().replace('to = "2219-01-02"', 'to = "2219-01-02"\nlookback = "1 day"'))
    feed.answer = lambda day: published(day, 2 if day == DAYS[0] else 1)
    assert fetcher("run", child, "--set", 'fetch.cache.keep="none"').code == 0
    asked = feed.taken()
    assert sorted(set(asked) - set(DAYS)) == [
        *(f"{DAYS[0]}-{number}-2" for number in range(3)),
        *(f"{DAYS[1]}-{number}-1" for number in range(3)),
    ]


def test_a_parent_that_is_not_done_is_a_run_that_is_not_done(fetcher, feed, child):
    """The child does what it can, and never exits with 0."""
    feed.answer = lambda day: failing() if day == DAYS[0] else published(day)
    ran = fetcher("run", child)
    assert ran.code == 3, ran.err
    assert "numbers: 3 rows = 3 done" in ran.err


def test_equal_records_may_be_one_row(fetcher, feed, child):
    """`distinct`: in the fields that were selected."""
    text = child.read_text().replace('["day", "number"]', '["day"]\ndistinct = true')
    child.write_text(text.replace("{day}-{number}", "day {day}"))
    ran = fetcher("run", child)
    assert "numbers: 2 rows = 2 done" in ran.err


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("parent.toml", "child.toml"), "'child.toml' reads records of this job itself"),
        (("parent.toml", "none.toml"), "which is no file"),
        (('folder = "child"', 'folder = "parent"'), "'parent.toml' writes into the folder of this job"),
        (("{number}", "{nr}"), "nothing fills {nr}: the rows offer {day} and {number} from read.records.select"),
    ],
)
def test_a_parent_that_cannot_be_is_a_fault(fetcher, feed, child, told, message):
    """Exit 78, nothing sent."""
    child.write_text(child.read_text().replace(*told))
    ran = fetcher("run", child)
    assert (ran.code, feed.asked) == (78, [])
    assert message in ran.err


def test_a_fault_of_the_parent_is_told_with_its_place(fetcher, tmp_path, child):
    """In the parent's file."""
    parent = tmp_path / "parent.toml"
    parent.write_text(parent.read_text().replace("[parse]", "[pasre]"))
    ran = fetcher("run", child)
    assert ran.code == 78
    assert "read.records.job: 'parent.toml' cannot be run" in ran.err
    assert "pasre: unknown key; did you mean 'parse'?" in ran.err


def test_a_parent_that_was_never_run_is_said_so(fetcher, child):
    """By what only looks."""
    ran = fetcher("plan", child)
    assert ran.code == 78
    assert "has not been run yet: its records are the rows" in ran.err
