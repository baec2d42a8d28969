"""What was chosen of how landmarks are read, on validation images.

    python experiments/accuracy/constants.py direction SWEEP --root DIR [--part train] [--images 160]
    python experiments/accuracy/constants.py lengths SWEEP --root DIR
    python experiments/accuracy/constants.py flips SWEEP --root DIR
    python experiments/accuracy/constants.py sure SWEEP --root DIR

direction: what the heatmaps say of that of an ellipse, `codecs.outline.LEANING`; inf is the ellipse's own. lengths:
what they say of those of its diameters, `hypotheses.rim_hourglass.HEATMAPS_SAY`; 0 is the ellipse's own. flips: at
which mirror images to look, `test_flips`. sure: from where on an image leaves no doubts, `codecs.confidence.SURE`, of
which none are looked at again at 0 and all at 2. SWEEP holds trained runs on HC18, for the first two of a model that
has such an ellipse, which look at the mirror images that they were tested with. Each looks at its own validation
images, or at others that --part names, and their landmarks are read with each value. Prints a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum, auto
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from jaxtyping import Float
from reading import plain_errors
from rich.console import Console
from rich.progress import track
from targets import FOUND, measures
from torch import Tensor

from fetal_lm.choices import HALF_TURN, WHEN_UNSURE, Flips
from fetal_lm.codecs import confidence, outline
from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.batch import Batch, to_original
from fetal_lm.errors import InputError
from fetal_lm.hypotheses import rim_hourglass
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.predictions import prediction_table, summarise
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.trained import TrainedRun, load_run

HEADERS: Final = (
    "Value", "Images", "Mean mm", "Median mm", "No gross error", "HC mm", "HC / true HC", "BPD mm", "OFD mm",
)  # fmt: skip


class What(StrEnum):
    """Was chosen."""

    direction = auto()
    lengths = auto()
    flips = auto()
    sure = auto()


class Constant(NamedTuple):
    """A module's constant, the values to try, and the branch that is read with it."""

    module: ModuleType
    name: str
    values: tuple[float, ...]
    branch: str


CONSTANTS: Final = {
    What.direction: Constant(outline, "LEANING", (math.inf, 32.0, 16.0, 8.0, 0.0), "outline"),
    What.lengths: Constant(rim_hourglass, "HEATMAPS_SAY", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0), "rim"),
}
FLIPS: Final[tuple[Flips, ...]] = (False, WHEN_UNSURE, HALF_TURN, True)
SURE: Final = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 2.0)

Found = Iterator[tuple[str, Float[Tensor, "B 4 2"]]]
"""Names of values, and the landmarks of a batch in original pixels as each has them."""


class Part(StrEnum):
    """Of a run's split."""

    train = auto()
    val = auto()
    test = auto()


def main(
    what: Annotated[What, typer.Argument(help="What to try values of.")],
    sweep: Annotated[Path, typer.Argument(help="Folder of trained runs.")],
    root: Annotated[Path, typer.Option(help="HC18.")],
    part: Annotated[Part, typer.Option(help="Which of each run's images.")] = Part.val,
    images: Annotated[int | None, typer.Option(min=1, help="At most so many of each run, evenly over all.")] = None,
) -> None:
    """Prints the table."""
    with plain_errors():
        folders = sorted(path.parent for path in sweep.glob(f"*/{ROW_FILE}"))
        if not folders:
            raise InputError(f"{sweep}: no finished run in it; expected SWEEP/0/{ROW_FILE}")
        source = Hc18(root=root)
        tables: dict[str, list[pd.DataFrame]] = {}
        for folder in track(folders, "looking"):
            for value, table in _tables(load_run(folder), what, source, part, images):
                tables.setdefault(value, []).append(table)
    rows = [_row(value, pd.concat(found, ignore_index=True)) for value, found in tables.items()]
    Console().print("\n".join(table_lines(HEADERS, rows)), markup=False, soft_wrap=True)


def _tables(
    run: TrainedRun, what: What, source: Hc18, part: Part, most: int | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """For each value the run's predictions of a part's images."""
    branch = CONSTANTS[what].branch if what in CONSTANTS else run.model.branches[0]
    if branch not in run.model.branches:
        raise InputError(f"{run.row.model}: expected a model with a branch {branch!r}")
    records = source.records()
    numbers = [number for number, record in enumerate(records) if record.image in run.manifest.parts[part]]
    if most is not None:
        numbers = [numbers[round(place)] for place in np.linspace(0, len(numbers) - 1, min(most, len(numbers)))]
    data = run.data(source, records, numbers)
    points: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for batch in data.predict_dataloader():
            for value, found in _read(run.model, batch, what):
                points.setdefault(value, []).append(found)
    for value, batches in points.items():
        yield value, prediction_table(data.tested(), {branch: torch.cat(batches).double().numpy()})


def _read(model: Hypothesis, batch: Batch, what: What) -> Found:
    if what in CONSTANTS:
        return _by_constant(model, batch, CONSTANTS[what])
    return _by_sure(model, batch) if what is What.sure else _by_flips(model, batch)


def _by_constant(model: Hypothesis, batch: Batch, constant: Constant) -> Found:
    views = model.views(batch.image, flips=model.test_flips)
    for value in constant.values:
        # What this study is about, and a constant elsewhere.
        setattr(constant.module, constant.name, value)
        yield f"{value:g}", to_original(model.located(views)[constant.branch], batch.to_orig)


def _by_flips(model: Hypothesis, batch: Batch) -> Found:
    for flips in FLIPS:
        yield str(flips), to_original(model.points(batch.image, flips=flips)[model.branches[0]], batch.to_orig)


def _by_sure(model: Hypothesis, batch: Batch) -> Found:
    for value in SURE:
        # As above.
        confidence.SURE = value  # type: ignore[misc]
        found = model.points(batch.image, flips=WHEN_UNSURE)[model.branches[0]]
        yield f"{value:g}", to_original(found, batch.to_orig)


def _row(value: str, table: pd.DataFrame) -> list[str]:
    figures = summarise(table)
    relative = ((table["hc_mm"] - table["true_hc_mm"]).abs() / table["true_hc_mm"]).mean()
    return [
        value, f"{figures['images']:.0f}", f"{figures['mean_mm']:.3f}", f"{figures['median_mm']:.3f}",
        f"{measures(table)[FOUND].mean():.4f}", f"{figures['hc_mae_mm']:.2f}", f"{100 * relative:.2f} %",
        f"{figures['bpd_mae_mm']:.3f}", f"{figures['ofd_mae_mm']:.3f}",
    ]  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
