"""A job whose answers fill several tables, from the job file to the reader."""

import json

from fetcher import read_records

JOB = """\
name = "readings"
[read.dates]
from = "2019-06-01"
to = "2019-06-05"
[fetch]
base_url = "{url}"
url = "/v1/environment/air-temperature"
query = {{ date = "{{date:%Y-%m-%d}}" }}
[parse]
records = "items[].readings[]"
[write]
folder = "out"
[write.tables.stations]
records = "metadata.stations[]"
fields = {{ id = "id", name = "name", latitude = "location.latitude" }}
key = ["id"]
"""


def test_the_same_answers_fill_two_tables(serve, fetcher, tmp_path):
    """Each station once, whatever number of days names it; counted apart; and a second parse asks for nothing."""
    api, job = serve("--limit", "none", "--no-faults"), tmp_path / "job.toml"
    job.write_text(JOB.format(url=api.url))
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    (stations,) = read_records(tmp_path / "out", table="stations")
    readings = sum(len(frame) for frame in read_records(tmp_path / "out"))
    assert list(stations.columns) == ["id", "name", "latitude"]
    assert sorted(set(stations["id"])) == sorted(stations["id"])
    assert f"{readings:,} records and {len(stations)} of stations added" in ran.err
    assert "by write.tables.stations.key, not written again" in ran.err
    told = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert (told["records"], told["tables"]) == (readings, {"stations": len(stations)})
    status = fetcher("status", job)
    assert f"  {len(stations)} records of stations in 1 file, 0 not published yet" in status.out

    job.write_text(JOB.format(url=api.url).replace("latitude = ", "lat = "))
    assert fetcher("run", job).code == 78, "the parse part has changed"
    before = api.stats()["requests"]
    ran = fetcher("run", "--reparse", job)
    assert ran.code == 0, ran.err
    assert api.stats()["requests"] == before
    assert f"0 records and {len(stations)} of stations added" in ran.err
    (newest,) = read_records(tmp_path / "out", table="stations", latest=True)
    assert (list(newest.columns), sorted(newest["id"])) == (["id", "name", "lat"], sorted(stations["id"]))
    assert fetcher("verify", job).code == 0
