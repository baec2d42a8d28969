"""How good is an audit? `python experiments/audit/judge.py ROWS_CSV --root DIR`, DIR being HC18 with its outlines.

An audit's rows.csv over the challenge's labels is held against the ends of the axes of HC18's outlines, which the audit
does not read. Distances are the mean over a row's four points in px of the frame squashed to 256 x 256; ends of a pair
are compared without order, the names as they are or exchanged, whichever is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import typer
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from fetal_lm.audit.distance import distances_px
from fetal_lm.audit.suspicion import LARGEST_SUSPICION
from fetal_lm.data.adapters.challenge import Challenge
from fetal_lm.data.adapters.hc18 import Hc18

GROSS_ERROR_PX: Final = 20.0


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows of an audit beside what the outlines say.

    Attributes:
        suspicion: the audit's, from 0 to 1.
        said_swapped: the audit's answer.
        off_px: how far the row's points lie from the outline's axis ends.
        swapped: whether the row fits the outline better with OFD and BPD exchanged.
        disagreement_px: the models' distance; NaN without models.
    """

    suspicion: Float[np.ndarray, " N"]
    said_swapped: Bool[np.ndarray, " N"]
    off_px: Float[np.ndarray, " N"]
    swapped: Bool[np.ndarray, " N"]
    disagreement_px: Float[np.ndarray, " N"]

    @property
    def gross(self) -> Bool[np.ndarray, " N"]:
        """Which rows are off by more than 20 px."""
        return self.off_px > GROSS_ERROR_PX


def judge_rows(rows_csv: Path, root: Path, labels_csv: Path | None = None) -> Judged:
    """Holds an audit's rows of the challenge against HC18's outlines, both found by the images' names."""
    rows = pd.read_csv(rows_csv, dtype={"image": str, "names_swapped": str}).set_index("image")
    labels = {row.image: row.points_orig for row in Challenge(root, labels_csv).rows()}
    off, swapped, names = [], [], []
    for outline in Hc18(root).records():
        if outline.image not in rows.index or outline.image not in labels:
            continue
        as_named, exchanged = distances_px(labels[outline.image], outline.points_orig, outline.size_orig)
        off.append(min(as_named, exchanged))
        swapped.append(exchanged < as_named)
        names.append(outline.image)
    table = rows.loc[names]
    return Judged(
        suspicion=table["suspicion"].to_numpy(dtype=np.float64),
        said_swapped=(table["names_swapped"] == "True").to_numpy(),
        off_px=np.array(off),
        swapped=np.array(swapped),
        disagreement_px=table["disagreement_px"].to_numpy(dtype=np.float64),
    )


def area_under_roc(scores: Float[np.ndarray, " N"], positive: Bool[np.ndarray, " N"]) -> float:
    """The chance that a positive has a higher score than a negative, ties counted half (Mann-Whitney's U).

    Example:
        >>> area_under_roc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))
        0.875
    """
    count = int(positive.sum())
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(scores) - count)))


def half_areas(judged: Judged, draws: int = 200) -> tuple[float, float]:
    """The smallest and largest area under the curve among the halves of `draws` random cuts of the rows in two."""
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(draws):
        shuffled = generator.permutation(len(judged.suspicion))
        for half in np.array_split(shuffled, 2):
            areas.append(area_under_roc(judged.suspicion[half], judged.gross[half]))
    return min(areas), max(areas)


def main(
    rows_csv: Annotated[Path, typer.Argument(help="rows.csv of an audit of the challenge.", show_default=False)],
    root: Annotated[Path, typer.Option(help="HC18 with its outlines, and the challenge's CSV.", show_default=False)],
    csv: Annotated[Path | None, typer.Option(help="The labels, if they are elsewhere.", show_default=False)] = None,
) -> None:
    """Prints the figures that experiments/audit/README.md holds."""
    judged = judge_rows(rows_csv, root, csv)
    gross, right = judged.gross, judged.said_swapped == judged.swapped
    typer.echo(f"{len(gross)} rows beside outlines, {gross.sum()} off by more than {GROSS_ERROR_PX:g} px")
    low, high = half_areas(judged)
    area = area_under_roc(judged.suspicion, gross)
    typer.echo(f"area under the ROC curve of suspicion: {area:.4f}; of random halves {low:.4f} to {high:.4f}")
    flagged = judged.suspicion > LARGEST_SUSPICION
    typer.echo(
        f"suspicion above {LARGEST_SUSPICION}: {(flagged & gross).sum()} of {gross.sum()} such rows, and "
        f"{(flagged & ~gross).sum()} of the other {(~gross).sum()}"
    )
    for what, chosen in (("all rows", np.ones_like(gross)), ("at most 20 px off", ~gross), ("more than 20 px", gross)):
        found = (right & chosen & judged.swapped).sum() / (chosen & judged.swapped).sum()
        typer.echo(
            f"names, {what}: right for {right[chosen].mean():.2%} of {chosen.sum()}; found {found:.2%} of "
            f"{(chosen & judged.swapped).sum()} exchanged ones"
        )
    asked = ~np.isnan(judged.disagreement_px)
    if asked.any() and gross[asked].any() and not gross[asked].all():
        typer.echo(
            f"the {asked.sum()} rows that models spoke about, {gross[asked].sum()} of them off: area of suspicion "
            f"{area_under_roc(judged.suspicion[asked], gross[asked]):.4f}, of the disagreement alone "
            f"{area_under_roc(judged.disagreement_px[asked], gross[asked]):.4f}"
        )


if __name__ == "__main__":
    typer.run(main)
