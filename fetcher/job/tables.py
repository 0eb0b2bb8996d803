"""`[read.table]` and `[read.values]`: rows that a file or the job itself lists."""

import codecs
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, StrictBool, ValidationInfo, WithJsonSchema, model_validator

from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section
from fetcher.job.wording import listed, shown
from fetcher.model import Value
from fetcher.tabular.lines import TableFile
from fetcher.tabular.reading import PACKAGES, SUFFIXES
from fetcher.template import can_be_slot, text_of

STANDARD_INPUT = "-"
_WILD = frozenset("*?[")
_A_PATH = "expected a file such as 'stations.csv', a pattern such as 'tables/*.csv', or '-' for standard input"


@dataclass(frozen=True, slots=True)
class TablePath:
    """A file, a pattern of files, or `-`; whole paths."""

    text: str

    def files(self) -> list[Path | None]:
        """What it means now, in order of name; None is standard input."""
        if self.text == STANDARD_INPUT:
            return [None]
        path = Path(self.text)
        if not _WILD.intersection(self.text):
            return [path]
        root = Path(*itertools.takewhile(lambda part: not _WILD.intersection(part), path.parts))
        found = sorted(file for file in root.glob(str(path.relative_to(root))) if file.is_file())
        return list(found)


def parse_table_path(value: object, folder: Path) -> TablePath:
    """The table that `value` means, relative to `folder`. Raises ValueError where there is none."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{_A_PATH}, got {shown(value)}")
    if value == STANDARD_INPUT:
        return TablePath(value)
    if value.startswith("~"):
        raise ValueError(f"{_A_PATH}, got {shown(value)}; '~' means nothing here, write ${{HOME}}")
    path = TablePath(str(folder / value))
    try:
        files = [file for file in path.files() if file and file.is_file()]
    except (OSError, ValueError) as error:
        raise ValueError(f"{_A_PATH}, got {shown(value)}: {error}") from error
    if not files:
        is_folder = Path(path.text).is_dir()
        what = "matches no file" if _WILD.intersection(value) else "is a folder" if is_folder else "is no file"
        raise ValueError(f"{_A_PATH}, got {shown(value)}, which {what} ({path.text})")
    return path


def _read_path(value: object, info: ValidationInfo) -> TablePath:
    folder = Path(info.context["folder"]) if info.context else Path()
    return value if isinstance(value, TablePath) else parse_table_path(value, folder)


def parse_character(value: object) -> str:
    """One character; `tab` is one, too."""
    if value == "tab":
        return "\t"
    if isinstance(value, str) and len(value) == 1 and value not in "\r\n\0":
        return value
    raise ValueError(f"expected one character, such as ';' or 'tab', got {shown(value)}")


def parse_quote(value: object) -> str:
    """One character, or none where cells are not quoted."""
    return "" if value in ("", "none") else parse_character(value)


def parse_encoding(value: object) -> str:
    """The name of an encoding of text, as Python has it."""
    try:
        codec = codecs.lookup(value) if isinstance(value, str) else None
    except LookupError:
        codec = None
    if codec is None or not codec._is_text_encoding:
        raise ValueError(f"expected an encoding such as 'utf-8', 'latin-1' or 'cp1252', got {shown(value)}")
    return codec.name


class Table(Section):
    """One row for each line of a table, in its order."""

    path: Annotated[
        TablePath,
        PlainValidator(_read_path),
        WithJsonSchema({"type": "string", "examples": ["stations.csv", "tables/*.csv", "-"]}),
    ] = Field(
        description="The file, relative to the job file; a pattern such as 'tables/*.csv'; '-' for standard input."
    )
    format: Literal["csv", "tsv", "jsonl", "parquet", "excel", "sqlite"] | None = Field(
        default=None, description="Kind of the table. Left out: by the end of its name; CSV for standard input."
    )
    delimiter: Annotated[str, Kind(parse_character, lambda: {"type": "string", "examples": [";", "tab"]})] | None = (
        Field(default=None, description="Character between the cells of a CSV. Left out: what its first line shows.")
    )
    quote: Annotated[str, Kind(parse_quote, lambda: {"type": "string"})] = Field(
        default='"', description="Character round cells of a CSV, or 'none'."
    )
    encoding: (
        Annotated[str, Kind(parse_encoding, lambda: {"type": "string", "examples": ["utf-8", "cp1252"]})] | None
    ) = Field(default=None, description="Encoding of the text. Left out: UTF-8, or what its beginning shows.")
    columns: tuple[str, ...] = Field(
        default=(), description="Names of the columns, for a CSV whose first line is no header."
    )
    skip: Annotated[int, whole_number(0, 10**6)] = Field(
        default=0, description="Lines of a CSV, or rows of a sheet, that are passed over before its header."
    )
    sheet: str = Field(default="", description="Name of the sheet of a workbook. Left out: its first one.")
    query: str = Field(
        default="", description="What to ask an SQLite database, such as 'SELECT id FROM stations'; it is only read."
    )
    strip: StrictBool = Field(default=False, description="Drop blanks at both ends of each cell. Left out: kept.")
    require: tuple[str, ...] = Field(
        default=(), description="Columns that must not be blank: lines where one is are skipped, and counted."
    )
    sample: Annotated[int, whole_number(1, 10**12)] | None = Field(
        default=None, description="Only the first so many lines, to try a job on. Left out: all."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for file in self.path.files():
            if fault := kind_fault(self.kind_of(file), file, bool(self.query)):
                raise ValueError(fault)
        if repeated := next((name for name in self.columns if self.columns.count(name) > 1), None):
            raise ValueError(f"columns names '{repeated}' twice")
        return self

    def kind_of(self, file: Path | None) -> str:
        """The kind of one of its files. Raises ValueError where neither its name nor the job tells."""
        if self.format:
            return self.format
        suffix = file.suffix.lower() if file else ".csv"
        if suffix not in SUFFIXES:
            raise ValueError(f"the name {shown(str(file))} does not tell its kind; say format = 'csv' or another")
        return SUFFIXES[suffix]

    def files(self) -> list[TableFile]:
        """The files as they are now, in order of name, each with how to read it."""
        told = (self.delimiter, self.quote, self.encoding, self.columns, self.sheet, self.query, self.skip)
        return [TableFile(file, self.kind_of(file), *told) for file in self.path.files()]


def kind_fault(kind: str, file: Path | None, has_query: bool) -> str | None:
    """What is wrong with reading a file as a table of that kind."""
    package = PACKAGES.get(kind)
    if package and find_spec(package) is None:
        return f"a table of format '{kind}' needs the package {package}: pip install 'polite-fetcher[tables]'"
    if file is None and kind in (*PACKAGES, "sqlite"):
        return f"a table of format '{kind}' cannot be read from standard input"
    if (kind == "sqlite") != has_query:
        return "a database needs query, and nothing else does: query = 'SELECT id, name FROM stations'"
    return None


Axis = tuple[Mapping[str, Value], ...]
"""Values that belong together, one of which goes into a row."""

_VALUES = "expected lists such as { station = ['S01', 'S02'] }, or [[read.values]] with one row each"


def parse_values(value: object) -> tuple[Axis, ...]:
    """What is crossed: an axis for each list, or one for all the rows of `[[read.values]]`."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, dict) and value:
        return tuple(_axis([{name: item} for item in _items(name, items)]) for name, items in value.items())
    if isinstance(value, list) and value and all(isinstance(row, dict) and row for row in value):
        names = set(value[0])
        if odd := next((row for row in value if set(row) != names), None):
            raise ValueError(f"expected the same names in each row, {listed(sorted(names))}, got {listed(sorted(odd))}")
        return (_axis(value),)
    raise ValueError(f"{_VALUES}, got {shown(value)}")


def _items(name: str, items: object) -> list[object]:
    if isinstance(items, list) and items:
        return items
    raise ValueError(f"{_VALUES}, got {shown(items)} for '{name}'")


def _axis(rows: list[dict[str, object]]) -> Axis:
    axis: list[Mapping[str, Value]] = []
    seen = set()
    for row in rows:
        values = {name: _scalar(name, value) for name, value in row.items()}
        told = tuple(text_of(value) for _, value in sorted(values.items()))
        if told in seen:
            raise ValueError(f"{listed(told)} is there twice: it would be asked for twice")
        seen.add(told)
        axis.append(values)
    return tuple(axis)


def _scalar(name: str, value: object) -> str | int | float | bool:
    if not can_be_slot(name):
        raise ValueError(f"'{name}' cannot be a slot: a name has letters, digits, '_', '-', '.' and blanks inside")
    if isinstance(value, str | int | float):
        return value
    raise ValueError(f"expected text, a number, true or false for '{name}', got {shown(value)}")


Values = Annotated[
    tuple[Axis, ...],
    Kind(parse_values, lambda: {"type": ["object", "array"], "examples": [{"station": ["S01", "S02"]}]}),
]
