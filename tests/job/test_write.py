"""`[write.tables.NAME]` in a job file: what is wrong with it, and where."""

import pytest

from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint

STATIONS = (
    'folder = "../data"\n',
    'folder = "../data"\n[write.tables.stations]\nrecords = "stations[]"\nkey = ["id"]\n',
)


def tables(*lines):
    """The end of the file, from line 12 on."""
    return ('folder = "../data"\n', "\n".join(['folder = "../data"', *lines, ""]))


def test_a_table_has_its_records_and_its_key(load):
    """Under its name; without one there is none."""
    assert load().write.tables == {}
    (name, table), *others = load(STATIONS).write.tables.items()
    assert (name, table.records, table.key, others) == ("stations", "stations[]", ("id",), [])


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("records", "'records' is the name of other files of the job; give the table another one"),
        ("Manifest", "'Manifest' is the name of other files of the job; give the table another one"),
        ("failures", "'failures' is the name of other files of the job; give the table another one"),
        ("report", "'report' is the name of other files of the job; give the table another one"),
        (
            "a.b",
            "expected a name of letters, digits, '_' and '-', at most 64 of them, such as 'stations', got 'a.b'",
        ),
        (
            "../up",
            "expected a name of letters, digits, '_' and '-', at most 64 of them, such as 'stations', got '../up'",
        ),
    ],
)
def test_a_name_that_files_cannot_have_is_refused(faults_of, name, fault):
    """Nor may it be the name of files that every job has."""
    (found,) = faults_of(tables(f'[write.tables."{name}"]', 'records = "x[]"'))
    assert found.startswith("job.toml:12:")
    assert found.endswith(fault)


@pytest.mark.parametrize("name", ["stations", "a", "0-1", "_x", "x" * 64])
def test_names_of_letters_digits_and_strokes_are_good(load, name):
    """As file names are."""
    assert list(load(tables(f'[write.tables."{name}"]', 'records = "x[]"')).write.tables) == [name]


def test_names_that_differ_in_case_alone_are_refused(faults_of):
    """Some file systems would give both the same file."""
    lines = ["[write.tables.units]", 'records = "x[]"', "[write.tables.Units]", 'records = "y[]"']
    (found,) = faults_of(tables(*lines))
    assert found.endswith(
        "'units' and 'Units' differ in upper and lower case alone, and some file systems do not see it"
    )


def test_what_is_missing_or_mistyped_is_told_with_its_place(faults_of):
    """All at once."""
    assert faults_of(tables("[write.tables.stations]", 'recrods = "x[]"')) == [
        "job.toml:12:15 write.tables.stations.records: this key is required and missing",
        "job.toml:13:1 write.tables.stations.recrods: unknown key; did you mean 'records'?",
    ]


def test_a_table_is_part_of_what_is_parsed_and_not_of_what_is_asked(load):
    """Another path is another parse part; a job without tables has the fingerprint that it always had."""
    plain, with_table = load(), load(STATIONS)
    other = load(STATIONS, ("stations[]", "station[]"))
    assert len({fetch_fingerprint(job) for job in (plain, with_table, other)}) == 1
    assert len({parse_fingerprint(job) for job in (plain, with_table, other)}) == 3
    assert parse_fingerprint(plain) == "5a7573e3c7112e4a2191dc7580adf53089f450702b7d83616ba9c706b55e728b"


SENT_ONCE = ("[fetch]\n", '[fetch]\nmethod = "POST"\n')


@pytest.mark.parametrize("keep", ["none", "http"])
def test_in_the_order_of_the_rows_answers_that_cannot_be_had_again_are_kept(faults_of, load, keep):
    """They wait for those of earlier rows, and a run may end meanwhile."""
    ordered = ('folder = "../data"\n', 'folder = "../data"\norder = "input"\n')
    (found,) = faults_of(ordered, SENT_ONCE, overrides=[f"fetch.cache.keep='{keep}'"])
    assert "order = 'input' has answers wait for those of earlier rows" in found
    for free in (
        "fetch.cache.keep='forever'",
        "fetch.idempotency_key=true",
        "fetch.on_unknown='retry'",
        "write.order='any'",
    ):
        overrides = [f"fetch.cache.keep='{keep}'", free]
        assert load(ordered, SENT_ONCE, overrides=overrides).fetch.method == "POST"
    assert load(ordered, overrides=[f"fetch.cache.keep='{keep}'"]).write.order == "input"
