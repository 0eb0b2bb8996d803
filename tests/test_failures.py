"""What a person decides about failed rows, and that no run goes on meanwhile."""

import io
import re

import pytest
from aiohttp import web
from click.testing import CliRunner

from fetcher.cli import main
from fetcher.errors import Busy, Contradiction, JobError
from fetcher.export.tables import Wanted, export
from fetcher.failures import Retried, discard, retry
from fetcher.job.load import load_job
from fetcher.launch import held, layout_of, note_request_part
from fetcher.ledger import Ledger
from fetcher.model import FAILED, Row, RowState
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.status import status, view
from tests.serving import serving
from tests.settled_jobs import JOB, NOW, done, everything, failed, job_in, settle

PLAIN = RunOptions()
TABLE = 'read = { key = ["date"], table = { path = "days.csv" } }'


@pytest.fixture
def job(tmp_path):
    """A day of each kind, 1 to 6; the second had records before it was refused."""
    job = job_in(tmp_path)
    settle(job, done(1, 2), done(2, 1))
    settle(
        job,
        failed(2, RowState.REFUSED, "410 Gone"),
        failed(3, RowState.GAVE_UP, "503"),
        failed(4, RowState.QUARANTINED, "not JSON"),
        failed(5, RowState.REFUSED, "404"),
        failed(6, RowState.WAITING, "429", NOW + 60),
    )
    return job


def standing(job, day: int):
    """Where a day stands."""
    with view(job) as ledger:
        return ledger.standings([f"2024-01-{day:02}"])[f"2024-01-{day:02}"]


def retried(job, keys: list[str]) -> Retried:
    """Failed rows are asked for again, as the job lists them now."""
    return retry(job, keys, NOW)


def verdicts(job) -> list[Verdict]:
    """What the next run does with days 1 to 6."""
    return [verdict(Row("", {}), standing(job, day), PLAIN, NOW) for day in range(1, 7)]


def test_retry_without_keys_asks_for_all_failed_rows_again(job):
    """And for no other: neither what is done nor what waits."""
    assert retried(job, []) == (4, 0)
    settled, waiting = Verdict.LEAVE_SETTLED, Verdict.LEAVE_WAITING
    assert verdicts(job) == [settled, *[Verdict.ASK] * 4, waiting]


def test_retry_with_keys_asks_for_those_alone(job):
    """Keys that are unknown, done or waiting are not counted and not changed; a key told twice is one row."""
    before = [standing(job, day) for day in (1, 2, 3, 5, 6)]
    assert retried(job, ["2024-01-04", "2024-01-04", "2024-01-01", "2024-01-06", "2030-01-01"]) == (1, 0)
    assert standing(job, 4).state is RowState.GAVE_UP
    assert [standing(job, day) for day in (1, 2, 3, 5, 6)] == before


def test_discarded_rows_fail_no_run_and_are_not_asked_for(job):
    """By none: they are settled, and reasons and records of theirs stay."""
    held_before = standing(job, 2)
    assert discard(job, ["2024-01-02", "2024-01-05"]) == 2
    assert status(job, NOW, job.write.folder / "state").rows[RowState.DISCARDED] == 2
    assert standing(job, 2) == held_before._replace(state=RowState.DISCARDED)
    for options in (PLAIN, RunOptions(only_failed=True)):
        for is_recent in (False, True):
            assert verdict(Row("", {}, is_recent), standing(job, 5), options, NOW) is Verdict.LEAVE_SETTLED
    assert RowState.DISCARDED not in FAILED
    with view(job) as ledger:
        assert [failure.key for failure in ledger.failures()] == ["2024-01-03", "2024-01-04"]
        assert ledger.counts()[RowState.DISCARDED, "404"] == 1


def test_no_keys_discard_nothing(job):
    """To give all up takes all keys."""
    before = [standing(job, day) for day in range(1, 7)]
    assert discard(job, []) == 0
    assert [standing(job, day) for day in range(1, 7)] == before
    assert CliRunner().invoke(main, ["failures", "discard", str(job.file)]).exit_code == 2


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_nobody_decides_while_a_run_holds_the_folder(job, command):
    """`Busy`, exit 4, and the ledger stays as it is."""
    keys = ["2024-01-03", "2024-01-04"]
    before = everything(job.write.folder)
    with held(layout_of(job)):
        with pytest.raises(Busy, match="another run holds"):
            {"retry": retried, "discard": discard}[command](job, keys)
        ran = CliRunner().invoke(main, ["failures", command, str(job.file), *keys])
        assert ran.exit_code == 4
    assert {name: held_ for name, held_ in everything(job.write.folder).items() if name != ".fetcher/lock"} == {
        name: held_ for name, held_ in before.items() if name != ".fetcher/lock"
    }
    assert CliRunner().invoke(main, ["failures", command, str(job.file), *keys]).exit_code == 0


@pytest.mark.parametrize("decide", [retried, discard])
def test_a_job_that_never_ran_gets_no_ledger_from_this(tmp_path, decide):
    """A mistyped name creates nothing."""
    job = job_in(tmp_path)
    with pytest.raises(Contradiction, match="the job has not been run yet"):
        decide(job, ["2024-01-01"])
    assert [path.name for path in tmp_path.iterdir()] == ["job.toml"]


def test_the_commands_say_what_they_did(job):
    """List, discard, retry, list: what a person sees."""

    def said(*arguments: str) -> str:
        ran = CliRunner().invoke(main, ["failures", arguments[0], str(job.file), *arguments[1:]])
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert said("list") == (
        "2024-01-02\trefused\t2 attempts\t410 Gone\n"
        "2024-01-03\tgave up\t1 attempt\t503\n"
        "2024-01-04\tquarantined\t1 attempt\tnot JSON\n"
        "2024-01-05\trefused\t1 attempt\t404\n"
    )
    assert said("discard", "2024-01-03") == "1 row is discarded\n"
    assert said("retry") == "3 rows are asked for at the next run\n"
    assert [line.split("\t")[:2] for line in said("list").splitlines()] == [
        [f"2024-01-0{day}", "gave up"] for day in (2, 4, 5)
    ]


def narrowed(job):
    """The same job, which lists days 3 to 10 alone from now on."""
    return load_job(job.file, {}, ["read.dates.from=2024-01-03"])


def test_a_row_that_the_job_lists_no_more_is_not_asked_for_and_not_said_to_be(job):
    """No run would ask for it; it stays as it is, and what takes it off the list is told."""
    assert retried(narrowed(job), []) == (3, 1)
    assert [standing(job, day).state for day in (2, 3, 4, 5)] == [RowState.REFUSED, *[RowState.GAVE_UP] * 3]

    def said(*arguments: str) -> str:
        ran = CliRunner().invoke(main, ["failures", *arguments, "--set", "read.dates.from=2024-01-03"])
        assert ran.exit_code == 0, ran.output
        return ran.output

    listed = said("list", str(job.file)).splitlines()
    assert listed[0] == "2024-01-02\trefused\t2 attempts\t410 Gone\tnot listed by the job any more"
    assert listed[1] == "2024-01-03\tgave up\t1 attempt\t503"
    left = "1 failed row is not listed by the job any more, and left: `fetcher failures discard` takes such rows off"
    assert said("retry", str(job.file)) == f"3 rows are asked for at the next run\n{left} the list\n"
    assert said("retry", str(job.file), "2024-01-02") == f"0 rows are asked for at the next run\n{left} the list\n"
    assert said("discard", str(job.file), "2024-01-02") == "1 row is discarded\n"


def test_a_failed_row_counts_only_where_the_job_lists_it(job):
    """In the status and beside an export."""
    found = status(narrowed(job), NOW, job.write.folder / "state")
    assert {str(group): group.rows for group in found.reasons} == {
        "gave up: 503": 1,
        "quarantined: not JSON": 1,
        "refused: 404": 1,
        "waiting: 429": 1,
    }
    failed = export(narrowed(job), Wanted("jsonl"), io.BytesIO(), NOW).failed
    assert failed == {RowState.GAVE_UP: 1, RowState.QUARANTINED: 1, RowState.REFUSED: 1}


def test_rows_of_another_request_are_none_of_those_that_failed(job):
    """Whoever changes what is asked for has new rows, and those before are listed no more."""
    other = load_job(job.file, {}, ['fetch.url="/v2"'])
    with Ledger(layout_of(job).state / "ledger.sqlite") as ledger:
        note_request_part(job, ledger)
    assert retried(other, []) == (0, 4)


def test_what_cannot_be_listed_now_is_exported_all_the_same(tmp_path):
    """The rows that failed are then counted as the job's; to have them asked again takes the table."""
    file = tmp_path / "job.toml"
    (tmp_path / "days.csv").write_text("date\n2024-01-01\n")
    file.write_text(JOB.replace('read.dates = { from = "2024-01-01", to = "2024-01-10" }', TABLE))
    job = load_job(file, {})
    settle(job, done(1), failed(2, RowState.REFUSED, "404"))
    assert export(job, Wanted("jsonl"), io.BytesIO(), NOW).failed == {}
    (tmp_path / "days.csv").unlink()
    assert export(job, Wanted("jsonl"), io.BytesIO(), NOW).failed == {RowState.REFUSED: 1}
    with pytest.raises(JobError, match=r"days\.csv"):
        retried(job, [])


def test_rows_by_standard_input_are_all_asked_for_again(tmp_path):
    """They come once, so nobody looks at them beforehand."""
    file = tmp_path / "job.toml"
    table = TABLE.replace('"days.csv"', '"-", columns = ["date"]')
    file.write_text(JOB.replace('read.dates = { from = "2024-01-01", to = "2024-01-10" }', table))
    job = load_job(file, {})
    settle(job, failed(2, RowState.REFUSED, "404"))
    assert retried(job, []) == (1, 0)


FAULTY = """\
name = "faulty"
read.dates = { from = "2024-01-01", to = "2024-01-03" }
parse.records = "rows[]"
write.folder = "data"
[fetch]
base_url = "URL"
url = "/v1"
query = { date = "{date}", key = "${secret:KEY}" }
headers = { X-Token = "${secret:KEY}" }
retries = { attempts = 1 }
limits.rate = "1000/s"
"""
SHOWN = """\
2024-01-01: quarantined, 1 attempt, WHEN
  reason   expected JSON, got text/html; the answer is not JSON: JSON is malformed: invalid character (byte 0)
  asked    GET URL/v1?date=2024-01-01&key=***
           X-Token: ***
  answer   200 text/html; charset=utf-8, 25 bytes, WHEN
           <html> Log in, *** [2J
2024-01-02: refused, 1 attempt, WHEN
  reason   HTTP 410 gone, ***
  asked    GET URL/v1?date=2024-01-02&key=***
           X-Token: ***
"""


def test_failures_are_shown_with_what_was_asked_and_answered(tmp_path, monkeypatch):
    """A snapshot: the kept answer of a row that could not be parsed, the words of one that was refused; no secret, no
    cursor of a terminal moved."""

    async def answer(request: web.Request) -> web.Response:
        match request.query["date"]:
            case "2024-01-01":
                return web.Response(text="<html>\nLog in, s3cr3t\x1b[2J", content_type="text/html")
            case "2024-01-02":
                return web.Response(status=410, text="gone, s3cr3t")
        return web.json_response({"rows": [{"a": 1}]})

    monkeypatch.setenv("KEY", "s3cr3t")
    file = tmp_path / "job.toml"
    with serving(answer) as url:
        file.write_text(FAULTY.replace("URL", url))
        assert CliRunner().invoke(main, ["run", str(file)]).exit_code == 3

    def said(*keys: str, code: int = 0) -> str:
        ran = CliRunner().invoke(main, ["failures", "show", str(file), *keys])
        assert ran.exit_code == code, ran.output
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", "WHEN", ran.output.replace(url, "URL"))

    assert said() == SHOWN
    assert said("2024-01-02") == SHOWN[SHOWN.index("2024-01-02: ") :]
    assert "1 of these are failed rows" in said("2024-01-02", "2024-01-03", code=2)
    file.write_text(file.read_text().replace('from = "2024-01-01"', 'from = "2024-01-02"'))
    assert "is no row of the job any more" in said("2024-01-01")
