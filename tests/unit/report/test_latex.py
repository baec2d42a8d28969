"""The table in LaTeX."""

from __future__ import annotations

from pathlib import Path

from fetal_lm.report.comparison import compare
from fetal_lm.report.latex import latex_table
from fetal_lm.report.sweep import read_sweep


def test_every_row_has_every_column_and_names_are_escaped(three_models: Path) -> None:
    text = latex_table(compare(read_sweep(three_models)))
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if line]
    assert all(line.count(" & ") == 13 and line.endswith(" \\\\") for line in lines)
    assert "H2 hybrid\\_hourglass (coordinate)" in text
    assert text.count("\\textbf{") > 0
    assert " _" not in text
    # The best mean error is that of H2's heatmaps, off by 1 px of 400 in both images.
    (best,) = (line for line in lines if "hourglass (heatmap)" in line and "hybrid" in line)
    assert "\\textbf{0.64" in best
