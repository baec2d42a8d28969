"""One row looked at by itself: what is wrong with it, how suspect it is, and whether its names are exchanged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8

from fetal_lm.audit.findings import Finding
from fetal_lm.audit.models import Disagreement
from fetal_lm.audit.shape import Shape, shape_of
from fetal_lm.audit.skull_view import SkullView, view_of
from fetal_lm.audit.suspicion import (
    GROSS_ERROR_PX,
    HC_RANGE_MM,
    INDEX_RANGE,
    Measured,
    can_be_a_head,
    log_odds,
    suspicion,
)
from fetal_lm.data.rows import LabelRow
from fetal_lm.geometry import Size
from fetal_lm.landmarks import NAMES

LARGEST_APART: Final = 0.2
LARGEST_SKEW_DEGREES: Final = 25.0
SPACING_RANGE_MM: Final = (0.02, 1.0)
"""Millimetres per pixel; 0.049 to 0.393 in HC18."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What an audit thinks of one row.

    Attributes:
        row: the row.
        findings: what is wrong with it.
        suspicion: from 0 to 1, by the rule of `suspicion`.
        log_odds: the same without the ends of the scale, where many rows would be equal.
        names_swapped: whether `ofd_*` lies on the short axis; None if a point is missing.
        measured: the figures behind it.
    """

    row: LabelRow
    findings: tuple[Finding, ...]
    suspicion: float
    log_odds: float
    names_swapped: bool | None
    measured: Measured


def judge(
    row: LabelRow,
    image: UInt8[np.ndarray, "H W"] | None,
    disagreement: Disagreement | None = None,
    habit: bool | None = None,
    others: tuple[Finding, ...] = (),
) -> Judgement:
    """Looks at one row.

    Args:
        row: the row.
        image: its image; None if there is none that can be read.
        disagreement: what models say that never saw this head.
        habit: whether the source calls the shorter diameter OFD as a rule, if it has one.
        others: findings about the row that need other rows or its file.
    """
    shape = shape_of(row.points_orig)
    view = None if image is None else view_of(image, row.points_orig)
    measured = Measured(
        shape=shape,
        outside=math.nan if image is None else _outside(row.points_orig, (image.shape[0], image.shape[1]), shape),
        hc_mm=shape.hc_px * row.mm_per_px if row.mm_per_px > 0 else math.nan,
        off_skull_px=math.nan if view is None else view.distance_px,
        disagreement_px=math.nan if disagreement is None else disagreement.distance_px,
    )
    swapped = names_swapped(shape, view, disagreement, habit)
    found = [*others, *_findings(row, measured, swapped, image)]
    return Judgement(row, tuple(found), suspicion(measured), log_odds(measured), swapped, measured)


def names_swapped(
    shape: Shape, view: SkullView | None, disagreement: Disagreement | None, habit: bool | None = None
) -> bool | None:
    """Whether `ofd_*` lies on the short axis; None if a point is missing or the diameters are equally long.

    The best witness there is decides: the skull in the image, else models that never saw the head, else the lengths.
    Models come second because those that a source's own labels trained put points where its faulty rows do
    (experiments/audit). A row whose points are misplaced may have the longer diameter on the short axis, so that
    lengths come last. Where exchanging the names brings the points nearer or farther by less than a gross error, which
    models and the search may make themselves, the habit of the source's other rows decides, and so it does about the
    lengths of a shape that cannot be a head's; a row near its head has much more to tell.
    """
    witness = disagreement if view is None else view
    if witness is not None:
        if habit is not None and abs(witness.exchange_gain_px) < GROSS_ERROR_PX:
            return habit
        return witness.exchange_gain_px > 0
    if math.isnan(shape.index) or shape.ofd_px == shape.bpd_px:
        return None
    if habit is not None and not can_be_a_head(shape):
        return habit
    return shape.ofd_px < shape.bpd_px


def _findings(
    row: LabelRow, measured: Measured, swapped: bool | None, image: UInt8[np.ndarray, "H W"] | None
) -> list[Finding]:
    found: list[Finding] = []

    def add(check: str, what: str) -> None:
        found.append(Finding(row.image, row.line, check, what))

    for problem in row.problems:
        add("bad_row", problem)
    if math.isnan(row.mm_per_px):
        add("spacing_missing", "no pixel spacing")
    elif not SPACING_RANGE_MM[0] <= row.mm_per_px <= SPACING_RANGE_MM[1]:
        add("spacing_implausible", f"{row.mm_per_px:g} mm per px, expected {_range(SPACING_RANGE_MM)}")
    shape = measured.shape
    if not np.isfinite(row.points_orig).all():
        if not row.problems:
            missing = ", ".join(
                name for name, point in zip(NAMES, row.points_orig, strict=True) if np.isnan(point).any()
            )
            add("bad_row", f"without {missing}")
        return found
    if not min(shape.ofd_px, shape.bpd_px) > 0:
        add("bad_row", "both ends of a diameter are the same point")
        return found
    if image is not None and measured.outside > 0:
        add("off_image", _outside_words(row.points_orig, (image.shape[0], image.shape[1])))
    if shape.apart > LARGEST_APART:
        add(
            "diameters_apart", f"middles {shape.apart:.2f} of a mean diameter apart, expected at most {LARGEST_APART:g}"
        )
    if shape.skew_degrees > LARGEST_SKEW_DEGREES:
        crossing = f"they cross at {90 - shape.skew_degrees:.0f} degrees"
        add("not_perpendicular", f"{crossing}, expected at least {90 - LARGEST_SKEW_DEGREES:.0f}")
    if not INDEX_RANGE[0] <= shape.index <= INDEX_RANGE[1]:
        add("cephalic_index", f"shorter / longer diameter {shape.index:.2f}, expected {_range(INDEX_RANGE)}")
    if not math.isnan(measured.hc_mm) and not HC_RANGE_MM[0] <= measured.hc_mm <= HC_RANGE_MM[1]:
        add("head_size", f"circumference {measured.hc_mm:.0f} mm, expected {_range(HC_RANGE_MM)}")
    if measured.off_skull_px > GROSS_ERROR_PX:
        add("off_skull", f"about {measured.off_skull_px:.0f} px of 256 from the skull in the image")
    if measured.disagreement_px > GROSS_ERROR_PX:
        add("model_disagrees", f"{measured.disagreement_px:.0f} px of 256 from the predictions")
    if swapped:
        add("names_swapped", f"ofd_* {shape.ofd_px:.0f} px and bpd_* {shape.bpd_px:.0f} px")
    return found


def _outside(points_orig: np.ndarray, size_orig: Size, shape: Shape) -> float:
    mean_px = (shape.ofd_px + shape.bpd_px) / 2
    return float(_overhang_px(points_orig, size_orig).max()) / mean_px if mean_px > 0 else math.nan


def _overhang_px(points_orig: np.ndarray, size_orig: Size) -> np.ndarray:
    """How far each point lies outside the frame, whose edges are at -0.5 and width - 0.5."""
    edges = np.array(size_orig[::-1]) - 0.5
    return np.asarray(np.maximum(np.maximum(-0.5 - points_orig, points_orig - edges), 0).max(axis=-1))


def _outside_words(points_orig: np.ndarray, size_orig: Size) -> str:
    overhang_px = _overhang_px(points_orig, size_orig).tolist()
    named = [
        f"{name} ({x:g}, {y:g})"
        for name, (x, y), px in zip(NAMES, points_orig.tolist(), overhang_px, strict=True)
        if px > 0
    ]
    return f"{', '.join(named)} outside {size_orig[1]} x {size_orig[0]} px"


def _range(allowed: tuple[float, float]) -> str:
    return f"{allowed[0]:g} to {allowed[1]:g}"
