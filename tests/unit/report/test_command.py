"""The report as a whole: what is printed, written and returned."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image as mpl_image
from rich.console import Console

from fetal_lm.errors import InputError
from fetal_lm.report import tables
from fetal_lm.report.command import report_sweep

FILES = {
    "comparison.md",
    "comparison.csv",
    "comparison.tex",
    "comparison_pairs.csv",
    "agreement.csv",
    "agreement.tex",
    "differences.png",
    "learning_curves.png",
    "error_distribution.png",
    "predictions.png",
}


def report(folder: Path, output: Path | None = None) -> tuple[int, str]:
    """The exit code and what was printed, on a stream that is no terminal."""
    stream = io.StringIO()
    return report_sweep(folder, output, Console(file=stream)), stream.getvalue()


def test_a_whole_sweep(three_models: Path) -> None:
    mpl_image.imsave(three_models / "0" / "overlay.png", np.zeros((20, 30, 3)))
    code, text = report(three_models)
    assert code == 0
    assert {path.name for path in (three_models / "report").iterdir()} == FILES
    for name in FILES:
        assert f"wrote {three_models / 'report' / name}\n" in text
    assert "NOT A FAIR" not in text
    # A pipe has no width; the table must not be folded to 80 columns.
    assert any(80 < len(line.rstrip()) <= 120 for line in text.splitlines() if "H1 single_hourglass" in line)


def test_a_missing_job_is_named_and_the_others_are_shown(three_models: Path, tmp_path: Path) -> None:
    (three_models / "3" / "row.json").unlink()
    (three_models / "3" / "run.log").write_text("RuntimeError: [bold]out of memory\n")
    code, text = report(three_models, tmp_path / "out")
    assert code == 1
    assert "MISSING: hybrid_hourglass-1" in text
    assert "RuntimeError: [bold]out of memory" in text
    assert "NOT A FAIR COMPARISON: Models have different seeds" in text
    for label in ("H1 single_hourglass", "H2 hybrid_hourglass", "H3 stacked_hourglass"):
        assert label in text
    assert "hybrid_hourglass-1" in (tmp_path / "out" / "comparison.md").read_text()


def test_nothing_survived(three_models: Path) -> None:
    for number in range(6):
        (three_models / str(number) / "row.json").unlink()
    code, text = report(three_models)
    assert code == 1
    assert "finished" in text
    assert text.count("MISSING: ") == 6
    assert {path.name for path in (three_models / "report").iterdir()} == {"comparison.md"}


def test_a_picture_of_an_earlier_report_is_removed(three_models: Path) -> None:
    stale = three_models / "report" / "predictions.png"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    _, text = report(three_models)
    assert not stale.exists()
    assert "predictions.png" not in text


def test_the_same_sweep_gives_the_same_files(three_models: Path, tmp_path: Path) -> None:
    report(three_models, tmp_path / "a")
    report(three_models, tmp_path / "b")
    for name in sorted(name for name in FILES if not name.endswith(".png")):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_empty_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run in this folder"):
        report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_bad_input(three_models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the report"):
        report(three_models, tmp_path / "file")


def test_a_full_disk_leaves_nothing_half_written(three_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "write_csv", full)
    with pytest.raises(InputError, match="No space left on device"):
        report(three_models)
    assert {path.name for path in (three_models / "report").iterdir()} == {"comparison.md"}
