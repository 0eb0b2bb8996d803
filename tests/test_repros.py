"""What is kept of answers that could not be parsed: bounded, without secrets, and no trouble to anybody."""

import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher import repros
from fetcher.errors import DiskFailed
from fetcher.repros import MOST_FILES, PACKAGES, Repro, Repros, as_text, from_text, values_kept, values_of


def repro(key="a", **told):
    """What is kept of a row."""
    about = {"reason": "ValueError", "trace": "", "at": 0.0, "values": {}, "content_type": "", **told}
    return Repro(key, **about)


async def test_what_is_kept_is_found_again(tmp_path):
    """By the key of its row, whatever that is; a newer one takes its place."""
    kept = Repros(tmp_path)
    for key in ("a/b", "..", "", "\udcff", "x" * 1000):
        await kept.keep(repro(key, body=b"\x00\xff"))
        await kept.keep(repro(key, body=b"\x00\xfe"))
        found = kept.of(key)
        assert found
        assert found.body == b"\x00\xfe"
    assert kept.of("b") is None
    assert all(path.is_relative_to(tmp_path / "repros") for path in tmp_path.rglob("*.json"))


@given(
    st.dictionaries(
        st.text(),
        st.one_of(
            st.none(), st.booleans(), st.integers(-(2**200), 2**200), st.text(), st.dates(), st.datetimes(),
            st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers()),
        ),
    )
)  # fmt: skip
def test_values_are_the_same_again(values):
    """Days are days, texts that look like days are texts."""
    assert values_of(from_text(as_text(repro(values=values_kept(values))))) == values


async def test_no_secret_is_kept(tmp_path):
    """Neither in the traceback nor in what a row offers."""
    kept = Repros(tmp_path, frozenset({'s3cr"et/'}))
    await kept.keep(repro(trace='at s3cr"et/', values=values_kept({"token": 's3cr"et/'}), reason="s3cr%22et%2F"))
    text = next(tmp_path.rglob("*.json")).read_text()
    assert "s3cr" not in text
    assert text.count("***") == 3


async def test_a_run_keeps_its_first_failures_and_makes_room_among_older_ones(tmp_path):
    """A parser that fails for every row fills no disk."""
    before, now = Repros(tmp_path), Repros(tmp_path)
    for number in range(MOST_FILES + 20):
        await before.keep(repro(f"old {number}"))
    await now.keep(repro("new"))
    assert len(list(tmp_path.rglob("*.json"))) == MOST_FILES
    assert now.of("new")
    assert now.of("old 0") is None
    assert now.of(f"old {MOST_FILES}") is None


async def test_large_answers_make_room_too(tmp_path, monkeypatch):
    """What counts is what they take together."""
    monkeypatch.setattr(repros, "MOST_BYTES", 10_000)
    kept = Repros(tmp_path)
    for number in range(10):
        await kept.keep(repro(str(number), body=bytes(3000)))
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.json")) <= 10_000
    assert kept.of("9")
    assert kept.of("0") is None


async def test_a_file_that_is_damaged_is_none(tmp_path):
    """Nothing depends on them."""
    kept = Repros(tmp_path)
    await kept.keep(repro())
    next(tmp_path.rglob("*.json")).write_text('{"row_key": ')
    assert kept.of("a") is None


async def test_a_disk_that_fails_is_told(tmp_path):
    """As everywhere: never swallowed."""
    (tmp_path / "repros").write_text("in the way")
    with pytest.raises(DiskFailed, match="repros"):
        await Repros(tmp_path).keep(repro())


def test_times_keep_their_zone():
    """A row may offer a moment."""
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert values_of(repro(values=values_kept({"at": moment, "day": date(2024, 5, 1)}))) == {
        "at": moment,
        "day": date(2024, 5, 1),
    }


def test_versions_are_kept_of_all_that_the_extras_bring_in():
    """Of those that parse or annotate: another version may do better."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert {told.partition(">")[0] for told in extras["parse"] + extras["annotate"]} <= set(PACKAGES)
