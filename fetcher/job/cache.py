"""What a job file may say of keeping answers."""

from typing import Annotated

from pydantic import Field, StrictBool

from fetcher.job.entries import Keep
from fetcher.job.section import Section
from fetcher.job.units import size_between


class CacheSection(Section):
    """Whether answers are kept, so that nothing is asked for twice."""

    keep: Keep = Field(
        default="forever",
        description="How long an answer is used again: 'none', 'forever', a time such as '1 day', or 'http': as "
        "long as its headers say (RFC 9111).",
    )
    heuristic: StrictBool = Field(
        default=False,
        description="With keep = 'http': guess how long an answer holds that does not say, from its Last-Modified.",
    )
    max_size: Annotated[int, size_between("1 MB", "100 TB")] | None = Field(
        default=None,
        description="Most that kept answers may take up, packed: '2 GB'. Those used longest ago are dropped, but none "
        "that a row needs which is not done. Left out: no limit.",
    )
