"""Error against the share of the training images: `python experiments/training_set_size/curve.py SWEEP`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from fetal_lm.report.canvas import grid, legend_below, save
from fetal_lm.report.comparison import compare
from fetal_lm.report.pictures import MODEL_COLOURS, MODEL_DASHES
from fetal_lm.report.sweep import read_sweep

OUTPUT = Path(__file__).with_name("curve.png")
FRACTION = re.compile(r"split\.train_fraction=([\d.]+)")
PANELS = {"mean_px": "mean error, px of 256", "bpd_mae_mm": "BPD error, mm", "hc_mae_mm": "HC error, mm"}


def main(sweep: Annotated[Path, typer.Argument(help="Folder of the sweep.")], output: Path = OUTPUT) -> None:
    """Draws each branch's errors with 95 % intervals over images, both axes logarithmic."""
    table = compare(read_sweep(sweep)).table
    table["percent"] = [100 * _fraction(variant) for variant in table["variant"]]
    figure, axes = grid(1, len(PANELS), (4.0, 3.4), "")
    for axis, (column, title) in zip(axes, PANELS.items(), strict=True):
        for place, ((hypothesis, branch), rows) in enumerate(table.groupby(["hypothesis", "branch"])):
            _draw(axis, rows.sort_values("percent"), column, place, f"{hypothesis} ({branch})")
        axis.set(xscale="log", yscale="log", xlabel="training examinations used, %", title=title)
        ticks = sorted(table["percent"].unique())
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
        axis.grid(alpha=0.3)
    legend_below(figure, axes)
    save(figure, output)
    typer.echo(f"wrote {output}")


def _draw(axis: Axes, rows: pd.DataFrame, column: str, place: int, label: str) -> None:
    colour = MODEL_COLOURS[place % len(MODEL_COLOURS)]
    # Side by side, so that intervals do not hide one another.
    at = rows["percent"] * (1 + 0.03 * (place - 1.5))
    axis.plot(at, rows[column], MODEL_DASHES[place % len(MODEL_DASHES)], marker="o", ms=4, color=colour, label=label)
    axis.vlines(at, rows[f"{column}_low"], rows[f"{column}_high"], color=colour, lw=1)


def _fraction(variant: str) -> float:
    if not (found := FRACTION.search(variant)):
        raise typer.BadParameter(f"expected a sweep over split.train_fraction, but a run has {variant!r}")
    return float(found.group(1))


if __name__ == "__main__":
    typer.run(main)
