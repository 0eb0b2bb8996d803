"""How lines become bytes: whole files at every border of a batch, for us and for the tools that everybody has."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import Segment, SegmentState
from fetcher.write.packing import PACKINGS
from fetcher.write.segments import PUBLISHED_NAME, published_name

LINE = st.binary(max_size=40).map(lambda text: text.replace(b"\n", b" ") + b"\n")
BATCHES = st.lists(st.lists(LINE, min_size=1), min_size=1, max_size=6)
TOOLS = {"none": "cat", "gzip": "zcat", "zstd": "zstdcat"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a property."""
    return tmp_path_factory.mktemp("packed")


@pytest.mark.parametrize("name", PACKINGS)
@given(batches=BATCHES)
def test_a_file_cut_at_any_border_of_a_batch_is_a_whole_file(folder, name, batches):
    """What is vouched for after each commit can be read: the lines of all batches so far, in order."""
    packed = [PACKINGS[name].pack(b"".join(lines)) for lines in batches]
    for number in range(1, len(batches) + 1):
        path = folder / f"cut{PACKINGS[name].suffix}"
        path.write_bytes(b"".join(packed[:number]))
        with PACKINGS[name].lines(path) as lines:
            assert list(lines) == [line for batch in batches[:number] for line in batch]


@pytest.mark.parametrize("name", PACKINGS)
def test_the_tools_that_everybody_has_can_read_it(tmp_path, name):
    """zcat and zstdcat, every batch and not the first alone."""
    if shutil.which(TOOLS[name]) is None:
        pytest.skip(f"there is no {TOOLS[name]} here")
    batches = [b'{"n":%d}\n' % number * 50 for number in range(4)]
    path = tmp_path / f"records-000001{PACKINGS[name].suffix}"
    path.write_bytes(b"".join(map(PACKINGS[name].pack, batches)))
    assert subprocess.run([TOOLS[name], path], capture_output=True, check=True).stdout == b"".join(batches)


@pytest.mark.parametrize("name", PACKINGS)
@given(lines=st.lists(LINE).map(b"".join))
def test_the_same_records_make_the_same_bytes(name, lines):
    """No time and no name gets into a file: two runs of a job can be compared by their hashes."""
    packed = PACKINGS[name].pack(lines)
    assert packed == PACKINGS[name].pack(lines)
    if name == "gzip":
        assert packed[4:8] == bytes(4), "the header's time, RFC 1952 section 2.3"


@pytest.mark.parametrize(("name", "least"), [("none", 1.0), ("gzip", 5.0), ("zstd", 5.0)])
def test_packing_saves_what_it_is_for(name, least):
    """Records are much alike."""
    lines = b"".join(b'{"station":"S%d","value":%d}\n' % (number % 60, 25 + number % 7) for number in range(5000))
    assert len(lines) / len(PACKINGS[name].pack(lines)) >= least


def test_every_packing_has_a_name_of_its_own_that_readers_find():
    """A glob of records-*.jsonl* finds them all, and so does the search for strangers' files."""
    names = [published_name(Segment(1, SegmentState.PUBLISHED, name, 0, 0, "", 0.0)) for name in PACKINGS]
    assert names == ["records-000001.jsonl", "records-000001.jsonl.gz", "records-000001.jsonl.zst"]
    assert all(PUBLISHED_NAME.fullmatch(name) for name in names)
