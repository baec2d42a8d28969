"""How much of the errors out of fold is the labels' own: frames of one examination, labelled and predicted.

    python experiments/accuracy/repeatability.py SWEEP --root DIR [--slope 0.95] [--without 20] [--output DIR]

SWEEP has every fold. Label and prediction of an examination's frames both follow what truly differs between these; what
else differs in one of the two is that one's error. So the variance of each one's errors is its variance within
examinations less the covariance of the two (Grubbs, "On estimating precision of measuring instruments and product
variability", J. Am. Stat. Assoc. 43 (1948) 243-264). Prints the standard deviations of both, of what is off in all
frames of an examination alike, which belongs to neither, and the mean absolute error that a measurer without any error
would have against these labels; writes `repeatability.png`.

Taken for granted: errors of label and prediction have nothing to do with each other or with the truth (what misleads
both counts as truth), and predictions follow true differences whole. `--slope 0.95` says that they show 95 % of them,
and leaves less to the labels; the table has the slopes at which neither variance is negative. `--without 20` leaves out
the examinations whose frames differ most, on which the slope tells most.
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

LENGTHS: Final = ("hc_mm", "bpd_mm", "ofd_mm")
FIGURES: Final = ("hc_mae_mm", "bpd_mae_mm", "ofd_mae_mm", "bpd_nme", "ofd_nme")
"""Of `TARGETS`. A relative error is taken for a difference of logarithms, which it is to first order."""

HEADERS: Final = (
    "Figure", "Labels, SD", "Predictions, SD", "Alike in an examination, SD", "Errors, RMS", "Slopes possible",
    "Figure found, all images", "Figure without an error, at least", "Target",
)  # fmt: skip


class Sums(NamedTuple):
    """What is added up over examinations.

    Attributes:
        labels, covariance, predictions: products of deviations from the examination's mean: of labels with themselves,
            of labels with predictions, of predictions with themselves.
        freedom: frames less one.
        squared: of the errors.
        images: frames.
    """

    labels: Float[np.ndarray, "*R"]
    covariance: Float[np.ndarray, "*R"]
    predictions: Float[np.ndarray, "*R"]
    freedom: Float[np.ndarray, "*R"]
    squared: Float[np.ndarray, "*R"]
    images: Float[np.ndarray, "*R"]


class Errors(NamedTuple):
    """How large the errors are, in the figure's unit; 0 where a variance comes out negative.

    Attributes:
        labels, predictions: standard deviations of the errors of each, within examinations.
        alike: standard deviation of what is off in all frames of an examination alike.
        found: root mean square of predictions less labels.
        share: `labels` / `found`, at most 1.
    """

    labels: Float[np.ndarray, "*R"]
    predictions: Float[np.ndarray, "*R"]
    alike: Float[np.ndarray, "*R"]
    found: Float[np.ndarray, "*R"]
    share: Float[np.ndarray, "*R"]


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of a sweep of every fold.")],
    root: Root = None,
    slope: Annotated[float, typer.Option(min=0.5, max=1.5, help="Of a true difference, what predictions show.")] = 1.0,
    without: Annotated[int, typer.Option(min=0, help="Examinations to leave out, the most different first.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder of the picture.")] = Path(__file__).parent,
) -> None:
    """Prints a table for each branch and draws the picture."""
    with plain_errors():
        pooled = out_of_fold(read(sweep, root))
        frames = [repeated(one, without) for one in pooled]
        for one, tables in zip(pooled, frames, strict=True):
            about = f"{tables[0]['examination'].nunique()} examinations of two frames or more, {len(tables[0])} images"
            typer.echo("\n".join([f"## {escape(one.label)}", "", about, "", *_table(one, tables, slope), ""]))
        picture([one.label for one in pooled], frames, output / "repeatability.png")
    typer.echo(f"wrote {output / 'repeatability.png'}")


def repeated(pooled: OutOfFold, without: int = 0) -> list[pd.DataFrame]:
    """For each seed, the images of examinations of which every seed measured two or more.

    Args:
        pooled: a branch.
        without: how many examinations are left out, those first whose OFDs vary most, the mean of label and prediction.

    Raises:
        InputError: that leaves fewer than two examinations.
    """
    tables = list(pooled.tables.values())
    columns = [name for length in LENGTHS for name in (f"true_{length}", length)]
    known = np.all([(table[columns] > 0).all(axis=1) for table in tables], axis=0)
    tables = [table[known] for table in tables]
    owners = tables[0]["examination"]
    mean = (tables[0]["true_ofd_mm"] + tables[0]["ofd_mm"]) / 2
    spread = mean.groupby(owners).std().dropna().sort_values(ascending=False)
    kept = spread.index[without:]
    if len(kept) < 2:
        raise InputError(
            f"{pooled.label}: expected two examinations or more with two measured frames, got {len(spread)}, of which "
            f"{without} are left out"
        )
    return [table[owners.isin(kept)].reset_index(drop=True) for table in tables]


def sums(tables: Sequence[pd.DataFrame], figure: str) -> Sums:
    """For each examination, `[E]`, what `Sums` holds, over the seeds.

    Args:
        tables: as `repeated` returns them.
        figure: one of `FIGURES`.
    """
    column, transform = _column(figure)
    codes, names = pd.factorize(tables[0]["examination"])
    frames = np.bincount(codes, minlength=len(names)).astype(np.float64)

    def deviations(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return values - (np.bincount(codes, values) / frames)[codes]

    def of_seed(table: pd.DataFrame) -> list[Float[np.ndarray, " E"]]:
        labelled, predicted = (transform(table[name].to_numpy(dtype=np.float64)) for name in (f"true_{column}", column))
        first, second = deviations(labelled), deviations(predicted)
        products = (first**2, first * second, second**2)
        added = [np.bincount(codes, each) for each in (*products, (predicted - labelled) ** 2)]
        return [*added[:3], frames - 1, added[3], frames]

    return Sums(*np.sum([of_seed(table) for table in tables], axis=0))


def errors(of: Sums, slope: float = 1.0) -> Errors:
    """Splits the errors of labels and predictions.

    Args:
        of: added up over all examinations, or over those of each of R draws.
        slope: of a true difference, what predictions show.
    """
    labels, covariance, predictions = (product / of.freedom for product in (of.labels, of.covariance, of.predictions))
    squared = of.squared / of.images
    alike = squared - (labels - 2 * covariance + predictions)
    variances = (labels - covariance / slope, predictions - covariance * slope, alike, squared)
    of_labels, of_predictions, of_both, found = (np.sqrt(np.maximum(variance, 0)) for variance in variances)
    share = np.minimum(of_labels / np.where(found > 0, found, 1.0), 1.0)
    return Errors(of_labels, of_predictions, of_both, found, share)


def intervals(of: Sums, slope: float = 1.0, *, seed: int = 0, resamples: int = RESAMPLES) -> list[Interval]:
    """95 % percentile intervals of what `errors` returns, over examinations drawn with replacement."""
    count = len(of.images)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    tail = 50 * (1 - CONFIDENCE)
    of_draws = errors(Sums(*(drawn @ np.stack(of, axis=1)).T), slope)
    return [Interval(*np.percentile(each, [tail, 100 - tail]).tolist()) for each in of_draws]


def picture(labels: Sequence[str], frames: Sequence[Sequence[pd.DataFrame]], path: Path) -> None:
    """For each branch and length the differences within examinations, predicted over labelled."""
    figure, axes = grid(len(labels), len(LENGTHS), (4.2, 4.0), "Frames of one examination, less their mean")
    for row, (label, tables) in enumerate(zip(labels, frames, strict=True)):
        for axis, length in zip(axes[row * len(LENGTHS) :], LENGTHS, strict=False):
            for table in tables:
                both = table.groupby("examination")[[f"true_{length}", length]].transform(
                    lambda each: each - each.mean()
                )
                axis.plot(both[f"true_{length}"], both[length], ".", ms=4, alpha=0.6, color=MODEL_COLOURS[0])
            axis.axline((0, 0), slope=1, color="black", lw=0.8)
            axis.set_aspect("equal", adjustable="datalim")
            axis.set_title(f"{length[:-3].upper()}, {label}", fontsize=9)
            axis.set(xlabel="labelled, mm", ylabel="predicted, mm")
            axis.grid(alpha=0.3)
    save(figure, path)


def _column(figure: str) -> tuple[str, Callable[[Float[np.ndarray, " N"]], Float[np.ndarray, " N"]]]:
    """The column of predictions that a figure is of, and what its errors are differences of."""
    length, kind = figure.split("_", 1)
    return f"{length}_mm", np.log if kind == "nme" else np.asarray


def _table(pooled: OutOfFold, tables: Sequence[pd.DataFrame], slope: float) -> list[str]:
    rows = []
    for target, value, interval in measured(list(pooled.tables.values())):
        if target.figure not in FIGURES:
            continue
        of_each = sums(tables, target.figure)
        added = Sums(*map(np.sum, of_each))
        found, around = errors(added, slope), intervals(of_each, slope)
        *own, root = (float(each) for each in found[:4])
        lowest, highest = added.covariance / added.labels, added.predictions / added.covariance
        least = Interval(*(value * end for end in around[-1]))
        rows.append([
            target.label, *(shown(one, its, target.decimals) for one, its in zip(own, around, strict=False)),
            f"{root:.{target.decimals}f}", f"{lowest:.2f} to {highest:.2f}", shown(value, interval, target.decimals),
            shown(value * float(found.share), least, target.decimals), f"{target.limit:.{target.decimals}f}",
        ])  # fmt: skip
    return table_lines(HEADERS, rows)


if __name__ == "__main__":
    typer.run(main)
