"""What the built-in API answers on a good day, path by path. No limits, no faults, no counting in here."""

import re
from contextlib import suppress
from datetime import date

from aiohttp import web

from fetcher.testing.air_temperature import day_body, first_byte, load_plan
from fetcher.testing.faults.exchange import json_answer
from fetcher.testing.items import ITEMS, items

AIR_TEMPERATURE = "/v1/environment/air-temperature"
ROWS = "/v1/rows"
ECHO = "/v1/echo/"


def asked_day(request: web.BaseRequest) -> date | None:
    """The day that is asked for; None where something else is asked, or where `date` is not a day."""
    text = request.query.get("date", "")
    # fromisoformat alone would also take 20190415 and 2019-W16-1.
    if _is_for(request, AIR_TEMPERATURE) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    return None


def answer(request: web.BaseRequest, day: date | None, step: int, home: str) -> web.Response:
    """The answer to that request; `day` is what `asked_day` said, `step` the minutes between two items.

    Links to further pages begin with `home`.
    """
    if day:
        status = load_plan().day(day).status
        return web.Response(status=status, body=day_body(day, step), content_type="application/json")
    if _is_for(request, AIR_TEMPERATURE):
        return json_answer(400, {"message": "date: expected a day as YYYY-MM-DD"})
    if _is_for(request, ROWS):
        return _row(request.query.get("id", ""))
    if _is_for(request, ITEMS):
        return items(request.query, home)
    if request.method == "GET" and request.path.startswith(ECHO):
        return json_answer(200, {"path": request.path, "query": _query(request)})
    # What an AWS gateway says: it means "no such path", not "bad key".
    return json_answer(403, {"message": "Missing Authentication Token"})


def _is_for(request: web.BaseRequest, path: str) -> bool:
    return request.method == "GET" and request.path == path


def _row(id_: str) -> web.Response:
    if not re.fullmatch(r"-?[0-9]{1,18}", id_):
        return json_answer(400, {"message": "id: expected an integer of up to 18 digits"})
    number = int(id_)
    return json_answer(200, {"id": number, "items": [{"id": number, "value": first_byte(f"row|{number}")}]})


def _query(request: web.BaseRequest) -> dict[str, str | list[str]]:
    """A name that was given more than once has a list."""
    given = {name: request.query.getall(name) for name in request.query}
    return {name: values if len(values) > 1 else values[0] for name, values in given.items()}
