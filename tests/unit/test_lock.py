"""A lock keeps other processes out, says who holds it, and dies with its process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fetal_lm import lock
from fetal_lm.errors import InputError
from fetal_lm.lock import holder, locked

HOLD = """
import os, sys, time
from pathlib import Path
from fetal_lm.lock import locked
with locked(Path(sys.argv[1]), what="it", advice=""):
    if os.fork() == 0:  # As a loader's worker does.
        time.sleep(60)
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.2)


@pytest.fixture
def other(tmp_path):
    """A process of its own group that holds `tmp_path` and has a child."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline().strip() == str(process.pid)
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_another_process_is_refused_and_told_who_holds_it(tmp_path, other):
    assert f"process {other.pid} on {os.uname().nodename}, since 20" in holder(tmp_path)
    with (
        pytest.raises(InputError, match=rf"the sweep is in use by process {other.pid} on .*; wait"),
        locked(tmp_path, what="the sweep", advice="wait"),
    ):
        pass


def test_it_dies_with_its_process_though_a_child_lives_on(tmp_path, other):
    other.kill()
    other.wait()
    assert holder(tmp_path) is None
    with locked(tmp_path, what="the sweep", advice="wait"):
        assert holder(tmp_path) == "this process"


def test_looking_does_not_let_go(tmp_path):
    with locked(tmp_path / "new", what="it", advice=""):
        assert holder(tmp_path / "new")
        with pytest.raises(InputError, match="in use by this process"), locked(tmp_path / "new", what="it", advice=""):
            pass
        seen = subprocess.run(
            [sys.executable, "-c", f"from pathlib import Path; from fetal_lm.lock import holder;"
             f"print(holder(Path({str(tmp_path / 'new')!r})))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert f"process {os.getpid()} on" in seen.stdout
    assert holder(tmp_path / "new") is None


def test_a_holder_that_lets_go_in_time_is_waited_for(tmp_path, other, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 30)
    killer = subprocess.Popen(["bash", "-c", f"sleep 0.3; kill -9 {other.pid}"])
    started = time.monotonic()
    with locked(tmp_path, what="it", advice=""):
        assert time.monotonic() - started > 0.1
    killer.wait()


def test_a_holder_is_waited_for_as_long_as_it_takes_where_asked(tmp_path, other, monkeypatch, caplog):
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    caplog.set_level("INFO")
    killer = subprocess.Popen(["bash", "-c", f"sleep 1; kill -9 {other.pid}"])
    with locked(tmp_path, what="the job", advice="", wait=True):
        assert other.wait() == -signal.SIGKILL
    assert f"the job is in use by process {other.pid}" in caplog.text
    killer.wait()


def test_nobody_holds_a_folder_without_a_lock(tmp_path):
    assert holder(tmp_path) is None
    assert holder(tmp_path / "nowhere") is None
