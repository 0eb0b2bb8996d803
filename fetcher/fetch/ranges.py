"""Parts of an answer (RFC 9110 section 14): which one a request wants, and whether a kept answer holds it. Pure."""

import re
from dataclasses import dataclass, replace

from fetcher.fetch.directives import Headers, lines_of
from fetcher.model import Response

RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?", re.ASCII | re.IGNORECASE)
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last`, both included, of `total`; None where that is not known."""

    first: int
    last: int
    total: int | None


def part_of(response: Response) -> Part | None:
    """Which bytes a 206 holds; None where it does not say, says several, or its body is of another length."""
    lines = lines_of(response.headers, "content-range")
    match = CONTENT_RANGE.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if match is None:
        return None
    part = Part(int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3]))
    is_sound = part.last - part.first + 1 == len(response.body) and (part.total is None or part.last < part.total)
    return part if is_sound else None


def wanted(headers: Headers, total: int | None) -> Part | None:
    """The one range of bytes that a request asks for, out of `total`; None where a cache cannot tell."""
    lines = lines_of(headers, "range")
    match = RANGE.fullmatch(lines[0].strip()) if len(lines) == 1 else None
    if match is None:
        return None
    first, last = match[1], match[2]
    if first is None:
        if last is None or total is None or int(last) == 0:
            return None
        return Part(max(0, total - int(last)), total - 1, total) if total else None
    if last is None and total is None:
        return None
    end = int(last) if total is None else min(int(last) if last else total - 1, total - 1)
    return Part(int(first), end, total) if int(first) <= end else None


def cut_out(response: Response, headers: Headers) -> Response | None:
    """The 206 that a kept answer, whole or in part, gives to a request for a range; None where that is not in it."""
    held = part_of(response) if response.status == 206 else Part(0, len(response.body) - 1, len(response.body))
    if held is None or response.status not in (200, 206):
        return None
    part = wanted(headers, held.total)
    if part is None or part.first < held.first or part.last > held.last:
        return None
    body = response.body[part.first - held.first : part.last - held.first + 1]
    total = "*" if part.total is None else part.total
    told = {"content-range": f"bytes {part.first}-{part.last}/{total}", "content-length": str(len(body))}
    names = {"content-range": "Content-Range", "content-length": "Content-Length"}
    kept = [(name, value) for name, value in response.headers if name.lower() not in told]
    kept += [(names[name], value) for name, value in told.items()]
    return replace(response, status=206, headers=tuple(kept), body=body)
