"""The rungs of the ladder: what a sweep's figures are, how they differ from the baseline's, and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from fetal_lm.errors import InputError
from fetal_lm.report.charges import image_measures
from fetal_lm.report.comparison import PAIR_FIGURES
from fetal_lm.report.entries import Entry, group_runs
from fetal_lm.report.pairs import digest, paired_figures, why_not
from fetal_lm.report.pooling import on_shared_folds
from fetal_lm.report.predictions import summarise
from fetal_lm.report.statistics import averaged_over_seeds
from fetal_lm.report.sweep import Sweep

MEDIAN: Final = "median_mm"
"""Has no difference of its own: a difference of medians is no mean over images."""

TEXTS: Final = ("rung", "model", "against", "figure", "hc_truth")
"""The columns of `Step` that are no numbers."""


class Step(NamedTuple):
    """A figure of a rung: its value on all of its images, and the difference on those that the baseline tested too.

    difference to superiority are those of `pairs.paired_figures`, the rung's error minus the baseline's; NaN, and
    against empty, for the baseline itself and for `MEDIAN`. train_seconds, ms_per_image and parameters are those of one
    run, on average; hc_truth is what the circumference is held against.
    """

    rung: str
    model: str
    against: str
    figure: str
    value: float
    tested: int
    images: int
    examinations: int
    difference: float
    low: float
    high: float
    p: float
    rank_biserial: float
    superiority: float
    seeds: int
    folds: int
    train_seconds: float
    ms_per_image: float
    parameters: float
    hc_truth: str


def entry_of(rung: str, sweep: Sweep) -> Entry:
    """The one model of a rung's sweep.

    Raises:
        InputError: a run is missing or there twice, or there are several models or settings.
    """
    if lost := [problem for problem in sweep.problems if problem.fatal]:
        raise InputError(f"{rung}: {lost[0].name} ({lost[0].folder}): {lost[0].reason}")
    entries, doubles = group_runs(sweep.runs, sweep.models)
    if doubles:
        raise InputError(f"{rung}: {doubles[0]}; move one of the two away")
    if len(entries) != 1:
        named = "; ".join(entry.label for entry in entries)
        raise InputError(f"{rung}: expected one model with one setting, {sweep.folder} has {len(entries)}: {named}")
    return entries[0]


def climb(rung: str, entry: Entry, baseline: str, base: Entry, hc_truth: str) -> list[Step]:
    """The steps of a rung, seeds averaged, each image paired with the same one of the baseline.

    Raises:
        InputError: they have no fold in common, or on the folds that they have they tested different images or labels.
    """
    tables = list(entry.tables(entry.primary_branch).values())
    images = _measured(entry)
    values = {figure: float(images[figure].mean()) for figure in PAIR_FIGURES}
    values[MEDIAN] = float(np.mean([summarise(table)[MEDIAN] for table in tables]))
    rows = [run.row for run in entry.runs]
    about: dict[str, Any] = {
        "rung": rung,
        "model": entry.label,
        "tested": len(images),
        "seeds": len(tables),
        "folds": len({row.fold for row in rows}),
        **{cost: float(np.mean([getattr(row, cost) for row in rows])) for cost in ("train_seconds", "ms_per_image")},
        "parameters": float(np.mean([row.parameters for row in rows])),
        "hc_truth": hc_truth,
    }
    alone = {"against": "", "images": 0, "examinations": 0}
    alone |= dict.fromkeys(("difference", "low", "high", "p", "rank_biserial", "superiority"), np.nan)
    paired = {} if rung == baseline else _differences(rung, entry, baseline, base)
    return [Step(**about, figure=figure, value=value, **paired.get(figure, alone)) for figure, value in values.items()]


def read_steps(path: Path) -> list[Step]:
    """The rows of earlier calls; none where there is no such file.

    Raises:
        InputError: its columns are not those of a ladder.
    """
    if not path.exists():
        return []
    # A rung may be called NA.
    numbers = {name: [""] for name in Step._fields if name not in TEXTS}
    table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=numbers)
    if list(table.columns) != list(Step._fields):
        raise InputError(
            f"{path}: expected the columns {', '.join(Step._fields)}; move the file away and give all rungs"
        )
    return [Step(*row) for row in table.itertuples(index=False)]


def _differences(rung: str, entry: Entry, baseline: str, base: Entry) -> dict[str, dict[str, Any]]:
    ours, theirs = on_shared_folds(base, entry)
    first, second = _measured(ours), _measured(theirs)
    same_labels = digest(ours, ours.primary_branch) == digest(theirs, theirs.primary_branch)
    if reason := why_not(first, second, same_labels):
        raise InputError(f"{rung} cannot be compared with {baseline}: {reason}")
    examinations = first["examination"].tolist()
    return {
        figure: {
            "against": baseline,
            **paired_figures((second[figure] - first[figure]).to_numpy(dtype=np.float64), examinations),
        }
        for figure in PAIR_FIGURES
    }


def _measured(entry: Entry) -> pd.DataFrame:
    return averaged_over_seeds([image_measures(table) for table in entry.tables(entry.primary_branch).values()])
