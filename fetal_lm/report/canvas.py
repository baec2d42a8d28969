"""The ground that every picture of a report is drawn on.

Drawn with matplotlib's object interface on the Agg canvas: nothing global is touched, so that a training that draws
its own pictures is not disturbed. Colours of the pictures are of the Okabe-Ito palette, which colour-blind readers can
tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from fetal_lm.atomic import atomic_path

DOTS_PER_INCH: Final = 110


def grid(rows: int, columns: int, panel_inches: tuple[float, float], title: str) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row, and its title."""
    figure = Figure(
        figsize=(panel_inches[0] * columns, panel_inches[1] * rows + 0.5), dpi=DOTS_PER_INCH, layout="constrained"
    )
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    if title:
        figure.suptitle(title, parse_math=False)
    return figure, axes


def legend_below(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend under the panels; what several of them show is named once."""
    unique: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            unique.setdefault(label, handle)
    place: Literal["outside lower center"] = "outside lower center"
    legend = figure.legend(list(unique.values()), list(unique), loc=place, ncols=3, fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def plain_number(value: float, _: object = None) -> str:
    """Labels 1, 2 and 5 of every decade, without powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, atomically.

    Not by `print_figure`, which draws everything twice, once for the layout alone.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).convert("RGB").save(temporary, format="PNG", dpi=(figure.dpi, figure.dpi))
