"""The rule by which a source names its pairs is read from its points alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.audit.habit import LEAST_ROWS, naming_habit
from fetal_lm.data.adapters.challenge import Challenge
from fetal_lm.data.adapters.phantom import Phantom

NAMED = np.array([[200.0, 270.0], [500.0, 270.0], [350.0, 150.0], [350.0, 390.0]])
EXCHANGED = NAMED[[2, 3, 0, 1]]
IMPOSSIBLE = NAMED + np.array([[0.0, 0.0], [0.0, 0.0], [150.0, 0.0], [150.0, 0.0]])


@pytest.fixture
def challenge(tmp_path: Path) -> Callable[[list[np.ndarray]], Challenge]:
    """A source with these rows; no image is there, for none is read."""

    def make(labels: list[np.ndarray]) -> Challenge:
        rows = [",".join(Challenge.columns)]
        rows += [",".join([f"{k}_HC.png", *map(str, points.ravel().tolist())]) for k, points in enumerate(labels)]
        (tmp_path / "role_challenge_dataset_ground_truth.csv").write_text("\n".join(rows) + "\n")
        return Challenge(tmp_path)

    return make


def test_most_rows_make_the_rule_and_impossible_shapes_have_no_say(challenge) -> None:
    assert naming_habit(challenge([EXCHANGED] * 19 + [NAMED] * 2 + [IMPOSSIBLE] * 30)) is True
    assert naming_habit(challenge([NAMED] * 19 + [EXCHANGED] * 2)) is False


def test_without_enough_rows_that_agree_there_is_no_rule(challenge) -> None:
    assert naming_habit(challenge([NAMED] * (LEAST_ROWS - 1) + [IMPOSSIBLE] * 30)) is None
    assert naming_habit(challenge([NAMED] * 17 + [EXCHANGED] * 3)) is None


def test_only_labels_in_one_csv_are_read_twice() -> None:
    assert naming_habit(Phantom(seed=0, images=LEAST_ROWS)) is None
