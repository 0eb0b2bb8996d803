"""A recorder of examples: they hold, and hold no secret."""

import pytest
from aiohttp import web
from click.testing import CliRunner

from fetcher.cli import main
from fetcher.job.examples import load_examples
from tests.serving import serving

JOB = """\
name = "recorded"
read.dates = { from = "2024-01-01", to = "2024-01-05" }
parse.records = "rows[]"
write.folder = "data"
[fetch]
base_url = "URL"
url = "/v1"
query = { date = "{date}", key = "${secret:KEY}" }
retries = { attempts = 2, first_wait = "1 ms" }
limits.rate = "1000/s"
pages = { kind = "cursor", next = "next", next_header = "X-Next" }
[write.tables.all]
records = "rows[].{number: n}"
"""
SECRET = "s3cr3t/+ü"
TOKEN = "0123456789abcdef"


async def answer(request: web.Request) -> web.Response:
    """A day with everything secret in it, one that is long, one that is binary, one that is refused."""
    assert request.query["key"] == SECRET
    match request.query["date"]:
        case "2024-01-01":
            body = {"rows": [{"n": 1, "you": SECRET}], "access_token": TOKEN, "next": None, "it's": "'''"}
            headers = {"Set-Cookie": TOKEN, "X-Next": "", "X-Echo": SECRET, "X-RateLimit-Limit": SECRET}
            return web.json_response(body, headers=headers)
        case "2024-01-02":
            return web.json_response({"rows": [{"n": number, "text": "x" * 100} for number in range(200)]})
        case "2024-01-03":
            return web.Response(body=b"\xff\x00" + SECRET.encode(), content_type="application/octet-stream")
    return web.Response(status=500, text="down\r\n")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """`recorded(*arguments)`: the outcome of `fetcher test JOB`."""
    monkeypatch.setenv("KEY", SECRET)
    with serving(answer) as url:
        (tmp_path / "job.toml").write_text(JOB.replace("URL", url))
        yield lambda *arguments: CliRunner().invoke(main, ["test", str(tmp_path / "job.toml"), *arguments])


def test_what_is_recorded_holds_and_holds_no_secret(recorded, tmp_path, monkeypatch):
    """By value in any form, nor what the answer calls a token; then it holds without the API and without the secret."""
    ran = recorded("--record", "--rows", "4")
    assert ran.exit_code == 0, ran.output
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".fetcher" not in path.parts]
    assert sorted(path.name for path in files) == [
        "2024-01-02.1.json",
        "2024-01-02.records.jsonl",
        "2024-01-03.1.body",
        "job.test.toml",
        "job.toml",
    ]
    for path in files:
        held = path.read_bytes()
        assert not any(text in held for text in (SECRET.encode(), b"s3cr3t", TOKEN.encode(), b"Set-Cookie", b"X-Echo"))
    examples = load_examples(tmp_path / "job.test.toml").example
    assert [example.state for example in examples] == ["done", "done", "quarantined", "gave up"]
    assert dict(examples[0].answers[0].headers) == {
        "X-Next": "",
        "X-RateLimit-Limit": "***",
        "Content-Type": "application/json; charset=utf-8",
    }
    assert examples[0].request and examples[0].request.endswith("?date=2024-01-01&key=***")
    assert examples[0].tables == {"all": '{"number":1}\n'}
    assert examples[3].answers[0].body == "down\r\n"
    monkeypatch.delenv("KEY")
    ran = recorded()
    assert (ran.exit_code, ran.output.splitlines()[0]) == (0, "job.test.toml: 4 examples, none failed")


def test_a_file_that_is_there_is_not_overwritten(recorded, tmp_path):
    """Nor is anything asked for it."""
    (tmp_path / "job.test.toml").write_text("mine")
    ran = recorded("--record")
    assert ran.exit_code == 78
    assert "is there already" in ran.output
    assert (tmp_path / "job.test.toml").read_text() == "mine"
    assert not (tmp_path / "data").exists()
