"""`[parse]` in a job file: what is wrong with it, and where."""

import hashlib
import json
import sys

import pytest

from fetcher.job import parse_fingerprint
from fetcher.job.fields import Way, parse_source, parse_way
from fetcher.job.shapes import ShapeSection
from fetcher.parse.from_job import parsing_of
from fetcher.parse.markup import Xml
from fetcher.parse.tabular import Csv
from fetcher.template import Template

RECORDS = 'records = "items[].readings[]"'


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('fields = { a = "x[" }', "9:12 parse.fields.a: expected a path such as 'readings[0].value'"),
        ('fields = { a = "^^.lenght(x)" }', "9:12 parse.fields.a: expected a path"),
        ('fields = { a = "{dat}" }', "9:12 parse.fields.a: nothing fills {dat}: the rows offer {date}"),
        ("fields = { a = [1] }", "9:12 parse.fields.a: expected a path such as"),
        ('types = { a = "integer" }', "9:11 parse.types.a: expected a type such as 'int', got 'integer'"),
        ('types = { a = "int %d" }', "9:11 parse.types.a: expected a type such as 'int', got 'int %d'; only"),
        ('types = { a = "date d.m.Y" }', "9:11 parse.types.a: expected a format such as 'date %d.%m.%Y'"),
        ("null = [[1]]", "9:1 parse.null: expected texts, numbers or flags, got a list"),
        ("null = { a = nan }", "9:1 parse.null: expected texts, numbers or flags, got nan"),
        ("trim = 5", "9:1 parse.trim: expected the name of a field, got 5"),
        ('names = ["a", "a"]', "9:1 parse.names: expected names that are all different"),
        ('key_into = ""', "9:1 parse.key_into: expected the name of a field"),
        ('extract = { a = "(" }', "9:13 parse.extract.a: expected a regular expression such as '^date', got '('"),
        ('columns = true\nnames = ["a"]', "8:2 parse: expected one of 'columns', 'names' and 'key_into', got"),
        ('others = "keep"', "8:2 parse: others = 'keep' needs fields"),
        ('fill = { by = "n", time = "t" }', "9:1 parse.fill: end and time need start and step"),
        (
            'fill = { by = "n", last = "a", end = "b", start = "c", step = "d" }',
            "9:1 parse.fill: expected either",
        ),
        ('format = "yaml"', "9:1 parse.format: expected 'json', 'ndjson', 'csv', 'xml', 'text' or 'bytes', got 'yaml'"),
        ("csv = { skip = 1 }", "8:2 parse: 'csv' is for format = 'csv', and format is 'json'"),
        ('members = "*"', "8:2 parse: 'members' is for unpack = 'zip', and unpack is 'none'"),
        ('format = "text"\npattern = "a"', "8:2 parse: pattern needs named groups such as '(?P<value>[0-9]+)'"),
        ('format = "csv"\ncsv = { delimiter = ";;" }', "10:9 parse.csv.delimiter: expected one character such as ';'"),
        (
            'format = "csv"\ncsv = { delimeter = ";" }',
            "10:9 parse.csv.delimeter: unknown key; did you mean",
        ),
        ('format = "xml"\nxml = { elements = "//" }', "10:1 parse.xml: elements is no XPath: "),
        ('format = "xml"\nxml = { elements = "//e:a" }', "10:1 parse.xml: elements is no XPath: Undefined"),
        ('encoding = "martian"', "9:1 parse.encoding: expected a charset such as 'utf-8'"),
        ("max_unpacked = 5", "9:1 parse.max_unpacked: expected a size such as '64 MB'"),
        ('expect = { types = { a = "integer" } }', "9:22 parse.expect.types.a: expected a type such as 'number'"),
        ('expect = { requird = ["a"] }', "9:12 parse.expect.requird: unknown key; did you mean 'required'?"),
    ],
)
def test_a_fault_in_the_section_is_told_with_its_place(faults_of, lines, fault):
    """Line and column, the key, what was expected, and what was meant."""
    (line,) = faults_of((RECORDS, f"{lines}\n{RECORDS}"))
    assert line.startswith(f"job.toml:{fault}")


@pytest.mark.parametrize("form", ["csv", "ndjson", "xml", "text", "bytes"])
def test_what_is_a_list_of_records_needs_no_path(load, form):
    """Only JSON says nothing of where its records are."""
    assert load((RECORDS, f'format = "{form}"')).parse.records is None


def test_nothing_shapes_what_a_function_yields(faults_of, tmp_path):
    """A key that would do nothing is a fault."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "f.py").write_text("def g(body, row): ...\n")
    (line,) = faults_of((RECORDS, 'function = "f.py:g"\ntypes.a = "int"'))
    assert line == "job.toml:8:2 parse: 'types' does nothing beside 'function'; a function does the whole work"


def test_a_missing_extra_is_named_with_the_place(faults_of, monkeypatch):
    """Before any request: exit 78."""
    monkeypatch.setitem(sys.modules, "lxml", None)
    (line,) = faults_of((RECORDS, f'format = "xml"\n{RECORDS}'))
    assert line.startswith("job.toml:9:1 parse.format: format = 'xml' needs the package lxml: pip install 'polite-")


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("a.b[0]", Way("a.b[0]")),
        ("^.a", Way("a", 1)),
        ("^^ . a", Way("a", 2)),
        ("^", Way("@", 1)),
        ("#", Way("")),
        ("^#", Way("", 1)),
        ("^[0].x", Way("[0].x", 1)),
        ("{a: b, c: d}", Way("{a: b, c: d}")),
        ("'text'", Way("'text'")),
        (5, 5),
        (True, True),
        (0.5, 0.5),
    ],
)
def test_a_source_is_a_path_or_a_constant(written, source):
    """JMESPath's own braces have a colon and no percent sign behind it, so they are no slots."""
    assert parse_source(written) == source


@pytest.mark.parametrize("written", ["{name}", "{date:%Y-%m}", "a {b} c"])
def test_a_source_with_a_slot_is_a_template(written):
    """Filled from the row."""
    assert parse_source(written) == Template.parse(written)


@pytest.mark.parametrize("written", ["", " ", None, "^.", "a[", float("nan")])
def test_what_is_neither_is_refused(written):
    """Except that `^.` alone is what is round the record, whole."""
    if written == "^.":
        assert parse_way(written) == Way("@", 1)
    else:
        with pytest.raises(ValueError, match="expected a path"):
            parse_source(written)


def test_a_worker_is_told_what_the_job_says(load):
    """Each key arrives; what reads the job file does not."""
    lines = """
        format = "csv"
        unpack = "zip"
        members = "*.csv"
        encoding = "latin-1"
        csv = { delimiter = ";", skip = 2, comment = "#", names = ["a", "b"] }
        null = { a = [-999] }
        expect = { least = 1 }
    """
    job = load((RECORDS, lines))
    told = parsing_of(job.parse, ("id",), None)
    assert (told.format.name, told.format.encoding, told.key) == ("csv", "iso8859-1", ("id",))
    assert told.format.csv == Csv(delimiter=";", skip=2, comment="#", names=("a", "b"))
    assert (told.packing.kind, told.packing.members, told.packing.most_bytes) == ("zip", "*.csv", 256_000_000)
    assert told.null_of == (("a", (-999,)),)
    assert told.expected
    assert told.expected.least == 1
    xml = load((RECORDS, 'format = "xml"\nxml = { elements = "//e:a", namespaces = { e = "urn:e" } }'))
    assert parsing_of(xml.parse, (), None).format.xml == Xml("//e:a", (("e", "urn:e"),))


@pytest.mark.parametrize(
    "lines",
    [
        'fields = { a = "b" }',
        'fields = { a = "{date}" }',
        'types = { a = "int" }',
        "null = [1]",
        "columns = true",
        'unpack = "gzip"',
        'encoding = "latin-1"',
        "expect = { least = 1 }",
        'fill = { by = "n" }',
    ],
)
def test_what_changes_records_changes_the_fingerprint(load, lines):
    """Kept answers are parsed again; and each key counts by its value."""
    plain = parse_fingerprint(load())
    assert parse_fingerprint(load((RECORDS, f"{RECORDS}\n{lines}"))) != plain
    assert parse_fingerprint(load((RECORDS, f"{RECORDS}\nfields.a = 'x'"))) != parse_fingerprint(
        load((RECORDS, f"{RECORDS}\nfields.a = 'y'"))
    )


def test_what_changes_no_record_changes_no_fingerprint(load):
    """Nor does a key that says what would be so anyway: folders of earlier versions stay as they are."""
    plain = load()
    aside = 'max_unpacked = "1 GB"\nmax_ratio = 9\ntimeout = "1 s"\nworkers = 2'
    lines = f'{aside}\nothers = "drop"\nunpack = "none"\nnull = []'
    assert parse_fingerprint(load((RECORDS, f"{RECORDS}\n{lines}"))) == parse_fingerprint(plain)
    digest = json.dumps({"format": "json", "records": "items[].readings[]"}, sort_keys=True)
    assert parse_fingerprint(plain) == hashlib.sha256(digest.encode()).hexdigest()


def test_a_new_secret_in_a_field_is_no_new_parser(load):
    """As in a request: a value that is secret is in no fingerprint."""
    field = (RECORDS, f"{RECORDS}\nfields.a = '${{secret:S}} {{date}}'")
    first, second = (load(field, environ={"S": value}) for value in ("abc", "def"))
    assert parse_fingerprint(first) == parse_fingerprint(second)


def test_tables_beside_the_main_one_have_the_same_keys(load):
    """Told to a worker by their names, with their keys, and the lists that their paths take for such."""
    job = load((RECORDS, 'format = "xml"'))
    stations = ShapeSection(records="all.station[]", fields={"id": '"@id"'})
    told = parsing_of(job.parse, ("id",), None, {"stations": (stations, ("id",))})
    ((name, shape),) = told.tables
    assert (name, shape.records, shape.key, shape.fields[0].name) == ("stations", "all.station[]", ("id",), "id")
    assert told.format.lists == {"station"}


def test_slots_in_the_fields_of_any_table_are_checked(faults_of):
    """With the place of the field."""
    (line,) = faults_of(("[write]", '[write.tables.stations]\nrecords = "s"\nfields = { day = "{dat}" }\n[write]'))
    assert "write.tables.stations.fields.day: nothing fills {dat}" in line
    assert "did you mean '{date}'?" in line
