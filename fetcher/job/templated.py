"""Where a job file has templates, and the time zone that their moments are of."""

from collections.abc import Iterable, Iterator, Mapping

from fetcher.job.days import parse_timezone
from fetcher.job.fields import has_slot
from fetcher.job.places import KeyPath
from fetcher.template import Template


def templates(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, Template]]:
    """Every template that rows fill, under its path; texts that are none are passed over."""
    entries = _asked(table_at(tree, "fetch"), ("fetch",))
    for place, shape in _shapes(tree):
        fields = table_at(shape, "fields").items()
        told = [(key, value) for key, value in fields if isinstance(value, Template) or has_slot(value)]
        entries += [((*place, "fields", key), value) for key, value in told]
    yield from _read(entries)


def asked_templates(asks: Mapping[str, object], path: KeyPath) -> Iterator[tuple[KeyPath, Template]]:
    """Every template of an annotator that asks, which records fill."""
    yield from _read([*_asked(asks, path), *(((*path, key), asks.get(key)) for key in ("prompt", "system"))])


def _asked(fetch: Mapping[str, object], path: KeyPath) -> list[tuple[KeyPath, object]]:
    """What stands where templates are read, in a section that says what is asked."""
    entries: list[tuple[KeyPath, object]] = [((*path, "url"), fetch.get("url"))]
    entries.append(((*path, "limits", "cost"), table_at(fetch, "limits").get("cost")))
    for section in ("query", "headers"):
        entries += [((*path, section, key), value) for key, value in table_at(fetch, section).items()]
    for body in ("json", "form", "multipart", "text"):
        entries += _leaves(fetch.get(body), (*path, body))
    entries += _leaves(table_at(fetch, "skip").get("answer"), (*path, "skip", "answer"))
    entries += _leaves(table_at(fetch, "graphql").get("variables"), (*path, "graphql", "variables"))
    return entries


def _read(entries: Iterable[tuple[KeyPath, object]]) -> Iterator[tuple[KeyPath, Template]]:
    for path, value in entries:
        if isinstance(value, Template):
            yield path, value
        elif isinstance(value, str):
            try:
                yield path, Template.parse(value)
            except ValueError:
                continue


def _shapes(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    """Each section that says how records are shaped, under its path."""
    yield ("parse",), table_at(tree, "parse")
    tables = table_at(table_at(tree, "write"), "tables")
    for name in tables:
        yield ("write", "tables", name), table_at(tables, name)


def _leaves(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """What is neither table nor list, under its path."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if below is None:
        yield path, value
    else:
        for key, item in below:
            yield from _leaves(item, (*path, key))


def set_zone(tree: dict[str, object]) -> None:
    """Put templates that tell moments, such as `{date:epoch}`, into the time zone of the days."""
    try:
        zone = parse_timezone(table_at(table_at(tree, "read"), "dates").get("timezone", "UTC"))
    except ValueError:
        return
    for path, template in list(templates(tree)):
        if template.tells_moments:
            _put(tree, path, template.in_zone(zone))


def _put(tree: object, path: KeyPath, value: Template) -> None:
    for part in path[:-1]:
        assert isinstance(tree, dict | list)
        tree = tree[part]  # type: ignore[index]  # the path is one of this tree
    assert isinstance(tree, dict | list)
    tree[path[-1]] = value  # type: ignore[index]


def table_at(tree: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The table under a key; an empty one where there is none."""
    table = tree.get(key)
    return table if isinstance(table, dict) else {}
