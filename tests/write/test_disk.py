"""The real disk keeps the door's promises, and the model of it answers alike."""

import random
import stat
from pathlib import Path

import pytest

from fetcher.write.disk import RealDisk, RealFile
from tests.write.power_loss import ModelDisk


def quiet(operation: str, path: Path) -> None:
    """Nothing happens before an operation."""


@pytest.mark.parametrize("seed", range(30))
async def test_the_model_answers_as_a_real_disk_does(seed, tmp_path):
    """The same calls give the same results and the same kinds of errors, as long as the power stays on."""
    calls = await told_by(ModelDisk(quiet), tmp_path / "model", random.Random(seed))
    (tmp_path / "real").mkdir()
    assert await told_by(RealDisk(), tmp_path / "real", random.Random(seed)) == calls


async def told_by(disk, folder: Path, chance: random.Random) -> list[object]:
    """What a disk answers to forty calls."""
    answers: list[object] = []
    for _ in range(40):
        path, other = folder / chance.choice("abc"), folder / chance.choice("abc")
        data, length = chance.randbytes(chance.randint(1, 9)), chance.randint(0, 12)
        call = chance.choice(("create", "reopen", "truncate", "link", "unlink", "size", "same", "blocks", "names"))
        try:
            match call:
                case "create" | "reopen" if call == "create" or disk.size(path) is not None:
                    file = await getattr(disk, call)(path)
                    await file.append(data)
                    await file.sync()
                    await file.close()
                case "link" | "same":
                    answers.append(getattr(disk, call)(path, other))
                case "truncate":
                    disk.truncate(path, min(length, disk.size(path) or 0))
                case "blocks":
                    answers.append(b"".join(disk.blocks(path, length)))
                case "names":
                    disk.sync_folder(folder)
                    answers.append(disk.names(folder))
                case "size" | "unlink":
                    answers.append(getattr(disk, call)(path))
        except OSError as error:
            answers.append((call, type(error).__name__))
    return answers


async def test_only_a_file_that_is_there_is_reopened(tmp_path):
    """A segment that has gone away must not begin again as an empty file."""
    with pytest.raises(FileNotFoundError):
        await (await RealDisk().reopen(tmp_path / "000001.open")).close()
    assert list(tmp_path.iterdir()) == []


async def test_a_new_file_is_private_and_never_an_old_one(tmp_path):
    """Mode 0600; what has the name, be it a link to nowhere, is left alone."""
    await (await RealDisk().create(tmp_path / "a")).close()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    for name in "ab":
        with pytest.raises(FileExistsError):
            await RealDisk().create(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


async def test_a_link_planted_at_the_name_is_not_followed(tmp_path):
    """Reopening writes to the file itself or not at all."""
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "000001.open").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        await RealDisk().reopen(tmp_path / "000001.open")


class SlowHandle:
    """A raw file that takes three bytes at a time, as on a disk that is nearly full."""

    def __init__(self) -> None:
        self.taken = b""

    async def write(self, data: memoryview) -> int:
        self.taken += bytes(data[:3])
        return len(data[:3])


async def test_a_short_write_goes_on_with_the_rest():
    """All of the bytes, in order."""
    handle = SlowHandle()
    await RealFile(handle).append(b"0123456789")
    assert handle.taken == b"0123456789"
