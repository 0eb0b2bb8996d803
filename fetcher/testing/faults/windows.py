"""Limits that really count. Plain objects; `now` is passed: `wait_s(now, cost)` is 0 where the request may pass."""

from collections import deque
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Limit(Protocol):
    """Counts what it lets through; refused requests count nothing."""

    def wait_s(self, now: float, cost: float) -> float:
        """0 where the request that arrives now may pass, and is counted; else seconds until it might."""
        ...


class FixedWindow:
    """`limit` in each window; windows begin at multiples of their length, as counters in a database do."""

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._window = -1.0
        self._used = 0.0

    def wait_s(self, now: float, cost: float) -> float:
        """See `Limit`."""
        if (window := now // self._window_s) != self._window:
            self._window, self._used = window, 0.0
        if self._used + cost > self._limit:
            return (window + 1) * self._window_s - now
        self._used += cost
        return 0.0


class SlidingWindow:
    """`limit` in any window, wherever it begins."""

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._passed: deque[tuple[float, float]] = deque()

    def wait_s(self, now: float, cost: float) -> float:
        """See `Limit`."""
        if wait_s := self.look(now, cost):
            return wait_s
        self.count(now, cost)
        return 0.0

    def look(self, now: float, cost: float) -> float:
        """Like `wait_s`, but counts nothing."""
        while self._passed and now - self._passed[0][0] >= self._window_s:
            self._passed.popleft()
        if sum(passed for _, passed in self._passed) + cost <= self._limit:
            return 0.0
        return self._passed[0][0] + self._window_s - now if self._passed else self._window_s

    def count(self, now: float, cost: float) -> None:
        """Let a request through."""
        self._passed.append((now, cost))


class SeveralWindows:
    """Several sliding windows, all of which have to have room."""

    def __init__(self, windows: list[tuple[float, float]]) -> None:
        self._windows = [SlidingWindow(limit, window_s) for limit, window_s in windows]

    def wait_s(self, now: float, cost: float) -> float:
        """See `Limit`."""
        if wait_s := max(window.look(now, cost) for window in self._windows):
            return wait_s
        for window in self._windows:
            window.count(now, cost)
        return 0.0


class LeakyBucket:
    """`rate_per_s`, with `burst` ahead of it at most: nginx's `limit_req` with `nodelay`."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = 0.0
        self._at = float("-inf")

    def wait_s(self, now: float, cost: float) -> float:
        """See `Limit`."""
        level = max(0.0, self._level - (now - self._at) * self._rate_per_s) + cost
        if level > self._burst + 1:
            return (level - self._burst - 1) / self._rate_per_s
        self._level, self._at = level, now
        return 0.0


class CalendarDay:
    """`limit` a day in a time zone; `now` is in epoch seconds."""

    def __init__(self, limit: float, zone: str) -> None:
        self._limit = limit
        self._zone = ZoneInfo(zone)
        self._day = ""
        self._used = 0.0

    def wait_s(self, now: float, cost: float) -> float:
        """See `Limit`."""
        local = datetime.fromtimestamp(now, self._zone)
        if local.date().isoformat() != self._day:
            self._day, self._used = local.date().isoformat(), 0.0
        if self._used + cost > self._limit:
            tomorrow = local.date() + timedelta(1)
            return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=self._zone).timestamp() - now
        self._used += cost
        return 0.0
