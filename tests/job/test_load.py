"""Loading a job file: one frozen object, or every fault at once with its place."""

import dataclasses
from datetime import date

import pytest
from pydantic import ValidationError

from fetcher.errors import JobError
from fetcher.job import load_job
from fetcher.job.days import DayOffset
from fetcher.job.functions import FunctionRef
from fetcher.job.steps import Step
from fetcher.job.units import Rate
from fetcher.template import Template

EIGHT_FAULTS = """\
name = "air temperature"
colour = "blue"

[read.dates]
from = "2024-02-30"
timezone = "Asia/Singapor"

[fetch]
base_url = "ftp://example.org"
query = { day = "{dat}" }

[fetch.limits]
rat = "20/s"
concurrency = "many"

[parse]
records = "items[].readings[]"

[write]
folder = "../data"
"""


def test_all_faults_are_reported_at_once_with_their_places(faults_of):
    """Nobody mends a file one fault a run: each is there, in file order, with line, column, key and what to do."""
    assert faults_of(text=EIGHT_FAULTS) == [
        "job.toml:1:1 name: expected a name of letters, digits, '.', '_' and '-', such as 'air-temperature', "
        "got 'air temperature'",
        "job.toml:2:1 colour: unknown key; known here: name, read, fetch, parse, annotate and write",
        "job.toml:5:1 read.dates.from: expected a date such as '2024-01-31', 'today', 'yesterday' or '-100 days', "
        "got '2024-02-30', which no calendar has",
        "job.toml:6:1 read.dates.timezone: expected a time zone such as 'Asia/Singapore' or 'UTC', "
        "got 'Asia/Singapor'; did you mean 'Asia/Singapore'?",
        "job.toml:8:2 fetch.url: this key is required and missing",
        "job.toml:9:1 fetch.base_url: expected an address such as 'https://api.example.org', got 'ftp://example.org'",
        "job.toml:10:11 fetch.query.day: nothing fills {dat}: the rows offer {date}, {start}, {end} and {until} "
        "because read.dates.every is '1 day'; did you mean '{date}'?",
        "job.toml:13:1 fetch.limits.rat: unknown key; did you mean 'rate'?",
        "job.toml:14:1 fetch.limits.concurrency: expected a whole number from 1 to 1000, got 'many'",
    ]


def test_a_good_file_becomes_one_object_with_absolute_paths(load, tmp_path):
    """Paths count from the job file, and the defaults are those that the descriptions promise."""
    job = load()
    assert job.name == "air-temperature"
    assert job.file == tmp_path / "configs" / "job.toml"
    assert job.folder == tmp_path / "configs"
    assert job.write.folder == tmp_path / "data"
    dates = job.read.dates
    assert (dates.from_, dates.to, dates.every, dates.timezone) == (date(2024, 1, 1), DayOffset(-1), Step(1), "UTC")
    assert job.fetch.query == {"date": Template.parse("{date}")}
    assert (job.fetch.timeout, job.fetch.max_body, job.fetch.cache.keep) == (30.0, 64_000_000, "forever")
    limits, retries = job.fetch.limits, job.fetch.retries
    assert (limits.rate, limits.concurrency, limits.smooth, limits.strict, limits.headroom) == (
        (),
        8,
        None,
        False,
        0.01,
    )
    assert (retries.attempts, retries.first_wait, retries.longest_wait, retries.max_wait) == (5, 0.5, 60.0, 120.0)
    assert (job.parse.format, job.parse.timeout, job.parse.workers) == ("json", 60.0, None)
    assert (job.write.rotate.bytes, job.write.rotate.records, job.write.rotate.every) == (128_000_000, None, None)


def test_a_loaded_job_never_changes(load):
    """Stations share their sections; none can change what another reads."""
    job = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.name = "other"
    with pytest.raises(ValidationError):
        job.fetch.limits.concurrency = 9


def test_a_single_rate_needs_no_list(load):
    """`rate = "6/10 s"` and `rate = ["6/10 s", "600/h"]` are both as people write them."""
    limits = "[fetch.limits]\nrate = {}\n[parse]"
    assert load(("[parse]", limits.format('"6/10 s"'))).fetch.limits.rate == (Rate(6, 10.0),)
    several = load(("[parse]", limits.format('["6/10 s", "600/h"]'))).fetch.limits.rate
    assert several == (Rate(6, 10.0), Rate(600, 3600.0))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('fetch.limits.rate="0/s"', "with a whole number from 1 to 1000000"),
        ('fetch.limits.rate=["5/s", "-5/s"]', "fetch.limits.rate[1]: expected a rate"),
        ("fetch.limits.rate=0", "expected a rate such as '20/s', '6/10 s' or '5000/day', got 0"),
        ("fetch.limits.concurrency=0", "expected a whole number from 1 to 1000, got 0"),
        ("fetch.limits.concurrency=1000000", "expected a whole number from 1 to 1000, got 1000000"),
        ("fetch.limits.concurrency=true", "expected a whole number from 1 to 1000, got true"),
        ("fetch.limits.concurrency=8.0", "expected a whole number from 1 to 1000, got 8.0"),
        ("fetch.limits.cost=0", "fetch.limits.cost: expected a whole number from 1 to 1000000, or a slot such as"),
        ('fetch.limits.cost="3"', "or a slot such as '{tokens}', got '3'"),
        ('fetch.limits.cost="{tokens}"', "nothing fills {tokens}"),
        ('fetch.limits={cost=3, rate=["9/s", "2/day"]}', "is more than a whole window of the rate '2/day' allows"),
        ('fetch.limits.timezone="Europe/Berln"', "did you mean 'Europe/Berlin'?"),
        ("fetch.limits.max_requests=0", "expected a whole number from 1"),
        ("fetch.limits.budget={total=5}", "fetch.limits.budget"),
        ('fetch.limits.realm=""', "expected a name of 1 to 100 characters"),
        ('fetch.limits.spacing="1"', "which has no unit"),
        ("fetch.limits.headroom=0.6", "expected a number from 0 to 0.5, got 0.6"),
        ("fetch.limits.headroom=nan", "expected a number from 0 to 0.5, got nan"),
        ("fetch.limits.strict=1", "expected true or false, got 1"),
        ("fetch.limits=5", "expected a table, got 5"),
        ("fetch.headers=5", "expected a table, got 5"),
        ("fetch.retries.attempts=21", "expected a whole number from 1 to 20, got 21"),
        ('fetch.timeout="0 s"', "expected a time from 1 ms to 1 day, got '0 s'"),
        ("fetch.timeout=30", 'write "30 s" if that is what you mean'),
        ('fetch.max_body="0 B"', "expected a size from 1 B to 16 GB, got '0 B'"),
        ('fetch.cache.keep="always"', "expected 'none', 'http', 'forever' or a time such as '1 day', got 'always'"),
        ('fetch.cache.keep="0 s"', "or a time above zero"),
        ('fetch.base_url="https://x.org/?a=b"', "goes into fetch.query"),
        ('fetch.base_url="https://x.org:99999"', "got 'https://x.org:99999'"),
        ('fetch.base_url="https://x.org/{date}"', "slots go into fetch.url"),
        ('fetch.url="v1"', "expected a path that starts with one '/'"),
        ('fetch.url="//evil.example"', "expected a path that starts with one '/'"),
        ('fetch.url="{date}"', "expected a path that starts with one '/'"),
        ('fetch.url="/a b"', "expected a path without spaces"),
        (
            'fetch.url="/{date.year}"',
            "because read.dates.every is '1 day'; a slot has no attributes",
        ),
        ("fetch.query.x=[1]", "expected text, a number, true or false, got a list"),
        ("fetch.query.x=inf", "expected text, a number, true or false, got inf"),
        (r'fetch.headers.A="a\nb"', "expected text without line breaks"),
        ('fetch.headers."A B"="x"', 'fetch.headers."A B": expected a header\'s name'),
        ('fetch.headers={Accept="a", accept="b"}', "the header 'accept' is given twice"),
        ('read.dates.every="1 week"', "expected a step such as '1 day'"),
        ('read.dates.every="5 h"', "expected hours that part a day evenly, such as '6 h'"),
        ('read.dates.every="5000 days"', "expected at most '3660 days'"),
        ('read.dates.every="101 years"', "expected at most '1200 months'"),
        ('read.dates.every="0 days"', "expected a step such as '1 day'"),
        ('read.dates.to="2023-01-01"', "read.dates: 'from' is after 'to'"),
        ('read.dates.from="tomorrow"', "got 'tomorrow'"),
        ("read.dates.from=2024-01-01T00:00:00", "got 2024-01-01T00:00:00"),
        ('read.dates.timezone="Mars"', "expected a time zone"),
        ('read.dates.timezone=""', "expected a time zone"),
        ('parse.format="yaml"', "expected 'json', 'ndjson', 'csv', 'xml', 'text' or 'bytes', got 'yaml'"),
        ('parse.records="items["', "which is not JMESPath"),
        ('parse.records="a[].lenght(@)"', "JMESPath has no function lenght"),
        ("fetch.url=true", "expected text in quotes, got true"),
        ("read={}", "read: expected 'dates', 'table', 'values', 'records' or 'files': where do the rows come from?"),
        ('write.folder="circle/a"', "cannot be reached"),
        ('write.folder="~/data"', "write ${HOME}"),
        ('write.folder="job.toml"', "which is a file"),
        ("write.rotate.records=0", "expected a whole number from 1"),
        ('name=".."', "expected a name of letters"),
        ("name=5", "got 5"),
    ],
)
def test_a_wrong_value_is_said_with_what_was_expected_and_what_came(faults_of, tmp_path, override, message):
    """Each message says what would have been right, and the fault of an override names the `--set`."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "circle").symlink_to("circle")
    (line,) = faults_of(overrides=[override])
    assert message in line
    assert "--set" in line or "job.toml:2:7 read.dates: " in line


def test_a_password_in_an_address_is_a_fault_that_does_not_show_it(faults_of):
    """Credentials in a URL end up in logs; the message about them must not be the first."""
    (line,) = faults_of(("https://", "https://user:hunter2@"))
    assert "a user name or password in it is not allowed" in line
    assert "hunter2" not in line


def test_days_in_the_wrong_order_are_a_fault_whatever_else_is_wrong(faults_of):
    """A rule between two keys is held where a third is wrong."""
    lines = faults_of(('"2024-01-01"', '"today"\ntimezone = "Mars"'))
    assert [line.split(": ")[0] for line in lines] == [
        "job.toml:2:7 read.dates",
        "job.toml:4:1 read.dates.timezone",
    ]


def test_a_date_of_toml_is_a_date_too(load):
    """`from = 2024-01-01` without quotes means the same."""
    assert load(('"2024-01-01"', "2024-01-01")).read.dates.from_ == date(2024, 1, 1)
    assert load(('"2024-01-01"', '"-100 days"')).read.dates.from_ == DayOffset(-100)


def test_a_longer_step_offers_start_and_end(load, faults_of):
    """{date} is a row's only where a row is a day."""
    weekly = ('from = "2024-01-01"', 'from = "2024-01-01"\nevery = "7 days"')
    assert load(weekly, ("{date}", "{start}/{end}")).read.dates.every == Step(7)
    (line,) = faults_of(weekly)
    assert (
        "nothing fills {date}: the rows offer {start}, {end} and {until} because read.dates.every is '7 days'" in line
    )


def test_missing_sections_are_faults_at_the_top(faults_of):
    """An empty file says all that it lacks."""
    assert faults_of(text="") == [
        "job.toml:1:1 fetch: this section is missing, or, where the rows are records already, [[annotate]]",
        "job.toml:1:1 name: this key is required and missing",
        "job.toml:1:1 read: this section is missing",
        "job.toml:1:1 write: this section is missing",
    ]


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        ("", "job.toml:8:2 parse: expected 'records' (a path"),
        ('records = "a"\nfunction = "f.py:g"', "job.toml:8:2 parse: expected either 'function' or 'records', got both"),
    ],
)
def test_records_are_found_in_exactly_one_way(faults_of, parse, message):
    """A path or a function, and the rule is held where another key of the section is wrong, too."""
    lines = faults_of(('records = "items[].readings[]"', f"{parse}\nworkers = -1"))
    assert [line for line in lines if line.startswith(message)]
    assert [line for line in lines if "parse.workers: expected a whole number" in line]
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "'readings.py' cannot be read: No such file"),
        ("def parse(:", "'readings.py' is not Python: "),
        ("def prase(body, row): ...", "has no function 'parse' at its top level; did you mean 'prase'?"),
        ("class A:\n    def parse(self): ...", "has no function 'parse' at its top level"),
        ("async def parse(body, row): ...", "is async; expected a plain 'def parse(body, row)'"),
        ("\0", "'readings.py' is not Python: "),
    ],
)
def test_a_function_that_is_not_there_is_a_fault_before_the_run(faults_of, tmp_path, source, message):
    """The file is read when the job is loaded, not when the first answer has been paid for."""
    (tmp_path / "configs").mkdir()
    if source is not None:
        (tmp_path / "configs" / "readings.py").write_text(source)
    (line,) = faults_of(('records = "items[].readings[]"', 'function = "readings.py:parse"'))
    assert line.startswith("job.toml:9:1 parse.function: ")
    assert message in line


def test_a_function_is_found_without_running_its_file(load, tmp_path):
    """Checking a job runs nothing: the file here would fail, and would warn."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "readings.py").write_text("raise SystemExit('\\d')\ndef parse(body, row): ...\n")
    job = load(('records = "items[].readings[]"', 'function = "readings.py:parse"'))
    assert job.parse.function == FunctionRef(tmp_path / "configs" / "readings.py", "parse")


def test_a_file_that_cannot_be_read_is_a_job_error(tmp_path):
    """Missing files and folders are faults of the job, with exit code 78, and no traceback."""
    for path, message in [(tmp_path / "none.toml", "there is no such file"), (tmp_path, "got a folder")]:
        with pytest.raises(JobError, match=message) as caught:
            load_job(path, {})
        assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'name = "a"\nb = "\xff"', "job.toml:2:6 expected UTF-8 text; save the file as UTF-8"),
        ("name = x\n", "job.toml:1:8 this is not a TOML value; text needs quotes"),
        ("[fetch]\nname", "job.toml:2:5 not TOML: expected '=' after a key in a key/value pair"),
        ("[fetch]\n  url = '/'\n  url = '/b' # c", "job.toml:3:3 fetch.url: this key is given twice; first in line 2"),
        ("[fetch]\n[parse]\n[fetch]", "job.toml:3:2 fetch: this key is given twice; first in line 1"),
        ("a = 1\na.b = 2", "job.toml:2:3 a.b: this key was already given another kind of value"),
        ("a = " + "9" * 5000, "job.toml Exceeds the limit"),
        ("a = " + "[" * 100_000, "job.toml values are nested too deeply"),
    ],
)
def test_what_is_not_toml_is_one_fault_with_its_place(faults_of, text, line):
    """Nothing can be known behind a syntax error, so it is the only fault."""
    (fault,) = faults_of(text=text)
    assert fault.startswith(line)


def test_a_byte_order_mark_is_no_fault(load):
    """Editors on Windows write one."""
    assert load(("name =", "\ufeffname =")).name == "air-temperature"
