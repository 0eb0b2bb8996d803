"""What one commit says: the outcomes of a batch, settled one after the other, and the lines to be written for them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fetcher.ledger import LedgerView, Settled
from fetcher.model import MAIN, DoneRows, Outcome
from fetcher.pieces import Holder
from fetcher.wholesale import SettledRows
from fetcher.write.settling import Known, keys_of, parts_of, revision_of, settled

KEYS_A_LOOK = 500


@dataclass(slots=True)
class Batch:
    """Outcomes of one batch. `next_records` are the numbers, by table, of the record that is to be written next.

    `rows` are what the ledger is to be told, `records` what each table gets, `lines` pairs of lines and their number,
    one an outcome, `repeats` what it does not get.
    `least_records` are given where records are to be in the order of the outcomes: by table, the first number that is
    behind all records of the rows so far; it goes on from batch to batch.
    """

    ledger: LedgerView
    next_records: dict[str, int]
    least_records: dict[str, int] | None = None
    rows: list[Settled | SettledRows] = field(default_factory=list)
    lines: dict[str, list[tuple[bytes, int]]] = field(default_factory=dict)
    records: Counter[str] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    _claimed: dict[bytes, Holder] = field(default_factory=dict)
    _dropped: set[Holder] = field(default_factory=set)

    def settle(self, outcome: Outcome | DoneRows, tables: Sequence[str], now: float) -> None:
        """Add a row's outcome, with what it brings for each of these tables beside the main one; or those of many."""
        if isinstance(outcome, DoneRows):
            self._add_many(outcome, now)
            return
        self._add(outcome, MAIN, now)
        has_part = tables and (outcome.page or outcome.is_news)
        sides = self.ledger.sides(outcome.row_key, outcome.state) if has_part and outcome.before else {}
        for table, part in parts_of(outcome, tables, sides) if has_part else ():
            self._add(part, table, now)

    def _add_many(self, done: DoneRows, now: float) -> None:
        last = self.rows[-1] if self.rows else None
        if not isinstance(last, SettledRows):
            last = SettledRows(self.next_records[MAIN], now)
            self.rows.append(last)
        last.parts.append(done)
        self.lines.setdefault(MAIN, []).append((done.lines, len(done.keys)))
        self.next_records[MAIN] += len(done.keys)
        self.records[MAIN] += len(done.keys)

    def _add(self, outcome: Outcome, table: str, now: float) -> None:
        if outcome.begins_anew:
            self._dropped.add(Holder(outcome.row_key, revision_of(outcome), table))
        is_known = outcome.page and outcome.before
        pieces = self.ledger.pieces(outcome.row_key, outcome.page, table) if is_known else ()
        least = self.least_records.get(table, 0) if self.least_records else 0
        known = Known(self.next_records[table], pieces, self._holders(keys_of(outcome)), table, least)
        row, fresh = settled(outcome, known, now)
        if self.least_records is not None and outcome.is_news:
            self.least_records[table] = max(least, last_of(row))
        self.rows.append(row)
        self.lines.setdefault(table, []).append((fresh.lines, fresh.records))
        self.next_records[table] += fresh.records
        self.records[table] += fresh.records
        self.repeats[table] += fresh.repeats
        if row.superseded or row.is_whole:
            self._dropped.add(Holder(row.key, row.revision - 1, table))
        self._claimed.update(dict.fromkeys(row.record_keys, Holder(row.key, row.revision, table)))

    def _holders(self, keys: list[bytes]) -> Mapping[bytes, list[Holder]]:
        """Who holds records of these keys, by the batch at hand and by the ledger, which still knows what the batch
        has dropped."""
        holders = {key: [self._claimed[key]] for key in keys if key in self._claimed}
        for at in range(0, len(keys), KEYS_A_LOOK):
            for key, held in self.ledger.holders(keys[at : at + KEYS_A_LOOK]).items():
                holders[key] = [*holders.get(key, ()), *(holder for holder in held if holder not in self._dropped)]
        return holders


def last_of(row: Settled) -> int:
    """The number behind the last record that stands for a row, or for its page; 0 where it has none."""
    held = row.piece or row.standing
    return held.first_record + held.records if held.records else 0
