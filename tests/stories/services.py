"""Services that annotators ask, in a thread of the test, and the job that asks them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.stories.feeds import listening

Fate = Callable[[str], web.StreamResponse | Awaitable[web.StreamResponse | None] | None]
"""What becomes of a question, such as `/place/a`; None where it is answered as it should be."""


@dataclass
class Services:
    """`/place/NAME` tells where a name is; a POST to `/paid` tells the same of `{"name": ...}`, and is paid for.

    `asked` counts the questions that came, `answered` those whose answers left; `fate` may be changed.
    """

    fate: Fate = lambda question: None
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        question = request.path
        name = question.rpartition("/")[2]
        if request.method == "POST":
            name = (await request.json())["name"]
            question = f"/paid/{name}"
        self.asked[question] += 1
        fate = self.fate(question)
        answer = await fate if isinstance(fate, Awaitable) else fate
        self.answered[question] += answer is None
        return answer or web.json_response(told(name))

    def taken(self) -> dict[str, int]:
        """The questions that came since this was last called, and how often."""
        asked, self.asked = self.asked, Counter()
        return dict(asked)


def told(name: str) -> dict[str, object]:
    """What the services know of a name."""
    return {"name": name, "place": {"city": f"city of {name}", "lat": 1.5}, "length": len(name)}


async def no_answer(_: str = "") -> None:
    """Nothing, for ever."""
    await asyncio.Event().wait()


@contextmanager
def serving_services() -> Iterator[Services]:
    """Services while the `with` lasts."""
    services = Services()
    with listening(services):
        yield services


FREE = """\
[[annotate]]
[annotate.service]
base_url = "URL"
url = "/place/{name}"
take = ["place.city", "length"]
retries = { attempts = 2, first_wait = "1 ms" }
"""
PAID = """\
[[annotate]]
into = "paid"
[annotate.service]
base_url = "URL"
url = "/paid"
method = "POST"
json = { name = "{name}" }
take = ["length"]
limits.concurrency = 1
retries = { attempts = 2, first_wait = "1 ms" }
"""


def make_names_job(folder: Path, url: str, names: list[str], annotators: str = FREE, more: str = "") -> Path:
    """A table of names, each enriched by services."""
    (folder / "names.csv").write_text("id,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(names)))
    job = folder / "job.toml"
    head = 'name = "names"\nread.key = ["id"]\n[read.table]\npath = "names.csv"\n'
    job.write_text(f'{head}{annotators}[write]\nfolder = "out"\n{more}'.replace("URL", url))
    return job


def by_id(records: list[dict]) -> list[dict]:
    """In the order of the table."""
    return sorted(records, key=lambda record: int(record["id"]))


def cities(names: list[str]) -> list[dict]:
    """The records of `FREE`."""
    return [
        {"id": str(number), "name": name, "city": f"city of {name}", "length": len(name)}
        for number, name in enumerate(names)
    ]
