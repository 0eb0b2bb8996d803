"""What may be wrong with a job file, by the rows of the catalogue: each is told before any request."""

import pytest

from fetcher.model import RowState
from tests.stories.conftest import Output
from tests.stories.feeds import days, make_job, serving, sets, states

CATASTROPHE = """
[[annotate]]
into = "labels"
[[annotate.rules.rule]]
label = "a"
patterns = ["(a+)+$"]
[annotate.rules]
field = "text"
"""


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


@pytest.fixture
def refused(fetcher, feed, tmp_path):
    """`refused({old: new})` runs a job file so changed; its errors, once it has asked for nothing and exits 78."""

    def told(changes, *arguments):
        job = make_job(tmp_path, feed.url)
        text = job.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        job.write_bytes(text.encode())
        ran = fetcher("run", job, *arguments)
        assert (ran.code, feed.asked) == (78, []), ran.err
        return ran.err

    return told


def test_g01_unknown_keys_wrong_types_and_missing_ones_are_told_together(refused):
    """With file, line and the nearest name."""
    said = refused({"attempts = 2": "atempts = 2", 'url = "/days"': "url = 3", 'records = "items[]"': ""})
    assert "job.toml:10:1 fetch.retries.atempts: unknown key; did you mean 'attempts'?" in said
    assert "job.toml:7:1 fetch.url" in said
    assert "parse: expected 'records'" in said


@pytest.mark.parametrize("value", ["on", "no", "12:30", "0123", "1__000", "2 ms"])
def test_g02_no_value_is_guessed(refused, value):
    """TOML types strictly: what other formats take for a flag, a time or an octal number is a fault."""
    assert "job.toml:10:" in refused({"attempts = 2": f"attempts = {value}"})


def test_g02_tabs_other_line_ends_and_a_byte_order_mark_change_nothing(fetcher, feed, tmp_path):
    """Editors write them."""
    job = make_job(tmp_path, feed.url, 2)
    job.write_bytes(b"\xef\xbb\xbf" + job.read_bytes().replace(b"\n", b"\r\n").replace(b" = ", b"\t=\t"))
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert sorted(feed.asked) == days(2)


def test_g03_a_key_that_is_there_twice_is_told(refused):
    """The last one would win in silence elsewhere."""
    assert "job.toml:11" in refused({"attempts = 2": "attempts = 2\nattempts = 3"})


@pytest.mark.parametrize("value", ["", None])
def test_g05_a_secret_that_is_not_there_is_named_and_never_shown(refused, monkeypatch, value):
    """Its name, and the place that wants it."""
    monkeypatch.delenv("FEED_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("FEED_TOKEN", value)
    said = refused({"[fetch.retries]": 'headers = { Authorization = "${secret:FEED_TOKEN}" }\n[fetch.retries]'})
    assert "the environment variable FEED_TOKEN is" in said


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('fetch.limits.rate="0/s"', "expected"),
        ('fetch.limits.rate="-1/s"', "expected"),
        ("fetch.limits.concurrency=0", "from 1 to 1000"),
        ("fetch.limits.concurrency=1000000", "from 1 to 1000"),
        ('fetch.timeout="0 s"', "from 1 ms to 1 day"),
    ],
)
def test_g07_quantities_out_of_range_are_told_with_the_range(refused, override, said):
    """Whether they stand in the file or on the command line."""
    assert said in refused({}, *sets(override))


def test_g08_a_relative_folder_is_beside_the_job_wherever_it_is_run_from(fetcher, feed, tmp_path):
    """Cron runs elsewhere."""
    job = make_job(tmp_path / "jobs", feed.url, 2)
    assert fetcher("run", job).code == 0
    assert len(Output(tmp_path / "jobs" / "out").records()) == 6


@pytest.fixture
def endless(feed):
    """An API of which the second day has a text that a pattern may never end at."""
    from aiohttp import web

    def answer(day: str) -> web.Response:
        text = "a" * 50_000 + "!" if day == days(2)[1] else "a"
        return web.json_response({"items": [{"day": day, "text": text}]})

    feed.answer = answer
    return feed


def test_g12_a_pattern_that_never_ends_costs_its_row_alone(fetcher, endless, tmp_path):
    """It is stopped after parse.timeout, with its worker; the other days come. RE2 has no looking ahead."""
    job = make_job(tmp_path, endless.url, 3, CATASTROPHE.replace("(a+)+$", "(?!b)(a+)+$"))
    ran = fetcher("run", job, *sets('parse.timeout="2 s"'))
    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {RowState.DONE: 2, RowState.QUARANTINED: 1}


def test_g12_a_pattern_ends_where_re2_searches(fetcher, endless, tmp_path):
    """With the extra it costs no row."""
    ran = fetcher("run", make_job(tmp_path, endless.url, 3, CATASTROPHE))
    assert ran.code == 0, ran.err
    assert [record["labels"] for record in Output(tmp_path / "out").records()].count(["a"]) == 2
