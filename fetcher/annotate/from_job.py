"""What a job says of annotators, as a worker needs it: without the models that read a job file."""

from collections.abc import Sequence
from dataclasses import replace

from fetcher.annotate.asked import Asked
from fetcher.annotate.chat import Chat
from fetcher.annotate.lookups import Lookup
from fetcher.annotate.rules import Rule, Rules
from fetcher.annotate.steps import ByFunction, ByRules, Step
from fetcher.job.annotate import AnnotateSection, LookupSection, RulesSection
from fetcher.provenance import Origin


def steps_of(sections: Sequence[AnnotateSection], origins: Sequence[Origin | None]) -> tuple[Step, ...]:
    """The annotators of a job, in order, and where each says that its fields are from."""
    return tuple(
        Step(_by(section), section.into or "", section.when or "", section.only_empty, origin)
        for section, origin in zip(sections, origins, strict=True)
    )


def flow_of(
    sections: Sequence[AnnotateSection], origins: Sequence[Origin | None] = ()
) -> tuple[tuple[Step, ...], tuple[Asked, ...]]:
    """The annotators before the first that asks, and those that ask, each with the ones behind it; `origins` are where
    each says that its fields are from."""
    told = list(zip(sections, origins or [None] * len(sections), strict=True))
    asking = [number for number, section in enumerate(sections) if section.asks]
    ends = [*asking, len(sections)]
    flow = []
    for at, end in zip(asking, ends[1:], strict=True):
        behind = told[at + 1 : end]
        then = steps_of([section for section, _ in behind], [origin for _, origin in behind])
        flow.append(replace(_asked(sections[at], at), then=then, origin=told[at][1]))
    before = told[: ends[0]]
    return steps_of([section for section, _ in before], [origin for _, origin in before]), tuple(flow)


def _asked(section: AnnotateSection, number: int) -> Asked:
    chat = Chat(section.model.labels, section.model.schema_ or {}) if section.model else None
    take = section.asks.take if section.asks else None
    return Asked(section.named(number), take, chat, section.into or "", section.when or "", section.only_empty)


def _by(section: AnnotateSection) -> ByRules | ByFunction | Lookup:
    if section.rules:
        return _by_rules(section.rules)
    if section.lookup:
        return _lookup(section.lookup)
    assert section.function
    return ByFunction(str(section.function.file), section.function.name)


def _by_rules(told: RulesSection) -> ByRules:
    rules = (Rule(rule.label, rule.terms, rule.patterns, rule.unless, rule.priority) for rule in told.rules())
    return ByRules(told.field, Rules.ordered(rules), told.first, told.why or "")


def _lookup(told: LookupSection) -> Lookup:
    return Lookup(told.table, told.field, told.column or told.field, told.pairs())
