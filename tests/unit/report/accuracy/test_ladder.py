"""`ladder.py`: what each change gains, and which rungs are kept."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import typer

from .conftest import IMAGES, MakeSweep, Modules, head, stretched


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
