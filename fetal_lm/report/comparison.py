"""The comparison: one row per model and branch, seeds averaged, folds pooled, and whether it is a fair one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from fetal_lm.report.charges import image_measures
from fetal_lm.report.entries import Entry, group_runs
from fetal_lm.report.fairness import unfairness
from fetal_lm.report.predictions import summarise
from fetal_lm.report.statistics import averaged_over_seeds, interval_of_mean, spread
from fetal_lm.report.sweep import Sweep

RELATIVE_FIGURES: Final = ("bpd_nme", "ofd_nme", "bpd_endpoint_nme", "ofd_endpoint_nme")
"""Errors over the true diameter."""

INTERVAL_FIGURES: Final = ("mean_px", "mean_mm", "bpd_mae_mm", "ofd_mae_mm", "hc_mae_mm", *RELATIVE_FIGURES)
"""Means over images that get a bootstrap interval."""

SPREAD_FIGURES: Final = (*INTERVAL_FIGURES, "median_px", "median_mm")
"""Figures that get a standard deviation over seeds."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a sweep found.

    Attributes:
        entries: the models in the order of the sweep.
        table: one row per model and branch, the primary branch first. Text columns hypothesis, model, variant, branch;
            primary (bool); seeds, folds (counts); for each figure of `predictions.summarise` its mean over seeds, with
            `_sd` over seeds (NaN for one seed) and the 95 % interval over images `_low`, `_high` where they apply;
            parameters, ms_per_image, train_seconds (of one run, on average), epochs.
        differences: mean error of each model's primary branch minus that of the first model on the same images, in px
            of 256: columns first, second, difference_px, low, high. Empty if their images differ.
        warnings: why the rows should not be compared as they stand; empty for a fair comparison.
    """

    entries: tuple[Entry, ...]
    table: pd.DataFrame
    differences: pd.DataFrame
    warnings: tuple[str, ...]


def compare(sweep: Sweep) -> Comparison:
    """Compares the models of a sweep; no surviving run gives an empty table.

    Every figure is computed again from the runs' predictions. Of several runs with the same seed and fold the first
    counts and a warning names the others.
    """
    entries, warnings = group_runs(sweep.runs, sweep.models)
    rows = [_figures(entry, branch) for entry in entries for branch in entry.branches]
    return Comparison(entries, pd.DataFrame(rows), _differences(entries), (*warnings, *unfairness(entries)))


def _figures(entry: Entry, branch: str) -> dict[str, Any]:
    tables = entry.tables(branch)
    summaries = [summarise(table) for table in tables.values()]
    images = averaged_over_seeds([image_measures(table) for table in tables.values()])
    rows = [run.row for run in entry.runs]
    figures: dict[str, Any] = {
        "hypothesis": entry.hypothesis,
        "model": entry.model,
        "variant": entry.variant,
        "branch": branch,
        "primary": branch == entry.primary_branch,
        "seeds": len(tables),
        "folds": len({row.fold for row in rows}),
    }
    for name in summaries[0]:
        mean, deviation = spread([summary[name] for summary in summaries])
        figures[name] = mean
        if name in SPREAD_FIGURES:
            figures[f"{name}_sd"] = deviation
        if name in INTERVAL_FIGURES:
            interval = interval_of_mean(images[name].to_numpy(), images["examination"].tolist())
            figures[f"{name}_low"], figures[f"{name}_high"] = interval
    for name in ("parameters", "ms_per_image", "train_seconds", "epochs"):
        figures[name] = float(np.mean([getattr(row, name) for row in rows]))
    return figures


def _differences(entries: Sequence[Entry]) -> pd.DataFrame:
    found = []
    measured = [
        averaged_over_seeds([image_measures(table) for table in entry.tables(entry.primary_branch).values()])
        for entry in entries
    ]
    for entry, images in zip(entries[1:], measured[1:], strict=True):
        if set(images["image"]) != set(measured[0]["image"]):
            continue
        # Both are sorted by image, so that rows are pairs.
        difference_px = (images["mean_px"] - measured[0]["mean_px"]).to_numpy()
        low, high = interval_of_mean(difference_px, images["examination"].tolist())
        found.append((entries[0].label, entry.label, float(difference_px.mean()), low, high))
    return pd.DataFrame(found, columns=["first", "second", "difference_px", "low", "high"])
