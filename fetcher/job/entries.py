"""The types of a job file's entries: reading functions tied to pydantic, and what an editor is told about each.

Relative paths are taken from the validation context's "folder".
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from fetcher.job import addresses
from fetcher.job.functions import FunctionRef, parse_function
from fetcher.job.kinds import Kind, text_schema
from fetcher.job.units import RATE_PATTERN, RateText, parse_rate
from fetcher.job.values import (
    parse_cost,
    parse_folder,
    parse_json_body,
    parse_json_path,
    parse_keep,
    parse_name,
    parse_realm,
)
from fetcher.template import Template


def _folder(info: ValidationInfo) -> Path:
    context = info.context
    return Path(context["folder"]) if context else Path()


def _read_function(value: object, info: ValidationInfo) -> FunctionRef:
    return value if isinstance(value, FunctionRef) else parse_function(value, _folder(info))


def _read_folder(value: object, info: ValidationInfo) -> Path:
    return value if isinstance(value, Path) else parse_folder(value, _folder(info))


def _as_list(value: object) -> object:
    """One rate may stand without its list; what is neither says what a rate looks like."""
    return value if isinstance(value, list | tuple) else [parse_rate(value)]


def _different_names(headers: dict[str, Template]) -> dict[str, Template]:
    if repeated := addresses.repeated_header(list(headers)):
        raise ValueError(f"the header '{repeated}' is given twice; upper and lower case make no difference")
    return headers


JobName = Annotated[str, Kind(parse_name, text_schema(r"[A-Za-z0-9._-]{1,100}", "air-temperature"))]
BaseUrl = Annotated[str, Kind(addresses.parse_base_url, text_schema(r"https?://.+", "https://api.example.org"))]
HostName = Annotated[
    str,
    Kind(
        addresses.parse_host, lambda: {"type": "string", "examples": ["files.example.org", "https://cdn.example.org"]}
    ),
]
UrlPath = Annotated[Template, Kind(addresses.parse_path, text_schema(r"/.*", "/v1/readings/{date:%Y-%m-%d}"))]
QueryValue = Annotated[
    Template | int | float | bool,
    Kind(addresses.parse_query_value, lambda: {"type": ["string", "number", "boolean"]}),
]
HeaderName = Annotated[str, Kind(addresses.parse_header_name, lambda: {"type": "string"})]
_HeaderValue = Annotated[Template, Kind(addresses.parse_header_value, lambda: {"type": "string"})]
Headers = Annotated[dict[HeaderName, _HeaderValue], AfterValidator(_different_names)]
_ONE_RATE = text_schema(RATE_PATTERN, "6/10 s", "20/s", "600/min", "1000/h")()
RatesText = Annotated[
    tuple[RateText, ...],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [_ONE_RATE, {"type": "array", "items": _ONE_RATE}]}),
]
Cost = Annotated[int | Template, Kind(parse_cost, lambda: {"type": ["integer", "string"], "examples": [3, "{tokens}"]})]
RealmName = Annotated[str, Kind(parse_realm, text_schema(r".{1,100}", "example-api"))]
Keep = Annotated[
    Literal["none", "http", "forever"] | float,
    Kind(parse_keep, lambda: {"type": "string", "examples": ["none", "http", "forever", "1 day", "12 h"]}),
]
JsonPath = Annotated[str, Kind(parse_json_path, lambda: {"type": "string", "examples": ["items[].readings[]", "data"]})]
JsonBody = Annotated[dict[str, Any] | list[Any], Kind(parse_json_body, lambda: {"type": ["object", "array"]})]
ParameterName = Annotated[str, Kind(addresses.parse_parameter_name, lambda: {"type": "string"})]
Function = Annotated[
    FunctionRef,
    PlainValidator(_read_function),
    WithJsonSchema(text_schema(r".+\.py:\w+", "air_temperature.py:parse")()),
]
Folder = Annotated[
    Path, PlainValidator(_read_folder), WithJsonSchema({"type": "string", "examples": ["../data/air-temperature"]})
]
