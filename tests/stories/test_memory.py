"""Memory does not grow with the number of rows."""

from datetime import date, timedelta

import pytest

FIRST = date(1800, 1, 1)
JOB = """\
name = "rows"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/v1/rows"
query = {{ id = "{{date:%Y%m%d}}" }}
limits.concurrency = 32
[parse]
records = "items[]"
[write]
folder = "out-{rows}"
"""


def peak_bytes(fetcher, output, api, folder, rows) -> int:
    """The peak of a job over that many rows, all of which came."""
    job = folder / f"job-{rows}.toml"
    job.write_text(JOB.format(first=FIRST, last=FIRST + timedelta(rows - 1), url=api.url, rows=rows))
    ran = fetcher("run", job, anew=True)
    assert ran.code == 0, ran.err
    assert len(output(folder / f"out-{rows}").records()) == rows
    return ran.peak_bytes


@pytest.mark.parametrize(("few", "many"), [(1_000, 10_000), pytest.param(10_000, 100_000, marks=pytest.mark.slow)])
def test_ten_times_the_rows_take_the_same_memory(serve, fetcher, output, tmp_path, few, many):
    """At most 1.3 times, which is what noise takes."""
    api = serve("--limit", "none")
    small, large = (peak_bytes(fetcher, output, api, tmp_path, rows) for rows in (few, many))
    print(f"{few:,} rows {small / 1e6:.1f} MB, {many:,} rows {large / 1e6:.1f} MB: {large / small:.2f} times")
    assert large <= 1.3 * small
