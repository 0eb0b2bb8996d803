"""`fetcher init`, from a command to the text of a job file."""

import json

import pytest
from aiohttp import web
from click.testing import CliRunner

from fetcher.cli import main
from fetcher.draft.init import Telling, asked_from, draft, loaded
from fetcher.job.steps import parse_every
from tests.serving import serving

NOW = 1_717_200_000.0  # 2024-06-01
SNAPSHOT = """\
# A first draft: every line may be changed.
#
#   fetcher check job.toml      what it would ask for, without a request
#   fetcher preview job.toml    the first rows as records on the screen
#   fetcher run job.toml        all of them, into files
#
# EXAMPLE_TOKEN has to be set in the environment (the header Authorization, after Bearer); its value is in no file:
#   export EXAMPLE_TOKEN=...
#
# Note: nothing was asked of the API: `fetcher preview` will show what an answer looks like

name = "readings"

[read.dates]    # one row a window of days, both ends included
from = "2024-01-01"    # the day that the request had
to   = "2024-01-07"    # enough for a first try; then "yesterday"
every = "7 days"    # what the request asked for at once
# timezone = "Asia/Singapore"    # whose yesterday: the API's own; UTC unless said

[fetch]    # one request a row
base_url = "https://api.example.org"
url = "/v1/readings"    # {start} and {end} are the row's days
query = { from = "{start:%Y-%m-%d}", to = "{end:%Y-%m-%d}" }
headers = { Authorization = "Bearer ${secret:EXAMPLE_TOKEN}" }

[fetch.limits]
rate = "1/s"    # careful until you have read what the API allows; also "6/10 s", "5000/day"

[parse]
records = "@"    # the whole answer is one record; `fetcher preview` shows what is in it

[write]
folder = "data/readings"    # records-000001.jsonl, ...; relative to this file
"""
PROBED = """\
[parse]
records = "rows[]"    # 2 of them in the answer that was seen
#   with a, b
"""


def test_a_draft_is_as_shown():
    """A snapshot: a newcomer reads every line of it."""
    command = (
        "curl 'https://api.example.org/v1/readings?from=2024-01-01&to=2024-01-07' -H 'Authorization: Bearer s3cret'"
    )
    text = draft(asked_from(command, {}), Telling("job.toml", {}, NOW))
    assert text == SNAPSHOT
    dates = loaded(text, {"EXAMPLE_TOKEN": "s3cret"}).read.dates
    assert dates is not None
    assert dates.every == parse_every("7 days")


def ran(*arguments: object, code: int = 0, **told) -> str:
    """The output of `fetcher init`, both streams."""
    found = CliRunner().invoke(main, ["init", *map(str, arguments)], **told)
    assert found.exit_code == code, found.output
    return found.output


def test_one_request_is_sent_with_the_secret_and_teaches_where_records_lie():
    """Exactly one, as the command had it; its secret is in no line of the draft."""
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, request.headers.get("X-Api-Key")))
        headers = {"Link": '</v1/rows?page=2>; rel="next"', "RateLimit-Policy": '"d";q=10;w=60'}
        return web.json_response({"rows": [{"a": 1, "b": 2}, {"a": 3, "b": 4}], "top": [{"x": 1}]}, headers=headers)

    with serving(answer) as url:
        text = ran("--curl", f"curl '{url}/v1/rows?date=2024-01-05' -H 'X-Api-Key: s3cret'")
    assert seen == [("GET", "/v1/rows?date=2024-01-05", "s3cret")]
    assert "s3cret" not in text
    assert PROBED in text
    assert '# records = "top[]"    # one in the answer that was seen' in text
    assert '# kind = "link" ' in text
    assert '# The API\'s headers tell of a limit: rate = "10/60 s"' in text
    assert loaded(text, {"API_KEY": "x"}).parse.records == "rows[]"


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (401, '{"error": "bad key s3cret"}', "application/json", 'taught nothing: HTTP 401 {"error": "bad key ***"}'),
        (500, "oops", "text/plain", "taught nothing: HTTP 500 oops; 1 attempt"),
        (200, "<html>", "text/html", "the API answers with text/html; charset=utf-8: expected JSON, got text/html"),
    ],
)
def test_a_probe_that_teaches_nothing_is_told_in_the_draft(status, body, kind, told):
    """The draft comes all the same; nothing is sent twice."""
    requests = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        return web.Response(status=status, text=body, content_type=kind)

    with serving(answer) as url:
        text = ran(f"{url}/v1/rows?key=s3cret")
    assert requests == 1
    assert told in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("body", "kind", "lines", "records"),
    [
        ("a,b\n1,2\n", "text/csv", 'format = "csv"\n#   with a, b\n', [{"a": "1", "b": "2"}]),
        ('{"a": 1}\n{"a": 2}\n', "application/x-ndjson", 'format = "ndjson"\n#   with a\n', [{"a": 1}, {"a": 2}]),
        (
            "<r><i><a>1</a></i><i><a>2</a></i></r>",
            "application/xml",
            'format = "xml"\nrecords = "r.i[]" ',
            [{"a": "1"}, {"a": "2"}],
        ),
        (
            '{"hourly": {"time": ["x", "y"], "t": [1, 2]}}',
            "application/json",
            'records = "hourly"    # lists side by side: time, t\ncolumns = true\n',
            [{"time": "x", "t": 1}, {"time": "y", "t": 2}],
        ),
        (
            '{"items": [{"at": 1, "r": [{"v": 2}, {"v": 3}]}]}',
            "application/json",
            'fields = { at = "^.at" }    # ^ is what is round a record\nothers = "keep"\n',
            [{"at": 1, "v": 2}, {"at": 1, "v": 3}],
        ),
        ('[{"a": 1}]', "text/html", 'records = "[]" ', [{"a": 1}]),
        ("so it is", "text/plain", 'format = "text"\n', [{"text": "so it is"}]),
    ],
)
def test_what_a_draft_says_of_an_answer_is_how_it_is_parsed(tmp_path, body, kind, lines, records):
    """Whatever the format, and however its records lie: the drafted job brings them home as it stands."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type=kind)

    with serving(answer) as url:
        file = tmp_path / "job.toml"
        ran(f"{url}/v1/rows?day=2024-01-05", "-o", file)
        assert lines in file.read_text()
        one_day = ["--set", 'read.dates.to="2024-01-05"', "--set", 'fetch.limits.rate="1000/s"']
        assert CliRunner().invoke(main, ["run", str(file), *one_day]).exit_code == 0
    written = (tmp_path / "data" / "rows" / "records-000001.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == records


def test_nobody_is_asked_where_told_so_or_where_a_secret_is_missing():
    """--no-probe; a command with `$TOKEN` that is not set here."""
    requests = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request.headers.get("Authorization"))
        return web.json_response([])

    with serving(answer) as url:
        command = f'curl {url} -H "Authorization: Bearer $MY_TOKEN"'
        assert "nothing was asked of the API" in ran(f"{url}/a", "--no-probe")
        assert "for MY_TOKEN is not set" in ran(command)
        assert requests == []
        assert "${secret:" in ran("-", input=command, env={"MY_TOKEN": "t0k"})
        assert requests == ["Bearer t0k"]


def test_a_file_is_written_once_and_never_over_another(tmp_path):
    """Exit 2 before anything is sent, and the file stays as it was."""
    file = tmp_path / "job.toml"
    ran("http://127.0.0.1:1/air", "--no-probe", "-o", file)
    text = file.read_text()
    assert loaded(text, {}).name == "air"
    assert f"#   fetcher run {file}" in text
    assert "is not overwritten" in ran("http://127.0.0.1:1/b", "-o", file, code=2)
    assert file.read_text() == text
    assert "No such file or directory" in ran("http://x.org", "--no-probe", "-o", tmp_path / "no" / "job.toml", code=74)


def test_a_request_that_may_change_something_is_sent_only_where_told_so():
    """A POST is not asked for by itself; --probe sends it once, with its body."""
    bodies = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append((request.method, await request.text()))
        return web.json_response([{"a": 1}])

    with serving(answer) as url:
        command = f"curl {url}/v1/search -d 'q=1'"
        assert "for a POST may change something there; --probe sends it" in ran("--curl", command)
        assert bodies == []
        assert 'records = "[]"' in ran("--curl", command, "--probe")
    assert bodies == [("POST", "q=1")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected a URL, or --curl"),
        (["x.org", "--curl", "curl x.org"], "expected a URL, or --curl"),
        (["ftp://x.org"], "expected an address such as"),
        (["--curl", "curl 'x.org"], "never closed"),
    ],
)
def test_a_wrong_command_line_exits_2(arguments, told):
    """And says what was expected."""
    assert told in ran(*arguments, code=2)


def test_an_api_that_nobody_serves_is_told_in_the_draft():
    """A draft can be made before there is a network."""
    assert "nobody answers at http://127.0.0.1:1" in ran("http://127.0.0.1:1/a")
