"""How good is the skull search? `python experiments/audit/skulls.py --root DIR`, DIR being HC18 with its outlines.

The ellipse that the search finds in each image, without training or label, is held against the ends of the outline's
axes; and the outlines themselves are audited, whose every finding is a false one. Distances as in `judge.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from fetal_lm.audit.distance import distances_px
from fetal_lm.audit.skull import SkullFinder, axis_points
from fetal_lm.audit.skull_view import view_of
from fetal_lm.audit.suspicion import GROSS_ERROR_PX
from fetal_lm.data.adapters.challenge import LABEL_CSV, Challenge
from fetal_lm.data.adapters.hc18 import Hc18


def main(root: Annotated[Path, typer.Option(help="HC18 with its outlines.", show_default=False)]) -> None:
    """Prints the figures about the search that experiments/audit/README.md holds."""
    source = Hc18(root)
    records = source.records()
    labelled = {row.image for row in Challenge(root).rows()} if (root / LABEL_CSV).is_file() else set()
    found_px, off_px, swapped = [], [], []
    for record in tqdm(records, unit="image"):
        image = source.read(record)
        best = axis_points(SkullFinder(image).find().ellipses[0])
        found_px.append(min(distances_px(best, record.points_orig, record.size_orig)))
        view = view_of(image, record.points_orig)
        off_px.append(np.nan if view is None else view.distance_px)
        swapped.append(view is not None and view.exchange_gain_px > 0)
    in_challenge = np.array([record.image in labelled for record in records])
    for what, chosen in (("the challenge's images", in_challenge), ("the other images", ~in_challenge)):
        if not chosen.any():
            continue
        found, off = np.array(found_px)[chosen], np.array(off_px)[chosen]
        within = ", ".join(f"{(found <= limit).mean():.1%} within {limit:g} px" for limit in (10.0, GROSS_ERROR_PX))
        typer.echo(f"{what}, {chosen.sum()}: the skull is found in {within}")
        typer.echo(
            f"  of their outlines {(off > GROSS_ERROR_PX).sum()} are said to be off the skull, "
            f"{np.array(swapped)[chosen].sum()} to have exchanged names; {np.isnan(off).sum()} images show no skull"
        )


if __name__ == "__main__":
    typer.run(main)
