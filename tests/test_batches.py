"""Answers to a batch find their rows."""

import asyncio
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.batches import Batches, parts_of
from fetcher.compose.request import compose_batch
from fetcher.errors import GaveUp, Parked, Quarantined, Stopped
from fetcher.fetch.expectations import Meaning
from fetcher.fetch.sources import Fetched, Source
from fetcher.job.batch import Batch
from fetcher.job.sections import Fetch
from fetcher.model import Response, Row

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


class Answering:
    """A client that answers a batch by `answer`, and keeps nothing; `asked` are the requests."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    async def kept(self, request, source, since):
        return None

    async def keep(self, request, response, row_key=""):
        pass

    async def ask(self, request, intend=None, *, is_again=False):
        self.asked.append(request)
        if intend:
            await intend()
        return self.answer(request)


def batches_of(answer, **section):
    section = {"base_url": "https://a.example", "url": "/", "method": "POST", "json": ["{ip}"], **section}
    fetch = Fetch.model_validate({"batch": {"size": 3, "each": ["ip"]}, **section})
    assert fetch.batch
    client: Any = Answering(answer)
    return Batches(fetch, fetch.batch, client), client


async def asked_of(batches, *ips, intend=None):
    """What becomes of each row: its answer's body, or its error."""
    told = (batches.fetch(row, Source.KEPT_FIRST, intend, 0.0) for row in [Row(str(ip), {"ip": ip}) for ip in ips])
    found = await asyncio.gather(*told, return_exceptions=True)
    return [one.response.body if isinstance(one, Fetched) else type(one) for one in found]


def echoed(request):
    return Fetched(Response(200, (), request.body, 0.0), 1)


async def test_a_row_that_has_no_place_in_a_batch_is_asked_alone_and_holds_up_nobody():
    """A null cannot be joined with others, and by itself it can be sent."""
    batches, _ = batches_of(echoed, json={"ids": "{ip}"}, batch={"size": 3, "each": ["ip"], "answers": "[ids]"})
    async with asyncio.timeout(10):
        found = await asked_of(batches, "1", None)
    assert found == [b'"1"', b"null"]


@pytest.mark.parametrize("error", [GaveUp("down"), Parked("later", 1.0), Stopped("quota")])
async def test_a_failure_of_a_batch_is_told_to_each_of_its_rows(error):
    """Whoever waits hears of it, those who share a question too."""

    def fail(_):
        raise error

    batches, _ = batches_of(fail)
    async with asyncio.timeout(10):
        assert await asked_of(batches, "1", "2", "2") == [type(error)] * 3


async def test_an_error_that_nobody_knows_ends_all_who_wait():
    """A mistake of ours must not leave carriers waiting for ever."""

    def fail(_):
        raise ZeroDivisionError

    batches, _ = batches_of(fail)
    async with asyncio.timeout(10):
        found = await asked_of(batches, "1", "2", "3")
    assert sorted(found, key=str) == [ZeroDivisionError, Parked, Parked]


@pytest.mark.parametrize("status", [204, 404])
async def test_an_answer_that_says_nothing_says_it_of_every_row(status):
    """A 204, or what a rule takes for empty."""

    def nothing(_):
        return Fetched(Response(status, (), b"", 0.0), 1, Meaning.EMPTY if status == 404 else Meaning.RECORDS)

    batches, client = batches_of(nothing, expect=[{"status": [404], "action": "empty"}])
    assert await asked_of(batches, "1", "2") == [b"", b""]
    assert len(client.asked) == 1


async def test_a_part_that_a_rule_asks_for_again_is_left_to_the_next_run():
    """It is no answer, and the row is not settled."""
    batches, _ = batches_of(echoed, expect=[{"body": "@ == '2'", "action": "retry"}])
    assert await asked_of(batches, "1", "2") == [b'"1"', GaveUp]


async def test_dates_of_a_batch_keep_their_format():
    """They are filled row by row, then joined."""
    section = {"method": "GET", "json": None, "query": {"d": "{ip:%d.%m.}"}}
    batches, client = batches_of(lambda _: Fetched(Response(200, (), b"[1,2]", 0.0), 1), **section)
    assert await asked_of(batches, date(2024, 1, 31), date(2024, 2, 1)) == [b"1", b"2"]
    assert [request.url for request in client.asked] == ["https://a.example/?d=31.01.%2C01.02."]


async def test_rows_that_differ_in_another_slot_go_into_another_request():
    """A column that no slot asks for parts nobody."""
    batches, client = batches_of(echoed, url="/{lang}")
    rows = [Row(str(n), {"ip": str(n), "lang": "en" if n < 2 else "de", "other": n}) for n in range(4)]
    await asyncio.gather(*(batches.fetch(row, Source.KEPT_FIRST, None, 0.0) for row in rows))
    assert sorted((request.url[-2:], request.body) for request in client.asked) == [
        ("de", b'["2","3"]'),
        ("en", b'["0","1"]'),
    ]


async def test_all_that_share_a_question_are_on_record_before_it_leaves():
    """And nobody before that: a run that ends while a batch is gathered has sent nothing."""
    noted = []

    async def intend():
        noted.append(len(client.asked))

    batches, client = batches_of(echoed)
    await asked_of(batches, "1", "1", "2", intend=intend)
    assert noted == [1, 1, 1]


async def test_a_batch_that_counts_for_more_than_a_rate_allows_is_halved():
    """It would wait for ever; a row that does so by itself says so."""
    limits = {"cost": "{cost}", "rate": "10/min"}
    batch = {"size": 3, "each": ["ip"], "counts_rows": True}
    batches, client = batches_of(echoed, limits=limits, batch=batch)
    told = [Row(str(cost), {"ip": str(cost), "cost": cost}) for cost in (4, 3, 6, 11)]
    asking = (batches.fetch(row, Source.KEPT_FIRST, None, 0.0) for row in told)
    *found, refused = await asyncio.gather(*asking, return_exceptions=True)
    assert [request.cost for request in client.asked] == [4, 3 + 6]
    assert all(isinstance(one, Fetched) for one in found)
    assert str(refused) == "its cost '{cost}' would be '11': expected a whole number from 1 to 10"


@pytest.mark.parametrize("others", [(["x"], ["y"]), ({"x": 1}, {"x": 2}), (1, True), (1, 1.0), ("1", 1)])
async def test_whatever_a_slot_holds_rows_share_a_request_only_where_it_is_the_same(others):
    """Lists and objects too; and what Python takes for equal is written in different ways."""
    batches, client = batches_of(echoed, json={"ids": ["{ip}"], "other": "{other}"}, batch={"size": 2, "each": ["ip"]})
    told = [Row(f"{n}{other}", {"ip": f"{n}", "other": other}) for n in range(2) for other in others]
    await asyncio.gather(*(batches.fetch(row, Source.KEPT_FIRST, None, 0.0) for row in told), return_exceptions=True)
    assert sorted(json.dumps(json.loads(request.body)["other"]) for request in client.asked) == sorted(
        map(json.dumps, others)
    )
