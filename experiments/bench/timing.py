"""Times of things that take turns, so that all of them see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from fetal_lm.precision import cpu_precision

Step = Callable[[], object]


def in_turn(steps: list[tuple[Step, int]], repeats: int) -> list[float]:
    """Median seconds per item of each step, after one that is not counted; the steps take turns."""
    times: list[list[float]] = [[] for _ in steps]
    for counted in range(repeats + 1):
        for (step, items), kept in zip(steps, times, strict=True):
            started = time.perf_counter()
            step()
            if counted:
                kept.append((time.perf_counter() - started) / items)
    return [statistics.median(kept) for kept in times]


def autocast() -> torch.autocast:
    """The arithmetic that a training would choose on this CPU."""
    return torch.autocast("cpu", torch.bfloat16, enabled=cpu_precision() == "bf16-mixed")
