"""Good, typical and bad cases of a sweep without their images: `python experiments/three_models/cases.py SWEEP`.

HC18's images are not redistributed here, so truth and predictions are drawn on empty frames. The same cases over their
images are in the sweep's report/predictions.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from fetal_lm.report.pictures import overlay_picture
from fetal_lm.report.predictions import best_median_worst
from fetal_lm.report.sweep import read_sweep

OUTPUT = Path(__file__).with_name("cases.png")


def main(sweep: Annotated[Path, typer.Argument(help="Folder of a finished sweep.")], seed: int = 0) -> None:
    """Writes cases.png beside this file: each model's best, median and worst test image, of one seed."""
    shown: list[pd.DataFrame] = []
    for run in read_sweep(sweep).runs:
        if run.row.seed == seed:
            of_branch = run.predictions[run.predictions["branch"] == run.row.primary_branch]
            cases = best_median_worst(of_branch.reset_index(drop=True), each=1)
            shown.append(cases.assign(case=run.row.hypothesis + " " + cases["case"]))
    table = pd.concat(shown, ignore_index=True)
    sizes = zip(table["height"].tolist(), table["width"].tolist(), strict=True)
    frames = [np.zeros((int(height), int(width)), np.uint8) for height, width in sizes]
    overlay_picture(frames, table, OUTPUT, title=f"test images of seed {seed}, landmarks only")
    typer.echo(f"wrote {OUTPUT}")


if __name__ == "__main__":
    typer.run(main)
