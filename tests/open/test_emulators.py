"""The emulated APIs answer as their specifications say. No recordings are needed here."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from fetcher.testing.air_temperature import canonical_hash
from tests.open import crossref, datagovsg_v2, ip_api, open_meteo, openai_chat, usgs, worldbank
from tests.open.serving import Bucket, Emulator, Window, recorded, serving

DAY = "/v2/real-time/api/air-temperature?date="
WEATHER = "/v1/archive?daily=precipitation_sum&start_date=2012-01-01&end_date={}&latitude={}&longitude={}"
SEATTLE = WEATHER.format("2012-01-02", 47.61, -122.33)
QUAKES = "/fdsnws/event/1/query?format=geojson&starttime={}&endtime={}"
MADE: dict[str, Callable[[], Emulator]] = {
    "air": datagovsg_v2.AirTemperature,
    "bank": worldbank.WorldBank,
    "works": crossref.Crossref,
    "quakes": usgs.Earthquakes,
    "ip": ip_api.IpApi,
    "weather": open_meteo.OpenMeteo,
}
ANSWERS = [
    ("air", f"{DAY}2026-01-13", 404, '"errorMsg": "Data not found"'),
    ("air", f"{DAY}2026-13-01", 400, "Invalid date format."),
    ("air", f"{DAY}2026-01-12&paginationToken=b2Zmc2V0PTE0NDA%3D", 400, "Invalid pagination token."),
    ("air", f"{DAY}2026-01-12&paginationToken=b2Zmc2V0PTE0MjU%3D", 200, "2026-01-12T00:00:00+08:00"),
    ("air", "/v2/elsewhere", 403, "Missing Authentication Token"),
    ("bank", "/v2/country/USA/indicator/SP.POP.TOTL?format=json&per_page=20&page=2", 200, '"per_page": "20"'),
    ("bank", "/v2/country/USA/indicator/SP.POP.TOTL?format=json&page=9", 200, '"total": 50'),
    (
        "bank",
        "/v2/country/USA/indicator/SP.POP.TOTL?format=json&date=1700:1701",
        200,
        '[{"page": 0, "total": 0}, null]',
    ),
    ("bank", "/v2/country/XXX/indicator/SP.POP.TOTL?format=json", 200, '"id": "120"'),
    ("bank", "/v2/country/USA/indicator/SP.POP.TOTL", 200, "\ufeff<?xml"),
    ("works", "/works?query=widget&rows=things", 400, "Integer specified as things but must be"),
    ("works", "/works?query=widget&cursor=gone", 404, "Resource not found."),
    ("quakes", QUAKES.format("2018-01-01T00:00:00", "2018-01-30T00:00:00"), 204, ""),
    ("quakes", QUAKES.format(usgs.FROM, usgs.TO), 400, "1700 matching events exceeds search limit of 200."),
    ("quakes", QUAKES.format(usgs.FROM, usgs.TO) + "&limit=500", 400, 'Bad limit value "500".'),
    ("quakes", QUAKES.format(usgs.FROM, "never"), 400, "Bad starttime, endtime"),
    ("quakes", QUAKES.replace("query", "count").format(usgs.FROM, usgs.TO), 200, '{"count": 1700, "maxAllowed": 200}'),
    ("ip", "/json/127.0.0.1", 200, '"message": "reserved range"'),
    ("ip", "/json/127.0.0.1?fields=message", 200, '{"message": "reserved range"}'),
    ("weather", SEATTLE, 200, '"time": ["2012-01-01", "2012-01-02"]'),
    ("weather", SEATTLE.replace("precipitation", "rain"), 400, "invalid String value rain_sum."),
    ("weather", WEATHER.format("2012-01-02", "47.61,40.71", -122.33), 400, "must have the same number of elements"),
    ("weather", WEATHER.format("then", 47.61, -122.33), 400, "Invalid date"),
    ("weather", WEATHER.format("2015-12-31", 47.61, -122.33), 429, "Minutely API request limit exceeded."),
]


@pytest.fixture
def ask():
    """`ask(emulator, path)` sends one request to an emulator that lives for it alone."""

    def sent(emulator: Emulator, path: str, **more: Any) -> requests.Response:
        with serving(emulator):
            return requests.request(more.pop("method", "GET"), emulator.url + path, timeout=30, **more)

    return sent


@pytest.mark.parametrize(("api", "path", "status", "text"), ANSWERS)
def test_each_odd_answer_is_as_specified(ask, api, path, status, text):
    """Status and text, also of what is asked for wrongly."""
    answer = ask(MADE[api](), path)
    answer.encoding = "utf-8"
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


def test_counts_are_told_and_not_counted():
    """`/__stats` itself is no request."""
    with serving(worldbank.WorldBank()) as api:
        requests.get(f"{api.url}/v2/elsewhere", timeout=30)
        for _ in range(2):
            told = requests.get(f"{api.url}/__stats", timeout=30).json()
    assert told == {"requests": 1, "by_status": {"404": 1}, "early": 0}


@pytest.mark.parametrize(("key", "most"), datagovsg_v2.PER_KEY.items())
def test_a_key_changes_how_many_requests_a_window_lets_through(key, most):
    """Each key has a window of its own; an unknown one counts as none."""
    with serving(datagovsg_v2.AirTemperature(lasts_s=60)) as api, requests.Session() as session:
        headers = {"x-api-key": key or "unknown"}
        statuses = [
            session.get(f"{api.url}{DAY}2026-01-13", headers=headers, timeout=30).status_code for _ in range(most + 1)
        ]
    assert statuses == [404] * most + [429]


def test_who_goes_on_at_a_countdown_of_zero_is_early():
    """The last good answer says so; the two that follow are refused and counted."""
    with serving(ip_api.IpApi(lasts_s=60)) as api, requests.Session() as session:
        answers = [session.get(f"{api.url}/json/198.18.7.1", timeout=30) for _ in range(47)]
    assert [answer.status_code for answer in answers] == [200] * 45 + [429] * 2
    assert [answer.headers["X-Rl"] for answer in answers] == [*map(str, range(44, -1, -1)), "0", "0"]
    assert answers[0].headers["X-Ttl"] == "60"
    assert api.early == 2


def test_a_batch_has_its_order_and_its_cap(ask):
    """More than a hundred are refused whole, without a word."""
    entries = ["127.0.0.1", {"query": "198.18.7.1"}]
    told = ask(ip_api.IpApi(), "/batch", method="POST", json=entries).json()
    assert [answer["query"] for answer in told] == ["127.0.0.1", "198.18.7.1"]
    refused = ask(ip_api.IpApi(), "/batch", method="POST", json=["127.0.0.1"] * 101)
    assert (refused.status_code, refused.content) == (422, b"")


def test_several_places_are_a_list_with_numbers_from_the_second_on(ask):
    """And the coordinates are nobody's."""
    told = ask(open_meteo.OpenMeteo(), WEATHER.format("2012-01-02", "47.61,40.71", "-122.33,-74.01")).json()
    assert [place.get("location_id") for place in told] == [None, 1]
    assert [place["latitude"] for place in told] != [47.61, 40.71]


@pytest.mark.parametrize(("days", "places", "cost"), [(14, 1, 1), (15, 1, 2), (366, 2, 54), (1461, 2, 210)])
def test_a_request_costs_by_places_and_days(days, places, cost):
    """Four years of two places cost more than any window has."""
    last = str(open_meteo.FIRST.fromordinal(open_meteo.FIRST.toordinal() + days - 1))
    query = {"latitude": ",".join(["1"] * places), "longitude": ",".join(["1"] * places), "daily": "precipitation_sum"}
    asked = open_meteo.Asked.read({**query, "start_date": "2012-01-01", "end_date": last})
    assert asked.cost == cost


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_503_after_the_position_moved_loses_a_page(fault):
    """Which the client cannot see from the 503."""
    with serving(crossref.Crossref(fault=fault)) as api:
        answers = [requests.get(f"{api.url}/works?rows=20", timeout=30)]
        answers += [requests.get(f"{api.url}/works", {"cursor": api.works.cursor}, timeout=30) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    first = answers[2].json()["message"]["items"][0]
    assert first == api.works.pages[1 if fault == "before" else 2][0]


def ask_model(api: openai_chat.ChatCompletions, text: str, key: str = openai_chat.KEY) -> requests.Response:
    asked = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return requests.post(
        f"{api.url}{openai_chat.PATH}", json=asked, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )


def test_every_kind_of_review_misbehaves_in_its_way():
    """The first and the second answer to one review of each kind."""
    seen: dict[openai_chat.Kind, list[str]] = {}
    with serving(openai_chat.ChatCompletions()) as api:
        for number in range(1000):
            if (kind := openai_chat.kind(f"review {number}")) not in seen:
                answers = [ask_model(api, f"review {number}") for _ in range(2)]
                seen[kind] = [content_of(answer) for answer in answers]
    assert {kind.name: said for kind, said in seen.items()} == {
        "PLAIN": ["{", "{"],
        "FENCED": ["```", "```"],
        "PROSE_ONCE": ["I", "{"],
        "PROSE_ALWAYS": ["I", "I"],
        "CUT_ONCE": ["length", "{"],
        "TOO_LARGE": ["rate_limit_exceeded", "rate_limit_exceeded"],
        "ERROR_ONCE": ["500", "{"],
        "EXTRA_KEY": ["reason", "reason"],
    }


def content_of(answer: requests.Response) -> str:
    told = answer.json()
    if "error" in told:
        return str(told["error"]["code"] or answer.status_code)
    choice = told["choices"][0]
    content = choice["message"]["content"]
    if choice["finish_reason"] == "length":
        return "length"
    return next(start for start in ("```", "I", "reason" if "reason" in content else "{") if start in content)


def test_a_budget_that_lacks_says_for_how_long():
    """Two budgets in the headers, the wait in English."""
    small = openai_chat.ChatCompletions(tokens_left=Bucket(30, 600.0))
    with serving(small) as api:
        answers = [ask_model(api, "a plain review") for _ in range(2)]
        assert ask_model(api, "a plain review", key="other").status_code == 401
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].headers["x-ratelimit-remaining-tokens"] == "10"
    assert "Please try again in 3m" in answers[1].json()["error"]["message"]


def test_a_window_counts_what_it_lets_through():
    """By cost; what does not fit is refused and costs nothing."""
    window = Window(5, 60)
    assert [window.admits(cost) for cost in (3, 3, 2, 1)] == [True, False, True, False]
    assert (window.filled, window.left) == ([5], 0)


@pytest.mark.parametrize(("seconds", "text"), [(0.0041, "5ms"), (8.64, "8.64s"), (64.2955, "1m4.296s"), (60, "1m0s")])
def test_durations_are_written_as_recorded(seconds, text):
    """Rounded up."""
    assert openai_chat.duration(seconds) == text


REFERENCES = [
    (worldbank.API, ["usa"], lambda: worldbank.expected(worldbank.recorded_series()[worldbank.USA])),
    (worldbank.API, ["mexico"], lambda: worldbank.expected(worldbank.recorded_series()[worldbank.MEXICO])),
    (crossref.API, ["main"], lambda: crossref.expected(crossref.recorded_works())),
    (usgs.API, ["main"], lambda: usgs.expected(usgs.recorded_events())),
    (usgs.API, ["minmag_4.5"], lambda: usgs.expected(usgs.recorded_events(), 4.5)),
    (ip_api.API, ["main"], lambda: ip_api.expected(ip_api.recorded_table())),
    (open_meteo.API, ["main"], lambda: open_meteo.expected(open_meteo.recorded_weather())),
    (openai_chat.API, ["labelled"], lambda: openai_chat.expected(openai_chat.recorded_reviews())),
    (
        datagovsg_v2.API,
        ["finished_days"],
        lambda: [
            record
            for day in (datagovsg_v2.FINISHED, datagovsg_v2.SHORTENED)
            for record in datagovsg_v2.expected(datagovsg_v2.recorded_feed(), day)
        ],
    ),
]


@pytest.mark.parametrize(("api", "where", "reference"), REFERENCES, ids=[f"{api}-{at[0]}" for api, at, _ in REFERENCES])
def test_the_references_of_our_tests_give_the_hashes_of_the_specification(api, where, reference):
    """So whoever equals the reference equals the recording."""
    told = recorded(api, "expected.json")
    for name in where:
        told = told[name]
    assert canonical_hash(reference()) == (told["records"], told["sha256"])


def test_generated_data_have_every_odd_shape():
    """Nulls, blanks, repeats, integers among fractions, more matches than the cap in a day."""
    works, table = crossref.expected(crossref.generated_works()), ip_api.expected(ip_api.generated_table())
    assert {None} < {record["issued_year"] for record in works} and 0 in {record["authors"] for record in works}
    assert None in {record["container"] for record in works}
    assert {record["error"] for record in table} == {None, "empty", *ip_api.FAILURES.values()}
    assert len({record["ip"] for record in table}) < len(table)
    reviews = openai_chat.generated_reviews()
    assert openai_chat.ids(reviews, openai_chat.Kind.PROSE_ALWAYS) and openai_chat.ids(
        reviews, openai_chat.Kind.TOO_LARGE
    )
    assert list(openai_chat.unlabelled(reviews))
    assert {type(event["properties"]["mag"]) for event in usgs.generated_events()} == {int, float}
