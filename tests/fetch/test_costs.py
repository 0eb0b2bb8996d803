"""What an answer says that it has cost."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.costs import LARGEST_BODY, told_cost
from fetcher.model import Request, Response

NOWHERE = SimpleNamespace(cost_header=None, cost_path=None)
IN_HEADER = SimpleNamespace(cost_header="X-Cost", cost_path=None)
IN_BODY = SimpleNamespace(cost_header=None, cost_path="usage.total")


def answer(header: str | None = None, body: bytes = b"") -> Response:
    """With that header, or that body."""
    return Response(200, (("x-cost", header),) if header is not None else (), body, 0.0)


@pytest.mark.parametrize(
    ("settings", "response", "cost"),
    [
        (NOWHERE, answer("3", b'{"usage":{"total":7}}'), None),
        (IN_HEADER, answer(" 12 "), 12),
        (IN_HEADER, answer("0"), 0),
        (IN_HEADER, answer("1.5"), None),
        (IN_HEADER, answer("-1"), None),
        (IN_HEADER, answer("9" * 30), None),
        (IN_HEADER, answer(None), None),
        (IN_BODY, answer(body=b'{"usage":{"total":7}}'), 7),
        (IN_BODY, answer(body=b'{"usage":{"total":true}}'), None),
        (IN_BODY, answer(body=b'{"usage":{"total":-7}}'), None),
        (IN_BODY, answer(body=b'{"usage":{"total":"7"}}'), None),
        (IN_BODY, answer(body=b"<html>"), None),
        (IN_BODY, answer(body=b'{"usage":{"total":7}}'.ljust(LARGEST_BODY + 1)), None),
    ],
)
def test_a_cost_is_a_whole_number_where_the_job_looks(settings, response, cost):
    """Anything else is none, and the job's own number stays."""
    assert told_cost(response, settings) == cost


@given(st.text(), st.binary())
def test_no_answer_is_too_odd(header, body):
    """It is read or it is not; it never raises."""
    assert told_cost(answer(header, body), IN_HEADER) in {None, *range(10)} or header.strip().isdigit()
    told_cost(answer(body=body), IN_BODY)


async def test_a_request_counts_for_what_its_answer_says(client_of, speaking):
    """One that was thought to cost 1 and has cost 4 leaves room for two of six."""

    async def answer(number, head, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Cost: 4\r\nContent-Length: 2\r\n\r\n{}")

    limits = {"rate": "6/1000 s", "cost_header": "X-Cost"}
    async with speaking(answer) as (url, _), client_of(url, limits=limits) as (client, _):
        await client.fetch(Request("GET", url + "/1"))
        pace = client._keys.all[0].realm.pace
        assert pace.ready_at(2) < time.monotonic()
        assert pace.ready_at(3) > time.monotonic() + 900
