"""Single values of a job file that are neither a quantity, a day nor an address."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fetcher.job.units import parse_duration
from fetcher.job.wording import listed, shown
from fetcher.template import Template, read_template

MOST_COST = 1_000_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def parse_name(value: object) -> str:
    """A job's name: safe as part of a file's name everywhere."""
    if isinstance(value, str) and _NAME.fullmatch(value) and value.strip("."):
        return value
    raise ValueError(
        f"expected a name of letters, digits, '.', '_' and '-', such as 'air-temperature', got {shown(value)}"
    )


def parse_realm(value: object) -> str:
    """A name for a realm: any text that can be shown on one line."""
    if isinstance(value, str) and value.strip() and len(value) <= 100 and value.isprintable():
        return value
    raise ValueError(f"expected a name of 1 to 100 characters, such as 'example-api', got {shown(value)}")


def parse_sendable(value: object) -> str:
    """Text that a header can hold; no message shows it, for it may be a secret."""
    if isinstance(value, str) and value and not _CONTROL.search(value) and value == value.strip():
        return value
    raise ValueError("expected text without line breaks, and without blanks round it (it is not shown)")


def parse_cost(value: object) -> int | Template:
    """What a request counts for: a whole number, or a template that a row fills with one."""
    if isinstance(value, Template):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_COST:
        return value
    if isinstance(value, str):
        template = Template.parse(value)
        if template.slots:
            return template
    raise ValueError(
        f"expected a whole number from 1 to {MOST_COST}, or a slot such as '{{tokens}}', got {shown(value)}"
    )


def parse_json_path(value: object) -> str:
    """A JMESPath expression, returned as it is written once it is known to compile."""
    return parse_jmespath(value, "a path, such as 'items[].readings[]'")


def parse_jmespath(value: object, what: str) -> str:
    """A JMESPath expression, returned as it is written once it is known to compile; `what` was expected."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    expected = f"expected {what}"
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{expected}, got {shown(value)}")
    try:
        unknown = _unknown_functions(jmespath.compile(value).parsed)
    except JMESPathError as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ValueError(f"{expected}, got {shown(value)}, which is not JMESPath: {reason}") from error
    if unknown:
        raise ValueError(f"{expected}, got {shown(value)}, but JMESPath has no function {listed(unknown)}")
    return value


def parse_pattern(value: object) -> re.Pattern[str]:
    """A regular expression, compiled; upper and lower case are the same to it."""
    if isinstance(value, re.Pattern):
        return value
    expected = "expected a regular expression such as 'try again in (?P<wait>[0-9hms.]+)'"
    if not isinstance(value, str) or not value:
        raise ValueError(f"{expected}, got {shown(value)}")
    try:
        return re.compile(value, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{expected}, got {shown(value)}: {error}") from error


def _unknown_functions(node: Mapping[str, Any]) -> list[str]:
    """JMESPath looks its functions up when it meets one in an answer; a typing mistake should not wait for that."""
    from jmespath.functions import Functions

    is_unknown = node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE
    below = [name for child in node["children"] if isinstance(child, dict) for name in _unknown_functions(child)]
    return [node["value"], *below] if is_unknown else below


def parse_json_body(value: object) -> object:
    """A body as the job file has it, its texts read as templates. Raises ValueError for what JSON cannot hold."""
    if isinstance(value, dict | list):
        return _json_value(value)
    raise ValueError(f"expected a table or a list, got {shown(value)}")


def _json_value(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, str | Template):
        return read_template(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f"expected text, a number, true, false, a list or a table, got {shown(value)}")


def parse_folder(value: object, folder: Path) -> Path:
    """The folder that `value` means, relative to `folder`, with links and `..` resolved."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"expected a folder such as '../data/air-temperature', got {shown(value)}")
    if value.startswith("~"):
        raise ValueError(f"expected a folder, got {shown(value)}; '~' means nothing here, write ${{HOME}}")
    try:
        place = (folder / value).resolve()
        is_file = place.is_file()
    # Python before 3.13 raises RuntimeError for links in a circle.
    except (OSError, RuntimeError) as error:
        raise ValueError(f"expected a folder, got {shown(value)}, which cannot be reached: {error}") from error
    if is_file:
        raise ValueError(f"expected a folder, got {shown(value)}, which is a file ({place})")
    return place


def parse_keep(value: object) -> float | str:
    """How long an answer is kept: "none", "forever", as long as "http" says, or seconds."""
    if value in ("none", "forever", "http"):
        return str(value)
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"expected 'none', 'http', 'forever' or a time such as '1 day', got {shown(value)}") from error
    if seconds <= 0:
        raise ValueError(f"expected 'none', 'http', 'forever' or a time above zero, got {shown(value)}")
    return seconds


def one_of_fault(has_function: bool, has_records: bool, form: object = "json") -> str | None:
    """What is wrong where a parse section names both ways to find records, or neither where it takes one."""
    if has_function and has_records:
        return "expected either 'function' or 'records', got both; a function does the whole work"
    if not has_function and not has_records and form == "json":
        return "expected 'records' (a path such as 'items[].readings[]') or 'function' (such as 'parse.py:parse')"
    return None


SCHEMA_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
SCHEMA_WORDS = frozenset(
    {"type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
    | {"minimum", "maximum", "minLength", "maxLength", "title", "description"}
)
"""Words of JSON Schema that answers are held against; a schema with others is refused, not half understood."""


def parse_json_schema(value: object) -> dict[str, Any]:
    """A JSON Schema of those words. Raises ValueError for anything else."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected a JSON Schema such as {{ type = 'string' }}, got {shown(value)}")
    if unknown := sorted(set(value) - SCHEMA_WORDS):
        raise ValueError(f"'{unknown[0]}' of JSON Schema is not known here; {listed(sorted(SCHEMA_WORDS))} are")
    kinds = value.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in SCHEMA_TYPES:
            raise ValueError(f"expected a type such as {listed(SCHEMA_TYPES, 'or')}, got {shown(kind)}")
    if not isinstance(value.get("additionalProperties", True), bool):
        raise ValueError("expected true or false for 'additionalProperties'")
    for name in ("enum", "required"):
        if name in value and not isinstance(value[name], list):
            raise ValueError(f"expected a list of '{name}', got {shown(value[name])}")
    below = value.get("properties", {})
    if not isinstance(below, dict):
        raise ValueError(f"expected a table of 'properties', got {shown(below)}")
    for schema in (*below.values(), *([value["items"]] if "items" in value else [])):
        parse_json_schema(schema)
    return value
