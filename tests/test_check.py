"""What can be known of a job without a request."""

import os

import pytest
from click.testing import CliRunner

from fetcher.check import COMPOSED, check, check_text
from fetcher.cli import main
from fetcher.errors import Contradiction, DiskFailed, JobError
from fetcher.job.load import load_job
from tests.settled_jobs import JOB, NOW, done, everything, job_in, settle

SECRETS = """\
name = "secrets"
read.dates = { from = "2024-01-01", to = "2024-01-31", every = "7 days" }
parse.records = "rows[]"
write.folder = "data"
[fetch]
base_url = "http://api.example.org"
url = "/v1"
method = "POST"
query = { key = "${secret:KEY}", from = "{start}", token = "plain" }
headers = { Authorization = "Bearer ${secret:TOKEN}" }
json = { until = "{end}", text = "a\\nb" }
limits = { rate = ["6/10 s", "5000/day"], max_requests = 9 }
cache.keep = "none"
pages = { kind = "page", total = "total" }
expect = [{ status = [404], action = "empty" }]
"""
TEXT = """\
secrets: job.toml can be run; nothing was sent
  rows     5: 2024-01-01+7d, 2024-01-08+7d, 2024-01-15+7d, ..., 2024-01-29+7d
  asks     POST http://api.example.org/v1?key=***&from=2024-01-01&token=plain&page=1
           Authorization: Bearer ***
           Content-Type: application/json
           {"until":"2024-01-07","text":"a\\nb"}
  pages    by page, at most 10,000 a row
  expects  empty
  limits   6/10 s, 5000/day; 8 at once; 9 requests in all
  answers  are not kept
  records  json at rows[], into FOLDER/data (not there yet)
  warning  fetch.query.key holds a secret: addresses end up in logs; a header is safer where allowed
  warning  fetch.query.token looks like a secret that stands in the file; write ${secret:NAME}
  warning  a secret is sent over http, where everybody on the way can read it; use https
  warning  a POST whose answer is lost is not sent again: its row waits for your decision; see fetch.on_unknown and \
fetch.idempotency_key
  warning  fetch.cache.keep = 'none': another parser would have to ask for everything again"""


def load(folder, text, environ=None):
    file = folder / "job.toml"
    file.write_text(text)
    return load_job(file, environ or {})


def test_a_check_is_as_shown(tmp_path):
    """A snapshot with all that it may say of a request, its secrets hidden; nothing is made in the folder."""
    job = load(tmp_path, SECRETS, {"KEY": "s3cr3t", "TOKEN": "t0k3n"})
    assert check_text(job, check(job, NOW)).replace(str(tmp_path), "FOLDER") == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]


def test_rows_that_cannot_be_asked_for_are_told(tmp_path):
    """By key and reason, the first few; only the first thousand rows are tried."""
    text = JOB.replace('to = "2024-01-10"', 'to = "2029-01-01"')
    text = text.replace('url = "/v1"', 'url = "/v1"\nlimits = { rate = "1/s", cost = "{date}" }')
    job = load(tmp_path, text)
    found = check(job, NOW)
    assert (found.rows, len(found.refused), found.request) == (1828, COMPOSED, None)
    told = check_text(job, found)
    assert "asks     nothing" in told
    assert "warning  row 2024-01-01 would be refused: its cost '{date}' would be '2024-01-01'" in told
    assert "warning  and 997 more of the first 1,000 rows" in told


def test_what_would_surprise_a_folder_that_has_rows_is_told(tmp_path):
    """Another request, another parser; and what lies there stays as it is."""
    job = job_in(tmp_path)
    settle(job, done(1, 2))
    CliRunner().invoke(
        main, ["run", str(job.file), "--set", "fetch.retries.attempts=1"]
    )  # writes the fingerprints down; nobody answers there
    before = everything(job.write.folder)
    assert [text for text in check(job, NOW).warnings if "changed" in text] == []
    other = job_in(tmp_path, 'parse.records="x"', "fetch.query={day='{date}'}")
    changed = [text for text in check(other, NOW).warnings if "changed" in text]
    assert [text.partition(" changed")[0] for text in changed] == ["what is asked for has", "the parse part has"]
    assert everything(job.write.folder) == before


def test_what_would_stop_a_run_at_once_is_an_error_of_its_kind(tmp_path):
    """A function that cannot be imported (78), a folder that cannot be made (74), records without a ledger (65)."""
    (tmp_path / "mine.py").write_text("import nothing_of_that_name\ndef parse(body, row): return []\n")
    job = load(tmp_path, JOB.replace('parse.records = "[]"', 'parse.function = "mine.py:parse"'))
    with pytest.raises(JobError, match="nothing_of_that_name"):
        check(job, NOW)
    assert CliRunner().invoke(main, ["check", str(job.file)]).exit_code == 78
    job = load(tmp_path, f'{JOB}[[annotate]]\nfunction = "mine.py:parse"\n')
    with pytest.raises(JobError, match="nothing_of_that_name"):
        check(job, NOW)
    job = load(tmp_path, JOB)
    job.write.folder.mkdir()
    (job.write.folder / "records-000001.jsonl").write_text("{}\n")
    with pytest.raises(Contradiction):
        check(job, NOW)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """Exit 74 and which folder stands in the way."""
    job = load(tmp_path, JOB)
    tmp_path.chmod(0o500)
    with pytest.raises(DiskFailed, match="expected a folder that can be written"):
        check(job, NOW)
    tmp_path.chmod(0o700)


def test_a_file_in_the_way_is_told(tmp_path):
    """Where the job's folder would have to be made below a file."""
    (tmp_path / "data").write_text("")
    job = load(tmp_path, JOB.replace('write.folder = "data"', 'write.folder = "data/x"'))
    with pytest.raises(DiskFailed, match="expected a folder that can be written, for the folder"):
        check(job, NOW)


@pytest.mark.parametrize(("limits", "warned"), [("", True), ('limits.rate = "1/s"', False)])
def test_a_job_without_a_rate_is_warned(tmp_path, limits, warned):
    """Nothing else would hold it back; a loopback address is no network."""
    told = check(load(tmp_path, f"{JOB}{limits}\n"), NOW).warnings
    assert any("no fetch.limits.rate" in text for text in told) is warned
    assert not any("https" in text for text in told)


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        ("none", "are not kept"),
        ("forever", "kept for ever"),
        ("http", "kept as their headers say"),
        ("1 day", "kept for 86,400 s"),
    ],
)
def test_how_long_answers_are_kept_is_told(tmp_path, keep, told):
    """For each way to keep them."""
    job = load(tmp_path, SECRETS.replace('keep = "none"', f'keep = "{keep}"'), {"KEY": "s3cr3t", "TOKEN": "t0k3n"})
    assert f"  answers  {told}\n" in check_text(job, check(job, NOW))


def test_the_command_says_it_and_exits_0_whatever_it_warns_of(tmp_path):
    """Faults of the file are 78, as for every command."""
    job = job_in(tmp_path)
    ran = CliRunner().invoke(main, ["check", str(job.file)])
    assert ran.exit_code == 0
    assert ran.output.startswith("air: job.toml can be run; nothing was sent\n")
    assert CliRunner().invoke(main, ["check", str(job.file), "--set", "x=1"]).exit_code == 78


TABLE = """\
name = "labels"
read = { key = ["id"], table = { path = "t.csv" } }
write.folder = "data"
"""
ASKING = """\
parse.records = "[]"
[fetch]
base_url = "https://api.example.org"
url = "/v1/{q}"
limits.rate = "1/s"
"""


EMPTY = "a part of the path '/v1/{q}' would be '', which names another resource"
LABELS = """\
[[annotate]]
into = "labels"
rules = { field = "q", rule = [{ label = "a", terms = ["a"] }] }
"""


@pytest.mark.parametrize("asks", [LABELS, ASKING])
def test_lines_that_cannot_be_read_are_told_with_their_numbers(tmp_path, asks):
    """Whether rows are asked about or are the records; the first three, and how many more there are."""
    (tmp_path / "t.csv").write_text("id,q\n1,a\n2,b,c\n3,\n4\n5\n6\n7\n")
    job = load(tmp_path, TABLE + asks)
    told = [line for line in check_text(job, check(job, NOW)).splitlines() if line.startswith("  warning")]
    bad = [f"t.csv:{line} expected 2 fields, got {got}" for line, got in ((3, "3: 2,b,c"), (5, "1: 4"), (6, "1: 5"))]
    warnings = [*(f"would be set aside: {one}" for one in bad), "and 2 more lines that cannot be read"]
    if asks == ASKING:
        warnings.append(f"row t.csv:4 would be refused: {EMPTY}")
    assert told == [f"  warning  {warning}" for warning in warnings]
