"""What the page holds, without a browser."""

from __future__ import annotations

import base64
import json
import pickle
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fetal_lm.errors import InputError
from fetal_lm.report.command import report_sweep
from fetal_lm.report.comparison import compare
from fetal_lm.report.heatmaps import read_heatmaps
from fetal_lm.report.page import document, heatmaps
from fetal_lm.report.page.cases import cases_of
from fetal_lm.report.page.heatmaps import heatmap_data
from fetal_lm.report.page.selections import selections
from fetal_lm.report.page.series import series_of
from fetal_lm.report.page.thumbnails import thumbnails
from fetal_lm.report.sweep import read_sweep


@pytest.fixture(autouse=True)
def small_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "get_plotlyjs", lambda: "/* '</script>' */")


def page_of(folder: Path) -> str:
    sweep = read_sweep(folder)
    return document.page(compare(sweep), sweep)


def data_of(html: str, name: str = "data") -> Any:
    (found,) = re.findall(f'<script type="application/json" id="{name}">(.*?)</script>', html, flags=re.DOTALL)
    return json.loads(found)


def give_images(folder: Path, names: tuple[str, ...] = ("a.png", "b.png")) -> None:
    """Images of the size that the runs say, and a configuration that says where."""
    images = folder.parent / "data" / "training_set"
    images.mkdir(parents=True)
    for number, name in enumerate(names):
        grey = np.random.default_rng(number).integers(0, 255, (200, 400), dtype=np.uint8)
        cv2.imwrite(str(images / name), grey)
    for run in folder.iterdir():
        if run.is_dir():
            (run / "config.yaml").write_text(
                f"data:\n  source:\n    _target_: fetal_lm.data.adapters.hc18.Hc18\n    root: {images.parent}\n"
            )


def test_the_data_are_those_of_the_runs(three_models: Path) -> None:
    data = data_of(page_of(three_models))
    assert [one["label"] for one in data["series"]] == [
        "H1 single_hourglass",
        "H2 hybrid_hourglass (coordinate)",
        "H2 hybrid_hourglass (heatmap)",
        "H3 stacked_hourglass",
    ]
    assert len(data["predictions"]["item"]) == 16
    assert data["images"]["name"] == ["a.png", "b.png"]
    assert data["images"]["truth"][0] == [100, 100, 300, 100, 200, 50, 200, 150]
    # Shifted by 2 px of 400 in width: 1.28 px of 256, 1 mm.
    assert data["predictions"]["points"][0] == [102, 100, 302, 100, 202, 50, 202, 150]
    assert data["predictions"]["error_px"][0] == [1.28] * 4
    assert data["predictions"]["error_mm"][0] == [1.0] * 4
    assert data["agreement"]["all|all|all"]["0"]["bpd"][:3] == [4, 0, 0]


def test_images_are_inside_and_what_cannot_be_read_is_counted(three_models: Path) -> None:
    assert data_of(page_of(three_models), "images") == [None, None]
    assert "2 of 2 images could not be read" in page_of(three_models)
    give_images(three_models)
    html = page_of(three_models)
    assert all(uri.startswith("data:image/webp;base64,") for uri in data_of(html, "images"))
    assert "could not be read" not in html


def test_images_keep_to_their_budget(three_models: Path) -> None:
    give_images(three_models)
    comparison = compare(read_sweep(three_models))
    cases = cases_of(comparison.entries, series_of(comparison.entries))
    whole, _ = thumbnails(cases)
    less, notices = thumbnails(cases, budget_bytes=sum(len(uri or "") for uri in whole) // 2)
    assert sum(len(uri or "") for uri in less) <= sum(len(uri or "") for uri in whole) // 2
    assert None not in less
    assert not notices
    _, notices = thumbnails(cases, budget_bytes=10)
    assert notices == ["The page carries 0 of 2 images; the others do not fit. Their points are shown."]


def test_heatmaps_are_inside_and_what_is_missing_is_counted(three_models: Path, give_heatmaps: Any) -> None:
    html = page_of(three_models)
    assert data_of(html, "heatmaps") == {}
    assert "12 of 12 predictions have no heatmaps to show. The first reason: " in html
    for run in three_models.glob("[0-9]"):
        give_heatmaps(run)
    html = page_of(three_models)
    found = data_of(html, "heatmaps")
    series = data_of(html)["predictions"]["series"]
    # H2's coordinates are not read from heatmaps.
    assert sorted(map(int, found)) == [row for row, number in enumerate(series) if number != 1]
    assert "heatmaps to show" not in html
    one = found["0"]
    assert one["size"] == [128, 128]
    assert one["matrix"] == [3.125, 0, 0, 1.5625, 1.0625, 0.28125]
    picture = cv2.imdecode(
        np.frombuffer(base64.b64decode(one["uri"].split(",")[1]), dtype=np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert picture.shape == (32, 32, 4)
    assert {(int(x), int(y)) for y, x in np.argwhere(picture[..., 3] > 128)} == {(8, 16), (24, 16), (16, 8), (16, 24)}


def test_heatmaps_keep_to_their_budget_and_the_gallery_comes_first(three_models: Path, give_heatmaps: Any) -> None:
    for run in three_models.glob("[0-9]"):
        give_heatmaps(run)
    comparison = compare(read_sweep(three_models))
    series = series_of(comparison.entries)
    cases = cases_of(comparison.entries, series)
    whole, _ = heatmap_data(cases, series)
    size = len(whole["0"]["uri"])
    some, notices = heatmap_data(cases, series, budget_bytes=3 * size)
    assert notices == ["Heatmaps are shown for 3 of 12 predictions, the gallery's first; the others do not fit."]
    # The worst of the first model, which the gallery shows first: its second image at the larger shift of its seed 1.
    assert len(some) == 3
    assert set(some) <= set(whole)
    errors = cases.predictions["mean_px"]
    assert str(errors[cases.predictions["series"] == 0].idxmax()) in some


def test_damaged_heatmaps_are_refused(three_models: Path, give_heatmaps: Any) -> None:
    run = three_models / "0"
    give_heatmaps(run)
    whole = (run / "heatmaps.npz").read_bytes()
    for content in (whole[:200], whole[:70] + b"\xff" * 20 + whole[90:], b"", pickle.dumps(["not", "ours"])):
        (run / "heatmaps.npz").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as heatmaps"):
            read_heatmaps(run / "heatmaps.npz")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"to_orig": np.full((2, 2, 3), np.nan)}, "to_orig: expected finite numbers"),
        ({"to_orig": np.full((2, 2, 3), "1")}, "to_orig: expected finite numbers"),
        ({"maps": np.zeros((2, 4, 0, 0), dtype=np.uint8)}, "maps are empty"),
        ({"maps": np.zeros((2, 0, 8, 8), dtype=np.uint8)}, "maps are uint8 of (2, 0, 8, 8)"),
        ({"images": np.array("a.png")}, "for images of ()"),
        ({"size_net": np.array(128)}, "size_net: expected a height and a width, got 128"),
        ({"size_net": np.array([np.inf, 1.0])}, "size_net: expected a height and a width, got [inf, 1.0]"),
        ({"size_net": np.array([128, 0])}, "size_net: expected a height and a width, got [128, 0]"),
    ],
)
def test_heatmaps_of_impossible_arrays_are_refused(
    tmp_path: Path, give_heatmaps: Any, changed: dict[str, np.ndarray], reason: str
) -> None:
    give_heatmaps(tmp_path)
    path = tmp_path / "heatmaps.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **(arrays | changed))
    with pytest.raises(InputError) as raised:
        read_heatmaps(path)
    assert str(raised.value).startswith(f"{path}: cannot be read as heatmaps (")
    assert reason in str(raised.value)


def test_damaged_heatmaps_are_named_on_the_page(tmp_path: Path, make_run: Any, give_heatmaps: Any) -> None:
    for seed in (0, 1):
        give_heatmaps(make_run(tmp_path / "s" / str(seed), seed=seed))
    path = tmp_path / "s" / "0" / "heatmaps.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **(arrays | {"to_orig": arrays["to_orig"] * np.nan}))
    html = page_of(tmp_path / "s")
    assert f"2 of 4 predictions have no heatmaps to show. The first reason: {path}" in html
    assert len(data_of(html, "heatmaps")) == 2


def test_the_gallery_is_of_the_first_models_and_says_so(
    three_models: Path, give_heatmaps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in three_models.glob("[0-9]"):
        give_heatmaps(run)
    assert "The gallery shows" not in page_of(three_models)
    for module in (document, heatmaps):
        monkeypatch.setattr(module, "GALLERY_MODELS", 2)
    html = page_of(three_models)
    assert "The gallery shows the first 2 of 3 models, in the table&#39;s order; the other 1 would make it slow" in html
    data = data_of(html)
    assert data["galleryModels"] == 2
    # Where not all heatmaps fit, those of models that the gallery leaves out go first.
    comparison = compare(read_sweep(three_models))
    series = series_of(comparison.entries)
    cases = cases_of(comparison.entries, series)
    size = sum(len(one["uri"]) for one in data_of(html, "heatmaps").values())
    kept, _ = heatmap_data(cases, series, budget_bytes=size * 8 // 12)
    assert {series[data["predictions"]["series"][int(row)]].entry for row in kept} == {0, 1}


def test_more_lines_than_can_be_told_apart_have_no_legend_and_the_page_says_so(
    three_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "have no legend" not in page_of(three_models)
    monkeypatch.setattr(document, "LEGEND_LINES", 3)
    html = page_of(three_models)
    assert "The plots of 4 lines have no legend: point at a line to read whose it is." in html
    assert data_of(html)["legendLines"] == 3


def test_a_configuration_runs_no_foreign_code(three_models: Path) -> None:
    for run in three_models.iterdir():
        if run.is_dir():
            (run / "config.yaml").write_text("data:\n  source:\n    _target_: os.system\n    command: exit 1\n")
    assert "got &#39;os.system&#39;" in page_of(three_models)


def test_names_with_html_are_escaped(tmp_path: Path, make_run: Any) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    make_run(tmp_path / "s" / "0", images=(evil + ".png", "b.png"), model=evil, hypothesis="<b>H</b>")
    make_run(tmp_path / "s" / "1", model="other")
    (tmp_path / "s" / "1" / "row.json").unlink()
    (tmp_path / "s" / "1" / "error.txt").write_text(evil)
    html = page_of(tmp_path / "s")
    assert "<img" not in html.lower()
    assert "<b>H" not in html
    assert html.count("</script>") == 5
    assert data_of(html)["images"]["name"][0] == evil + ".png"
    assert "&lt;img src=x" in html


def test_missing_jobs_are_named_and_no_run_is_no_failure(three_models: Path) -> None:
    (three_models / "3" / "row.json").unlink()
    assert "hybrid_hourglass-1" in page_of(three_models)
    for number in range(6):
        (three_models / str(number) / "row.json").unlink(missing_ok=True)
    html = page_of(three_models)
    assert "No run finished that can be compared." in html
    assert "stacked_hourglass-1" in html


def test_nothing_is_fetched(three_models: Path) -> None:
    html = page_of(three_models)
    assert "default-src 'none'" in html
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", html)


def test_runs_beyond_what_a_browser_bears_are_named(three_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = compare(read_sweep(three_models))
    # The first seeds of all models stay, and no model has one more than the others where there would be room.
    cases = cases_of(comparison.entries, series_of(comparison.entries), most=12)
    assert [run.row.seed for run in cases.runs] == [0, 0, 0]
    assert cases.left_out == ("single_hourglass-1", "hybrid_hourglass-1", "stacked_hourglass-1")
    assert len(cases.predictions) == 8


def test_selections(three_models: Path) -> None:
    comparison = compare(read_sweep(three_models))
    cases = cases_of(comparison.entries, series_of(comparison.entries))
    assert len(selections(cases)) == 3 * 4
    assert {selection.key for selection in selections(cases, most=3)} == {
        *("all|all|all", "0|all|all", "1|all|all", "all|all|0", "all|all|1", "all|all|2"),
    }


def test_the_command_writes_it(three_models: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    report_sweep(three_models, tmp_path / "out", html=path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
