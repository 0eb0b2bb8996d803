"""Where an export goes: by its name, and whole."""

import pytest

from fetcher.errors import DiskFailed
from fetcher.export.files import kind_of, replaced_whole


@pytest.mark.parametrize(
    ("name", "told", "kind"),
    [
        ("a.csv", None, ("csv", "none")),
        ("a.b/A.TSV.GZ", None, ("tsv", "gzip")),
        ("a.jsonl.zst", None, ("jsonl", "zstd")),
        ("a.ndjson", None, ("jsonl", "none")),
        ("a.parquet", None, ("parquet", "none")),
        ("a.txt", "csv", ("csv", "none")),
        ("a.gz", "csv", ("csv", "gzip")),
        ("-", None, ("jsonl", "none")),
        ("-", "csv", ("csv", "none")),
    ],
)
def test_the_name_tells_the_format(name, told, kind):
    """But where it is told."""
    assert kind_of(name, told) == kind


@pytest.mark.parametrize("name", ["a", "a.xlsx", "csv", ".csv", "a.gz", "a.csv.bz2"])
def test_a_name_that_tells_nothing_is_refused(name):
    """With what it may be."""
    with pytest.raises(ValueError, match=r"does not tell a format; .*\.parquet"):
        kind_of(name)


@pytest.mark.parametrize("name", ["a.parquet.gz", "-"])
def test_parquet_is_a_file_by_itself(name):
    """It is packed within, and is no stream."""
    with pytest.raises(ValueError, match="Parquet"):
        kind_of(name, "parquet")


@pytest.mark.parametrize("before", [None, b"before"])
def test_what_fails_leaves_everything_as_it_was(tmp_path, before):
    """No half file, no draft; and an error of the disk is one."""
    path = tmp_path / "out.csv"
    if before:
        path.write_bytes(before)
    with pytest.raises(DiskFailed, match=r"out\.csv is not written: No space left"):
        with replaced_whole(path) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")
    with pytest.raises(KeyboardInterrupt):
        with replaced_whole(path) as file:
            raise KeyboardInterrupt
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == ({"out.csv": before} if before else {})


def test_the_file_is_there_at_the_end_alone(tmp_path):
    """Whoever looks meanwhile finds what was there before."""
    path = tmp_path / "out.csv"
    path.write_bytes(b"before")
    with replaced_whole(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"out.csv": b"after"}
