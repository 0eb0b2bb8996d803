"""Which realm a job asks, and what its runs share there with all others of the user."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from fetcher.fetch.limits import Shared, realm_key
from fetcher.fetch.starts import Clocks, this_boot
from fetcher.job.load import LoadedJob
from fetcher.template import Template


def shared_by(job: LoadedJob, user_state: Path, now: Callable[[], float]) -> Shared:
    """The realm's starts and waits, the job's own counts; `now` gives epoch seconds."""
    folder = hashlib.sha256(str(job.write.folder).encode()).hexdigest()[:32]
    return Shared(user_state, realm_of(job), folder, Clocks(time.monotonic, now, this_boot()))


def realm_of(job: LoadedJob) -> str:
    """The key of the realm that a job names, or of its origin and its credential, which cannot be read out of it."""
    fetch = job.fetch
    if fetch.limits.realm:
        return realm_key("", {}, fetch.limits.realm)
    values = {**{f"query {name}": value for name, value in fetch.query.items()}, **fetch.headers}
    credentials = {
        name: value.text
        for name, value in values.items()
        if isinstance(value, Template) and any(secret in value.text for secret in job.secrets)
    }
    return realm_key(fetch.base_url, credentials, None)
