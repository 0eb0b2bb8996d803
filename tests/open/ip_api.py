"""ip-api.com: addresses one by one or a hundred at once, a countdown in headers, failures inside a 200."""

import csv
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.open.serving import Emulator, Window, recorded, recordings

API = "ip-api"
MOST_IN_BATCH = 100
COLUMNS = ("countryCode", "regionName", "city", "lat", "lon")
FAILURES = {"192.168.1.7": "private range", "127.0.0.1": "reserved range", "not-an-ip": "invalid query"}


@dataclass(frozen=True)
class Table:
    """Rows to enrich, and what the API knows by address."""

    rows: list[dict[str, str]]
    answers: dict[str, dict[str, Any]]

    def write(self, path: Path) -> None:
        """As CSV."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["row", "ip"])
            writer.writeheader()
            writer.writerows(self.rows)


def recorded_table() -> Table:
    """The rows and answers of the specification."""
    with (recordings(API) / "input.csv").open(newline="", encoding="utf-8") as file:
        return Table(list(csv.DictReader(file)), recorded(API, "answers.json"))


def generated_table(seed: int = 8, count: int = 120, distinct: int = 40) -> Table:
    """Rows of our own: repeated addresses, failures, a blank one, and one between blanks."""
    chance = random.Random(seed)
    answers = {ip: {"query": ip, "status": "fail", "message": message} for ip, message in FAILURES.items()}
    answers |= {ip: place(ip, chance) for ip in (f"198.18.7.{number}" for number in range(distinct))}
    addresses = [*answers, *chance.choices(list(answers), k=count - len(answers) - 2), "", " 198.18.7.3 "]
    return Table([{"row": str(number), "ip": ip} for number, ip in enumerate(addresses)], answers)


def place(ip: str, chance: random.Random) -> dict[str, Any]:
    """What the API tells of a good address."""
    number = chance.randrange(90)
    told = {"query": ip, "status": "success", "country": "Nowhere", "countryCode": "ZZ", "region": "N"}
    told |= {"regionName": f"Région {number}", "city": f"City {number}", "zip": "", "timezone": "", "isp": "None"}
    return told | {"lat": chance.choice([number, number + 0.25]), "lon": round(chance.uniform(-180, 180), 4)}


def expected(table: Table) -> list[dict[str, Any]]:
    """The records that a correct run makes: one a row."""
    records = []
    for row in table.rows:
        ip = row["ip"].strip()
        told = table.answers[ip] if ip else {"message": "empty"}
        columns = {name: told.get(name) for name in COLUMNS}
        records.append({"row": int(row["row"]), "ip": ip, **columns, "error": told.get("message")})
    return records


@dataclass
class IpApi(Emulator):
    """The API. Its two ways in are counted apart."""

    answers: dict[str, dict[str, Any]] = field(default_factory=lambda: generated_table().answers)
    lasts_s: float = 2.0
    windows: dict[str, Window] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        kind = request.path.split("/")[1]
        if kind not in ("json", "batch"):
            return web.Response(status=404)
        window = self.windows.setdefault(kind, Window({"json": 45, "batch": 15}[kind], self.lasts_s))
        if not window.admits():
            answer = web.Response(status=429)
        elif kind == "json":
            answer = web.json_response(self._told(request.path.removeprefix("/json/"), request))
        else:
            answer = await self._batch(request)
        ttl_s = math.ceil(window.ends_in_s())
        answer.headers["X-Rl"], answer.headers["X-Ttl"] = str(window.left), str(ttl_s)
        if not window.left:
            self.tell_to_wait(window.ends_in_s())
        return answer

    async def _batch(self, request: web.Request) -> web.Response:
        entries = await request.json()
        self.batches.append(len(entries))
        if len(entries) > MOST_IN_BATCH:
            return web.Response(status=422)
        queries = [entry["query"] if isinstance(entry, dict) else entry for entry in entries]
        return web.json_response([self._told(query, request) for query in queries])

    def _told(self, ip: str, request: web.Request) -> dict[str, Any]:
        told = self.answers.get(ip, {"query": ip, "status": "fail", "message": "invalid query"})
        fields = request.query.get("fields")
        return {name: value for name, value in told.items() if fields is None or name in fields.split(",")}
