"""Each check of a single row finds its fault and no other."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.audit.judgement import judge, names_swapped
from fetal_lm.audit.models import Disagreement
from fetal_lm.audit.shape import shape_of
from fetal_lm.audit.skull_view import SkullView
from fetal_lm.data.rows import LabelRow

HEAD = np.array([[200.0, 270.0], [500.0, 270.0], [350.0, 150.0], [350.0, 390.0]])
ROW = LabelRow("a.png", 2, "a", "", Path("a.png"), HEAD, 0.15)
DARK = np.zeros((540, 800), np.uint8)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    middle = points.mean(axis=0)
    return np.asarray((points - middle) @ matrix + middle)


def scaled(points: np.ndarray, factor: float) -> np.ndarray:
    middle = points.mean(axis=0)
    return np.asarray((points - middle) * factor + middle)


def with_bpd(points: np.ndarray) -> np.ndarray:
    return np.concatenate([HEAD[:2], points])


def test_a_good_row_has_no_finding() -> None:
    judged = judge(ROW, DARK)
    assert judged.findings == ()
    assert judged.suspicion < 0.1
    assert judged.names_swapped is False


@pytest.mark.parametrize(
    ("check", "changes"),
    [
        ("bad_row", {"problems": ("expected 9 cells, got 8",)}),
        ("bad_row", {"points_orig": np.where([[True], [False], [False], [False]], np.nan, HEAD)}),
        ("bad_row", {"points_orig": with_bpd(np.full((2, 2), 350.0))}),
        ("names_swapped", {"points_orig": HEAD[[2, 3, 0, 1]]}),
        ("off_image", {"points_orig": np.add(HEAD, [0.0, 160.0])}),
        ("diameters_apart", {"points_orig": with_bpd(np.add(HEAD[2:], [58.0, 0.0]))}),
        ("not_perpendicular", {"points_orig": with_bpd(turned(HEAD[2:], 28.0))}),
        ("cephalic_index", {"points_orig": with_bpd(scaled(HEAD[2:], 0.6 / 0.8))}),
        ("head_size", {"mm_per_px": 0.55}),
        ("spacing_missing", {"mm_per_px": math.nan}),
    ],
)
def test_one_fault_is_one_finding(check: str, changes: dict) -> None:
    judged = judge(replace(ROW, **changes), DARK)
    assert [finding.check for finding in judged.findings] == [check]
    (finding,) = judged.findings
    assert (finding.image, finding.line) == ("a.png", 2)
    assert finding.found
    assert finding.fix


@pytest.mark.parametrize(
    "changes",
    [
        {"points_orig": np.add(HEAD, [299.5, 149.5])},
        {"points_orig": with_bpd(np.add(HEAD[2:], [50.0, 0.0]))},
        {"points_orig": with_bpd(turned(HEAD[2:], 22.0))},
        {"points_orig": with_bpd(scaled(HEAD[2:], 0.68 / 0.8))},
        {"points_orig": HEAD[[1, 0, 3, 2]]},
        {"mm_per_px": 0.45},
    ],
    ids=["at the edge", "apart", "skew", "index", "half turn", "size"],
)
def test_what_is_just_right_is_no_finding(changes: dict) -> None:
    assert judge(replace(ROW, **changes), DARK).findings == ()


@pytest.mark.parametrize("mm_per_px", [-0.15, 0.0, 0.001, 15.0, math.inf])
def test_an_implausible_spacing_is_found(mm_per_px: float) -> None:
    checks = {finding.check for finding in judge(replace(ROW, mm_per_px=mm_per_px), DARK).findings}
    assert "spacing_implausible" in checks
    assert checks <= {"spacing_implausible", "head_size"}


def test_without_an_image_the_points_alone_are_judged() -> None:
    judged = judge(replace(ROW, points_orig=np.add(HEAD, [5000.0, 0.0])), None)
    assert judged.findings == ()
    assert math.isnan(judged.measured.off_skull_px)


def test_models_decide_about_the_names_and_a_large_disagreement_is_found() -> None:
    judged = judge(ROW, DARK, Disagreement(50.0, 30.0, 3))
    assert {finding.check for finding in judged.findings} == {"names_swapped", "model_disagrees"}
    assert judged.suspicion > 0.9
    agreed = judge(ROW, DARK, Disagreement(3.0, -80.0, 3))
    assert agreed.findings == ()
    assert agreed.suspicion < judge(ROW, DARK).suspicion


@pytest.mark.parametrize(
    ("gain_px", "habit", "swapped"),
    [
        (-19.0, True, True),
        (19.0, False, False),
        (-21.0, True, False),
        (21.0, False, True),
        (-1.0, None, False),
        (1.0, None, True),
    ],
)
def test_the_sources_habit_decides_where_the_witness_may_err(gain_px: float, habit: bool | None, swapped: bool) -> None:
    assert judge(ROW, DARK, Disagreement(50.0, gain_px, 3), habit).names_swapped is swapped


@pytest.mark.parametrize("swapped", [True, False])
def test_the_skull_in_the_image_knows_names_better_than_models_do(swapped: bool) -> None:
    skull, models = SkullView(5.0, 40.0 if swapped else -40.0), Disagreement(5.0, -80.0 if swapped else 80.0, 3)
    assert names_swapped(shape_of(HEAD), skull, models) is swapped
    assert names_swapped(shape_of(HEAD), None, models) is not swapped


def test_without_a_witness_the_habit_decides_about_impossible_shapes_alone() -> None:
    skewed = replace(ROW, points_orig=with_bpd(turned(HEAD[2:], 60.0)))
    assert judge(skewed, None).names_swapped is False
    assert judge(skewed, None, habit=True).names_swapped is True
    assert judge(ROW, None, habit=True).names_swapped is False
