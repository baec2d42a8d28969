"""The comparison: one row per model and branch, seeds averaged, folds pooled, and whether it is a fair one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from fetal_lm.report.agreement_table import agreement_table
from fetal_lm.report.charges import image_measures
from fetal_lm.report.entries import Entry, group_runs
from fetal_lm.report.fairness import unfairness
from fetal_lm.report.pairs import ROUNDED_TO, Pairs, compare_pairs
from fetal_lm.report.predictions import summarise
from fetal_lm.report.spread import components, figures_of_runs, spread_over_folds
from fetal_lm.report.statistics import averaged_over_seeds, interval_of_mean, spread
from fetal_lm.report.sweep import Sweep

RELATIVE_FIGURES: Final = ("bpd_nme", "ofd_nme", "bpd_endpoint_nme", "ofd_endpoint_nme")
"""Errors over the true diameter."""

PAIR_FIGURES: Final = ("mean_px", "mean_mm", "bpd_mae_mm", "ofd_mae_mm", "hc_mae_mm")
"""Means over images by which pairs are compared."""

INTERVAL_FIGURES: Final = (*PAIR_FIGURES, *RELATIVE_FIGURES)
"""Means over images that get a bootstrap interval."""

SPREAD_FIGURES: Final = (*INTERVAL_FIGURES, "median_px", "median_mm")
"""Figures that get a standard deviation over seeds and one over folds."""

COMPONENT_FIGURES: Final = ("mean_px", "bpd_mae_mm")
"""Figures whose spread between runs is split into seed, fold and rest."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a sweep found.

    Attributes:
        entries: the models in the order of the sweep.
        table: one row per model and branch, the primary branch first. Text columns hypothesis, model, variant, branch;
            primary (bool); seeds, folds (counts); for each figure of `predictions.summarise` its mean over seeds, with
            `_sd` over seeds (NaN for one seed), `_sd_folds` over folds (NaN for one fold), the 95 % interval over
            images `_low`, `_high` and the parts `_sd_by_seed`, `_sd_by_fold`, `_sd_by_rest` (`spread.components`) where
            they apply; naming_px, with its interval: raw_mean_px minus mean_px; parameters, ms_per_image, train_seconds
            (of one run, on average), epochs.
        pairs: every two models on the same images, and every two branches of one model.
        agreement: of BPD, OFD and HC with the truth, by model and branch: an `agreement_table`.
        warnings: why the rows should not be compared as they stand; empty for a fair comparison.
    """

    entries: tuple[Entry, ...]
    table: pd.DataFrame
    pairs: Pairs
    agreement: pd.DataFrame
    warnings: tuple[str, ...]


def compare(sweep: Sweep) -> Comparison:
    """Compares the models of a sweep; no surviving run gives an empty table.

    Every figure is computed again from the runs' predictions. Of several runs with the same seed and fold the first
    counts and a warning names the others.
    """
    entries, warnings = group_runs(sweep.runs, sweep.models)
    measured = {
        (entry, branch): averaged_over_seeds([image_measures(table) for table in entry.tables(branch).values()])
        for entry in entries
        for branch in entry.branches
    }
    rows = [_figures(entry, branch, images) for (entry, branch), images in measured.items()]
    pairs = compare_pairs(entries, measured, PAIR_FIGURES)
    unfair = (*warnings, *unfairness(entries))
    return Comparison(entries, pd.DataFrame(rows), pairs, agreement_table(entries), unfair)


def _figures(entry: Entry, branch: str, images: pd.DataFrame) -> dict[str, Any]:
    """A row of the table; `images` are the seeds' average of the branch's measures."""
    tables = entry.tables(branch)
    # Where a job is missing seeds have other images: their means are of different things, and so is what lies between.
    alike = len({frozenset(table["image"]) for table in tables.values()}) == 1
    summaries = [summarise(table) for table in tables.values()]
    runs = figures_of_runs(entry, branch)
    rows = [run.row for run in entry.runs]
    figures: dict[str, Any] = {
        "hypothesis": entry.hypothesis,
        "model": entry.model,
        "variant": entry.variant,
        "branch": branch,
        "primary": branch == entry.primary_branch,
        "seeds": len(tables),
        "folds": len({row.fold for row in rows}),
        "runs": len(rows),
        "seeds_alike": alike,
    }
    for name in summaries[0]:
        mean, deviation = spread([summary[name] for summary in summaries])
        if not alike:
            mean = float(images[name].mean()) if name in images else mean
            deviation = math.nan
        figures[name] = mean
        if name in SPREAD_FIGURES:
            figures[f"{name}_sd"] = deviation
            figures[f"{name}_sd_folds"] = spread_over_folds(runs, name)
        if name in COMPONENT_FIGURES:
            for source, part in components(runs, name)._asdict().items():
                figures[f"{name}_sd_by_{source}"] = part
        if name in INTERVAL_FIGURES:
            interval = interval_of_mean(images[name].to_numpy(), images["examination"].tolist())
            figures[f"{name}_low"], figures[f"{name}_high"] = interval
    if not alike:
        figures["images"] = float(len(images))
    naming_px = (images["raw_mean_px"] - images["mean_px"]).round(ROUNDED_TO)
    figures["naming_px"] = round(figures["raw_mean_px"] - figures["mean_px"], ROUNDED_TO) + 0.0
    figures["naming_px_low"], figures["naming_px_high"] = interval_of_mean(
        naming_px.to_numpy(), images["examination"].tolist()
    )
    for name in ("parameters", "ms_per_image", "train_seconds", "epochs"):
        figures[name] = float(np.mean([getattr(row, name) for row in rows]))
    return figures
