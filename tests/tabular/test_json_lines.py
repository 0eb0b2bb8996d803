"""JSON Lines: an object a line, with the types that JSON has."""

import pytest

from fetcher.tabular.lines import TableFile, UnreadableTable
from fetcher.tabular.reading import columns_of, lines_of


def table(folder, content):
    path = folder / "table.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TableFile(path, "jsonl")


def test_values_keep_their_types(tmp_path):
    """Large numbers are exact, and text may hold what looks like an end of line."""
    file = table(
        tmp_path, '\ufeff{"id": 12345678901234567890, "ok": true, "tags": ["a"], "t": "x\u2028y"}\n\n{"id": null}'
    )
    assert [(line.number, dict(line.values)) for line in lines_of(file)] == [
        (1, {"id": 12345678901234567890, "ok": True, "tags": ["a"], "t": "x\u2028y"}),
        (3, {"id": None}),
    ]


@pytest.mark.parametrize("bad", ["{", "[1]", '"text"', '{"a": NaN}', '{"a": 1} x', '{"a": "\0"}', "{'a': 1}"])
def test_g13_a_bad_line_costs_itself_alone(tmp_path, bad):
    """It is told with its number and content, and those round it are read."""
    before, found, after = lines_of(table(tmp_path, f'{{"id": 0}}\n{bad}\n{{"id": 2}}\n'))
    assert (before.values, after.values) == ({"id": 0}, {"id": 2})
    assert (found.number, found.content) == (2, bad)
    assert found.fault


def test_columns_are_what_objects_have(tmp_path):
    """Not every object has to have them all."""
    assert columns_of(table(tmp_path, '{"a": 1}\n{\n{"b": 2, "a": 3}\n')) == ("a", "b")


def test_a_file_without_an_object_is_no_table(tmp_path):
    """The message names the file."""
    with pytest.raises(UnreadableTable, match=r"table\.jsonl has no JSON object"):
        columns_of(table(tmp_path, "[]\n"))
