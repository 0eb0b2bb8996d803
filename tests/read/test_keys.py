"""Keys: the same for the same row, and different for different ones."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fetcher.read.keys import Occurrences, digest_of, key_of, part_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.dictionaries(TEXTS, TEXTS, max_size=4)


@given(ROWS, ROWS)
def test_rows_have_one_digest_if_they_are_equal(first, second):
    """In whichever order their columns stand."""
    assert digest_of(first) == digest_of(dict(reversed(first.items())))
    assert (digest_of(first) == digest_of(second)) == (first == second)


@given(st.lists(TEXTS, min_size=2, max_size=2), st.lists(TEXTS, min_size=2, max_size=2))
def test_keys_of_columns_are_equal_only_where_the_values_are(first, second):
    """No value can take on what parts a key from the next, marks a repeat, or a generation."""
    names = ["a", "b"]
    keys = [key_of(dict(zip(names, values, strict=True)), names) for values in (first, second)]
    assert (keys[0] == keys[1]) == (first == second)
    assert all(key.count("/") == 1 and not {"~", "#", "\n", "\x1b"} & set(key) for key in keys)


def test_keys_read_as_their_values_do():
    """Those of usual values."""
    assert key_of({"id": "S 01", "n": 5}, ["id", "n"]) == "S 01/5"
    assert part_of("äö") == "äö"
    assert part_of("a/b#2") == "a%2Fb%232"
    assert len(part_of("x" * 10_000)) == 33


@given(st.lists(st.integers(0, 40).map(lambda number: digest_of({"n": number})), max_size=400))
def test_occurrences_are_counted_over_any_number_of_digests(digests):
    """Each time it is met it counts one more."""
    seen, counted = Occurrences(), Counter[bytes]()
    for digest in digests:
        counted[digest] += 1
        assert seen.count(digest) == counted[digest]


def test_occurrences_of_many_digests_stay_exact():
    """Also while the table of them grows."""
    seen = Occurrences()
    digests = [digest_of({"n": number}) for number in range(20_000)]
    for occurrence in (1, 2, 3):
        assert {seen.count(digest) for digest in digests[:1000]} == {occurrence}
    assert {seen.count(digest) for digest in digests[1000:]} == {1}
    assert {seen.count(digest) for digest in digests[:1000]} == {4}
