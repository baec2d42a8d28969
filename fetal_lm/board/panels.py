"""The panels of a sweep's workspace and report: bars, learning curves, error curves, images; one colour per model.

Runs are grouped by their job type, which is the model and its variant (`tracking.wandb_logger`): bars and lines are
means over seeds and folds, their bands reach from the best to the worst run.
"""

from __future__ import annotations

from typing import Any, Final

from fetal_lm.board import names
from fetal_lm.board.distribution import CURVES
from fetal_lm.report.charges import SUCCESS_THRESHOLDS_MM

MODEL: Final = "JobType"
"""W&B's name of the attribute that runs are grouped by."""

BARS: Final = (
    ("Landmarks: mean error, px of 256", "mean_px"),
    ("Landmarks: median error, px of 256", "median_px"),
    ("Landmarks: mean error, mm", "mean_mm"),
    ("Landmarks at most 2 mm off", "sdr_2mm"),
    ("BPD: mean absolute error, mm", "bpd_mae_mm"),
    ("OFD: mean absolute error, mm", "ofd_mae_mm"),
    ("HC: mean absolute error, mm", "hc_mae_mm"),
    ("Milliseconds per image", "ms_per_image"),
)
CURVES_OF_TRAINING: Final = (
    ("Training loss (of each model its own sum)", "train/loss"),
    ("Validation loss", "val/loss"),
    ("Validation: mean error, network px", "val/mre_px"),
    ("Validation: median error, network px", "val/median_px"),
    ("Validation: BPD, mm", "val/bpd_mae_mm"),
    ("Validation: OFD, mm", "val/ofd_mae_mm"),
    ("Validation: HC, mm", "val/hc_mae_mm"),
)
TABLE_FIGURES: Final = (
    "mean_px",
    "median_px",
    "mean_mm",
    "median_mm",
    *(f"sdr_{threshold_mm}mm" for threshold_mm in SUCCESS_THRESHOLDS_MM),
    "bpd_mae_mm",
    "ofd_mae_mm",
    "hc_mae_mm",
    "undecoded_rate",
    *names.COST_FIGURES,
)
"""Of the comparison's table, in its order; how many seeds there are is what W&B counts in a group."""


def table_columns() -> list[str]:
    """The columns of the table of runs, as W&B addresses them."""
    return [f"summary:{names.name_of(figure)}" for figure in TABLE_FIGURES]


def comparison_panels(reports: Any) -> list[Any]:
    """A bar per model for each figure."""
    return [
        reports.BarPlot(
            title=title,
            metrics=[names.name_of(figure)],
            groupby=MODEL,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for title, figure in BARS
    ]


def learning_panels(reports: Any) -> list[Any]:
    """Losses and validation errors over the epochs."""
    return [_line(reports, title, x=names.EPOCH, y=[metric], log_y=True) for title, metric in CURVES_OF_TRAINING]


def distribution_panels(reports: Any) -> list[Any]:
    """The share of test landmarks whose error is at most so large."""
    units = ("px of 256", "mm")
    return [
        _line(
            reports,
            f"Share of landmarks at most so far off, {unit}",
            x=x,
            y=[y],
            log_x=True,
            title_x=f"order-free landmark error, {unit}",
            range_y=(0.0, 1.0),
        )
        for unit, (x, y) in zip(units, CURVES, strict=True)
    ]


def image_panels(reports: Any) -> list[Any]:
    """Best, median and worst cases of each run, and the table of all test images."""
    wide = {"w": 24, "h": 12}
    return [
        reports.MediaBrowser(
            title="Best, median and worst test images", media_keys=[names.PICTURE], layout=reports.Layout(**wide)
        ),
        reports.WeavePanelSummaryTable(table_name=names.TABLE, layout=reports.Layout(**wide)),
    ]


def _line(reports: Any, title: str, **options: Any) -> Any:
    return reports.LinePlot(
        title=title,
        groupby=MODEL,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        smoothing_type="none",
        max_runs_to_show=100,
        **options,
    )
