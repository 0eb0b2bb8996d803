"""What a job says of parsing, as a worker needs it: without the models that read a job file."""

from collections.abc import Iterable, Mapping

from fetcher.job.fields import Way
from fetcher.job.pages import Pages
from fetcher.job.parse import Parse
from fetcher.job.shapes import FillSection, ShapeSection
from fetcher.model import Scalar
from fetcher.parse.drift import Expectations
from fetcher.parse.filling import Fill
from fetcher.parse.formats import Format
from fetcher.parse.markup import Xml, list_names
from fetcher.parse.pages import PagePaths
from fetcher.parse.records import Parsing
from fetcher.parse.shapes import Shape
from fetcher.parse.sources import Field, Within
from fetcher.parse.tabular import Csv
from fetcher.parse.unpacking import Packing
from fetcher.template import Template

Tables = Mapping[str, tuple[ShapeSection, tuple[str, ...]]]
"""{name of a table: (its keys in the job, the fields that tell its records apart)}"""


def parsing_of(told: Parse, key: tuple[str, ...], pages: Pages | None, tables: Tables | None = None) -> Parsing:
    """How to parse. `key` is of the main table, `tables` are those beside it."""
    function = told.function
    shape = shape_of(told, key)
    others = tuple((name, shape_of(section, fields)) for name, (section, fields) in (tables or {}).items())
    paths = {name: getattr(pages, name) or "" for name in PagePaths.__slots__} if pages else {}
    return Parsing(
        **{name: getattr(shape, name) for name in Shape.__slots__},
        file=str(function.file) if function else "",
        function=function.name if function else "",
        pages=PagePaths(**paths) if pages else None,
        format=_format(told, [shape, *(other for _, other in others)], paths.values()),
        packing=Packing(told.unpack, told.members, told.max_unpacked, told.max_ratio),
        member_into=told.member_into or "",
        expected=_expectations(told),
        tables=others,
    )


def shape_of(told: ShapeSection, key: tuple[str, ...]) -> Shape:
    """How the records of one table are shaped."""
    null = told.null
    return Shape(
        records=told.records or "",
        key=key,
        columns=told.columns,
        names=_within(told.names) if isinstance(told.names, Way) else told.names or (),
        key_into=told.key_into or (),
        value_into=told.value_into,
        fill=_fill(told.fill) if told.fill else None,
        fields=tuple(Field(name, _source(source)) for name, source in told.fields.items()),
        keeps_others=told.others == "keep",
        trim=told.trim,
        unescape=told.unescape,
        extracted=tuple(told.extract.items()),
        null=() if isinstance(null, dict) else null,
        null_of=tuple(null.items()) if isinstance(null, dict) else (),
        replaced=tuple((name, tuple(table.items())) for name, table in told.replace.items()),
        types=tuple(told.types.items()),
    )


def _format(told: Parse, shapes: list[Shape], page_paths: Iterable[str]) -> Format:
    return Format(
        name=told.format,
        encoding=told.encoding or "",
        csv=Csv(**{name: value for name, value in told.csv if value is not None}),
        xml=Xml(told.xml.elements or "", tuple(told.xml.namespaces.items())),
        pattern=told.pattern or "",
        is_exact=any(shape.is_exact for shape in shapes),
        lists=list_names([*_paths(shapes), *page_paths]) if told.format == "xml" else frozenset(),
    )


def _paths(shapes: list[Shape]) -> list[str]:
    fields = [field.source.path for shape in shapes for field in shape.fields if isinstance(field.source, Within)]
    return [*(shape.records for shape in shapes), *fields]


def _expectations(told: Parse) -> Expectations | None:
    expect = told.expect
    if expect is None:
        return None
    return Expectations(expect.required, tuple(expect.types.items()), expect.least, expect.most, expect.strict)


def _source(source: Way | Template | Scalar) -> Within | Template | Scalar:
    return _within(source) if isinstance(source, Way) else source


def _within(way: Way) -> Within:
    return Within(way.path, way.up)


def _fill(told: FillSection) -> Fill:
    paths = {name: getattr(told, name) for name in ("last", "start", "end", "step")}
    within = {name: _within(way) if way else None for name, way in paths.items()}
    return Fill(told.by, told.first, time=told.time or "", **within)
