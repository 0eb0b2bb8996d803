"""Rules of the job for what an answer means."""

import json

import pytest

from fetcher.errors import CredentialRefused, GaveUp, Refused, Stopped
from fetcher.fetch.cache import Cache
from fetcher.fetch.expectations import Meaning, kept_meaning, meaning, rule_for
from fetcher.fetch.hints import Hints
from fetcher.fetch.retries import AttemptFailed
from fetcher.fetch.sources import Source
from fetcher.job.expect import Expect
from fetcher.model import Request, Response


def answer(body="{}", status=200, **headers):
    return Response(status, tuple(headers.items()), body.encode(), 1_700_000_000.0)


def rule(action="refuse", **conditions):
    return Expect(action=action, **conditions)


ERROR = '{"ok": false, "error": "ratelimited", "items": [], "count": 0}'


@pytest.mark.parametrize(
    ("conditions", "is_met"),
    [
        ({"status": [200]}, True),
        ({"status": [404, 204]}, False),
        ({"body": "ok == `false`"}, True),
        ({"body": "error"}, True),
        ({"body": "nothing"}, False),
        ({"body": "ok"}, False),
        ({"body": "items"}, False),
        ({"body": "count"}, True),
        ({"body": "length(missing)"}, False),
        ({"text": "RATE ?LIMITED"}, True),
        ({"text": "^ratelimited"}, False),
        ({"header": {"content-type": "json"}}, True),
        ({"header": {"Content-Type": "html"}}, False),
        ({"header": {"X-Missing": "."}}, False),
        ({"status": [200], "body": "error", "text": "limited"}, True),
        ({"status": [500], "body": "error", "text": "limited"}, False),
        ({"status": [200], "body": "missing", "text": "limited"}, False),
    ],
)
def test_a_rule_matches_where_all_its_conditions_hold(conditions, is_met):
    """Truth in a body is JMESPath's: null, false and what is empty are false, a zero is not."""
    response = Response(200, (("Content-Type", "application/json"),), ERROR.encode(), 0.0)
    assert (rule_for([rule(**conditions)], response) is not None) == is_met


def test_the_first_rule_that_matches_decides():
    """Order is the author's: a special case stands before the general one."""
    rules = [rule("empty", body="missing"), rule("empty", status=[200]), rule("refuse", status=[200])]
    assert rule_for(rules, answer()) is rules[1]


def test_a_condition_on_a_body_never_holds_for_what_is_no_json():
    """Whoever names a field of an answer speaks of an answer that has fields."""
    assert rule_for([rule(body="@ == `null`")], answer("<html>")) is None


@pytest.mark.parametrize(
    ("action", "status", "meant"),
    [
        ("accept", 404, Meaning.RECORDS),
        ("empty", 404, Meaning.EMPTY),
        ("empty", 200, Meaning.EMPTY),
        ("split", 400, Meaning.TOO_MANY),
    ],
)
def test_what_a_rule_accepts_counts_whatever_its_status(action, status, meant):
    """One status has two meanings at many APIs; the rule says which."""
    told = rule(action, status=[status])
    assert meaning(answer(status=status), Hints(), told) is meant
    assert kept_meaning(answer(status=status), told) is meant


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("refuse", Refused),
        ("stop", Stopped),
        ("refresh_auth", CredentialRefused),
        ("retry", AttemptFailed),
        ("cooldown", AttemptFailed),
    ],
)
def test_what_a_rule_refuses_is_never_a_result(action, error):
    """Its reason is what the answer says, and no cache may serve it."""
    told = rule(action, body="error", reason="error")
    with pytest.raises(error, match="HTTP 200 ratelimited"):
        meaning(answer(ERROR), Hints(), told)
    assert kept_meaning(answer(ERROR), told) is None


@pytest.mark.parametrize(
    ("text", "body", "hinted_s", "wait_s", "is_guess"),
    [
        ("again in (?P<wait>[0-9a-z.]+)", "try again in 374ms", None, 0.374, False),
        ("again in (?P<wait>.+)", "Please try again in one minute.", None, 60.0, False),
        ("again in (?P<wait>.+)", "again in a while", 7.0, 7.0, False),
        ("limit", "limit", 7.0, 7.0, False),
        ("limit", "limit", None, 90.0, True),
    ],
)
def test_the_wait_of_a_cooldown_is_the_answers_own_word_before_the_rules(text, body, hinted_s, wait_s, is_guess):
    """The group `wait`, then the usual hints, and the rule's own guess only where nobody says anything."""
    told = rule("cooldown", text=text, wait="90 s")
    with pytest.raises(AttemptFailed) as failed:
        meaning(answer(body), Hints(wait_s=hinted_s), told)
    assert failed.value.hint_s == pytest.approx(wait_s)
    assert failed.value.is_guess == is_guess


@pytest.mark.parametrize(("status", "meant"), [(200, Meaning.RECORDS), (299, Meaning.RECORDS), (404, None)])
def test_without_a_rule_the_status_of_a_kept_answer_decides(status, meant):
    """An answer that a rule of yesterday accepted is none where that rule is gone."""
    assert kept_meaning(answer(status=status), None) is meant


async def reply(writer, status, body):
    writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def test_h18_a_page_that_is_no_answer_is_asked_for_again_and_never_kept(tmp_path, client_of, speaking):
    """A login page with status 200 is what its content type says."""

    async def talk(number, _, writer):
        kind = b"text/html" if number == 1 else b"application/json"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: 2\r\n\r\n{}")

    async with speaking(talk) as (url, asked), Cache(tmp_path / "cache.sqlite") as cache:
        expect = [{"header": {"Content-Type": "text/html"}, "action": "retry"}]
        async with client_of(url, cache, expect=expect) as (client, _):
            fetched = await client.fetch(Request("GET", url))
            again = await client.fetch(Request("GET", url))
    assert fetched.attempts == 2
    assert again.attempts == 0
    assert len(asked) == 2


async def test_s05_an_error_with_status_200_is_what_the_rule_says(client_of, speaking):
    """Once "slow down", then "no such thing"; the second ends the row and is not asked for again."""
    bodies = [b'{"ok": false, "error": "ratelimited"}', b'{"ok": false, "error": "no_such_thing"}']

    async def talk(number, _, writer):
        await reply(writer, 200, bodies[min(number, 2) - 1])

    rules = [
        {"body": "error == 'ratelimited'", "action": "cooldown", "wait": "1 s"},
        {"body": "!ok", "action": "refuse", "reason": "error"},
    ]
    async with speaking(talk) as (url, asked), client_of(url, expect=rules, limits={"realm": "s05"}) as (client, _):
        with pytest.raises(Refused, match="no_such_thing"):
            await client.fetch(Request("GET", url))
    assert len(asked) == 2


async def test_a_kept_answer_that_a_new_rule_refuses_is_asked_for_again(tmp_path, client_of, speaking):
    """Rules are written when the first bad answers have been seen, and those have been kept by then."""

    async def talk(number, _, writer):
        await reply(writer, 200, json.dumps({"ok": number > 1}).encode())

    async with speaking(talk) as (url, asked), Cache(tmp_path / "cache.sqlite") as cache:
        async with client_of(url, cache) as (client, _):
            await client.fetch(Request("GET", url))
        async with client_of(url, cache, expect=[{"body": "ok == `false`", "action": "retry"}]) as (client, _):
            fetched = await client.fetch(Request("GET", url))
            assert fetched.response.body == b'{"ok": true}'
            assert (await client.fetch(Request("GET", url), Source.KEPT_ONLY)).attempts == 0
    assert len(asked) == 2


async def test_what_a_rule_accepts_is_kept_with_its_meaning(tmp_path, client_of, speaking):
    """A 404 that means "no data" is asked for once."""

    async def talk(_, __, writer):
        await reply(writer, 404, b"nothing")

    rules = [{"status": [404], "action": "empty"}]
    async with speaking(talk) as (url, asked), Cache(tmp_path / "cache.sqlite") as cache:
        async with client_of(url, cache, expect=rules) as (client, _):
            first, second = [await client.fetch(Request("GET", url)) for _ in range(2)]
    assert (first.meaning, second.meaning, second.attempts) == (Meaning.EMPTY, Meaning.EMPTY, 0)
    assert len(asked) == 1


async def test_a_rule_that_asks_again_gives_up_like_any_other_failure(client_of, speaking):
    """The attempts are the job's."""

    async def talk(_, __, writer):
        await reply(writer, 200, b'{"ok": false}')

    async with speaking(talk) as (url, asked):
        expect = [{"body": "!ok", "action": "retry"}]
        async with client_of(url, expect=expect, retries={"attempts": 3, "first_wait": "1 ms"}) as (client, _):
            with pytest.raises(GaveUp, match="3 attempts"):
                await client.fetch(Request("GET", url))
    assert len(asked) == 3


async def test_rules_look_into_big_bodies_too(client_of, speaking):
    """Beyond 64 kB the body is decoded away from the loop; the rule is the same."""
    body = json.dumps({"ok": False, "rows": ["x" * 100] * 2000}).encode()

    async def talk(_, __, writer):
        await reply(writer, 200, body)

    async with speaking(talk) as (url, _):
        async with client_of(url, expect=[{"body": "!ok", "action": "empty"}]) as (client, __):
            assert (await client.fetch(Request("GET", url))).meaning is Meaning.EMPTY
