"""What may be used up: windows of the calendar, and the hard stops of a job. Counted in `quotas`, by hundredths.

A share is reserved before it is used, so nothing is ever exceeded; a run that is killed takes what it had in hand with
it, at most a hundredth. A clean end gives it back.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from fetcher.fetch.calendars import EDGE_S, periods_of
from fetcher.fetch.quotas import Account, Quotas
from fetcher.fetch.threads import to_its_end
from fetcher.job.units import CalendarRate, Rate

SHARES = 100
LARGEST_SHARE = 50
MONEY = 10**9
"""Money is counted in billionths: in whole numbers, so that a thousand cents are ten."""


class BudgetSettings(Protocol):
    """What a request costs, what a thousand of what it counts for do, and what all of them may."""

    @property
    def cost_per_request(self) -> float: ...
    @property
    def cost_per_1000(self) -> float: ...
    @property
    def total(self) -> float: ...


class RationSettings(Protocol):
    """The part of a job that says how much."""

    @property
    def rate(self) -> Sequence[Rate | CalendarRate]: ...
    @property
    def timezone(self) -> str: ...
    @property
    def max_requests(self) -> int | None: ...
    @property
    def budget(self) -> BudgetSettings | None: ...


@dataclass(frozen=True, slots=True)
class Ration:
    """What one start takes from an account, and what is said when there is no more. A person counts in `unit`.

    It takes `each` more for each more that it counts for.
    """

    account: Account
    amount: int
    used_up: str
    unit: int = 1
    each: int = 0


class UsedUp(Exception):
    """There is no more: for `wait_s` more seconds, or, where that is None, until the job says otherwise."""

    def __init__(self, message: str, wait_s: float | None) -> None:
        self.wait_s = wait_s
        super().__init__(message)


@dataclass(slots=True)
class Rations:
    """The rations of one realm and one job; `clocks` tell epoch seconds, and where they differ all are believed."""

    limits: RationSettings
    quotas: Quotas
    realm: str
    job: str
    clocks: Callable[[], Sequence[float]]
    _in_hand: dict[Account, int] = field(default_factory=dict)

    async def ensure(self, weight: int) -> None:
        """Have enough in hand for one start of that weight. Raises `UsedUp`."""
        for ration in self.rations(weight):
            account, amount = ration.account, ration.amount
            lacking = amount - self._in_hand.get(account, 0)
            if lacking <= 0:
                continue
            most = amount * min(LARGEST_SHARE, max(1, account.limit // (SHARES * amount)))
            got, cancelled = await to_its_end(self.quotas.reserve, account, lacking, max(lacking, most))
            self._in_hand[account] = self._in_hand.get(account, 0) + got
            if cancelled:
                raise cancelled
            if not got:
                ends = account.ends
                raise UsedUp(ration.used_up, None if ends is None else max(EDGE_S, ends + EDGE_S - min(self.clocks())))

    def take(self, weight: int) -> bool:
        """Use what one start needs; False where a new day has begun since it was ensured."""
        rations = list(self.rations(weight))
        if any(self._in_hand.get(ration.account, 0) < ration.amount for ration in rations):
            return False
        for ration in rations:
            self._in_hand[ration.account] -= ration.amount
        return True

    def settle(self, weight: int, told: int) -> None:
        """A start of that weight has cost what was `told`; what was too much is there again, what is over is owed."""
        for ration in [ration for ration in self.rations(1) if ration.each]:
            account, more = ration.account, ration.each * (weight - told)
            self._in_hand[account] = self._in_hand.get(account, 0) + more

    async def close(self) -> None:
        """Give back what is left."""
        for account, amount in self._in_hand.items():
            if amount:
                await asyncio.to_thread(self.quotas.give_back, account, amount)
        self._in_hand.clear()

    def rations(self, weight: int) -> Iterator[Ration]:
        """What one start of that weight takes, account by account."""
        for rate in self.limits.rate:
            if isinstance(rate, CalendarRate):
                said = f"fetch.limits.rate = '{rate.starts}/{rate.unit}' is used up"
                for period in periods_of(rate, self.limits.timezone, self.clocks()):
                    yield Ration(Account(f"{self.realm} {period.name}", rate.starts, period.ends), weight, said, each=1)
        if most := self.limits.max_requests:
            said = f"fetch.limits.max_requests = {most} is used up; raise it to go on"
            yield Ration(Account(f"{self.job} requests", most), 1, said)
        if budget := self.limits.budget:
            said = f"fetch.limits.budget of {budget.total:g} is used up; raise it to go on"
            total = int(Decimal(str(budget.total)) * MONEY)
            amount = int(Decimal(str(budget.cost_per_request)) * MONEY)
            each = int(Decimal(str(budget.cost_per_1000)) * MONEY / 1000)
            yield Ration(Account(f"{self.job} money", total), amount + each * weight, said, MONEY, each)
