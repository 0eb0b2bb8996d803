"""What values become."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parse.conversions import CONVERSIONS, converter
from fetcher.parse.exact import Exact

DAY = "2024-05-01"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("int", "24", 24),
        ("int", " -7 ", -7),
        ("int", "24.0", 24),
        ("int", 24.0, 24),
        ("int", Exact("1e30"), 10**30),
        ("int", "9" * 40, int("9" * 40)),
        ("int", Exact("12345678901234567890.0"), 12345678901234567890),
        ("int", Exact("24.0"), 24),
        ("float", "1.5e3", 1500.0),
        ("float", ".5", 0.5),
        ("float", 3, 3.0),
        ("float", 2**53 + 1, 2**53 + 1),
        ("bool", "Yes", True),
        ("bool", 0, False),
        ("bool", False, False),
        ("text", 1.5, "1.5"),
        ("text", Exact("1.10"), "1.10"),
        ("text", True, "true"),
        ("date", "2024-05-01T23:00:00+08:00", DAY),
        ("date", "20240501", DAY),
        ("date %d.%m.%Y", "01.05.2024", DAY),
        ("date %Y%m%d", 20240501, DAY),
        ("time", "2024-05-01T08:00:00+08:00", f"{DAY}T00:00:00Z"),
        ("time", DAY, f"{DAY}T00:00:00Z"),
        ("time", "2024-05-01T00:00:00.5", f"{DAY}T00:00:00.500Z"),
        ("time %Y%m%d%H%M", "202405011230", f"{DAY}T12:30:00Z"),
        ("epoch_s", 1714521600, f"{DAY}T00:00:00Z"),
        ("epoch_s", "1714521600", f"{DAY}T00:00:00Z"),
        ("epoch_s", 1714521600.25, f"{DAY}T00:00:00.250Z"),
        ("epoch_ms", 1714521600000, f"{DAY}T00:00:00.000Z"),
        ("epoch_ms", -1, "1969-12-31T23:59:59.999Z"),
        ("to_epoch_s", f"{DAY}T00:00:00Z", 1714521600),
        ("to_epoch_ms", f"{DAY}T00:00:00.250Z", 1714521600250),
        ("to_epoch_s", f"{DAY}T00:00:00.250Z", msgspec.Raw(b"1714521600.25")),
    ],
)
def test_a_value_becomes_what_its_type_says(kind, value, expected):
    """The table of docs/answers.md."""
    found = converter(kind)(value)
    assert found == expected
    assert type(found) is type(expected)


MISFITS: dict[str, list[object]] = {
    "int": ["24.5", 24.5, "1,000", "0x10", "abc", True, 2.0**60, [1], "٣"],
    "float": ["nan", "NaN", "inf", "1e999", "1_0", "1,5", True, {}, float("inf")],
    "decimal": ["nan", "1e999", "--1", False],
    "bool": ["maybe", 2, 1.0, []],
    "date": ["01.05.2024", 5, "2024-13-01"],
    "epoch_s": [10**18, "soon", True],
    "time %Y": ["May"],
    "time": ["0001-01-01T00:00+08:00", "9999-12-31T23:00-08:00", "24:00"],
    "text": [{"a": 1}],
    "to_epoch_s": [5],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in MISFITS.items() for value in values])
def test_what_does_not_fit_is_refused_and_never_guessed(kind, value):
    """NaN and numbers beyond every float among it: JSON cannot hold them."""
    with pytest.raises(ValueError, match="expected"):
        converter(kind)(value)


@given(st.integers())
def test_whole_numbers_are_exact(number):
    """As numbers, as text, and as text with a point."""
    assert [CONVERSIONS["int"](value) for value in (number, str(number), f"{number}.0")] == [number] * 3


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_decimals_keep_every_digit(number):
    """Written down just as they were, from text and from a number of JSON."""
    written = CONVERSIONS["decimal"](str(number))
    assert isinstance(written, msgspec.Raw)
    assert Decimal(bytes(written).decode()).as_tuple() == number.as_tuple()
    assert msgspec.json.encode([written]) == b"[" + bytes(written) + b"]"


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_times_go_to_the_epoch_and_back(moment):
    """To the millisecond, in either direction."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    text = CONVERSIONS["epoch_ms"](CONVERSIONS["to_epoch_ms"](moment.isoformat()))
    assert isinstance(text, str)
    assert datetime.fromisoformat(text) == moment
    assert len(text) == len("2024-05-01T00:00:00.000Z")
