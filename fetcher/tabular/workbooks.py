"""Excel workbooks (.xlsx), row by row. Every cell is text: what a formula gave when it was saved, dates in ISO 8601."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from xml.etree.ElementTree import ParseError

from fetcher.tabular.delimited import named_columns
from fetcher.tabular.lines import Line, TableFile, UnreadableTable, bad_line

SheetRow = tuple[object, ...]


def workbook_lines(file: TableFile) -> Iterator[Line]:
    """Every row of the sheet that is not empty, by its number in the sheet."""
    with _rows(file) as rows:
        columns = file.columns or named_columns(file, texts(next(rows, (1, ()))[1]))
        for number, cells in rows:
            found = texts(cells)
            extra = [text for text in found[len(columns) :] if text]
            if extra:
                fault = f"expected {len(columns)} cells, got more: {extra[0]!r}"
                yield bad_line(number, fault, ", ".join(found))
            else:
                padded = found + [""] * (len(columns) - len(found))
                yield Line(number, dict(zip(columns, padded, strict=False)))


def workbook_columns(file: TableFile) -> tuple[str, ...]:
    """The names of the columns. Raises `UnreadableTable`."""
    with _rows(file) as rows:
        return file.columns or named_columns(file, texts(next(rows, (1, ()))[1]))


def texts(cells: SheetRow) -> list[str]:
    """Cells as text; those behind the last one that holds something are none."""
    found = [_text(cell) for cell in cells]
    while found and not found[-1]:
        found.pop()
    return found


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case date() | time():
            return cell.isoformat()
    return str(cell)


@contextmanager
def _rows(file: TableFile) -> Iterator[Iterator[tuple[int, SheetRow]]]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(file.path, read_only=True, data_only=True)
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError, ParseError) as error:
        raise UnreadableTable(f"{file.name} is no workbook (.xlsx) that can be read: {error}") from error
    try:
        if file.sheet and file.sheet not in book.sheetnames:
            raise UnreadableTable(f"{file.name} has no sheet '{file.sheet}', only {', '.join(book.sheetnames)}")
        sheet = book[file.sheet] if file.sheet else book.worksheets[0]
        numbered = enumerate(sheet.iter_rows(min_row=file.skip + 1, values_only=True), start=file.skip + 1)
        yield ((number, cells) for number, cells in numbered if any(cell is not None for cell in cells))
    finally:
        book.close()
