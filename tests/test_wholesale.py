"""Rows that are settled by the thousand stand in the ledger as if each had been settled by itself."""

import hashlib
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from fetcher.ledger import Ledger, Settled
from fetcher.model import DoneRows, RowState, Standing
from fetcher.wholesale import SettledRows

KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
PARTS = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=4)
DAYS = st.integers(-1, 2**56)


def rows_of(path):
    with sqlite3.connect(path) as reader:
        return reader.execute("SELECT * FROM rows ORDER BY key").fetchall()


@given(st.lists(KEYS, min_size=16, max_size=16, unique=True), PARTS, DAYS, st.integers(0, 10**6))
def test_many_rows_are_saved_as_one_by_one(tmp_path_factory, keys, parts, day, first_record):
    """Whatever their keys, with days and without, part after part."""
    folder, left, number = tmp_path_factory.mktemp("ledgers"), iter(keys), first_record
    many, single = SettledRows(first_record, 7.5), []
    for has_days, count in parts:
        own = [next(left) for _ in range(count)]
        digests = [hashlib.sha256(key.encode()).digest() for key in own]
        days = ([day] * count, list(range(count))) if has_days else ()
        many.parts.append(DoneRows(own, b"", b"".join(digests), days))
        for place, (key, digest) in enumerate(zip(own, digests, strict=True)):
            first, last = (day, place) if has_days else (0, 0)
            standing = Standing(RowState.DONE, 0.0, 1, number, digest, 1, 7.5, first, last, answers=1)
            single.append(Settled(key, standing, "", 0))
            number += 1
    for name, rows in (("many", [many]), ("single", single)):
        with Ledger(folder / name) as ledger:
            assert ledger.is_new()
            ledger.commit(rows, ())
            assert ledger.is_new() == (not parts)
    assert rows_of(folder / "many") == rows_of(folder / "single")
