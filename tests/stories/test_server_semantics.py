"""Group S of the fault catalogue, and what of the others only a whole run shows: the program against the built-in API.

Waves, outages and slowness that last minutes (S01, S02, S11) run on a virtual clock, in test_amplification.
"""

import json
from pathlib import Path

import pytest

from tests.stories.feeds import sets, states, until

JOB = """\
name = "semantics"
[read.dates]
from = "2019-01-01"
to = "2019-01-{rows:02d}"
[fetch]
base_url = "{url}"
url = "/v1/rows"
query = {{ id = "{{date:%Y%m%d}}" }}
limits.concurrency = 4
retries = {{ attempts = 3, first_wait = "1 ms" }}
{fetch}
[parse]
records = "items[]"
[write]
folder = "out"
{write}
"""
PAGED = """\
url = "/v1/items"
query = { size = 10, total = 50, day = "{date}" }
"""


@pytest.fixture
def api(serve):
    return serve("--limit", "none")


@pytest.fixture
def job_of(tmp_path, api):
    """`job_of(fault, rows=..., fetch=TOML, write=TOML)`: a job whose every request meets the fault."""

    def made(fault: str, rows: int = 5, fetch: str = "", write: str = "", paged: bool = False) -> Path:
        url = f"{api.url}/fault/{fault}"
        text = JOB.format(rows=rows, url=url, fetch=fetch, write=write)
        if paged:
            begin, end = text.index('url = "/v1/rows"'), text.index("limits.concurrency")
            text = text[:begin] + PAGED + text[end:]
        job = tmp_path / "job.toml"
        job.write_text(text)
        return job

    return made


def reasons(folder: Path) -> set[str]:
    """Why rows failed, from `failures.jsonl`."""
    return {json.loads(line)["reason"] for line in (folder / "failures.jsonl").read_text().splitlines()}


def test_h25_an_odd_link_leads_to_every_page(fetcher, output, tmp_path, job_of, api):
    """Two relations in one value, unquoted, in capitals, over two lines: the right next page, five of them."""
    job = job_of("odd-link", rows=1, paged=True, fetch='pages = { kind = "link" }')
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert sorted(record["id"] for record in output(tmp_path / "out").records()) == list(range(50))
    assert api.stats()["requests"] == 5


def test_h25_a_relative_target_leads_to_every_page(fetcher, output, tmp_path, job_of):
    """It is relative to the page that named it."""
    job = job_of("next-relative", rows=1, paged=True, fetch='pages = { kind = "next_url", next = "next" }')
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert sorted(record["id"] for record in output(tmp_path / "out").records()) == list(range(50))


@pytest.mark.parametrize("fault", ["empty-200", "login-page", "login-page-as-json", "gzip-undeclared", "half-json"])
def test_h18_an_answer_that_is_no_json_is_set_aside(fetcher, output, tmp_path, job_of, api, fault):
    """H17, N08 too: no record of it, exit 3, asked for once; `failures retry` asks again."""
    job = job_of(f"{fault};times=1", rows=2)
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {"quarantined": 2}
    assert output(tmp_path / "out").lines() == []
    assert api.stats()["requests"] == 2
    assert fetcher("failures", "retry", job).code == 0
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert len(output(tmp_path / "out").records()) == 2


def test_n08_a_body_that_is_cut_without_a_sign_adds_no_record(fetcher, output, tmp_path, job_of):
    """Half of a document that ends with the connection is no JSON: set aside, nothing of it is written."""
    job = job_of("close-delimited-cut;times=1", rows=2)
    assert fetcher("run", job).code == 3
    assert states(tmp_path / "out") == {"quarantined": 2}
    assert output(tmp_path / "out").lines() == []
    assert fetcher("failures", "retry", job).code == 0
    assert fetcher("run", job).code == 0
    assert len(output(tmp_path / "out").records()) == 2


def test_s02_an_outage_of_a_second_loses_nothing(fetcher, output, tmp_path, job_of, api):
    """503 for all: the breaker lets a few through, and every row is there in the end."""
    job = job_of("outage;seconds=1", rows=31)
    ran = fetcher("run", job, *sets("fetch.retries.attempts=8", 'fetch.retries.first_wait="100 ms"'))
    assert ran.code == 0, ran.err
    assert len(output(tmp_path / "out").records()) == 31
    assert api.stats()["requests"] <= 31 + 12 + 4 + 10


@pytest.mark.parametrize("concurrency", [1, 4])
def test_s01_a_wave_of_429_without_a_hint_loses_nothing(fetcher, output, tmp_path, job_of, api, concurrency):
    """Whoever is told stops all; one asks at growing intervals whether it is over, and no row is given up."""
    job = job_of("status-429;for_s=0.3;per=all", rows=20)
    ran = fetcher("run", job, *sets(f"fetch.limits.concurrency={concurrency}"))
    assert ran.code == 0, ran.err
    assert len(output(tmp_path / "out").records()) == 20
    assert 20 < api.stats()["requests"] <= 20 + 4 + 15


@pytest.mark.parametrize(
    "auth", ['headers = { Authorization = "Bearer x" }', 'auth = { kind = "bearer", token = "xxxx" }']
)
def test_s04_a_credential_that_is_refused_ends_the_run_and_settles_no_row(fetcher, output, tmp_path, job_of, api, auth):
    """It would be refused for every row: no more are asked than were under way, and all are asked when it is mended."""
    job = job_of("token-refused", rows=20, fetch=auth)
    ran = fetcher("run", job)
    assert ran.code == 78, ran.err
    assert "the credential is refused" in ran.err
    assert api.stats()["requests"] <= 4
    job_of("status-401;times=0", rows=20, fetch=auth)
    assert fetcher("run", job).code == 0
    assert len(output(tmp_path / "out").records()) == 20


def test_s05_a_refusal_that_says_200_is_known_by_a_rule_of_the_job(fetcher, output, tmp_path, job_of, api):
    """`{"ok": false, "error": "ratelimited"}`: where a rule matches it is never taken for an answer."""
    rule = 'hints.waits = [{ text = "ratelimited in (?P<wait>[0-9]+)|ratelimited", status = [200], least = "1 s" }]'
    job = job_of("not-ok;times=1", rows=3, fetch=rule)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert len(output(tmp_path / "out").records()) == 3
    assert api.stats()["requests"] == 6


@pytest.mark.parametrize(("fault", "said"), [("key-in-progress", "HTTP 409"), ("key-reused", "HTTP 422")])
def test_s10_a_key_that_the_server_knows_ends_the_row(fetcher, tmp_path, job_of, api, fault, said):
    """One request, refused with the server's words: nothing is carried out twice."""
    job = job_of(fault, rows=1, fetch='method = "POST"\nidempotency_key = true\njson = { item = 1 }')
    job.write_text(job.read_text().replace('"/v1/rows"', '"/v1/orders"'))
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {"refused": 1}
    assert said in "".join(reasons(tmp_path / "out"))
    assert (api.stats()["requests"], sum(api.stats()["executions"].values())) == (1, 0)


@pytest.mark.parametrize("status", [404, 410])
def test_s15_what_is_missing_at_the_api_is_asked_for_once(fetcher, tmp_path, job_of, api, status):
    """Not retried, and not asked for by the next run."""
    job = job_of(f"status-{status}")
    for _ in range(2):
        ran = fetcher("run", job)
        assert ran.code == 3, ran.err
        assert states(tmp_path / "out") == {"refused": 5}
        assert api.stats()["requests"] == 5


def test_s17_of_one_id_with_two_bodies_the_first_is_kept(fetcher, output, tmp_path, job_of):
    """`write.key` tells that they are one; the later one is dropped and counted."""
    job = job_of(
        "one-id-two-bodies",
        rows=1,
        paged=True,
        fetch='pages = { kind = "page", size = 10, size_parameter = "size", more = "has_more" }',
        write='key = ["id"]',
    )
    job.write_text(job.read_text().replace("size = 10, total", "total"))
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    found = output(tmp_path / "out").records()
    assert len({record["id"] for record in found}) == len(found)
    assert "4 repeats" in ran.err


@pytest.mark.parametrize(("fault", "concurrency"), [("status-429", 1), ("status-503", 8)])
def test_s02_a_signal_ends_a_run_that_waits_for_a_sick_api(start, tmp_path, job_of, api, fault, concurrency):
    """While nobody is let through: all is committed and the program is gone, long before the API is well."""
    job = job_of(fault, rows=31)
    told = (f"fetch.limits.concurrency={concurrency}", "fetch.retries.attempts=20", 'fetch.retries.first_wait="30 s"')
    process = start("run", job, *sets(*told))
    until(lambda: api.stats()["requests"], process)
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143, said
