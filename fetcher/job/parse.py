"""`[parse]`: how an answer becomes records."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, ValidationInfo, field_validator, model_validator

from fetcher.job.charsets import charset_of
from fetcher.job.entries import Function
from fetcher.job.fields import Column, Pattern
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section, written
from fetcher.job.shapes import ShapeSection
from fetcher.job.units import duration_between, size_between
from fetcher.job.values import one_of_fault
from fetcher.job.wording import hint, shown

MISSING_EXTRA = "format = 'xml' needs the package lxml: pip install 'polite-fetcher[parse]'"
KINDS = ("text", "int", "number", "bool", "list", "object")


def _one_character(value: object) -> str:
    if isinstance(value, str) and len(value) == 1 and value not in "\r\n":
        return value
    raise ValueError(f"expected one character such as ';', got {shown(value)}")


def _quote(value: object) -> str:
    return "" if value == "" else _one_character(value)


def _encoding(value: object) -> str:
    try:
        return charset_of(str(value))
    except ValueError as error:
        expected = "expected a charset such as 'utf-8', 'windows-1252' or 'shift_jis'"
        raise ValueError(f"{expected}, got {shown(value)}") from error


def _kind(value: object) -> str:
    if isinstance(value, str) and value in KINDS:
        return value
    raise ValueError(f"expected a type such as 'number', got {shown(value)}{hint(str(value), KINDS)}")


Character = Annotated[str, Kind(_one_character, lambda: {"type": "string"})]


class CsvSection(Section):
    """The dialect of CSV. Every cell is text, unless 'types' says otherwise."""

    delimiter: Character = Field(default=",", description="Character between two cells, such as ';' or '\\t'.")
    quote: Annotated[str, Kind(_quote, lambda: {"type": "string"})] = Field(
        default='"', description="Character round a cell that holds a delimiter; '' where there is none."
    )
    skip: Annotated[int, whole_number(0, 10**6)] = Field(
        default=0, description="Lines of a preamble, which are passed over."
    )
    header_after: Pattern | None = Field(
        default=None, description="Regular expression; the header is behind the first line that it matches."
    )
    comment: str = Field(default="", description="Beginning of lines that are passed over, such as '#'.")
    names: tuple[Column, ...] = Field(default=(), description="Names of the columns, where the answer has no header.")
    format_row: StrictBool = Field(
        default=False, description="Whether a line behind the header tells formats (RDB), and is no record."
    )
    header_rows: str = Field(
        default="", description="First cell of lines that are headers for those behind them, such as 'I'."
    )
    data_rows: str = Field(
        default="", description="First cell of lines that are records, such as 'D'; other lines are passed over."
    )


class XmlSection(Section):
    """Which elements of an XML answer are wanted."""

    elements: str | None = Field(
        default=None,
        description="XPath of the elements that are records, such as '//e:Point'. Left out: the whole document, in "
        "which 'records' looks.",
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="Namespaces by the prefixes that 'elements' uses: { e = 'urn:example' }."
    )


class Expect(Section):
    """What the records of an answer must look like, and what is counted where they do not."""

    required: tuple[Column, ...] = Field(
        default=(), description="Fields that no record lacks and that are never null; else the answer is set aside."
    )
    types: dict[Column, Annotated[str, Kind(_kind, lambda: {"enum": list(KINDS)})]] = Field(
        default_factory=dict,
        description="All fields and what they are: text, int, number, bool, list or object. Others are counted.",
    )
    least: Annotated[int, whole_number(0, 10**9)] = Field(
        default=0, description="Fewest records of an answer; fewer are a failure of its row."
    )
    most: Annotated[int, whole_number(0, 10**9)] | None = Field(
        default=None, description="Most records of an answer; more are a failure of its row."
    )
    strict: StrictBool = Field(
        default=False, description="Whether a new field or another type is a failure, rather than counted."
    )


class Parse(ShapeSection):
    """How an answer becomes records: by a path to them, or by a function of yours."""

    format: Literal["json", "ndjson", "csv", "xml", "text", "bytes"] = Field(
        default="json", description="Format of the answers: json, ndjson (a record a line), csv, xml, text or bytes."
    )
    unpack: Literal["none", "gzip", "zip"] = Field(
        default="none", description="How answers are packed, apart from Content-Encoding: 'none', 'gzip' or 'zip'."
    )
    members: str = Field(default="*", description="Which members of a zip file are read, such as '*.csv'.")
    member_into: Column | None = Field(default=None, description="Field that gets the name of the zip file's member.")
    max_unpacked: Annotated[int, size_between("1 B", "16 GB")] = written(
        "256 MB", "Largest answer after unpacking; a larger one is refused."
    )
    max_ratio: Annotated[int, whole_number(1, 10**6)] = Field(
        default=200, description="How many times larger an answer may become when it is unpacked."
    )
    encoding: Annotated[str, Kind(_encoding, lambda: {"type": "string"})] | None = Field(
        default=None, description="Charset of the answers, such as 'windows-1252'. Left out: as the answer says."
    )
    csv: CsvSection = Field(default_factory=CsvSection, description="The dialect of CSV.")
    xml: XmlSection = Field(default_factory=XmlSection, description="Which elements of XML are wanted.")
    pattern: Pattern | None = Field(
        default=None,
        description="For text: a regular expression whose matches are the records, its named groups their fields.",
    )
    function: Function | None = Field(
        default=None,
        description="A function of yours, 'file.py:name', called in a worker with body and row; it yields records.",
    )
    expect: Expect | None = Field(default=None, description="What the records of an answer must look like.")
    timeout: Annotated[float, duration_between("1 ms", "1 day")] = written(
        "60 s", "Longest time that parsing one answer may take; then it is set aside."
    )
    memory: Annotated[int, size_between("64 MB", "1 TB")] | None = Field(
        default=None,
        description="Most memory that a worker may use, such as '1 GB'; an answer that needs more is set aside. "
        "Left out: an even share of three quarters of the machine's.",
    )
    workers: Annotated[int, whole_number(0, 1000)] | None = Field(
        default=None,
        description="Processes that parse. Left out: one for each core; 0: none, but a thread of the run itself.",
    )

    @field_validator("format")
    @classmethod
    def _check_extra(cls, name: str) -> str:
        if name == "xml":
            try:
                import lxml.etree  # noqa: F401
            except ImportError as error:
                raise ValueError(MISSING_EXTRA) from error
        return name

    @field_validator("xml")
    @classmethod
    def _check_elements(cls, xml: XmlSection, info: ValidationInfo) -> XmlSection:
        if xml.elements and info.data.get("format") == "xml":
            from lxml import etree

            try:
                etree.XPath(xml.elements, namespaces=xml.namespaces or None)(etree.Element("any"))
            except etree.XPathError as error:
                raise ValueError(f"elements is no XPath: {error}") from error
        return xml

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if fault := one_of_fault(self.function is not None, self.records is not None, self.format):
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        """Keys that would not be read are faults: whoever wrote them expects something of them."""
        given = self.model_fields_set
        for key, name in (("csv", "csv"), ("xml", "xml"), ("pattern", "text")):
            if key in given and self.format != name:
                raise ValueError(f"'{key}' is for format = '{name}', and format is '{self.format}'")
        for key in ("members", "member_into"):
            if key in given and self.unpack != "zip":
                raise ValueError(f"'{key}' is for unpack = 'zip', and unpack is '{self.unpack}'")
        shaping = [key for key in ShapeSection.model_fields if key in given]
        if self.function is not None and shaping:
            raise ValueError(f"'{shaping[0]}' does nothing beside 'function'; a function does the whole work")
        if self.pattern is not None and not re.compile(self.pattern).groupindex:
            raise ValueError("pattern needs named groups such as '(?P<value>[0-9]+)', which are the fields")
        return self
