"""What W&B calls a figure: stable names in groups, because a saved workspace asks for them by name.

`val/` is logged by the hypotheses every epoch. The groups below hold the final figures, those of the primary branch
under the plain name and those of every branch under its own (`test/mean_px`, `test/coordinate/mean_px`):
    * `test/`: landmark errors, success rates, misses and counts on the test images;
    * `biometry/`: errors of BPD, OFD and HC on the test images;
    * `cost/`: parameters, training time, time per image.
`distribution/` holds the cumulative curve of the landmark errors (`board.distribution`).
"""

from __future__ import annotations

import math
from typing import Final

from fetal_lm.report.row import RunRow

COST_FIGURES: Final = ("parameters", "ms_per_image", "train_seconds")
VALIDATION: Final = "val/*"
"""Everything that validation logs is a loss, an error or a share of misses: the best is the smallest."""

STEP: Final = "trainer/global_step"
EPOCH: Final = "epoch"
PICTURE: Final = "test/predictions"
TABLE: Final = "test/per_image"

_DIAMETERS: Final = ("bpd_", "ofd_", "hc_")


def name_of(figure: str, branch: str | None = None) -> str:
    """The name of a figure of the comparison's table (`report.columns`) or of `predictions.summarise`.

    Args:
        figure: its name there.
        branch: None for the primary branch.

    Example:
        >>> name_of("mean_px"), name_of("hc_mae_mm", "coordinate"), name_of("ms_per_image")
        ('test/mean_px', 'biometry/coordinate/hc_mae_mm', 'cost/ms_per_image')
    """
    if figure in COST_FIGURES:
        return f"cost/{figure}"
    group = "biometry" if figure.startswith(_DIAMETERS) else "test"
    return f"{group}/{branch}/{figure}" if branch else f"{group}/{figure}"


def final_figures(row: RunRow) -> dict[str, float]:
    """Every figure of a finished run by its name; what is NaN is left out, because W&B would plot it as text."""
    figures = {name_of(figure): float(getattr(row, figure)) for figure in COST_FIGURES}
    for branch, summary in row.metrics.items():
        figures |= {name_of(figure, branch): value for figure, value in summary.items()}
    figures |= {name_of(figure): value for figure, value in row.metrics[row.primary_branch].items()}
    return {name: value for name, value in figures.items() if math.isfinite(value)}
