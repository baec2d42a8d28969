"""The canonical order of the four landmarks, drawn: `python experiments/naming/draw_order.py`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from fetal_lm.atomic import atomic_path
from fetal_lm.landmarks import BPD, HORIZONTAL_FLIP, NAMES, OFD, VERTICAL_FLIP, canonical_order

OUTPUT = Path(__file__).with_name("order.png")
RADII = (50.0, 38.0)
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00")


def head(degrees: float) -> np.ndarray:
    """Landmarks `[4, 2]` of a head at the origin, its OFD `degrees` below the horizontal, in canonical order."""
    angle = math.radians(degrees)
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([math.sin(angle), -math.cos(angle)])
    return canonical_order(np.array([-RADII[0] * along, RADII[0] * along, RADII[1] * across, -RADII[1] * across]))


def main() -> None:
    """Writes order.png beside this file."""
    upright = head(15)
    mirrored_x, mirrored_y = np.array([-1.0, 1.0]), np.array([1.0, -1.0])
    panels = [
        ("OFD_1 left, BPD_1 above the OFD", upright, 15),
        ("mirrored left-right: the OFD's names swap", (upright * mirrored_x)[list(HORIZONTAL_FLIP)], -15),
        ("mirrored up-down: the BPD's names swap", (upright * mirrored_y)[list(VERTICAL_FLIP)], -15),
        ("turned to 60 degrees: still the same ends", head(60), 60),
        ("85 degrees", head(85), 85),
        ("95 degrees: both pairs jump at the vertical", head(95), 95),
    ]
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, points, degrees) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        if not np.allclose(points, canonical_order(points)):
            raise RuntimeError(f"{title}: not the canonical order")
        _draw(axes, points, degrees, title)
    with atomic_path(OUTPUT) as temporary:
        figure.savefig(temporary, format="png")


def _draw(axes: Axes, points: np.ndarray, degrees: float, title: str) -> None:
    axes.add_patch(Ellipse((0, 0), 2 * RADII[0], 2 * RADII[1], angle=degrees, fill=False, lw=5, ec="0.8"))
    for pair in (OFD, BPD):
        axes.plot(*points[list(pair)].T, color="0.4", lw=1)
    for (x, y), name, colour in zip(points, NAMES, COLOURS, strict=True):
        axes.plot(x, y, "o", color=colour, ms=10)
        outside = 1 + 22 / math.hypot(x, y)
        axes.annotate(name.upper(), (outside * x, outside * y), ha="center", va="center", color=colour, weight="bold")
    axes.set(xlim=(-75, 75), ylim=(70, -70), aspect="equal", title=title)  # y down, as in images
    axes.set_axis_off()


if __name__ == "__main__":
    main()
