"""What a person sees of a run: a live line on a terminal, a log line every few seconds elsewhere, and the summary."""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime

from fetcher.launch import Report, Watch
from fetcher.model import RowState
from fetcher.reasons import Reasons
from fetcher.tally import Tally

logger = logging.getLogger("fetcher")

LIVE_EVERY_S = 0.2
LOG_EVERY_S = 5.0
RATE_OVER_S = 10.0
REASONS_SHOWN = 5
REASON_WIDTH = 200
LEAST_WORK = 0.05
"""Of the time of a run: less than that in workers is not worth a line."""


def watch(job: str, is_terminal: bool) -> Watch:
    """What `run` calls to show its progress on standard error."""

    async def live(tally: Tally) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        speed = Speed()
        with Live(console=Console(stderr=True), refresh_per_second=1 / LIVE_EVERY_S, transient=True) as line:
            while True:
                line.update(Text(progress_line(job, tally, speed.over(tally.requests, time.monotonic()))))
                await asyncio.sleep(LIVE_EVERY_S)

    async def log(tally: Tally) -> None:
        speed = Speed()
        while True:
            await asyncio.sleep(LOG_EVERY_S)
            if not (tally.statuses or tally.cache_hits):  # an API that is down is told of once, at the end
                continue
            logger.info("%s", progress_line(job, tally, speed.over(tally.requests, time.monotonic())))

    return live if is_terminal else log


class Speed:
    """Requests a second over the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def over(self, requests: int, now: float) -> float:
        """The speed, given the count so far and the time (monotonic seconds)."""
        self._seen.append((now, requests))
        while now - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        began, before = self._seen[0]
        return (requests - before) / (now - began) if now > began else 0.0


def progress_line(job: str, tally: Tally, requests_per_s: float) -> str:
    """`air-temperature: 37 of 100 rows · 12,880 records · 44 requests, 19.8/s · 2 failed`"""
    counts = tally.by_state()
    carried = tally.rows_read - counts[RowState.WAITING]
    rows = f"{carried:,} of {tally.rows_read:,}{'' if tally.is_read_whole else '+'} rows"
    parts = [rows, counted(tally.records, "record"), f"{counted(tally.requests, 'request')}, {requests_per_s:.1f}/s"]
    if tally.cache_hits:
        parts.append(f"{tally.cache_hits:,} from the cache")
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    return f"{job}: {' · '.join(parts)}"


def summary(report: Report) -> str:
    """The closing lines: rows by state, which add up, then what it took, then why rows failed."""
    tally = report.tally
    counts = {state: count for state, count in tally.by_state().items() if count}
    sums = " + ".join(f"{count:,} {state}" for state, count in counts.items()) or "nothing to do"
    before = sum(tally.settled_before.values())
    earlier = f" ({before:,} of them in earlier runs)" if before else ""
    lines = [
        f"{report.job}: {counted(tally.rows_read, 'row')} = {sums}{earlier}",
        f"  {counted(tally.records, 'record')}{beside(tally)} added to {report.folder} in {report.elapsed_s:.1f} s"
        f"{commits(report)}",
        f"  {counted(tally.requests, 'request')} ({counted(tally.retries, 'retry', 'retries')}), "
        f"{counted(tally.cache_hits, 'answer')} from the cache{spent(tally)}",
    ]
    lines += [f"  {said}" for said in (work_line(tally, report.elapsed_s), *read_lines(tally)) if said]
    repeats = {"write.key": tally.repeats}
    repeats |= {f"write.tables.{table}.key": count for table, count in sorted(tally.side_repeats.items())}
    lines += [f"  {counted(count, 'repeat')} by {key}, not written again" for key, count in repeats.items() if count]
    drift = tally.drift.most_common(REASONS_SHOWN)
    lines += [f"  drift: {counted(count, 'record')}: {on_screen(said)}" for said, count in drift]
    statuses = ", ".join(f"{count:,} x {status}" for status, count in sorted(tally.statuses.items()))
    if statuses:
        lines.append(f"  answers: {statuses}")
    if tally.not_kept:
        what = counted(tally.not_kept, "row has no kept answer, and stays", "rows have no kept answer, and stay")
        lines.append(f"  {what} as before{ways_on(report)}")
    if tally.settled_now[RowState.EMPTY] and not tally.settled_now[RowState.DONE] and not before:
        lines.append("  no answer held any record: does the parse part of the job look in the right place?")
    lines += reason_lines(tally.reasons)
    if counts.get(RowState.WAITING) and tally.not_before > 0:
        lines.append(f"  what waits is allowed again later: run again after {local_time(tally.not_before)}")
    if report.signal:
        lines.append("  interrupted: everything received is committed; run again to go on")
    if report.stopped:
        lines.append(f"  stopped: {report.stopped}")
    return "\n".join(lines)


def ways_on(report: Report) -> str:
    """What somebody has to decide about rows that could not be parsed by the new rules."""
    if not report.options.reparse:
        return ""
    if report.options.offline:
        return "; run --reparse without --offline asks what annotators have never asked"
    return ", by the old rules; run --as-is --refresh asks for every row again, run --as-is leaves these as they are"


def reason_lines(reasons: Reasons, most: int = REASONS_SHOWN) -> Iterator[str]:
    """`  3 x refused: HTTP 404`: the groups with the most rows, and how many more there are."""
    groups = list(reasons)
    yield from (f"  {group.rows:,} x {on_screen(str(group))}" for group in groups[:most])
    if more := len(groups[most:]):
        yield f"  and {counted(more, 'more reason')}"


def read_lines(tally: Tally) -> Iterator[str]:
    """What has to be said of the tables that were read."""
    if tally.skipped:
        yield f"{counted(tally.skipped, 'line')} skipped: blank where read.table.require wants something"
    if tally.changed:
        yield f"{', '.join(tally.changed)} changed while it was read: run again for what is new"


def work_line(tally: Tally, elapsed_s: float) -> str:
    """`CPU: 78% in 2 workers: 1.6 times as fast as one process; 4.5 times at most with more`, where they did a part.

    Amdahl's law: their share is what can be done side by side; the rest has to be done by this process alone.
    """
    worked_s = tally.worker_s + tally.own_s
    if not tally.own_s or tally.worker_s <= LEAST_WORK * elapsed_s:
        return ""
    said = f"CPU: {tally.worker_s / worked_s:.0%} in {counted(tally.workers, 'worker')}"
    if worked_s <= elapsed_s:
        return f"{said}, and the run waited longer than it worked"
    reached, most = worked_s / elapsed_s, worked_s / tally.own_s
    return f"{said}: {reached:.1f} times as fast as one process; {most:.1f} times at most with more"


def spent(tally: Tally) -> str:
    """What answers have told of their cost, where the job looks for that."""
    return f"; {tally.cost:,} spent, by the answers' own account" if tally.cost else ""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 request`, `2 requests`, `1,000 retries`"""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def beside(tally: Tally) -> str:
    """` and 12 of stations, 3 of units`, where there are tables beside the main one."""
    counts = [f"{count:,} of {table}" for table, count in sorted(tally.side_records.items())]
    return f" and {', '.join(counts)}" if counts else ""


def commits(report: Report) -> str:
    """`; 8 commits took 0.4% of it`, where there were any."""
    tally = report.tally
    if not (tally.records or tally.side_records.total()):
        return ""
    return f"; {counted(tally.commits, 'commit')} took {share(tally.commit_s, report.elapsed_s)} of it"


def share(part: float, whole: float) -> str:
    """`2.5%`"""
    return f"{part / whole:.1%}" if whole else "0.0%"


def on_screen(text: str) -> str:
    """One line that a terminal takes for text: a reason may quote a server, whose bytes must not move the cursor."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= REASON_WIDTH else f"{line[:REASON_WIDTH]}..."


def local_time(epoch_s: float) -> str:
    """`2024-05-01 13:07:00+02:00`"""
    return datetime.fromtimestamp(epoch_s).astimezone().isoformat(" ", "seconds")


def is_terminal() -> bool:
    """Whether standard error is a person's screen."""
    return sys.stderr.isatty()
