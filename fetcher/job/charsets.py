"""Which names are those of charsets. A server may send any; a name is looked up, and never trusted."""

import codecs
from contextlib import suppress

# Codecs of Python's own that are no charsets of the web, or whose text cannot be written down again.
_NO_CHARSETS = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)


def charset_of(name: str) -> str:
    """Python's name of a charset. Raises `ValueError` where there is none of that name."""
    try:
        found = codecs.lookup(name).name
        with suppress(UnicodeError):  # half a character of UTF-16
            b"a".decode(found)  # hex, zlib and the like are found, and make no text
    except (LookupError, ValueError) as error:
        raise ValueError(f"there is no charset '{name}'") from error
    if found.replace("_", "-") in _NO_CHARSETS:
        raise ValueError(f"there is no charset '{name}' on the web")
    return found
