"""Numbers with all their digits, where a job asks for them. Whole numbers are exact anyway."""

import math
from decimal import Decimal
from typing import Self

import msgspec


class Exact(float):
    """A number of an answer that remembers how it was written: `1.10`, `12345678901234567890.123`."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """`text` is a JSON number. Raises `ValueError` for one that no float can hold."""
        number = super().__new__(cls, text)
        if not math.isfinite(number):
            raise ValueError(f"the number {text} is out of range")
        number.text = text
        return number


# JMESPath's functions know a number by the name of its class.
Exact.__name__ = "float"


def plain(value: object) -> object:
    """`value` as msgspec can write it (its `enc_hook`)."""
    if isinstance(value, Exact):
        return float(value)
    if isinstance(value, msgspec.Raw):  # where it is only looked at
        return msgspec.json.decode(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def verbatim(value: object) -> object:
    """The same, and numbers with the digits that they were read with."""
    return msgspec.Raw(value.text.encode()) if isinstance(value, Exact) else plain(value)


def written(number: Decimal) -> msgspec.Raw:
    """A JSON number with just these digits."""
    return msgspec.Raw(str(number).encode())
