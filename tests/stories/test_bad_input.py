"""What goes wrong before or beside the requests: the exit code, the words, and what it costs."""

from fetcher.testing.air_temperature import canonical_hash, day_records, load_plan
from fetcher.testing.check_demo import expected

EIGHT_FAULTS = """\
name = "air temperature"
[read.dates]
from = "2019-02-30"
timezone = "Asia/Singapur"
[fetch]
base_url = "ftp://127.0.0.1"
url = "/v1/{dat}"
[fetch.limits]
rat = "6/10 s"
concurrency = "many"
[parse]
format = "jsn"
records = "items[]"
[write]
folder = "out"
"""
PLACES = ["1:1", "3:1", "4:1", "6:1", "7:1", "9:1", "10:1", "12:1"]
KEYS = [
    "name",
    "read.dates.from",
    "read.dates.timezone",
    "fetch.base_url",
    "fetch.url",
    "fetch.limits.rat",
    "fetch.limits.concurrency",
    "parse.format",
]

HOSTILE = """\
import json, os, sys

def parse(body, row):
    day = str(row["date"])
    if day == "2019-05-01":
        raise KeyError("readings")
    if day == "2019-05-11":
        os._exit(9)
    while day == "2019-05-21":
        pass
    for item in json.loads(body)["items"]:
        for reading in item["readings"]:
            yield {"timestamp": item["timestamp"], **reading}
"""
HOSTILE_DAYS = {"2019-05-01", "2019-05-11", "2019-05-21"}


def test_eight_faults_are_named_at_once_and_nothing_is_sent(serve, fetcher, tmp_path):
    """`job.toml:line:column key: what` for each, exit 78, no request, no folder."""
    api = serve()
    job = tmp_path / "job.toml"
    job.write_text(EIGHT_FAULTS)
    ran = fetcher("run", job)
    assert ran.code == 78
    lines = ran.err.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        f"{job}:{place} {key}" for place, key in zip(PLACES, KEYS, strict=True)
    ]
    # Seven faults remain once the address is a good one: still nothing is sent.
    ran = fetcher("run", job, "--set", f'fetch.base_url="{api.url}"')
    assert (ran.code, len(ran.err.splitlines())) == (78, 7)
    assert api.stats()["requests"] == 0
    assert not (tmp_path / "out").exists()


def test_an_api_that_nobody_answers_for_ends_the_run(serve, fetcher, hundred_days, tmp_path):
    """Exit 69, one line that names the address, no traceback; the next run, with the API back, is exact."""
    api = serve("--limit", "none")
    nobody = 'fetch.base_url="http://127.0.0.1:1"'
    ran = fetcher(*hundred_days(api, tmp_path / "out", nobody))
    assert ran.code == 69, ran.err
    assert "Traceback" not in ran.err
    told = [line for line in ran.err.splitlines() if "http://127.0.0.1:1" in line]
    assert len(told) == 1
    assert "nobody answers at http://127.0.0.1:1" in told[0]
    assert api.stats()["requests"] == 0
    assert fetcher(*hundred_days(api, tmp_path / "out")).code == 3


def test_a_parser_that_raises_dies_or_hangs_costs_its_own_row(serve, fetcher, hundred_days, output, tmp_path):
    """Three rows are quarantined, each with its reason; every other record is there."""
    api = serve("--limit", "none")
    (tmp_path / "hostile.py").write_text(HOSTILE)
    parser = f"parse.function='{tmp_path}/hostile.py:parse'"
    ran = fetcher(*hundred_days(api, tmp_path / "out", parser, 'parse.timeout="1 s"'))
    assert ran.code == 3, ran.err
    assert "91 done + 5 empty + 1 gave up + 3 quarantined" in ran.err
    for reason in (
        "KeyError: 'readings' (hostile.py, line 6)",
        "process died (exit code 9)",
        "longer than 1 s",
    ):
        assert reason in ran.err
    plan = load_plan()
    days = {record["timestamp"][:10] for record in output(tmp_path / "out").records()}
    assert not days & HOSTILE_DAYS
    kept = (
        record
        for number in range((plan.last - plan.first).days + 1)
        for record in day_records(plan.first.fromordinal(plan.first.toordinal() + number), 60)
        if record["timestamp"][:10] not in HOSTILE_DAYS
    )
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(kept)


def test_a_parse_file_that_fails_at_import_is_a_fault_of_the_job(serve, fetcher, hundred_days, output, tmp_path):
    """Exit 78, and one line names the file and the reason; mended, the job is exact without asking again."""
    api = serve("--limit", "none")
    file = tmp_path / "broken.py"
    file.write_text("import json\n\nTABLE = {}['no such key']\n\ndef parse(body, row):\n    return []\n")
    ran = fetcher(*hundred_days(api, tmp_path / "out", f"parse.function='{file}:parse'"))
    assert ran.code == 78, ran.err
    assert "Traceback" not in ran.err
    assert "broken.py" in ran.err
    assert "KeyError: 'no such key' (broken.py, line 3)" in ran.err
    assert output(tmp_path / "out").records() == []
    assert fetcher(*hundred_days(api, tmp_path / "out")).code == 3
    assert canonical_hash(output(tmp_path / "out").records()) == expected(60)


def test_a_state_folder_that_cannot_be_made_ends_with_74(serve, fetcher, hundred_days, tmp_path):
    """A file is in the way, which stops root as well: one line, no request."""
    api = serve()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".fetcher").write_text("in the way")
    ran = fetcher(*hundred_days(api, tmp_path / "out"))
    assert ran.code == 74
    assert len(ran.err.splitlines()) == 1
    assert str(tmp_path / "out" / ".fetcher") in ran.err
    assert api.stats()["requests"] == 0
