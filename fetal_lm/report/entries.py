"""Which runs belong together: one entry per model, its seeds and folds pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fetal_lm.incidental import is_variant
from fetal_lm.report.sweep import Run


@dataclass(frozen=True, eq=False)
class Entry:
    """The runs behind one model: same config but for seed and fold.

    Attributes:
        hypothesis: short label, for example `H1`.
        model: the config's name.
        variant: the overrides that set it apart from other entries of the same model; empty if there is none.
        runs: in the order of the sweep; of each seed and fold at most one.
        primary_branch: the branch that stands for it in a ranking.
    """

    hypothesis: str
    model: str
    variant: str
    runs: tuple[Run, ...]
    primary_branch: str

    @property
    def label(self) -> str:
        """What tables and pictures call it."""
        return " ".join(part for part in (self.hypothesis, self.model, self.variant) if part)

    @property
    def branches(self) -> tuple[str, ...]:
        """Every branch that its runs report, the primary one first."""
        names = dict.fromkeys(name for run in self.runs for name in run.predictions["branch"].unique())
        return (self.primary_branch, *(name for name in names if name != self.primary_branch))

    def tables(self, branch: str) -> dict[int, pd.DataFrame]:
        """For each seed, the predictions of a branch on the test images of all folds, every image once."""
        by_seed: dict[int, list[pd.DataFrame]] = {}
        for run in self.runs:
            rows = run.predictions[run.predictions["branch"] == branch]
            if len(rows):
                by_seed.setdefault(run.row.seed, []).append(rows)
        pooled = {seed: pd.concat(parts, ignore_index=True) for seed, parts in sorted(by_seed.items())}
        # Test sets of hand-made folders may overlap; the fairness check says so, here each image counts once.
        return {seed: table.drop_duplicates("image", ignore_index=True) for seed, table in pooled.items()}


def group_runs(runs: Sequence[Run], models: Sequence[str] = ()) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Sorts runs into entries by model and by what else was varied, in order of first appearance.

    Args:
        runs: in the order of the sweep.
        models: the order of the models where that is known; a model whose first job crashed keeps its place.

    Returns:
        The entries, and a warning for every run that is left out as a double.
    """
    settings = [_settings(run) for run in runs]
    shared = set.intersection(*map(set, settings)) if settings else set()
    groups: dict[tuple[str, str], dict[tuple[int, int | None], Run]] = {}
    warnings = []
    for run, overrides in zip(runs, settings, strict=True):
        variant = " ".join(override for override in overrides if override not in shared)
        group = groups.setdefault((run.row.model, variant), {})
        first = group.setdefault((run.row.seed, run.row.fold), run)
        if first is not run:
            fold = "" if run.row.fold is None else f" and fold {run.row.fold}"
            warnings.append(
                f"{run.name} ({run.folder}) repeats {first.name}: {run.row.model} with seed {run.row.seed}{fold}; "
                f"only {first.name} counts"
            )
    entries = []
    for (model, variant), group in groups.items():
        members = tuple(group.values())
        row = members[0].row
        entries.append(Entry(row.hypothesis, model, variant, members, row.primary_branch))
    place = {model: number for number, model in enumerate(models)}
    entries.sort(key=lambda entry: place.get(entry.model, len(place)))
    return tuple(entries), tuple(warnings)


def _settings(run: Run) -> list[str]:
    return sorted(filter(is_variant, run.row.overrides))
