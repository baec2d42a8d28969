"""Pictures of a report: predictions over images, learning curves, error distributions.

Truth and prediction differ in shape as well as in colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib import image as mpl_image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fetal_lm.landmarks import BPD, NAMES, OFD
from fetal_lm.report.canvas import DOTS_PER_INCH, grid, legend_below, plain_number, save
from fetal_lm.report.charges import SUCCESS_THRESHOLDS_MM, charged_errors
from fetal_lm.report.entries import Entry

TRUTH_COLOUR: Final = "#56B4E9"
PREDICTION_COLOUR: Final = "#E69F00"
MODEL_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MODEL_DASHES: Final = ("-", "--", "-.", ":")
MOST_PANELS: Final = 4
MOST_OVERLAYS: Final = 16
"""Models in `comparison_picture`: each picture takes some 20 MB while it is put together."""
SMALLEST_ERROR: Final = 0.1


def overlay_picture(
    images: Sequence[UInt8[np.ndarray, "_ _"]], table: pd.DataFrame, path: Path, title: str = ""
) -> None:
    """A contact sheet of predictions over their images.

    Truth: blue circles and dashed diameters; prediction: orange crosses and solid diameters. Each caption names the
    image, its mean order-free error in px of 256 and in mm (misses charged, see `report.charges`) and how many
    landmarks are undecoded. A column `case` (of `predictions.best_median_worst`) is put before the name.

    Args:
        images: N grey images in their original sizes.
        table: N rows of one branch of a `prediction_table`, in the order of `images`.
        path: of the picture; written atomically.
        title: over the sheet.

    Raises:
        ValueError: there is no image, not one per row, or an image has another size than its row says.
    """
    if not len(images) or len(images) != len(table):
        raise ValueError(f"expected an image for each of {len(table)} rows and at least one, got {len(images)}")
    charges = charged_errors(table)
    columns = min(3, len(images))
    count = math.ceil(len(images) / columns)
    figure, axes = grid(count, columns, (4.6, 3.7), title)
    for axis in axes:
        axis.set_axis_off()
        axis.set(xticks=[], yticks=[])  # which the layout measures even where they are not drawn
    for index, (image, row) in enumerate(zip(images, table.to_dict("records"), strict=True)):
        if image.shape != (row["height"], row["width"]):
            raise ValueError(f"{row['image']}: the image is {image.shape}, its row says {row['height'], row['width']}")
        _draw_head(axes[index], image, row)
        axes[index].set_title(
            _caption(row, charges.error_px[index], charges.error_mm[index], int(charges.undecoded[index].sum())),
            fontsize=8,
            parse_math=False,
        )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    save(figure, path)


def comparison_picture(entries: Sequence[Entry], path: Path) -> bool:
    """Good and bad cases of every model: the overlay picture of each one's first run that has one, under its name.

    Of more than `MOST_OVERLAYS` models the first ones, and how many there are besides.

    Returns:
        False, and nothing is written, if no run has a readable `overlay.png`.
    """
    shown: list[tuple[str, np.ndarray]] = []
    further = 0
    for entry in entries:
        if len(shown) == MOST_OVERLAYS:
            further += any((run.folder / "overlay.png").is_file() for run in entry.runs)
            continue
        for run in entry.runs:
            try:
                overlay = mpl_image.imread(run.folder / "overlay.png")
            except (OSError, ValueError, SyntaxError):  # Pillow calls a broken PNG a SyntaxError
                continue
            shown.append((f"{entry.label}: {run.name}, seed {run.row.seed}", overlay))
            break
    if not shown:
        return False
    width = 12.0
    heights = [width * overlay.shape[0] / overlay.shape[1] for _, overlay in shown]
    title_height = 0.4
    lines = len(shown) + (further > 0)
    figure = Figure(figsize=(width, sum(heights) + title_height * lines), dpi=DOTS_PER_INCH)
    total, top = figure.get_figheight(), figure.get_figheight()
    for (label, overlay), height in zip(shown, heights, strict=True):
        top -= title_height + height
        axes = figure.add_axes((0.0, top / total, 1.0, height / total))
        axes.imshow(overlay, aspect="auto", cmap="gray" if overlay.ndim == 2 else None)
        axes.set_axis_off()
        axes.set_title(label, fontsize=13, fontweight="bold", parse_math=False)
    if further > 0:
        text = f"{further} further models are not shown: overlay.png in the folders of their runs"
        figure.text(0.5, 0.3 * title_height / total, text, ha="center", fontsize=13)
    save(figure, path)
    return True


def learning_curves(entries: Sequence[Entry], path: Path) -> bool:
    """Loss and validation figures over the epochs, a colour per model and a line per run.

    The training loss comes first; losses of different hypotheses are different sums and only their shapes compare.

    Returns:
        False, and nothing is written, if no run has a history.
    """
    panels = curves_to_show(entries)
    if not panels:
        return False
    columns = min(2, len(panels))
    figure, axes = grid(math.ceil(len(panels) / columns), columns, (5.5, 3.6), "Learning curves")
    for axis, panel in zip(axes, panels, strict=False):
        smallest = math.inf
        for number, entry in enumerate(entries):
            label: str | None = entry.label
            for run in entry.runs:
                if run.history is None or panel not in run.history:
                    continue
                curve = run.history[["epoch", panel]].dropna()
                smallest = min([smallest, *curve[panel]])
                # One epoch is no line.
                style = _model_style(number) | ({"marker": "o"} if len(curve) == 1 else {})
                axis.plot(curve["epoch"], curve[panel], alpha=0.75, lw=1.4, label=label, **style)
                label = None
        if 0 < smallest < math.inf:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(plain_number)
            axis.yaxis.set_minor_formatter(plain_number)
        axis.set(xlabel="epoch", title=panel)
        axis.grid(alpha=0.3, which="both")
    legend_below(figure, axes)
    save(figure, path)
    return True


def error_distribution(entries: Sequence[Entry], path: Path) -> bool:
    """The share of landmarks whose error is at most so large, for every model's branches, seeds pooled.

    Left in px of 256, right in mm with the thresholds of the success rates. Misses are charged, so that a curve reaches
    100 % only where the last undecoded landmark is paid for.

    Returns:
        False, and nothing is written, if there is no entry.
    """
    if not entries:
        return False
    figure, axes = grid(1, 2, (6.0, 4.2), "Cumulative distribution of landmark errors")
    for number, entry in enumerate(entries):
        for branch in entry.branches:
            charges = charged_errors(pd.concat(entry.tables(branch).values(), ignore_index=True))
            label = entry.label if len(entry.branches) == 1 else f"{entry.label} ({branch})"
            style = _model_style(number) | ({} if branch == entry.primary_branch else {"alpha": 0.45, "lw": 1.0})
            for axis, errors in zip(axes, (charges.error_px, charges.error_mm), strict=True):
                known = np.sort(errors[~np.isnan(errors)])
                if known.size:
                    # What is smaller than the axis begins is counted at its left end.
                    axis.ecdf(np.maximum(known, SMALLEST_ERROR), label=label, **style)
    for threshold_mm in SUCCESS_THRESHOLDS_MM:
        axes[1].axvline(threshold_mm, color="0.6", lw=0.8, ls=":", zorder=0)
    for axis, unit in zip(axes, ("px of 256", "mm"), strict=True):
        axis.set_xscale("log")
        axis.set(xlabel=f"order-free landmark error, {unit} (log scale)", ylabel="share of landmarks", ylim=(0, 1.01))
        axis.set_xlim(left=SMALLEST_ERROR)
        axis.xaxis.set_major_formatter(plain_number)
        axis.grid(alpha=0.3, which="major")
    legend_below(figure, axes)
    save(figure, path)
    return True


def _draw_head(axes: Axes, image: UInt8[np.ndarray, "H W"], row: dict[Any, Any]) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    height, width = image.shape
    for prefix, name, colour, marker, line in (
        ("true_", "truth", TRUTH_COLOUR, "o", "--"),
        ("", "prediction", PREDICTION_COLOUR, "x", "-"),
    ):
        points = np.array([[row[f"{prefix}{landmark}_{axis}"] for axis in "xy"] for landmark in NAMES])
        for pair in (OFD, BPD):
            axes.plot(*points[list(pair)].T, line, color=colour, lw=1.1)
        axes.plot(*points.T, marker, color=colour, mfc="none", ms=7, mew=1.7, label=name, zorder=3)
    # A wild prediction must not shrink the image; it is named by its error.
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _caption(row: dict[Any, Any], error_px: np.ndarray, error_mm: np.ndarray, undecoded: int) -> str:
    mean_mm = float(error_mm.mean())
    millimetres = "mm unknown" if math.isnan(mean_mm) else f"{mean_mm:.2f} mm"
    case = f"{row['case']}: " if row.get("case") else ""
    missed = f", {undecoded} undecoded" if undecoded else ""
    return f"{case}{row['image']}\n{error_px.mean():.1f} px of 256, {millimetres}{missed}"


def curves_to_show(entries: Sequence[Entry]) -> list[str]:
    """The columns of the histories worth a panel: the losses, then what most models have."""
    entries_with: dict[str, set[str]] = {}
    for entry in entries:
        for run in entry.runs:
            if run.history is None:
                continue
            for column in run.history:
                if str(column).startswith(("train/", "val/")) and run.history[column].notna().any():
                    entries_with.setdefault(str(column), set()).add(entry.label)
    first = ("train/loss", "val/loss", "val/median_px", "val/mre_px")

    def order(column: str) -> tuple[int, int, bool, str]:
        rank = first.index(column) if column in first else len(first)
        return rank, -len(entries_with[column]), column.startswith("train/"), column

    return sorted(entries_with, key=order)[:MOST_PANELS]


def _model_style(number: int) -> dict[str, Any]:
    dash = MODEL_DASHES[number % len(MODEL_DASHES)]
    return {"color": MODEL_COLOURS[number % len(MODEL_COLOURS)], "ls": dash}
