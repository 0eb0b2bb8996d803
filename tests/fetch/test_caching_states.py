"""A cache in front of a model origin: whatever is asked, whatever changes, however the clock goes, it never gives an
answer that the RFC forbids.

The model knows nothing of how the cache decides. It notes what the origin has told, and holds each answer that came
without the origin against the sentences of RFC 9111 section 4 and RFC 5861.
"""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fetcher.errors import GaveUp
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import PLAIN, HttpCache
from fetcher.fetch.expectations import Meaning
from fetcher.fetch.http_dates import as_http_date
from fetcher.fetch.sources import Fetched, Source, Wanted
from fetcher.model import Request, Response

PATHS = st.sampled_from(["/a", "/b"])
FOO = st.sampled_from(["", "1", "2"])
SAID = ("", "must-revalidate", "", "no-cache", "x must-revalidate", "no-store", "immutable")
FLAGS = [frozenset(flags.split()) for flags in SAID]
MEMORY = Path("/dev/shm")  # where nothing has to wait for a disk
NEVER = float("-inf")
OFTEN_NOTHING = st.sampled_from([None, None, 10])


@dataclass(frozen=True)
class Policy:
    """What the origin says of an answer."""

    max_age: int | None = None
    flags: frozenset[str] = frozenset()
    on_error: int | None = None
    while_asked: int | None = None
    age: int = 0
    vary: str = ""
    has_tag: bool = True

    def headers(self, now, tag):
        said = [*sorted(self.flags)]
        said += [f"max-age={self.max_age}"] if self.max_age is not None else []
        said += [f"stale-if-error={self.on_error}"] if self.on_error is not None else []
        said += [f"stale-while-revalidate={self.while_asked}"] if self.while_asked is not None else []
        pairs = [("Date", as_http_date(now)), ("Cache-Control", ", ".join(said)), ("Vary", self.vary)]
        pairs += [("ETag", tag)] if self.has_tag else []
        pairs += [("Age", str(self.age))] if self.age else []
        return tuple(pair for pair in pairs if pair[1])


POLICIES = st.builds(
    Policy,
    st.sampled_from([20, 5, 20, 0, None]),
    st.sampled_from(FLAGS),
    OFTEN_NOTHING,
    OFTEN_NOTHING,
    st.sampled_from([0, 0, 3]),
    st.sampled_from(["", "", "", "Foo", "*"]),
    st.booleans(),
)


@dataclass(frozen=True)
class Asked:
    """What a request says of caches."""

    no_cache: bool = False
    no_store: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    on_error: int | None = None

    def header(self):
        said = ["no-cache"] * self.no_cache + ["no-store"] * self.no_store
        times = {"max-age": self.max_age, "min-fresh": self.min_fresh, "max-stale": self.max_stale}
        said += [f"{name}={it}" for name, it in {**times, "stale-if-error": self.on_error}.items() if it is not None]
        return ", ".join(said)


@dataclass(frozen=True)
class Telling:
    """That the origin gave, or confirmed, an answer: when, by which policy, to which request."""

    body: bytes
    at: float
    policy: Policy
    path: str
    foo: str

    @property
    def variant(self):
        return (self.path, self.policy.vary, self.foo if self.policy.vary == "Foo" else "")

    def is_for(self, path, foo):
        return self.path == path and self.policy.vary != "*" and (self.policy.vary != "Foo" or self.foo == foo)

    def may_be_given(self, asked, now):
        """RFC 9111 section 4, without the origin's word."""
        said, age = self.policy, now - self.at + self.policy.age
        lifetime = NEVER if said.max_age is None else said.max_age
        if now < self.at or asked.no_cache or asked.no_store or "no-cache" in said.flags:
            return False
        if asked.min_fresh is not None and lifetime - age < asked.min_fresh:
            return False
        is_stale_welcome = asked.max_stale is not None and age - lifetime <= asked.max_stale
        does_at_any_age = age < lifetime and "immutable" in said.flags
        does_at_any_age |= age >= lifetime and is_stale_welcome
        if asked.max_age is not None and age > asked.max_age and not does_at_any_age:
            return False
        if age < lifetime:
            return True
        if "must-revalidate" in said.flags:
            return False
        return is_stale_welcome or (said.while_asked is not None and age - lifetime < said.while_asked)

    def may_stand_in(self, asked, now):
        """RFC 5861 section 4: in place of an error."""
        said, age = self.policy, now - self.at + self.policy.age
        if now < self.at or asked.no_cache or {"no-cache", "must-revalidate"} & said.flags:
            return False
        windows = [it for it in (asked.on_error, said.on_error) if it is not None]
        return any(age - max(0, said.max_age or 0) < window for window in windows)


@dataclass
class Origin:
    """Two resources, each with a version and a policy; well, ill, or silent."""

    now: float = 1_750_000_000.0
    health: str = "well"
    policies: dict[str, Policy] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    tellings: list[Telling] = field(default_factory=list)
    calls: int = 0

    async def ask(self, request, accepted):
        """An exchange with all its attempts."""
        self.calls += 1
        if self.health != "well":
            error = GaveUp(self.health)
            error.attempts, error.status = 1, 503 if self.health == "ill" else None
            raise error
        path, foo = request.url.removeprefix("http://o"), request.header("Foo") or ""
        if request.method == "POST":
            self.tellings = [it for it in self.tellings if it.path != path]
            if request.body != b"what is there now?":
                return Fetched(Response(200, (), b"done", self.now, url=request.url), 1, Meaning.RECORDS, self.now)
        policy, version = self.policies.get(path, Policy()), self.versions.get(path, 0)
        body = f"{path} {version} {foo if policy.vary == 'Foo' else ''}".encode()
        tag = f'"{body.decode()}"'
        headers = policy.headers(self.now, tag)
        headers += (("Content-Location", path),) if request.method == "POST" else ()
        is_known = policy.has_tag and tag in (request.header("If-None-Match") or "").split(", ")
        assert not is_known or 304 in accepted
        self._note(Telling(body, self.now, policy, path, foo), request)
        status, content = (304, b"") if is_known else (200, body)
        return Fetched(Response(status, headers, content, self.now, url=request.url), 1, Meaning.RECORDS, self.now)

    def _note(self, telling, request):
        """What may be kept of it takes the place of what was told to the same variant before."""
        if "no-store" in telling.policy.flags or "no-store" in (request.header("Cache-Control") or ""):
            return
        if telling.policy.vary != "*":
            self.tellings = [it for it in self.tellings if it.variant != telling.variant]
        self.tellings.append(telling)


async def judge(_):
    return Meaning.RECORDS


class CacheInFrontOfAnOrigin(RuleBasedStateMachine):
    """Requests, changes and clock steps in any order."""

    @initialize(one=POLICIES, another=POLICIES)
    def begin(self, one, another):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.loop = asyncio.new_event_loop()
        self.origin = Origin(policies={"/a": one, "/b": another})
        self.cache = Cache(Path(self.folder.name) / "cache.sqlite", now=lambda: self.origin.now)
        self.loop.run_until_complete(self.cache.__aenter__())
        self.http = HttpCache(self.cache, PLAIN, judge, lambda: self.origin.now)

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.http.close())
            self.loop.run_until_complete(self.cache.__aexit__(None, None, None))
            self.loop.close()
            self.folder.cleanup()

    @rule(path=PATHS, policy=POLICIES)
    def the_policy_changes(self, path, policy):
        self.origin.policies[path] = policy

    @rule(path=PATHS)
    def the_resource_changes(self, path):
        self.origin.versions[path] = self.origin.versions.get(path, 0) + 1

    @rule(seconds=st.sampled_from([1, 4, 7, 15, -6]))
    def the_clock_steps(self, seconds):
        self.origin.now += seconds

    @rule(health=st.sampled_from(["well", "well", "ill", "silent"]))
    def the_health_changes(self, health):
        self.origin.health = health

    @rule(path=PATHS, foo=FOO, body=st.sampled_from([b"", b"what is there now?"]))
    def something_is_posted(self, path, foo, body):
        request = Request("POST", f"http://o{path}", (("Foo", foo),) if foo else (), body)
        try:
            self.loop.run_until_complete(self.http.fetch(Wanted(request), self.origin.ask))
        except GaveUp:
            assert self.origin.health != "well"

    @rule(
        path=PATHS,
        foo=FOO,
        asked=st.one_of(
            st.just(Asked()),
            st.builds(Asked, max_stale=st.just(8)),
            st.builds(
                Asked,
                st.booleans(),
                st.booleans(),
                *([st.sampled_from([None, 3, 8])] * 4),
            ),
        ),
        source=st.sampled_from([Source.KEPT_FIRST, Source.KEPT_FIRST, Source.KEPT_FIRST, Source.API_ONLY]),
        wait_s=st.sampled_from([0, 0, 3, 8]),
    )
    def something_is_asked(self, path, foo, asked, source, wait_s):
        self.origin.now += wait_s
        origin, known, calls = self.origin, list(self.origin.tellings), self.origin.calls
        headers = [("Foo", foo), ("Cache-Control", asked.header())]
        request = Request("GET", f"http://o{path}", tuple(pair for pair in headers if pair[1]))

        async def ask_and_wait():
            fetched = await self.http.fetch(Wanted(request, source), origin.ask)
            was_asked = origin.calls > calls
            await asyncio.gather(*self.http._refreshes.values())
            return fetched, was_asked

        try:
            fetched, was_asked = self.loop.run_until_complete(ask_and_wait())
        except GaveUp:
            assert origin.health != "well"
            return
        self.check(path, foo, asked, (source, fetched, was_asked, known))

    def check(self, path, foo, asked, came):
        source, fetched, was_asked, known = came
        origin, body = self.origin, fetched.response.body
        told = [it for it in known if it.body == body and it.is_for(path, foo)]
        if fetched.attempts:
            policy = origin.policies.get(path, Policy())
            now = f"{path} {origin.versions.get(path, 0)} {foo if policy.vary == 'Foo' else ''}"
            assert body == now.encode()
        elif was_asked:
            assert origin.health != "well"
            assert any(it.may_stand_in(asked, origin.now) for it in told)
        else:
            assert source is Source.KEPT_FIRST
            assert any(it.may_be_given(asked, origin.now) for it in told)
            ages = {str(int(origin.now - it.at + it.policy.age)) for it in told}
            assert fetched.response.header("Age") in ages


CacheInFrontOfAnOrigin.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestNoAnswerIsGivenThatIsForbidden = CacheInFrontOfAnOrigin.TestCase
