"""How pairs, naming and folds read."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from fetal_lm.report import sections, wording
from fetal_lm.report.comparison import PAIR_FIGURES, compare
from fetal_lm.report.pairs import COLUMNS, Pairs, Verdict
from fetal_lm.report.sections import fold_section, naming_section, pair_section, pair_sentences
from fetal_lm.report.sweep import read_sweep
from fetal_lm.report.tables import markdown

from .conftest import MakeRun

PAIR: dict[str, Any] = {
    **{"first": "A", "first_branch": "heatmap", "second": "B", "second_branch": "heatmap", "figure": "mean_px"},
    **{"images": 30, "examinations": 20, "difference": 1.0, "low": 0.5, "high": 1.5, "p": 0.01, "p_holm": 0.03},
    **{"rank_biserial": 0.6, "superiority": 0.2, "verdict": "second worse"},
}


def pairs_of(*changes: dict[str, Any], not_compared: tuple[str, ...] = ()) -> Pairs:
    return Pairs(pd.DataFrame([{**PAIR, **change} for change in changes], columns=list(COLUMNS)), not_compared)


def test_sentences_say_what_is_clear() -> None:
    unknown = {"low": math.nan, "high": math.nan, "p_holm": math.nan}
    pairs = pairs_of(
        {},
        {"figure": "bpd_mae_mm", "difference": -1.0, "low": -1.5, "high": -0.5, "verdict": "second better"},
        {"figure": "mean_mm"},
        {"second": "A", "second_branch": "coordinate", "low": -0.5, "p_holm": 0.0001, "verdict": "no clear difference"},
        {**unknown, "verdict": "too few examinations"},
        {**unknown, "difference": 0.0, "verdict": "no difference in any examination"},
        {**unknown, "images": 0, "difference": math.nan, "verdict": "no image with a pixel spacing"},
        not_compared=("C is not compared with A: why",),
    )
    assert pair_sentences(pairs) == [
        "Mean error, B: +1.00 px [+0.50, +1.50], p (Holm) 0.030, worse than A",
        "BPD, B: -1.00 mm [-1.50, -0.50], p (Holm) 0.030, better than A",
        "Mean error, A (coordinate): +1.00 px [-0.50, +1.50], p (Holm) < 0.001, no clear difference from A (heatmap)",
        "Mean error, B: +1.00 px, too few examinations to tell it from A",
        "Mean error, B: 0.00 px, no difference from A in any examination",
        "Mean error, B: not to be compared with A: no image with a pixel spacing",
        "C is not compared with A: why",
    ]


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_and_figure_can_be_said(verdict: str) -> None:
    pairs = pairs_of(*({"figure": figure, "verdict": verdict} for figure in PAIR_FIGURES))
    assert len(pair_sentences(pairs)) == 2
    assert len([line for line in pair_section(pairs) if "| B | A |" in line]) == 5


def test_the_section_of_pairs() -> None:
    nothing = dict.fromkeys(("difference", "low", "high", "p_holm", "rank_biserial", "superiority"), math.nan)
    pairs = pairs_of(
        {"second": "B|<b>"},
        {**nothing, "figure": "hc_mae_mm", "images": 0, "verdict": "no image with a pixel spacing"},
        not_compared=("C is not compared with A: `why`",),
    )
    lines = pair_section(pairs)
    assert lines[:2] == ["", "## Pairs"]
    assert r"| Mean error, px | B\|&lt;b&gt; | A | **worse** | +1.00 [+0.50, +1.50] | 0.030 | +0.60 | 20.0 |" in lines
    assert "| HC, mm | B | A | no image with a pixel spacing | – | – | – | – |" in lines
    assert r"- C is not compared with A: \`why\`." in lines
    assert lines[-1] == f"- {sections.PAIR_NOTES[-1]}"
    assert pair_section(pairs_of()) == []
    assert len(pair_section(pairs_of(not_compared=("why",)))) == 4


def test_the_section_of_names() -> None:
    row = {"hypothesis": "H1", "model": "a|b", "variant": "", "branch": "heatmap", "mean_px": 6.0, "raw_mean_px": 8.0}
    row |= {"naming_px": 2.0, "naming_px_low": 0.5, "naming_px_high": 4.0, "median_px": 5.0, "raw_median_px": 5.1}
    silent = row | {"raw_mean_px": 0.0, "naming_px": 0.0, "naming_px_low": math.nan, "half_turned": 0.0}
    lines = naming_section(pd.DataFrame([row | {"half_turned": 0.0123}, silent]))
    assert r"| H1 a\|b (heatmap) | 6.00 | 8.00 | +2.00 [+0.50, +4.00] (25.0 %) | 5.00 | 5.10 | +0.10 | 1.2 |" in lines
    assert r"| H1 a\|b (heatmap) | 6.00 | 0.00 | 0.00 (0 %) | 5.00 | 5.10 | +0.10 | 0 |" in lines


def test_folds_are_shown_where_there_are_several(tmp_path: Path, make_run: MakeRun, three_models: Path) -> None:
    for model, seeds in (("whole", (0, 1)), ("one_seed", (0,))):
        for seed, fold in product(seeds, (0, 1)):
            make_run(
                tmp_path / "s" / f"{model}{seed}{fold}",
                np.full(2, 4.0 + 2 * seed + 10 * fold),
                [f"{fold}-{number}.png" for number in range(2)],
                model=model,
                seed=seed,
                fold=fold,
                split_digest=str(fold),
            )
    page = markdown(compare(read_sweep(tmp_path / "s")))
    assert "6.40 ± 0.91 / ± 4.53 [" in page
    assert "5.76 ± – / ± 4.53 [" in page
    assert "| Mean error, px | H1 whole (heatmap) | 0.91 | 4.53 | 0.00 |" in page
    assert "H1 one_seed (heatmap) | 0" not in page
    assert sections.FOLD_NOTE in page
    without = compare(read_sweep(three_models))
    assert fold_section(without.table) == fold_section(pd.DataFrame()) == []
    assert " / ± " not in markdown(without)


def test_nothing_that_is_zero_has_a_sign() -> None:
    assert [wording.signed(value) for value in (0.0, -0.0, 0.001, -0.001, -0.005001)] == ["0.00"] * 4 + ["-0.01"]
