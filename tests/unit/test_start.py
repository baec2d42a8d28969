"""Which process of a training holds the run's folder, and what is written into it of an error."""

import pytest
from hydra.errors import CompactHydraException, InstantiationException

from fetal_lm import start
from fetal_lm.errors import InputError

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


@pytest.mark.parametrize(
    ("environment", "further"),
    [
        ({}, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, True),
        # The first process of another node.
        ({"NODE_RANK": "1"}, True),
        ({"RANK": "4", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, True),
        ({"SLURM_PROCID": "0"}, False),
        ({"SLURM_PROCID": "3"}, True),
    ],
    ids=str,
)
def test_the_first_process_of_a_training_is_known(monkeypatch, environment, further):
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert start._is_further_process() is further


def raised_by_a_job(error, cause=None):
    def a_job_of_the_sweep():
        raise error from cause

    return a_job_of_the_sweep


@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        (InputError("labels.csv, row 3: no image"), None, "labels.csv, row 3: no image"),
        (OSError(28, "No space left on device", "a.png"), None, "a.png: No space left on device"),
        (
            InstantiationException("in codec"),
            ValueError("sigma_px: expected more than 0"),
            "sigma_px: expected more than 0",
        ),
    ],
    ids=["input", "system", "option"],
)
def test_a_users_mistake_is_one_line_and_its_traceback_is_in_the_folder(tmp_path, error, cause, message):
    with pytest.raises(CompactHydraException) as told:
        start._written_down(raised_by_a_job(error, cause), tmp_path)
    assert str(told.value) == message
    # A report shows its last lines.
    assert (tmp_path / "error.txt").read_text() == f"{message}\n"
    trace = (tmp_path / "traceback.txt").read_text()
    assert "in a_job_of_the_sweep" in trace
    assert type(error).__name__ in trace.splitlines()[-1]
    assert (str(cause) in trace) == (cause is not None)
    start._written_down(lambda: None, tmp_path)
    assert list(tmp_path.iterdir()) == [], "of an earlier start"


def test_a_fault_of_the_package_keeps_its_traceback_in_one_place(tmp_path):
    with pytest.raises(ZeroDivisionError):
        start._written_down(raised_by_a_job(ZeroDivisionError("by zero")), tmp_path)
    assert "in a_job_of_the_sweep" in (tmp_path / "error.txt").read_text()
    assert not (tmp_path / "traceback.txt").exists()
