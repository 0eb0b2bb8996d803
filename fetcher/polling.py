"""Jobs at the server: submitted, asked about until they end, and their results fetched. Pure.

    submit  ── its answer names the job ──►  status  ── not done: the same again, later ──►  ...  ──►  result

Each is a place of the row, so a run that is killed goes on with the job that it has submitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fetcher.compose.pages import Place, within_homes
from fetcher.compose.request import composed_path
from fetcher.errors import Incomplete, Quarantined, Refused
from fetcher.fetch.retry_after import asked_s, fields_of
from fetcher.job.poll import Poll
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response, Row, Value, is_true
from fetcher.origins import homes_of, resolved, without_user
from fetcher.parse.formats import Format, decoded
from fetcher.parse.paths import search
from fetcher.template import Template

STATUS, RESULT = "status", "result"


@dataclass(frozen=True, slots=True)
class NextLook:
    """Where a row goes on, after how many seconds. None where the answer that came holds the results."""

    place: Place | None
    wait_s: float = 0.0


def look(request: Request, place: Place) -> Request:
    """The request for a status or a result, which have addresses of their own; `request` is the one that submits."""
    headers = tuple((name, value) for name, value in request.headers if name.lower() != "content-type")
    return Request("GET", str(place.cursor), headers, credential=request.credential)


def after(fetch: Fetch, poll: Poll, row: Row, step: tuple[Place, Response]) -> NextLook:
    """What comes after an answer. Raises `Refused` where the job has failed, `Incomplete` where it takes too long, and
    `Quarantined` where the answer does not say how to go on."""
    place, response = step
    match place.phase:
        case "":
            return NextLook(_submitted(fetch, poll, row, response), _wait_s(poll, response))
        case phase if phase == STATUS:
            return _after_status(fetch, poll, row, step)
        case _:
            return NextLook(None)


def _submitted(fetch: Fetch, poll: Poll, row: Row, response: Response) -> Place:
    answer = None if poll.address_header else _answer(response)
    job = str(_told("id", poll.id, answer)) if poll.id else ""
    if poll.address_header:
        address = response.header(poll.address_header)
        if not address:
            raise Quarantined(f"the answer has no header {poll.address_header}, which fetch.poll.address_header names")
    else:
        address = _path(fetch, poll.path, row, job) if poll.path else str(_told("address", poll.address, answer))
    there = within_homes(address, response.url, homes_of(fetch.base_url, fetch.allowed_hosts))
    return Place(2, cursor=there, phase=STATUS, job=job, since=response.fetched_at)


def _after_status(fetch: Fetch, poll: Poll, row: Row, step: tuple[Place, Response]) -> NextLook:
    place, response = step
    answer = _answer(response) if poll.done or poll.failed or poll.result else None
    if poll.failed and _holds("failed", poll.failed, answer):
        raise Refused(f"the job has failed: {response.body[:200].decode('utf-8', 'replace')}")
    is_done = _holds("done", poll.done, answer) if poll.done else response.status != 202
    if not is_done:
        taken_s = response.fetched_at - place.since
        if taken_s > poll.longest:
            most = f"fetch.poll.longest = {poll.longest:,.0f} s"
            raise Incomplete(f"the job is not done after {taken_s:,.0f} s, and {most}")
        return NextLook(replace(place, number=place.number + 1), _wait_s(poll, response))
    if poll.result_path:
        address = _path(fetch, poll.result_path, row, place.job)
    elif poll.result:
        address = str(_told("result", poll.result, answer))
    else:
        return NextLook(None)
    return NextLook(replace(place, cursor=anywhere(address, response.url), phase=RESULT))


def anywhere(link: str, url: str) -> str:
    """Where results lie, which may be with strangers, such as a store of files: they are told nothing of the job."""
    try:
        return resolved(link, url)
    except ValueError as error:
        raise Refused(f"the results' address {without_user(link)!r} cannot be asked: {error}") from error


def _wait_s(poll: Poll, response: Response) -> float:
    """Until the next look: as the server says, or by the job's own step."""
    return asked_s(fields_of(response), response.fetched_at) or poll.every


def _path(fetch: Fetch, template: Template, row: Row, job: str) -> str:
    values: Mapping[str, Value] = {**row.values, "job": job}
    return fetch.base_url + composed_path(template, row._replace(values=values))


def _answer(response: Response) -> object:
    return decoded(Format(), response.body, response.header("Content-Type") or "")


def _told(key: str, path: str | None, answer: object) -> str | int:
    found = search(f"fetch.poll.{key}", path or "", answer)
    if isinstance(found, str | int) and not isinstance(found, bool) and found != "":
        return found
    raise Quarantined(f"fetch.poll.{key} = '{path}' finds {found!r} in the answer, expected a text")


def _holds(key: str, path: str, answer: object) -> bool:
    return is_true(search(f"fetch.poll.{key}", path, answer))
