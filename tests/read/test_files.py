"""Files that are rows: which, in which order, and what becomes of those that cannot be."""

import glob
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.job.read import Read
from fetcher.model import Row
from fetcher.read import files
from fetcher.read.rows import source_rows
from fetcher.read.tables import Reading

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
NAMES = st.sampled_from(["a", "b", "ab", "a.jpg", "b.jpg", ".a", ".b.jpg", "A.JPG", "a b", "ä.jpg"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["**", "*", "*.jpg", "a*", "?", "[ab]", "a", ".*", "b.jpg", "*.*"])
WILD = st.sampled_from(["**", "*", "[ab]", "a*"])  # a pattern that begins with a name needs that folder
PATTERNS = st.tuples(WILD, st.lists(PARTS, max_size=3)).map(lambda parts: "/".join([parts[0], *parts[1]]))


def read_of(folder, pattern, **more) -> Read:
    return Read.model_validate({"files": {"path": pattern}, **more}, context={"folder": folder})


def rows_of(folder, pattern="photos", **more) -> list[Row]:
    return list(source_rows(read_of(folder, pattern, **more), NOON, Reading()))


@pytest.fixture
def photos(tmp_path):
    """`photos("a/b.jpg")` makes a file there, and gives its path."""

    def make(name, content=b"x"):
        path = tmp_path / "photos" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


def test_a_file_offers_its_names_its_size_and_its_time(photos, tmp_path):
    """Under its path below the folder, in which the pattern begins."""
    path = photos("2024/trip/a.b.jpg", b"123")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (row,) = rows_of(tmp_path)
    assert row.key == "2024/trip/a.b.jpg"
    assert row.values == {
        "path": str(path),
        "name": "a.b.jpg",
        "stem": "a.b",
        "suffix": ".jpg",
        "folder": "2024/trip",
        "size": 3,
        "modified": datetime(2023, 11, 14, 22, 13, 20, 123456, UTC),
    }


@pytest.mark.parametrize(("name", "stem", "suffix"), [("a", "a", ""), ("a.", "a", "."), ("a.tar.gz", "a.tar", ".gz")])
def test_the_suffix_begins_at_the_last_point(photos, tmp_path, name, stem, suffix):
    """And the two together are always the name; a file of the folder itself lies in '.'."""
    photos(name)
    (row,) = rows_of(tmp_path)
    assert (row.values["stem"], row.values["suffix"], row.values["folder"]) == (stem, suffix, ".")


@given(paths=st.lists(PATHS, max_size=12), pattern=PATTERNS, at_once=st.integers(1, 4))
def test_a_pattern_means_what_it_means_to_a_shell(tmp_path_factory, paths, pattern, at_once):
    """The same files as `glob` finds, each once, in order of their paths, however many a folder holds."""
    folder = tmp_path_factory.mktemp("files")
    for path in paths:
        file = folder / path
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "NAMES_AT_ONCE", at_once)
        found = [str(row.values["path"]) for row in rows_of(folder, pattern)]
    # Not `Path.glob`, which takes no notice of names that begin with a point.
    meant = {path for path in glob.glob(f"{folder}/{pattern}", recursive=True) if Path(path).is_file()}  # noqa: PTH207
    assert found == sorted(meant, key=lambda path: path.split("/"))


def test_keys_are_as_different_as_paths(photos, tmp_path):
    """Whatever a name has in it: a key's own marks, a line break."""
    names = ["a/b", "a%2Fb", "a~2", "a#2", "a\nb", "a%0Ab", "A", "é", "e\u0301", "x" * 255, "x" * 254]
    for name in names:
        photos(name)
    keys = [row.key for row in rows_of(tmp_path)]
    assert len(set(keys)) == len(names)
    assert all(key.isprintable() for key in keys)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_is_another_window_under_its_key(photos, tmp_path, change):
    """Its size or its time tell, to the nanosecond; nobody looks into it."""
    path = photos("a.jpg")
    os.utime(path, ns=(0, 10**18))
    (before,), (same,) = rows_of(tmp_path), rows_of(tmp_path)
    assert before == same
    assert before.first_day == -1
    if change == "size":
        path.write_bytes(b"xy")
    os.utime(path, ns=(0, 10**18 + (change == "time")))
    (after,) = rows_of(tmp_path)
    assert (after.key, after.last_day == before.last_day) == (before.key, False)


def test_files_are_crossed_with_days_and_values(photos, tmp_path):
    """As lines of a table are."""
    photos("a.jpg")
    dates = {"from": "2024-01-01", "to": "2024-01-02"}
    found = rows_of(tmp_path, dates=dates, values={"size_wanted": ["s", "l"]})
    assert [row.key for row in found] == [f"2024-01-0{day}/{size}/a.jpg" for day in (1, 2) for size in "sl"]
    assert {row.values["name"] for row in found} == {"a.jpg"}


def test_a_name_that_is_no_text_costs_itself(photos, tmp_path):
    """It is told with its bytes, under a key that it keeps."""
    photos(b"caf\xe9.jpg")
    photos("a.jpg")
    good, bad = rows_of(tmp_path)
    assert (good.key, good.fault) == ("a.jpg", "")
    assert bad.fault == r"caf\xe9.jpg: has a name that is no text (UTF-8); rename it"
    assert rows_of(tmp_path)[1] == bad


def test_links_lead_nowhere_else(photos, tmp_path):
    """One to a file of the folder is that file; one that leads out, nowhere or in a circle is told; folders that are
    links are not entered, for they may lead in a circle."""
    inside, links = photos("sub/a.jpg"), tmp_path / "photos"
    (tmp_path / "secret").write_bytes(b"x")
    (links / "in").symlink_to(inside)
    (links / "out").symlink_to(tmp_path / "secret")
    (links / "gone").symlink_to("missing")
    (links / "circle").symlink_to("circle")
    (links / "folder").symlink_to(links)
    found = {row.fault or row.key for row in rows_of(tmp_path)}
    assert found == {
        "sub/a.jpg",
        "in",
        "out: is a link that leads out of the folder",
        "gone: is a link that leads nowhere",
        "circle: cannot be read: Too many levels of symbolic links",
    }


def test_a_folder_that_is_a_link_can_be_where_the_pattern_begins(photos, tmp_path):
    """The job names it, so it is meant."""
    photos("a.jpg")
    (tmp_path / "link").symlink_to("photos")
    assert [row.key for row in rows_of(tmp_path, "link/*.jpg")] == ["a.jpg"]


def test_what_is_neither_file_nor_folder_is_no_row(photos, tmp_path):
    """A pipe would never give."""
    photos("a.jpg")
    os.mkfifo(tmp_path / "photos" / "pipe.jpg")
    assert [row.key for row in rows_of(tmp_path)] == ["a.jpg"]


def test_a_folder_that_cannot_be_listed_is_told_and_costs_itself(photos, tmp_path, monkeypatch):
    """Not silently left out."""
    photos("a.jpg")
    photos("locked/b.jpg")
    photos("z.jpg")

    def scandir(folder, *, real=os.scandir):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = [row.fault or row.key for row in rows_of(tmp_path)]
    assert found == ["a.jpg", "locked: its files cannot be listed: Permission denied", "z.jpg"]


def test_folders_may_lie_as_deep_as_the_system_can_reach(tmp_path):
    """Deeper ones are told; nothing ends the run."""
    folder = tmp_path / "photos"
    folder.mkdir()
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(2500):
            Path("d").mkdir()
            os.chdir("d")
        (found,) = rows_of(tmp_path)
        for _ in range(2500):  # who cleans up behind the tests cannot reach them
            os.chdir("..")
            Path("d").rmdir()
    finally:
        os.fchdir(before)
        os.close(before)
    assert found.fault.endswith("its files cannot be listed: File name too long")


def test_a_time_that_no_calendar_has_is_none(photos, tmp_path, monkeypatch):
    """File systems hold more years than calendars do."""
    path = photos("a.jpg")
    os.utime(path, ns=(0, -1))
    assert rows_of(tmp_path)[0].values["modified"] == datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)
    monkeypatch.setattr(files, "EPOCH", datetime.max.replace(tzinfo=UTC))
    os.utime(path, ns=(0, 10**18))
    assert rows_of(tmp_path)[0].values["modified"] is None


def test_files_that_come_and_go_while_they_are_read_do_no_harm(photos, tmp_path):
    """What is gone by then is no row."""
    chance = random.Random(7)
    paths = [photos(f"{folder}/{number}") for folder in "abc" for number in range(5)]
    found = source_rows(read_of(tmp_path, "photos"), NOON, Reading())
    first = next(found)
    gone = {path for path in paths if str(path) != first.values["path"] and chance.random() < 0.5}
    for path in gone:
        path.unlink()
    (tmp_path / "photos" / "d").mkdir()
    left = [first, *found]
    assert not any(row.fault for row in left)
    assert {str(row.values["path"]) for row in left} == {str(path) for path in set(paths) - gone}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("", "expected a folder such as 'photos'"),
        ("missing/*.jpg", "there is no folder"),
        ("~/photos", "write ${HOME}"),
        (3, "expected a folder such as 'photos'"),
        ("a\0b", "expected a folder such as 'photos'"),
    ],
)
def test_a_pattern_that_begins_nowhere_is_a_fault(tmp_path, told, message):
    """Before anything runs; a folder without files is none."""
    with pytest.raises(ValueError, match="files") as caught:
        read_of(tmp_path, told)
    assert message in str(caught.value)
    (tmp_path / "photos").mkdir()
    assert rows_of(tmp_path, "photos/*.jpg") == []


def test_a_single_file_and_a_folder_with_brackets_are_what_they_say(tmp_path):
    """Only the pattern of the job is one, not the folder that the job lies in."""
    folder = tmp_path / "[old]"
    folder.mkdir()
    (folder / "a.jpg").touch()
    assert [row.key for row in rows_of(folder, "a.jpg")] == ["a.jpg"]
    assert [row.key for row in rows_of(folder, "*.jpg")] == ["a.jpg"]


def test_files_stand_alone_among_tables_and_records(tmp_path):
    """And have their key already."""
    (tmp_path / "t.csv").write_text("id\n1\n")
    with pytest.raises(ValueError, match=r"expected one of 'table', 'records' and 'files', got table and files"):
        read_of(tmp_path, ".", table={"path": "t.csv"})
    with pytest.raises(ValueError, match="'key' names columns of a table"):
        read_of(tmp_path, ".", key=["name"])
