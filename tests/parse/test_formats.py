"""What a body says, by its format; and what is not what it should be."""

import base64
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.records import Parsing, parse
from tests.parse.shaping import as_json, parsed, records

JSON = 'records = "[]"'
LINES = 'format = "ndjson"'
EXACT = 'records = "[]"\ntypes.b = "decimal"'
keys = st.text(max_size=3)
objects = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("section", "body", "reason"),
    [
        (JSON, b'{"a":1}}{', r"the answer is not JSON: .*\(byte 8\)"),
        (JSON, b'[{"a":1},', "the answer is not JSON: Input data was truncated"),
        (JSON, b"", "the answer is not JSON: Input data was truncated"),
        (LINES, b'{"a":1}\n{"a":2}\n{"a":', "line 3 is not JSON: Input data was truncated"),
        (LINES, b'{"a":1}\n\n}{\n{"a":2}', r"line 3 is not JSON: .*\(byte 0\)"),
        (LINES, b'{"a":1}\n5\n', "record 2 is an int, expected a dict"),
    ],
)
def test_c01_what_is_broken_is_told_with_its_place(section, body, reason):
    """A torn last line too; what came before it is no answer."""
    with pytest.raises(Quarantined, match=f"^{reason}"):
        records(section, body)


@given(st.lists(st.dictionaries(keys, objects), max_size=5), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_json_lines_are_records_in_their_order(lines, line_end):
    """Empty lines are none; the last needs no end."""
    assert records(LINES, line_end.join(map(json.dumps, lines))) == lines


@pytest.mark.parametrize(
    "section", [JSON, LINES, 'records = "[]"\ntypes.a = "decimal"', 'records = "@"\nfields.a = "a"']
)
def test_c02_depth_costs_its_own_row(section):
    """A hundred thousand levels, opened and closed, opened alone, and in objects."""
    for body in (b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000):
        with pytest.raises(Quarantined):
            records(section, body)


@pytest.mark.parametrize(
    "number", [b"7" * 5000, b"-" + b"7" * 5000, b"1e999", b"NaN", b"Infinity", b"-Infinity", b"1E400"]
)
@pytest.mark.parametrize(
    "section", [JSON, LINES, 'records = "[]"\ntypes.b = "decimal"', 'records = "[]"\ntypes.a = "float"']
)
def test_c03_c04_numbers_that_cannot_be_held_cost_their_row(section, number):
    """Five thousand digits, NaN, infinities, and what is beyond every float: never null, never another number."""
    body = b'{"a":' + number + b"}" if section == LINES else b'[{"a":' + number + b"}]"
    with pytest.raises(Quarantined):
        records(section, body)


def test_c03_four_thousand_digits_are_kept():
    """As many as Python writes."""
    digits = "7" * 4000
    assert parsed(JSON, f'[{{"a":{digits}}}]').lines.decode() == f'{{"a":{digits}}}\n'


@pytest.mark.parametrize(
    ("section", "body", "reason"),
    [
        (JSON, '[{"a":1,"a":2}]', "the answer has an object with the key 'a' twice"),
        (JSON, '[{"a" : 1, "b":{"c":1,"d":{}, "c":1}}]', "the answer has an object with the key 'c' twice"),
        (JSON, '[{"a":"\\u003a","a":2}]', "the answer has an object with the key 'a' twice"),
        (JSON, '[{"a":1,"\\u0061":2}]', "the answer has an object with the key 'a' twice"),
        (JSON, '{"x":0,"x":[{"a":1}]}', "the answer has an object with the key 'x' twice"),
        (LINES, '{"a":1}\n{"a":1,"a":2}\n', "line 2 has an object with the key 'a' twice"),
        ('records = "[]"\ntypes.a = "decimal"', '[{"a":1,"a":2}]', "the answer has an object with the key 'a' twice"),
    ],
)
def test_c05_a_key_that_is_there_twice_is_an_error(section, body, reason):
    """Wherever it is: which of the two counts, nobody knows."""
    with pytest.raises(Quarantined, match=f"^{reason}"):
        records(section, body)


@given(objects, st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (" , ", " : "), (",", ":\n")]), st.booleans())
def test_c05_no_other_answer_is_taken_for_one(answer, indent, separators, ascii_only):
    """However it is spaced and escaped, and whatever its texts look like."""
    body = json.dumps({"found": answer, '":': '":"'}, indent=indent, separators=separators, ensure_ascii=ascii_only)
    assert records('records = "@"', body) == [json.loads(body)]


@pytest.mark.parametrize("section", [JSON, 'records = "[]"\nfields.n = "n"', LINES])
def test_c09_a_long_answer_takes_memory_by_its_size(section):
    """Twenty thousand records: a few times what they are, no copy for each step."""
    one = b'{"n":1,"text":"' + b"x" * 40 + b'"}'
    body = b"\n".join([one] * 20_000) if section == LINES else b"[" + b",".join([one] * 20_000) + b"]"
    tracemalloc.start()
    assert parsed(section, body).records == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(body)


def test_c15_none_and_many_records_of_one_answer():
    """Nothing is a row without records; records by the ten thousand are all there, or none."""
    assert parsed(JSON, "[]").records == parsed(JSON, "null").records == 0
    assert parsed('records = "@"\ncolumns = true', {"a": list(range(50_000))}).records == 50_000
    with pytest.raises(Quarantined, match=r"^record 50000\.a is 'x'"):
        parsed('records = "@"\ncolumns = true\ntypes.a = "int"', {"a": [*range(49_999), "x"]})


@pytest.mark.parametrize(
    ("section", "body", "content_type", "reason"),
    [
        (JSON, "\ufeff<?xml version='1.0'?><data/>", "text/xml;charset=utf-8", "expected JSON, got text/xml; "),
        (JSON, "<html>Log in</html>", "text/html", "expected JSON, got text/html; "),
        (JSON, "Resource not found.", "text/plain", "expected JSON, got text/plain; "),
        (JSON, "oops", "application/json", "the answer is not JSON: "),
        (JSON, "oops", "application/geo+json", "the answer is not JSON: "),
        ('format = "csv"', "<html>Log in</html>", "text/html; charset=utf-8", "expected CSV, got text/html$"),
        ('format = "csv"', '{"error":1}', "application/problem+json", r"expected CSV, got application/problem\+json$"),
        ('format = "text"', "<a/>", "application/xml", "expected text, got application/xml$"),
        ('format = "xml"\nrecords = "@"', "<html><br/></html>", "text/html", "expected XML, got text/html$"),
        ('format = "xml"\nrecords = "@"', '{"a":1}', "application/json", "expected XML, got application/json$"),
        (LINES, "<html>", "text/html", "expected JSON lines, got text/html$"),
    ],
)
def test_h18_an_answer_of_another_kind_is_told_by_its_name(section, body, content_type, reason):
    """A login page, another API's error: nothing of it becomes a record."""
    with pytest.raises(Quarantined, match=f"^{reason}"):
        records(section, body, content_type=content_type)


@pytest.mark.parametrize(
    ("section", "body", "content_type"),
    [
        (JSON, '[{"a":"1"}]', "text/html"),
        (JSON, '[{"a":"1"}]', "text/plain"),
        ('format = "csv"', "a\n1\n", "text/html"),
        ('format = "csv"', "a\n1\n", "application/json"),
        (LINES, '{"a":"1"}', "application/json"),
        ('format = "xml"\nrecords = "r"', "<r><a>1</a></r>", "text/html"),
    ],
)
def test_h18_a_wrong_label_on_a_right_answer_does_no_harm(section, body, content_type):
    """Servers mislabel: what can be read as what the job says is read."""
    assert records(section, body, content_type=content_type) == [{"a": "1"}]


def test_text_is_one_record_or_one_for_each_match():
    """A group that is not there is null; a pattern that matches nothing finds no records."""
    assert records('format = "text"', "a\nb\n") == [{"text": "a\nb\n"}]
    section = "format = 'text'\npattern = '^(?P<a>[0-9]+)(?P<b>x)?$'"
    assert records(section, "1\n2x\nno\n") == [{"a": "1", "b": None}, {"a": "2", "b": "x"}]
    assert records(section, "no") == []


@given(st.binary())
def test_bytes_are_kept_in_base64(body):
    """Whatever they are, and whatever their label says."""
    section = 'format = "bytes"\nfields = { day = "{day}", image = "bytes" }'
    (found,) = records(section, body, {"day": "Monday"}, "text/html; charset=utf-8")
    assert base64.b64decode(found.pop("image")) == body
    assert found == {"day": "Monday"}


def test_what_an_answer_says_of_its_pages_is_found_wherever_it_is():
    """What is read as JSON would be can be looked into for a cursor."""
    from fetcher.parse.pages import PagePaths

    for parsing, body in (
        (Parsing(records="items", pages=PagePaths(next="next")), as_json({"items": [{}], "next": "n"})),
        (Parsing(records="[]", pages=PagePaths(next="[0].next")), as_json([{"next": "n"}])),
    ):
        facts = parse(parsing, body, {}).facts
        assert facts
        assert (facts.next, facts.records) == ("n", 1)
