"""The forest plot shows each verdict, and never breaks on a name or on what is unknown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import image as mpl_image
from matplotlib.colors import to_rgb

from fetal_lm.report.forest import MOST_PAIRS, forest_picture
from fetal_lm.report.pairs import COLUMNS, Pairs

BETTER, WORSE = "#0072B2", "#D55E00"


def picture(path: Path, *rows: dict[str, Any]) -> np.ndarray:
    """The pixels of the plot of some pairs, `[H, W, 3]`."""
    pair = {"first": "A", "first_branch": "heatmap", "second": "B", "second_branch": "heatmap", "figure": "mean_px"}
    pair |= {"difference": 1.0, "low": 0.5, "high": 1.5, "verdict": "no clear difference"}
    table = pd.DataFrame([{**pair, **row} for row in rows], columns=list(COLUMNS))
    assert forest_picture(Pairs(table, ()), path)
    return np.asarray(mpl_image.imread(path)[..., :3])


def columns_of(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Where along the width a colour is, legend left out."""
    return np.flatnonzero((np.abs(pixels - to_rgb(colour)).max(-1) < 0.02)[: -pixels.shape[0] // 4].any(axis=0))


def test_better_is_left_of_zero_and_worse_is_right_of_it(tmp_path: Path) -> None:
    pixels = picture(
        tmp_path / "a.png",
        {"difference": -1.0, "low": -1.5, "high": -0.5, "verdict": "second better"},
        {"second": "C", "verdict": "second worse"},
        {"second": "D", "low": -0.5},
    )
    better, worse = columns_of(pixels, BETTER), columns_of(pixels, WORSE)
    assert better.size
    assert worse.size
    assert better.max() < worse.min()
    # Both intervals are 1 px wide and the centres 2 px apart.
    assert np.ptp(better) == pytest.approx(np.ptp(worse), abs=2)
    assert worse.mean() - better.mean() == pytest.approx(2 * np.ptp(worse), rel=0.05)


def test_an_unclear_difference_has_no_colour(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "a.png", {}, {"second": "C", "verdict": "too few examinations"})
    assert np.ptp(pixels, axis=-1).max() < 0.02


def test_odd_names_and_unknown_values_can_be_drawn(tmp_path: Path) -> None:
    nothing = {"difference": math.nan, "low": math.nan, "high": math.nan, "figure": "hc_mae_mm"}
    picture(
        tmp_path / "a.png",
        {"first": "$\\broken{$", "second": "H3 stacked_hourglass " + "optim.lr=0.0001 " * 12},
        {"low": math.nan, "high": math.nan},
        {"difference": 0.0, "low": 0.0, "high": 0.0, "figure": "bpd_mae_mm"},
        nothing,
    )
    picture(tmp_path / "b.png", nothing)
    assert forest_picture(Pairs(pd.DataFrame(columns=list(COLUMNS)), ()), tmp_path / "c.png") is False
    assert not (tmp_path / "c.png").exists()


def test_a_picture_stays_a_picture(tmp_path: Path) -> None:
    many = picture(tmp_path / "many.png", *({"second": f"B{number}"} for number in range(MOST_PAIRS + 30)))
    full = picture(tmp_path / "full.png", *({"second": f"B{number}"} for number in range(MOST_PAIRS)))
    assert many.shape == full.shape
    assert many.shape[0] < 5000
