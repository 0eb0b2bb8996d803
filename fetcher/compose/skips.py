"""Rows that need no request, and what stands in place of their answer. Pure."""

import msgspec

from fetcher.compose.bodies import filled
from fetcher.errors import Refused
from fetcher.job.sections import Fetch
from fetcher.model import Row


def stated_answer(fetch: Fetch, row: Row) -> bytes | None:
    """The JSON that is taken for the answer to a row that is not asked about, nothing where it has no records.

    None for every other row. Raises `Refused` where the row has no value of a name that the job looks at.
    """
    if fetch.skip is None or not any(is_blank(name, row) for name in fetch.skip.blank):
        return None
    if fetch.skip.answer is None:
        return b""
    return msgspec.json.encode(filled(fetch, fetch.skip.answer, [row]))


def record_of(row: Row) -> bytes:
    """The JSON of a row that is a record already."""
    return msgspec.json.encode(row.values)


def is_blank(name: str, row: Row) -> bool:
    """Whether a value is empty, or text of nothing but blanks."""
    if name not in row.values:
        raise Refused(f"fetch.skip.blank names '{name}', which this row does not have")
    value = row.values[name]
    return value is None or (isinstance(value, str) and not value.strip())
