"""The study of accuracy: its commands over made sweeps of five folds."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer

from fetal_lm.biometry import diameters
from fetal_lm.data.records import Record
from fetal_lm.report.pooling import out_of_fold
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row
from fetal_lm.report.statistics import Interval
from fetal_lm.report.sweep import read_sweep

from .conftest import HEAD

FOLDER = Path(__file__).parents[3] / "experiments" / "accuracy"
IMAGES = tuple(f"{number // 2:03d}_{'2' * (number % 2)}HC.png" for number in range(20))
"""Of ten examinations, two of each fold."""

MM_PER_PX = 0.5

MakeSweep = Callable[..., Path]
Modules = Mapping[str, ModuleType]


@pytest.fixture
def modules() -> Iterator[Modules]:
    """The files of the study, as Python finds them beside a script."""
    names = [path.stem for path in FOLDER.glob("*.py")]
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            del sys.modules[name]


def head(number: int) -> np.ndarray:
    """The points of an image, larger from one to the next."""
    return HEAD * (0.5 + number / 40)


def stretched(number: int, ofd_px: float, bpd_px: float) -> np.ndarray:
    """The points with both diameters too long, at one end each."""
    points = head(number)
    points[1, 0] += ofd_px
    points[3, 1] += bpd_px
    return points


@pytest.fixture
def make_sweep(tmp_path: Path, make_row: Callable[..., RunRow]) -> MakeSweep:
    """Makes a finished sweep of folds; each image is predicted by a function of its number and the seed."""

    def make(
        name: str,
        predict: Callable[[int, int], np.ndarray],
        folds: Sequence[int] = range(5),
        seeds: Sequence[int] = (0,),
        images: Sequence[int] = range(20),
        **row: Any,
    ) -> Path:
        for place, (seed, fold) in enumerate((seed, fold) for seed in seeds for fold in folds):
            chosen = [number for number in images if number // 2 % 5 == fold]
            records = [
                Record(IMAGES[number], IMAGES[number][:3], (200, 400), head(number), MM_PER_PX) for number in chosen
            ]
            table = prediction_table(records, {"heatmap": np.stack([predict(number, seed) for number in chosen])})
            folder = tmp_path / name / str(place)
            folder.mkdir(parents=True)
            write_predictions(table, folder / "predictions.csv")
            pd.DataFrame({"epoch": [0], "train/loss": [1.0]}).to_csv(folder / "history.csv", index=False)
            (folder / "config.yaml").write_text("data:\n  folds: 5\n")
            about = {"parameters": 1_000_000 + 1000 * fold, **row}
            write_row(make_row(table, seed=seed, fold=fold, **about), folder / "row.json")
        return tmp_path / name

    return make


def hc18_csv(root: Path, extra_mm: float) -> Path:
    """A CSV in HC18's layout whose circumferences are so much longer than those of the points."""
    root.mkdir()
    lengths = [float(diameters(head(number), MM_PER_PX)["hc"]) + extra_mm for number in range(20)]
    rows = [f"{image},{MM_PER_PX},{length:.6f}" for image, length in zip(IMAGES, lengths, strict=True)]
    path = root / "training_set_pixel_size_and_HC.csv"
    path.write_text("\n".join(["filename,pixel size(mm),head circumference (mm)", *rows]) + "\n")
    return root


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


def test_the_ladder_keeps_its_rungs(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_sweep("base", lambda number, _: stretched(number, 4.0, 2.0), seeds=(0, 1))
    # Better by 1 mm with seed 0 alone, on two folds alone.
    better = make_sweep("better", lambda number, _: stretched(number, 2.0, 2.0), folds=(1, 3), train_seconds=500.0)
    best = make_sweep("best", lambda number, _: stretched(number, 2.0, 1.0), folds=(1, 3))
    ladder, output = modules["ladder"].main, tmp_path / "out" / "ladder.png"
    ladder([f"NA={base}", f"better={better}"], against=None, root=None, output=output)
    first = capsys.readouterr().out
    rows = pd.read_csv(output.with_suffix(".csv"), keep_default_na=False).set_index(["rung", "figure"])
    assert list(rows.index.unique("rung")) == ["NA", "better"]
    assert rows.loc["NA"]["against"].tolist() == [""] * 6
    change = rows.loc["better", "ofd_mae_mm"]
    assert (change["against"], change["tested"], change["images"], change["examinations"]) == ("NA", 8, 8, 4)
    assert [float(change[name]) for name in ("value", "difference", "low", "high")] == pytest.approx([1, -1, -1, -1])
    assert (change["seeds"], change["folds"], change["train_seconds"]) == (1, 2, 500.0)
    assert change["parameters"] == pytest.approx(1_002_000)
    assert rows.loc["NA", "ofd_mae_mm"][["seeds", "folds", "tested"]].tolist() == [2, 5, 20]
    assert rows.loc["better", "bpd_mae_mm"]["difference"] in (0, "0.0")
    assert "| better (8 images, seeds 1 x 2 folds) | NA (8 images) |" in first
    assert "| -1.00 [-1.00, -1.00] |" in first

    # A rung that stands on the second one needs no folder of the first, and the second keeps its own difference.
    ladder([f"better={better}", f"best={best}"], against=None, root=None, output=output)
    second = capsys.readouterr().out
    kept = pd.read_csv(output.with_suffix(".csv"), keep_default_na=False).set_index(["rung", "figure"])
    assert list(kept.index.unique("rung")) == ["NA", "better", "best"]
    assert kept.loc[["NA", "better"]].equals(rows)
    assert kept.loc["best", "bpd_mae_mm"]["against"] == "better"
    assert float(kept.loc["best", "bpd_mae_mm"]["difference"]) == pytest.approx(-0.5)
    assert "Outdated" not in second
    assert output.stat().st_size > 10_000

    # Other results of a rung replace its rows in their place, and who was compared with it is named.
    worse = make_sweep("worse", lambda number, _: stretched(number, 6.0, 2.0), folds=(1, 3))
    ladder([f"better={worse}", f"NA={base}"], against="NA", root=None, output=output)
    third = capsys.readouterr().out
    last = pd.read_csv(output.with_suffix(".csv"), keep_default_na=False).set_index(["rung", "figure"])
    assert list(last.index.unique("rung")) == ["NA", "better", "best"]
    assert float(last.loc["better", "ofd_mae_mm"]["difference"]) == pytest.approx(1.0)
    assert "Outdated:** best was compared with other results of its baseline" in third
    assert last.loc[["best"]].equals(kept.loc[["best"]])


def test_the_ladder_refuses_what_cannot_be_paired(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_sweep("base", lambda number, _: head(number), folds=(0, 1))
    fewer = make_sweep("fewer", lambda number, _: head(number), folds=(1,), images=[2, 3, 12])
    apart = make_sweep("apart", lambda number, _: head(number), folds=(2,))
    two = make_sweep("two", lambda number, _: head(number), folds=(0,))
    make_sweep("two/x", lambda number, _: head(number), folds=(0,), model="stacked_hourglass", hypothesis="H3")
    (two / "x" / "0").rename(two / "1")
    (two / "x").rmdir()
    output = tmp_path / "out" / "ladder.png"
    for given, against, message in (
        ([f"a={base}", f"b={fewer}"], None, f"b cannot be compared with a: they are tested on different images (3 and "
         f"4, 3 shared; for example {IMAGES[13]} by one of them alone)"),
        ([f"a={base}", f"b={apart}"], None, "folds 2 and 0, 1; test both on the same fold"),
        ([f"a={base}", f"b={two}"], None, "b: expected one model with one setting"),
        ([f"a={base}", f"b={fewer}"], "c", "--against: expected one of a, b, got 'c'; give its sweep too"),
        ([f"a={base}", "b"], None, "expected NAME=FOLDER, got 'b'"),
    ):  # fmt: skip
        with pytest.raises(typer.Exit) as stopped:
            modules["ladder"].main(given, against=against, root=None, output=output)
        assert stopped.value.exit_code == 2
        assert message in capsys.readouterr().err
    output.parent.mkdir()
    output.with_suffix(".csv").write_text("rung,value\na,1\n")
    with pytest.raises(typer.Exit):
        modules["ladder"].main([f"a={base}"], against=None, root=None, output=output)
    assert "expected the columns rung, model, against" in capsys.readouterr().err


def test_seen_and_unseen_side_by_side(
    tmp_path: Path,
    make_sweep: MakeSweep,
    make_row: Callable[..., RunRow],
    modules: Modules,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unseen(number: int, _: int) -> np.ndarray:
        return stretched(number, 4.0 + number / 10, 2.0 * (-1) ** number)

    def seen(number: int, _: int) -> np.ndarray:
        return stretched(number, 2.0 + number / 10, 2.0 * (-1) ** (number // 10))

    sweep = make_sweep("sweep", unseen)
    folds = make_sweep("seen", seen)
    table = pd.concat([run.predictions for run in read_sweep(folds).runs], ignore_index=True)
    one = tmp_path / "one" / "0"
    one.mkdir(parents=True)
    write_predictions(table, one / "predictions.csv")
    (one / "config.yaml").write_text("data:\n  folds: 5\n")
    write_row(make_row(table, fold=None, test_images_seen=20), one / "row.json")
    modules["seen"].main(sweep, one.parent, root=None, output=tmp_path / "out")
    printed = capsys.readouterr().out
    # 4 and 2 px too long, at 0.5 mm, and a little more from image to image: the same order of all, 1 mm apart.
    assert re.search(r"\| OFD \| 1.00 \| 2.4[78] \[.*\] \| 1.4[78] \[.*\] \| 1.00 \[1.00, 1.00\] \|", printed)
    assert "| BPD | 0.00 | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [" in printed
    assert "| OFD, mean absolute error, mm | 1.20 | 2.4" in printed
    assert (tmp_path / "out" / "seen.png").stat().st_size > 10_000

    write_row(make_row(table, fold=None, test_images_seen=12), one / "row.json")
    with pytest.raises(typer.Exit):
        modules["seen"].main(sweep, one.parent, root=None, output=tmp_path / "out")
    assert "expected weights that were trained on all 20 images, but these had seen 12" in capsys.readouterr().err
    with pytest.raises(typer.Exit):
        modules["seen"].main(sweep, sweep, root=None, output=tmp_path / "out")
    assert "expected one run that saw every image, got 5" in capsys.readouterr().err
    write_row(make_row(table, fold=None, test_images_seen=20, model="stacked_hourglass"), one / "row.json")
    with pytest.raises(typer.Exit):
        modules["seen"].main(sweep, one.parent, root=None, output=tmp_path / "out")
    assert "expected a run of single_hourglass, like the folds, got stacked_hourglass" in capsys.readouterr().err
    renamed = table.replace({"image": {IMAGES[0]: "another.png"}})
    write_predictions(renamed, one / "predictions.csv")
    write_row(make_row(renamed, fold=None, test_images_seen=20), one / "row.json")
    with pytest.raises(typer.Exit):
        modules["seen"].main(sweep, one.parent, root=None, output=tmp_path / "out")
    assert f"but 2 are in one of the two alone, for example {IMAGES[0]}" in capsys.readouterr().err


def test_mean_heads(modules: Modules) -> None:
    mean_heads = modules["ensemble"].mean_heads
    lying = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, -3.0], [5.0, 3.0]])
    upright = np.array([[5.0, -7.0], [5.0, 7.0], [2.0, 0.0], [8.0, 0.0]])
    # Half way between, as long as both on average, wherever an end is called the first.
    along, across = 6 / np.sqrt(2), 3 / np.sqrt(2)
    between = [[5 - along, -along], [5 + along, along], [5 - across, -across], [5 + across, across]]
    turned = lying + np.array([[0, -0.5], [0, 0.5], [0.2, 0], [-0.2, 0]])
    lost = np.full((4, 2), np.nan)
    no_ofd, no_bpd = lying.copy(), lying[[1, 0, 3, 2]]
    no_ofd[1], no_bpd[2] = np.nan, np.nan
    for seeds, expected in (
        ([lying, upright], between),
        ([lost, lying, lying[[1, 0, 3, 2]]], lying),
        ([lying, lying[[1, 0, 2, 3]]], lying),
        ([no_ofd, no_bpd, lying], [*no_bpd[:2], *lying[2:]]),
        ([lost, lost], lost),
        ([turned, turned[[1, 0, 3, 2]]], turned),
    ):
        np.testing.assert_allclose(mean_heads(np.stack(seeds)[:, None])[0], expected, atol=1e-9)


def test_seeds_averaged(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    # The seeds' OFD are 2 and 4 px too long and too short, their BPD both 1 px too long; the second names ends the
    # other way round, and does not find the BPD of one head.
    def predict(number: int, seed: int) -> np.ndarray:
        points = stretched(number, 4.0 if seed == 0 else -2.0, 1.0)
        if seed == 1:
            points = points[[1, 0, 3, 2]]
            if number == 3:
                points[2] = np.nan
        return points

    root = hc18_csv(tmp_path / "hc18", extra_mm=10.0)
    two = make_sweep("two", predict, seeds=(0, 1))
    modules["ensemble"].main(two, root=root)
    printed = capsys.readouterr().out
    # 2 and 1 mm off, the mean 0.5.
    ofd, bpd = (re.findall(rf"\| {name}, mean absolute error, mm \|.*", printed)[0] for name in ("OFD", "BPD"))
    assert ofd.endswith("| 1.20 | 1.50 [1.50, 1.50] | 0.50 [0.50, 0.50] | -1.00 [-1.00, -1.00] |")
    # Of the head of image 3, whose BPD is 0.575 x 100 px, one seed's is charged whole and the mean is the other's.
    alone = (39 * 0.5 + 0.575 * 50) / 40
    assert f"| 0.55 | {alone:.2f} [" in bpd
    assert "| 0.50 [0.50, 0.50] | " in bpd
    assert f"{0.5 - alone:+.2f} [" in bpd
    # HC is held against the CSV's, which the mean head is 10 mm shorter than, less what both diameters are too long.
    assert re.search(r"\| HC, mean absolute error, mm \| 1.70 \| .* \| 8\.4\d \[8\.\d\d, 8\.\d\d\] \| ", printed)
    assert re.search(r"\| landmarks, median error, mm \| 1.30 \| .* \|  \|", printed)

    # Millimetres are those of the images whose spacing is known.
    for path in two.glob("*/predictions.csv"):
        table = pd.read_csv(path)
        blank = table["image"] == IMAGES[3]
        table.loc[blank, [name for name in table if name.endswith("_mm") or "_mm_" in name]] = np.nan
        table.loc[blank, "mm_per_px"] = np.nan
        table.to_csv(path, index=False)
    modules["ensemble"].main(two, root=None)
    assert "| BPD, mean absolute error, mm | 0.55 | 0.50 [0.50, 0.50] | 0.50 [0.50, 0.50] | +0.00 [" in (
        capsys.readouterr().out
    )
    with pytest.raises(typer.Exit):
        modules["ensemble"].main(make_sweep("one", predict), root=None)
    assert "expected several seeds of H1 single_hourglass (heatmap), got one" in capsys.readouterr().err


def test_repeatability_tells_labels_errors_from_predictions(modules: Modules) -> None:
    of = modules["repeatability"]
    draws = np.random.default_rng(0)
    # Heads of 40 to 90 mm whose frames truly differ by 2 mm.
    frames = draws.integers(2, 4, 4000)
    head_mm = np.repeat(draws.uniform(40, 90, len(frames)), frames)
    true_mm = head_mm + draws.normal(0, 2, len(head_mm))
    labelled_mm = true_mm + draws.normal(0, 0.8, len(head_mm))
    alike_mm = np.repeat(draws.normal(0, 0.5, len(frames)), frames)

    def table(slope: float) -> pd.DataFrame:
        predicted_mm = head_mm + slope * (true_mm - head_mm) + alike_mm + draws.normal(0, 0.3, len(head_mm))
        owners = np.repeat([str(number) for number in range(len(frames))], frames)
        return pd.DataFrame({"examination": owners, "true_bpd_mm": labelled_mm, "bpd_mm": predicted_mm})

    for slope in (1.0, 0.9):
        sums = of.sums([table(slope)], "bpd_mae_mm")
        assert sums.images.sum() == len(head_mm)
        found = of.errors(type(sums)(*map(np.sum, sums)), slope)
        assert found.labels == pytest.approx(0.8, abs=0.03)
        assert found.predictions == pytest.approx(0.3, abs=0.05)
        assert found.alike == pytest.approx(0.5, abs=0.05)
        every = np.hypot(np.hypot(0.8, 0.3), 0.5 if slope == 1 else np.hypot(0.5, 0.2))
        assert found.found == pytest.approx(every, abs=0.03)
        assert found.share == pytest.approx(0.8 / every, abs=0.04)
        for value, (low, high) in zip(found, of.intervals(sums, slope, resamples=200), strict=True):
            assert low < value < high < low + 0.2
    # Two seeds, each of which predicts as well; 1 / (40 x 90) is the mean of 1 / mm^2 over such heads.
    sums = of.sums([table(1.0), table(1.0)], "bpd_nme")
    found = of.errors(type(sums)(*map(np.sum, sums)))
    assert found.labels == pytest.approx(0.8 / 60, rel=0.05)
    assert found.predictions == pytest.approx(0.3 / 60, rel=0.2)


def test_repeatability_whole(
    tmp_path: Path, make_sweep: MakeSweep, modules: Modules, capsys: pytest.CaptureFixture[str]
) -> None:
    main = modules["repeatability"].main

    # The frames of a head are 5 px of OFD apart. Of every second head the first is predicted 2 px longer, of the others
    # the second, so that the error has nothing to do with the truth.
    def predict(number: int, _: int) -> np.ndarray:
        return stretched(number, 2.0 * (number % 4 in (0, 3)), 0.0)

    sweep = make_sweep("sweep", predict)
    main(sweep, root=None, slope=1.0, without=0, output=tmp_path)
    printed = capsys.readouterr().out
    assert "10 examinations of two frames or more, 20 images" in printed
    (row,) = re.findall(r"\| OFD, mean absolute error, mm \|.*", printed)
    labels, predictions, alike, rms, slopes, found, least, target = (cell.strip() for cell in row.split("|")[2:-1])
    # Of each head the two errors are 0 and 1 mm: a variance of 0.5 within it, and a mean that is 0.5 mm off.
    assert labels.startswith("0.00 [0.00, ")
    assert predictions.startswith(f"{np.sqrt(0.5):.2f} [")
    assert alike.startswith("0.00 [")
    assert rms == f"{np.sqrt(0.5):.2f}"
    assert slopes == f"1.00 to {1 + 0.5 / (2.5**2 / 2):.2f}"
    assert found.startswith("0.50 [")
    assert least.startswith("0.00 [0.00, ")
    assert target == "1.20"
    assert (tmp_path / "repeatability.png").stat().st_size > 10_000

    # What is not measured is left out, with the only frame beside it.
    lost = make_sweep("lost", lambda number, seed: predict(number, seed) * (np.nan if number == 7 else 1.0))
    main(lost, root=None, slope=1.0, without=2, output=tmp_path)
    assert "7 examinations of two frames or more, 14 images" in capsys.readouterr().out
    with pytest.raises(typer.Exit):
        main(lost, root=None, slope=1.0, without=8, output=tmp_path)
    assert "two examinations or more with two measured frames, got 9, of which 8 are left" in capsys.readouterr().err
    single = make_sweep("single", lambda number, _: head(number), images=range(0, 20, 2))
    with pytest.raises(typer.Exit):
        main(single, root=None, slope=1.0, without=0, output=tmp_path)
    assert "with two measured frames, got 0, of which 0 are left out" in capsys.readouterr().err
