"""A row's answers, page by page: what counts of one, and where the row goes on."""

import hashlib

from fetcher.compose.pages import Place, following, following_part, is_capped
from fetcher.errors import Incomplete
from fetcher.fetch.expectations import Meaning
from fetcher.fetch.sources import Fetched
from fetcher.job.load import LoadedJob
from fetcher.model import PageFacts, Row
from fetcher.origins import homes_of
from fetcher.parse.records import Parsed

NONE = Parsed(b"", 0, facts=PageFacts())


def is_in_pages(job: LoadedJob) -> bool:
    """Whether a row's answer comes in pages. Parts of a window are none: two may hold what lies on their border."""
    return job.fetch.pages is not None and job.fetch.pages.kind != "split"


def going_on(job: LoadedJob, row: Row, place: Place, came: tuple[Fetched, Parsed]) -> tuple[Parsed, Place | None]:
    """What counts of the records that came, and where the row goes on: None where this was all of it.

    A part of a window that holds too much brings none; they come with its halves.
    """
    (fetched, parsed), pages = came, job.fetch.pages
    if pages is None or parsed.facts is None:
        return parsed, None
    if pages.kind != "split":
        homes = homes_of(job.fetch.base_url, job.fetch.allowed_hosts)
        return parsed, following(pages, place, parsed.facts, fetched.response, homes=homes)
    is_too_many = fetched.meaning is Meaning.TOO_MANY or is_capped(pages, parsed.facts)
    counted = NONE if is_too_many else parsed
    return counted, following_part(pages, place, row.values, None if is_too_many else parsed.facts)


def check_is_new(parsed: Parsed, place: Place, seen: set[bytes]) -> None:
    """Raise `Incomplete` where a page brings what an earlier one of this pass has brought: it would never end."""
    digest = hashlib.blake2b(parsed.lines, digest_size=8).digest()
    if parsed.records and digest in seen:
        raise Incomplete(f"page {place.number:,} brings the same records as an earlier one; is fetch.pages right?")
    seen.add(digest)
