"""From a body to JSONL: what is written down exactly, and what is refused by name."""

import json
import math
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import JobError, Quarantined
from fetcher.parse.records import Parsed, Parsing, load, parse

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
records = st.dictionaries(st.text(), values)


@pytest.fixture
def function(tmp_path):
    """A parse function of the given source, `parse(body, row)`."""

    def written(source: str, name: str = "parse.py") -> Parsing:
        (tmp_path / name).write_text(source)
        return Parsing(file=str(tmp_path / name), function="parse")

    return written


def giving(function, expression: str) -> Parsing:
    """A parser that returns what the expression says."""
    return function(f"import math\ndef parse(body, row):\n    return {expression}\n")


def rows_of(parsed: Parsed) -> list[Any]:
    """The lines as Python's own JSON reads them."""
    return [json.loads(line) for line in parsed.lines.splitlines()]


@settings(max_examples=50)
@given(st.lists(records, max_size=8))
def test_lines_read_back_as_the_records(given_records):
    """One line a record, in order, nothing lost or changed: another library's reader gets them back."""
    parsed = parse(Parsing(records="[]"), json.dumps(given_records).encode(), {})
    assert rows_of(parsed) == given_records
    assert parsed.records == len(given_records) == parsed.lines.count(b"\n")
    assert parsed.lines == b"" or parsed.lines.endswith(b"\n")


@settings(max_examples=50)
@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_nan_is_refused_wherever_it_is(given_records, data):
    """JSON holds no NaN and no infinity: never written as null, however many records come before."""
    bad = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    wrapped = data.draw(st.sampled_from([bad, [bad], {"x": [None, bad]}, {bad}, (bad,)]))
    given_records[data.draw(st.integers(0, len(given_records) - 1))]["bad"] = wrapped
    with pytest.raises(Quarantined, match=r"bad.* is (nan|-?inf), which JSON cannot hold; give None"):
        parse_through(given_records)


def parse_through(found: object) -> Parsed:
    """What a parse function's result becomes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.py"
        file.write_text("def parse(body, row):\n    return row['found']\n")
        row: dict[str, Any] = {"found": found}  # a row of the job holds no such value; a function does not mind
        return parse(Parsing(file=str(file), function="parse"), b"", row)


@dataclass
class Reading:
    """A value inside a record."""

    value: float


def test_the_place_of_a_nan_is_told():
    """Record, key and index, so that a parser of a thousand lines is mended in one."""
    found = [{"a": 1}] * 1500 + [{"station": "null", "readings": [{"value": 1.0}, {"value": math.nan}]}]
    with pytest.raises(Quarantined) as caught:
        parse_through(found)
    assert str(caught.value) == (
        "record 1501.readings[1].value is nan, which JSON cannot hold; give None where there is no value"
    )


def test_a_nan_inside_a_dataclass_is_refused():
    """Whatever can be written is looked into."""
    with pytest.raises(Quarantined, match=r"record 1\.reading\.value is nan"):
        parse_through([{"reading": Reading(math.nan)}])


def test_none_is_a_value():
    """null is what a parser says where there is nothing."""
    assert parse_through([{"a": None}, {"a": [None, 1.5], "b": Reading(2.0)}]).lines == (
        b'{"a":null}\n{"a":[null,1.5],"b":{"value":2.0}}\n'
    )


@given(st.integers(min_value=-(10**4000), max_value=10**4000))
def test_integers_are_exact(number):
    """A number's digits survive, however many there are."""
    assert parse_through([{"n": number}]).lines == f'{{"n":{number}}}\n'.encode()


def test_any_mapping_is_a_record():
    """A parser may hand out read-only views."""
    assert parse_through(iter([MappingProxyType({"a": 1})])).lines == b'{"a":1}\n'


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("None", "the parser gave None, expected an iterable of records (dicts)"),
        ("{'a': 1}", "the parser gave a dict, expected an iterable of records (dicts)"),
        ("'text'", "the parser gave a str, expected an iterable of records (dicts)"),
        ("3", "the parser gave an int, expected an iterable of records (dicts)"),
        ("[{}, None]", "record 2 is None, expected a dict"),
        ("[[1, 2]]", "record 1 is a list, expected a dict"),
        ("[{'a': object()}]", "record 1 cannot be written as JSON: Encoding objects of type object is unsupported"),
        ("[{'a': float('inf')}]", "record 1.a is inf, which JSON cannot hold; give None where there is no value"),
    ],
)
def test_what_is_no_record_is_refused_by_number(function, expression, reason):
    """The reason says which record, what was expected and what came."""
    with pytest.raises(Quarantined) as caught:
        parse(giving(function, expression), b"", {})
    assert str(caught.value) == reason


@pytest.mark.parametrize("expression", ["[{'a': 10**5000}]", "[{'a': '\\ud800'}]", "[{(1, 2): 3}]"])
def test_what_json_cannot_hold_is_refused(function, expression):
    """Numbers beyond what Python prints, half characters, keys that are no text."""
    with pytest.raises(Quarantined, match=r"^record 1 cannot be written as JSON: "):
        parse(giving(function, expression), b"", {})


@pytest.mark.parametrize("depth", [300, 2_000, 100_000])
@pytest.mark.parametrize("leaf", ["1", "None"])
def test_a_record_of_any_depth_is_written_or_refused(function, depth, leaf):
    """Never a crash, and never half a line."""
    source = f"""
        def parse(body, row):
            value = {leaf}
            for _ in range({depth}):
                value = [value]
            return [{{"a": value}}]
    """
    parsing = function("\n".join(line[8:] for line in source.splitlines()))
    try:
        lines = parse(parsing, b"", {}).lines
    except Quarantined as error:
        assert str(error).startswith("record 1 ")
    else:
        assert lines.count(b"[") == lines.count(b"]") == depth


HOSTILE = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep and open": b'{"a":' * 100_000,
    "many digits": b'[{"n":' + b"7" * 5000 + b"}]",
    "out of range": b'[{"n":1e999}]',
    "NaN": b'[{"n":NaN}]',
    "not UTF-8": b'[{"n":"\xff"}]',
    "half a character": b'[{"n":"\\ud800"}]',
    "empty": b"",
    "HTML": b"<html>",
    "two documents": b"[] []",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_costs_itself_only(body):
    """Whatever a server sends is that row's failure, with a reason, never the run's."""
    with pytest.raises(Quarantined, match=r"^the answer is not JSON: ."):
        parse(Parsing(records="[]"), body, {})


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(body):
    """No body brings down a run."""
    try:
        parse(Parsing(records="items[]"), body, {})
    except Quarantined as error:
        assert str(error)


def test_a_byte_order_mark_is_passed_over():
    """RFC 8259, section 8.1, lets a parser ignore it, and servers on Windows send it."""
    assert parse(Parsing(records="a"), b'\xef\xbb\xbf{"a":[{"b":1}]}', {}) == Parsed(b'{"b":1}\n', 1)


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("items[].readings[]", b'{"v":1}\n{"v":2}\n{"v":3}\n'),
        ("items[0].readings[0]", b'{"v":1}\n'),
        ("nothing.here", b""),
        ("items[?no == `1`]", b""),
        ("@", None),
        ("items[].day", None),
        ("items[0].day", None),
        ("length(nothing)", None),
        ("length(items)", None),
    ],
)
def test_the_path_finds_the_records(path, lines):
    """A list of objects, one object, or nothing; whatever else it finds, or fails at, is that answer's failure."""
    body = b'{"items":[{"day":"Mo","readings":[{"v":1},{"v":2}]},{"day":"Tu","readings":[{"v":3}]}]}'
    if path == "@":
        assert parse(Parsing(records=path), body, {}).lines == body + b"\n"
    elif lines is None:
        with pytest.raises(Quarantined):
            parse(Parsing(records=path), body, {})
    else:
        assert parse(Parsing(records=path), body, {}).lines == lines


def test_a_path_that_does_not_fit_says_so():
    """The key of the job file is named."""
    with pytest.raises(Quarantined, match=r"^parse\.records cannot be applied to this answer: .*length"):
        parse(Parsing(records="length(a)"), b'{"a":1}', {})


def test_the_function_gets_the_body_and_the_row(function):
    """The body as it came, the row's values with their types."""
    parsing = giving(function, "[{'body': body.decode(), 'day': row['date'], 'is_date': row['date'].year == 2024}]")
    assert parse(parsing, b"\xef\xbb\xbfhi", {"date": date(2024, 5, 1)}).lines == (
        b'{"body":"\xef\xbb\xbfhi","day":"2024-05-01","is_date":true}\n'
    )


def test_a_function_that_changes_its_row_changes_no_other(function):
    """Every call has a row of its own."""
    row = MappingProxyType({"a": 1})
    for _ in range(2):
        assert parse(giving(function, "[{'a': row.pop('a')}]"), b"", row).lines == b'{"a":1}\n'


def test_a_generator_that_raises_midway_gives_nothing(function):
    """Its exception passes; the records before it are not an answer."""
    parsing = function("def parse(body, row):\n    yield {'a': 1}\n    raise KeyError('items')\n")
    with pytest.raises(KeyError, match="items"):
        parse(parsing, b"", {})


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (
            "import no_such_library\n",
            "cannot be loaded: ModuleNotFoundError: No module named 'no_such_library' (job.py, ",
        ),
        ("1 / 0\n", "cannot be loaded: ZeroDivisionError: division by zero (job.py, line 1)"),
        ("raise SystemExit(3)\n", "cannot be loaded: SystemExit: 3 (job.py, line 1)"),
        ("other = 1\n", "cannot be loaded: AttributeError: module '_job_job' has no attribute 'parse'"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_the_jobs_fault(function, source, fault):
    """Fix the file and run again: no row is quarantined for it."""
    parsing = function(source, "job.py")
    for attempt in (lambda: load(parsing), lambda: parse(parsing, b"", {})):
        with pytest.raises(JobError) as caught:
            attempt()
        assert fault in str(caught.value)


def test_a_file_may_define_dataclasses(function):
    """They look for their module by name, which therefore has to be there, under a name that is nobody else's."""
    parsing = function(
        "from __future__ import annotations\n"
        "from dataclasses import asdict, dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass\nclass Reading:\n    a: int\n    kind: ClassVar[str] = 'x'\n"
        "def parse(body, row):\n    return [asdict(Reading(1))]\n",
        "json.py",
    )
    assert parse(parsing, b"", {}).lines == b'{"a":1}\n'
    assert sys.modules["json"] is json


def test_loading_a_path_does_nothing():
    """Only a function has a file to load."""
    load(Parsing(file="not-there.py", records="[]"))
    with pytest.raises(JobError):
        load(Parsing(file="not-there.py", function="parse"))


def test_the_chunks_of_a_long_answer_are_one(function):
    """Records are encoded a thousand at a time; nothing shows of it, whatever the number."""
    for number in (0, 1, 999, 1000, 1001, 2500):
        parsed = parse_through({"n": n, "x": None} if n % 7 else {"n": n} for n in range(number))
        assert [row["n"] for row in rows_of(parsed)] == list(range(number))
        assert parsed.records == number


def test_a_parsed_answer_is_a_value():
    """It crosses processes, and equal answers are equal."""
    assert parse(Parsing(records="[]"), b'[{"a":1}]', {}) == parse(Parsing(records="[]"), b' [ {"a" : 1} ] ', {})
    assert msgspec.json.decode(Parsed(b'{"a":1}\n', 1).lines) == {"a": 1}
