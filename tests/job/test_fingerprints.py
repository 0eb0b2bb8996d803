"""Fingerprints: they change with what they stand for, and with nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.errors import JobError
from fetcher.job import fetch_fingerprint, parse_fingerprint
from fetcher.job.fingerprints import origins_of

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for path in (ROOT / "configs").glob("*.toml") if not path.name.endswith(".test.toml"))
FUNCTION = ('records = "items[].readings[]"', 'function = "readings.py:parse"')


@pytest.mark.parametrize(
    ("override", "is_changed"),
    [
        ('fetch.url="/v2"', True),
        ('fetch.query.date="{date:%Y}"', True),
        ("fetch.query.page=1", True),
        ('fetch.headers.Accept="text/plain"', True),
        ('fetch.base_url="https://other.example.org"', False),
        ('fetch.timeout="1 s"', False),
        ('fetch.limits.rate="1/s"', False),
        ('name="other"', False),
        ('parse.records="a"', False),
    ],
)
def test_the_fetch_fingerprint_changes_with_the_requests_alone(load, override, is_changed):
    """A slower limit asks for nothing again, nor does an API that has moved; another path does."""
    assert (fetch_fingerprint(load(overrides=[override])) != fetch_fingerprint(load())) is is_changed


def test_orders_that_change_no_answer_change_no_fingerprint(load):
    """Sorting a job file's query keys must not throw its answers away; 1 and "1" and true are three queries."""
    first = load(("{ date", "{ a = 1, date"))
    assert fetch_fingerprint(first) == fetch_fingerprint(load(('"{date}" }', '"{date}", a = 1 }')))
    one, other = 'headers = { Accept = "a", B = "b" }\n[parse]', 'headers = { b = "b", accept = "a" }\n[parse]'
    assert fetch_fingerprint(load(("[parse]", one))) == fetch_fingerprint(load(("[parse]", other)))
    others = [load(("{ date", f"{{ a = {value}, date")) for value in ('"1"', "true", "1.0")]
    assert len({fetch_fingerprint(job) for job in (first, *others)}) == 4


def test_the_parse_fingerprint_changes_with_the_functions_file(load, tmp_path):
    """A new parser makes zero requests and parses everything again."""
    file = tmp_path / "configs" / "readings.py"
    file.parent.mkdir()
    file.write_text("def parse(body, row): ...\ndef other(body, row): ...\n")
    job = load(FUNCTION)
    before = parse_fingerprint(job)
    assert before != parse_fingerprint(load(FUNCTION, (":parse", ":other")))
    assert before != parse_fingerprint(load())
    file.write_text("def parse(body, row): return []\n")
    assert parse_fingerprint(load(FUNCTION)) != before
    file.unlink()
    with pytest.raises(JobError, match=r"readings\.py' cannot be read"):
        parse_fingerprint(job)


def test_a_new_secret_leaves_the_rows_as_they_are(load):
    """A token that is renewed asks for nothing else; what is written to the ledger is no hash of a secret."""
    headers = ("[parse]", 'headers = { Authorization = "Bearer ${secret:TOKEN}" }\n[parse]')
    fingerprints = {fetch_fingerprint(load(headers, environ={"TOKEN": token})) for token in ("one", "t{w}o")}
    assert len(fingerprints) == 1
    assert all(re.fullmatch("[0-9a-f]{64}", fingerprint) for fingerprint in fingerprints)


def test_the_fetch_fingerprint_of_a_job_is_the_same_in_every_version(load):
    """Ledgers hold it: a version that computes another one asks for every row again, and writes its records twice."""
    assert fetch_fingerprint(load()) == "6ee7eaef4c10456a911f214916f8b7abad6586104a05558640cca7a07a92d0b8"


LABELS = 'annotate=[{ into = "a", rules = { field = "f", rule = [{ label = "l", terms = ["t"] }] } }]'


def test_the_parse_fingerprint_of_annotators_is_the_same_in_every_version(load):
    """A key that came later, and is not used, is not in it: folders that were labelled before go on."""
    assert (
        parse_fingerprint(load(overrides=[LABELS]))
        == "188286afa144ec2bfe11273075af3d52fc0e6c9e865356028fd69241e43f79bb"
    )
    asked = LABELS.replace("{ into", "{ provenance = true, into")
    assert parse_fingerprint(load(overrides=[asked])) != parse_fingerprint(load(overrides=[LABELS]))


def test_a_version_changes_with_the_annotator_alone(load):
    """Not with its neighbours, nor with whether it says so."""

    def versions(*annotators):
        job = load(overrides=[f"annotate=[{','.join(annotators)}]"])
        return [origin and origin.version for origin in origins_of(job, 0.0)]

    asked = LABELS[len("annotate=[") : -1].replace("{ into", "{ provenance = true, into")
    (first,) = versions(asked)
    assert versions(asked.replace('"a"', '"b"'), asked, asked.replace("provenance = true, ", "")) == [
        versions(asked.replace('"a"', '"b"'))[0],
        first,
        None,
    ]
    assert versions(asked.replace('"t"', '"u"'))[0] != first


def printed(environ: dict[str, str], hash_seed: int) -> list[str]:
    """What an interpreter of its own, with that seed, computes for every shipped job."""
    told = [sys.executable, "-m", "tests.job.printing", *map(str, SHIPPED)]
    environ = {**os.environ, **environ, "PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(
        told, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environ
    ).stdout.splitlines()


def test_fingerprints_and_keys_of_every_shipped_job_are_the_same_in_every_interpreter(tmp_path):
    """None depends on the order of a set, which each interpreter has its own of."""
    (tmp_path / "b").mkdir()
    for name in ("a.jpg", "b/c.jpg"):
        (tmp_path / name).touch()
    first, second = (printed({"PHOTOS": str(tmp_path)}, hash_seed) for hash_seed in (1, 2))
    assert first == second
    kinds = {path.name: {line.split()[1] for line in first if line.startswith(f"{path.name} ")} for path in SHIPPED}
    for path in SHIPPED:
        text = path.read_text(encoding="utf-8")
        assert {"fetch", "parse", "row"} <= kinds[path.name], path.name
        assert ("realm" in kinds[path.name]) == ("base_url" in text), path.name
        assert ("annotator" in kinds[path.name]) == ("[[annotate]]" in text), path.name
