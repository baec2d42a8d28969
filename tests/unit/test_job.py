"""What a job's folder says about it, however the job ended."""

import json
import signal
import subprocess
import sys

import pytest

from fetal_lm.errors import InputError
from fetal_lm.job import State, read_job, sitting
from fetal_lm.lock import locked

KILLED = """
import os, signal, sys
from pathlib import Path
from fetal_lm.job import sitting
from fetal_lm.lock import locked
folder = Path(sys.argv[1])
with locked(folder, what="the job", advice=""), sitting(folder, config_hash="abc"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_job_that_never_ran_is_pending(tmp_path):
    assert read_job(tmp_path / "0").state is State.PENDING
    assert read_job(tmp_path).state is State.PENDING


def test_it_runs_while_its_process_holds_the_folder_and_is_done_with_its_row(tmp_path):
    with locked(tmp_path, what="the job", advice=""), sitting(tmp_path, config_hash="abc"):
        job = read_job(tmp_path)
        assert (job.state, job.config_hash, job.ended, job.sittings) == (State.RUNNING, "abc", None, 1)
        (tmp_path / "row.json").write_text("{}")
        # The row is what counts: a kill between it and the note loses nothing.
        assert read_job(tmp_path).state is State.DONE
    job = read_job(tmp_path)
    assert (job.state, job.error) == (State.DONE, None)
    assert job.started <= job.ended
    (tmp_path / "row.json").unlink()
    assert read_job(tmp_path).state is State.KILLED


@pytest.mark.parametrize(
    ("ending", "state", "error"),
    [
        (InputError("a.png is cut\nsecond line"), State.FAILED, "a.png is cut"),
        (ZeroDivisionError(), State.FAILED, "ZeroDivisionError"),
        (KeyboardInterrupt(), State.KILLED, "interrupted"),
        (SystemExit(130), State.KILLED, "interrupted"),
    ],
)
def test_how_it_ended_is_noted_and_raised(tmp_path, ending, state, error):
    with pytest.raises(type(ending)), sitting(tmp_path, config_hash="abc"):
        raise ending
    job = read_job(tmp_path)
    assert (job.state, job.error) == (state, error)
    assert job.ended is not None


def test_a_killed_process_notes_nothing_and_the_job_counts_as_killed(tmp_path):
    for sittings in (1, 2):
        ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
        assert ended.returncode == -signal.SIGKILL
        job = read_job(tmp_path)
        assert (job.state, job.ended, job.sittings) == (State.KILLED, None, sittings)


def test_folders_of_earlier_versions_are_judged_by_their_files(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    assert read_job(tmp_path).state is State.KILLED
    (tmp_path / "error.txt").write_text("no\n")
    assert read_job(tmp_path).state is State.FAILED
    (tmp_path / "row.json").write_text("{}")
    assert read_job(tmp_path).state is State.DONE


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "asleep", "sittings": 1}', '{"state": "done"}'])
def test_a_damaged_note_is_an_error(tmp_path, text):
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(InputError, match=r"job\.json: expected what a sweep notes"):
        read_job(tmp_path)


def test_a_full_disk_does_not_hide_what_ended_the_job(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    job = sitting(tmp_path, config_hash="abc")
    job.__enter__()
    monkeypatch.setattr("fetal_lm.job.write_text", full)
    error = ZeroDivisionError()
    assert not job.__exit__(ZeroDivisionError, error, None)
    assert json.loads((tmp_path / "job.json").read_text())["state"] == "running"
    assert read_job(tmp_path).state is State.KILLED
