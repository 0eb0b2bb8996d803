"""X08: a canary for a credential, an API that repeats it wherever it can, everything at debug, and no trace of it."""

import json
import os
import sqlite3
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from aiohttp import web

from tests.stories.conftest import ROOT
from tests.stories.feeds import listening, states

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CANARY = "C4n4ry+S3cret/of=ours"
TOKEN = "T0ken~C4n4ry+given/by=them"
KINDS = {
    "header": 'auth = { kind = "header", name = "X-Api-Key", value = "${secret:CANARY}" }',
    "query": 'auth = { kind = "query", parameter = "api_key", value = "${secret:CANARY}" }',
    "bearer": 'auth = { kind = "bearer", token = "${CANARY}" }',
    "keys": 'auth = { kind = "query", parameter = "api_key", keys = ["${secret:CANARY}", "another-${secret:CANARY}"] }',
    "basic": f'auth = {{ kind = "basic", user = "us", password = "{CANARY}" }}',
    "oauth2": 'auth = { kind = "oauth2", token_url = "/token", client_id = "us", client_secret = "${secret:CANARY}" }',
    "request": 'auth = { kind = "request", token_url = "/token", token_path = "access_token", parameter = "session", '
    'json = { password = "${secret:CANARY}" } }',
    "own": 'headers = { Authorization = "Custom ${secret:CANARY}" }',
}
JOB = """\
name = "{kind}"
[read.dates]
from = "2019-01-01"
to = "2019-01-09"
[fetch]
base_url = "{url}"
url = "/days"
query = {{ date = "{{date}}"{own} }}
retries = {{ attempts = 2, first_wait = "1 ms" }}
pages = {{ kind = "next_url", next = "next" }}
{auth}
[parse]
records = "items[]"
[write]
folder = "out-{kind}"
"""
COMMANDS = (["run"], ["run", "--reparse"], ["status"], ["failures", "list"])
DRIVER = """\
import asyncio, logging, sys
logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.DEBUG)
from fetcher.cli import main
if __name__ == "__main__":
    for job in sys.argv[1:]:
        for command in COMMANDS:
            try:
                main([*command, job])
            except SystemExit as end:
                print(job, *command, end.code)
"""


class Echo:
    """An API that repeats everything that it is asked with, in bodies, headers, links, errors and redirects."""

    url = ""

    async def respond(self, request: web.Request) -> web.StreamResponse:
        said = {"query": dict(request.query), "headers": dict(request.headers), "body": await request.text()}
        text, back = json.dumps(said), {"X-Echo": str(request.rel_url), "X-Auth": str(dict(request.headers))}
        if request.path == "/token":
            return web.json_response({"access_token": TOKEN, "expires_in": 3600, "said": said})
        if not any(secret in text for secret in (CANARY, TOKEN, b64encode(f"us:{CANARY}".encode()).decode())):
            return web.Response(status=400, text="no credential came")
        day = request.query["date"][-2:]
        if request.path == "/days" and "page" not in request.query and day in (answers := self.answers(request, said)):
            return answers[day]
        return web.json_response({"items": [{"page": 2, **said}], "next": None}, headers=back)

    def answers(self, request: web.Request, said: dict) -> dict[str, web.Response]:
        """To the first pages of some days: in each of the places where a credential comes back."""
        query, text = request.query_string, json.dumps(said)
        back = {"X-Echo": str(request.rel_url), "X-Auth": str(dict(request.headers))}
        evil = f"http://{quote(CANARY, safe='')}@evil.org/?{query}"
        return {
            "01": web.json_response({"items": [said], "next": f"/days?{query}&page=2"}, headers=back),
            "02": web.Response(status=400, text=text, headers=back),
            "03": web.Response(status=302, headers={"Location": f"/moved?{query}", **back}),
            "04": web.Response(status=302, headers={"Location": f"http://localhost:9/?{query}"}),
            "05": web.Response(status=500, text=text, headers=back),
            "06": web.Response(text=f"<html>{text}", content_type="text/html", headers=back),
            "07": web.json_response({"items": [said], "next": evil}),
            "08": web.json_response({"items": 1, "next": None, "said": said}),
        }


def forms(secret: str) -> set[bytes]:
    """How it may be written."""
    sent = secret.encode()
    texts = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    coded = {b64encode(sent).decode().rstrip("="), urlsafe_b64encode(sent).decode().rstrip("=")}
    return {text.encode() for text in texts | coded}


TRACES = forms(CANARY) | forms(TOKEN) | {b64encode(f"us:{CANARY}".encode())[:-2], b"C4n4ry"}


def kept(path: Path) -> bytes:
    """The bodies and headers of kept answers, unpacked."""
    with closing(sqlite3.connect(path)) as reader:
        found = reader.execute("SELECT headers, body FROM answers").fetchall()
    return b"".join(headers + zstd.decompress(body) for headers, body in found)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Where the jobs ran, and what was said meanwhile."""
    folder, feed = tmp_path_factory.mktemp("secrets"), Echo()
    with listening(feed):
        jobs = []
        for kind, auth in KINDS.items():
            own = ', api_key = "${secret:CANARY}"' if kind == "own" else ""
            jobs.append(folder / f"{kind}.toml")
            jobs[-1].write_text(JOB.format(kind=kind, auth=auth, own=own, url=feed.url))
        driver = folder / "driver.py"
        driver.write_text(f"COMMANDS = {COMMANDS}\n{DRIVER}")
        environ = {**os.environ, "CANARY": CANARY, "FETCHER_STATE": str(folder / "state")}
        environ |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONASYNCIODEBUG": "1"}
        ran = subprocess.run(
            [sys.executable, driver, *jobs], capture_output=True, env=environ, cwd=folder, timeout=300, check=False
        )
    driver.unlink()
    for job in jobs:
        job.unlink()
    return folder, ran.stdout + ran.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_x08_every_way_to_fail_was_gone(told, kind):
    """Or else the next test says nothing: done, empty, refused, given up and set aside; pages were followed."""
    folder, said = told
    found = states(folder / f"out-{kind}")
    assert found == {"done": 3, "empty": 1, "refused": 3, "gave up": 1, "quarantined": 1}
    assert b"DEBUG" in said
    records = b"".join(path.read_bytes() for path in (folder / f"out-{kind}").glob("records-*"))
    assert b'"page":2' in records and b"***" in records


@pytest.mark.parametrize("kind", KINDS)
def test_x08_no_file_of_a_job_holds_a_trace_of_its_credential(told, kind):
    """Ledger, cache, records, failures, manifest, request log: as they lie there, and unpacked."""
    folder, _ = told
    paths = [path for path in (folder / f"out-{kind}").rglob("*") if path.is_file()]
    assert len(paths) >= 6
    for path in paths:
        held = path.read_bytes() + (kept(path) if path.name == "cache.sqlite" else b"")
        assert [trace for trace in TRACES if trace in held] == [], path


def test_x08_nothing_that_was_said_or_is_shared_holds_a_trace(told):
    """Every library at debug, standard output and error, and what all jobs of the user share."""
    folder, said = told
    assert [trace for trace in TRACES if trace in said] == []
    for path in (folder / "state").rglob("*"):
        if path.is_file():
            assert [trace for trace in TRACES if trace in path.read_bytes()] == [], path


def test_the_traces_would_be_found():
    """A search that finds nothing anywhere proves nothing."""
    url = f"http://a/?k={quote(CANARY, safe='')}"
    for text in (CANARY, url, urlsplit(url).query, json.dumps({"t": TOKEN}), b64encode(CANARY.encode()).decode()):
        assert any(trace in text.encode() for trace in TRACES)
