"""What others do with the same limit: `_peers.py NAME URL RATE` asks until it is ended; exits 3 where it is missing.

Every one is given the server's rate, and asks again for what was refused.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator

AT_ONCE = 64
MISSING = 3


def urls(base: str) -> Iterator[str]:
    return (f"{base}/v1/rows?id={number}" for number in itertools.count())


async def aiolimiter(base: str, starts: float, per_s: float) -> None:
    """aiohttp behind one `AsyncLimiter(starts, per_s)`."""
    import aiohttp
    from aiolimiter import AsyncLimiter

    limiter, waiting = AsyncLimiter(starts, per_s), urls(base)

    async def carrier() -> None:
        for url in waiting:
            status = 429
            while status == 429:
                async with limiter, session.get(url) as answer:
                    status = answer.status
                    await answer.read()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(carrier())


def scrapy(base: str, settings: dict[str, object]) -> None:
    """A spider that asks for the next row with each answer, and does nothing else."""
    from scrapy import Request, Spider
    from scrapy.crawler import CrawlerProcess

    waiting = urls(base)

    class Rows(Spider):
        name = "rows"

        async def start(self):
            for _ in range(AT_ONCE):
                yield Request(next(waiting), dont_filter=True)

        def parse(self, response):
            yield Request(next(waiting), dont_filter=True)

    common = {
        "LOG_LEVEL": "ERROR",
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
        "CONCURRENT_REQUESTS": AT_ONCE,
        "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE,
        "RETRY_TIMES": 1000,
    }
    process = CrawlerProcess(settings={**common, **settings})
    process.crawl(Rows)
    process.start()


def scrapy_delay(base: str, rate: float) -> None:
    scrapy(base, {"DOWNLOAD_DELAY": 1 / rate, "RANDOMIZE_DOWNLOAD_DELAY": False})


def scrapy_autothrottle(base: str, rate: float) -> None:
    told = {"AUTOTHROTTLE_ENABLED": True, "AUTOTHROTTLE_START_DELAY": 1 / rate, "DOWNLOAD_DELAY": 0}
    scrapy(base, told)


PEERS = {
    "aiolimiter, rate/s": lambda base, rate: asyncio.run(aiolimiter(base, rate, 1)),
    "aiolimiter, spaced": lambda base, rate: asyncio.run(aiolimiter(base, 1, 1 / rate)),
    "Scrapy DOWNLOAD_DELAY": scrapy_delay,
    "Scrapy AutoThrottle": scrapy_autothrottle,
}


if __name__ == "__main__":
    _, name, base, rate = sys.argv
    try:
        PEERS[name](base, float(rate))
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
