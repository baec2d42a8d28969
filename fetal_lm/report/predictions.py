"""The predictions of one run as a table: truth, prediction and errors of every image, and their summary.

`prediction_table` keeps what a model said, NaN included. What a missing prediction costs is decided in
`report.charges`, and `summarise` counts by it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float

from fetal_lm import biometry
from fetal_lm.atomic import atomic_path
from fetal_lm.data.records import Record
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES, matched_order
from fetal_lm.report.charges import charged_errors, image_measures, reference_scale

TEXT_COLUMNS: Final = ("image", "examination", "branch")
FRAME_COLUMNS: Final = ("height", "width", "mm_per_px")
DIAMETERS: Final = ("bpd", "ofd", "hc")
POINT_COLUMNS: Final = tuple(f"{name}_{axis}" for name in NAMES for axis in "xy")
ERROR_COLUMNS: Final = tuple(f"{kind}_{name}" for kind in ("error_px", "raw_error_px", "error_mm") for name in NAMES)
DIAMETER_COLUMNS: Final = tuple(
    f"{prefix}{name}_{unit}" for unit in ("px", "mm") for prefix in ("true_", "") for name in DIAMETERS
)
COLUMNS: Final = (
    *TEXT_COLUMNS,
    *FRAME_COLUMNS,
    *(f"true_{column}" for column in POINT_COLUMNS),
    *POINT_COLUMNS,
    *ERROR_COLUMNS,
    *DIAMETER_COLUMNS,
)


def prediction_table(
    records: Sequence[Record], predicted_orig: Mapping[str, Float[np.ndarray, "N 4 2"]]
) -> pd.DataFrame:
    """One row per branch and image with truth, prediction, errors and biometry.

    Columns, in this order (`COLUMNS`); `K` stands for each of `landmarks.NAMES`:
        * image, examination, branch, height and width (original px), mm_per_px (NaN where unknown);
        * `true_K_x`, `true_K_y`, `K_x`, `K_y`: landmarks in original px, as labelled and as predicted (not renamed);
          NaN where undecoded;
        * `error_px_K`: distance in px after squashing the original frame to 256 x 256 (the study's unit), order-free:
          after the half turn of the whole head that brings the prediction nearer to the truth in that same space;
        * `raw_error_px_K`: the same, taking the prediction's names as they are;
        * `error_mm_K`: distance in mm in the original, unsquashed frame, after the same half turn;
        * `true_bpd_px`, `bpd_px`, `true_bpd_mm`, `bpd_mm` and so on for ofd and hc, in original px and in mm.

    An undecoded landmark has NaN errors and its diameter is NaN, also in the circumference; nothing is dropped. A
    prediction that is not finite is undecoded, as is one with only one finite coordinate.

    Args:
        records: N labelled images; their landmarks are finite.
        predicted_orig: for each branch of the model, `[N, 4, 2]` predictions in original px, in the order of `records`.

    Returns:
        `len(predicted_orig) * N` rows, branch by branch.

    Raises:
        ValueError: a branch does not have one prediction per record, or a record's landmark is not finite.
    """
    truth_orig = np.array([record.points_orig for record in records], dtype=np.float64).reshape(-1, len(NAMES), 2)
    if not np.isfinite(truth_orig).all():
        bad = records[int(np.argwhere(~np.isfinite(truth_orig))[0, 0])]
        raise ValueError(f"the label of {bad.image} is not finite: {bad.points_orig.tolist()}")
    frames = []
    for branch, points in predicted_orig.items():
        if points.shape != truth_orig.shape:
            raise ValueError(f"branch {branch!r}: {points.shape} predictions for {len(records)} records")
        frames.append(_branch_table(records, branch, truth_orig, points.astype(np.float64)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """The figures of one branch over its images.

    A miss is charged, never dropped (`report.charges`): an undecoded landmark costs the distance from its truth to the
    farthest corner of its own frame, counts as a failure at every success threshold, and an undecoded diameter or
    circumference costs its whole true length (relative error 1). Decoded outliers count as they are.

    Args:
        table: rows of one branch of a `prediction_table`, at least one.

    Returns:
        * mean_px, median_px, raw_mean_px, raw_median_px: landmark error in px of the frame squashed to 256 x 256,
          order-free and raw;
        * mean_mm, median_mm: landmark error, order-free; sdr_1mm to sdr_4mm: share of landmarks at most that far off;
        * bpd_mae_mm, ofd_mae_mm, hc_mae_mm: mean absolute errors; bpd_nme, ofd_nme: mean of absolute error / truth;
        * bpd_endpoint_nme, ofd_endpoint_nme: mean error of the two ends / true diameter, original frame, order-free;
        * undecoded_rate: share of landmarks without a prediction; half_turned: share of images whose order-free errors
          are those of the prediction turned by half;
        * images, landmarks: how many; images_without_mm: images without a pixel spacing, which are left out of every
          figure in mm (NaN if there is no other), but not of the relative errors, which need none.

    Raises:
        ValueError: the table is empty or holds several branches.
    """
    branches = table["branch"].unique()
    if len(branches) != 1:
        raise ValueError(f"one branch is summarised at a time, this table has {list(branches)}")
    charges = charged_errors(table)
    measures = image_measures(table)
    # pandas' mean skips NaN and is NaN, without a warning, where nothing is left.
    summary = {
        str(name): float(value) for name, value in measures.drop(columns=["image", "examination"]).mean().items()
    }
    summary["median_px"] = _median(charges.error_px)
    summary["raw_median_px"] = _median(charges.raw_error_px)
    summary["median_mm"] = _median(charges.error_mm)
    summary["images"] = float(len(table))
    summary["landmarks"] = float(len(table) * len(NAMES))
    summary["images_without_mm"] = float(table["mm_per_px"].isna().sum())
    return summary


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Writes a prediction table as CSV, atomically; NaN is an empty field."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def read_predictions(path: Path) -> pd.DataFrame:
    """Reads what `write_predictions` wrote.

    Raises:
        InputError: the file is missing, empty, not a CSV, lacks a column, holds text for a number or an image twice.
    """
    try:
        # The plain reader keeps an image called "NA" or "007" as it is and tells a short row from empty fields.
        with path.open(encoding="utf-8", newline="") as handle:
            lines = list(csv.reader(handle))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; train this run again") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV of predictions ({error}); train this run again") from error
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InputError(f"{path}: expected the column {missing[0]!r} ({len(missing)} are missing)")
    if not rows:
        raise InputError(f"{path}: expected at least one prediction, the file has none")
    for number, fields in enumerate(rows, start=2):
        if len(fields) != len(header):
            raise InputError(
                f"{path}, row {number}: expected {len(header)} fields, got {len(fields)}; is the file cut?"
            )
    table = pd.DataFrame(rows, columns=header)[list(COLUMNS)]
    for column in COLUMNS[len(TEXT_COLUMNS) :]:
        table[column] = _numbers(table[column], path)
    required = [*FRAME_COLUMNS[:2], *(f"true_{column}" for column in POINT_COLUMNS)]
    bad = ~np.isfinite(table[required].to_numpy()).all(axis=1)
    if bad.any():
        raise InputError(f"{path}, row {int(np.argmax(bad)) + 2}: expected a size and a label, got NaN or nothing")
    twice = table.duplicated(["branch", "image"])
    if twice.any():
        row = int(np.argmax(twice.to_numpy()))
        raise InputError(f"{path}, row {row + 2}: image {table['image'].iloc[row]!r} occurs twice in its branch")
    return table


def best_median_worst(table: pd.DataFrame, each: int = 2) -> pd.DataFrame:
    """Rows of one branch that show good, typical and bad cases, for `pictures.overlay_picture`.

    Args:
        table: rows of one branch of a `prediction_table`.
        each: how many images of each kind; fewer where the table is small, and no image twice.

    Returns:
        The rows in the order best, median, worst with a further column `case`; the index is that of `table`. Ranked by
        each image's mean order-free error in px, misses charged as in `summarise`.
    """
    order = np.argsort(charged_errors(table).error_px.mean(axis=1), kind="stable")
    count = len(order)
    middle = max(0, (count - each) // 2)
    wanted = {
        "best": range(min(each, count)),
        "worst": range(max(0, count - each), count),
        "median": range(middle, min(middle + each, count)),
    }
    case_of_rank: dict[int, str] = {}
    for case, ranks in wanted.items():
        for rank in ranks:
            case_of_rank.setdefault(rank, case)
    ranks_in_order = sorted(case_of_rank)
    chosen = table.iloc[order[ranks_in_order]]
    return chosen.assign(case=[case_of_rank[rank] for rank in ranks_in_order])


def _branch_table(
    records: Sequence[Record], branch: str, truth_orig: np.ndarray, predicted_orig: np.ndarray
) -> pd.DataFrame:
    predicted_orig = np.where(np.isfinite(predicted_orig).all(-1, keepdims=True), predicted_orig, np.nan)
    size_orig = np.array([record.size_orig for record in records], dtype=np.float64).reshape(-1, 2)
    mm_per_px = np.array([record.mm_per_px for record in records], dtype=np.float64)
    squash = reference_scale(size_orig)
    matched_256 = matched_order(predicted_orig * squash, truth_orig * squash)
    matched_orig = matched_256 / squash
    columns: dict[str, object] = {
        "image": [record.image for record in records],
        "examination": [record.examination for record in records],
        "branch": [branch] * len(records),
        "height": size_orig[:, 0],
        "width": size_orig[:, 1],
        "mm_per_px": mm_per_px,
    }
    for prefix, points in (("true_", truth_orig), ("", predicted_orig)):
        for k, name in enumerate(NAMES):
            columns[f"{prefix}{name}_x"], columns[f"{prefix}{name}_y"] = points[:, k, 0], points[:, k, 1]
    errors = {
        "error_px": np.linalg.norm(matched_256 - truth_orig * squash, axis=-1),
        "raw_error_px": np.linalg.norm((predicted_orig - truth_orig) * squash, axis=-1),
        "error_mm": np.linalg.norm(matched_orig - truth_orig, axis=-1) * mm_per_px[:, None],
    }
    for kind, values in errors.items():
        for k, name in enumerate(NAMES):
            columns[f"{kind}_{name}"] = values[:, k]
    for unit, scale in (("px", np.ones_like(mm_per_px)), ("mm", mm_per_px)):
        for prefix, points in (("true_", truth_orig), ("", predicted_orig)):
            for name, lengths in biometry.diameters(points, scale).items():
                columns[f"{prefix}{name}_{unit}"] = lengths
    return pd.DataFrame(columns)[list(COLUMNS)]


def _numbers(texts: pd.Series, path: Path) -> np.ndarray:
    numbers = np.empty(len(texts), dtype=np.float64)
    for row, text in enumerate(texts):
        try:
            numbers[row] = float(text) if text else np.nan
        except ValueError:
            raise InputError(f"{path}, row {row + 2}: expected a number in {texts.name!r}, got {text!r}") from None
    return numbers


def _median(errors: np.ndarray) -> float:
    known = errors[~np.isnan(errors)]
    return float(np.median(known)) if known.size else float("nan")
