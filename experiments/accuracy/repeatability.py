"""How much of the errors out of fold is the labels' own: two frames of one examination, labelled and predicted.

    python experiments/accuracy/repeatability.py SWEEP --root DIR [--slope 1.0] [--output DIR]

SWEEP has every fold. Frames of one examination show one head, cut a little differently, so their true lengths are
nearly but not quite alike. Label and prediction follow what truly differs; what else differs in one of the two is that
one's error. So the variance of each one's errors is its variance within examinations less the covariance of the two
(Grubbs, "On estimating precision of measuring instruments and product variability", J. Am. Stat. Assoc. 43 (1948)
243-264). Prints both, the error that they make together beside the one found, and the mean absolute error that a
measurer without any error would have against these labels; writes `repeatability.png`.

Two things are taken for granted. What is off in all labels of an examination alike is not seen, so that the labels may
be worse. Predictions are taken to follow true differences whole; `--slope 0.95` says that they show 95 % of them, and
leaves less to the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import numpy as np
import pandas as pd
import typer
from jaxtyping import Float
from reading import Root, plain_errors, read
from targets import measured, shown

from fetal_lm.errors import InputError
from fetal_lm.report.canvas import grid, save
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.pictures import MODEL_COLOURS
from fetal_lm.report.pooling import OutOfFold, out_of_fold
from fetal_lm.report.statistics import CONFIDENCE, RESAMPLES, Interval

FIGURES: Final = ("hc_mae_mm", "bpd_mae_mm", "ofd_mae_mm", "bpd_nme", "ofd_nme")
"""Of `TARGETS`. A relative error is taken for a difference of logarithms, which it is to first order."""
HEADERS: Final = (
    "Figure", "Labels, SD", "Predictions, SD", "Error that these make, SD", "Error found, RMS", "Figure found",
    "Figure without an error", "Target",
)  # fmt: skip


class Sums(NamedTuple):
    """What is added up over examinations.

    Attributes:
        labels, both, predictions: products of deviations from the examination's mean: of labels with themselves, of
            labels with predictions, of predictions with themselves.
        freedom: frames less one.
        absolute, squared: of the errors.
        images: frames.
    """

    labels: Float[np.ndarray, "*R"]
    both: Float[np.ndarray, "*R"]
    predictions: Float[np.ndarray, "*R"]
    freedom: Float[np.ndarray, "*R"]
    absolute: Float[np.ndarray, "*R"]
    squared: Float[np.ndarray, "*R"]
    images: Float[np.ndarray, "*R"]


class Shares(NamedTuple):
    """Standard deviations of the errors of both, and what they make, in the figure's unit.

    Attributes:
        labels, predictions: 0 where the covariance is larger than the variance.
        found: root mean square of the errors over all images.
        least: mean absolute error of a measurer without any: the one found, as much smaller as the labels' standard
            deviation is than `found`, as if the errors of labels alone had the same distribution.
    """

    labels: Float[np.ndarray, "*R"]
    predictions: Float[np.ndarray, "*R"]
    found: Float[np.ndarray, "*R"]
    least: Float[np.ndarray, "*R"]


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of a sweep of every fold.")],
    root: Root = None,
    slope: Annotated[float, typer.Option(min=0.5, max=1.5, help="Of a true difference, what predictions show.")] = 1.0,
    output: Annotated[Path, typer.Option(help="Folder of the picture.")] = Path(__file__).parent,
) -> None:
    """Prints a table for each branch and draws the picture."""
    with plain_errors():
        pooled = out_of_fold(read(sweep, root))
        for one in pooled:
            typer.echo("\n".join([f"## {escape(one.label)}", "", *_table(one, slope), ""]))
        picture(pooled, output / "repeatability.png")
    typer.echo(f"wrote {output / 'repeatability.png'}")


def shares(sums: Sums, slope: float = 1.0) -> Shares:
    """Splits the errors of labels and predictions, of examinations that were added up; NaN where all have one frame."""
    freedom = np.where(sums.freedom > 0, sums.freedom, np.nan)
    labels, both, predictions = (of / freedom for of in (sums.labels, sums.both, sums.predictions))
    of_labels = np.sqrt(np.maximum(labels - both / slope, 0))
    of_predictions = np.sqrt(np.maximum(predictions - both * slope, 0))
    found = np.sqrt(sums.squared / sums.images)
    shrink = of_labels / np.where(found > 0, found, 1.0)
    return Shares(of_labels, of_predictions, found, sums.absolute / sums.images * shrink)


def examinations(tables: Sequence[pd.DataFrame], figure: str) -> Sums:
    """For each examination, `[E]`, what `Sums` holds, over the seeds; an image not measured in every seed is left out.

    Raises:
        InputError: no examination has two frames.
    """
    column, transform = _column(figure)
    true = transform(tables[0][f"true_{column}"].to_numpy(dtype=np.float64))
    found = [transform(table[column].to_numpy(dtype=np.float64)) for table in tables]
    known = np.isfinite(np.stack([true, *found])).all(axis=0)
    codes, names = pd.factorize(tables[0]["examination"][known])
    frames = np.bincount(codes, minlength=len(names)).astype(np.float64)
    if not len(frames) or frames.max() < 2:
        raise InputError(f"{figure}: expected examinations of two frames or more, and none has more than one")

    def deviations(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return values - (np.bincount(codes, values) / frames)[codes]

    def of_seed(values: Float[np.ndarray, " N"]) -> list[Float[np.ndarray, " E"]]:
        of_labels, of_predictions, off = deviations(true[known]), deviations(values), values - true[known]
        products = (of_labels**2, of_labels * of_predictions, of_predictions**2)
        of_errors = (np.abs(off), off**2)
        return [
            *(np.bincount(codes, each) for each in products), frames - 1,
            *(np.bincount(codes, each) for each in of_errors), frames,
        ]  # fmt: skip

    return Sums(*np.sum([of_seed(values[known]) for values in found], axis=0))


def intervals(sums: Sums, slope: float = 1.0, *, seed: int = 0, resamples: int = RESAMPLES) -> list[Interval]:
    """95 % percentile intervals of each of `Shares`, over examinations drawn with replacement."""
    drawn = np.random.default_rng(seed).multinomial(
        len(sums.images), np.full(len(sums.images), 1 / len(sums.images)), size=resamples
    )
    of_draws = shares(Sums(*(drawn @ np.stack(sums, axis=1)).T), slope)
    tail = 50 * (1 - CONFIDENCE)
    return [Interval(*map(float, np.nanpercentile(each, [tail, 100 - tail]))) for each in of_draws]


def picture(pooled: Sequence[OutOfFold], path: Path) -> None:
    """For each branch and length, the differences within examinations: predicted over labelled."""
    lengths = ("hc_mae_mm", "bpd_mae_mm", "ofd_mae_mm")
    figure, axes = grid(len(pooled), len(lengths), (4.2, 4.0), "Frames of one examination, less their mean")
    for place, one in enumerate(pooled):
        for axis, name in zip(axes[place * len(lengths) :], lengths, strict=False):
            column, _ = _column(name)
            for table in one.tables.values():
                several = table.groupby("examination").filter(lambda frames: len(frames) > 1)
                less = several.groupby("examination")[[f"true_{column}", column]].transform(
                    lambda each: each - each.mean()
                )
                axis.plot(less[f"true_{column}"], less[column], ".", ms=4, alpha=0.6, color=MODEL_COLOURS[0])
            axis.axline((0, 0), slope=1, color="black", lw=0.8)
            axis.set_aspect("equal", adjustable="datalim")
            axis.set(title=f"{column[:-3].upper()}, {one.branch}", xlabel="labelled, mm", ylabel="predicted, mm")
            axis.grid(alpha=0.3)
    save(figure, path)


def _column(figure: str) -> tuple[str, Callable[[Float[np.ndarray, " N"]], Float[np.ndarray, " N"]]]:
    """The column of predictions that a figure is of, and what its errors are differences of."""
    length, kind = figure.split("_", 1)
    return f"{length}_mm", _logarithm if kind == "nme" else np.asarray


def _logarithm(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """NaN where there is none."""
    return np.log(np.where(values > 0, values, np.nan))


def _table(one: OutOfFold, slope: float) -> list[str]:
    tables = list(one.tables.values())
    found = {each.target.figure: each for each in measured(tables)}
    rows = []
    for figure in FIGURES:
        target, value, interval = found[figure]
        sums = examinations(tables, figure)
        of_all = shares(Sums(*map(np.sum, sums)), slope)
        of_labels, of_predictions, _, least = (
            shown(float(of_one), its_interval, target.decimals)
            for of_one, its_interval in zip(of_all, intervals(sums, slope), strict=True)
        )
        together, rms, limit = (
            f"{one:.{target.decimals}f}"
            for one in (np.hypot(of_all.labels, of_all.predictions), of_all.found, target.limit)
        )
        of_figure = shown(value, interval, target.decimals)
        rows.append([target.label, of_labels, of_predictions, together, rms, of_figure, least, limit])
    frames = tables[0].groupby("examination").size()
    return [
        f"{int((frames > 1).sum())} examinations of two frames or more, {int(frames[frames > 1].sum())} images", "",
        *table_lines(HEADERS, rows),
    ]  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
