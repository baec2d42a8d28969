"""What a miss costs: the one place where a missing prediction becomes a number.

The house rule is that what is undecoded counts as a miss in every ranking. A model that keeps silent on hard images
must not look better for it, so
    * an undecoded landmark is charged the largest error its frame allows: the distance from the truth to the farthest
      corner of the frame (of the outermost pixels' edges, at -0.5 and width - 0.5);
    * it is beyond every success threshold;
    * an undecoded diameter or circumference is charged its whole true length.
Images without a pixel spacing have NaN in every figure in mm, decoded or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from fetal_lm.geometry import far_side
from fetal_lm.landmarks import BPD, NAMES, OFD, matched_order

REFERENCE_SIZE_PX: Final = 256.0
"""Errors in px are those of the frame squashed to this width and height, the original study's unit."""

SUCCESS_THRESHOLDS_MM: Final = (1, 2, 3, 4)

GROSS_ERROR_OF_OFD: Final = 0.1
"""A landmark that is farther off than this share of the true OFD lies elsewhere in the head, or beside it."""

_ROUNDING_PX: Final = 1e-6
"""A half turn that gains less than this gains nothing: both errors are sums of rounded numbers."""


@dataclass(frozen=True, eq=False)
class ChargedErrors:
    """Landmark errors of N images with every miss charged; columns in the order of `landmarks.NAMES`.

    Attributes:
        error_px: order-free, in px of the frame squashed to 256 x 256; never NaN.
        raw_error_px: the same with the prediction's names as they are.
        error_mm: order-free, in mm; NaN only where the spacing is unknown.
        undecoded: where the order-free prediction has no landmark.
    """

    error_px: Float[np.ndarray, "N 4"]
    raw_error_px: Float[np.ndarray, "N 4"]
    error_mm: Float[np.ndarray, "N 4"]
    undecoded: Bool[np.ndarray, "N 4"]


def charged_errors(table: pd.DataFrame) -> ChargedErrors:
    """The landmark errors of a prediction table, misses charged.

    Args:
        table: rows of a `predictions.prediction_table`.
    """
    error_px = _columns(table, "error_px_{}")
    raw_error_px = _columns(table, "raw_error_px_{}")
    error_mm = _columns(table, "error_mm_{}")
    mm_per_px = table["mm_per_px"].to_numpy(dtype=np.float64)[:, None]
    farthest_px = _farthest_corner(table, REFERENCE_SIZE_PX)
    undecoded = np.isnan(error_px)
    return ChargedErrors(
        error_px=np.where(undecoded, farthest_px, error_px),
        raw_error_px=np.where(np.isnan(raw_error_px), farthest_px, raw_error_px),
        error_mm=np.where(undecoded, _farthest_corner(table, None) * mm_per_px, error_mm),
        undecoded=undecoded,
    )


def image_measures(table: pd.DataFrame) -> pd.DataFrame:
    """Every figure that is a mean over images, image by image, misses charged.

    Args:
        table: rows of a `predictions.prediction_table`.

    Returns:
        A row per row of `table` (same index): image, examination, mean_px, raw_mean_px, mean_mm, sdr_1mm to sdr_4mm,
        bpd_mae_mm, ofd_mae_mm, hc_mae_mm, bpd_nme, ofd_nme, bpd_endpoint_nme, ofd_endpoint_nme, undecoded_rate,
        half_turned (1 where the order-free errors are those of the prediction turned by half, else 0, also where
        nothing is decoded). The mean of a column, NaN skipped, is the figure of that name in `predictions.summarise`.

        There are two normalised mean errors, both over the true diameter in the original frame. `bpd_nme` is the error
        of the diameter itself. `bpd_endpoint_nme` is the distance of a diameter's ends from where they should be, mean
        of the two, order-free as in `mean_mm`. The NME that the Multicentre benchmark (arXiv 2512.16710) gives for
        BiometryNet is of the second kind (`compute_nme` in lib/core/evaluation.py of its repository): there each
        diameter's ends may be exchanged, here only those of the whole head at once, so that for the same points this
        figure is never smaller than theirs. The benchmark leaves out labels with a negative coordinate.
    """
    charges = charged_errors(table)
    measures: dict[str, np.ndarray] = {
        "mean_px": charges.error_px.mean(axis=1),
        "raw_mean_px": charges.raw_error_px.mean(axis=1),
        "mean_mm": charges.error_mm.mean(axis=1),
    }
    unknown_mm = np.isnan(charges.error_mm)
    for threshold_mm in SUCCESS_THRESHOLDS_MM:
        # A charge can be shorter than a threshold where pixels are tiny; a miss is a failure all the same.
        within = (charges.error_mm <= threshold_mm) & ~charges.undecoded
        measures[f"sdr_{threshold_mm}mm"] = np.where(unknown_mm, np.nan, within).mean(axis=1)
    for name in ("bpd", "ofd", "hc"):
        measures[f"{name}_mae_mm"] = _diameter_error(table, name, "mm")
    for name in ("bpd", "ofd"):
        # A relative error needs no spacing.
        measures[f"{name}_nme"] = _diameter_error(table, name, "px") / _column(table, f"true_{name}_px")
    endpoint_error_px = _endpoint_errors(table)
    for name, ends in (("bpd", BPD), ("ofd", OFD)):
        error_px = endpoint_error_px[:, list(ends)].mean(axis=1)
        measures[f"{name}_endpoint_nme"] = error_px / _column(table, f"true_{name}_px")
    measures["undecoded_rate"] = charges.undecoded.mean(axis=1)
    measures["half_turned"] = _half_turned(table)
    return pd.DataFrame({"image": table["image"], "examination": table["examination"], **measures}, index=table.index)


def without_gross_error(table: pd.DataFrame) -> Bool[np.ndarray, " N"]:
    """Images whose four landmarks are all there and none farther off than `GROSS_ERROR_OF_OFD` of the true OFD.

    Order-free, in the original frame; needs no spacing. A miss is a gross error whatever its charge.

    Args:
        table: rows of a `predictions.prediction_table`.
    """
    undecoded = np.isnan(_columns(table, "{}_x")).any(axis=1)
    largest_px = _endpoint_errors(table).max(axis=1)
    return np.asarray(~undecoded & (largest_px <= GROSS_ERROR_OF_OFD * _column(table, "true_ofd_px")))


def reference_scale(size_orig: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 1 2"]:
    """What (x, y) in original px are multiplied by to squash frames of (height, width) to 256 x 256.

    Differences only scale with the frame; where the pixel centres lie does not matter.
    """
    return np.asarray((REFERENCE_SIZE_PX / size_orig[:, ::-1])[:, None, :])


def _endpoint_errors(table: pd.DataFrame) -> np.ndarray:
    """Order-free distance `[N, 4]` from each true landmark in original px, misses charged."""
    truth, predicted = (
        np.stack([_columns(table, f"{prefix}{{}}_{axis}") for axis in "xy"], axis=-1) for prefix in ("true_", "")
    )
    squash = reference_scale(table[["height", "width"]].to_numpy(dtype=np.float64))
    error = np.linalg.norm(matched_order(predicted * squash, truth * squash) / squash - truth, axis=-1)
    return np.where(np.isnan(error), _farthest_corner(table, None), error)


def _diameter_error(table: pd.DataFrame, name: str, unit: str) -> np.ndarray:
    truth = _column(table, f"true_{name}_{unit}")
    error = np.abs(_column(table, f"{name}_{unit}") - truth)
    # The length in px tells a miss from an unknown spacing, which leaves NaN in mm.
    return np.where(np.isnan(_column(table, f"{name}_px")), truth, error)


def _half_turned(table: pd.DataFrame) -> np.ndarray:
    # The uncharged sums are those that `matched_order` compared: a turn may change which landmark is undecoded.
    order_free_px, raw_px = (np.nansum(_columns(table, f"{kind}error_px_{{}}"), axis=1) for kind in ("", "raw_"))
    turned: np.ndarray = order_free_px < raw_px - _ROUNDING_PX
    return turned.astype(np.float64)


def _farthest_corner(table: pd.DataFrame, squashed_to_px: float | None) -> np.ndarray:
    """Distance `[N, 4]` from each true landmark to the farthest corner of its frame, original or squashed."""
    distance = []
    for axis, side in (("x", "width"), ("y", "height")):
        length = _column(table, side)[:, None]
        scale = 1.0 if squashed_to_px is None else squashed_to_px / length
        distance.append(far_side(_columns(table, f"true_{{}}_{axis}"), length) * scale)
    return np.hypot(distance[0], distance[1])


def _columns(table: pd.DataFrame, pattern: str) -> np.ndarray:
    return table[[pattern.format(name) for name in NAMES]].to_numpy(dtype=np.float64)


def _column(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(dtype=np.float64)
