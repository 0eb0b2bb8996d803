"""The first rows of a job on screen, and that looking costs nothing twice."""

import pytest
from aiohttp import web
from click.testing import CliRunner

from fetcher.cli import main
from tests.serving import serving
from tests.settled_jobs import everything

JOB = """\
name = "look"
read.dates = { from = "2024-01-01", to = "2024-01-05" }
parse.records = "rows[]"
write.folder = "data"
[fetch]
base_url = "URL"
url = "/v1"
query = { date = "{date}" }
headers = { X-Key = "${secret:KEY}" }
retries = { attempts = 2, first_wait = "1 ms" }
limits.rate = "1000/s"
[[fetch.expect]]
body = "error == 'none'"
action = "empty"
[[fetch.expect]]
status = [404]
action = "accept"
"""
SECRET = "s3cr3t"


class Api:
    """Answers by day; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.by_day: dict[str, web.Response | dict] = {}

    async def answer(self, request: web.Request) -> web.Response:
        assert request.headers["X-Key"] == SECRET
        day = request.query["date"]
        self.asked.append(day)
        found = self.by_day.get(day, {"rows": [{"day": day, "n": n, "key": SECRET} for n in range(5)]})
        if isinstance(found, dict):
            return web.json_response(found)
        return web.Response(status=found.status, text=found.text, content_type=found.content_type)


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def fetcher(api, tmp_path, monkeypatch):
    """`fetcher("preview", ...)` against the API: its output; `code` is what it has to exit with."""
    monkeypatch.setenv("KEY", SECRET)
    with serving(api.answer) as url:
        (tmp_path / "job.toml").write_text(JOB.replace("URL", url))

        def run(command: str, *arguments: str, code: int = 0) -> str:
            ran = CliRunner().invoke(main, [command, str(tmp_path / "job.toml"), *arguments])
            assert ran.exit_code == code, ran.output
            assert SECRET not in ran.output
            return ran.output.replace(url, "URL")

        yield run


def test_a_preview_is_as_shown(fetcher, api):
    """A snapshot: records, an answer that a rule calls empty, one that is refused; and the first three rows only."""
    api.by_day["2024-01-02"] = {"error": "none"}
    api.by_day["2024-01-03"] = web.Response(status=410, text="gone \x1b[2J", content_type="text/plain")
    assert fetcher("preview") == (
        "2024-01-01\n"
        "  GET URL/v1?date=2024-01-01\n"
        "  200 application/json; charset=utf-8, 250 bytes, from the API\n"
        "  done: 5 records\n"
        '    {"day":"2024-01-01","n":0,"key":"***"}\n'
        '    {"day":"2024-01-01","n":1,"key":"***"}\n'
        '    {"day":"2024-01-01","n":2,"key":"***"}\n'
        "2024-01-02\n"
        "  GET URL/v1?date=2024-01-02\n"
        "  200 application/json; charset=utf-8, 17 bytes, from the API\n"
        "  rule 1 of fetch.expect decides: empty\n"
        "  empty: 0 records\n"
        "2024-01-03\n"
        "  GET URL/v1?date=2024-01-03\n"
        "  410 text/plain; charset=utf-8, 9 bytes, from the API\n"
        "  refused: HTTP 410 gone [2J\n"
    )
    assert api.asked == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_answers_with_nothing_to_read_show_what_they_look_like(fetcher, api):
    """Where the path finds nothing, the outline and the paths that would; of what is no JSON, its beginning."""
    api.by_day["2024-01-01"] = {"data": {"list": [{"a": 1}, {"a": 2}]}}
    api.by_day["2024-01-02"] = web.Response(text="<html>\n Log  in", content_type="text/html")
    told = fetcher("preview", "--rows", "2")
    assert "    data.list[]    2 objects\n" in told
    assert "  parse.records could be 'data.list[]' (2)\n" in told
    assert "  quarantined: expected JSON, got text/html; the answer is not JSON" in told
    assert "  the answer begins: <html> Log in\n" in told


def test_records_of_further_tables_are_shown_with_their_table(fetcher, api):
    """And counted."""
    told = fetcher("preview", "--rows", "1", "--set", "write.tables.numbers={records='rows[].{number: n}'}")
    assert "  done: 5 records, 5 for numbers\n" in told
    assert '    numbers: {"number":2}\n' in told


def test_every_attempt_is_shown(fetcher, api):
    """A row that fails twice has two exchanges, and its outcome says so."""
    api.by_day["2024-01-01"] = web.Response(status=500, text="no", content_type="text/plain")
    told = fetcher("preview", "--rows", "1")
    assert told.count("  500 text/plain; charset=utf-8, 2 bytes, from the API\n") == 2
    assert "  gave up: HTTP 500 no; 2 attempts\n" in told


def test_a_run_does_not_ask_again_for_what_a_preview_has_seen(fetcher, api, tmp_path):
    """Nor does a second preview; beside the cache nothing is written, and the ledger knows nothing."""
    fetcher("preview")
    assert sorted(everything(tmp_path / "data")) == [".fetcher/cache.sqlite"]
    assert fetcher("preview").count("from the cache") == 3
    assert len(api.asked) == 3
    fetcher("run")
    assert sorted(api.asked) == [f"2024-01-0{day}" for day in range(1, 6)]
    before = {name: held for name, held in everything(tmp_path / "data").items() if "cache" not in name}
    fetcher("preview")
    assert {name: held for name, held in everything(tmp_path / "data").items() if "cache" not in name} == before
    assert len(api.asked) == 5


def test_pages_are_shown_as_far_as_told(fetcher, api):
    """The first one unless said; it says that more follow."""
    arguments = ["--set", 'fetch.pages={kind="page", short_is_last=true, size=5}', "--rows", "1"]
    assert "  page 1: 5 records; more pages follow\n" in fetcher("preview", *arguments)
    assert api.asked == ["2024-01-01"]
    told = fetcher("preview", *arguments, "--pages", "2")
    assert "&page=2\n" in told
    assert "brings the same records as an earlier one" in told


def test_what_must_not_be_sent_twice_is_not_previewed_unless_its_answer_is_kept(fetcher, api):
    """A run would carry it out again."""
    post = ["--set", 'fetch.method="POST"', "--rows", "1"]
    for keep in ("none", "http"):  # HTTP keeps no answer to a POST
        unkept = ["--set", 'fetch.method="POST"', "--set", f'fetch.cache.keep="{keep}"']
        for look in (["--rows", "1"], ["--sample", "1"]):
            assert "would be carried out" in fetcher("preview", *unkept, *look, code=2)
    assert api.asked == []
    assert "  POST URL/v1" in fetcher("preview", *post)
    assert "from the cache" in fetcher("preview", *post)
    assert len(api.asked) == 1


def test_errors_have_the_exit_codes_of_a_run(fetcher, tmp_path):
    """Nobody there, a wrong job, records without a ledger."""
    assert "nobody answers" in fetcher("preview", "--set", "fetch.base_url='http://127.0.0.1:1'", code=69)
    fetcher("preview", "--set", "parse.records=1", code=78)
    (tmp_path / "data" / "records-000001.jsonl").write_text("{}\n")
    fetcher("preview", code=65)
