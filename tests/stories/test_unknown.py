"""Requests that must not be carried out twice, and whose answer was lost."""

import asyncio
import socket
from collections.abc import Sized
from functools import partial

import pytest

from tests.stories.feeds import (
    days,
    expected,
    in_order,
    kept_answers,
    make_orders_job,
    make_paged_job,
    never,
    next_page,
    paged_items,
    parsing_held,
    pending_signals,
    resetting,
    serving_orders,
    serving_pages,
    sets,
    states,
    until,
)

FIRST, SECOND = days(2)
LOST = "only the server knows whether it was carried out"


@pytest.fixture
def orders():
    with serving_orders() as orders:
        yield orders


@pytest.fixture
def is_content(fetcher):
    """`is_content(job)`: ledger and files agree."""

    def verified(job) -> None:
        ran = fetcher("verify", job)
        assert ran.code == 0, ran.err

    return verified


def kill_before_the_answer(orders, start, job) -> None:
    """The server has carried out the first day's request, and has not answered when the program is killed."""
    orders.fate = never
    process = start("run", job)
    until(lambda: orders.carried_out, process)
    process.kill()
    process.wait()
    orders.fate = lambda day: None
    assert orders.taken() == [FIRST]


def test_what_may_have_been_carried_out_is_listed_and_not_sent_again(
    fetcher, start, output, is_content, tmp_path, orders
):
    """Exit 3, neither `run` nor `run --only failed` sends it; `failures retry` does, and all is there."""
    job = make_orders_job(tmp_path, orders.url)
    kill_before_the_answer(orders, start, job)
    is_content(job)

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert "2 rows = 1 done + 1 unknown" in ran.err
    assert orders.taken() == [SECOND]
    assert states(tmp_path / "out") == {"unknown": 1, "done": 1}
    for arguments in ([], ["--only", "failed"]):
        assert fetcher("run", job, *arguments).code == 3
        assert orders.taken() == []
    (line,) = fetcher("failures", "list", job).out.splitlines()
    assert line.split("\t")[:2] == [FIRST, "unknown"]
    assert LOST in line
    is_content(job)

    assert fetcher("failures", "retry", job).code == 0
    assert fetcher("run", job).code == 0
    assert orders.taken() == [FIRST]
    assert orders.carried_out == [FIRST, SECOND, FIRST]
    assert in_order(output(tmp_path / "out").records()) == expected(2)
    assert fetcher("failures", "list", job).out == ""
    is_content(job)


@pytest.mark.parametrize(
    ("choice", "code", "sent", "found"),
    [
        ("skip", 0, [SECOND], {"discarded": 1, "done": 1}),
        ("retry", 0, [FIRST, SECOND], {"done": 2}),
    ],
)
def test_the_job_may_say_what_becomes_of_it(fetcher, start, is_content, tmp_path, orders, choice, code, sent, found):
    """Given up, or sent a second time: also where the job says so only afterwards. Nothing is left for later runs."""
    job = make_orders_job(tmp_path, orders.url)
    kill_before_the_answer(orders, start, job)
    chosen = sets(f'fetch.on_unknown="{choice}"')

    ran = fetcher("run", job, *chosen)

    assert ran.code == code, ran.err
    assert orders.taken() == sent
    assert states(tmp_path / "out") == found
    is_content(job)
    assert fetcher("run", job, *chosen).code == code
    assert orders.taken() == []


@pytest.mark.parametrize(
    ("choice", "code", "sent", "found"),
    [
        ("stop", 3, [FIRST, SECOND], {"unknown": 2}),
        ("skip", 0, [FIRST, SECOND], {"discarded": 2}),
        ("retry", 3, [FIRST, FIRST, SECOND, SECOND], {"gave up": 2}),
    ],
)
def test_a_connection_that_breaks_before_the_answer_is_not_tried_again(
    fetcher, is_content, tmp_path, orders, choice, code, sent, found
):
    """Within the run as between runs: once, unless the job allows a second time."""
    job = make_orders_job(tmp_path, orders.url, f'on_unknown = "{choice}"\n')
    orders.fate = resetting
    ran = fetcher("run", job)
    assert ran.code == code, ran.err
    assert sorted(orders.taken()) == sent
    assert states(tmp_path / "out") == found
    assert choice == "retry" or LOST in ran.err
    is_content(job)


def test_an_answer_that_was_kept_is_found_without_a_request(fetcher, start, output, is_content, tmp_path, orders):
    """Killed between keeping and committing it: nothing is unknown."""
    job = make_orders_job(tmp_path, orders.url, count=1)
    with parsing_held(job):
        process = start("run", job)
        until(lambda: kept_answers(tmp_path / "out"), process)
        process.kill()
        process.wait()
    assert states(tmp_path / "out") == {"unknown": 1}
    assert orders.taken() == [FIRST]

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert orders.taken() == []
    assert in_order(output(tmp_path / "out").records()) == expected(1)
    is_content(job)


def test_a_connection_that_is_refused_has_sent_nothing(fetcher, output, is_content, tmp_path, orders):
    """Exit 69, and the next run asks for all rows: none is unknown."""
    job = make_orders_job(tmp_path, orders.url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = sets(f'fetch.base_url="http://127.0.0.1:{taken.getsockname()[1]}"', "fetch.limits.concurrency=8")
        ran = fetcher("run", job, *nobody)
    assert ran.code == 69, ran.err
    assert states(tmp_path / "out") == {}

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert sorted(orders.taken()) == days(2)
    assert in_order(output(tmp_path / "out").records()) == expected(2)
    is_content(job)


def has_more_than(arrived: Sized, count: int) -> bool:
    return len(arrived) > count


def test_s09_a_request_with_a_key_is_sent_again_and_carried_out_once(
    fetcher, start, output, is_content, tmp_path, orders
):
    """The same key over restarts, another for every row: the server knows a repetition when it sees one."""
    job = make_orders_job(tmp_path, orders.url, "idempotency_key = true\n")
    orders.fate = never
    for _ in range(2):
        arrived = len(orders.arrived)
        process = start("run", job)
        until(partial(has_more_than, orders.arrived, arrived), process)
        process.kill()
        process.wait()
    orders.fate = lambda day: None

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert [day for day, _ in orders.arrived] == [FIRST, FIRST, FIRST, SECOND]
    assert len({key for _, key in orders.arrived}) == 2
    assert all(key.startswith('"') and key.endswith('"') for _, key in orders.arrived)
    assert orders.carried_out == [FIRST, SECOND]
    assert in_order(output(tmp_path / "out").records()) == expected(2)
    is_content(job)


def test_a_put_is_sent_again_without_a_word(fetcher, start, output, tmp_path, orders):
    """Idempotent by its method (RFC 9110 section 9.2.2)."""
    job = make_orders_job(tmp_path, orders.url)
    job.write_text(job.read_text().replace('"POST"', '"PUT"'))
    kill_before_the_answer(orders, start, job)
    assert fetcher("run", job).code == 0
    assert orders.taken() == [FIRST, SECOND]
    assert in_order(output(tmp_path / "out").records()) == expected(2)


def test_a_page_that_may_have_been_carried_out_keeps_its_place(fetcher, start, output, is_content, tmp_path):
    """The pages before it stay, and once somebody says so the row goes on with it."""
    with serving_pages() as feed:
        job = make_paged_job(tmp_path, feed.url)
        job.write_text(job.read_text().replace('url = "/items"', 'url = "/items"\nmethod = "POST"'))
        feed.stops_at = 3
        process = start("run", job)
        until(lambda: len(feed.asked) == 3 and next_page(tmp_path / "out") == 3, process)
        process.kill()
        process.wait()
        feed.stops_at = 0
        feed.taken()

        ran = fetcher("run", job)
        assert ran.code == 3, ran.err
        assert feed.taken() == []
        assert states(tmp_path / "out") == {"unknown": 1}
        is_content(job)

        assert fetcher("failures", "retry", job).code == 0
        assert fetcher("run", job).code == 0
        assert feed.taken() == [3, 4, 5]
        assert output(tmp_path / "out").records() == paged_items(FIRST, 5)
        is_content(job)


def test_a_paid_answer_is_waited_for_when_a_run_is_stopped(start, fetcher, is_content, tmp_path, orders):
    """SIGTERM while the server is at it: an answer that comes within seconds is kept, and nothing more is sent."""
    job = make_orders_job(tmp_path, orders.url)
    gate = tmp_path / "gate"

    async def late(_: str = "") -> None:
        while not gate.exists():  # noqa: ASYNC110  (the test opens it from another thread)
            await asyncio.sleep(0.01)

    orders.fate = late
    process = start("run", job)
    until(lambda: orders.carried_out, process)
    process.terminate()
    until(lambda: not pending_signals(process.pid), process)
    gate.touch()

    assert process.wait() == 143
    assert orders.taken() == [FIRST]
    assert states(tmp_path / "out") == {"done": 1}
    assert fetcher("run", job).code == 0
    assert orders.taken() == [SECOND]
    is_content(job)


def test_an_answer_that_is_too_large_was_an_answer(fetcher, tmp_path, orders):
    """The server has carried it out: the row is not sent again by the next run, however it failed."""
    job = make_orders_job(tmp_path, orders.url, 'max_body = "10 B"\n')
    for sent in (2, 0):
        ran = fetcher("run", job)
        assert ran.code == 3, ran.err
        assert len(orders.taken()) == sent
    assert states(tmp_path / "out") == {"unknown": 2}


def test_a_new_question_has_a_key_of_its_own(fetcher, tmp_path, orders):
    """A day that was answered and is asked again is another request: a server would give the first answer once more."""
    job = make_orders_job(tmp_path, orders.url, "idempotency_key = true\n", count=1)
    again = sets('read.dates.lookback="3660 days"')
    for _ in range(3):
        assert fetcher("run", job, *again).code == 0
    assert len({key for _, key in orders.arrived}) == 3
