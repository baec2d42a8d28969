"""Seeds and folds as separate sources of spread."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fetal_lm.report.comparison import compare
from fetal_lm.report.spread import components, spread_over_folds
from fetal_lm.report.sweep import read_sweep

from .conftest import MakeRun

SQUASH_X = 0.64


def runs_of(grid: np.ndarray) -> pd.DataFrame:
    """Runs of seeds (rows) in folds (columns)."""
    cells = [(seed, fold, grid[seed, fold]) for seed, fold in product(*map(range, grid.shape))]
    return pd.DataFrame(cells, columns=["seed", "fold", "mean_px"])


def test_folds_are_averaged_over_their_seeds() -> None:
    # Means of the folds: 2, 5 and 8.
    assert spread_over_folds(runs_of(np.array([[1.0, 5.0, 9.0], [3.0, 5.0, 7.0]])), "mean_px") == pytest.approx(3.0)
    assert math.isnan(spread_over_folds(runs_of(np.array([[1.0], [3.0]])), "mean_px"))


def test_known_components_are_found() -> None:
    generator = np.random.default_rng(0)
    seeds, folds = generator.normal(0.0, 0.5, (400, 1)), generator.normal(0.0, 2.0, (1, 100))
    found = components(runs_of(10 + seeds + folds + generator.normal(0.0, 1.0, (400, 100))), "mean_px")
    # The spread of 400 draws is known to 4 %, of 100 to 7 %, of 40000 to 0.4 %.
    assert found.seed == pytest.approx(0.5, rel=0.15)
    assert found.fold == pytest.approx(2.0, rel=0.15)
    assert found.rest == pytest.approx(1.0, rel=0.02)


def test_components_by_hand() -> None:
    # Seeds' means 3 and 5, folds' means 1, 4 and 7; of the residuals +-1, 0, -+1 the mean square is 4 / 2.
    seed, fold, rest = components(runs_of(np.array([[1.0, 3.0, 5.0], [1.0, 5.0, 9.0]])), "mean_px")
    assert rest**2 == pytest.approx(2.0)
    assert seed**2 == pytest.approx(2.0 - 2.0 / 3)
    assert fold**2 == pytest.approx(9.0 - 2.0 / 2)


def test_the_rest_does_not_pass_for_seed_or_fold() -> None:
    generator = np.random.default_rng(1)
    seed_variances, plain_variances = [], []
    for _ in range(300):
        runs = runs_of(generator.normal(0.0, 1.0, (4, 4)))
        seed_variances.append(components(runs, "mean_px").seed ** 2)
        plain_variances.append(runs.groupby("seed")["mean_px"].mean().var())
    # The variance of four seeds' means of four folds is 1/4; half of the estimates are cut at zero.
    assert np.mean(plain_variances) == pytest.approx(0.25, abs=0.04)
    assert np.mean(seed_variances) < 0.15
    assert np.mean(np.array(seed_variances) == 0) > 0.3


@pytest.mark.parametrize("grid", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 2.0], [3.0, math.nan]]])
def test_components_need_every_seed_in_every_fold(grid: list[list[float]]) -> None:
    assert all(map(math.isnan, components(runs_of(np.array(grid)), "mean_px")))


def test_a_missing_run_leaves_the_components_unknown() -> None:
    runs = runs_of(np.arange(6.0).reshape(2, 3))
    assert all(map(math.isfinite, components(runs, "mean_px")))
    assert all(map(math.isnan, components(runs.iloc[:-1], "mean_px")))


def test_a_cross_validation_by_hand(tmp_path: Path, make_run: MakeRun) -> None:
    # Seed 1 adds 2 px everywhere, fold 1 adds 10.
    for seed, fold in product((0, 1), (0, 1)):
        images = [f"{fold}-{number}.png" for number in range(2)]
        shift = 4.0 + 2 * seed + 10 * fold
        make_run(tmp_path / "s" / f"{seed}{fold}", (shift, shift), images, seed=seed, fold=fold, split_digest=str(fold))
    comparison = compare(read_sweep(tmp_path / "s"))
    assert not comparison.warnings
    (row,) = comparison.table.to_dict("records")
    assert row["mean_px"] == pytest.approx(10 * SQUASH_X)
    assert row["mean_px_sd"] == pytest.approx(math.sqrt(2) * SQUASH_X)
    assert row["mean_px_sd_folds"] == pytest.approx(math.sqrt(50) * SQUASH_X)
    assert row["mean_px_sd_by_seed"] == pytest.approx(math.sqrt(2) * SQUASH_X)
    assert row["mean_px_sd_by_fold"] == pytest.approx(math.sqrt(50) * SQUASH_X)
    assert row["mean_px_sd_by_rest"] == pytest.approx(0.0, abs=1e-6)


def test_without_folds_only_seeds_spread(three_models: Path) -> None:
    table = compare(read_sweep(three_models)).table
    assert table["mean_px_sd"].notna().all()
    for column in ("mean_px_sd_folds", "mean_px_sd_by_seed", "mean_px_sd_by_fold", "mean_px_sd_by_rest"):
        assert table[column].isna().all(), column
