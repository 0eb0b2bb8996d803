"""A job file to break: the smallest good one, and a function that reads a changed copy of it."""

import pytest

from fetcher.errors import JobError
from fetcher.job import load_job

GOOD = """\
name = "air-temperature"
[read.dates]
from = "2024-01-01"
[fetch]
base_url = "https://api.example.org"
url = "/v1/air-temperature"
query = { date = "{date}" }
[parse]
records = "items[].readings[]"
[write]
folder = "../data"
"""


@pytest.fixture
def load(tmp_path):
    """`load(old=new, ...)` by pairs, `text=`, `environ=`, `overrides=`: the loaded job."""

    def load_changed(*changes, text=GOOD, environ=None, overrides=()):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        folder = tmp_path / "configs"
        folder.mkdir(exist_ok=True)
        file = folder / "job.toml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_job(file, environ or {}, overrides)

    return load_changed


@pytest.fixture
def faults_of(load, tmp_path):
    """The lines of the JobError that `load` raises, without the folder."""

    def lines(*changes, **options):
        with pytest.raises(JobError) as caught:
            load(*changes, **options)
        return str(caught.value).replace(f"{tmp_path}/configs/", "").splitlines()

    return lines
