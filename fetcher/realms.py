"""Which realm a job asks, what its runs share there with all others of the user, and what is watched of it."""

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path

from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker
from fetcher.fetch.health import Health
from fetcher.fetch.limits import Shared, realm_key
from fetcher.fetch.starts import Clocks, this_boot
from fetcher.job.load import LoadedJob
from fetcher.template import Template


def shared_by(job: LoadedJob, user_state: Path, now: Callable[[], float]) -> list[Shared]:
    """The starts and waits of each realm, the job's own counts; `now` gives epoch seconds."""
    about = str(job.write.folder)
    if job.annotator is not None:  # whose hard stops are its own
        about += f"\n{job.fetch.base_url}{job.fetch.url.source}"
    folder = hashlib.sha256(about.encode()).hexdigest()[:32]
    clocks = Clocks(time.monotonic, now, this_boot())
    return [Shared(user_state, realm, folder, clocks) for realm in realms_of(job)]


def realms_of(job: LoadedJob) -> list[str]:
    """The key of the realm that a job names, or of its origin and its credential, which cannot be read out of it; of
    several keys, one for each."""
    auth, name = job.fetch.auth, job.fetch.limits.realm
    identities = auth.identities() if auth else ("",)
    if name:
        return [realm_key("", {}, name if len(identities) == 1 else f"{name}\n{identity}") for identity in identities]
    return [realm_key(job.fetch.base_url, credentials_of(job, identity), None) for identity in identities]


def health_of(job: LoadedJob, chance: random.Random) -> Health:
    """What is watched of the API."""
    retries, limits = job.fetch.retries, job.fetch.limits
    breaker = Breaker(retries.first_wait, retries.longest_wait, chance)
    return Health(breaker, Adaptive(limits.concurrency, limits.adaptive))


def credentials_of(job: LoadedJob, identity: str) -> dict[str, str]:
    """What a request carries that is secret, and the identity of what it is signed with."""
    fetch = job.fetch
    values = {**{f"query {name}": value for name, value in fetch.query.items()}, **fetch.headers}
    found = {
        name: value.text
        for name, value in values.items()
        if isinstance(value, Template) and any(secret in value.text for secret in job.secrets)
    }
    return found | ({"fetch.auth": identity} if identity else {})
