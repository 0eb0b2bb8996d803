"""Answers to a batch find their rows."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.batches import parts_of
from fetcher.compose.request import compose_batch
from fetcher.errors import Quarantined
from fetcher.job.batch import Batch
from fetcher.job.sections import Fetch
from fetcher.model import Row

BY_ORDER = Batch(size=100, each=("ip",))
BY_KEY = Batch.model_validate({"size": 100, "each": ["ip"], "match": {"answer": "query", "row": "{ip}"}})


def rows(*ips):
    return [Row(ip, {"ip": ip, "lang": "en"}) for ip in ips]


def asked(*ips, batch=BY_ORDER, **section):
    section = {"base_url": "https://a.example", "url": "/", "method": "POST", **section}
    return compose_batch(Fetch.model_validate({**section, "batch": batch}), rows(*ips))


@given(st.lists(st.from_regex(r"[0-9]{1,3}", fullmatch=True), min_size=1, max_size=20, unique=True), st.randoms())
def test_answers_find_their_rows_by_key_in_any_order(ips, chance):
    """Unordered answers, and answers that nobody asked for."""
    answers = [{"query": ip, "value": int(ip)} for ip in [*ips, "nobody's"] if ip.isdigit()] + [{"query": "x"}]
    chance.shuffle(answers)
    parts = parts_of(BY_KEY, json.dumps(answers).encode(), rows(*ips))
    assert [json.loads(part or b"{}").get("query") for part in parts] == ips


def test_a_row_that_nothing_matches_has_no_answer():
    """It is told of, and the others are not moved into its place."""
    parts = parts_of(BY_KEY, b'[{"query": "2"}]', rows("1", "2"))
    assert parts == [None, b'{"query": "2"}']


@pytest.mark.parametrize("count", [0, 1, 3])
def test_by_order_as_many_answers_as_rows_must_come(count):
    """One too few, and nobody knows whose is missing: rows would be shifted."""
    with pytest.raises(Quarantined, match="asked about 2 rows, and the answer has"):
        parts_of(BY_ORDER, json.dumps([{}] * count).encode() if count != 1 else b"[1]", rows("1", "2"))


def test_a_part_is_what_the_server_wrote():
    """Numbers that no float holds stay as they are."""
    body = b'[{"a": 12345678901234567890.123}, {"a":1.10}]'
    parts = parts_of(BY_ORDER, body, rows("1", "2"))
    assert parts == [b'{"a": 12345678901234567890.123}', b'{"a":1.10}']
    assert json.loads(parts[0] or b"", parse_float=Decimal)["a"] == Decimal("12345678901234567890.123")


def test_an_answer_that_stands_alone_is_a_batch_of_one():
    """Some APIs answer one place with an object and two with a list."""
    assert parts_of(BY_ORDER, b' {"a": 1}', rows("1")) == [b' {"a": 1}']


def test_answers_may_be_lines_in_any_order():
    """One JSON a line, as batch files have it."""
    body = b'{"query": "2"}\n{"query": "1"}\n'
    assert parts_of(BY_KEY, body, rows("1", "2"), is_lines=True) == [b'{"query": "1"}', b'{"query": "2"}']
    with pytest.raises(Quarantined):
        parts_of(BY_KEY, body + b"half", rows("1", "2"), is_lines=True)


def test_answers_may_lie_deeper():
    """`answers` is the path to their list."""
    batch = Batch(size=2, each=("ip",), answers="result.matches")
    assert parts_of(batch, b'{"result": {"matches": [1, 2]}}', rows("1", "2")) == [b"1", b"2"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"3", b'"text"', b"[1,", b"\xff"])
@pytest.mark.parametrize("batch", [BY_ORDER, BY_KEY])
def test_an_answer_that_is_no_list_is_nobodys(batch, body):
    """Every row of the batch is set aside with the reason."""
    with pytest.raises(Quarantined):
        parts_of(batch, body, rows("1", "2"))


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"json": ["{ip}"]}, ["1", "2"]),
        ({"json": [{"query": "{ip}", "lang": "{lang}"}]}, [{"query": "1", "lang": "en"}, {"query": "2", "lang": "en"}]),
        ({"json": {"places": [["{ip}"]], "lang": ["{lang}"]}}, {"places": [["1"], ["2"]], "lang": ["en"]}),
        ({"json": {"ids": "{ip}"}}, {"ids": "1,2"}),
        ({"json": ["{ip}", "end"]}, ["1,2", "end"]),
    ],
)
def test_a_list_with_one_item_that_differs_has_it_for_each_row(body, sent):
    """Everywhere else what differs is joined."""
    assert json.loads(asked("1", "2", **body).body) == sent


def test_in_a_query_and_a_form_what_differs_is_joined():
    """Also where two rows have the same value: the lists of several parameters stay of one length."""
    assert asked("1", "1", query={"ip": "{ip}", "lang": "{lang}"}).url == "https://a.example/?ip=1%2C1&lang=en"
    batch = BY_ORDER.model_copy(update={"separator": "|"})
    assert asked("1", "2", form={"ip": "{ip}", "lang": "{lang}"}, batch=batch).body == b"ip=1%7C2&lang=en"


def test_a_file_of_a_batch_has_a_line_for_each_row():
    """As geocoders want it."""
    part = {"content": "{ip},{lang}", "filename": "rows.csv", "content_type": "text/csv"}
    request = asked("1", "2", multipart={"file": part, "benchmark": 4})
    assert b'name="file"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n1,en\n2,en\r\n--' in request.body
    assert asked("1", "2", text="{ip}").body == b"1\n2"


@pytest.mark.parametrize(("counts_rows", "cost"), [(False, 3), (True, 6)])
def test_a_batch_counts_once_or_once_for_each_row(counts_rows, cost):
    """APIs differ; the job says which."""
    batch = BY_ORDER.model_copy(update={"counts_rows": counts_rows})
    assert asked("1", "2", json=["{ip}"], batch=batch, limits={"cost": 3}).cost == cost
