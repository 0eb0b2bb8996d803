"""A job whose rows are files."""

import os

import pytest

JOB = """
name = "notes"
[read.files]
path = "notes/**/*.txt"
[[annotate]]
into = "text"
function = "look.py:text"
[write]
folder = "out"
"""
LOOK = """
def text(record):
    with open(record["path"]) as file:
        return file.read()
"""


@pytest.fixture
def job(tmp_path):
    """The path of a job about two notes."""
    (tmp_path / "look.py").write_text(LOOK)
    (tmp_path / "notes" / "old").mkdir(parents=True)
    (tmp_path / "notes" / "b.txt").write_text("bread")
    (tmp_path / "notes" / "old" / "a.txt").write_text("milk")
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path / "job.toml"


def test_files_become_records_and_only_changed_ones_are_looked_at_again(fetcher, job, tmp_path):
    """A changed file's record takes the place of the old one; a new file is a new record."""
    from fetcher import read_records

    def found():
        frames = read_records(tmp_path / "out", latest=True)
        return {record["name"]: record["text"] for frame in frames for record in frame.to_dict("records")}

    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert found() == {"a.txt": "milk", "b.txt": "bread"}
    (tmp_path / "look.py").write_text(LOOK + "# changed, and not told\n")
    (tmp_path / "notes" / "b.txt").write_text("butter")
    (tmp_path / "notes" / "c.txt").write_text("cheese")
    os.utime(tmp_path / "notes" / "b.txt", ns=(0, 1))
    ran = fetcher("run", job, "--as-is")
    assert ran.code == 0, ran.err
    assert found() == {"a.txt": "milk", "b.txt": "butter", "c.txt": "cheese"}
    assert fetcher("verify", job).code == 0


def test_what_cannot_be_read_is_told_and_the_rest_is_done(fetcher, output, job, tmp_path):
    """Exit 3, with the names."""
    (tmp_path / "notes" / "out.txt").symlink_to("/etc/hostname")
    (tmp_path / "notes" / os.fsdecode(b"caf\xe9.txt")).touch()
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    assert len(output(tmp_path / "out").records()) == 2
    told = fetcher("failures", "list", job).out
    assert "out.txt: is a link that leads out of the folder" in told
    assert r"caf\xe9.txt: has a name that is no text" in told


@pytest.mark.parametrize("command", ["check", "plan", "status", "preview"])
def test_every_command_takes_such_a_job(fetcher, job, command):
    """After a run."""
    assert fetcher("run", job).code == 0
    ran = fetcher(command, job)
    assert ran.code == 0, ran.err
