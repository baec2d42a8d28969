"""What is refused before a training begins."""

import math

import numpy as np
import pytest

from fetal_lm import train
from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split
from fetal_lm.errors import InputError

SPLIT = Split((0, 1), (2, 3), (4, 5))


def records(*mm_per_px):
    return [Record(f"{i}.png", f"{i}", (54, 80), np.ones((4, 2)), spacing) for i, spacing in enumerate(mm_per_px)]


def test_millimetres_select_only_where_there_are_some():
    without = records(0.5, 0.5, math.nan, math.nan, 0.5, 0.5)
    train._check_monitor("val/mre_px", SPLIT, without)
    with pytest.raises(InputError, match=r"no validation image has a pixel spacing.*monitor=val/mre_px"):
        train._check_monitor("val/hc_mae_mm", SPLIT, without)
    train._check_monitor("val/hc_mae_mm", SPLIT, records(*[math.nan] * 3, 0.5, *[math.nan] * 2))
