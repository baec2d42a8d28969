"""What the errors out of fold owe to images not having been seen: the same ones, by weights that were trained on them.

    python experiments/accuracy/seen.py SWEEP SEEN --root DIR [--output DIR]

SWEEP has every fold; SEEN is what `fetal-lm evaluate RUN --data hc18 --root DIR --images all --seen allow
--output SEEN` made of a run of `split=everything`. Prints the targets' figures of both side by side, and how alike the
signed errors of each length are, image by image; writes `seen.png`. An error that both make is the image's or its
label's, or one that these networks cannot avoid; only the rest is for want of more training images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import typer
from jaxtyping import Float
from reading import Root, plain_errors, read
from scipy.stats import spearmanr
from targets import measured, shown

from fetal_lm.errors import InputError
from fetal_lm.report.canvas import grid, save
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.pictures import MODEL_COLOURS
from fetal_lm.report.pooling import OutOfFold, out_of_fold
from fetal_lm.report.statistics import interval_of_mean
from fetal_lm.report.sweep import Sweep

LENGTHS: Final = ("hc", "bpd", "ofd")
LINEAR_MM: Final = 2.0
"""The picture's axes are linear up to here, so that a gross error leaves the others room."""
TICKS_MM: Final = (-20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20)
DIFFERENCES: Final = (
    "Length", "Correlation of the errors", "Error, unseen, mm", "Error, seen, mm", "Between the two, mm"
)  # fmt: skip


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of a sweep of every fold.")],
    seen: Annotated[Path, typer.Argument(help="Folder of an evaluation on images that were trained on.")],
    root: Root = None,
    output: Annotated[Path, typer.Option(help="Folder of the picture.")] = Path(__file__).parent,
) -> None:
    """Prints both tables and draws the picture."""
    with plain_errors():
        unseen = out_of_fold(read(sweep, root))[0]
        if len(unseen.tables) > 1:
            raise InputError(f"{sweep}: expected one seed, like the run that saw every image, got {len(unseen.tables)}")
        (of_folds,) = unseen.tables.values()
        of_seen = _seen_table(read(seen, root), unseen, of_folds)
        typer.echo("\n".join(_figures(of_folds, of_seen)))
        typer.echo("\n" + "\n".join(_differences(of_folds, of_seen)))
        picture(of_folds, of_seen, output / "seen.png")
    typer.echo(f"\nwrote {output / 'seen.png'}")


def _seen_table(sweep: Sweep, unseen: OutOfFold, of_folds: pd.DataFrame) -> pd.DataFrame:
    """The same images and branch by the run that was trained on them, sorted by image."""
    if len(sweep.runs) != 1:
        raise InputError(f"{sweep.folder}: expected one run that saw every image, got {len(sweep.runs)}")
    (run,) = sweep.runs
    if run.row.model != unseen.entry.model:
        raise InputError(f"{sweep.folder}: expected a run of {unseen.entry.model}, like the folds, got {run.row.model}")
    rows = run.predictions[run.predictions["branch"] == unseen.branch]
    table = rows.sort_values("image", ignore_index=True)
    had_seen = run.row.test_images_seen or 0
    if had_seen < len(of_folds):
        raise InputError(
            f"{sweep.folder}: expected weights that were trained on all {len(of_folds)} images, but these had seen "
            f"{had_seen}; evaluate a run of split=everything with --images all --seen allow"
        )
    if different := set(table["image"]) ^ set(of_folds["image"]):
        raise InputError(
            f"{sweep.folder}: expected the {len(of_folds)} images of the folds, but {len(different)} are in one of the "
            f"two alone, for example {min(different)}"
        )
    return table


def _figures(unseen: pd.DataFrame, seen: pd.DataFrame) -> list[str]:
    """A row for each figure with a target."""
    rows = []
    for of_unseen, of_seen in zip(measured([unseen]), measured([seen]), strict=True):
        target = of_unseen.target
        if target.limit is None:
            continue
        cells = (shown(one.value, one.interval, target.decimals) for one in (of_unseen, of_seen))
        rows.append([target.label, f"{target.limit:.{target.decimals}f}", *cells])
    return table_lines(["Figure", "Target", "unseen", "seen"], rows)


def _differences(unseen: pd.DataFrame, seen: pd.DataFrame) -> list[str]:
    """A row for each length: Spearman's correlation, which one gross error does not make, and mean absolute errors."""
    rows = []
    examinations = unseen["examination"].tolist()
    for length in LENGTHS:
        of_unseen, of_seen = _errors_mm(unseen, length), _errors_mm(seen, length)
        cells = (
            shown(float(off_mm.mean()), interval_of_mean(off_mm, examinations))
            for off_mm in map(np.abs, (of_unseen, of_seen, of_unseen - of_seen))
        )
        rows.append([length.upper(), f"{spearmanr(of_unseen, of_seen).statistic:.2f}", *cells])
    return table_lines(DIFFERENCES, rows)


def _errors_mm(table: pd.DataFrame, length: str) -> Float[np.ndarray, " N"]:
    """Measured minus true; what was not measured counts as 0, as in `report.agreement`."""
    measured_mm = table[f"{length}_mm"].fillna(0.0)
    return (measured_mm - table[f"true_{length}_mm"]).to_numpy(dtype=np.float64)


def picture(unseen: pd.DataFrame, seen: pd.DataFrame, path: Path) -> None:
    """For each length the signed errors of both, image by image; what they share lies on the diagonal."""
    figure, axes = grid(1, len(LENGTHS), (4.2, 4.0), "The same images, unseen and seen")
    for axis, length in zip(axes, LENGTHS, strict=True):
        x, y = _errors_mm(unseen, length), _errors_mm(seen, length)
        edge = float(np.abs([x, y]).max())
        axis.plot([-edge, edge], [-edge, edge], color="black", lw=0.8)
        axis.plot(x, y, ".", ms=4, alpha=0.6, color=MODEL_COLOURS[0])
        axis.set_xscale("symlog", linthresh=LINEAR_MM)
        axis.set_yscale("symlog", linthresh=LINEAR_MM)
        axis.set(xticks=TICKS_MM, xticklabels=TICKS_MM, yticks=TICKS_MM, yticklabels=TICKS_MM)
        axis.set(xlim=(-1.1 * edge, 1.1 * edge), ylim=(-1.1 * edge, 1.1 * edge))
        axis.set(title=length.upper(), xlabel="measured - true, unseen, mm", ylabel="measured - true, seen, mm")
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    save(figure, path)


if __name__ == "__main__":
    typer.run(main)
