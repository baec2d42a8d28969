"""The worst rows of an audit on one picture: image, points, diameters and what is wrong."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fetal_lm.atomic import atomic_path
from fetal_lm.audit.judgement import Judgement
from fetal_lm.audit.reading import image_of
from fetal_lm.errors import InputError
from fetal_lm.landmarks import BPD, OFD

# Okabe-Ito, as in `report.pictures`; the two diameters differ in line and marker too.
OFD_STYLE: Final[dict[str, Any]] = {"color": "#56B4E9", "marker": "o", "ls": "-"}
BPD_STYLE: Final[dict[str, Any]] = {"color": "#E69F00", "marker": "s", "ls": "--"}
COLUMNS: Final = 4
PANEL_INCHES: Final = (4.0, 3.4)
DOTS_PER_INCH: Final = 100
CAPTION_WIDTH: Final = 56


def contact_sheet(worst: Sequence[Judgement], path: Path) -> bool:
    """Draws the worst rows, the worst first, their images read one at a time.

    A row whose image cannot be read is drawn on an empty frame.

    Returns:
        False, and nothing is written, if there is no row.
    """
    if not worst:
        return False
    columns = min(COLUMNS, len(worst))
    rows = math.ceil(len(worst) / columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.4)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
    axes: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axis in axes:
        axis.set_axis_off()
    for axis, judged in zip(axes, worst, strict=False):
        _draw(axis, judged)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png")
    return True


def _draw(axis: Axes, judged: Judgement) -> None:
    points = judged.row.points_orig
    try:
        image = image_of(judged.row)
    except InputError:
        image = None
    if image is None:
        image = _empty_frame(points)
    axis.imshow(_at_most(image), cmap="gray", vmin=0, vmax=255, extent=_extent(image))
    axis.plot(*points[list(OFD)].T, label="called OFD", ms=5, lw=1.4, **OFD_STYLE)
    axis.plot(*points[list(BPD)].T, label="called BPD", ms=5, lw=1.4, **BPD_STYLE)
    # Points just outside are shown; one far away must not shrink the image to a dot.
    height, width = image.shape
    known = points[np.isfinite(points).all(axis=-1)]
    low = np.clip(known.min(axis=0, initial=0), [-width / 4, -height / 4], 0) - 0.5
    high = np.clip(known.max(axis=0, initial=0), [width, height], [width * 1.25, height * 1.25]) - 0.5
    axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    reasons = ", ".join(dict.fromkeys(finding.check for finding in judged.findings)) or "nothing found"
    where = f"{judged.row.image}, row {judged.row.line}" if judged.row.line else judged.row.image
    caption = f"{where}: suspicion {judged.suspicion:.2f}\n" + textwrap.fill(reasons, CAPTION_WIDTH)
    axis.set_title(caption, fontsize=8, parse_math=False)


def _empty_frame(points: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    known = points[np.isfinite(points).all(axis=-1)]
    width, height = np.clip(known.max(axis=0, initial=1.0) * 1.1, 64, 1024).astype(int).tolist()
    return np.zeros((height, width), np.uint8)


def _at_most(image: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h w"]:
    """Every n-th pixel of a large image: a panel shows no more."""
    step = max(1, max(image.shape) // 512)
    return image[::step, ::step]


def _extent(image: UInt8[np.ndarray, "H W"]) -> tuple[float, float, float, float]:
    height, width = image.shape
    return (-0.5, width - 0.5, height - 0.5, -0.5)
