"""What a job says of annotators, as a worker needs it: without the models that read a job file."""

from collections.abc import Sequence

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
