"""Where requests go, as a job file writes it: base address, path, query values and headers."""

import math
import re
from urllib.parse import urlsplit

from fetcher.job.wording import shown
from fetcher.origins import origin_of
from fetcher.template import Slot, Template, read_template

# Every character that RFC 9110 (section 5.6.2) allows in a header's name.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


def parse_base_url(value: object) -> str:
    """An http or https address without a slash at its end. Raises ValueError saying what is wrong with it."""
    expected = "expected an address such as 'https://api.example.org'"
    if not isinstance(value, str) or _NOT_IN_URL.search(value):
        raise ValueError(f"{expected}, got {shown(value)}")
    try:
        parts = urlsplit(value)
        has_port = parts.port != 0
    except ValueError as error:
        raise ValueError(f"{expected}, got {shown(value)}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not has_port:
        raise ValueError(f"{expected}, got {shown(value)}")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{expected}, got {shown(value)}, whose host is no name that can be looked up") from error
    # What is before the @ is probably a password: it must not reach a message.
    if "@" in parts.netloc:
        raise ValueError(f"{expected}; a user name or password in it is not allowed: send a header")
    if "?" in value or "#" in value:
        raise ValueError(f"{expected}, got {shown(value)}; what follows '?' goes into fetch.query, '#' nowhere")
    if "{" in value or "}" in value:
        raise ValueError(f"{expected}, got {shown(value)}; slots go into fetch.url and fetch.query")
    try:
        origin_of(value)
    except ValueError as error:
        raise ValueError(f"{expected}, got {shown(value)}: {error}") from error
    return value.rstrip("/")


def parse_token_url(value: object) -> str:
    """Where a token is asked for: a whole address, or a path of the base address."""
    if isinstance(value, str) and value.startswith("/"):
        return parse_path(value).text
    parse_base_url(value)
    return str(value)


def parse_host(value: object) -> str:
    """A host, with its scheme and port where they are not the usual ones."""
    expected = "expected a host such as 'files.example.org', or 'https://files.example.org:8443'"
    if not isinstance(value, str) or not value:
        raise ValueError(f"{expected}, got {shown(value)}")
    parse_base_url(address := value if "://" in value else f"https://{value}")
    if urlsplit(address).path.strip("/"):
        raise ValueError(f"{expected}, got {shown(value)}, which has a path")
    return value.rstrip("/")


def parse_path(value: object) -> Template:
    """The template of what follows the base address. Raises ValueError saying what is wrong with it."""
    template = _template(value)
    first = template.parts[0] if template.parts else ""
    if isinstance(first, Slot) or not first.startswith("/") or first.startswith("//"):
        raise ValueError(
            f"expected a path that starts with one '/', such as '/v1/readings', got {shown(str(template))}"
        )
    if any("#" in part or _NOT_IN_URL.search(part) for part in template.parts if isinstance(part, str)):
        raise ValueError(f"expected a path without spaces, '\\' or '#', got {shown(str(template))}")
    return template


def parse_query_value(value: object) -> Template | int | float | bool:
    """A template for text, numbers and booleans as they are. Raises ValueError for anything else."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str | Template):
        return read_template(value)
    raise ValueError(f"expected text, a number, true or false, got {shown(value)}")


def parse_header_name(value: object) -> str:
    """A header's name as RFC 9110 allows it."""
    if isinstance(value, str) and _HEADER_NAME.fullmatch(value):
        return value
    raise ValueError(f"expected a header's name such as 'Accept', got {shown(value)}")


def parse_parameter_name(value: object) -> str:
    """A query parameter's name; it is percent-encoded where it is sent."""
    if isinstance(value, str) and value and not _CONTROL.search(value):
        return value
    raise ValueError(f"expected the name of a query parameter, such as 'page', got {shown(value)}")


def parse_header_value(value: object) -> Template:
    """The template of a header's value; line breaks in one would let a job forge further headers."""
    template = _template(value)
    if any(_CONTROL.search(part) for part in template.parts if isinstance(part, str)):
        raise ValueError("expected text without line breaks or control characters")
    return template


def _template(value: object) -> Template:
    if isinstance(value, str | Template):
        return read_template(value)
    raise ValueError(f"expected text in quotes, got {shown(value)}")


def repeated_header(names: list[str]) -> str | None:
    """A name that comes twice, whatever its case."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
