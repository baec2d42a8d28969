"""Learning curves as the page draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fetal_lm.report.entries import Entry
from fetal_lm.report.pictures import curves_to_show


def curve_data(entries: Sequence[Entry]) -> dict[str, Any]:
    """The panels that `pictures.learning_curves` would draw, and every run's line in each."""
    panels = curves_to_show(entries)
    lines = []
    for number, entry in enumerate(entries):
        for run in entry.runs:
            if run.history is None:
                continue
            for panel in panels:
                if panel in run.history:
                    curve = run.history[["epoch", panel]].dropna()
                    values = [float(f"{value:.5g}") for value in curve[panel]]
                    # A diverged loss has no place on an axis.
                    shown = [value if math.isfinite(value) else None for value in values]
                    lines.append(
                        {
                            "panel": panel,
                            "entry": number,
                            "name": run.name,
                            "seed": run.row.seed,
                            "fold": run.row.fold,
                            "x": curve["epoch"].tolist(),
                            "y": shown,
                        }
                    )
    return {"panels": panels, "lines": lines}
