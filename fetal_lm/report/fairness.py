"""Whether the rows of a comparison can stand side by side."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from fetal_lm.errors import some
from fetal_lm.landmarks import NAMES
from fetal_lm.report.entries import Entry
from fetal_lm.report.sweep import Run

NAMED_AT_MOST: Final = 6

# Overrides that ask what to train on: studies of the training set vary them.
_TRAINING_SET: Final = re.compile(r"split\.train_fraction=|data=|data\.source\.")


def unfairness(entries: Sequence[Entry]) -> list[str]:
    """Every reason not to compare these entries as they stand, as sentences; none for a fair comparison.

    Looked at: the data, the split and its digest (of each fold), the test images with their labels and spacings, images
    tested twice for one seed or already trained or selected on, the seeds, and the versions of package and code.
    """
    runs = [run for entry in entries for run in entry.runs]
    reasons = [
        _difference("are about different data", [(_text(run.row.data), run.name) for run in runs]),
        _difference("use different kinds of split", [(_text(run.row.split), run.name) for run in runs]),
        *(
            _difference(
                f"are split differently{_of_fold(fold)}", [(run.row.split_digest[:12], run.name) for run in same]
            )
            for (fold, _), same in _alike(runs).items()
        ),
        _difference("are tested on different images or labels", _test_sets(entries)),
        *_tested_twice(entries),
        *_seen(runs),
        _difference(
            "have different seeds",
            [(_seeds(entry), entry.label) for entry in entries],
            subject="Models",
        ),
        _difference(
            "come from different versions of fetal_lm", [(_text(run.row.package_version), run.name) for run in runs]
        ),
        _difference(
            "come from different versions of the code", [(_text(run.row.code_version), run.name) for run in runs]
        ),
    ]
    return [reason for reason in reasons if reason]


def digest_of_test_set(table: pd.DataFrame) -> str:
    """A short digest of which images a table tests, with their labels (to 0.001 px) and spacings.

    Args:
        table: rows of one branch of a `predictions.prediction_table`, in any order.
    """
    columns = [f"true_{name}_{axis}" for name in NAMES for axis in "xy"]
    ordered = table.sort_values("image")
    labels = np.round(ordered[[*columns, "mm_per_px"]].to_numpy(dtype=np.float64), 3) + 0.0
    digest = hashlib.sha256("\0".join(ordered["image"]).encode())
    digest.update(labels.astype("<f8").tobytes())
    return digest.hexdigest()[:12]


def _test_sets(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    return [
        (f"{len(table)} images, {digest_of_test_set(table)}", f"{entry.label} seed {seed}")
        for entry in entries
        for seed, table in entry.tables(entry.primary_branch).items()
    ]


def _tested_twice(entries: Sequence[Entry]) -> Iterable[str]:
    for entry in entries:
        seen: dict[tuple[int, str], str] = {}
        for run in entry.runs:
            rows = run.predictions[run.predictions["branch"] == entry.primary_branch]
            twice = [name for name in rows["image"] if (run.row.seed, name) in seen]
            if twice:
                first = seen[run.row.seed, twice[0]]
                yield (
                    f"{len(twice)} images of {run.name} are already in the test set of {first}, same model and seed "
                    f"(for example {twice[0]}); they count once, as {first} predicts them."
                )
            for name in rows["image"]:
                seen.setdefault((run.row.seed, name), run.name)


def _seen(runs: Sequence[Run]) -> Iterable[str]:
    for run in runs:
        if run.row.test_images_seen:
            images = run.predictions["image"].nunique()
            yield (
                f"{run.row.test_images_seen} of the {images} test images of {run.name} show an examination that its "
                "weights were trained or selected on."
            )


def _difference(what: str, values: Sequence[tuple[str, str]], subject: str = "Runs") -> str | None:
    groups: dict[str, list[str]] = {}
    for value, name in values:
        groups.setdefault(value, []).append(name)
    if len(groups) < 2:
        return None
    parts = []
    for value, names in groups.items():
        parts.append(f"{value} ({some(names, NAMED_AT_MOST)})")
    return f"{subject} {what}: {'; '.join(parts)}."


def _alike(runs: Sequence[Run]) -> dict[tuple[int | None, str], list[Run]]:
    """Runs by fold and by what of the training set was varied on purpose; the test images are compared over all."""
    groups: dict[tuple[int | None, str], list[Run]] = {}
    for run in runs:
        chosen = " ".join(override for override in run.row.overrides if _TRAINING_SET.match(override))
        groups.setdefault((run.row.fold, chosen), []).append(run)
    return groups


def _of_fold(fold: int | None) -> str:
    return "" if fold is None else f" in fold {fold}"


def _seeds(entry: Entry) -> str:
    return "seed " + ", ".join(str(seed) for seed in sorted({run.row.seed for run in entry.runs}))


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
