"""How a place of a row is asked: alone, with others, or about its job at the server; and what is on record before."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from fetcher.compose.pages import FIRST, Place
from fetcher.compose.request import compose, with_idempotency_key, with_own_secrets
from fetcher.compose.skips import stated_answer
from fetcher.errands import SENT, Errand
from fetcher.errors import Quarantined
from fetcher.fetch.sources import Fetched
from fetcher.job.fingerprints import parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.model import Request, RowState
from fetcher.parse.records import Answer
from fetcher.polling import STATUS, look
from fetcher.repros import MOST_BODY, Repro, values_kept, versions
from fetcher.stations import Stations


async def fetched_of(stations: Stations, errand: Errand, place: Place) -> Fetched:
    """The answer to a place of the row, asked alone or together with others."""
    if place.phase:
        request = looked_at(stations.job, errand, place)
        kept = await stations.client.kept(request, errand.source, errand.kept_since)
        if kept or place.phase == STATUS:
            return kept or await stations.client.ask(request)
        return await stations.client.fetch(request, errand.source, row_key=errand.row.key)
    request = request_of(stations.job, errand, place)
    intent = intent_of(stations, errand, request, place)
    if stations.batches:
        return await stations.batches.fetch(errand.row, errand.source, intent, errand.kept_since)
    return await stations.client.fetch(
        request, errand.source, intent, kept_since=errand.kept_since, row_key=errand.row.key
    )


def request_of(job: LoadedJob, errand: Errand, place: Place) -> Request:
    """What is sent for a place of the row."""
    request = compose(job.fetch, errand.row, place)
    if not job.fetch.idempotency_key:
        return request
    answers = errand.before.answers if errand.before else 0  # each time that it is asked anew it is another request
    return with_idempotency_key(request, job.name, errand.row.key, str(place.number), str(answers))


def looked_at(job: LoadedJob, errand: Errand, place: Place) -> Request:
    """The request for the status or the results of the row's job."""
    asked = look(request_of(job, errand, FIRST), place)
    return replace(asked, url=with_own_secrets(asked.url, job.fetch, errand.row))


def intent_of(
    stations: Stations, errand: Errand, request: Request, place: Place
) -> Callable[[], Awaitable[None]] | None:
    """What has to be on record before the request leaves, where a second one would be carried out too."""
    if request.is_repeatable or stations.job.fetch.on_unknown == "retry":
        return None
    sent = errand.outcome(RowState.UNKNOWN, reason=SENT, position=place.text, is_end=False)

    async def record() -> None:
        stations.owed.add(sent.row_key)
        await stations.settle(sent)

    return record


def repro_of(stations: Stations, errand: Errand, came: tuple[Place, Answer], error: Quarantined) -> Repro:
    """What it takes to parse an answer again that came for a place, or what annotators have made of it. One that the
    cache keeps is not copied."""
    job, (place, answer) = stations.job, came
    is_asked = job.asks and stated_answer(job.fetch, errand.row) is None  # else it may have no request at all
    is_kept = is_asked and job.fetch.cache.keep not in {"none", "http"}
    asked = (looked_at if place.phase else request_of)(job, errand, place) if is_kept else None
    is_copied = answer.stage > 0 or not is_kept
    return Repro(
        errand.row.key,
        str(error),
        error.trace,
        stations.client.now(),
        values_kept(answer.values),
        answer.content_type,
        request_key=asked.key if asked else "",
        body=answer.body if is_copied and len(answer.body) <= MOST_BODY else None,
        stage=answer.stage,
        parse_part=parse_fingerprint(job),
        versions=versions(),
    )
