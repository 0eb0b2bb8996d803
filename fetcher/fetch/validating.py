"""Asking whether a kept answer still holds, and what the word that comes back changes (RFC 9111 sections 4.3, 3.2).

Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fetcher.fetch.ages import date_of
from fetcher.fetch.directives import lines_of, members
from fetcher.fetch.stored import Stored
from fetcher.fetch.storing import HOP_BY_HOP
from fetcher.model import Request, Response

CONDITIONS = frozenset({"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range"})
FORWARDED = frozenset({"if-match", "if-unmodified-since"})
"""Conditions that are for the origin alone (section 4.3.2)."""

UNCHANGED = frozenset({"content-length", "content-encoding", "content-range", "content-md5", "content-digest", "etag"})
"""What says how the kept body is written (section 3.2): a 304 has no body, and its word on one is not about ours."""

MOST_TAGS = 8


def has_conditions(request: Request) -> bool:
    """Whether the request brings conditions of its own."""
    return bool(request.headers) and any(name.lower() in CONDITIONS for name, _ in request.headers)


def is_forwarded(request: Request) -> bool:
    """Whether it brings conditions that no cache may answer."""
    return bool(request.headers) and any(name.lower() in FORWARDED for name, _ in request.headers)


def conditional(request: Request, stored: Stored | None, others: Sequence[Stored] = ()) -> Request:
    """The request with the validators of the answer that it is about, and the tags of those that may do as well."""
    tags = [tag for kept in (stored, *others) if kept and (tag := entity_tag(kept.response))]
    told = []
    if tags:
        told.append(("If-None-Match", ", ".join(dict.fromkeys(tags[:MOST_TAGS]))))
    if stored and len(tags) <= 1 and (modified := lines_of(stored.response.headers, "last-modified")):
        told.append(("If-Modified-Since", modified[0]))
    return replace(request, headers=(*request.headers, *told)) if told else request


def entity_tag(response: Response) -> str | None:
    """The ETag, as the server wrote it."""
    lines = lines_of(response.headers, "etag")
    return lines[0].strip(" \t") if lines else None


def is_strong(tag: str) -> bool:
    """Whether the tag names these very bytes."""
    return not tag.startswith("W/")


def bare(tag: str) -> str:
    """A tag for weak comparison (RFC 9110 section 8.8.3.2)."""
    return tag.removeprefix("W/")


def confirmed(told: Response, asked: Iterable[Stored]) -> Stored | None:
    """Which of the answers that were asked about a 304 confirms, the first being the one that is wanted.

    A tag selects; a date does where there is no tag; a word without either means the only one that was asked about
    (section 4.3.4).
    """
    kept, tag = list(asked), entity_tag(told)
    if tag is not None:
        known = [stored for stored in kept if entity_tag(stored.response) is not None]
        for stored in known:
            if bare(entity_tag(stored.response) or "") == bare(tag):
                return stored
        return None if known or is_strong(tag) else (kept[0] if kept else None)
    modified = told.header("Last-Modified")
    if modified and kept and kept[0].response.header("Last-Modified") not in (None, modified):
        return None
    return kept[0] if len(kept) == 1 or (kept and modified) else None


def freshened(stored: Stored, told: Response, asked_at: float) -> Stored:
    """The kept answer with the fields that a 304, or an answer to HEAD, brings for it (section 3.2)."""
    named = {member.lower() for member in members(lines_of(told.headers, "connection"))}
    left_out = UNCHANGED | HOP_BY_HOP | named
    news = tuple((name, value) for name, value in told.headers if name.lower() not in left_out)
    replaced = {name.lower() for name, _ in news}
    if "age" not in replaced:
        replaced.add("age")  # it was told of an earlier answer
    kept = tuple((name, value) for name, value in stored.response.headers if name.lower() not in replaced)
    answer = replace(stored.response, headers=kept + news, fetched_at=told.fetched_at)
    return replace(stored, response=answer, asked_at=asked_at)


def is_same_thing(stored: Stored, head: Response) -> bool:
    """Whether an answer to HEAD is about what is kept: no validator and no length differs (section 4.3.5)."""
    names = ("ETag", "Last-Modified", "Content-Length")
    pairs = ((head.header(name), stored.response.header(name)) for name in names)
    return all(told is None or told == kept for told, kept in pairs)


def is_unchanged(request: Request, response: Response) -> bool:
    """Whether the conditions that a request brings say that whoever asks has this answer already (section 4.3.2)."""
    if tags := members(lines_of(request.headers, "if-none-match")):
        held = entity_tag(response)
        return "*" in tags or (held is not None and bare(held) in {bare(tag) for tag in tags})
    since = [date_of(line, response.fetched_at) for line in lines_of(request.headers, "if-modified-since")]
    modified = date_of(response.header("Last-Modified") or response.header("Date") or "", response.fetched_at)
    return bool(since) and since[0] is not None and modified is not None and modified <= since[0]


def not_modified(response: Response) -> Response:
    """The 304 that a cache gives itself (RFC 9110 section 15.4.5)."""
    return replace(response, status=304, body=b"")
