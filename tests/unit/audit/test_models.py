"""Only models that never saw a head speak about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.audit.models import read_cross_fitted
from fetal_lm.data.manifest import write_manifest
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.data.splits import Split
from fetal_lm.errors import InputError
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])
SIZE = (200, 400)


def label(image: str, points: np.ndarray = HEAD) -> LabelRow:
    return LabelRow(image, 2, image.split("_")[0], "", None, points, 0.5)


@pytest.fixture
def make_run(tmp_path: Path, make_row: Callable[..., RunRow]) -> Callable[..., Path]:
    """Writes a finished run that predicts some images and was trained and selected on others."""

    def make(
        number: int, predicted: Mapping[str, np.ndarray], train: Mapping[str, str], val: Mapping[str, str] | None = None
    ) -> Path:
        folder = tmp_path / "sweep" / str(number)
        records = [Record(image, image.split("_")[0], SIZE, HEAD, 0.5) for image in predicted]
        table = prediction_table(records, {"heatmap": np.stack(list(predicted.values()))})
        folder.mkdir(parents=True)
        write_predictions(table, folder / "predictions.csv")
        fitted = [Record(image, of, SIZE, HEAD, 0.5) for part in (train, val or {}) for image, of in part.items()]
        trained, selected = range(len(train)), range(len(train), len(fitted))
        split = Split(tuple(trained), tuple(selected), tuple(range(len(fitted), len(fitted) + len(records))))
        write_manifest(folder / "split.json", split, [*fitted, *records], archive="challenge", contents={})
        row = make_row(table, fold=number, data="challenge")
        write_row(row, folder / "row.json")
        return folder.parent

    return make


def test_a_run_speaks_about_heads_that_it_never_saw(make_run) -> None:
    shifted = np.add(HEAD, [400 * 10 / 256, 0.0])
    folder = make_run(0, {"1_HC.png": shifted, "2_HC.png": HEAD}, {"3_HC.png": "3"}, {"4_HC.png": "4"})
    models = read_cross_fitted(folder)
    disagreement = models.disagreement(label("1_HC.png"))
    assert disagreement is not None
    assert disagreement.distance_px == pytest.approx(10)
    assert disagreement.exchange_gain_px < -20
    exchanged = models.disagreement(label("1_HC.png", HEAD[[3, 2, 0, 1]]))
    assert exchanged is not None
    assert exchanged.distance_px == pytest.approx(10)
    assert exchanged.exchange_gain_px == pytest.approx(-disagreement.exchange_gain_px)
    assert models.disagreement(label("9_HC.png")) is None
    assert models.disagreement(label("2_HC.png", np.full((4, 2), np.nan))) is None
    assert (models.rows, models.refused, models.undecoded) == (2, 0, 0)


def test_names_that_models_learnt_from_a_faulty_source_are_not_believed(make_run) -> None:
    exchanged = HEAD[[3, 2, 0, 1]]
    models = read_cross_fitted(make_run(0, {"1_HC.png": exchanged}, {"3_HC.png": "3"}))
    repeated, right = models.disagreement(label("1_HC.png", exchanged)), models.disagreement(label("1_HC.png"))
    assert repeated is not None
    assert right is not None
    assert repeated.exchange_gain_px > 20
    assert right.exchange_gain_px < -20
    assert repeated.distance_px == right.distance_px == 0


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("seen", ["1_HC.png", "1_2HC.png"])
def test_a_run_that_saw_the_examination_is_refused_and_counted(make_run, part: str, seen: str) -> None:
    parts = {"train": {"3_HC.png": "3"}, "val": {"4_HC.png": "4"}}
    parts[part] = {seen: "1"}
    models = read_cross_fitted(make_run(0, {"1_HC.png": HEAD}, **parts))
    assert models.disagreement(label("1_HC.png")) is None
    assert (models.rows, models.refused) == (0, 1)


def test_a_source_that_names_no_examination_still_refuses_its_own_image(make_run) -> None:
    models = read_cross_fitted(make_run(0, {"1_HC.png": HEAD}, {"1_HC.png": ""}))
    assert models.disagreement(LabelRow("1_HC.png", 2, "", "", None, HEAD, 0.5)) is None
    assert models.refused == 1


def test_several_runs_are_asked_and_the_middle_one_counts(make_run) -> None:
    for number, shift_px in enumerate((4.0, 8.0, 90.0)):
        folder = make_run(number, {"1_HC.png": np.add(HEAD, [0.0, shift_px * 200 / 256])}, {"3_HC.png": "3"})
    make_run(3, {"1_HC.png": np.add(HEAD, [0.0, 150.0])}, {"1_2HC.png": "1"})
    models = read_cross_fitted(folder)
    disagreement = models.disagreement(label("1_HC.png"))
    assert disagreement is not None
    assert (disagreement.runs, models.refused) == (3, 1)
    assert disagreement.distance_px == pytest.approx(8)


def test_an_undecoded_landmark_is_no_opinion(make_run) -> None:
    undecoded = HEAD.copy()
    undecoded[1] = np.nan
    models = read_cross_fitted(make_run(0, {"1_HC.png": undecoded}, {"3_HC.png": "3"}))
    assert models.disagreement(label("1_HC.png")) is None
    assert models.undecoded == 1


def test_a_run_without_a_readable_split_is_left_out_and_named(make_run) -> None:
    make_run(0, {"1_HC.png": np.add(HEAD, [100.0, 0.0])}, {"3_HC.png": "3"})
    folder = make_run(1, {"1_HC.png": HEAD}, {"3_HC.png": "3"})
    (folder / "0" / "split.json").write_text('{"train": 3}')
    models = read_cross_fitted(folder)
    assert models.runs == ["1"]
    assert len(models.problems) == 1
    assert "split.json" in models.problems[0]
    disagreement = models.disagreement(label("1_HC.png"))
    assert disagreement is not None
    assert disagreement.distance_px == 0
    (folder / "1" / "split.json").unlink()
    with pytest.raises(InputError, match=r"split\.json"):
        read_cross_fitted(folder)
