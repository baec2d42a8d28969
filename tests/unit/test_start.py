"""Which process of a training holds the run's folder."""

import pytest

from fetal_lm import start

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
