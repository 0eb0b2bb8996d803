"""Records that are enriched by services: each question once, a failure where it belongs, nothing paid for twice."""

import asyncio
import json
from array import array

import pytest
from aiohttp import web

from fetcher.export.frames import read_records
from fetcher.fetch.request_log import logs, sent_in
from fetcher.job.load import load_job
from fetcher.job.units import Rate
from fetcher.launch import layout_of
from fetcher.model import RowState
from fetcher.stations import runs_of
from fetcher.verify import rate_problems
from tests.stories.feeds import pending_signals, published, sets, states, until
from tests.stories.feeds import serving as serving_feed
from tests.stories.services import FREE, PAID, by_id, cities, make_names_job, no_answer, serving_services

NAMES = ["ann", "bo", "ann", "cleo", "bo"]
LOST = "only the server knows whether it was carried out"


@pytest.fixture
def services():
    with serving_services() as services:
        yield services


@pytest.fixture
def is_content(fetcher):
    """`is_content(job)`: ledger and files agree, and no limit was exceeded."""

    def verified(job) -> None:
        ran = fetcher("verify", job)
        assert ran.code == 0, ran.err

    return verified


def failing(question: str, status: int = 500):
    """A fate: this question fails, others do not."""
    return lambda asked: web.Response(status=status) if asked == question else None


def test_each_question_is_asked_once_over_rows_and_runs(fetcher, output, is_content, tmp_path, services):
    """Three names in five lines are three questions; the second run asks none, the third those of a new line."""
    job = make_names_job(tmp_path, services.url, NAMES)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert by_id(output(tmp_path / "out").records()) == cities(NAMES)
    assert services.taken() == {"/place/ann": 1, "/place/bo": 1, "/place/cleo": 1}
    assert fetcher("run", job).code == 0
    assert services.taken() == {}
    make_names_job(tmp_path, services.url, [*NAMES, "ann", "dora"])
    assert fetcher("run", job).code == 0
    assert services.taken() == {"/place/dora": 1}
    assert by_id(output(tmp_path / "out").records()) == cities([*NAMES, "ann", "dora"])
    is_content(job)


@pytest.mark.parametrize(
    ("keys", "added"),
    [
        ('into = "it"\n[annotate.service]\ntake = { where = "place.city" }', {"it": {"where": "city of ann"}}),
        (
            'into = "it"\n[annotate.service]',
            {"it": {"name": "ann", "place": {"city": "city of ann", "lat": 1.5}, "length": 3}},
        ),
        ("[annotate.service]", {"place": {"city": "city of ann", "lat": 1.5}, "length": 3}),
        ('[annotate.service]\ntake = { far = "place.country" }', {"far": None}),
        ("when = \"name != 'ann'\"\n[annotate.service]", {}),
        ('into = "name"\nonly_empty = true\n[annotate.service]', {}),
        ('[annotate.service]\nskip.blank = ["id"]', {"place": {"city": "city of ann", "lat": 1.5}, "length": 3}),
        ('[annotate.service]\nexpect = [{ status = [200], action = "empty" }]\ntake = ["length"]', {"length": None}),
    ],
)
def test_what_is_taken_of_an_answer_goes_where_the_job_says(fetcher, output, tmp_path, services, keys, added):
    """A field for all of it, fields of its own, null for what is not there; others are left as they are."""
    annotator = f'[[annotate]]\n{keys}\nbase_url = "URL"\nurl = "/place/{{name}}"\n'
    job = make_names_job(tmp_path, services.url, ["ann"], annotator)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert output(tmp_path / "out").records() == [{"id": "0", "name": "ann", **added}]


@pytest.mark.parametrize(
    ("status", "state", "asked_again"), [(404, "refused", 0), (500, "gave up", 2), (200, "quarantined", 0)]
)
def test_a_question_that_fails_is_its_rows_failure(
    fetcher, output, is_content, tmp_path, services, status, state, asked_again
):
    """In the state that the failure has, named after the annotator; the others are done."""
    job = make_names_job(tmp_path, services.url, NAMES)
    services.fate = lambda asked: web.Response(status=status, text="no") if asked == "/place/cleo" else None
    assert fetcher("run", job).code == 3
    assert states(tmp_path / "out") == {"done": 4, state: 1}
    (line,) = fetcher("failures", "list", job).out.splitlines()
    assert line.split("\t")[1] == state
    assert "annotate[0].service" in line
    assert f"asked    GET {services.url}/place/cleo" in fetcher("failures", "show", job).out
    services.taken()
    assert fetcher("run", job).code == 3
    assert services.taken() == ({"/place/cleo": asked_again} if asked_again else {})
    services.fate = lambda asked: None
    assert fetcher("failures", "retry", job).code == 0
    again = fetcher("run", job)
    assert again.code == (0 if status != 200 else 3), again.err  # an answer that is no JSON is kept, as any is
    is_content(job)


def test_what_was_answered_before_a_failure_is_not_asked_again(fetcher, output, is_content, tmp_path, services):
    """Neither the API of the job nor an earlier annotator's: the next run asks for the rest alone."""
    later = FREE.replace("/place/{name}", "/late/{day}-{number}").replace(
        "[annotate.service]", 'into = "b"\n[annotate.service]'
    )
    early = later.replace("/late", "/early").replace('"b"', '"a"')
    with serving_feed(published) as feed:
        job = tmp_path / "job.toml"
        job.write_text(
            'name = "feed"\n[read.dates]\nfrom = "2019-01-01"\nto = "2019-01-02"\n[fetch]\n'
            f'base_url = "{feed.url}"\nurl = "/days"\nquery = {{ date = "{{date}}" }}\n[parse]\nrecords = "items[]"\n'
            f"{(early + later).replace('URL', services.url)}[write]\nfolder = 'out'\n"
        )
        services.fate = failing("/late/2019-01-02-1")
        ran = fetcher("run", job)
        assert ran.code == 3, ran.err
        assert "annotate[1].service 'b'" in ran.err
        assert states(tmp_path / "out") == {"done": 1, "gave up": 1}
        feed.taken()
        early_ones = {question for question in services.taken() if question.startswith("/early")}
        assert len(early_ones) == 6
        services.fate = lambda asked: None

        ran = fetcher("run", job)

        assert ran.code == 0, ran.err
        assert feed.taken() == []
        asked = services.taken()
        assert "/late/2019-01-02-1" in asked
        assert not early_ones & asked.keys()
        assert len(output(tmp_path / "out").records()) == 6
        is_content(job)


def test_annotators_see_what_those_before_them_have_added(fetcher, output, tmp_path, services):
    """Rules before and behind a service, a second service that asks with what the first has told, and a key that was
    added: the repeats are dropped."""
    (tmp_path / "more.py").write_text("def upper(record):\n    return record['city'].upper()\n")
    annotators = (
        '[[annotate]]\ninto = "label"\n[annotate.rules]\nfield = "name"\nfirst = true\n'
        'rule = [{ label = "a", terms = ["ann"] }]\n'
        + FREE
        + '[[annotate]]\ninto = "loud"\nfunction = "more.py:upper"\n'
        + FREE.replace("{name}", "{loud}").replace(
            'take = ["place.city", "length"]', 'take = { loudest = "place.city" }'
        )
        + '[[annotate]]\ninto = "twice"\nwhen = "label"\nfunction = "more.py:upper"\n'
    )
    job = make_names_job(tmp_path, services.url, NAMES, annotators, 'key = ["loud"]\n')
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    found = sorted(output(tmp_path / "out").records(), key=lambda record: record["name"])
    assert [record["loud"] for record in found] == ["CITY OF ANN", "CITY OF BO", "CITY OF CLEO"]
    assert [record["loudest"] for record in found] == [f"city of {record['loud']}" for record in found]
    assert [record.get("twice") for record in found] == ["CITY OF ANN", None, None]
    assert "2 repeats by write.key" in ran.err


def test_an_annotator_behind_one_that_asks_fails_under_its_own_name(fetcher, tmp_path, services):
    """What was asked stays answered; the reason names the function."""
    (tmp_path / "more.py").write_text("def broken(record):\n    return record['nothing']\n")
    behind = '[[annotate]]\ninto = "same"\nfunction = "more.py:broken"\n'
    job = make_names_job(tmp_path, services.url, ["ann"], PAID + behind)
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert "broken raised KeyError" in ran.err
    assert "service" not in ran.err
    (tmp_path / "more.py").write_text("def broken(record):\n    return 1\n")
    services.taken()
    assert fetcher("run", job, "--reparse").code == 0
    assert services.taken() == {}


def test_a_field_tells_which_service_it_is_from(fetcher, output, tmp_path, services):
    """And what its answer has cost, where that is told; a changed question is another version."""
    told = FREE.replace("[annotate.service]", "provenance = true\n[annotate.service]") + 'limits.cost_path = "length"\n'
    job = make_names_job(tmp_path, services.url, ["ann"], told)
    assert fetcher("run", job).code == 0
    (record,) = output(tmp_path / "out").records()
    origin = record["_provenance"]["city"]
    assert (origin["annotator"], origin["cost"], sorted(record["_provenance"])) == ("service", 3, ["city", "length"])
    assert len(origin["version"]) == 8


def test_numbers_keep_their_digits(fetcher, output, tmp_path, services):
    """What the job keeps exact stays so on its way through a service, and through annotators behind it."""
    digits = b'{"items": [{"name": "ann", "price": 1.10, "big": 123456789012345678901234567890.5}]}'
    (tmp_path / "more.py").write_text("def same(record):\n    return record['length']\n")
    behind = '[[annotate]]\ninto = "same"\nfunction = "more.py:same"\n'
    with serving_feed(lambda day: web.Response(body=digits, content_type="application/json")) as feed:
        job = tmp_path / "job.toml"
        job.write_text(
            f'name = "feed"\n[read.dates]\nfrom = "2019-01-01"\nto = "2019-01-01"\n[fetch]\nbase_url = "{feed.url}"\n'
            'url = "/days"\nquery = { date = "{date}" }\n[parse]\nrecords = "items[]"\n'
            f"types = {{ price = 'decimal', big = 'decimal' }}\n{(FREE + behind).replace('URL', services.url)}"
            "[write]\nfolder = 'out'\n"
        )
        ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    (line,) = output(tmp_path / "out").lines()
    assert b'"price":1.10,' in line
    assert b'"big":123456789012345678901234567890.5' in line
    assert json.loads(line)["same"] == 3


def test_offline_asks_nobody_and_refresh_asks_everything_once(fetcher, output, tmp_path, services):
    """Rows whose questions have no kept answer stay as they are; with --refresh each question is asked once more."""
    job = make_names_job(tmp_path, services.url, NAMES)
    ran = fetcher("run", job, "--offline")
    assert ran.code == 75, ran.err
    assert services.taken() == {}
    assert fetcher("run", job).code == 0
    services.taken()
    assert fetcher("run", job, "--refresh").code == 0
    assert services.taken() == {"/place/ann": 1, "/place/bo": 1, "/place/cleo": 1}


def test_a_changed_question_asks_what_is_new_alone(fetcher, output, tmp_path, services):
    """--reparse takes the answers that are kept, and asks what was never asked; a new limit changes nothing."""
    job = make_names_job(tmp_path, services.url, NAMES)
    assert fetcher("run", job).code == 0
    services.taken()
    assert fetcher("run", job, *sets('annotate.0.service.limits.rate="100/s"')).code == 0
    changed = sets('annotate.0.service.url="/place/{id}"')
    ran = fetcher("run", job, *changed)
    assert ran.code == 78
    assert "--reparse" in ran.err
    assert services.taken() == {}
    assert fetcher("run", job, "--reparse", "--offline", *changed).code in (0, 75)
    assert services.taken() == {}
    assert fetcher("run", job, "--reparse", *changed).code == 0
    assert services.taken() == {f"/place/{number}": 1 for number in range(5)}


def test_a_paid_question_in_flight_is_listed_and_nobody_asks_it_again(
    fetcher, start, output, is_content, tmp_path, services
):
    """Killed while the server is at it: its row is unknown, and so is another row with the same question; what was
    answered is done, what never left is asked. Once somebody says so it is asked again, once for both."""
    job = make_names_job(tmp_path, services.url, NAMES, PAID)
    services.fate = lambda asked: no_answer() if asked == "/paid/bo" else None
    process = start("run", job)
    until(lambda: services.asked["/paid/bo"], process)
    process.kill()
    process.wait()
    services.fate = lambda asked: None
    before = services.taken()
    assert before["/paid/bo"] == 1

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {"done": 3, "unknown": 2}
    assert LOST in ran.err
    assert "annotate[0].service 'paid'" in ran.err
    after = services.taken()
    assert "/paid/bo" not in after
    assert all(before.get(question, 0) + after.get(question, 0) == 1 for question in {**before, **after})
    assert fetcher("run", job).code == 3
    assert services.taken() == {}
    is_content(job)

    assert fetcher("failures", "retry", job).code == 0
    assert fetcher("run", job).code == 0
    assert services.taken() == {"/paid/bo": 1}
    expected = [{"id": str(n), "name": name, "paid": {"length": len(name)}} for n, name in enumerate(NAMES)]
    assert by_id(output(tmp_path / "out").records()) == expected
    is_content(job)


@pytest.mark.parametrize(
    ("choice", "code", "sent", "found"),
    [("skip", 0, {}, {"done": 1, "discarded": 1}), ("retry", 0, {"/paid/bo": 1}, {"done": 2})],
)
def test_the_annotator_says_what_becomes_of_it(
    fetcher, start, is_content, tmp_path, services, choice, code, sent, found
):
    """Given up, or asked a second time; also where the job says so only afterwards."""
    job = make_names_job(tmp_path, services.url, ["ann", "bo"], PAID)
    services.fate = lambda asked: no_answer() if asked == "/paid/bo" else None
    process = start("run", job)
    until(lambda: services.asked["/paid/bo"] and services.answered["/paid/ann"], process)
    process.kill()
    process.wait()
    services.fate = lambda asked: None
    services.taken()
    ran = fetcher("run", job, *sets(f'annotate.0.service.on_unknown="{choice}"'))
    assert ran.code == code, ran.err
    assert services.taken() == sent
    assert states(tmp_path / "out") == found
    is_content(job)


def test_a_row_goes_on_where_an_earlier_answer_is_here_and_a_later_question_was_lost(
    fetcher, start, output, is_content, tmp_path, services
):
    """The first annotator's paid answer is found, the second one's question is not asked again, the third one's, which
    never left, is asked when it is its turn."""
    first = PAID.replace('"{name}"', '"one-{name}"').replace('"paid"', '"one"')
    second = PAID.replace('"{name}"', '"two-{name}"').replace('"paid"', '"two"')
    third = PAID.replace('"{name}"', '"three-{name}"').replace('"paid"', '"three"')
    job = make_names_job(tmp_path, services.url, ["ann"], first + second + third)
    services.fate = lambda asked: no_answer() if "two" in asked else None
    process = start("run", job)
    until(lambda: services.asked["/paid/two-ann"], process)
    process.kill()
    process.wait()
    services.fate = lambda asked: None
    assert services.taken() == {"/paid/one-ann": 1, "/paid/two-ann": 1}
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert "annotate[1].service 'two'" in ran.err
    assert services.taken() == {}
    assert fetcher("failures", "retry", job).code == 0
    assert fetcher("run", job).code == 0
    assert services.taken() == {"/paid/two-ann": 1, "/paid/three-ann": 1}
    (record,) = output(tmp_path / "out").records()
    assert (record["one"], record["three"]) == ({"length": 7}, {"length": 9})
    is_content(job)


def test_a_question_whose_answer_was_lost_is_asked_once_in_a_run(fetcher, is_content, tmp_path, services):
    """Rows that come long after, in the same run and with the same question, do not ask it again."""
    names = ["bo", *(f"name{number}" for number in range(80)), "bo"]
    job = make_names_job(tmp_path, services.url, names, PAID)
    services.fate = lambda asked: web.Response(status=502) if asked == "/paid/bo" else None
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert services.taken()["/paid/bo"] == 1
    assert states(tmp_path / "out") == {"done": 80, "unknown": 2}
    is_content(job)


def test_one_row_of_several_may_ask_a_lost_question_again(fetcher, is_content, tmp_path, services):
    """Somebody says so of one alone; the other finds its answer then."""
    job = make_names_job(tmp_path, services.url, ["bo", "bo"], PAID)
    services.fate = lambda asked: web.Response(status=502)
    assert fetcher("run", job).code == 3
    services.fate = lambda asked: None
    services.taken()
    first = fetcher("failures", "list", job).out.split("\t")[0]
    assert fetcher("failures", "retry", job, first).code == 0
    assert fetcher("run", job).code in (0, 3)
    assert services.taken() == {"/paid/bo": 1}
    assert fetcher("run", job).code == 0
    assert services.taken() == {}
    assert states(tmp_path / "out") == {"done": 2}
    is_content(job)


def test_while_a_question_of_a_row_is_lost_that_is_what_the_row_is(fetcher, start, is_content, tmp_path, services):
    """Whatever else fails of it, or goes well: the question is not forgotten, and not asked again."""
    job = make_names_job(tmp_path, services.url, ["ann"], FREE + PAID)
    services.fate = lambda asked: no_answer() if asked == "/paid/ann" else None
    process = start("run", job)
    until(lambda: services.asked["/paid/ann"], process)
    process.kill()
    process.wait()
    assert fetcher("cache", "clear", job).code == 0
    services.taken()
    for status in (500, 404, None, None):
        services.fate = lambda asked, status=status: web.Response(status=status) if status else None
        assert fetcher("run", job).code == 3
        assert states(tmp_path / "out") == {"unknown": 1}
        assert "/paid/ann" not in services.asked
    assert fetcher("failures", "retry", job).code == 0
    services.taken()
    assert fetcher("run", job).code == 0
    assert services.taken() == {"/paid/ann": 1}
    is_content(job)


@pytest.mark.parametrize("then", [("--reparse",), ("--as-is",)])
def test_a_new_question_that_is_lost_is_not_forgotten_with_its_generation(
    fetcher, start, is_content, tmp_path, services, then
):
    """New records are made aside until they are whole; what was asked for them counts, even where they are given up."""
    names = ["ann", "bo"]
    job = make_names_job(tmp_path, services.url, names, PAID)
    assert fetcher("run", job).code == 0
    services.taken()
    changed = sets('annotate.0.service.json={ name = "new-{name}" }')
    services.fate = lambda asked: no_answer() if asked == "/paid/new-bo" else None
    process = start("run", job, "--reparse", *changed)
    until(lambda: services.asked["/paid/new-bo"], process)
    process.kill()
    process.wait()
    services.fate = lambda asked: None
    make_names_job(tmp_path, services.url, [*names, "bo"], PAID)
    for arguments in (then, ()):
        ran = fetcher("run", job, *arguments, *changed)
        assert ran.code in (0, 3, 75), ran.err
    assert services.taken()["/paid/new-bo"] == 1
    assert states(tmp_path / "out")[RowState.UNKNOWN] >= 1
    assert fetcher("failures", "retry", job, *changed).code == 0
    assert fetcher("run", job, *changed).code == 0
    assert services.taken() == {"/paid/new-bo": 1}
    is_content(job)


def test_a_run_that_is_stopped_waits_for_what_is_paid_for(start, fetcher, is_content, tmp_path, services):
    """SIGTERM while the server is at it: the answer is kept and its row done, nothing else is asked."""
    gate = tmp_path / "gate"

    async def late(_: str = "") -> None:
        while not gate.exists():  # noqa: ASYNC110  (the test opens it from another thread)
            await asyncio.sleep(0.01)

    job = make_names_job(tmp_path, services.url, ["ann", "bo"], PAID)
    services.fate = late
    process = start("run", job)
    until(lambda: services.asked, process)
    process.terminate()
    until(lambda: not pending_signals(process.pid), process)
    gate.touch()
    assert process.wait() == 143
    asked = services.taken()
    assert sum(asked.values()) == 1
    assert states(tmp_path / "out") == {"done": 1}
    assert fetcher("run", job).code == 0
    assert not asked.keys() & services.taken().keys()
    is_content(job)


EXAMPLES = """\
[[example]]
name = "a name and where it is"
row = { id = "1", name = "ann" }
state = "done"
records = [{ id = "1", name = "ann", city = "Rome", length = 3, paid = { length = 4 } }]
answers = [{ json = { place = { city = "Rome" }, length = 3 } }, { json = { length = 4 } }]

[[example]]
name = "a name that nobody knows"
row = { id = "2", name = "bo" }
state = "refused"
reason = "annotate[1].service 'paid'"
answers = [{ json = {} }, { status = 404 }]
"""


def test_examples_answer_annotators_too(fetcher, tmp_path, services):
    """In the order in which they are asked; nothing is sent."""
    job = make_names_job(tmp_path, services.url, ["ann"], FREE + PAID)
    (tmp_path / "job.test.toml").write_text(EXAMPLES)
    ran = fetcher("test", job)
    assert ran.code == 0, ran.out + ran.err
    assert services.taken() == {}
    (tmp_path / "job.test.toml").write_text(EXAMPLES.replace("Rome", "Ravenna", 1))
    assert fetcher("test", job).code == 3


def test_what_would_be_asked_is_told_before(fetcher, tmp_path, services):
    """The first question by `check`, how many there are by `plan`, and what becomes of the first rows by `preview`,
    whose answers a run finds."""
    job = make_names_job(tmp_path, services.url, [*NAMES, "x y"], FREE + PAID.replace("{name}", "{city}"))
    checked = fetcher("check", job)
    assert checked.code == 0, checked.err
    assert f"GET {services.url}/place/ann" in checked.out
    assert f"POST {services.url}/paid" in checked.out
    assert "annotate[1].service 'paid'.on_unknown" in checked.out
    plan = fetcher("plan", job)
    assert "annotate[0].service: 4 requests for 4 questions; 0 answers from the cache" in plan.out
    assert "annotate[1].service 'paid': a question for each record at most" in plan.out
    assert services.taken() == {}

    shown = fetcher("preview", job, "--rows", "2")

    assert shown.code == 0, shown.err
    assert '"paid":{"length":11}' in shown.out
    assert services.taken() == {"/place/ann": 1, "/place/bo": 1, "/paid/city of ann": 1, "/paid/city of bo": 1}
    assert "annotate[0].service: 2 requests for 2 questions; 2 answers from the cache" in fetcher("plan", job).out
    assert fetcher("run", job).code == 0
    assert services.taken() == {"/place/cleo": 1, "/place/x y": 1, "/paid/city of cleo": 1, "/paid/city of x y": 1}


def test_each_annotator_keeps_to_its_own_limits(fetcher, is_content, tmp_path, services):
    """A service that allows a few requests in all ends its rows there, whatever another one allows; `verify` holds each
    log against its own windows."""
    few = FREE.replace("retries", 'limits = { max_requests = 3, rate = "3/s", concurrency = 1 }\nretries')
    many = FREE.replace("/place/", "/more/").replace('take = ["place.city", "length"]', 'take = { more = "length" }')
    job = make_names_job(tmp_path, services.url, ["a", "b", "c", "d"], many + few)
    ran = fetcher("run", job)
    assert ran.code == 75, ran.err
    asked = services.taken()
    assert sum(question.startswith("/more") for question in asked) == 4
    assert sum(question.startswith("/place") for question in asked) == 3
    is_content(job)
    assert "annotate[1].service: requests: 3 of 3 used" in fetcher("status", job).out
    raised = job.read_text().replace("max_requests = 3", "max_requests = 9")
    job.write_text(raised)
    assert fetcher("run", job).code == 0
    assert sum(services.taken().values()) == 1


@pytest.mark.parametrize("is_apart", [False, True])
def test_annotators_that_ask_one_api_keep_to_its_limits_together(fetcher, tmp_path, services, is_apart):
    """A rate counts the requests of both, and so does the number of calls at once; with realms of their own it does
    not."""
    under_way, most = list[str](), list[int]()

    async def slow(question: str) -> None:
        under_way.append(question)
        most.append(len(under_way))
        await asyncio.sleep(0.05)
        under_way.remove(question)

    services.fate = slow
    limits = 'limits = { rate = "4/1 s", smooth = false, concurrency = 2, REALM }\nretries'
    one = FREE.replace("retries", limits.replace("REALM", 'realm = "one"' if is_apart else "headroom = 0.02"))
    two = FREE.replace("/place/", "/more/").replace('take = ["place.city", "length"]', 'take = { more = "length" }')
    two = two.replace("retries", limits.replace("REALM", "headroom = 0.02"))
    job = make_names_job(tmp_path, services.url, [f"name {number}" for number in range(6)], one + two)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    loaded = load_job(job, {})
    runs = [runs_of(asking, layout_of(loaded)) for asking in loaded.asking.values()]
    times = array("d", sorted(sent.at for folder in runs for log in logs(folder) for sent in sent_in(log)))
    assert len(times) == 12
    assert bool(list(rate_problems(Rate(4, 1.0), times))) == is_apart
    assert max(most) <= 2 or is_apart


def told_lengths(folder) -> list[int]:
    """What the service has told of each record that stands, in order."""
    rows = [row for frame in read_records(folder, latest=True) for row in frame.to_dict("records")]
    rows.sort(key=lambda row: (row["day"], row["number"]))
    return [16 if "16" in str(row.get("length", row.get("paid"))) else 12 for row in rows]


@pytest.mark.parametrize(("kind", "state"), [(FREE, "gave up"), (PAID, "unknown")])
def test_a_record_stands_until_its_new_question_is_answered(fetcher, is_content, tmp_path, services, kind, state):
    """A service that fails during --reparse takes nothing away; the next run asks for the rest, and not the job's API.
    The same where a paid answer was lost, once somebody says so."""
    questions = kind.replace("{name}", "{day}-{number}").replace("URL", services.url)
    with serving_feed(published) as feed:
        job = tmp_path / "job.toml"
        job.write_text(
            'name = "feed"\n[read.dates]\nfrom = "2019-01-01"\nto = "2019-01-02"\n[fetch]\n'
            f'base_url = "{feed.url}"\nurl = "/days"\nquery = {{ date = "{{date}}" }}\n[parse]\nrecords = "items[]"\n'
            f"{questions}[write]\nfolder = 'out'\n"
        )
        assert fetcher("run", job).code == 0
        job.write_text(job.read_text().replace("{day}-{number}", "new-{day}-{number}"))
        feed.taken()
        services.fate = lambda asked: web.Response(status=500) if "new-2019-01-01-1" in asked else None

        assert fetcher("run", job, "--reparse").code == 3

        assert told_lengths(tmp_path / "out") == [12, 12, 12, 16, 16, 16]
        assert states(tmp_path / "out") == {"done": 1, state: 1}
        is_content(job)
        services.fate = lambda asked: None
        if state == "unknown":
            services.taken()
            assert fetcher("run", job).code == 3
            assert services.taken() == {}
            assert fetcher("failures", "retry", job).code == 0
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        assert told_lengths(tmp_path / "out") == [16] * 6
        assert feed.taken() == []
        is_content(job)
