"""Templates: what a slot may be, what it is filled with, and how what is wrong is said."""

import subprocess
import sys
from datetime import date, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from fetcher.errors import Refused
from fetcher.model import Value
from fetcher.template import Slot, Template, can_be_slot, escape_braces

values = st.one_of(st.text(), st.integers(), st.booleans(), st.dates(), st.datetimes(), st.none())


@given(st.text())
def test_text_whose_braces_are_doubled_is_yielded_unchanged(text):
    """Escaping is the inverse of parsing: no text of a user is ever taken for a slot once it is escaped."""
    template = Template.parse(escape_braces(text))
    assert template.slots == ()
    assert template.fill_text({}) == text


@given(values)
def test_a_slot_that_is_the_whole_text_keeps_the_type_of_its_value(value):
    """`{name}` alone passes the value on as it is, None included."""
    filled = Template.parse("{name}").fill({"name": value})
    assert filled == value
    assert type(filled) is type(value)


@given(st.text())
def test_parsing_any_text_gives_a_template_or_a_message_with_a_column(text):
    """Whatever a job file holds, parsing answers with a template or with a ValueError that points at a column."""
    try:
        assert isinstance(Template.parse(text), Template)
    except ValueError as error:
        assert str(error).startswith("column ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2024, 2, 3), "2024-02-03"),
        (datetime(2024, 2, 3, 4, 5, 6), "2024-02-03T04:05:06"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        ("", ""),
    ],
)
def test_inside_text_a_value_reads_as_an_api_expects_it(value, text):
    """Dates are ISO 8601, booleans are true and false."""
    assert Template.parse("<{x}>").fill({"x": value}) == f"<{text}>"


def test_slots_are_named_once_in_the_order_of_the_text():
    """`slots` is what a row must offer, and `parts` where it goes."""
    template = Template.parse("/{b}/{a}/{b:%Y}")
    assert template.slots == ("b", "a")
    assert template.parts == ("/", Slot("b"), "/", Slot("a"), "/", Slot("b", "%Y"))


def test_a_date_takes_a_format():
    """`{date:...}` is strftime, of dates and datetimes; the format may hold a colon."""
    assert Template.parse("{d:%Y%m%d}").fill({"d": date(2024, 2, 3)}) == "20240203"
    assert Template.parse("{d:%H:%M}").fill({"d": datetime(2024, 2, 3, 4, 5)}) == "04:05"


@pytest.mark.parametrize("value", ["2024-01-01", 5, True, 1.5])
def test_a_format_for_anything_but_a_date_is_refused(value):
    """Text that looks like a date is text."""
    with pytest.raises(Refused, match=r"\{d:%Y\} in '/\{d:%Y\}' needs a date"):
        Template.parse("/{d:%Y}").fill({"d": value})


@pytest.mark.parametrize("row", [{}, {"station": None}])
def test_a_slot_without_a_value_refuses_the_row_and_says_which(row):
    """The message names the slot and its template, so that a person finds both."""
    with pytest.raises(Refused, match=r"\{station\} in '/v1/\{station\}' has no value"):
        Template.parse("/v1/{station}").fill(row)


def test_what_a_message_shows_is_the_source_and_never_the_text():
    """A template may hold a secret in its text; neither messages nor repr show it."""
    template = Template.parse("Bearer hunter2 {x}", source="Bearer ${secret:TOKEN} {x}")
    with pytest.raises(Refused) as caught:
        template.fill({})
    assert "hunter2" not in str(caught.value) + repr(template) + str(template)
    assert template.fill({"x": 1}) == "Bearer hunter2 1"
    assert template == Template.parse("Bearer hunter2 {x}")


@pytest.mark.parametrize("name", ["Review Text", "0", "a.b", "x-y", "größe", "2024 e.V", "_"])
def test_a_slot_is_named_as_a_column_is(name):
    """Letters, digits, '_', '-', '.' and blanks inside; a point asks for no attribute."""
    template = Template.parse(f"<{{{name}}}>")
    assert template.slots == (name,)
    assert template.fill({name: "x"}) == "<x>"
    assert can_be_slot(name)


@pytest.mark.parametrize(
    ("slot", "zone", "value", "filled"),
    [
        ("{d:epoch}", "UTC", date(2024, 1, 1), 1704067200),
        ("{d:epoch_ms}", "UTC", date(2024, 1, 1), 1704067200000),
        ("at {d:epoch}", "UTC", date(2024, 1, 1), "at 1704067200"),
        ("{d:iso_utc}", "Asia/Singapore", date(2024, 1, 1), "2023-12-31T16:00:00Z"),
        ("{d:iso_utc}", "Europe/Berlin", date(2024, 3, 31), "2024-03-30T23:00:00Z"),
        ("{d:iso_utc}", "Europe/Berlin", date(2024, 4, 1), "2024-03-31T22:00:00Z"),
        ("{d:iso_utc}", "Asia/Beirut", date(2024, 3, 31), "2024-03-30T22:00:00Z"),  # there is no midnight that day
        ("{d:iso_utc}", "America/Havana", date(2024, 11, 3), "2024-11-03T04:00:00Z"),  # there are two
        ("{d:iso_utc}", "UTC", datetime(2024, 1, 1, 6, tzinfo=ZoneInfo("Asia/Singapore")), "2023-12-31T22:00:00Z"),
    ],
)
def test_a_day_begins_at_the_midnight_of_its_zone(slot, zone, value, filled):
    """As seconds or milliseconds since 1970, which are numbers where they stand alone, or in UTC."""
    assert Template.parse(slot).in_zone(zone).fill({"d": value}) == filled


def test_only_dates_have_moments():
    """Text is no date, whatever it looks like."""
    with pytest.raises(Refused, match="needs a date, but 'd' is str"):
        Template.parse("{d:epoch}").fill({"d": "2024-01-01"})


def test_lists_and_tables_read_as_json():
    """What JSON holds in itself keeps its shape alone, and reads as JSON within text."""
    row: dict[str, Value] = {"tags": ["a", {"b": None}]}
    assert Template.parse("{tags}").fill(row) == ["a", {"b": None}]
    assert Template.parse("-{tags}").fill(row) == '-["a",{"b":null}]'


def test_only_filled_values_are_encoded():
    """A path's own slashes stay; a slash in a value becomes %2F and cannot add a level."""
    template = Template.parse("/v1/{station}/x y")
    assert template.fill_text({"station": "../a b"}, lambda text: quote(text, safe="")) == "/v1/..%2Fa%20b/x y"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/{row[0]}", "column 2: '{row[0]}' is not a slot: only a name"),
        ("{.x}", "column 1: '{.x}' is not a slot"),
        ("{x-}", "column 1: '{x-}' is not a slot"),
        ("{a\tb}", "column 1: '{a\tb}' is not a slot"),
        ("{open('x')}", "column 1: '{open('x')}' is not a slot"),
        ("{ date }", "column 1: '{ date }' is not a slot"),
        ("{x!r}", "column 1: '{x!r}' has a conversion"),
        ("{x:>10}", "column 1: '{x:>10}' has a format that is not a date's"),
        ("{x:}", "column 1: '{x:}' has a format that is not a date's"),
        ("{x:%Q}", "column 1: '{x:%Q}' has the unknown date format '%Q'"),
        ("{x:%}", "column 1: '{x:%}' has the unknown date format '%'"),
        ("ab{}", "column 3: '{}' names nothing"),
        ("ab{x", "column 3: '{' is never closed"),
        ("ab}", "column 3: '}' closes nothing"),
    ],
)
def test_anything_but_a_name_or_a_date_format_is_an_error(text, message):
    """A template is data from a stranger: no attributes, indexes, calls or conversions."""
    with pytest.raises(ValueError) as caught:
        Template.parse(text)
    assert str(caught.value).startswith(message)


def test_a_template_is_a_field_of_a_model():
    """Models read templates from text, report what is wrong, and describe them as strings."""

    class Model(BaseModel):
        url: Template

    assert Model.model_validate({"url": "/{x}"}).url == Template.parse("/{x}")
    assert Model.model_json_schema()["properties"]["url"]["type"] == "string"
    assert Model.model_validate({"url": "/{x}"}).model_dump_json() == '{"url":"/{x}"}'
    for wrong in ("{x[y]}", 5):
        with pytest.raises(ValidationError):
            Model.model_validate({"url": wrong})


@pytest.mark.parametrize("module", ["fetcher.template", "fetcher.job.units"])
def test_what_workers_import_does_not_cost_pydantic(module):
    """Templates and units are used where a job file is not read; pydantic's import is a good part of a start."""
    code = f"import sys, {module}; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
