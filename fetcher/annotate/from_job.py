"""What a job says of annotators, as a worker needs it: without the models that read a job file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fetcher.annotate.asked import Asked
from fetcher.annotate.chat import Chat
from fetcher.annotate.frames import ByFrame
from fetcher.annotate.images import Images
from fetcher.annotate.lookups import Lookup
from fetcher.annotate.rules import Rule, Rules
from fetcher.annotate.steps import ByFunction, ByRules, Step
from fetcher.annotate.thumbnails import Thumbnails
from fetcher.job.annotate import AnnotateSection, LookupSection, RulesSection
from fetcher.job.images import ImageSection
from fetcher.provenance import Origin

QUALITY = 85


def steps_of(
    sections: Sequence[AnnotateSection], origins: Sequence[Origin | None], folder: Path, *, is_trial: bool = False
) -> tuple[Step, ...]:
    """The annotators of a job in that folder, in order, and where each says that its fields are from. On trial they
    leave nothing behind."""
    found = []
    for section, origin in zip(sections, origins, strict=True):
        by = _by_image(section.image, folder, is_trial) if section.image else _by(section)
        found.append(Step(by, section.into or "", section.when or "", section.only_empty, origin))
    return tuple(found)


def flow_of(
    sections: Sequence[AnnotateSection], origins: Sequence[Origin | None], folder: Path, *, is_trial: bool = False
) -> tuple[tuple[Step, ...], tuple[Asked, ...]]:
    """The annotators before the first that asks, and those that ask, each with the ones behind it; as `steps_of`."""
    asking = [number for number, section in enumerate(sections) if section.asks]
    ends = [*asking, len(sections)]

    def steps(begin: int, end: int) -> tuple[Step, ...]:
        found = steps_of(sections[begin:end], origins[begin:end], folder, is_trial=is_trial)
        return tuple(_carrying(step, sections[end:]) for step in found)

    flow = [
        replace(
            _asked(sections[at], at), then=steps(at + 1, end), origin=origins[at], drops=_dropped_behind(sections, at)
        )
        for at, end in zip(asking, ends[1:], strict=True)
    ]
    return steps(0, ends[0]), tuple(flow)


def _carrying(step: Step, later: Sequence[AnnotateSection]) -> Step:
    """The same, its picture left to the record where annotators need it behind one that asks."""
    by = step.by
    if not isinstance(by, Images) or not _is_needed(by.content, later):
        return step
    return replace(step, by=replace(by, is_needed=True))


def _dropped_behind(sections: Sequence[AnnotateSection], at: int) -> tuple[str, ...]:
    """Fields with pictures that nobody needs behind the annotator at that place."""
    pictures = {section.image.bytes_ for section in sections[:at] if section.image and section.image.bytes_}
    return tuple(sorted(name for name in pictures if not _is_needed(name, sections[at + 1 :])))


def _is_needed(picture: str, by: Sequence[AnnotateSection]) -> bool:
    """Whether one of them looks at the picture in that field, or sends it to somebody."""
    return bool(picture) and any(
        (section.image and section.image.bytes_ == picture) or (section.asks and picture in section.asks.slots())
        for section in by
    )


def _asked(section: AnnotateSection, number: int) -> Asked:
    chat = Chat(section.model.labels, section.model.schema_ or {}) if section.model else None
    take = section.asks.take if section.asks else None
    return Asked(section.named(number), take, chat, section.into or "", section.when or "", section.only_empty)


def _by(section: AnnotateSection) -> ByRules | ByFunction | ByFrame | Lookup:
    if section.rules:
        return _by_rules(section.rules)
    if section.lookup:
        return _lookup(section.lookup)
    assert section.function
    kind = ByFrame if section.frames else ByFunction
    return kind(str(section.function.file), section.function.name)


def _by_rules(told: RulesSection) -> ByRules:
    rules = (Rule(rule.label, rule.terms, rule.patterns, rule.unless, rule.priority) for rule in told.rules())
    return ByRules(told.field, Rules.ordered(rules), told.first, told.why or "")


def _lookup(told: LookupSection) -> Lookup:
    return Lookup(told.table, told.field, told.column or told.field, told.pairs())


def _by_image(told: ImageSection, folder: Path, is_trial: bool) -> Images:
    thumbnails = None
    if told.resize and told.folder and told.name and told.saved_as:
        quality = told.quality or QUALITY
        where = (str(told.folder), told.name)
        thumbnails = Thumbnails(told.resize, told.fit, *where, told.saved_as, quality, is_kept=not is_trial)
    return Images(told.take, told.max_pixels, told.path, str(folder), told.bytes_ or "", thumbnails)
