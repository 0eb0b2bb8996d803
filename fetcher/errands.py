"""How a row goes into a run, and what becomes of it. Pure: the pipeline carries it from the one to the other."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from fetcher.compose.pages import FIRST, Place, place_of
from fetcher.errors import GaveUp, Incomplete, Parked, Quarantined, Refused, RowError, Unknown
from fetcher.fetch.sources import Source
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch
from fetcher.model import IDEMPOTENT, Outcome, Row, RowState, Standing
from fetcher.parse.records import Parsed
from fetcher.redaction import redacted
from fetcher.selection import Verdict
from fetcher.tabular.lines import content_of

NOT_ASKED = "fetch.skip says that it is not asked about"
NOT_OUT_YET = "nothing is published yet"
SENT = "sent, and no answer came: only the server knows whether it was carried out"
TURNED_AWAY = "sent, and turned away with all others"
SKIPPED = f"{SENT}; given up, as fetch.on_unknown says"


ONLY_RECORD = "record 1: "
"""How annotators begin what they say of the first record of an answer."""

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

    @property
    def is_reparsed(self) -> bool:
        """Whether its records are made anew from what is kept."""
        return self.source is Source.KEPT_ONLY and not self.is_lost

    @property
    def kept_since(self) -> float:
        """Since when its answer may have been kept (epoch seconds): one that was lost, not before it was asked for."""
        is_own = self.before and self.is_lost and not self.place.is_here
        return self.before.settled_at if self.before and is_own else float("-inf")

    def outcome(self, state: RowState, **told: Any) -> Outcome:
        """How the row ends; `told` are the fields of an `Outcome` that only the end knows."""
        row = self.row
        return Outcome(row.key, state, before=self.before, first_day=row.first_day, last_day=row.last_day, **told)


@dataclass(frozen=True, slots=True)
class Step:
    """One page that came, or the whole answer: where it begins, where the next one does, and what it held. `wait_s` is
    how long to wait before that one is asked for, `reason` why it was not asked for."""

    place: Place
    after: Place | None
    parsed: Parsed
    attempts: int
    wait_s: float = 0.0
    is_known: bool = False
    reason: str = ""

    @property
    def is_told(self) -> bool:
        """Whether there is something to commit: not of a job at the server that is where it was, or was known to be."""
        if self.is_known and self.after and self.after.phase:
            return False
        return self.after is None or self.after.phase != self.place.phase or not self.after.phase


def errand_of(row: Row, asked: Verdict, standing: Standing | None, fetch: Fetch) -> Errand:
    """Where the answers to a row that is asked for may come from, and where its pages begin."""
    source, place = SOURCES[asked], FIRST
    is_halfway = standing is not None and is_on_its_way(row, standing)
    is_untold = standing is not None and is_halfway and is_nothing_against(standing)
    if standing and asked is Verdict.ASK and standing.state in OUTDATED and not is_untold:
        source = Source.API_ONLY
    if standing and asked is Verdict.LOOK:  # for the very page whose answer was lost
        place = place_of(standing.position)
        may_ask = may_repeat(fetch) if place.is_here else fetch.on_unknown == "retry"
        source = Source.KEPT_FIRST if may_ask else Source.KEPT_ONLY
    elif standing and is_halfway and asked is not Verdict.REPARSE:
        is_server_state = fetch.pages is not None and fetch.pages.resume == "start"
        place = FIRST if is_server_state else place_of(standing.position)
        is_old = bool(standing.digest) and not (place.is_here and fetch.pages is None)
        source = Source.API_ONLY if is_server_state or is_old else source
    return Errand(row, source, standing, place)


def without_network(errand: Errand) -> Errand | None:
    """The same row in a run that may send nothing; None where only a new answer would do."""
    if errand.source is Source.API_ONLY:
        return None
    return replace(errand, source=Source.OFFLINE) if errand.source is Source.KEPT_FIRST else errand


def is_on_its_way(row: Row, standing: Standing) -> bool:
    """Whether pages of the row came, and are pages of what it asks about today: a window may have grown since."""
    days = (standing.first_day, standing.last_day)
    return bool(standing.position) and days == (row.first_day, row.last_day)


def is_nothing_against(standing: Standing) -> bool:
    """Whether nothing is known against the page that comes next; one that failed is asked for anew, unless it is here,
    and what failed are its annotators."""
    return standing.state is RowState.WAITING or place_of(standing.position).is_here


def came(errand: Errand, step: Step, job: LoadedJob) -> Outcome:
    """The outcome of an answer that came. A recent day without records is not out yet, rather than empty."""
    parsed, pages = step.parsed, job.fetch.pages
    told: dict[str, Any] = {"lines": parsed.lines, "records": parsed.records, "record_keys": parsed.record_keys}
    told |= {"tables": parsed.tables, "attempts": step.attempts, "reason": step.reason}
    if pages:
        told["page"] = step.place.number
        is_kept = pages.resume == "start" and errand.source is not Source.KEPT_ONLY
        told["begins_anew"] = step.place == FIRST and not is_kept
    if step.after:
        return errand.outcome(RowState.WAITING, position=position_of(step.after, job), is_end=False, **told)
    told["is_answered"] = True
    if step.place.records + parsed.records:
        return errand.outcome(RowState.DONE, **told)
    if errand.row.is_recent and not (errand.before and errand.before.records):
        return errand.outcome(RowState.WAITING, reason=NOT_OUT_YET, attempts=step.attempts, is_answered=True)
    return errand.outcome(RowState.EMPTY, **told)


def position_of(place: Place, job: LoadedJob) -> str:
    """Where a row goes on, as the ledger keeps it. An address with a secret in it is not kept: the row begins anew."""
    written = unquote(str(place.cursor))
    return "" if any(secret in written for secret in job.secrets) else place.text


def may_repeat(fetch: Fetch) -> bool:
    """Whether asking a second time does no harm, or is what the job wants."""
    return fetch.method in IDEMPOTENT or fetch.idempotency_key or fetch.on_unknown == "retry"


def unread(errand: Errand, job: LoadedJob) -> Outcome:
    """The outcome of a row that could not be read: nothing is asked for."""
    return errand.outcome(RowState.QUARANTINED, reason=redacted(errand.row.fault, job.secrets))


def reason_of(row: Row, error: RowError, job: LoadedJob) -> str:
    """Why a row could not be done. Where it is a record, and the fault its own: with its line, and what that holds."""
    if job.asks or not row.line or not isinstance(error, Quarantined | Refused):
        return str(error)
    return f"{told_line(row.line)} {str(error).removeprefix(ONLY_RECORD)}: {content_of(row.values)}"


def told_line(line: tuple[str, int]) -> str:
    """`reviews.csv:17`"""
    return f"{line[0]}:{line[1]}"


def failed(errand: Errand, error: RowError, place: Place, job: LoadedJob) -> Outcome:
    """The outcome of a row that could not be done, to be taken up again where its page begins.

    Its reason may quote a server or a parser, and is written down.
    """
    if error.in_flight is not None:
        place = replace(place, is_here=True, in_flight=error.in_flight)
    not_before, position = 0.0, position_of(place, job)
    match error:
        case Refused():
            state = RowState.WAITING if errand.row.is_recent else RowState.REFUSED
            position = "" if place.cursor is not None else position  # a cursor that is refused will be so again
        case Incomplete():
            state, position = (RowState.GAVE_UP if may_repeat(job.fetch) else RowState.QUARANTINED), ""
        case GaveUp():
            state = RowState.GAVE_UP
        case Quarantined():
            state = RowState.QUARANTINED
        case Unknown():
            choice = error.on_unknown or job.fetch.on_unknown
            state = RowState.DISCARDED if choice == "skip" else RowState.UNKNOWN
        case Parked():
            state, not_before = RowState.WAITING, error.until
        case _:
            raise error
    reason = redacted(reason_of(errand.row, error, job), job.secrets)
    takes_back = errand.is_reparsed and not is_to_come(error, state, job.fetch)
    if takes_back:  # what other rules have made of it is not this job's
        told: dict[str, Any] = {"page": FIRST.number, "begins_anew": True} if job.fetch.pages else {}
        if error.in_flight is not None:
            told["position"] = replace(FIRST, is_here=True, in_flight=error.in_flight).text
        return errand.outcome(state, reason=reason, attempts=error.attempts, takes_back=True, **told)
    return errand.outcome(state, reason=reason, attempts=error.attempts, not_before=not_before, position=position)


def is_to_come(error: RowError, state: RowState, fetch: Fetch) -> bool:
    """Whether records by other rules stand until these have come: their answer is here, and what annotators have asked
    about it is to be asked again. Not of pages: those that came, and those that did not, would be of two kinds."""
    is_asked_again = error.in_flight is not None and state in (RowState.GAVE_UP, RowState.UNKNOWN)
    return isinstance(error, Parked) or (is_asked_again and fetch.pages is None)
