"""How a comparison reads."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from fetal_lm.report import agreement_table, sections, wording
from fetal_lm.report.columns import COLUMNS, best_rows
from fetal_lm.report.comparison import compare
from fetal_lm.report.markdown import escape
from fetal_lm.report.sweep import Problem, read_sweep
from fetal_lm.report.tables import markdown, terminal_table, write_csv, write_pairs

from .conftest import MakeRun

SNAPSHOT = """\
# Comparison

| Model | Mean px | Median px | Mean mm | Median mm | SDR 1/2/3/4 mm, % | BPD mm | OFD mm | HC mm | Undecoded % \
| Parameters | ms per image | Training | Seeds |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| **H1 single_hourglass (heatmap)** | 3.20 ± 0.91 [3.20, 3.20] | 3.20 ± 0.91 | 2.50 ± 0.71 [2.50, 2.50] | 2.50 ± 0.71 \
| 0 / 50 / 100 / 100 | 0.00 ± 0.00 [0.00, 0.00] | 0.00 ± 0.00 [0.00, 0.00] | 0.00 ± 0.00 [0.00, 0.00] | 0 \
| 1.32 M | 9.00 | 2 min | 2 |

Test images: 2 for each seed.

| Relative error, % | BPD, length | OFD, length | BPD, ends | OFD, ends |
| --- | ---: | ---: | ---: | ---: |
| **H1 single_hourglass (heatmap)** | 0.00 ± 0.00 [0.00, 0.00] | 0.00 ± 0.00 [0.00, 0.00] \
| 5.00 ± 1.41 [5.00, 5.00] | 2.50 ± 0.71 [2.50, 2.50] |

"""

NAMING = """
## How much of the error is naming

| Model | Mean px order-free | as named | difference [95 %] | Median px order-free | as named | difference \
| Half turned, % |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| H1 single_hourglass (heatmap) | 3.20 | 3.20 | 0.00 [0.00, 0.00] (0 %) | 3.20 | 3.20 | 0.00 | 0 |

"""

AGREEMENT = """
## Agreement of BPD, OFD and HC

| Model | Length | Bias, mm | Lower limit, mm | Upper limit, mm | ICC(2,1) | Points |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
| H1 single_hourglass (heatmap) | BPD | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | – | 4 |
| H1 single_hourglass (heatmap) | OFD | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | – | 4 |
| H1 single_hourglass (heatmap) | HC | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | – | 4 |

"""


@pytest.fixture
def small_sweep(tmp_path: Path, make_run: MakeRun) -> Path:
    """One model, two seeds, every landmark 4 px off with the first and 6 px with the second."""
    make_run(tmp_path / "s" / "0", (4.0, 4.0), seed=0)
    make_run(tmp_path / "s" / "1", (6.0, 6.0), seed=1)
    return tmp_path / "s"


def test_the_page_of_a_small_case(small_sweep: Path) -> None:
    page = markdown(compare(read_sweep(small_sweep)))
    notes = "".join(f"- {note}\n" for note in wording.NOTES)
    assert page == f"{SNAPSHOT}{notes}{NAMING}- {sections.NAMING_NOTE}\n{AGREEMENT}- {agreement_table.NOTE}\n"


def test_warnings_and_missing_jobs_come_before_the_table(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0")
    make_run(tmp_path / "s" / "1", model="a|b<script>", hypothesis="H9", data="hc18")
    problem = Problem("job|1", tmp_path, "run.log ends with:\n<b>*boom*</b>")
    page = markdown(compare(read_sweep(tmp_path / "s")), [problem])
    before, table = page.split("| Model |", 1)
    assert "> **Not a fair comparison.**\n> - Runs are about different data" in before
    assert r"> - job\|1: run.log ends with: / &lt;b&gt;\*boom\*&lt;/b&gt;" in before
    assert r"**H9 a\|b&lt;script&gt; (heatmap)**" in table
    assert "<script>" not in page


def test_no_run_is_said(three_models: Path) -> None:
    for number in range(6):
        (three_models / str(number) / "row.json").unlink()
    sweep = read_sweep(three_models)
    page = markdown(compare(sweep), sweep.problems)
    assert "No run finished that can be compared." in page
    assert "> - stacked_hourglass-1: the job did not finish" in page


def test_the_terminal_table_fits_120_columns(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, shift_px in ((0, (222.0, 99.0)), (1, (333.0, math.nan))):
        for model in ("hybrid_hourglass", "a_model_with_a_very_long_name_that_must_wrap_somewhere"):
            make_run(
                tmp_path / "s" / f"{model}-{seed}",
                {"coordinate": shift_px, "heatmap": shift_px},
                model=model,
                seed=seed,
                parameters=112_340_000,
                ms_per_image=1234.0,
                train_seconds=3e5,
            )
    stream = io.StringIO()
    Console(file=stream, width=120).print(terminal_table(compare(read_sweep(tmp_path / "s"))))
    text = stream.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 120
    assert "hybrid_hourglass" in text
    assert "112.34M" in text
    assert "[95 %]" in text


def test_names_in_brackets_are_not_markup(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", model="[red]x")
    stream = io.StringIO()
    Console(file=stream, width=120).print(terminal_table(compare(read_sweep(tmp_path / "s"))))
    assert "[red]x" in stream.getvalue()


def test_the_csv_holds_full_precision_and_empty_fields_for_nan(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", (1 / 3, 2 / 3))
    comparison = compare(read_sweep(tmp_path / "s"))
    write_csv(comparison, tmp_path / "comparison.csv")
    read = pd.read_csv(tmp_path / "comparison.csv")
    assert read["mean_px"].iloc[0] == pytest.approx(comparison.table["mean_px"].iloc[0], rel=1e-14)
    assert math.isnan(read["mean_px_sd"].iloc[0])
    assert {"bpd_mae_mm_low", "bpd_mae_mm_high", "undecoded_rate", "train_seconds"} <= set(read.columns)


def test_the_csv_of_pairs_holds_full_precision(three_models: Path, tmp_path: Path) -> None:
    comparison = compare(read_sweep(three_models))
    write_pairs(comparison, tmp_path / "pairs.csv")
    read = pd.read_csv(tmp_path / "pairs.csv")
    pd.testing.assert_frame_equal(read, comparison.pairs.table, check_dtype=False, rtol=1e-14)
    assert len(read) == 4 * 5


def test_success_rates_that_read_alike_are_both_the_best() -> None:
    column = next(column for column in COLUMNS if column.figure == "sdr_2mm")
    rates = [{f"sdr_{mm}mm": rate for mm, rate in enumerate(row, start=1)} for row in
             ((0.5, 0.8001, 0.95, 0.99), (0.52, 0.7999, 0.95, 0.99), (0.9, 0.7, 0.95, 0.99))]  # fmt: skip
    assert best_rows(rates, column) == {0, 1}


def test_escaping_leaves_ordinary_names_alone() -> None:
    assert escape("H1 single_hourglass optim.lr=0.1") == "H1 single_hourglass optim.lr=0.1"
    assert escape("a\r\nb & `c`") == r"a / b &amp; \`c\`"


@pytest.mark.parametrize(("seconds", "text"), [(45.0, "45 s"), (1080.0, "18 min"), (9000.0, "2.5 h"), (math.nan, "–")])
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text
