"""The page in a real browser: what appears after a click, a sort, a filter and a key."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.report.comparison import compare
from fetal_lm.report.page import document
from fetal_lm.report.page.document import write_page
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row
from fetal_lm.report.sweep import read_sweep

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium in PATH (Debian: apt-get install chromium)")
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # A container's root has no sandbox; the page is our own.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextmanager
def opened_page(browser: Any, folder: Path) -> Iterator[Any]:
    """The page of a sweep in a tab of its own; at the end no script has complained."""
    sweep = read_sweep(folder)
    path = folder / "page.html"
    write_page(compare(sweep), sweep, path)
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(path.as_uri())
    yield opened
    opened.close()
    assert not errors


@pytest.fixture
def page(browser: Any, three_models: Path, give_heatmaps: Callable[[Path], None]) -> Iterator[Any]:
    for run in three_models.glob("[0-9]"):
        give_heatmaps(run)
    with opened_page(browser, three_models) as opened:
        yield opened


@pytest.fixture
def two_folds(tmp_path: Path, make_row: Callable[..., RunRow]) -> Path:
    """One model on phantom heads, which have images, six in each of two folds."""
    records = Phantom(seed=0, images=12).records()
    for fold in (0, 1):
        tested = records[6 * fold : 6 * fold + 6]
        truth = np.stack([record.points_orig for record in tested])
        table = prediction_table(tested, {"heatmap": truth + np.random.default_rng(fold).normal(0, 4, truth.shape)})
        folder = tmp_path / "folds" / str(fold)
        folder.mkdir(parents=True)
        write_predictions(table, folder / "predictions.csv")
        write_row(make_row(table, fold=fold, split_digest=str(fold)), folder / "row.json")
        source = "_target_: fetal_lm.data.adapters.phantom.Phantom, seed: 0, images: 12"
        (folder / "config.yaml").write_text(f"data: {{source: {{{source}}}}}\n")
    return tmp_path / "folds"


def wait_until(page: Any, condition: str) -> None:
    """Asks again and again; playwright's own `wait_for_function` evaluates strings, which the page's policy forbids."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < until, condition
        page.wait_for_timeout(50)


def plot(page: Any, name: str) -> Any:
    page.locator(f"#{name}").scroll_into_view_if_needed()
    wait_until(page, f"document.getElementById('{name}').data?.length > 0")
    return page.locator(f"#{name}")


def test_a_click_on_a_point_shows_its_image(page: Any) -> None:
    plot(page, "sizes")
    # The row of the point drawn last lies on top.
    row = page.evaluate("document.getElementById('sizes').data.at(-1).customdata.at(-1)")
    page.locator("#sizes .scatterlayer .trace").last.locator(".point").last.click(force=True)
    page.wait_for_selector("#case[open]")
    assert page.locator("#case").get_attribute("data-row") == str(row)
    assert page.locator("#case-title").text_content() == page.evaluate(f"nameOf({row})")
    page.keyboard.press("Escape")
    assert page.locator("#case[open]").count() == 0


def test_a_point_of_the_agreement_shows_its_picture_and_folds_and_sizes_choose_points(
    browser: Any, two_folds: Path
) -> None:
    source = Phantom(seed=0, images=12)
    records = {record.image: record for record in source.records()}
    table = pd.concat([run.predictions for run in read_sweep(two_folds).runs], ignore_index=True)
    large = set(table["image"][table["true_hc_mm"] > table["true_hc_mm"].quantile(2 / 3)])
    second_fold = set(list(records)[6:])
    assert 0 < len(large & second_fold) < len(large) == 4
    with opened_page(browser, two_folds) as page:

        def drawn() -> set[str]:
            rows = "document.getElementById('agreement-hc').data.at(-1).customdata"
            return set(page.evaluate(f"{rows}.map(nameOf)"))

        def listed() -> set[str]:
            return set(page.locator("#list tbody td:first-child").all_text_contents())

        plot(page, "agreement-hc")
        assert drawn() == listed() == set(records)
        name = page.evaluate("nameOf(document.getElementById('agreement-hc').data.at(-1).customdata.at(-1))")
        page.locator("#agreement-hc .scatterlayer .point").last.click(force=True)
        page.wait_for_selector("#case[open]")
        assert page.locator("#case-title").text_content() == name
        for kind in ("truth", "prediction"):
            page.locator(f"#case .draw [data-kind={kind}]").uncheck()
        shot = np.frombuffer(page.locator("#case-picture image").screenshot(), dtype=np.uint8)
        shown = cv2.resize(cv2.imdecode(shot, cv2.IMREAD_GRAYSCALE), (80, 54), interpolation=cv2.INTER_AREA)
        likeness = {
            image: np.corrcoef(
                shown.ravel(), cv2.resize(source.read(record), (80, 54), interpolation=cv2.INTER_AREA).ravel()
            )[0, 1]
            for image, record in records.items()
        }
        assert max(likeness, key=lambda image: likeness[image]) == name
        assert likeness[name] > 0.95
        page.keyboard.press("Escape")

        page.locator("#filters [name=fold]").select_option("1")
        assert page.locator("#shown").text_content() == "6 predictions of 6 images"
        assert listed() == second_fold
        page.locator("#filters [name=size]").select_option("2")
        chosen = large & second_fold
        assert page.locator("#shown").text_content() == f"{len(chosen)} predictions of {len(chosen)} images"
        wait_until(page, f"document.getElementById('agreement-hc').data.at(-1).x.length === {len(chosen)}")
        assert drawn() == listed() == chosen
        cards = page.locator("#gallery .card strong").all_text_contents()
        assert {text.split(": ")[1] for text in cards} == chosen
        assert page.locator("#gallery svg image").count() == len(chosen)
        points = page.locator("#agreement-table tbody td:last-child").all_text_contents()
        assert points == [str(len(chosen))] * 3


def test_the_gallery_is_of_the_first_models_or_of_the_one_that_is_chosen(
    browser: Any, three_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "GALLERY_MODELS", 1)
    with opened_page(browser, three_models) as page:
        assert page.locator("#gallery h3").all_text_contents() == ["H1 single_hourglass"]
        page.locator("#filters [name=series]").select_option("3")
        assert page.locator("#gallery h3").all_text_contents() == ["H3 stacked_hourglass"]
        assert page.locator("#gallery .card").count() == 4
        assert page.locator("#agreement-table tbody tr").count() == 3


@pytest.mark.parametrize(("most", "legends"), [(3, 0), (4, 1)])
def test_a_legend_is_shown_as_long_as_it_tells_lines_apart(
    browser: Any, three_models: Path, monkeypatch: pytest.MonkeyPatch, most: int, legends: int
) -> None:
    monkeypatch.setattr(document, "LEGEND_LINES", most)
    with opened_page(browser, three_models) as page:
        assert plot(page, "distribution").locator(".legend").count() == legends


def test_the_keyboard_reaches_points(page: Any) -> None:
    plot(page, "distribution").focus()
    page.keyboard.press("ArrowRight")
    assert "a.png; H1 single_hourglass, seed 0" in page.locator("#spoken-point").text_content()
    page.keyboard.press("Enter")
    assert page.locator("#case-title").text_content() == "a.png"


def test_a_zoom_does_not_outlive_its_axis(page: Any) -> None:
    plot(page, "distribution")
    shown = "document.getElementById('distribution').layout.xaxis.range"
    whole = page.evaluate(shown)
    page.evaluate("Plotly.relayout('distribution', {'xaxis.range': [0, 1]})")
    page.locator("#distribution-axis").select_option("linear")
    # The same numbers would be 0 to 1 px here; the errors reach 11.
    wait_until(page, f"{shown}[1] > 2")
    page.locator("#distribution-axis").select_option("log")
    wait_until(page, f"Math.abs({shown}[1] - {whole[1]}) < 1e-9")


def test_a_header_sorts_and_turns_the_order(page: Any) -> None:
    def labels() -> list[str]:
        return [text.split()[0] + text.split()[-1] for text in page.locator("#headline tbody th").all_text_contents()]

    header = page.locator("#headline thead th").nth(1)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert labels() == ["H2(heatmap)", "H1(heatmap)", "H2(coordinate)", "H3(heatmap)"]
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert labels() == ["H3(heatmap)", "H2(coordinate)", "H1(heatmap)", "H2(heatmap)"]


def test_filters_choose_points_gallery_and_figures(page: Any) -> None:
    assert page.locator("#shown").text_content() == "16 predictions of 2 images"
    page.locator("#filters [name=series]").select_option("3")
    page.locator("#filters [name=seed]").select_option("1")
    assert page.locator("#shown").text_content() == "2 predictions of 2 images"
    assert page.locator("#gallery h3").all_text_contents() == ["H3 stacked_hourglass"]
    assert page.locator("#list tbody tr").count() == 2
    plot(page, "success")
    wait_until(page, "document.getElementById('success').data.length === 1")
    # H3's second seed is the sixth job, shifted by 7 and 11 px of 0.5 mm.
    assert page.evaluate("document.getElementById('success').data[0].x") == [3.5] * 4 + [5.5] * 4
    assert page.locator("#agreement-table tbody tr").count() == 3
    page.locator("#filters [type=reset]").click()
    wait_until(page, "document.getElementById('shown').textContent === '16 predictions of 2 images'")


def test_the_gallery_shows_what_the_report_calls_worst(page: Any) -> None:
    first = page.locator("#gallery .cards").first.locator(".card strong").first
    assert first.text_content() == "worst: b.png"
    page.locator("section .draw [data-kind=truth]").uncheck()
    assert not page.locator("#gallery svg circle.truth").first.is_visible()
    assert page.locator("#gallery svg path.prediction").first.is_visible()


def test_heatmaps_can_be_laid_over_images(page: Any) -> None:
    shown = page.locator("#gallery svg image.heatmap")
    # Two images of two seeds of the three heatmap branches; the first and last of four are cards, none twice.
    assert shown.count() == 12
    assert not shown.first.is_visible()
    page.locator("section .draw [data-kind=heatmap]").check()
    assert shown.first.is_visible()
    page.locator("#gallery .card").first.click()
    assert page.locator("#case .draw [data-kind=heatmap]").is_checked()
    # The maps cover the whole squashed frame, so that they cover the whole image.
    heatmap, whole = (page.locator(f"#case-picture {part}").bounding_box() for part in ("image.heatmap", "svg"))
    assert all(abs(heatmap[side] - whole[side]) < 1 for side in ("x", "y", "width", "height"))
    page.locator("#case .draw [data-kind=heatmap]").uncheck()
    page.keyboard.press("Escape")
    assert not shown.first.is_visible()


@pytest.mark.parametrize("width_px", [1280, 390])
def test_nothing_is_wider_than_the_screen(page: Any, width_px: int) -> None:
    page.set_viewport_size({"width": width_px, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
