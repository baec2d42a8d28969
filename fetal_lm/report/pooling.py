"""Folds put together: what every image's own fold says of it, and the folds that two sweeps have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from fetal_lm.configuration import read_configuration
from fetal_lm.errors import InputError, some
from fetal_lm.report.entries import Entry, group_runs
from fetal_lm.report.pairs import digest
from fetal_lm.report.sweep import Run, Sweep

HEAD_SIZES: Final = ("small", "middle", "large")


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """One branch of a model on all images, each predicted by the training that did not see its examination.

    Attributes:
        entry: the model.
        branch: of it.
        tables: for each seed the rows of a `predictions.prediction_table`, sorted by image; the same images for each.
    """

    entry: Entry
    branch: str
    tables: Mapping[int, pd.DataFrame]

    @property
    def label(self) -> str:
        """For example `H1 single_hourglass (heatmap)`."""
        return f"{self.entry.label} ({self.branch})"


def out_of_fold(sweep: Sweep) -> tuple[OutOfFold, ...]:
    """Pools the folds of every model's branches; every image of every fold is there exactly once for each seed.

    Args:
        sweep: each seed of each model with all of its `data.folds` folds.

    Raises:
        InputError: no run finished, a run is there twice, a fold is missing, an image is tested twice, seeds tested
            different images or labels, or a test image shows an examination that was trained or selected on.
    """
    entries, doubles = group_runs(sweep.runs, sweep.models)
    if not entries:
        raise InputError(f"{sweep.folder}: expected runs of every fold, but none finished{_lost(sweep)}")
    if doubles:
        raise InputError(
            f"{sweep.folder}: expected every image once for each seed, but {doubles[0]}; move one of the two away"
        )
    pooled = []
    for entry in entries:
        for seed in sorted({run.row.seed for run in entry.runs}):
            _check_folds(entry, seed, sweep)
        _check_seeds(entry, sweep)
        for branch in entry.branches:
            tables = {
                seed: table.sort_values("image", ignore_index=True) for seed, table in entry.tables(branch).items()
            }
            pooled.append(OutOfFold(entry, branch, tables))
    return tuple(pooled)


def on_shared_folds(first: Entry, second: Entry) -> tuple[Entry, Entry]:
    """Both entries with no more than the runs of the folds that both have, so that their images can be paired.

    Raises:
        InputError: they have no fold in common.
    """
    shared = {run.row.fold for run in first.runs} & {run.row.fold for run in second.runs}
    if not shared:
        raise InputError(
            f"{second.label} cannot be compared with {first.label}: folds {_folds(second)} and {_folds(first)}; test "
            "both on the same fold"
        )
    kept = [
        replace(entry, runs=tuple(run for run in entry.runs if run.row.fold in shared)) for entry in (first, second)
    ]
    return kept[0], kept[1]


def with_circumferences(sweep: Sweep, circumference_mm: Mapping[str, float]) -> Sweep:
    """The sweep with another source's circumferences as the truth, for example those of HC18's CSV.

    Only `true_hc_mm` is replaced; where the spacing is unknown it stays NaN.

    Args:
        sweep: of any models.
        circumference_mm: by image name.

    Raises:
        InputError: a tested image has none.
    """
    return replace(sweep, runs=tuple(_with_circumference(run, circumference_mm) for run in sweep.runs))


def terciles(true_hc_mm: pd.Series[float]) -> pd.Series[str]:
    """In which third of the head sizes each image is: one of `HEAD_SIZES`, ordered; NaN for an unknown size.

    The borders are those of `pandas.qcut`; of equal heads the first ones are the smaller, so that no third is empty.

    Example:
        >>> terciles(pd.Series([300.0, 100.0, 200.0, 100.0])).tolist()
        ['large', 'small', 'middle', 'small']
    """
    rank = true_hc_mm.rank(method="first")
    place = (3 * (rank - 1) / max(int(rank.count()) - 1, 1)).to_numpy(dtype=np.float64)
    codes = np.where(np.isnan(place), -1, np.maximum(np.ceil(place), 1) - 1).astype(np.int64)
    named = pd.Categorical.from_codes(codes, pd.Index(HEAD_SIZES), ordered=True)
    return pd.Series(named, index=true_hc_mm.index)


def _check_folds(entry: Entry, seed: int, sweep: Sweep) -> None:
    """Every fold of a seed is there, and every image in one of them alone, unseen by its training."""
    where = f"{sweep.folder}: {entry.label}, seed {seed}"
    runs = [run for run in entry.runs if run.row.seed == seed]
    wanted = {_fold_count(run) for run in runs}
    if len(wanted) > 1:
        raise InputError(f"{where}: expected one number of folds, got {sorted(wanted)}; pool runs of one split")
    found = {run.row.fold for run in runs}
    if missing := [str(fold) for fold in range(wanted.pop()) if fold not in found]:
        raise InputError(
            f"{where}: expected every fold, but fold {', '.join(missing)} is missing{_lost(sweep)}; train it with the "
            f"sweep's command and hydra.sweep.dir={sweep.folder}"
        )
    tested: dict[str, Run] = {}
    for run in runs:
        if run.row.test_images_seen:
            raise InputError(
                f"{where}: {run.row.test_images_seen} test images of {run.folder} show an examination that its weights "
                "were trained or selected on; use a split by examination"
            )
        rows = run.predictions[run.predictions["branch"] == entry.primary_branch]
        if twice := [image for image in rows["image"] if image in tested]:
            raise InputError(
                f"{where}: expected every image in one fold, but {len(twice)} of fold {run.row.fold} ({run.folder}) "
                f"are in fold {tested[twice[0]].row.fold} too: {some(twice)}; pool runs of one split"
            )
        tested |= dict.fromkeys(rows["image"], run)


def _check_seeds(entry: Entry, sweep: Sweep) -> None:
    """Seeds tested the same images with the same labels."""
    by_seed = entry.tables(entry.primary_branch)
    first, *others = by_seed
    for seed in others:
        where = f"{sweep.folder}: {entry.label}, seeds {first} and {seed}"
        if different := sorted(set(by_seed[first]["image"]) ^ set(by_seed[seed]["image"])):
            raise InputError(
                f"{where}: expected the same images, but {len(different)} are tested by one of them alone: "
                f"{some(different)}; train both on the same data"
            )
        alone = [
            digest(replace(entry, runs=tuple(run for run in entry.runs if run.row.seed == one)), entry.primary_branch)
            for one in (first, seed)
        ]
        if alone[0] != alone[1]:
            raise InputError(f"{where}: the images have different labels or spacings; train both on the same data")


def _fold_count(run: Run) -> int:
    path = run.folder / "config.yaml"
    folds = read_configuration(path).get("data", {}).get("folds")
    if not isinstance(folds, int):
        raise InputError(f"{path}: expected a whole number in data.folds, got {folds!r}; train this run again")
    return folds


def _with_circumference(run: Run, circumference_mm: Mapping[str, float]) -> Run:
    table = run.predictions
    if missing := sorted(set(table["image"]) - circumference_mm.keys()):
        raise InputError(
            f"{run.folder}: expected a circumference for each image, got none for {some(missing)}; give the data that "
            "the run was tested on"
        )
    truth_mm = table["image"].map(circumference_mm).where(table["mm_per_px"].notna())
    return replace(run, predictions=table.assign(true_hc_mm=truth_mm.astype(np.float64)))


def _lost(sweep: Sweep) -> str:
    fatal = [problem for problem in sweep.problems if problem.fatal]
    return "".join(f"; {problem.name} ({problem.folder}): {problem.reason}" for problem in fatal)


def _folds(entry: Entry) -> str:
    return ", ".join(sorted({"none" if run.row.fold is None else str(run.row.fold) for run in entry.runs}))
