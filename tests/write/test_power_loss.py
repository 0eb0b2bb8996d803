"""Nothing lost, nothing twice: histories of power cuts, kills and disk errors, and the model itself.

Here are 2,400 of them; `.ci/run` has `scripts/chaos` tell others, so that with them it is 10,000.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.write.histories import replay
from tests.write.mishaps import CRASHES, Kind, is_faulty
from tests.write.power_loss import ModelDisk, PowerCut

SHARDS = 4
CRASH_HISTORIES = 403
ERROR_HISTORIES = 72
OTHERS = range(1_000_000, 1_000_500)
FOLDER = Path("folder")


def seeds(shard: int, count: int, faulty: bool) -> list[int]:
    """The seeds of a shard; no two shards share one."""
    found = range(shard * 4 * CRASH_HISTORIES, (shard + 1) * 4 * CRASH_HISTORIES)
    return [seed for seed in found if is_faulty(seed) is faulty][:count]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_is_lost_or_written_twice_when_the_power_fails(shard):
    """A cut or a kill at any operation, up to three in a row, in recovery too. 1,612 histories over all shards."""
    for seed in seeds(shard, CRASH_HISTORIES, faulty=False):
        replay(seed)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_is_lost_or_written_twice_when_the_disk_fails(shard):
    """A failed fsync, a full disk, a failed commit, a stranger's file, each mixed with power cuts. 288 histories."""
    for seed in seeds(shard, ERROR_HISTORIES, faulty=True):
        replay(seed)


def test_the_histories_reach_every_step():
    """Each kind of mishap strikes, and a power cut strikes at each operation. 500 histories.

    Half of them have one or two tables beside the main one.
    """
    stories = [replay(seed) for seed in OTHERS]
    assert Counter(len(story.tables) for story in stories) == {0: 252, 1: 124, 2: 124}
    struck = {(mishap.kind, mishap.struck) for story in stories for mishap in story.mishaps}
    operations = {operation for kind, operation in struck if kind is Kind.CUT}
    assert operations >= {
        "create", "append", "sync", "sync_folder", "commit", "committed", "link", "unlink", "truncate"
    }  # fmt: skip
    assert {kind for kind, operation in struck if operation} == set(Kind) - {Kind.NONE}
    assert {operation for kind, operation in struck if kind is Kind.EIO} >= {"sync", "sync_folder"}
    assert set(CRASHES) == {Kind.CUT, Kind.KILL}


def test_a_seed_always_tells_the_same_history():
    """Or a failing seed would be worth nothing."""
    for seed in range(40):
        assert replay(seed).told == replay(seed).told


def quiet(operation: str, path: Path) -> None:
    """Nothing happens before an operation."""


def left_after_cuts(prepare) -> set[tuple[tuple[str, bytes], ...]]:
    """What a folder holds after a power cut, over many chances."""
    left = set()
    for seed in range(400):
        disk = prepare()
        disk.lose_power(random.Random(seed))
        left.add(tuple((name, disk.read(FOLDER / name)) for name in disk.names(FOLDER)))
    return left


def drive(coroutine):
    """Run a coroutine of the model, which never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the model waited")


def test_the_model_loses_all_that_was_not_synced_and_nothing_else():
    """Bytes come with the file's fsync, names with the folder's; what is unsynced may be there, half there or not."""

    def prepare():
        disk = ModelDisk(quiet)
        file = drive(disk.create(FOLDER / "a"))
        disk.sync_folder(FOLDER)
        drive(file.append(b"one"))
        drive(file.sync())
        drive(file.append(b"two"))
        disk.link(FOLDER / "a", FOLDER / "b")
        return disk

    left = left_after_cuts(prepare)
    assert all(names[0][0] == "a" and names[0][1].startswith(b"one") for names in left)
    assert {len(names) for names in left} == {1, 2}
    contents = {names[0][1] for names in left}
    assert {b"one", b"onetwo", b"onet", b"one\0\0\0", b"one\0wo"} <= contents


def test_the_model_forgets_what_a_failed_fsync_did_not_write():
    """The second fsync succeeds and makes the new bytes durable, the old ones never; they can be read all the while."""
    syncs = []

    def fail_first(operation: str, path: Path) -> None:
        if operation == "sync":
            syncs.append(path)
            if len(syncs) == 1:
                raise OSError(5, "Input/output error")

    def prepare():
        syncs.clear()
        disk = ModelDisk(fail_first)
        file = drive(disk.create(FOLDER / "a"))
        disk.sync_folder(FOLDER)
        drive(file.append(b"lost"))
        with pytest.raises(OSError, match="Input"):
            drive(file.sync())
        drive(file.append(b"kept"))
        drive(file.sync())
        assert disk.read(FOLDER / "a") == b"lostkept"
        return disk

    left = left_after_cuts(prepare)
    assert (("a", b"\0\0\0\0kept"),) in left
    assert all(dict(names)["a"].endswith(b"kept") for names in left)


def test_a_full_disk_takes_a_part():
    """An append that fails may have written the first half."""

    def fail(operation: str, path: Path) -> None:
        if operation == "append":
            raise OSError(28, "No space left on device")

    disk = ModelDisk(fail)
    file = drive(disk.create(FOLDER / "a"))
    with pytest.raises(OSError, match="No space"):
        drive(file.append(b"12345678"))
    assert disk.read(FOLDER / "a") == b"1234"


def test_a_power_cut_cannot_be_caught_by_mistake():
    """`except Exception` and `except OSError` let it through."""
    assert not issubclass(PowerCut, Exception)
