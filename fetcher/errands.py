"""How a row goes into a run, and what becomes of it. Pure: the pipeline carries it from the one to the other."""

from dataclasses import dataclass
from typing import Any

from fetcher.compose.pages import FIRST, Place, place_of
from fetcher.errors import GaveUp, Incomplete, Parked, Quarantined, Refused, RowError, Unknown
from fetcher.fetch.client import Source
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch
from fetcher.model import Outcome, Row, RowState, Standing
from fetcher.parse.records import Parsed
from fetcher.redaction import redacted
from fetcher.selection import Verdict

NOT_OUT_YET = "nothing is published yet"
SENT = "sent, and no answer came: only the server knows whether it was carried out"
SKIPPED = f"{SENT}; given up, as fetch.on_unknown says"


SOURCES = {
    Verdict.ASK: Source.KEPT_FIRST,
    Verdict.ASK_ANEW: Source.API_ONLY,
    Verdict.REPARSE: Source.KEPT_ONLY,
    Verdict.LOOK: Source.KEPT_ONLY,
}


OUTDATED = frozenset({RowState.WAITING, RowState.GAVE_UP})
"""States that an answer may be kept from before of: the day was not out then, or a second look at it failed."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A row on its way: where its answers may come from, where it stood before, and where its first page begins."""

    row: Row
    source: Source
    before: Standing | None
    place: Place = FIRST

    @property
    def is_lost(self) -> bool:
        """Whether it was sent before, and its answer was never seen."""
        return self.before is not None and self.before.state is RowState.UNKNOWN

    def outcome(self, state: RowState, **told: Any) -> Outcome:
        """How the row ends; `told` are the fields of an `Outcome` that only the end knows."""
        row = self.row
        return Outcome(row.key, state, before=self.before, first_day=row.first_day, last_day=row.last_day, **told)


@dataclass(frozen=True, slots=True)
class Step:
    """One page that came, or the whole answer: where it begins, where the next one does, and what it held."""

    place: Place
    after: Place | None
    parsed: Parsed
    attempts: int


def errand_of(row: Row, asked: Verdict, standing: Standing | None, fetch: Fetch) -> Errand:
    """Where the answers to a row that is asked for may come from, and where its pages begin."""
    source, place = SOURCES[asked], FIRST
    is_halfway = standing is not None and is_on_its_way(row, standing)
    if standing and asked is Verdict.ASK and standing.state in OUTDATED and not (is_halfway and is_untold(standing)):
        source = Source.API_ONLY
    if asked is Verdict.LOOK and fetch.on_unknown == "retry":
        source = Source.KEPT_FIRST
    if standing and is_halfway and asked is not Verdict.REPARSE:
        is_server_state = fetch.pages is not None and fetch.pages.resume == "start"
        place = FIRST if is_server_state else place_of(standing.position)
        if asked is not Verdict.LOOK and (is_server_state or standing.digest):
            source = Source.API_ONLY
    return Errand(row, source, standing, place)


def is_on_its_way(row: Row, standing: Standing) -> bool:
    """Whether pages of the row came, and are pages of what it asks about today: a window may have grown since."""
    days = (standing.first_day, standing.last_day)
    return bool(standing.position) and days == (row.first_day, row.last_day)


def is_untold(standing: Standing) -> bool:
    """Whether nothing is known against the page that comes next; one that failed is asked for anew."""
    return standing.state is RowState.WAITING


def came(errand: Errand, step: Step, job: LoadedJob) -> Outcome:
    """The outcome of an answer that came. A recent day without records is not out yet, rather than empty."""
    parsed, pages = step.parsed, job.fetch.pages
    told: dict[str, Any] = {"lines": parsed.lines, "records": parsed.records, "record_keys": parsed.record_keys}
    told["attempts"] = step.attempts
    if pages:
        told["page"] = step.place.number
        is_kept = pages.resume == "start" and errand.source is not Source.KEPT_ONLY
        told["begins_anew"] = step.place == FIRST and not is_kept
    if step.after:
        return errand.outcome(RowState.WAITING, position=step.after.text, is_end=False, **told)
    if step.place.records + parsed.records:
        return errand.outcome(RowState.DONE, **told)
    if errand.row.is_recent and not (errand.before and errand.before.records):
        return errand.outcome(RowState.WAITING, reason=NOT_OUT_YET, attempts=step.attempts)
    return errand.outcome(RowState.EMPTY, **told)


def failed(errand: Errand, error: RowError, place: Place, job: LoadedJob) -> Outcome:
    """The outcome of a row that could not be done, to be taken up again where its page begins.

    Its reason may quote a server or a parser, and is written down.
    """
    not_before, position = 0.0, place.text
    match error:
        case Refused():
            state = RowState.WAITING if errand.row.is_recent else RowState.REFUSED
        case Incomplete():
            state, position = RowState.GAVE_UP, ""
        case GaveUp():
            state = RowState.GAVE_UP
        case Quarantined():
            state = RowState.QUARANTINED
        case Unknown():
            state = RowState.DISCARDED if job.fetch.on_unknown == "skip" else RowState.UNKNOWN
        case Parked():
            state, not_before = RowState.WAITING, error.until
        case _:
            raise error
    reason = redacted(str(error), job.secrets)
    return errand.outcome(state, reason=reason, attempts=error.attempts, not_before=not_before, position=position)
