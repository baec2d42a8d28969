"""The agreement of lengths as tables: the same figures wherever they are written."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fetal_lm.data.records import Record
from fetal_lm.report.agreement import Agreement, agreement
from fetal_lm.report.agreement_table import HEADERS, agreement_section, agreement_table
from fetal_lm.report.comparison import Comparison, compare
from fetal_lm.report.latex import latex_agreement
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import write_row
from fetal_lm.report.sweep import read_sweep
from fetal_lm.report.tables import markdown, write_agreement

from .conftest import HEAD

IMAGES = 24


@pytest.fixture
def measured(tmp_path: Path, make_row) -> Comparison:
    """Two models, the second with two branches; heads of many sizes, two images an examination, one undecoded BPD."""
    rng = np.random.default_rng(7)
    records = [
        Record(f"{n}.png", f"exam-{n // 2}", (200, 400), (HEAD - 100) * scale + 100, 0.5)
        for n, scale in enumerate(rng.uniform(0.4, 1.0, IMAGES))
    ]
    truth = np.stack([record.points_orig for record in records])
    for number, (model, seed) in enumerate(product(("a_model", "b"), (0, 1))):
        branches = ("coordinate", "heatmap") if model == "b" else ("heatmap",)
        points = {branch: truth + rng.normal([-1.0, 0.5], 3.0, truth.shape) for branch in branches}
        points["heatmap"][5, 2] = np.nan
        table = prediction_table(records, points)
        folder = tmp_path / "s" / str(number)
        folder.mkdir(parents=True)
        write_predictions(table, folder / "predictions.csv")
        write_row(make_row(table, model=model, seed=seed), folder / "row.json")
    return compare(read_sweep(tmp_path / "s"))


def expected(comparison: Comparison) -> dict[tuple[str, str, str], Agreement]:
    """The agreement of all seeds' points, by model, branch and length."""
    found = {}
    for entry in comparison.entries:
        for branch in entry.branches:
            rows = pd.concat([run.predictions[run.predictions["branch"] == branch] for run in entry.runs])
            for name in ("bpd", "ofd", "hc"):
                found[entry.model, branch, name] = agreement(
                    rows[f"true_{name}_mm"].to_numpy(), rows[f"{name}_mm"].to_numpy(), rows["examination"].tolist()
                )
    return found


def test_the_csv_has_the_figures_of_every_model_branch_and_length(measured: Comparison, tmp_path: Path) -> None:
    write_agreement(measured, tmp_path / "agreement.csv")
    rows = pd.read_csv(tmp_path / "agreement.csv").to_dict("records")
    wanted = expected(measured)
    assert [(row["model"], row["branch"], row["length"]) for row in rows] == list(wanted)
    assert [row["primary"] for row in rows] == [True] * 6 + [False] * 3
    for row, found in zip(rows, wanted.values(), strict=True):
        assert (row["pairs"], row["charged"]) == (found.pairs, found.charged)
        for column, name in (("bias_mm", "bias"), ("lower_mm", "lower"), ("upper_mm", "upper"), ("icc", "icc")):
            figures = [row[f"{column}{end}"] for end in ("", "_low", "_high")]
            assert figures == pytest.approx([getattr(found, name), *getattr(found, f"{name}_interval")], rel=1e-12)
    assert {(row["pairs"], row["charged"]) for row in rows if row["length"] == "bpd"} == {(48, 2), (48, 0)}


def test_markdown_and_latex_have_the_same_figures(measured: Comparison) -> None:
    found = expected(measured)["a_model", "heatmap", "bpd"]
    assert found.bias < 0 < found.upper
    texts = [
        (f"{found.bias:.2f}", "[{:.2f}, {:+.2f}]".format(*found.bias_interval)),
        (f"{found.lower:.1f}", "[{:.1f}, {:.2f}]".format(*found.lower_interval)),
        (f"{found.upper:+.1f}", "[{:+.2f}, {:+.1f}]".format(*found.upper_interval)),
        (f"{found.icc:.4f}", "[{:.4f}, {:.4f}]".format(*found.icc_interval)),
    ]
    cells = " | ".join(f"{text} {interval}" for text, interval in texts)
    lines = markdown(measured).splitlines()
    start = lines.index("## Agreement of BPD, OFD and HC")
    assert lines[start + 4] == f"| H1 a_model (heatmap) | BPD | {cells} | 48, 2 not measured |"
    assert len([line for line in lines[start + 4 :] if line.startswith("| H1")]) >= 9

    body = latex_agreement(measured).split("\\midrule\n")[1].splitlines()
    first, second = (line.removesuffix(" \\\\").replace("$-$", "-").split(" & ") for line in body[:2])
    assert first == ["H1 a\\_model (heatmap)", "BPD", *(text for text, _ in texts), "48, 2 not measured"]
    assert second == ["", "", *(f"{{\\footnotesize {interval}}}" for _, interval in texts), ""]
    assert sum(line.startswith("H1") for line in body) == 9
    assert all(line.count(" & ") == len(HEADERS) - 1 for line in body if line.endswith("\\\\"))


def test_no_run_has_no_section() -> None:
    assert agreement_section(agreement_table(())) == []
