"""A disk that is full, read-only, taken away or tampered with. F03 to F16; F01, F02 and F04 are in test_syscalls and
tests/write/test_power_loss."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from fetcher.errors import DiskFailed
from fetcher.fetch.cache import Cache
from fetcher.model import Response
from tests.stories.conftest import ROOT, command, quiet_environment
from tests.stories.feeds import days, expected, in_order, make_job, not_out, published, serving, sets, until

DEADLINE_S = 60


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below; not the indexes that SQLite makes anew."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


@pytest.fixture
def mount(tmp_path):
    """`mount(folder, "size=1m")` puts a small file system there; skips where mounting is not allowed."""
    mounted: list[Path] = []

    def put(folder: Path, options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            pytest.skip(f"mounting is not allowed here: {tried.stderr.strip()}")
        mounted.append(folder)

    yield put
    for folder in reversed(mounted):
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def as_nobody_special():
    """Runs the command line without root's right to ignore permissions."""

    def run(*arguments: object) -> subprocess.CompletedProcess:
        told = command(*arguments)
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("setpriv is not installed")
            less = "-dac_override,-dac_read_search"
            told = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}", *told]
        return subprocess.run(
            told, capture_output=True, text=True, cwd=ROOT, env=quiet_environment(), timeout=DEADLINE_S, check=False
        )

    return run


@pytest.mark.parametrize("options", ["size=400k", "size=8m,nr_inodes=9"])
def test_f03_f05_a_disk_that_runs_full_ends_the_run_and_nothing_is_torn(fetcher, output, mount, tmp_path, options):
    """No bytes, or no inodes, are left: exit 74 naming the path; with room again the run completes exactly."""
    large = "x" * 3000

    def answer(day: str) -> web.Response:
        return web.json_response({"items": [{"day": day, "number": n, "revision": 1, "more": large} for n in range(3)]})

    with serving(answer) as feed:
        job = make_job(tmp_path, feed.url, 60, "rotate.records = 6\n")
        mount(tmp_path / "out", options)
        ran = fetcher("run", job)
        assert ran.code == 74, ran.err
        assert "Traceback" not in ran.err
        assert str(tmp_path / "out") in ran.err
        output(tmp_path / "out").records()

        remount(tmp_path / "out", "size=64m,nr_inodes=9999")
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        found = [
            {key: record[key] for key in ("day", "number", "revision")} for record in output(tmp_path / "out").records()
        ]
        assert in_order(found) == expected(60)
        assert fetcher("verify", job).code == 0


def test_f05_a_read_only_file_system_is_named_and_nothing_is_sent(fetcher, mount, tmp_path):
    """Exit 74 with the path; once it can be written to, the run goes on."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        mount(tmp_path / "out", "size=8m")
        assert fetcher("run", job).code == 0
        remount(tmp_path / "out", "ro")
        make_job(tmp_path, feed.url, 5)
        feed.taken()
        ran = fetcher("run", job)
        assert ran.code == 74, ran.err
        assert "Traceback" not in ran.err
        assert str(tmp_path / "out") in ran.err
        assert feed.asked == []
        remount(tmp_path / "out", "rw")
        assert fetcher("run", job).code == 0
        assert len(feed.asked) == 2


@pytest.mark.parametrize("closed", [".", "out", "out/.fetcher/ledger.sqlite"])
def test_f05_a_folder_or_file_without_permission_is_named(fetcher, as_nobody_special, tmp_path, closed):
    """Exit 74 with the path; nothing is sent, and nothing is lost."""
    with serving() as feed:
        job = make_job(tmp_path / "work", feed.url, 3)
        if closed != ".":
            assert fetcher("run", job).code == 0
        make_job(tmp_path / "work", feed.url, 5)
        feed.taken()
        path = tmp_path / "work" / closed
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(0o500 if path.is_dir() else 0o000)
        if closed == "out":
            (tmp_path / "work" / "out" / "manifest.json").unlink()
        ran = as_nobody_special("run", job)
        path.chmod(mode)
        assert ran.returncode == 74, ran.stderr
        assert "Traceback" not in ran.stderr
        assert "out" in ran.stderr
        assert fetcher("run", job).code == 0


@pytest.mark.parametrize("is_replaced", [False, True])
def test_f06_a_folder_that_is_taken_away_stops_the_run_before_its_next_commit(start, tmp_path, is_replaced):
    """What is written from then on would be nowhere: the run ends, and does not go on asking until its last row."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 60)
        process = start("run", job, *sets('fetch.limits.rate="20/s"', "fetch.limits.concurrency=1"))
        until(lambda: list((tmp_path / "out" / ".fetcher").glob("*.open")), process)
        (tmp_path / "out").rename(tmp_path / "gone")
        if is_replaced:
            (tmp_path / "out").mkdir()
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode in (65, 74), errors
        assert "Traceback" not in errors
        assert str(tmp_path / "out") in errors
        assert len(feed.asked) < 60


def test_f08_a_foreign_file_at_the_next_name_is_never_overwritten(fetcher, start, tmp_path):
    """Before a run: exit 65, nothing sent. During a run: exit 65 at the publication. Moved away, the run goes on."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        (tmp_path / "out").mkdir()
        foreign = tmp_path / "out" / "records-000001.jsonl"
        foreign.write_text("mine\n")
        ran = fetcher("run", job)
        assert ran.code == 65, ran.err
        assert str(foreign) in ran.err
        assert feed.asked == []
        assert foreign.read_text() == "mine\n"

        foreign.rename(tmp_path / "kept")
        process = start("run", job, *sets('fetch.limits.rate="4/s"'))
        until(lambda: feed.asked, process)
        foreign.write_text("mine\n")
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 65, errors
        assert foreign.read_text() == "mine\n"
        assert fetcher("run", job).code == 65

        foreign.unlink()
        assert fetcher("run", job).code == 0
        assert len(feed.asked) == 3
        assert fetcher("verify", job).code == 0


def test_f09_a_ledger_that_is_deleted_or_older_than_its_files_is_noticed(fetcher, tmp_path):
    """Exit 65 from run and verify, 0 requests, every published file as it was; the right one back, all is well."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        ledger = tmp_path / "out" / ".fetcher" / "ledger.sqlite"
        assert fetcher("run", job).code == 0
        yesterdays = ledger.read_bytes()
        make_job(tmp_path, feed.url, 6)
        assert fetcher("run", job).code == 0
        todays, outputs = ledger.read_bytes(), {p: p.read_bytes() for p in (tmp_path / "out").glob("*.json*")}
        feed.taken()
        make_job(tmp_path, feed.url, 8)
        for found in (None, yesterdays):
            ledger.unlink(missing_ok=True)
            if found is not None:
                ledger.write_bytes(found)
            ran = fetcher("run", job)
            assert ran.code == 65, ran.err
            assert "ledger.sqlite" in ran.err
            assert fetcher("verify", job).code == 65
            assert {p: p.read_bytes() for p in (tmp_path / "out").glob("*.json*")} == outputs
        assert feed.asked == []
        ledger.write_bytes(todays)
        assert fetcher("run", job).code == 0
        assert len(feed.asked) == 2


def flip(path: Path, at: int) -> None:
    """Turn one bit over."""
    held = bytearray(path.read_bytes())
    held[at] ^= 1
    path.write_bytes(held)


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_f10_a_bit_that_flips_in_a_published_file_is_found_by_verify(fetcher, tmp_path, compress):
    """At either end of it; exit 65 names the file."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3, f'compress = "{compress}"\n')
        assert fetcher("run", job).code == 0
        (path,) = (tmp_path / "out").glob("records-*")
        for at in (0, path.stat().st_size - 1):
            flip(path, at)
            ran = fetcher("verify", job)
            assert ran.code == 65, ran.err
            assert str(path) in ran.err
            flip(path, at)


def test_f10_a_bit_that_flips_in_an_open_file_is_found_at_the_start(fetcher, start, tmp_path):
    """What an interrupted run has committed is checked by its hash before anything is added."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 100)
        process = start("run", job, *sets('fetch.limits.rate="20/s"'))
        path = tmp_path / "out" / ".fetcher" / "000001.open"
        until(lambda: path.exists() and path.stat().st_size, process)
        until(lambda: segment_length(tmp_path / "out"), process)
        process.kill()
        process.wait()
        flip(path, 5)
        feed.taken()
        ran = fetcher("run", job)
        assert ran.code == 65, ran.err
        assert str(path) in ran.err
        assert feed.asked == []
        flip(path, 5)
        assert fetcher("run", job).code == 0


def segment_length(folder: Path) -> int:
    """Bytes that the ledger vouches for, read beside a run."""
    path = folder / ".fetcher" / "ledger.sqlite"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as ledger:
        return int(ledger.execute("SELECT TOTAL(length) FROM segments").fetchone()[0])


def test_f10_bits_that_flip_in_the_ledgers_pages_are_found_at_the_start(fetcher, tmp_path):
    """quick_check sees a broken page: exit 65, nothing sent, nothing written."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 300)
        assert fetcher("run", job).code == 0
        feed.taken()
        ledger = tmp_path / "out" / ".fetcher" / "ledger.sqlite"
        held = bytearray(ledger.read_bytes())
        for page in range(4096, len(held), 4096):
            held[page : page + 8] = bytes(8)
        ledger.write_bytes(held)
        make_job(tmp_path, feed.url, 301)
        before = contents(tmp_path / "out")
        ran = fetcher("run", job)
        assert ran.code == 65, ran.err
        assert str(ledger) in ran.err
        assert feed.asked == []
        assert contents(tmp_path / "out") == before


async def test_f10_a_bit_that_flips_in_a_kept_answer_never_becomes_a_record(tmp_path):
    """Wherever in the body it is, it is noticed."""
    body = b"".join(b'{"day": "2019-01-01", "number": %d}' % number for number in range(3))
    async with Cache(tmp_path / "cache.sqlite") as cache:
        await cache.put("key", Response(200, (), body, 1.0))
        with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as connection:
            (kept,) = connection.execute("SELECT body FROM answers").fetchone()
            for at in range(len(kept)):
                spoilt = kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :]
                connection.execute("UPDATE answers SET body = ?", (spoilt,))
                connection.commit()
                try:
                    found = cache.find("key", 0.0)
                except DiskFailed:
                    continue
                assert found is None or found.body == body, f"byte {at}"


def test_f10_a_kept_answer_that_cannot_be_read_is_asked_for_again(fetcher, output, tmp_path):
    """It can be had again, so it ends nothing; the rows that need no answer ask for none."""
    with serving(lambda day: web.Response(text="}{") if day == days(1)[0] else published(day)) as feed:
        job = make_job(tmp_path, feed.url, 3)
        assert fetcher("run", job).code == 3
        feed.taken()
        with closing(sqlite3.connect(tmp_path / "out" / ".fetcher" / "cache.sqlite")) as connection:
            connection.execute("UPDATE answers SET body = x'00'")
            connection.commit()
        feed.answer = published
        ran = fetcher("run", job, "--only", "failed")
        assert ran.code == 0, ran.err
        assert "a kept answer cannot be read" in ran.err
        assert feed.taken() == days(1)
        assert in_order(output(tmp_path / "out").records()) == expected(3)


def test_f11_a_state_on_another_file_system_is_refused_at_the_start(fetcher, mount, tmp_path):
    """It lies in the output's folder, and files are linked from there: exit 74, nothing sent."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        mount(tmp_path / "out" / ".fetcher", "size=8m")
        ran = fetcher("run", job)
        assert ran.code == 74, ran.err
        assert str(tmp_path / "out" / ".fetcher") in ran.err
        assert feed.asked == []


@pytest.mark.parametrize("name", ["x" * 255, "-rf", "a\nb", "ü" * 127, "records-000001.jsonl", "a'b\"c(d)"])
def test_f12_any_name_of_a_folder_will_do(fetcher, output, tmp_path, name):
    """Names of our own are numbers; the one that a person chose is taken as it is."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        ran = fetcher("run", job, *sets(f"write.folder={json.dumps('./' + name)}"))
        assert ran.code == 0, ran.err
        (folder,) = (path.parent for path in tmp_path.glob("*/manifest.json"))
        assert folder.parent == tmp_path
        assert in_order(output(folder).records()) == expected(2)


@pytest.mark.parametrize("name", ["x" * 256, "a\0b"])
def test_f12_a_name_that_no_file_system_takes_is_told(fetcher, tmp_path, name):
    """Exit 74 or 78 with the name, nothing sent."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        ran = fetcher("run", job, *sets(f'write.folder="{name}"'.replace("\0", "\\u0000")))
        assert ran.code in (74, 78), ran.err
        assert "Traceback" not in ran.err
        assert feed.asked == []


@pytest.mark.parametrize(
    "planted",
    [
        "records-000001.jsonl",
        "manifest.json",
        "failures.jsonl",
        ".fetcher/000001.open",
        ".fetcher/manifest.json.new",
        ".fetcher/lock",
    ],
)
def test_f14_a_link_planted_at_one_of_our_names_is_not_followed(fetcher, tmp_path, planted):
    """What it points to keeps its bytes, whether the run completes or refuses."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        target = tmp_path / "precious"
        target.write_text("mine\n")
        mode = target.stat().st_mode
        link = tmp_path / "out" / planted
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        ran = fetcher("run", job)
        assert "Traceback" not in ran.err
        assert ran.code in (0, 65, 74), ran.err
        assert target.read_text() == "mine\n"
        assert target.stat().st_mode == mode
        assert ran.code == 0 or feed.asked == []


def test_f14_a_state_folder_that_is_a_link_is_refused(fetcher, tmp_path):
    """Whoever can plant it would choose where our state lies."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        (tmp_path / "elsewhere").mkdir(mode=0o755)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / ".fetcher").symlink_to(tmp_path / "elsewhere")
        ran = fetcher("run", job)
        assert ran.code == 74, ran.err
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755
        assert feed.asked == []


@pytest.mark.parametrize("umask", ["000", "077"])
def test_f15_only_the_owner_may_read_whatever_the_umask_is(start, tmp_path, umask):
    """0600 for files and 0700 for folders, during a run and after it."""
    with serving(lambda day: published(day) if day < "2019-01-25" else not_out()) as feed:
        job = make_job(tmp_path, feed.url, 30, "rotate.records = 9\n")
        process = subprocess.Popen(
            ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *command("run", job, *sets('fetch.limits.rate="40/s"'))],
            cwd=ROOT,
            env=quiet_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        modes: dict[str, set[str]] = {}
        while process.poll() is None:
            note_modes(tmp_path / "out", modes)
        note_modes(tmp_path / "out", modes)
        assert process.returncode == 0, process.communicate()[1]
        process.communicate()
        assert modes.pop("folders") == {"0o700"}
        assert {".open", ".jsonl", ".json", ".sqlite", ".sqlite-wal", "lock"} <= modes.keys()
        assert {name: found for name, found in modes.items() if found != {"0o600"}} == {}


def note_modes(folder: Path, modes: dict[str, set[str]]) -> None:
    """Add what modes files of each kind, and folders, have at this moment."""
    for path in (folder, *folder.rglob("*")):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue
        kind = "folders" if stat.S_ISDIR(mode) else path.suffix or path.name
        modes.setdefault(kind, set()).add(oct(stat.S_IMODE(mode)))


def test_f16_what_crashes_leave_behind_is_cleaned_up(fetcher, start, tmp_path):
    """Kills at any moment, and a hundred strays: after a whole run only its own files are there."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 30)
        state = tmp_path / "out" / ".fetcher"
        for rate in (8, 16):
            process = start("run", job, *sets(f'fetch.limits.rate="{rate}/s"'))
            until(lambda: list(state.glob("*.open")), process)
            process.kill()
            process.wait()
        for number in range(100):
            (state / f"{number + 2:06}.open").write_text("stray")
        for name in ("manifest.json.new", "failures.jsonl.new"):
            (state / name).write_text("half")
        assert fetcher("run", job).code == 0
        assert {path.name for path in (tmp_path / "out").iterdir()} - {".fetcher"} == {
            "records-000001.jsonl",
            "manifest.json",
            "failures.jsonl",
        }
        assert {path.name for path in state.iterdir()} == {"ledger.sqlite", "cache.sqlite", "lock", "runs"}
