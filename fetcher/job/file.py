"""What a whole job file may say: its sections, in the order in which records go through them."""

from pathlib import PurePath

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from fetcher.job.annotate import AnnotateSection
from fetcher.job.entries import JobName
from fetcher.job.parse import Parse
from fetcher.job.read import Read
from fetcher.job.section import Section
from fetcher.job.sections import Fetch
from fetcher.job.write import Write
from fetcher.model import IDEMPOTENT

READ_AGAIN = "lies where read.files looks: each run would find what the last one has written"


def would_be_lost(fetch: Fetch) -> bool:
    """Whether an answer that waits when a run ends is neither kept nor may be asked for again."""
    may_repeat = fetch.method in IDEMPOTENT or fetch.idempotency_key or fetch.on_unknown == "retry"
    return not may_repeat and fetch.cache.keep in ("none", "http")


class Job(Section):
    """What to pull, and how: read rows, fetch an answer for each, parse it into records, write them. Without `fetch`
    a row is a record already."""

    model_config = ConfigDict(json_schema_extra={"dependentRequired": {"fetch": ["parse"]}})

    name: JobName = Field(description="Name of the job: letters, digits, '.', '_' and '-'.")
    read: Read = Field(description="Where the rows come from.")
    fetch: Fetch | None = Field(
        default=None, description="What is asked of the API, and how politely. Left out: a row is a record already."
    )
    parse: Parse | None = Field(default=None, description="How an answer becomes records.")
    annotate: tuple[AnnotateSection, ...] = Field(
        default=(), description="What is added to each record, annotator by annotator."
    )
    write: Write = Field(description="Where the records go, and how big a file of them grows.")

    @field_validator("annotate")
    @classmethod
    def _check_pictures(
        cls, annotate: tuple[AnnotateSection, ...], info: ValidationInfo
    ) -> tuple[AnnotateSection, ...]:
        read = info.data.get("read")
        for image in (section.image for section in annotate):
            if read and read.files and image and image.folder and image.name:
                suffix = PurePath(image.name.text).suffix
                if read.files.path.reaches(image.folder, suffix):
                    raise ValueError(f"image.folder ({image.folder}) {READ_AGAIN}")
        return annotate

    @field_validator("write")
    @classmethod
    def _check_folder(cls, write: Write, info: ValidationInfo) -> Write:
        read = info.data.get("read")
        if read and read.files and read.files.path.reaches(write.folder, ".jsonl"):
            raise ValueError(f"folder ({write.folder}) {READ_AGAIN}")
        return write

    @field_validator("write")
    @classmethod
    def _check_resume(cls, write: Write, info: ValidationInfo) -> Write:
        fetch = info.data.get("fetch")
        if fetch and fetch.pages and fetch.pages.resume == "start" and not write.key:
            raise ValueError("fetch.pages.resume = 'start' asks again for what is there; key = ['id'] would tell it")
        return write

    @field_validator("write")
    @classmethod
    def _check_order(cls, write: Write, info: ValidationInfo) -> Write:
        asking = [info.data.get("fetch"), *(section.asks for section in info.data.get("annotate", ()))]
        if write.order == "input" and any(fetch and would_be_lost(fetch) for fetch in asking):
            raise ValueError(
                "order = 'input' has answers wait for those of earlier rows, and one that is not kept and must not be "
                "asked for twice would be lost where the run ends meanwhile: expected cache.keep = 'forever', or an "
                "idempotency_key"
            )
        return write
