"""The worker processes: whatever one item does, the others get their answers, and nobody outlives the run."""

import asyncio
import importlib
import multiprocessing
import os
import re
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.engines.output import LONGEST_LINE, MOST_LINES
from fetcher.engines.patience import Limits
from fetcher.engines.precedence import NICE, SCHED_SETATTR, SLICE_NS
from fetcher.engines.processes import BATCH_ITEMS, Processes
from fetcher.engines.tracebacks import LONGEST_REASON
from fetcher.errors import DiskFailed, JobError, Quarantined, RunStopped
from tests.engines import deeds, parent_only

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 60_000
LONG_S = 600.0
SHORT_S = 1.5

KERNEL = [int(part) for part in re.findall(r"\d+", os.uname().release)[:2]]
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux does this")


class Pipe:
    """A named pipe over which workers and the test talk, line by line; the test never waits for ever."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._number = os.open(path, os.O_RDWR)

    def read(self) -> str:
        """The next line."""
        poll = select.poll()
        poll.register(self._number, select.POLLIN)
        assert poll.poll(PATIENCE_MS), "nobody wrote"
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(self._number, 1)
        return line.decode().strip()

    def write(self) -> None:
        """A line, for whoever reads."""
        os.write(self._number, b"go\n")

    def close(self) -> None:
        """Give it back."""
        os.close(self._number)


@pytest.fixture
def pipes(tmp_path):
    """Two pipes: what workers report, and a gate at which they wait."""
    opened = Pipe(tmp_path / "report"), Pipe(tmp_path / "gate")
    yield opened
    for pipe in opened:
        pipe.close()


async def outcomes(engine, items):
    """For each item its result, or its exception."""
    return await asyncio.gather(*(engine.run(item) for item in items), return_exceptions=True)


def wait_for_end(pid: int) -> bool:
    """Whether a process ended, which is waited for."""
    try:
        number = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(PATIENCE_MS))
    finally:
        os.close(number)


MISDEEDS = {
    ("raise", "no 'items'"): r"^ValueError: no 'items' \(deeds\.py, line \d+\)$",
    ("raise lines", None): r"^ValueError: one two \(deeds",
    ("refuse", "record 3 is None"): r"^record 3 is None$",
    ("mute", None): r"^Mute: its text cannot be read \(deeds",
    ("unpicklable exception", None): r"^Unpicklable: trouble at here \(deeds",
    ("no memory", None): r"^MemoryError \(deeds",
    ("interrupt", None): r"^KeyboardInterrupt \(deeds",
    ("leave", 4): r"^SystemExit: 4 \(deeds",
    ("exit", 7): r"process died \(exit code 7\)$",
    ("segfault", None): r"process died \(SIGSEGV\)$",
    ("kill", None): r"process died \(SIGKILL; out of memory\?\)$",
    ("unpicklable result", None): r"[Pp]ickle.*lambda",
    ("unreadable result", None): r"^the result cannot be read back: LookupError: no longer there \(deeds",
}


@pytest.mark.parametrize(("misdeed", "reason"), MISDEEDS.items(), ids=[deed for deed, _ in MISDEEDS])
async def test_an_item_that_fails_in_any_way_costs_itself_only(misdeed, reason):
    """Its neighbours get their exact answers, and its own failure names what happened."""
    items = [("square", number) for number in range(12)]
    items.insert(5, misdeed)
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S)) as engine:
        found = await outcomes(engine, items)
    failure = found.pop(5)
    assert found == [number * number for number in range(12)]
    with pytest.raises(Quarantined, match=reason):
        raise failure


@pytest.mark.parametrize("deed", ["hang", "spin", "hold the gil"])
async def test_an_item_that_takes_too_long_is_stopped_and_costs_itself_only(deed):
    """Asleep, busy in Python or deep in C: its worker is killed at the limit, the others get their answers."""
    items = [("square", 1), ("square", 2), (deed, None), ("square", 3)]
    async with Processes(deeds.do, workers=1, limits=Limits(SHORT_S)) as engine:
        await outcomes(engine, [("square", 0)] * 40)  # from here on, batches are worth making
        *before, failure, after = await outcomes(engine, items)
    assert [*before, after] == [1, 4, 9]
    assert isinstance(failure, Quarantined)
    assert str(failure) == "the parser took longer than 1.5 s and was stopped"


@pytest.mark.parametrize(
    ("misdeed", "reason"),
    [
        (("raise", "no 'items'"), "ValueError"),
        (("segfault", None), "process died"),
        (("hang", None), "took longer than 1.5 s"),
    ],
)
async def test_the_record_of_a_chunk_that_fails_is_named(misdeed, reason):
    """Whoever hands over many records as one item is told which one it was, and can do the others again without it."""
    chunk = [("square", 3)] * 7
    async with Processes(deeds.do, workers=2, limits=Limits(SHORT_S)) as engine:
        nines, failure = await outcomes(engine, [("chunk", chunk), ("chunk", [*chunk, misdeed, *chunk])])
    assert nines == [9] * 7
    assert failure.record == 7
    assert reason in str(failure)


LITTLE = 200_000_000
FEW_FILES = 256


@ON_LINUX
@pytest.mark.parametrize("deed", ["fill", "fill at once"])
async def test_p04_an_item_that_needs_too_much_memory_costs_itself_only(deed):
    """The limit is a worker's own: the machine is fine, and the reason says what was too much."""
    items = [("square", number) for number in range(20)]
    items.insert(9, (deed, 10_000_000_000))
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S, LITTLE)) as engine:
        found = await outcomes(engine, items)
    failure = found.pop(9)
    assert found == [number * number for number in range(20)]
    assert re.match(r"^the parser needed more than 200 MB of memory \(deeds\.py, line \d+\)$", str(failure))
    assert "in fill" in failure.trace


@ON_LINUX
async def test_p05_a_parser_that_leaks_is_replaced_before_it_fails():
    """Every item is done: whoever holds half of what it may makes room for a new worker."""
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S, LITTLE)) as engine:
        pids = await outcomes(engine, [("leak", 2_000_000)] * 300)
    assert len(set(pids)) >= 6
    assert all(isinstance(pid, int) for pid in pids)


@ON_LINUX
@pytest.mark.parametrize("deed", ["leak file", "leak thread"])
async def test_p05_a_parser_that_loses_files_or_threads_is_replaced_before_it_fails(deed):
    """As one that leaks memory: there are so many files for a process, and a thread's stack counts as memory."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, before[1]))
    try:
        async with Processes(deeds.do, workers=2, limits=Limits(LONG_S, LITTLE)) as engine:
            pids = await outcomes(engine, [(deed, None)] * 3 * FEW_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert all(isinstance(pid, int) for pid in pids), next(pid for pid in pids if not isinstance(pid, int))
    assert len(set(pids)) >= 6


async def test_p05_workers_are_replaced_after_so_many_batches():
    """Whatever it is that a parser loses, a worker does not live for ever; and every item is done."""
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S, batches=3)) as engine:
        pids = [await engine.run(("pid", None)) for _ in range(12)]
        assert await outcomes(engine, [("square", 3)] * 200) == [9] * 200
    assert len(set(pids)) >= 3


@settings(max_examples=6)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("square"), st.integers()),
            st.sampled_from(
                [("raise", "x"), ("exit", 7), ("segfault", None), ("leave", 0), ("unpicklable result", None)]
            ),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_item_has_exactly_its_own_outcome(items):
    """Whatever mixture comes: what can be computed is exact, everything else is quarantined."""

    async def scenario():
        async with Processes(deeds.do, workers=2, limits=Limits(LONG_S)) as engine:
            return await outcomes(engine, items)

    for (deed, argument), outcome in zip(items, asyncio.run(scenario()), strict=True):
        if deed == "square":
            assert outcome == argument * argument
        else:
            assert isinstance(outcome, Quarantined)


async def test_an_item_that_cannot_be_pickled_costs_itself_only():
    """What cannot even be handed over is that item's failure."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        failure, nine = await outcomes(engine, [("length", threading.Lock()), ("square", 3)])
    assert nine == 9
    with pytest.raises(Quarantined, match=r"^cannot be handed to a worker process: TypeError: cannot pickle"):
        raise failure


async def test_a_reason_is_never_longer_than_a_screen():
    """A parser that puts a whole answer into its exception does not put it into the ledger."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        (failure,) = await outcomes(engine, [("raise long", 10_000_000)])
    assert LONGEST_REASON < len(str(failure)) < LONGEST_REASON + 100


async def test_fault_of_the_job_reaches_whoever_waits_as_it_is():
    """A `JobError` is no item's fault, and crosses processes with its file and its places."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        with pytest.raises(JobError, match=r"^parse\.py:3:1 cannot be loaded$"):
            await engine.run(("blame job", "parse.py"))


async def test_a_disk_that_failed_in_a_worker_ends_the_run():
    """It is no item's fault either, and would be the next one's."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        with pytest.raises(DiskFailed, match=r"^/thumbs: No space left on device$"):
            await engine.run(("fill disk", "/thumbs: No space left on device"))


async def test_code_of_the_job_that_cannot_be_loaded_ends_every_item_with_the_fault():
    """Nothing is quarantined for a missing import: the job is to be mended, and the rows asked again."""
    async with Processes(deeds.do, deeds.load_badly, workers=2, limits=Limits(LONG_S)) as engine:
        engine.warm_up()
        found = await outcomes(engine, [("square", number) for number in range(5)])
    assert {str(error) for error in found} == {"parse.py:3:1 cannot be loaded: ImportError: no module named 'stations'"}
    assert {type(error) for error in found} == {JobError}


async def test_a_function_that_workers_cannot_import_ends_the_run_with_the_reason():
    """Never a hang: everybody who waits hears why."""
    async with Processes(parent_only.work, workers=2, limits=Limits(LONG_S)) as engine:
        found = await outcomes(engine, range(40))
    assert {type(error) for error in found} == {RunStopped}
    assert "cannot load what it is to run: ImportError: this machine has no such library" in str(found[0])


async def test_workers_that_die_at_their_start_end_the_run_with_a_clear_error():
    """However many large items wait for them, of which the pool had taken up only some."""
    async with Processes(deeds.do, deeds.die_at_start, workers=2, limits=Limits(LONG_S)) as engine:
        found = await outcomes(engine, [("length", bytes(1_000_000))] * 20)
    assert {str(error) for error in found} == {"worker processes end as soon as they start; they said: no libfoo.so"}
    assert {type(error) for error in found} == {RunStopped}


async def test_workers_that_never_come_to_work_end_the_run_with_a_clear_error():
    """Code that waits for something while it is loaded would keep everybody waiting for ever."""
    async with Processes(deeds.do, deeds.load_for_ever, workers=2, limits=Limits(LONG_S, load_s=0.5)) as engine:
        found = await outcomes(engine, [("square", number) for number in range(40)])
    assert {type(error) for error in found} == {RunStopped}
    assert str(found[0]).startswith("a worker process was not ready after 0.5 s")


async def test_p12_workers_start_beside_threads_and_with_threads():
    """Spawned, not forked: no lock is inherited in the hands of a thread that is not there."""
    stop = threading.Event()
    others = [threading.Thread(target=keep_printing, args=(stop,)) for _ in range(4)]
    for thread in others:
        thread.start()
    try:
        async with Processes(deeds.do, deeds.load_with_threads, workers=2, limits=Limits(LONG_S, batches=1)) as engine:
            pids = [await engine.run(("pid", None)) for _ in range(10)]
    finally:
        stop.set()
        for thread in others:
            thread.join()
    assert len(set(pids)) == 10


def keep_printing(stop):
    """Hold the lock of a stream, and that of an import, again and again."""
    with Path(os.devnull).open("w") as nowhere:
        while not stop.wait(0.001):
            print("busy", file=nowhere)
            importlib.invalidate_caches()


async def test_an_idle_worker_may_be_killed():
    """The kernel picks whom it likes when memory is short; the run goes on."""
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S)) as engine:
        for _ in range(3):
            pid = await engine.run(("pid", None))
            os.kill(pid, signal.SIGKILL)
            assert await asyncio.to_thread(wait_for_end, pid)
            assert await outcomes(engine, [("square", 3)] * 4) == [9] * 4


async def test_an_item_that_the_pool_has_forgotten_is_done_again(pipes):
    """As when its worker is stopped for another one: whoever waits does not wait for ever."""
    report, gate = pipes
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        asked = asyncio.create_task(engine.run(("report", (report.path, ("gate", gate.path)))))
        pid = int(await asyncio.to_thread(report.read))
        worker = engine._pool._pool._pool_manager.worker_manager.workers.pop(pid)
        worker.kill()
        worker.join()
        await asyncio.to_thread(report.read)
        gate.write()
        assert await asked == "go\n"


async def test_an_item_whose_worker_was_told_to_end_is_done_again(pipes):
    """SIGTERM to the whole service is nobody's fault: no row is settled as quarantined for it."""
    report, gate = pipes
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        asked = asyncio.create_task(engine.run(("report", (report.path, ("gate", gate.path)))))
        os.kill(int(await asyncio.to_thread(report.read)), signal.SIGTERM)
        await asyncio.to_thread(report.read)
        gate.write()
        assert await asked == "go\n"


async def test_an_item_that_keeps_ending_its_worker_is_found_out():
    """SIGTERM is forgiven a few times, not for ever."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        failure, nine = await outcomes(engine, [("terminate", None), ("square", 3)])
    assert nine == 9
    assert str(failure) == "the parser's process died (SIGTERM)"


async def test_cheap_items_share_batches_and_dear_ones_do_not():
    """A batch is worth a fixed time of work: many cheap items, one dear one."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        cheap = await outcomes(engine, [("place", None)] * 300)
        await outcomes(engine, [("burn", 0.05)] * 10)
        dear = await outcomes(engine, [("burn", 0.05), ("place", None)])
    assert max(cheap) == BATCH_ITEMS - 1
    assert dear[1] <= 0


async def test_whoever_comes_when_the_workers_are_busy_waits_outside(pipes):
    """Items under way are bounded, however many callers there are, and all get their answers in the end."""
    _, gate = pipes
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        asked = [asyncio.create_task(engine.run(("gate", gate.path)))]
        asked += [asyncio.create_task(engine.run(("square", number))) for number in range(500)]
        for _ in range(1000):
            await asyncio.sleep(0)
        assert engine._queue.full()
        assert engine._queue.qsize() == BATCH_ITEMS
        gate.write()
        assert (await asyncio.gather(*asked))[1:] == [number * number for number in range(500)]


@pytest.mark.parametrize("deed", ["hang", "spin", "hold the gil"])
async def test_closing_with_items_in_flight_leaves_no_process(deed, pipes):
    """Whatever the workers are doing, they are gone when the block ends."""
    report, _ = pipes
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S)) as engine:
        asked = [asyncio.create_task(engine.run(("report", (report.path, (deed, None))))) for _ in range(2)]
        pids = [int(await asyncio.to_thread(report.read)) for _ in asked]
        for task in asked:
            task.cancel()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_whoever_still_waits_at_the_close_is_cancelled(pipes):
    """In a worker, in the queue or outside of it: nobody is left waiting for an engine that is gone."""
    report, _ = pipes
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        asked = [asyncio.create_task(engine.run(("report", (report.path, ("hang", None))))) for _ in range(100)]
        await asyncio.to_thread(report.read)
    done, pending = await asyncio.wait(asked, timeout=PATIENCE_MS / 1000)
    assert not pending
    assert all(task.cancelled() for task in done)


async def test_workers_are_born_deaf_to_ctrl_c():
    """They could not ignore it before they have started, and a signal does not wait for that."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        assert await engine.run(("is deaf", None))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(
    os.uname().machine not in SCHED_SETATTR or KERNEL < [6, 12],
    reason="only Linux does this, since 6.12",
)
async def test_workers_give_way():
    """To the loop, which has moments to keep, by niceness and by longer slices."""
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        assert await engine.run(("precedence", None)) == (min(19, os.nice(0) + NICE), SLICE_NS)


async def test_an_engine_that_was_never_used_closes():
    """Opening it starts no process."""
    before = set(multiprocessing.active_children())
    async with Processes(deeds.do, workers=2, limits=Limits(LONG_S)):
        assert set(multiprocessing.active_children()) == before


SCRIPT = """
import asyncio, logging, os, signal, sys
from fetcher.engines.patience import Limits
from fetcher.engines.processes import Processes
from tests.engines import deeds

async def main():
    async with Processes(deeds.do, workers=1, limits=Limits(600.0)) as engine:
        {body}

if __name__ == "__main__":
    asyncio.run(main())
"""


def start(tmp_path, body, **options):
    """A program of its own that runs an engine; `body` is what it does with it."""
    script = tmp_path / "program.py"
    script.write_text(SCRIPT.format(body=body))
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    around = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": ""}  # what is printed is buffered, as usual
    return subprocess.Popen([sys.executable, script], env=around, text=True, **options)


def test_what_a_worker_prints_is_in_the_debug_log_and_nowhere_else(tmp_path):
    """Standard output and error are ours, and nothing printed is lost when workers are stopped."""
    body = "await engine.run(('say', 'hello\\x1b[2J'))"
    program = start(tmp_path, body, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.communicate(timeout=120) == ("", "")
    logged = start(tmp_path, f"logging.basicConfig(level=10); {body}", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = logged.communicate(timeout=120)
    said = [line.partition("a parser printed: ")[2] for line in err.splitlines() if "a parser printed: " in line]
    assert (out, logged.returncode) == ("", 0)
    assert sorted(said) == ["hello [2J by C", "hello [2J by print"]
    assert "parsers printed 2 lines" in err


async def test_what_a_worker_prints_is_bounded(caplog):
    """A parser that prints each record does not fill the disk with the log."""
    caplog.set_level("DEBUG", "fetcher.workers")
    async with Processes(deeds.do, workers=1, limits=Limits(LONG_S)) as engine:
        await engine.run(("print lines", 5 * MOST_LINES))
        await engine.run(("print lines", 1))
    assert engine.printed.lines == 5 * MOST_LINES + 1
    assert len(caplog.records) == MOST_LINES + 1
    assert max(len(record.getMessage()) for record in caplog.records) < LONGEST_LINE + 100


def test_workers_start_without_a_standard_error(tmp_path):
    """Cron may run us with the stream closed: what a parser prints is dropped then, and the work is done."""
    body = "os.write(1, b'%d' % await engine.run(('square', 3))); await engine.run(('say', 'hello'))"
    program = start(tmp_path, body, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(2))
    assert program.communicate(timeout=120)[0] == "9"


def test_ctrl_c_does_not_kill_workers(tmp_path):
    """Neither while they start nor while they work: it is the parent that decides what an interruption means."""
    body = """
        signal.signal(signal.SIGINT, lambda *_: None)
        engine.warm_up()
        os.killpg(0, signal.SIGINT)
        pids = [await engine.run(("pid", None))]
        os.killpg(0, signal.SIGINT)
        pids.append(await engine.run(("pid", None)))
        print(pids[0] == pids[1])
    """.strip()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    out, err = start(tmp_path, body, start_new_session=True, **pipes).communicate(timeout=120)
    assert (out, err) == ("True\n", "")


SLOW_START = """
import signal, sys, time
if "--multiprocessing-fork" in sys.orig_argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(0.2)
"""


def test_an_engine_closes_without_a_word_while_its_workers_start(tmp_path):
    """A worker that comes too late to find what it was to inherit must not say so."""
    (tmp_path / "sitecustomize.py").write_text(SLOW_START)
    program = start(tmp_path, "engine.warm_up()", stderr=subprocess.PIPE)
    assert program.communicate(timeout=120)[1] == ""
    assert program.returncode == 0


@pytest.mark.parametrize("deed", ["hang", "spin", pytest.param("hold the gil", marks=ON_LINUX)])
def test_a_worker_ends_with_its_parent(deed, tmp_path, pipes):
    """`kill -9` of a run leaves nobody behind, not even a parser in an endless loop."""
    report, _ = pipes
    program = start(
        tmp_path, f"await engine.run(('report', ({report.path!r}, ({deed!r}, None))))", stderr=subprocess.DEVNULL
    )
    worker = int(report.read())
    program.kill()
    program.wait()
    ended = wait_for_end(worker)
    if not ended:
        os.kill(worker, signal.SIGKILL)
    assert ended
