"""What several trainings find together: the mean of what all seeds of a recipe find, beside what each finds alone.

    python experiments/accuracy/ensemble.py SWEEP --root DIR

SWEEP has every fold of several seeds. An image's diameters have the mean middle, direction and length of those that the
seeds' networks find, each by the fold that did not see the image's examination. Prints the targets' figures of the
seeds, on average, and of their mean, and the mean's less the seeds' on the same images. What is gained is a part of
what errors owe to chance in training: of S seeds, all but 1/S of its variance. And prints how many images have a gross
error with each seed, with all, and with all to the same side.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from jaxtyping import Float
from reading import Root, plain_errors, read
from targets import FOUND, measured, measures, shown

from fetal_lm.data.records import Record
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES
from fetal_lm.report.charges import GROSS_ERROR_OF_OFD
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.pooling import OutOfFold, out_of_fold
from fetal_lm.report.predictions import POINT_COLUMNS, prediction_table
from fetal_lm.report.statistics import averaged_over_seeds, interval_of_mean


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of a sweep of every fold and several seeds.")],
    root: Root = None,
) -> None:
    """Prints a table for each branch of each model."""
    with plain_errors():
        for pooled in out_of_fold(read(sweep, root)):
            if len(pooled.tables) < 2:
                raise InputError(f"{sweep}: expected several seeds of {pooled.label}, got one; train it with seed=0,1")
            typer.echo("\n".join([*_markdown(pooled), ""]))


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean heads of several seeds as a table of predictions.

    Args:
        tables: of each seed the rows of a `predictions.prediction_table` of one branch; the same images in the same
            order.
    """
    heads = mean_heads(np.stack([_points(table, "") for table in tables]))
    one = tables[0]
    about = zip(one["image"], one["examination"], one["height"], one["width"], one["mm_per_px"], strict=True)
    records = [
        Record(image, examination, (int(height), int(width)), truth_orig, mm_per_px)
        for (image, examination, height, width, mm_per_px), truth_orig in zip(about, _points(one, "true_"), strict=True)
    ]
    # The true circumference may be another source's.
    return prediction_table(records, {str(one["branch"].iloc[0]): heads}).assign(true_hc_mm=one["true_hc_mm"])


def mean_heads(heads: Float[np.ndarray, "S N 4 2"]) -> Float[np.ndarray, "N 4 2"]:
    """Diameters whose middles, directions and lengths are the mean ones, with ends named as the first seed names them.

    The mean of ends alone would be shorter where directions differ. A diameter of which a seed lacks an end is the
    others', named as the next seed names it; one that all lack is NaN.

    Example:
        >>> heads = np.array([[[[0, 0], [10, 0], [5, -3], [5, 3]]], [[[5, -5], [5, 5], [2, 0], [8, 0]]]], dtype=float)
        >>> mean_heads(heads).round(2).tolist()
        [[[1.46, -3.54], [8.54, 3.54], [2.88, -2.12], [7.12, 2.12]]]
    """
    pairs = heads.reshape(*heads.shape[:2], 2, 2, 2)  # seed, head, diameter, end, x and y
    middles, halves = pairs.mean(-2), (pairs[..., 1, :] - pairs[..., 0, :]) / 2
    found = np.isfinite(halves).all(-1)
    named = np.take_along_axis(halves, found.argmax(0)[None, ..., None], axis=0)
    # Seeds may call the ends of a diameter differently.
    halves = np.where(((halves * named).sum(-1) < 0)[..., None], -halves, halves)
    lengths = np.linalg.norm(halves, axis=-1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        # Ends in one place have no direction.
        middle, along = np.nanmean(middles, axis=0), np.nanmean(halves / lengths[..., None], axis=0)
        length = np.nanmean(lengths, axis=0)
        half = along * (length / np.linalg.norm(along, axis=-1))[..., None]
    return np.stack([middle - half, middle + half], axis=-2).reshape(heads.shape[1:])


def in_common(tables: Sequence[pd.DataFrame]) -> str:
    """How many images have a gross error with each seed, and how many of them with all, in a sentence.

    Args:
        tables: as `together` takes them.
    """
    missed = np.stack([measures(table)[FOUND].to_numpy() == 0 for table in tables])
    by_chance = missed.shape[1] * missed.mean(1).prod()
    turned = np.sign(np.stack([_turn(table) for table in tables]))[:, missed.all(0)]
    numbers = " and ".join(str(count) for count in missed.sum(1))
    return (
        f"A landmark is off by more than {GROSS_ERROR_OF_OFD:g} OFD in {numbers} of {missed.shape[1]} images, seed by "
        f"seed: in {turned.shape[1]} with every seed, where chance would have {by_chance:.1f}; in "
        f"{(turned == turned[0]).all(0).sum()} of those all turn the OFD to the same side."
    )


def _turn(table: pd.DataFrame) -> Float[np.ndarray, "N"]:
    """Radians by which each OFD is turned away from the true one, up to a quarter of a turn, as its ends are alike."""
    found, true = (points[:, 1] - points[:, 0] for points in (_points(table, ""), _points(table, "true_")))
    cosine, sine = (found * true).sum(-1), true[:, 0] * found[:, 1] - true[:, 1] * found[:, 0]
    turn: np.ndarray = np.arctan2(2 * sine * cosine, cosine**2 - sine**2) / 2
    return turn


def _points(table: pd.DataFrame, prefix: str) -> Float[np.ndarray, "N 4 2"]:
    columns = [f"{prefix}{column}" for column in POINT_COLUMNS]
    return table[columns].to_numpy(dtype=np.float64).reshape(-1, len(NAMES), 2)


def _markdown(pooled: OutOfFold) -> list[str]:
    """A row for each figure with a target; of the median, which is no mean over images, without the difference."""
    tables = list(pooled.tables.values())
    mean = together(tables)
    of_seeds, of_mean = (averaged_over_seeds([measures(table) for table in of]) for of in (tables, [mean]))
    examinations = of_seeds["examination"].tolist()
    rows = []
    for alone, joined in zip(measured(tables), measured([mean]), strict=True):
        target = alone.target
        if target.limit is None:
            continue
        row = [target.label, f"{target.limit:.{target.decimals}f}"]
        row += [shown(one.value, one.interval, target.decimals) for one in (alone, joined)]
        if target.figure in of_seeds:
            difference = of_mean[target.figure] - of_seeds[target.figure]
            interval = interval_of_mean(difference.to_numpy(dtype=np.float64), examinations)
            row.append("{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(difference.mean(), *interval, d=target.decimals))
        else:
            row.append("")
        rows.append(row)
    headers = ["Figure", "Target", f"one of {len(tables)} seeds, on average", "seeds averaged", "Averaged less one"]
    return [f"## {escape(pooled.label)}", "", *table_lines(headers, rows), "", in_common(tables)]


if __name__ == "__main__":
    typer.run(main)
