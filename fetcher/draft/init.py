"""`fetcher init`: from an address or a curl command to the text of a job file."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fetcher.draft.asked import Asked, asked_of
from fetcher.draft.curl import asked_by
from fetcher.draft.findings import Findings, findings, format_of
from fetcher.draft.job_text import Seen, job_text
from fetcher.draft.probe import Probed, probe
from fetcher.draft.request import Drafted, drafted
from fetcher.draft.texts import in_comment
from fetcher.errors import FetcherError, JobError, Quarantined
from fetcher.job.load import LoadedJob, load_job
from fetcher.ledger import Ledger
from fetcher.listing import rows_of
from fetcher.model import Response
from fetcher.parse.formats import Format, Name, decoded
from fetcher.redaction import redacted

UNSURE = "nothing was asked of the API, for a {method} may change something there; --probe sends it all the same"
UNPROBED = "nothing was asked of the API: `fetcher preview` will show what an answer looks like"


@dataclass(frozen=True, slots=True)
class Telling:
    """What a draft is made under: the name of its file, the environment, the time (epoch seconds), and the folder of
    the user's limits; no request is sent without one, and a GET alone unless `may_change`."""

    file: str
    environ: Mapping[str, str]
    now: float
    user_state: Path | None = None
    may_change: bool = False


def asked_from(text: str, environ: Mapping[str, str]) -> Asked:
    """What an address or a curl command asks. Raises ValueError saying what is wrong with it."""
    first = text.strip().removeprefix("$").split(maxsplit=1)[:1]
    return asked_by(text, environ) if first and first[0].endswith(("curl", "curl.exe")) else asked_of(text)


def draft(asked: Asked, telling: Telling) -> str:
    """The text of a job file that asks this. Raises ValueError where a job cannot ask it."""
    request = drafted(asked)
    today = datetime.fromtimestamp(telling.now, UTC).date()
    values = request.hidden.values
    environ = {**telling.environ, **{name: value for name, value in values.items() if value}}
    missing = [name for name in values if not environ.get(name)]
    seen = Seen(told=UNPROBED)
    if missing:
        seen = Seen(told=f"nothing was asked of the API, for {', '.join(missing)} is not set")
    elif telling.user_state and request.method != "GET" and not telling.may_change:
        seen = Seen(told=UNSURE.format(method=request.method))
    elif telling.user_state:
        seen = _probed(request, job_text(request, Seen(), telling.file, today), environ, telling)
    text = job_text(request, seen, telling.file, today)
    faults = faults_of(text, {**dict.fromkeys(missing, "-"), **environ})
    return f"{faults}{text}"


def faults_of(text: str, environ: Mapping[str, str]) -> str:
    """What is wrong with a job file's text, as comments to put before it; nothing where it loads."""
    try:
        loaded(text, environ)
    except JobError as error:
        return "".join(f"# To be mended: {in_comment(f'{fault.key}: {fault.message}')}\n" for fault in error.faults)
    return ""


def loaded(text: str, environ: Mapping[str, str]) -> LoadedJob:
    """The job in a text. Raises `JobError`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder).resolve() / "job.toml"
        file.write_text(text, encoding="utf-8")
        return load_job(file, environ)


def _probed(request: Drafted, text: str, environ: Mapping[str, str], telling: Telling) -> Seen:
    assert telling.user_state
    try:
        job = loaded(text, environ)
    except JobError:
        return Seen(told=UNPROBED)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        row = next(rows_of(job, ledger, telling.now))
    try:
        probed = probe(job, row, telling.user_state)
    except FetcherError as error:
        probed = Probed(None, redacted(str(error), job.secrets))
    if probed.response is None or probed.reason:
        return Seen(told=f"one request was sent, and taught nothing: {probed.reason}")
    return learned(probed.response, request, telling.now)


def learned(response: Response, request: Drafted, now: float) -> Seen:
    """What the answer to the probe teaches."""
    kind = response.header("Content-Type") or ""
    query = {name: value.source for name, value in request.query.items()}
    told = ""
    for name in dict.fromkeys((format_of(response), "json")):
        if name not in FORMATS:
            continue
        try:
            answer = decoded(Format(FORMATS[name]), response.body, kind)
        except (Quarantined, JobError) as error:
            told = told or f"the API answers with {kind or 'no Content-Type'}: {error}"
        else:
            return Seen(replace(findings(response, answer, query, now), format=name))
    return Seen(Findings(format="text"), told or f"the API answers with {kind}, which is read as text")


FORMATS: Mapping[str, Name] = {"json": "json", "ndjson": "ndjson", "csv": "csv", "xml": "xml"}
