"""Functions of many records at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.annotate.frames import ByFrame, frame_of, values_for
from fetcher.annotate.steps import Step, annotate_each, annotated
from fetcher.errors import JobError, Quarantined
from fetcher.parse.exact import Exact
from fetcher.provenance import Origin

SOURCE = """
import pandas as pd

def score(frame):
    return {expression}
"""


@pytest.fixture
def by(tmp_path):
    """`by(expression)`: a function of `frame` that gives this."""
    made = iter(range(100))

    def written(expression):
        file = tmp_path / f"labels{next(made)}.py"
        file.write_text(SOURCE.format(expression=expression))
        return ByFrame(str(file), "score")

    return written


def texts(*values):
    return [{"text": value} for value in values]


def told(found):
    """What was found, failures as their text."""
    return [str(value) if isinstance(value, Quarantined) else value for value in found]


@pytest.mark.parametrize(
    "expression",
    [
        "frame['text'].str.len()",
        "frame['text'].str.len().tolist()",
        "tuple(frame['text'].str.len())",
        "frame['text'].str.len().to_numpy()",
        "frame['text'].str.len().astype('Int64').array",
        "pd.Index(frame['text'].str.len())",
        "frame['text'].str.len().sample(frac=1, random_state=1)",
        "frame.sort_values('text')['text'].str.len()",
    ],
)
def test_a_value_for_each_record_in_their_order(by, expression):
    """A series that was sorted tells by its index whose its values are."""
    found = values_for(by(expression), texts("ccc", "a", "bb", ""))
    assert found == [3, 1, 2, 0]
    assert all(type(value) is int for value in found)


def test_a_frame_gives_fields_for_each_record(by):
    """Its columns are their names."""
    step = Step(by("pd.DataFrame({'n': frame['text'].str.len(), 'b': frame['text'] == 'a'}).iloc[::-1]"))
    assert [*annotated((step,), texts("a", "bb"))] == [
        {"text": "a", "n": 1, "b": True},
        {"text": "bb", "n": 2, "b": False},
    ]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.one_of(st.text(), st.none(), st.integers(), st.booleans(), st.floats(allow_nan=False)),
        ),
        max_size=6,
    )
)
@example([{"a": 0}, {"a": False}])
def test_a_record_looks_the_same_alone_and_among_others(records):
    """All is text, whatever its neighbours hold or lack: which of them share a frame is chance."""
    seen = []
    alone = [frame_of([record]).to_dict("records") for record in records if record]
    for record in records:
        if record:
            same = [other for other in records if tuple(other) == tuple(record)]
            (place,) = [place for place, other in enumerate(same) if other is record]  # {"a": False} equals {"a": 0}
            seen.append([frame_of(same).to_dict("records")[place]])
    assert repr(seen) == repr(alone)
    assert all(type(value) is str for (cells,) in alone for value in cells.values())


def test_cells_are_text_as_in_json():
    """No digit is lost, nothing becomes NA, and provenance is no field of the table."""
    record: dict[str, object] = {
        "id": "007",
        "na": "NA",
        "none": None,
        "n": 1.5,
        "big": 2**63,
        "on": True,
        "tags": ["a", 1, Exact("1.00")],
        "exact": Exact("12345678901234567890.10"),
        "_provenance": {},
    }
    (cells,) = frame_of([record]).to_dict("records")
    assert cells == {
        "id": "007",
        "na": "NA",
        "none": "",
        "n": "1.5",
        "big": "9223372036854775808",
        "on": "true",
        "tags": '["a",1,1.00]',
        "exact": "12345678901234567890.10",
    }


def test_columns_are_the_same_with_every_pandas():
    """Its own type for text has other values for nothing, and other patterns, by version and by what is installed."""
    assert frame_of(texts("a", "")).dtypes.to_dict() == {"text": object}


def test_records_with_other_fields_are_other_frames(by):
    """None gets a column that it has not, and each keeps its place."""
    records = [{"a": "1"}, {"a": "1", "b": "2"}, {"a": "3"}, {"b": "4"}]
    assert values_for(by("[len(frame.columns)] * len(frame)"), records) == [1, 2, 1, 1]
    assert told(values_for(by("frame['a']"), records))[3].startswith("score raised KeyError: 'a'")


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_only_the_guilty_fail(tmp_path_factory, are_guilty):
    """Whatever number of them shares a frame, and whether it raises or gives what JSON cannot hold."""
    file = tmp_path_factory.mktemp("jobs") / "labels.py"
    for expression in ("frame['text'].astype(int)", "pd.to_numeric(frame['text'], errors='coerce')"):
        file = file.with_name(f"{file.stem}_.py")
        file.write_text(SOURCE.format(expression=expression))
        found = values_for(ByFrame(str(file), "score"), texts(*("x" if guilty else "7" for guilty in are_guilty)))
        assert [isinstance(value, Quarantined) for value in found] == are_guilty
        assert all(type(value) is int for value in found if not isinstance(value, Quarantined))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("[float('nan')]", "score gave nan, which JSON cannot hold: give None, or fill it"),
        ("[float('inf')]", "score gave inf, which JSON cannot hold: give None"),
        ("[[1, {'a': float('nan')}]]", "score gave nan, which"),
        ("[pd.NA]", "score gave <NA>, which JSON cannot hold: give None, or fill it"),
        ("pd.to_datetime(pd.Series(['']))", "score gave NaT, which JSON cannot hold"),
        (
            "pd.to_datetime(pd.Series(['2024-01-01']))",
            "score gave a value of type Timestamp, which JSON cannot hold exact",
        ),
        ("pd.to_datetime(pd.Series(['2024-01-01'])).to_numpy()", "score gave a value of type Timestamp"),
        ("[pd.Timestamp('2024-01-01').to_datetime64()]", "score gave a value of type datetime64"),
        ("[pd.Timedelta('1 s')]", "score gave a value of type Timedelta"),
        ("[frame]", "score gave a value of type DataFrame"),
        ("3", "score gave a value of type int, expected a Series, a DataFrame, an array or a list"),
        ("{'a': [1]}", "score gave a value of type dict, expected a Series"),
        ("'x'", "score gave a value of type str, expected a Series"),
        ("None", "score gave a value of type NoneType, expected a Series"),
        ("[1, 2]", "score gave 2 values for a frame of 1 record, expected a Series"),
        ("frame[frame['text'] == '']", "score gave 0 values for a frame of 1 record"),
        ("frame.set_index('text').assign(a=1)['a']", "score gave a Series with another index than that of its frame"),
        ("pd.DataFrame([[1]])", "score gave a DataFrame with the column 0, expected names that are texts"),
        ("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "score gave a DataFrame with the column 'a', expected names"),
        ("frame['none']", "score raised KeyError: 'none' ("),
    ],
)
def test_what_cannot_be_a_value_is_told(by, expression, said):
    """What came, and what to do; nothing becomes something else on its way into JSON."""
    (found,) = values_for(by(expression), texts("x"))
    assert isinstance(found, Quarantined)
    assert str(found).startswith(said)


@pytest.mark.parametrize(
    ("expression", "came"),
    [
        ("[frame['text'].str.len().mean()]", "1 value for a frame of 5 records, and 1 and 1 for its halves"),
        ("frame['text'].str.len().agg(['sum'])", "1 value for a frame of 5 records, and 1 and 1 for its halves"),
        ("frame[['text']].head(1)", "1 value for a frame of 5 records, and 1 and 1 for its halves"),
        ("frame['text'].drop_duplicates()", "3 values for a frame of 5 records, and 1 and 3 for its halves"),
        ("frame['text'].tolist() * len(frame)", "25 values for a frame of 5 records, and 4 and 9 for its halves"),
    ],
)
def test_a_function_that_gives_no_value_for_each_record_is_the_jobs_fault(by, expression, came):
    """It would look as if it did, once each record is alone."""
    function = by(expression)
    with pytest.raises(JobError) as caught:
        values_for(function, texts("a", "a", "bb", "ccc", "a"))
    expected = "expected a Series, a DataFrame, an array or a list, with a value for each record"
    assert str(caught.value).startswith(f"{function.file} score gave {came}; {expected}")


def test_a_function_that_leaves_records_out_costs_these_alone(by):
    """It gives for a frame as many values as for its halves."""
    found = told(values_for(by("frame[frame['text'] != '']['text'].str.len()"), texts("a", "", "ccc", "", "")))
    assert [found[0], found[2]] == [1, 3]
    assert all("gave 0 values for a frame of 1 record" in found[place] for place in (1, 3, 4))


def test_an_exception_inside_of_pandas_is_told_by_the_line_of_the_function(by):
    """The traceback has the rest."""
    (found,) = values_for(by("frame['no such column'].str.len()"), texts("a"))
    assert isinstance(found, Quarantined)
    assert str(found) == "score raised KeyError: 'no such column' (labels0.py, line 5)"
    assert "pandas" in found.trace


def test_an_exception_has_its_traceback(by):
    """With the function's own line."""
    (found,) = values_for(by("1 / 0"), texts("x"))
    assert isinstance(found, Quarantined)
    assert "line 5, in score" in found.trace


def test_numbers_of_numpy_are_numbers(by):
    """Also within lists and dicts; None is null."""
    found = values_for(
        by("[{'a': [row.n, pd.Series([True])[0]], 'b': None} for row in frame.assign(n=2).itertuples()]"), texts("x")
    )
    assert found == [{"a": [2, True], "b": None}]
    assert values_for(by("pd.Series([None, 'a'], dtype=object)"), texts("x", "y")) == [None, "a"]


def test_conditions_hold_for_each_record(by):
    """`when` and `only_empty` leave records out of the frame."""
    steps = (Step(by("[len(frame)] * len(frame)"), "n", when="text != 'out'", only_empty=True),)
    told = (("in", ""), ("out", None), ("in", 7), ("in", None))
    records: list[dict[str, object]] = [{"text": text, "n": n} for text, n in told]
    assert [record["n"] for record in annotated(steps, records)] == [2, None, 7, 2]
    assert annotate_each(steps, records) == {}
    assert [record["n"] for record in records] == [2, None, 7, 2]


def test_a_record_that_fails_is_told_by_its_number_or_place(by):
    """In an answer, which fails with it, and in a chunk, where it is alone with it; the next annotators leave it."""
    steps = (Step(by("frame['text'].astype(int)"), "n"), Step(by("frame['n'] + '!'"), "m"))
    with pytest.raises(Quarantined, match=r"^record 2: score raised ValueError.* \(.*\)$"):
        [*annotated(steps, texts("1", "x", "3"))]
    records = texts("1", "x", "3", "y")
    raised = "score raised ValueError: invalid literal for int() with base 10:"
    failed = {place: why.rpartition(" (")[0] for place, why in annotate_each(steps, records).items()}
    assert failed == {1: f"record 1: {raised} 'x'", 3: f"record 1: {raised} 'y'"}  # each the only record of its row
    assert [record.get("m") for record in records] == ["1!", None, "3!", None]


def test_without_a_field_to_go_into_values_are_fields(by):
    """As of a function of one record."""
    assert annotate_each((Step(by("[{'a': 1}] * len(frame)")),), records := texts("x")) == {}
    assert records == [{"text": "x", "a": 1}]
    found = annotate_each((Step(by("frame['text']")),), texts("x", "y"))
    why = "record 1: score gave a value of type str, expected a dict of fields (or say 'into')"
    assert found == {0: why, 1: why}


def test_fields_that_come_back_as_they_were_stay_what_they_are(by):
    """A frame with a column more gives that one; a cell that was changed is given, and its neighbours are as before."""
    before: list[dict[str, object]] = [{"n": n, "on": None, "tags": ["a"], "_provenance": {}} for n in (5, 6)]
    origin = Origin("function labels.py", "1a2b3c4d", "2026")
    steps = (Step(by("frame.assign(m=1)"), origin=origin), Step(by("frame.replace({'n': {'5': 'five'}})")))
    records = [dict(record) for record in before]
    assert annotate_each(steps, records) == {}
    told = [record.pop("_provenance") for record in records]
    assert [*told[0], *told[1]] == ["m", "m"]  # type: ignore[misc]  # they are dicts
    assert records == [{"n": n, "on": None, "tags": ["a"], "m": 1} for n in ("five", 6)]
    assert annotate_each((Step(by("frame"), "all"),), both := texts("x")) == {}
    assert both == [{"text": "x", "all": {"text": "x"}}]


def test_a_file_that_cannot_be_loaded_is_the_jobs_fault(by):
    """No record is to blame."""
    with pytest.raises(JobError, match="cannot be loaded"):
        values_for(ByFrame(by("1").file, "other"), texts("x"))
