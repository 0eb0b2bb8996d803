"""What of a request goes into a job file, and what must not."""

import tomllib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.draft.asked import Asked, asked_of
from fetcher.draft.credentials import owner
from fetcher.draft.curl import asked_by
from fetcher.draft.init import Telling, asked_from, draft, loaded
from fetcher.draft.request import drafted, job_name

NOW = 1_717_200_000.0  # 2024-06-01
TELLING = Telling("job.toml", {}, NOW)
TEXTS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1, max_size=12
)


def query_of(url: str) -> dict[str, str]:
    return {name: text.source for name, text in drafted(asked_of(url)).query.items()}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("date=2024-01-05", "{date:%Y-%m-%d}"),
        ("date=20240105", "{date:%Y%m%d}"),
        ("date=2024/01/05", "{date:%Y/%m/%d}"),
        ("date=2024-01-05T00:00:00Z", "{date:%Y-%m-%d}T00:00:00Z"),
        ("date=2024-13-05", "2024-13-05"),
        ("date=120240105", "120240105"),
        ("date={2024}", "{{2024}}"),
    ],
)
def test_a_day_becomes_a_slot(query, found):
    """In the format that it had; what is no day stays, its braces escaped."""
    assert query_of(f"x.org/?{query}") == {"date": found}


def test_two_days_become_a_window():
    """The earlier one begins it; a third day between them stays what it was."""
    asked = asked_of("x.org/2024-01-01/?to=2024-01-07&mid=2024-01-03&also=20240101")
    request = drafted(asked)
    assert request.url.source == "/{start:%Y-%m-%d}/"
    assert [text.source for text in request.query.values()] == ["{end:%Y-%m-%d}", "2024-01-03", "{start:%Y%m%d}"]
    assert request.days and request.days.every == 7


def test_secrets_are_named_after_whose_they_are_and_what():
    """Equal values share a name, unequal ones do not; a variable that was told keeps its own."""
    command = (
        "curl 'https://api.example.org/?api_key=k1&token=t2&page_token=p3&sig=$SIG' -H 'X-Api-Key: k1' "
        """-H 'Authorization: Bearer b4' --json '{"client_secret": "c5", "max_tokens": 6}'"""
    )
    request = drafted(asked_by(command, {}))
    assert {name: text.source for name, text in request.query.items()} == {
        "api_key": "${secret:EXAMPLE_KEY}",
        "token": "${secret:EXAMPLE_TOKEN}",
        "page_token": "p3",
        "sig": "${secret:SIG}",
    }
    assert {name: text.source for name, text in request.headers.items()} == {
        "X-Api-Key": "${secret:EXAMPLE_KEY}",
        "Authorization": "Bearer ${secret:EXAMPLE_TOKEN_2}",
        "Accept": "application/json",
    }
    assert request.hidden.values == {
        "EXAMPLE_KEY": "k1",
        "EXAMPLE_TOKEN": "t2",
        "SIG": "",
        "EXAMPLE_TOKEN_2": "b4",
        "EXAMPLE_SECRET": "c5",
    }
    assert "c5" not in draft(asked_by(command, {}), TELLING)


@pytest.mark.parametrize("told", ["YOUR_API_KEY", "<token>", "{api_key}", "xxxx", "***", "your-key-here", "$KEY"])
def test_a_stand_in_of_documentation_is_no_secret(told):
    """Only its name is known then, so nothing is asked with it."""
    assert list(drafted(asked_of(f"x.org/?api_key={quote(told)}")).hidden.values.values()) == [""]


@given(TEXTS, st.sampled_from(["header", "query", "json", "user", "cookie"]))
def test_no_secret_is_in_a_draft_and_every_draft_loads(secret, place):
    """Wherever a credential stood, whatever it is made of."""
    secret = f"S{secret}9Z"
    asked = Asked("https://api.example.org", "/v1", method="POST", json={"a": 1})
    match place:
        case "header":
            asked.headers = [("Authorization", f"Bearer {secret}"), ("X-Api-Key", secret)]
        case "query":
            asked.query = [("apikey", secret)]
        case "json":
            asked.json = {"in": [{"password": secret}]}
        case "user":
            asked.user = f"me:{secret}"
        case "cookie":
            asked.headers = [("Cookie", f"sid={secret}")]
    text = draft(asked, TELLING)
    assert secret not in text
    hidden = drafted(asked).hidden
    assert secret in hidden.values.values() or place in ("user", "cookie")
    assert loaded(text, hidden.values).secrets == set(hidden.values.values())


@given(st.text(max_size=20), st.dictionaries(TEXTS, st.text(max_size=20), max_size=4))
def test_whatever_is_asked_the_draft_is_toml_that_loads(text, query):
    """Quotes, braces, control characters and other scripts in names and values; `${` alone is for a person to mend."""
    asked = Asked("https://api.example.org", "/v1", [(name, value.replace("$", "")) for name, value in query.items()])
    asked.method, asked.json = "POST", {"text": text.replace("$", ""), "list": [1, 2.5, True, None, {"x": None}]}
    asked.query = [(name.replace("$", "S"), value) for name, value in asked.query]
    hidden = drafted(asked).hidden
    made = draft(asked, TELLING)
    assert (
        loaded(made, {**dict.fromkeys(hidden.values, "-"), **{k: v for k, v in hidden.values.items() if v}}).name
        == "api-example-org"
    )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.example.org/v1/air-temperature", "air-temperature"),
        ("https://api.example.org/v1/Works/2024-01-01/json", "works"),
        ("https://api.example.org/", "api-example-org"),
        ("https://api.example.org/2.0/", "api-example-org"),
    ],
)
def test_a_job_is_called_after_what_it_asks_for(url, name):
    """The last part of the path that names something."""
    assert job_name(asked_of(url)) == name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.example.org", "EXAMPLE"),
        ("api.data.gov.sg", "GOV"),
        ("127.0.0.1", "API"),
        ("localhost", "API"),
        ("x-y.com", "X_Y"),
    ],
)
def test_a_secret_is_called_after_its_api(host, name):
    """What stands in the host beside `api`, `www` and the like."""
    assert owner(host) == name


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("-d 'day=2024-01-01&token=abc'", 'form = { day = "{date:%Y-%m-%d}", token = "${secret:API_TOKEN}" }'),
        ("-H 'content-type: text/csv' -d 'a,{b}'", 'text = "a,{{b}}"'),
        ("-F a=1 -F 'day=2024-01-01'", 'multipart = { a = "1", day = "{date:%Y-%m-%d}" }'),
        (
            """--json '{"query": "query Q { a }", "variables": {"d": "2024-01-01"}, "operationName": "Q"}'""",
            'graphql = { query = "query Q { a }", variables = { d = "{date:%Y-%m-%d}" }, operation = "Q" }',
        ),
        ("""--json '{"query": "words to look for"}'""", 'json = { query = "words to look for" }'),
    ],
)
def test_every_kind_of_body_becomes_its_own_key(command, line):
    """And the job loads: nothing is left to mend."""
    text = draft(asked_by(f"curl http://127.0.0.1/v1/x {command}", {}), TELLING)
    assert line in text
    assert "To be mended" not in text


def test_what_a_job_cannot_say_is_noted():
    """A name that comes twice, null."""
    request = drafted(asked_by("""curl 'x.org?a=1&a=2' --json '{"a": null, "b": 1}'""", {}))
    assert [note.partition(" ")[0] for note in request.notes] == ["the", "null"]
    assert request.body == {"json": {"b": 1}}
    with pytest.raises(ValueError, match="the method TRACE"):
        drafted(asked_by("curl -X TRACE x.org", {}))


PIECES = st.sampled_from((
    "curl", " ", "'", '"', "-H", "-d", "--json", "-X", "POST", "-u", "a:b", "x.org/", "?k=", "&", "$X", "{", "}", "@",
    "Authorization: Bearer \n", '{"a": 1}', "2024-01-01", "20240101", "\\\n", "$'\\n'", "--url", "\x7f", "#", "\n[x]\n",
))  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_whatever_is_pasted_becomes_toml_or_an_error_of_one_line(pasted):
    """Nothing in it gets out of its text or its comment."""
    for command in (f"curl {pasted}", pasted, f"curl x.org/ -H '{pasted}' -d a"):
        try:
            text = draft(asked_from(command, {}), TELLING)
        except ValueError as error:
            assert str(error)
        else:
            assert tomllib.loads(text).keys() <= {"name", "read", "fetch", "parse", "write"}
