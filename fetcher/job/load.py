"""From a job file to one frozen object, or to every fault in it at once.

Order matters: overrides replace what the file says, variables are filled in, and only then are values read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from fetcher.errors import JobError
from fetcher.job.annotate import AnnotateSection
from fetcher.job.checks import rule_faults
from fetcher.job.document import read_document
from fetcher.job.faults import Origins, distinct, model_faults
from fetcher.job.file import Job
from fetcher.job.overrides import apply_overrides
from fetcher.job.parse import Parse
from fetcher.job.places import KeyPath
from fetcher.job.read import Read
from fetcher.job.sections import Fetch, nobody
from fetcher.job.templated import set_zone
from fetcher.job.variables import Variables
from fetcher.job.write import Write
from fetcher.redaction import redacted

PARENT: KeyPath = ("read", "records", "job")


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """A job that can run. All paths are absolute; `secrets` are the texts that must never be written anywhere, those of
    its `parent` included: the job whose records are its rows. One that `asks` nobody has rows that are records; in that
    of an `annotator` (see `asking`), `fetch` is what that asks."""

    file: Path
    name: str
    read: Read
    fetch: Fetch
    parse: Parse
    write: Write
    annotate: tuple[AnnotateSection, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    parent: "LoadedJob | None" = None
    asks: bool = True
    annotator: int | None = None

    @property
    def asking(self) -> "dict[str, LoadedJob]":
        """{what messages call an annotator that asks: the same job as if what that asks were its `[fetch]`}"""
        numbered = enumerate(self.annotate)
        return {
            section.named(number): replace(self, fetch=section.asks, asks=True, annotator=number)
            for number, section in numbered
            if section.asks
        }

    @property
    def folder(self) -> Path:
        """The folder of the job file, from which its paths count."""
        return self.file.parent


def load_job(
    path: str | Path, environ: Mapping[str, str], overrides: Sequence[str] = (), children: tuple[Path, ...] = ()
) -> LoadedJob:
    """Read and check a job file; `overrides` are `KEY=VALUE`, the value as TOML. `children` are the jobs that read the
    records of this one.

    Raises JobError with every fault that can be known without a request, in file order.
    """
    document = read_document(Path(path))
    # The folder's links are followed and the file's own is not: paths count from where the file was named.
    file = Path(path).parent.resolve() / Path(path).name
    overridden, faults = apply_overrides(document.tree, overrides)
    origins = Origins(document.places, frozenset(overridden))
    variables = Variables(environ)
    tree = variables.fill(document.tree)
    assert isinstance(tree, dict)
    job, found = _checked(tree, file.parent, variables)
    parent = None
    if job and job.read.records:
        parent, message = _parent_of(job, environ, (*children, file.resolve()))
        found += [(PARENT, message)] if message else []
    faults += [origins.fault(where, redacted(message, variables.secrets)) for where, message in found]
    if job is None or faults:
        raise JobError(str(path), faults)
    secrets = frozenset(variables.secrets) | (parent.secrets if parent else frozenset())
    fetch = job.fetch or nobody()
    for asked in (fetch, *(section.asks for section in job.annotate)):
        secrets |= asked.auth.secrets() if asked and asked.auth else frozenset()
    parts = (job.read, fetch, job.parse or Parse(records="@"), job.write, job.annotate)
    return LoadedJob(file, job.name, *parts, secrets=secrets, parent=parent, asks=job.fetch is not None)


def _parent_of(job: Job, environ: Mapping[str, str], children: tuple[Path, ...]) -> tuple[LoadedJob | None, str]:
    """The job whose records are the rows of this one, or what is wrong with it."""
    assert job.read.records
    path = job.read.records.job
    if path.resolve() in children:
        return None, f"'{path.name}' reads records of this job itself, so neither can begin"
    try:
        parent = load_job(path, environ, (), children)
    except JobError as error:
        return None, f"'{path.name}' cannot be run: {error}"
    if parent.write.folder == job.write.folder:
        return None, f"'{path.name}' writes into the folder of this job; expected folders of their own"
    return parent, ""


def set_records(tree: dict[str, object]) -> None:
    """Rows of nobody are records as they are, whatever else is said of how they are worked at."""
    parse = tree.get("parse")
    if "fetch" not in tree and isinstance(parse, dict) and "records" not in parse:
        tree["parse"] = {**parse, "records": "@"}


def _checked(
    tree: dict[str, object], folder: Path, variables: Variables
) -> tuple[Job | None, list[tuple[KeyPath, str]]]:
    """The job where it is valid, and all that is wrong where it is not."""
    job = None
    set_zone(tree)
    set_records(tree)
    found = rule_faults(tree, folder)
    try:
        job = Job.model_validate(tree, context={"folder": folder})
    except ValidationError as error:
        found += model_faults(error, tree, variables.secret_paths)
    # What stands where a variable is missing is the file's text, and no news.
    unfilled = {where for where, _ in variables.faults}
    return job, distinct([*variables.faults, *(fault for fault in found if fault[0] not in unfilled)])
