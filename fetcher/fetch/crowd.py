"""Who is under way in one realm, over all parts of a run that ask there."""

import asyncio


class Crowd:
    """Each part has limits of its own, and a number of calls at once that counts those of the others, too."""

    def __init__(self) -> None:
        self.under_way = 0
        self._waiting: list[asyncio.Event] = []

    def join(self, news: asyncio.Event) -> None:
        """Whoever waits for that hears of each end."""
        self._waiting.append(news)

    def ended(self) -> None:
        """One of those under way is not any more."""
        self.under_way -= 1
        for news in self._waiting:
            news.set()
