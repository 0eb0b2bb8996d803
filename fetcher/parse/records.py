"""A response body becomes JSONL lines. Pure, and picklable by name: it runs in a worker process.

Imports nothing heavy: a worker's start waits for it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fetcher.engines.functions import function_of
from fetcher.errors import Quarantined
from fetcher.model import PageFacts, TableLines, Value
from fetcher.parse.drift import Expectations, Watch
from fetcher.parse.exact import plain, verbatim
from fetcher.parse.exploding import simply_found
from fetcher.parse.formats import Format, decoded
from fetcher.parse.lines import Lines, checked
from fetcher.parse.pages import PagePaths, page_facts
from fetcher.parse.paths import kind_named, search
from fetcher.parse.shapes import Shape, shaped
from fetcher.parse.unpacking import Packing, unpacked

Annotate = Callable[[Iterable[Mapping[str, object]], str], Iterable[Mapping[str, object]]]
"""Records in, and what their row is known by; the same with what is added to them out."""


@dataclass(frozen=True, slots=True)
class Parsing(Shape):
    """How to parse: what answers are written in, and the shape of the main table; or a function in a Python file.

    `tables` are the tables beside it, by name. `member_into` names the field that gets the name of a zip file's member.
    `pages` is None where answers do not come in pages. `annotate` adds to the records of the main table, and
    `prepare` fetches what it needs.
    Where annotators ask, the answer becomes lines that are asked about; `then` is how lines are read on behind each.
    """

    file: str = ""
    function: str = ""
    pages: PagePaths | None = None
    format: Format = field(default_factory=Format)
    packing: Packing = field(default_factory=Packing)
    member_into: str = ""
    expected: Expectations | None = None
    tables: tuple[tuple[str, Shape], ...] = ()
    annotate: Annotate | None = None
    prepare: Callable[[], None] | None = None
    is_slow: bool = False
    then: "tuple[Parsing, ...]" = ()
    keeps_digits: bool = False

    @property
    def may_take_long(self) -> bool:
        """Whether even a small body may take long: a function, patterns, slow annotators, a body that was packed."""
        patterns = self.format.pattern or self.extracted or any(shape.extracted for _, shape in self.tables)
        return bool(self.function or patterns or self.is_slow or self.packing.kind != "none")


@dataclass(frozen=True, slots=True)
class Answer:
    """A body on its way to a parser, the values and the key of its row, and what its sender says that it is; or lines
    that so many annotators have asked about."""

    body: bytes
    values: Mapping[str, Value]
    content_type: str = ""
    row_key: str = ""
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """JSONL: every line ends with its newline. The order is the parser's.

    `record_keys` are 16 bytes a record, where the job has a key; `facts` are what the answer says about its pages.
    `drift` is {what records have otherwise than expected: how many of them}.
    """

    lines: bytes
    records: int
    record_keys: bytes = b""
    facts: PageFacts | None = None
    tables: tuple[TableLines, ...] = ()
    drift: Mapping[str, int] = field(default_factory=dict)


def parse(
    parsing: Parsing, body: bytes, values: Mapping[str, Value], content_type: str = "", *, row_key: str = ""
) -> Parsed:
    """The records of one answer.

    Raises `Quarantined` when one cannot be written down, `JobError` when the job's own function cannot be loaded, and
    whatever that function raises.
    """
    watch = Watch(parsing.expected) if parsing.expected else None
    main = Lines(parsing.key, hook=verbatim if parsing.keeps_digits else plain)
    sides = [Lines(shape.key, name) for name, shape in parsing.tables]
    answer = None
    for name, part in unpacked(parsing.packing, body):
        if not parsing.function or parsing.pages or sides:
            answer = decoded(parsing.format, part, content_type if parsing.packing.kind == "none" else "")
        found = checked(_named(_found(parsing, part, values, answer), parsing.member_into, name))
        found = watch.over(found) if watch else found
        main.add(parsing.annotate(found, row_key) if parsing.annotate else found)
        for side, (table, shape) in zip(sides, parsing.tables, strict=True):
            try:
                side.add(_shaped(shape, answer, values))
            except Quarantined as error:
                raise Quarantined(f"table '{table}': {error}") from error
    return Parsed(
        bytes(main.lines),
        main.records,
        bytes(main.keys),
        page_facts(parsing.pages, answer, main.records) if parsing.pages else None,
        tuple(
            TableLines(name, bytes(side.lines), side.records, bytes(side.keys))
            for side, (name, _) in zip(sides, parsing.tables, strict=True)
        ),
        watch.end() if watch else {},
    )


def load(parsing: Parsing) -> None:
    """Import the job's own functions. Raises `JobError` where a file of theirs cannot be run."""
    if parsing.function:
        function_of(parsing.file, parsing.function)
    for stage in (parsing, *parsing.then):
        if stage.prepare:
            stage.prepare()


def parse_item(parsing: Parsing, item: Answer) -> Parsed:
    """`parse` for an engine, which hands over one item."""
    parsing = parsing.then[item.stage - 1] if item.stage else parsing
    return parse(parsing, item.body, item.values, item.content_type, row_key=item.row_key)


def _found(parsing: Parsing, body: bytes, values: Mapping[str, Value], answer: object) -> object:
    if parsing.function:
        return function_of(parsing.file, parsing.function)(body, dict(values))
    return _shaped(parsing, answer, values)


def _shaped(shape: Shape, answer: object, values: Mapping[str, Value]) -> object:
    return _at_path(shape.records, answer) if shape.is_plain else shaped(shape, answer, values)


def _at_path(path: str, answer: object) -> object:
    """What is at a path, where it is the records as they are."""
    if (simply := simply_found(path, answer)) is not None:
        return simply
    found = search("parse.records", path, answer) if path else answer
    return [] if found is None else [found] if isinstance(found, Mapping) else found


def _named(found: object, into: str, member: str) -> object:
    if not into or not isinstance(found, Iterable):
        return found

    def named() -> Iterator[Mapping[str, object]]:
        for record in found:
            if not isinstance(record, Mapping):
                raise Quarantined(f"a record of '{member}' is {kind_named(record)}, expected a dict")
            yield {**record, into: member}

    return named()
