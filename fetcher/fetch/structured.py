"""Structured fields (RFC 9651), as far as hints need them. An error anywhere discards the whole field (section 4.2)."""

from collections.abc import Mapping, Sequence

LONGEST = 8192
"""Characters; a longer field is no hint but an attack."""

Parameters = Mapping[str, object]
Item = tuple[object, Parameters]


def list_items(lines: Sequence[str]) -> list[Item] | None:
    """The items of a List with their parameters, over all lines of the field; None where it is malformed.

    Integers come as int, Decimals as Decimal, Strings as str, Byte Sequences as bytes, Booleans as bool, an inner
    list as a list; Tokens are not str.
    """
    parsed = _parsed(lines, "list")
    return parsed if isinstance(parsed, list) else None


def dictionary(lines: Sequence[str]) -> Mapping[str, Item] | None:
    """The members of a Dictionary with their parameters; None where it is malformed."""
    parsed = _parsed(lines, "dictionary")
    return parsed if isinstance(parsed, dict) else None


def _parsed(lines: Sequence[str], shape: str) -> object:
    import http_sf  # late: most APIs send none, and it takes 25 ms

    field = ", ".join(lines)
    # Not ASCII: no structured field, and encoding would hide it.
    if len(field) > LONGEST or not field.isascii():
        return None
    try:
        return http_sf.parse(field.encode("ascii"), tltype=shape)
    except http_sf.StructuredFieldError:
        return None
