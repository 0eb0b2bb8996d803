"""C10: packed answers, and bombs."""

import gzip
import io
import json
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.unpacking import Packing, unpacked
from tests.parse.shaping import records

GZIP = 'format = "ndjson"\nunpack = "gzip"'
ZIP = 'format = "csv"\nunpack = "zip"\n'


def zipped(members, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@given(st.lists(st.binary(), min_size=1, max_size=3))
def test_gzip_gives_back_what_was_packed(parts):
    """Members in a row are one body."""
    body = b"".join(map(gzip.compress, parts))
    assert list(unpacked(Packing("gzip"), body)) == [("", b"".join(parts))]


@given(st.binary(min_size=1), st.data())
def test_gzip_that_is_cut_never_passes_for_whole(content, data):
    """Nor does an empty body, or anything else that is no gzip."""
    body = gzip.compress(content)
    with pytest.raises(Quarantined, match=r"cut short|is not gzip"):
        list(unpacked(Packing("gzip"), body[: data.draw(st.integers(0, len(body) - 1))]))


@pytest.mark.parametrize("form", ["json", "csv", "text"])
def test_whatever_is_packed_is_read_by_its_format(form):
    """The Content-Type is that of the packing, and says nothing of what is in it."""
    body = gzip.compress({"json": b'[{"a":"1"}]', "csv": b"a\n1\n", "text": b"1"}[form])
    (record,) = records(f'format = "{form}"\nunpack = "gzip"\nrecords = "@"', body, content_type="application/gzip")
    assert list(record.values()) == ["1"]


def test_the_members_of_a_zip_file_are_chosen_by_a_pattern():
    """All that match, in the order of the file, each with its own header, and its name where the job wants it."""
    body = zipped({"read.me": "hello", "b/2.csv": "x,y\n1,2\n", "b/": "", "a.csv": "y\n3\n"})
    assert records(ZIP + 'members = "*.csv"\nmember_into = "file"', body) == [
        {"x": "1", "y": "2", "file": "b/2.csv"},
        {"y": "3", "file": "a.csv"},
    ]
    assert records(ZIP + 'members = "a.csv"', body) == [{"y": "3"}]
    with pytest.raises(Quarantined, match=r"has no member '\*.xml'; it holds read.me, b/2.csv, b/, a.csv"):
        records(ZIP + 'members = "*.xml"', body)


def test_member_names_go_only_into_records():
    """Something else is refused as ever."""
    with pytest.raises(Quarantined, match="a record of 'a' is an int, expected a dict"):
        records('unpack = "zip"\nmember_into = "f"\nrecords = "@"', zipped({"a": "[5]"}))


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_c10_a_bomb_is_stopped_at_the_cap(packing):
    """Ten megabytes of zeros in ten kilobytes: by the ratio; by the size, where the ratio is allowed; held nowhere."""
    zeros = bytes(10_000_000)
    body = gzip.compress(zeros) if packing == "gzip" else zipped({"a": zeros})
    assert len(body) < 12_000
    del zeros
    tracemalloc.start()
    with pytest.raises(Quarantined, match=r"more than 200 times larger, as a bomb would be; parse.max_ratio allows"):
        list(unpacked(Packing(packing), body))
    with pytest.raises(Quarantined, match=r"larger than parse.max_unpacked, 3,000,000 bytes"):
        list(unpacked(Packing(packing, most_bytes=3_000_000, most_ratio=10**6), body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 3_000_000 + 2_000_000
    assert sum(len(part) for _, part in unpacked(Packing(packing, most_ratio=10**6), body)) == 10_000_000


def test_c10_many_members_are_one_bomb():
    """The cap is on all of them together, and on their number."""
    body = zipped({str(number): b"x" * 600_000 for number in range(6)}, zipfile.ZIP_STORED)
    with pytest.raises(Quarantined, match=r"larger than parse.max_unpacked"):
        list(unpacked(Packing("zip", most_bytes=2_000_000), body))
    with pytest.raises(Quarantined, match=r"the zip file has 6 members, more than 5"):
        list(unpacked(Packing("zip", most_members=5), body))


def test_c10_members_that_overlap_are_read_under_the_cap():
    """A list of members that all point to one kernel: what the file's list says of sizes is not believed."""
    body = bytearray(zipped({"a": bytes(3_000_000)}))
    place = body.rfind(b"PK\x01\x02")
    body[place + 24 : place + 28] = (10).to_bytes(4, "little")  # the uncompressed size in the list
    with pytest.raises(Quarantined):
        list(unpacked(Packing("zip", most_bytes=1_000_000), bytes(body)))


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty", "method"])
def test_a_damaged_zip_file_is_an_error_of_its_row(damage):
    """With the member, where it is known."""
    body = bytearray(zipped({"a.csv": "x\n" + "1\n" * 1000}))
    if damage == "flipped":
        body[38] ^= 0xFF
    elif damage == "method":
        place = body.rfind(b"PK\x01\x02")
        body[place + 10] = body[8] = 99
    broken = {"cut": body[:-10], "text": b"hello", "empty": b""}.get(damage, body)
    with pytest.raises(Quarantined, match="zip file"):
        records(ZIP, bytes(broken))


def test_a_zip_file_with_a_password_is_an_error_of_its_row():
    """Nobody is asked for one."""
    body = bytearray(zipped({"a.csv": "x\n1\n"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.find(mark) + offset] |= 1
    with pytest.raises(Quarantined, match=r"member 'a.csv' cannot be read: .*password"):
        records(ZIP, bytes(body))


def test_numbers_of_lines_are_those_of_the_packed_file():
    """An error within what was packed is told like any other."""
    body = gzip.compress(b'{"a":1}\n{"a":\n')
    with pytest.raises(Quarantined, match=r"^line 2 is not JSON"):
        records(GZIP, body)
    assert records(GZIP, gzip.compress(json.dumps({"a": 1}).encode())) == [{"a": 1}]
