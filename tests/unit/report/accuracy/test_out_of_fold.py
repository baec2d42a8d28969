"""`out_of_fold.py`: every image by the fold that did not see it, held against the targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from fetal_lm.biometry import diameters
from fetal_lm.report.pooling import out_of_fold
from fetal_lm.report.statistics import Interval
from fetal_lm.report.sweep import read_sweep

from .conftest import FOLDER, MM_PER_PX, MakeSweep, Modules, hc18_csv, head, stretched


def test_the_figures_by_hand(make_sweep: MakeSweep, modules: Modules) -> None:
    # OFD 2 px too long (1 mm), BPD 1 px (0.5 mm); one head has an OFD that is a fifth too long, one no BPD.
    lengths = {number: (2.0, 1.0) for number in range(20)} | {19: (0.2 * 200 * (0.5 + 19 / 40), 1.0)}

    def predict(number: int, seed: int) -> np.ndarray:
        points = stretched(number, *lengths[number])
        if number == 0:
            points[2] = np.nan
        return points

    (pooled,) = out_of_fold(read_sweep(make_sweep("s", predict)))
    table = modules["out_of_fold"].rows(pooled).set_index(["heads", "figure"])
    of_all = table.loc["all"]
    scale = 0.5 + np.arange(20) / 40
    ofd_mm = np.array([1.0] * 19 + [0.2 * 100 * scale[19]])
    # What is not decoded is charged whole: 50 mm and its circumference, times the smallest scale.
    bpd_mm = np.array([50 * scale[0]] + [0.5] * 19)
    truth = [diameters(head(number), MM_PER_PX)["hc"] for number in range(20)]
    found = [diameters(stretched(number, *lengths[number]), MM_PER_PX)["hc"] for number in range(20)]
    hc_mm = np.abs(np.array(found) - np.array(truth))
    hc_mm[0] = truth[0]
    expected = {
        "hc_mae_mm": hc_mm.mean(),
        "bpd_mae_mm": bpd_mm.mean(),
        "ofd_mae_mm": ofd_mm.mean(),
        "bpd_nme": (bpd_mm / (50 * scale)).mean(),
        "ofd_nme": (ofd_mm / (100 * scale)).mean(),
        "found": 18 / 20,
    }
    assert of_all["value"][list(expected)].to_dict() == pytest.approx(expected)
    # Of each pair one end is right; the miss, an end that would be, is charged more than all others.
    errors_mm = [0.0] * 39 + [0.5] * 20 + [1.0] * 19 + [ofd_mm[19], 999.0]
    assert len(errors_mm) == 80
    assert of_all["value"]["median_mm"] == pytest.approx(np.median(errors_mm))
    assert of_all["verdict"].to_dict() == {
        "hc_mae_mm": "missed",
        "bpd_mae_mm": "missed, interval reaches it",
        "ofd_mae_mm": "missed, interval reaches it",
        "bpd_nme": "missed",
        "ofd_nme": "missed, interval reaches it",
        "bpd_endpoint_nme": "",
        "ofd_endpoint_nme": "",
        "median_mm": "met",
        "found": "missed, interval reaches it",
    }
    # Thirds of 20 images, the smallest first.
    assert table["images"].groupby("heads").first().to_dict() == {"all": 20, "small": 7, "middle": 6, "large": 7}
    assert table["value"]["small", "bpd_mae_mm"] == pytest.approx(bpd_mm[:7].mean())
    assert table["value"]["middle", "bpd_mae_mm"] == pytest.approx(0.5)
    assert table["value"]["large", "ofd_mae_mm"] == pytest.approx(ofd_mm[13:].mean())
    assert table["verdict"]["middle", "bpd_mae_mm"] == "met"
    assert table["value"]["large", "found"] == pytest.approx(6 / 7)
    # Three examinations without a gross error prove little.
    all_found = table.loc["middle", "found"]
    assert (all_found["value"], all_found["low"]) == (1.0, pytest.approx(0.025 ** (1 / all_found["examinations"])))
    assert all_found["verdict"] == "met, interval reaches beyond"


@pytest.mark.parametrize(
    ("figure", "value", "interval", "verdict"),
    [
        ("hc_mae_mm", 1.70, (1.5, 1.70), "met"),
        ("hc_mae_mm", 1.69, (1.5, 1.71), "met, interval reaches beyond"),
        ("hc_mae_mm", 1.71, (1.69, 1.9), "missed, interval reaches it"),
        ("hc_mae_mm", 1.80, (1.71, 1.9), "missed"),
        ("found", 0.99, (0.99, 1.0), "met"),
        ("found", 0.995, (0.98, 1.0), "met, interval reaches beyond"),
        ("found", 0.98, (0.97, 0.99), "missed, interval reaches it"),
        ("found", 0.98, (0.97, 0.985), "missed"),
        ("hc_mae_mm", np.nan, (np.nan, np.nan), ""),
        ("bpd_endpoint_nme", 0.01, (0.0, 0.02), ""),
    ],
)
def test_verdicts(modules: Modules, figure: str, value: float, interval: tuple[float, float], verdict: str) -> None:
    (target,) = (target for target in modules["targets"].TARGETS if target.figure == figure)
    assert target.verdict(value, Interval(*interval)) == verdict


def test_the_targets_are_those_of_the_readme(modules: Modules) -> None:
    limits = {target.figure: target.limit for target in modules["targets"].TARGETS if target.limit is not None}
    assert limits == {
        "hc_mae_mm": 1.70,
        "bpd_mae_mm": 0.55,
        "ofd_mae_mm": 1.20,
        "bpd_nme": 0.012,
        "ofd_nme": 0.017,
        "median_mm": 1.30,
        "found": 0.99,
    }
    table = (FOLDER / "README.md").read_text().split("| ---: |\n")[1].split("\n\n")[0]
    said = [float(line.split("|")[2].split()[0]) for line in table.splitlines()]
    assert said == [1.70, 0.55, 1.20, 0.012, 0.017, 1.3, 99.0]


def test_out_of_fold_whole(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make_sweep("s", lambda number, seed: stretched(number, 2.0 + 2 * seed, 1.0), seeds=(0, 1))
    root = hc18_csv(tmp_path / "hc18", extra_mm=10.0)
    modules["out_of_fold"].main(sweep, root=root, output=tmp_path / "with")
    official = capsys.readouterr().out
    modules["out_of_fold"].main(sweep, root=None, output=tmp_path / "without")
    by_points = capsys.readouterr().out
    tables = {name: pd.read_csv(tmp_path / name / "out_of_fold.csv") for name in ("with", "without")}
    for table in tables.values():
        assert len(table) == (4 + 2) * 9
        groups = table.groupby(["seed", "heads"], sort=False).size().index.tolist()
        assert groups == [("mean", "all"), *(("mean", name) for name in ("small", "middle", "large")), ("0", "all"),
                          ("1", "all")]  # fmt: skip
        of_all = table[table["heads"] == "all"].set_index(["figure", "seed"])["value"]
        assert of_all["ofd_mae_mm"].to_dict() == pytest.approx({"mean": 1.5, "0": 1.0, "1": 2.0})
        assert of_all["hc_mae_mm"]["mean"] == pytest.approx((of_all["hc_mae_mm"]["0"] + of_all["hc_mae_mm"]["1"]) / 2)
    hc = {name: table[table["figure"] == "hc_mae_mm"]["value"].iloc[0] for name, table in tables.items()}
    # The prediction is too long, and so is the CSV's truth, by more.
    assert hc["with"] == pytest.approx(10.0 - hc["without"], abs=1e-5)
    assert set(tables["with"]["hc_truth"]) == {"HC18's CSV"}
    assert "HC is held against the head circumference of HC18's CSV" in official
    assert "10.00 mm off the CSV's on average" in official
    assert "HC is held against Ramanujan's circumference of the true points" in by_points
    assert "20 images, 10 examinations, mean of 2 seeds" in official
    assert "| OFD, mean absolute error, mm | at most 1.20 | 1.50 [1.50, 1.50] missed |" in official
    assert "| 1.00 [1.00, 1.00] **met** | 2.00 [2.00, 2.00] missed |" in official
    assert (tmp_path / "with" / "out_of_fold.png").stat().st_size > 10_000


def test_out_of_fold_refuses_in_words(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = make_sweep("s", lambda number, _: head(number), folds=(0, 1, 2, 4))
    with pytest.raises(typer.Exit) as stopped:
        modules["out_of_fold"].main(sweep, root=None, output=tmp_path / "out")
    assert stopped.value.exit_code == 2
    assert "H1 single_hourglass, seed 0: expected every fold, but fold 3 is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
