"""Clocks that are wrong, jump, or are read in another place. T01 to T07; T03 is the cache's."""

import asyncio
import random
import re
import subprocess
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from fetcher import load_job
from fetcher.launch import layout_of
from fetcher.ledger import Ledger
from fetcher.model import Row, RowState, Standing
from fetcher.pipeline import run_pipeline
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.stations import Surroundings
from fetcher.tally import Tally
from tests.stories.conftest import ROOT, command, quiet_environment
from tests.stories.feeds import expected, in_order, make_job, noon_zone, published, serving, sets

WALL = re.compile(r"\btime\.time\b|from time import|import time as|datetime\.now|date\.today|utcnow")
DOORS = {"cli.py", "launch.py", "preview.py", "examples.py", "rehearsal.py", "playback.py"}
MAY_READ_THE_WALL = DOORS | {"fetch/standalone.py", "fetch/cache.py"}
"""Doors, the launch and the client that stands alone read the wall's clock and hand it down, and what is kept is dated
by it; what waits within a run goes by the monotonic one."""

HOUR_S = 3600.0
NOW = 1.7e9
DECADES_S = 70 * 365 * 86400.0


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_t01_a_wall_clock_that_jumps_shortens_no_wait(output, tmp_path, jump_s):
    """In the middle of a second that the server asked for: it comes to its end, and every record is there once."""
    came_at: list[float] = []

    def busy_once(day: str) -> web.Response:
        came_at.append(time.monotonic())
        return published(day) if len(came_at) > 1 else web.Response(status=429, headers={"Retry-After": "1"})

    def wall_clock() -> float:
        return time.time() + (jump_s if came_at else 0.0)

    with serving(busy_once) as feed:
        job = load_job(make_job(tmp_path, feed.url, 5, "[fetch.limits]\nconcurrency = 1\n"))
        layout, tally = layout_of(job), Tally()
        layout.state.mkdir(parents=True)
        with Ledger(layout.state / "ledger.sqlite") as ledger:
            around = Surroundings(layout, ledger, tally, wall_clock, random.Random(1), asyncio.Event(), asyncio.Event())
            await run_pipeline(job, RunOptions(), around)
        assert came_at[1] - came_at[0] >= 1.0
        assert len(came_at) == 6
        assert in_order(output(tmp_path / "out").records()) == expected(5)


def test_t01_t04_nothing_that_waits_within_a_run_reads_the_wall():
    """A jump, or the hours of a suspended machine, cannot reach what does not look: only doors read that clock."""
    readers = {
        str(path.relative_to(ROOT / "fetcher"))
        for path in (ROOT / "fetcher").rglob("*.py")
        if WALL.search(path.read_text()) and not {"testing", "commands"} & set(path.parts)
    }
    assert readers <= MAY_READ_THE_WALL


def test_t02_a_clock_that_was_decades_behind_holds_nothing_back():
    """What 1970 wrote as "not before" is over today."""
    held = Standing(RowState.WAITING, not_before=HOUR_S, settled_at=0.0)
    assert verdict(Row("a", {}), held, RunOptions(), NOW) is Verdict.ASK


def test_t02_a_clock_that_was_decades_ahead_holds_nothing_back_for_decades():
    """What 2099 wrote as "in an hour" cannot have been settled yet: the wait means nothing any more."""
    then = NOW + DECADES_S
    held = Standing(RowState.WAITING, not_before=then + HOUR_S, settled_at=then)
    assert verdict(Row("a", {}), held, RunOptions(), NOW + 2 * HOUR_S) is Verdict.ASK


def test_t02_a_job_whose_days_are_all_in_the_future_asks_for_nothing(fetcher, tmp_path):
    """As with a clock of 1970 and a first day of today: no rows, no request, no fault."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url)
        tomorrow = datetime.now().date() + timedelta(2)
        ran = fetcher("run", job, *sets(f'read.dates.from="{tomorrow}"', 'read.dates.to="yesterday"'))
        assert ran.code == 0, ran.err
        assert "0 rows" in ran.err
        assert feed.asked == []


def test_t05_another_time_zone_of_the_machine_changes_no_row(tmp_path):
    """Between the runs TZ moves by a whole day: "yesterday" stays the feed's, no day is asked for twice or left out."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url)
        feeds_zone = noon_zone()
        last_days = sets(
            'read.dates.from="-4 days"', 'read.dates.to="yesterday"', f'read.dates.timezone="{feeds_zone}"'
        )
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"):
            ran = subprocess.run(
                command("run", job, *last_days),
                env={**quiet_environment(), "TZ": zone},
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
        today = datetime.now(ZoneInfo(feeds_zone)).date()
        assert sorted(feed.asked) == [str(today - timedelta(ago)) for ago in (4, 3, 2, 1)]


def test_t05_days_when_the_clocks_change_are_days_like_any_other(fetcher, output, tmp_path):
    """23 and 25 hours long, in the feed's zone: one request each."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url)
        zone = 'read.dates.timezone="Europe/Berlin"'
        for first, last in (("2019-03-30", "2019-04-01"), ("2019-10-26", "2019-10-28")):
            ran = fetcher("run", job, *sets(zone, f'read.dates.from="{first}"', f'read.dates.to="{last}"'))
            assert ran.code == 0, ran.err
        assert sorted(feed.asked) == [
            "2019-03-30",
            "2019-03-31",
            "2019-04-01",
            "2019-10-26",
            "2019-10-27",
            "2019-10-28",
        ]


@pytest.mark.parametrize("skew_s", [HOUR_S, -HOUR_S])
def test_t07_a_servers_wrong_clock_changes_no_wait(fetcher, tmp_path, skew_s):
    """A date an hour and five minutes ahead by a clock that is off is a wait of five minutes."""
    from email.utils import formatdate

    def busy(_: str) -> web.Response:
        told = time.time() + skew_s
        return web.Response(
            status=429,
            headers={"Date": formatdate(told, usegmt=True), "Retry-After": formatdate(told + 300, usegmt=True)},
        )

    with serving(busy) as feed:
        job = make_job(tmp_path, feed.url, 2)
        ran = fetcher("run", job, *sets("fetch.limits.concurrency=1"))
        assert ran.code == 75, ran.err
        assert "the server asks to wait 300 s" in ran.err
        assert len(feed.asked) == 1


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_t07_a_missing_or_impossible_date_is_replaced_by_our_own(fetcher, tmp_path, date):
    """The wait is then from now."""
    from email.utils import formatdate

    def busy(_: str) -> web.Response:
        return web.Response(
            status=429, headers={"Date": date, "Retry-After": formatdate(time.time() + 301, usegmt=True)}
        )

    with serving(busy) as feed:
        job = make_job(tmp_path, feed.url, 2)
        ran = fetcher("run", job, *sets("fetch.limits.concurrency=1"))
        assert ran.code == 75, ran.err
        assert re.search(r"the server asks to wait (299|300|301) s", ran.err), ran.err
        assert len(feed.asked) == 1
