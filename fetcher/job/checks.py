"""Rules between keys. They look at the tree rather than the models, so that a fault in one key hides none here."""

from collections.abc import Iterator, Mapping

from fetcher.job.days import order_fault, parse_day, parse_step
from fetcher.job.fields import has_slot
from fetcher.job.places import KeyPath
from fetcher.job.units import parse_rate
from fetcher.job.values import one_of_fault
from fetcher.job.wording import guess, listed
from fetcher.template import Template

_DEFAULT_LAST_DAY = "yesterday"
_DEFAULT_STEP = "1 day"


def rule_faults(tree: Mapping[str, object]) -> list[tuple[KeyPath, str]]:
    """(key path, message) of each broken rule; parts of the tree that cannot be read are passed over."""
    return [*_slot_faults(tree), *_choice_faults(tree), *_order_faults(tree), *_cost_faults(tree)]


def _slot_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    dates = _table(_table(tree, "read"), "dates")
    step = dates.get("every", _DEFAULT_STEP)
    try:
        offered = ["date"] if parse_step(step) == 1 else ["start", "end"]
        because = f"because read.dates.every is '{step}'"
    except ValueError:
        offered = ["date", "start", "end"]
        because = "from read.dates"
    for path, template in _templates(tree):
        for name in template.slots:
            if name not in offered:
                meant = guess(name, offered)
                hint = f"; did you mean '{{{meant}}}'?" if meant else ""
                filled = listed(f"{{{slot}}}" for slot in offered)
                yield path, f"nothing fills {{{name}}}: the rows offer {filled} {because}{hint}"


def _templates(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, Template]]:
    fetch = _table(tree, "fetch")
    entries: list[tuple[KeyPath, object]] = [(("fetch", "url"), fetch.get("url"))]
    entries.append((("fetch", "limits", "cost"), _table(fetch, "limits").get("cost")))
    for section in ("query", "headers"):
        entries += [(("fetch", section, key), value) for key, value in _table(fetch, section).items()]
    for body in ("json", "form", "multipart", "text"):
        entries += _leaves(fetch.get(body), ("fetch", body))
    entries += _leaves(_table(fetch, "graphql").get("variables"), ("fetch", "graphql", "variables"))
    for place, shape in _shapes(tree):
        fields = _table(shape, "fields")
        entries += [((*place, "fields", key), value) for key, value in fields.items() if has_slot(value)]
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
    yield ("parse",), _table(tree, "parse")
    tables = _table(_table(tree, "write"), "tables")
    for name in tables:
        yield ("write", "tables", name), _table(tables, name)


def _leaves(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """What is neither table nor list, under its path."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if below is None:
        yield path, value
    else:
        for key, item in below:
            yield from _leaves(item, (*path, key))


def _choice_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    parse = tree.get("parse")
    if isinstance(parse, dict) and (fault := one_of_fault("function" in parse, "records" in parse, _format(parse))):
        yield ("parse",), fault


def _format(parse: Mapping[str, object]) -> object:
    return parse.get("format", "json")


def _order_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    dates = _table(_table(tree, "read"), "dates")
    try:
        fault = order_fault(parse_day(dates.get("from")), parse_day(dates.get("to", _DEFAULT_LAST_DAY)))
    except ValueError:
        return
    if fault:
        yield ("read", "dates"), fault


def _cost_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    limits = _table(_table(tree, "fetch"), "limits")
    cost, rates = limits.get("cost"), limits.get("rate", ())
    for written in rates if isinstance(rates, list) else [rates]:
        try:
            rate = parse_rate(written)
        except ValueError:
            continue
        if isinstance(cost, int) and cost > rate.starts:
            yield ("fetch", "limits", "cost"), f"is more than a whole window of the rate '{written}' allows"


def _table(tree: Mapping[str, object], key: str) -> Mapping[str, object]:
    table = tree.get(key)
    return table if isinstance(table, dict) else {}
