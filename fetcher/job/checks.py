"""Rules between keys. They look at the tree rather than the models, so that a fault in one key hides none here."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fetcher.job.days import order_fault, parse_day
from fetcher.job.offers import Offers, added_names, offers_of
from fetcher.job.places import KeyPath
from fetcher.job.templated import asked_templates, table_at, templates
from fetcher.job.units import parse_rate
from fetcher.job.values import one_of_fault
from fetcher.job.wording import guess, listed
from fetcher.template import Template

_DEFAULT_LAST_DAY = "yesterday"
MOST_SHOWN = 20
WORKING = ("timeout", "memory", "workers")
"""Keys of `[parse]` that are about how records are worked at, wherever they come from."""


def rule_faults(tree: Mapping[str, object], folder: Path) -> list[tuple[KeyPath, str]]:
    """(key path, message) of each broken rule; parts of the tree that cannot be read are passed over.

    Tables, whose paths are relative to `folder`, are opened, to see which columns they have.
    """
    offers = offers_of(table_at(tree, "read"), folder)
    return [
        *offers.faults,
        *_flow_faults(tree),
        *_slot_faults(tree, offers),
        *_field_faults(tree, offers),
        *_question_faults(tree, offers),
        *_choice_faults(tree),
        *_order_faults(tree),
        *_cost_faults(table_at(tree, "fetch"), ("fetch",)),
        *(fault for path, asks in _asking(tree) for fault in _cost_faults(asks, path)),
    ]


def _flow_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    """Who is asked has answers, which are parsed; rows of nobody are records, which something is added to."""
    if "fetch" in tree and "parse" not in tree:
        yield ("parse",), "this section is missing"
    parse = table_at(tree, "parse")
    if "fetch" not in tree and (set(parse) - {*WORKING, "records"} or parse.get("records", "@") != "@"):
        yield ("fetch",), f"this section is missing; without it [parse] has {listed(WORKING)} alone"
    elif "fetch" not in tree and "annotate" not in tree:
        yield ("fetch",), "this section is missing, or, where the rows are records already, [[annotate]]"


def _slot_faults(tree: Mapping[str, object], offers: Offers) -> Iterator[tuple[KeyPath, str]]:
    if not offers.are_known:
        return
    for path, template in templates(tree):
        yield from _unfilled(path, template, offers)


def _unfilled(path: KeyPath, template: Template, offers: Offers) -> Iterator[tuple[KeyPath, str]]:
    for name in template.slots:
        if name not in offers.names:
            yield path, f"nothing fills {{{name}}}: the rows offer {_told(offers)}{_slot_hint(name, offers)}"


def _asking(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    """What each annotator asks that asks somebody, under its path."""
    annotators = tree.get("annotate")
    for number, section in enumerate(annotators if isinstance(annotators, list) else []):
        for kind in ("service", "model"):
            if isinstance(section, dict) and isinstance(section.get(kind), dict):
                yield ("annotate", number, kind), section[kind]


def _question_faults(tree: Mapping[str, object], offers: Offers) -> Iterator[tuple[KeyPath, str]]:
    """Slots that no field fills: where rows are records, these are their columns, and what was added before."""
    if "fetch" in tree or not offers.are_known:
        return
    asking, fields = dict(_asking(tree)), replace(offers, names=[*offers.names])
    annotators = tree.get("annotate")
    for number, section in enumerate(annotators if isinstance(annotators, list) else []):
        for path in ((("annotate", number, kind)) for kind in ("service", "model")):
            for place, template in asked_templates(asking.get(path, {}), path):
                yield from _unfilled(place, template, fields)
        added = added_names(section)
        if added is None:
            return
        fields.names.extend(added)


def _field_faults(tree: Mapping[str, object], offers: Offers) -> Iterator[tuple[KeyPath, str]]:
    """Fields that annotators look at and no record has: where rows are records, they have their columns, and what was
    added before. A misspelt one would label nothing, in silence."""
    annotators = tree.get("annotate")
    if "fetch" in tree or not offers.are_known or not isinstance(annotators, list):
        return
    names = list(offers.names)
    for number, section in enumerate(annotators):
        for kind in ("rules", "lookup"):
            field = table_at(section, kind).get("field") if isinstance(section, dict) else None
            if isinstance(field, str) and field not in names:
                meant = guess(field, names)
                told = f"no record has '{field}': they have {_fields(names)}, {offers.because}"
                yield ("annotate", number, kind, "field"), told + (f"; did you mean '{meant}'?" if meant else "")
        added = added_names(section)
        if added is None:
            return
        names += added


def _fields(names: list[str]) -> str:
    shown = [f"'{name}'" for name in names[:MOST_SHOWN]]
    return listed([*shown, *([f"{len(names) - MOST_SHOWN} more"] if len(names) > MOST_SHOWN else [])])


def _told(offers: Offers) -> str:
    shown = [f"{{{name}}}" for name in offers.names[:MOST_SHOWN]]
    more = [f"{len(offers.names) - MOST_SHOWN} more"] if len(offers.names) > MOST_SHOWN else []
    return f"{listed([*shown, *more])} {offers.because}"


def _slot_hint(name: str, offers: Offers) -> str:
    if name.partition(".")[0] in offers.names:
        return "; a slot has no attributes"
    meant = guess(name, offers.names)
    return f"; did you mean '{{{meant}}}'?" if meant else ""


def _choice_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    parse = tree.get("parse")
    if isinstance(parse, dict) and (fault := one_of_fault("function" in parse, "records" in parse, _format(parse))):
        yield ("parse",), fault


def _format(parse: Mapping[str, object]) -> object:
    return parse.get("format", "json")


def _order_faults(tree: Mapping[str, object]) -> Iterator[tuple[KeyPath, str]]:
    dates = table_at(table_at(tree, "read"), "dates")
    try:
        fault = order_fault(parse_day(dates.get("from")), parse_day(dates.get("to", _DEFAULT_LAST_DAY)))
    except ValueError:
        return
    if fault:
        yield ("read", "dates"), fault


def _cost_faults(fetch: Mapping[str, object], path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    limits = table_at(fetch, "limits")
    cost, rates = limits.get("cost"), limits.get("rate", ())
    for written in rates if isinstance(rates, list) else [rates]:
        try:
            rate = parse_rate(written)
        except ValueError:
            continue
        if isinstance(cost, int) and cost > rate.starts:
            yield (*path, "limits", "cost"), f"is more than a whole window of the rate '{written}' allows"
