"""Holm's correction."""

from __future__ import annotations

import numpy as np

from fetal_lm.report.multiplicity import holm


def rejected_by_steps(p: np.ndarray, level: float) -> np.ndarray:
    """Holm's procedure as he wrote it: reject from the smallest on, until one is too large for its step."""
    rejected = np.zeros(len(p), dtype=bool)
    for step, index in enumerate(np.argsort(p)):
        if p[index] > level / (len(p) - step):
            break
        rejected[index] = True
    return rejected


def test_it_rejects_what_the_steps_reject() -> None:
    generator = np.random.default_rng(0)
    rejections = 0
    for _ in range(200):
        p = generator.uniform(0, 0.08, generator.integers(1, 8))
        np.testing.assert_array_equal(holm(p) <= 0.05, rejected_by_steps(p, 0.05))
        rejections += (holm(p) <= 0.05).sum()
    assert rejections > 100


def test_adjusted_values_keep_their_order_and_stay_probabilities() -> None:
    p = np.array([0.5, 0.001, 0.5, 0.9, 0.02])
    np.testing.assert_allclose(holm(p), [1.0, 0.005, 1.0, 1.0, 0.08])


def test_what_was_not_tested_does_not_count() -> None:
    np.testing.assert_allclose(holm(np.array([np.nan, 0.01, np.nan, 0.04])), [np.nan, 0.02, np.nan, 0.04])
    assert holm(np.array([])).size == 0
    assert np.isnan(holm(np.array([np.nan]))).all()
