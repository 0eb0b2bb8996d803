"""What an answer looks like: which paths it has, what lies there, and which of them may be its records. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LOOKED_AT = 200
"""So many items of a list are looked at; those behind them look alike."""

LINES_SHOWN = 40
WIDTH = 60
THIN = 3
"""An object with so few keys beside a list is a heading of that list rather than a record."""

MOST_AROUND = 6
_FIELD = re.compile(r'[A-Za-z_][A-Za-z0-9_]*|"(?:[^"\\]|\\.)*"')
_ABOUT = re.compile(r"_?(meta(data)?|links?|errors?|warnings|paging|pagination|included|facets)\b", re.IGNORECASE)
"""Lists below these names are about the answer, or beside it."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KINDS = {dict: "objects", list: "lists", str: "text", int: "numbers", float: "numbers", bool: "flags"}


@dataclass(slots=True)
class Seen:
    """What lies at a path: how many values, of which kinds, the first one that is no list or object, and how many keys
    the objects have. `is_part` where a list above it was longer than what was looked at."""

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    example: str = ""
    keys: int = 0
    is_part: bool = False


Shape = dict[str, Seen]


def shape_of(answer: object) -> Shape:
    """{path (JMESPath): what lies there}, in the order of the answer; `@` is the whole."""
    shape: Shape = {}
    _look(answer, "", shape, False)
    return shape


def _look(value: object, path: str, shape: Shape, is_part: bool) -> None:
    seen = shape.setdefault(path or "@", Seen())
    seen.count += 1
    seen.kinds[_KINDS.get(type(value), "null")] += 1
    seen.is_part |= is_part
    match value:
        case Mapping():
            seen.keys = max(seen.keys, len(value))
            for name, item in value.items():
                _look(item, joined(path, str(name)), shape, is_part)
        case list():
            _look_at_items(value, path, shape, is_part)
        case None:
            pass
        case _:
            seen.example = seen.example or json.dumps(value, ensure_ascii=False, default=str)


def _look_at_items(items: list[object], path: str, shape: Shape, is_part: bool) -> None:
    if 1 < len(items) <= 3 and any(isinstance(item, list) for item in items):  # such as [{about the page}, [records]]
        for index, item in enumerate(items):
            _look(item, f"{path}[{index}]", shape, is_part)
        return
    is_cut = is_part or len(items) > LOOKED_AT
    for item in items[:LOOKED_AT]:
        _look(item, f"{path}[]", shape, is_cut)
    if len(items) > LOOKED_AT:
        rest = shape[f"{path}[]"]
        rest.count += len(items) - LOOKED_AT
        rest.is_part = is_part


def joined(path: str, name: str) -> str:
    """The path one key further down, quoted where JMESPath wants it."""
    step = name if _NAME.fullmatch(name) else json.dumps(name)
    return f"{path}.{step}" if path else step


def lines_of(shape: Shape) -> Iterator[str]:
    """The outline for a screen: a path a line, with what lies there."""
    shown = [(path, seen) for path, seen in shape.items() if path != "@" or len(shape) == 1][:LINES_SHOWN]
    width = min(WIDTH, max((len(path) for path, _ in shown), default=0))
    for path, seen in shown:
        yield f"{path:<{width}}  {_told(path, seen)}"
    if len(shape) > LINES_SHOWN + 1:
        yield f"and {len(shape) - LINES_SHOWN - 1:,} further paths"


def _told(path: str, seen: Seen) -> str:
    kinds = " or ".join(seen.kinds)
    more = " or more" if seen.is_part else ""
    count = f"{seen.count:,}{more} " if path.endswith("[]") and not seen.example else ""
    example = seen.example if len(seen.example) <= WIDTH else f"{seen.example[:WIDTH]}..."
    return f"{count}{kinds}" + (f", such as {example}" if example else "")


def record_paths(shape: Shape) -> list[tuple[str, int]]:
    """Paths whose values could be the records, the likeliest first, and how many there are; `@` where it has no list.

    A list that hangs below objects which hold little else beats those objects; else the list with the most, and of
    equals the one that lies deeper.
    """
    lists = [
        (path, seen)
        for path, seen in shape.items()
        if path.endswith("[]") and set(seen.kinds) == {"objects"} and _is_plain_way(path, shape)
    ]
    if not lists:
        return [("@", 1)] if "objects" in shape.get("@", Seen()).kinds else []
    tops = [path for path, _ in lists if not any(path.startswith(f"{other}.") for other, _ in lists)]
    best = max((_within(path, lists) for path in tops), key=_likelihood)
    others = sorted((found for found in lists if found[0] != best[0]), key=lambda found: -found[1].count)
    return [(path, seen.count) for path, seen in (best, *others)]


def _likelihood(found: tuple[str, Seen]) -> tuple[bool, int, int]:
    path, seen = found
    return not _ABOUT.match(path), seen.count, path.count("[]")


def _is_plain_way(path: str, shape: Shape) -> bool:
    """Whether each list on the way holds one kind of things; JMESPath flattens what is mixed differently."""
    steps = path.split("[]")
    ways = ("[]".join(steps[:number]) + "[]" for number in range(1, len(steps)))
    return all(len(shape[way].kinds) == 1 for way in ways if way in shape)


def _within(path: str, lists: list[tuple[str, Seen]]) -> tuple[str, Seen]:
    """The list at a path, or the longest one below it as long as what is above has little of its own."""
    seen = dict(lists)[path]
    below = [found for found in lists if found[0].startswith(f"{path}.")]
    if not below or seen.keys > THIN:
        return path, seen
    deepest = max(below, key=lambda found: found[1].count)
    return _within(deepest[0], lists) if deepest[1].count >= seen.count else (path, seen)


def columns_of(shape: Shape) -> list[str]:
    """Paths of lists of plain values, all equally long and side by side in one object: a table told by its columns."""
    beside: dict[str, list[tuple[str, int]]] = {}
    for path, seen in shape.items():
        above, dot, last = path.removesuffix("[]").rpartition(".")
        if path.endswith("[]") and "[]" not in above and not {"objects", "lists"} & set(seen.kinds):
            beside.setdefault(above, []).append((f"{above}{dot}{last}", seen.count))
    found = [group for group in beside.values() if len(group) > 1 and len({count for _, count in group}) == 1]
    return [path for path, _ in max(found, key=len)] if found else []


def direct_fields(shape: Shape, path: str) -> list[str]:
    """Names of the fields that records at a path have, as JMESPath writes them."""
    above = "" if path == "@" else f"{path}."
    below = (name.removeprefix(above) for name in shape if name.startswith(above) and name != "@")
    return [name for name in below if _FIELD.fullmatch(name)]


def around_of(shape: Shape, path: str) -> dict[str, str]:
    """{field: its path from a record out} of what the objects that hold records at a path say by themselves: the time
    of a list of readings, say. `^` is one step out."""
    taken, found = {_bare(name) for name in direct_fields(shape, path)}, dict[str, str]()
    steps = path.split("[]")[:-2]
    for up in range(1, len(steps) + 1):
        holder = "[]".join(path.split("[]")[: -1 - up]) + "[]"
        for name in direct_fields(shape, holder):
            seen = shape[f"{holder}.{name}"]
            if seen.example and len(found) < MOST_AROUND and _bare(name) not in taken:
                found[_bare(name)] = "^" * up + f".{name}"
                taken.add(_bare(name))
    return found


def _bare(name: str) -> str:
    return json.loads(name) if name.startswith('"') else name
