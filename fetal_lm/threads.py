"""How many threads a job computes with, so that jobs at the same time share the cores instead of fighting for them."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "OMP_NUM_THREADS"
"""What torch, NumPy and ONNX Runtime read, once, when a process first loads them."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cores(jobs: int) -> int:
    """Gives each of the processes that this one starts from now on its share of the cores.

    Two jobs with two threads each on two cores are ten times slower than with one each. What the user has set is kept
    where it is less.

    Args:
        jobs: how many run at the same time.

    Returns:
        Threads of each job, as the environment says now.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "64"}):
        ...     share_cores(jobs=cores())
        1
    """
    share = max(1, cores() // max(1, jobs))
    asked = os.environ.get(VARIABLE, "")
    threads = min(share, int(asked)) if asked.isdigit() and int(asked) > 0 else share
    os.environ[VARIABLE] = str(threads)
    return threads
