"""What the page's filters can choose, and the agreement of lengths for each choice.

The page computes no statistic itself: a choice of the filters is a key into what is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from fetal_lm.report.agreement import Agreement, agreement
from fetal_lm.report.page.cases import SIZES, UNKNOWN_SIZE, Cases
from fetal_lm.report.predictions import DIAMETERS

ALL: Final = "all"

MOST_SELECTIONS: Final = 100
"""With more choices than these, statistics are only computed for those with at most one filter set."""


class Selection(NamedTuple):
    """One choice of the filters; None takes all."""

    seed: int | None
    fold: int | None
    size: int | None

    @property
    def key(self) -> str:
        """What the page's script calls it."""
        return "|".join(ALL if part is None else str(part) for part in self)


def filters(cases: Cases) -> dict[str, list[dict[str, str]]]:
    """The options of each filter as value and text; one that has nothing to choose is empty."""
    low, high = (f"{edge:.0f} {cases.size_unit}" for edge in cases.size_edges)
    texts = (f"small: HC up to {low}", f"middle: HC {low} to {high}", f"large: HC above {high}")
    sizes = sorted(set(cases.images["size"]) - {UNKNOWN_SIZE})
    return {
        "seed": _options([(str(seed), f"seed {seed}") for seed in _seeds(cases)]),
        "fold": _options([(str(fold), f"fold {fold}") for fold in _folds(cases)]),
        "size": _options([(str(size), texts[size]) for size in sizes]),
    }


def agreement_data(cases: Cases) -> dict[str, dict[str, Any]]:
    """For each selection's key and each series' number, the agreement of BPD, OFD and HC in mm.

    Values are lists: pairs, charged, then bias, lower, upper and icc, each with the two ends of its interval.
    """
    return {
        selection.key: {
            str(number): {name: _listed(_agreement(rows, name)) for name in DIAMETERS}
            for number, rows in cases.predictions[chosen_rows(cases, selection)].groupby("series")
        }
        for selection in selections(cases)
    }


def chosen_rows(cases: Cases, selection: Selection) -> Bool[np.ndarray, "_"]:
    """Which predictions a choice takes."""
    sizes = cases.images["size"].to_numpy()[cases.predictions["item"]]
    runs = cases.predictions["run"].to_numpy()
    seeds = np.array([run.row.seed for run in cases.runs])[runs]
    folds = np.array([np.nan if run.row.fold is None else run.row.fold for run in cases.runs], dtype=np.float64)[runs]
    chosen = np.ones(len(runs), dtype=bool)
    for values, wanted in zip((seeds, folds, sizes), selection, strict=True):
        if wanted is not None:
            chosen &= values == wanted
    return chosen


def selections(cases: Cases, most: int = MOST_SELECTIONS) -> list[Selection]:
    """Every choice of the filters, or those with at most one filter set where there are more than `most`."""
    every = list(_every(cases))
    if len(every) <= most:
        return every
    return [selection for selection in every if sum(part is not None for part in selection) <= 1]


def _every(cases: Cases) -> Iterator[Selection]:
    seeds, folds = _seeds(cases), _folds(cases)
    for seed in (None, *(seeds if len(seeds) > 1 else ())):
        for fold in (None, *(folds if len(folds) > 1 else ())):
            for size in (None, *range(len(SIZES))):
                yield Selection(seed, fold, size)


def _seeds(cases: Cases) -> list[int]:
    return sorted({run.row.seed for run in cases.runs})


def _folds(cases: Cases) -> list[int]:
    return sorted({run.row.fold for run in cases.runs if run.row.fold is not None})


def _options(options: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"value": value, "text": text} for value, text in options] if len(options) > 1 else []


def _agreement(rows: pd.DataFrame, name: str) -> Agreement:
    return agreement(rows[f"true_{name}_mm"].to_numpy(), rows[f"{name}_mm"].to_numpy(), rows["examination"].tolist())


def _listed(found: Agreement) -> list[float | None]:
    figures = [found.pairs, found.charged]
    for name in ("bias", "lower", "upper", "icc"):
        figures += [getattr(found, name), *getattr(found, f"{name}_interval")]
    return [float(f"{figure:.5g}") if np.isfinite(figure) else None for figure in figures]
