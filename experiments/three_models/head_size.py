"""BPD error by tercile of head size in a finished sweep: `python experiments/three_models/head_size.py SWEEP`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from fetal_lm.report.charges import image_measures
from fetal_lm.report.pooling import terciles
from fetal_lm.report.sweep import read_sweep


def main(sweep: Annotated[Path, typer.Argument(help="Folder of a finished sweep.")]) -> None:
    """Prints, for each model's first branch, mean BPD error in mm and share of all error in each tercile of true HC."""
    parts: list[pd.DataFrame] = []
    for run in read_sweep(sweep).runs:
        table = run.predictions[run.predictions["branch"] == run.row.primary_branch]
        tercile = terciles(table["true_hc_mm"])
        measures = image_measures(table)[["bpd_mae_mm"]]
        parts.append(measures.assign(model=run.row.hypothesis, tercile=tercile, true_hc_mm=table["true_hc_mm"]))
    groups = pd.concat(parts).groupby(["model", "tercile"], observed=True)
    found = groups.agg(largest_hc_mm=("true_hc_mm", "max"), bpd_mae_mm=("bpd_mae_mm", "mean"))
    total = groups["bpd_mae_mm"].sum()
    found["share_of_error"] = total / total.groupby("model").transform("sum")
    typer.echo(found.round(2).to_string())


if __name__ == "__main__":
    typer.run(main)
