"""`[fetch.pages]`, bodies and record keys in a job file: what is wrong with them, and where."""

import pytest

from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint
from fetcher.template import Template

PAGED = ("[parse]", '[fetch.pages]\nkind = "cursor"\nnext = "meta.next"\n[parse]')
POSTED = ('query = { date = "{date}" }', 'method = "POST"\njson = { date = "{date}", pages = [1, "{date:%Y}"] }')


def pages(*lines):
    """The section, from line 8 on."""
    return ("[parse]", "\n".join(["[fetch.pages]", *lines, "[parse]"]))


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        (
            ['kind = "cursor"'],
            ["job.toml:8:8 fetch.pages: kind = 'cursor' needs next or next_header, which says where the answer has it"],
        ),
        (
            ['kind = "next_url"', 'next_header = "X"'],
            ["job.toml:8:8 fetch.pages: kind = 'next_url' needs next, which says where the answer has it"],
        ),
        (
            ['kind = "page"', 'size_parameter = "limit"'],
            ["job.toml:8:8 fetch.pages: size_parameter needs size, the number that is asked for"],
        ),
        (
            ['kind = "page"', "short_is_last = true"],
            ["job.toml:8:8 fetch.pages: short_is_last needs size: shorter than what?"],
        ),
        (
            ['kind = "offset"', 'first = "*"'],
            ["job.toml:8:8 fetch.pages: kind = 'offset' counts: first is a whole number, such as 0 or 1"],
        ),
        (
            ['kind = "page"', 'parametr = "p"', "  sise = 3"],
            [
                "job.toml:10:1 fetch.pages.parametr: unknown key; did you mean 'parameter'?",
                "job.toml:11:3 fetch.pages.sise: unknown key; did you mean 'size'?",
            ],
        ),
        (
            ['kind = "pages"'],
            [
                "job.toml:9:1 fetch.pages.kind: expected 'page', 'offset', 'cursor', 'next_url', 'link' or 'split', "
                "got 'pages'",
            ],
        ),
        (["size = 3", 'size_parameter = "n"'], ["job.toml:8:8 fetch.pages.kind: this key is required and missing"]),
        (
            ['kind = "page"', "most = 0", 'more = "a["', 'resume = "end"', 'parameter = ""'],
            ["job.toml:10:1", "job.toml:11:1", "job.toml:12:1", "job.toml:13:1"],
        ),
        (['kind = "link"', "first = -1"], ["job.toml:10:1 fetch.pages.first"] * 2),
        (
            ['kind = "page"', 'resume = "start"'],
            [
                "job.toml:13:2 write: fetch.pages.resume = 'start' asks again for what is there; "
                "key = ['id'] would tell it"
            ],
        ),
    ],
)
def test_a_fault_in_the_section_is_told_with_its_place(faults_of, lines, faults):
    """Line and column, the key, what was expected, and what was meant."""
    found = faults_of(pages(*lines))
    assert len(found) == len(faults), found
    for line, fault in zip(found, faults, strict=True):
        assert line.startswith(fault)


def test_a_body_needs_a_method_that_has_one(faults_of):
    """The place of the body, and both ways out."""
    (line,) = faults_of(("[parse]", "json = { a = 1 }\n[parse]"))
    assert line == (
        'job.toml:8:1 fetch.json: a GET has no body: say method = "POST", or put the values into fetch.query'
    )


def test_slots_of_a_body_are_checked_wherever_they_are(faults_of):
    """In tables and lists, with the place of the text."""
    (line,) = faults_of(('query = { date = "{date}" }', 'method = "POST"\njson.a = [{ b = "{dat}" }]'))
    assert line.startswith("job.toml:8:")
    assert "nothing fills {dat}" in line
    assert "did you mean '{date}'?" in line


@pytest.mark.parametrize("body", ["5", '"text"', "{ a = inf }", "{ a = 2024-01-01 }", '{ a = "{" }'])
def test_what_json_cannot_hold_is_no_body(faults_of, body):
    """Tables and lists of text, numbers and flags."""
    (line,) = faults_of(("[parse]", f'method = "POST"\njson = {body}\n[parse]'))
    assert "fetch.json" in line


def test_a_secret_in_a_body_is_filled_and_no_fault_shows_it(load, faults_of):
    """As in a header; its braces are no slots."""
    posted = ('query = { date = "{date}" }', 'method = "POST"\njson = { token = "${secret:TOKEN}" }')
    job = load(posted, environ={"TOKEN": "a{b}c"})
    token = job.fetch.json_["token"]
    assert isinstance(token, Template)
    assert token.fill_text({}) == "a{b}c"
    assert "a{b}c" in job.secrets


def test_what_is_asked_for_is_in_the_fingerprint(load):
    """Method, body and pages make other requests; the cap and the way to resume do not."""
    plain, posted, paged = load(), load(POSTED), load(PAGED)
    assert len({fetch_fingerprint(job) for job in (plain, posted, paged)}) == 3
    capped = load(("[parse]", PAGED[1].replace("[parse]", "most = 3\n[parse]")))
    assert fetch_fingerprint(capped) == fetch_fingerprint(paged)
    sized = load(("[parse]", PAGED[1].replace("[parse]", "size = 3\n[parse]")))
    assert fetch_fingerprint(sized) != fetch_fingerprint(paged)
    put = load((POSTED[0], POSTED[1].replace("POST", "PUT")))
    assert fetch_fingerprint(put) != fetch_fingerprint(posted)
    assert parse_fingerprint(posted) == parse_fingerprint(plain)
    keyed = load(("[write]", '[write]\nkey = ["id"]'))
    assert fetch_fingerprint(keyed) == fetch_fingerprint(plain)
    assert parse_fingerprint(keyed) != parse_fingerprint(plain)
