"""How large a report's page is, and how long it takes to write, to open and to draw: 3 models x 3 seeds x 802 images.

    python experiments/bench/bench.py page                       as a part of `make bench`
    python experiments/bench/report_page.py [--models 3] [--seeds 3] [--images 802]

Predictions are made up, of phantom heads of HC18's size, so that the gallery has pictures and heatmaps. The page is
opened by a chromium in PATH (Debian: apt-get install chromium), if there is one.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import numpy as np
import pandas as pd
import typer
from rich.console import Console

from fetal_lm import geometry
from fetal_lm.atomic import write_text
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.records import Record
from fetal_lm.report.heatmaps import Heatmaps, write_heatmaps
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.predictions import prediction_table, summarise, write_predictions
from fetal_lm.report.row import RunRow, write_row

SIZE_NET: Final = (256, 256)
STRIDE: Final = 4
BRANCH: Final = "heatmap"
ERROR_PX: Final = 4.0
"""Standard deviation of a coordinate's made-up error."""

COMMAND: Final = "from fetal_lm.cli.app import app; app()"
TOLD: Final = "drawn:"
TELLS_THE_TIME: Final = f"""<script>
const first = document.getElementById("distribution");
first.scrollIntoView();
const drawn = setInterval(() => {{
  const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
  if (loaded && first.data?.length) document.title = `{TOLD} ${{loaded}} ${{performance.now()}}`, clearInterval(drawn);
}}, 20);
</script>
"""
PATIENCE_S: Final = 300
OPENINGS: Final = 5
"""Whose median is given."""

MODELS: Final = 3
SEEDS: Final = 3
IMAGES: Final = 802
"""As many as HC18 has, tested once each over the folds."""


class Opened(NamedTuple):
    """Seconds from the navigation until the page is loaded, and until its first plot is drawn too."""

    loaded_s: float
    drawn_s: float


def page(models: int = MODELS, seeds: int = SEEDS, images: int = IMAGES) -> list[tuple[str, str]]:
    """Rows of the table: how large the page of such a sweep is, and what it takes."""
    with tempfile.TemporaryDirectory() as temporary:
        sweep, path = Path(temporary) / "sweep", Path(temporary) / "page.html"
        _write_sweep(sweep, models=models, seeds=seeds, images=images)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", COMMAND, "report", str(sweep), "--html", str(path)],
            check=True,
            capture_output=True,
        )
        written_s = time.perf_counter() - started
        opened = [_open(path) for _ in range(OPENINGS)] if shutil.which("chromium") else []
        size_mb = path.stat().st_size / 1e6
    title = f"the page of {models} models x {seeds} seeds x {images} images"
    medians = [f"{np.median(seconds):.1f}" for seconds in zip(*opened, strict=True)]
    loaded, drawn = medians or ["no chromium"] * 2
    return [
        (f"{title}, MB", f"{size_mb:.1f}"),
        (f"{title}: written by `fetal-lm report` in, s", f"{written_s:.1f}"),
        (f"{title}: opened in, s", loaded),
        (f"{title}: opened, and its first plot drawn in, s", drawn),
    ]


def main(
    models: Annotated[int, typer.Option(min=1)] = MODELS,
    seeds: Annotated[int, typer.Option(min=1)] = SEEDS,
    images: Annotated[int, typer.Option(min=4)] = IMAGES,
) -> None:
    """Prints the table."""
    lines = table_lines(["what", "measured"], page(models, seeds, images))
    Console(file=sys.stdout).print("\n".join(lines), markup=False, soft_wrap=True)


def _write_sweep(folder: Path, *, models: int, seeds: int, images: int) -> None:
    """Finished runs, as training leaves them, of one source."""
    records = Phantom(seed=0, images=images).records()
    maps = _heatmaps(records)
    truth = np.stack([record.points_orig for record in records])
    for number in range(models * seeds):
        model, seed = f"model_{number // seeds}", number % seeds
        run = folder / str(number)
        run.mkdir(parents=True)
        errors_px = np.random.default_rng([number // seeds, seed]).normal(0, ERROR_PX, truth.shape)
        table = prediction_table(records, {BRANCH: truth + errors_px})
        write_predictions(table, run / "predictions.csv")
        curve = {"epoch": range(64), "seconds": range(64), "train/loss": np.geomspace(8, 4, 64)}
        content = io.StringIO()
        pd.DataFrame(curve | {"val/mre_px": np.geomspace(40, 5, 64)}).to_csv(content, index=False)
        write_text(run / "history.csv", content.getvalue())
        write_heatmaps(maps, run / "heatmaps.npz")
        source = f"_target_: fetal_lm.data.adapters.phantom.Phantom, seed: 0, images: {images}"
        write_text(run / "config.yaml", f"data: {{folds: 5, source: {{{source}}}}}\n")
        write_row(_row(table, model, seed), run / "row.json")


def _heatmaps(records: list[Record]) -> Heatmaps:
    """A Gaussian at each true landmark."""
    height, width = SIZE_NET
    rows, columns = (np.arange(length // STRIDE) for length in SIZE_NET)
    maps, to_orig = [], []
    for record in records:
        to_net = geometry.squash(record.size_orig, SIZE_NET)
        cells = geometry.apply(to_net, record.points_orig) / STRIDE
        squared = (columns - cells[:, :1])[:, None, :] ** 2 + (rows - cells[:, 1:])[:, :, None] ** 2
        maps.append(np.rint(255 * np.exp(-squared / 4)).astype(np.uint8))
        to_orig.append(geometry.inverse(to_net))
    return Heatmaps(tuple(record.image for record in records), np.stack(maps), np.stack(to_orig), (height, width))


def _row(table: pd.DataFrame, model: str, seed: int) -> RunRow:
    return RunRow(
        model=model,
        hypothesis=model.replace("model_", "M"),
        seed=seed,
        fold=0,
        data="phantom",
        split="examination",
        split_digest="made up",
        parameters=1,
        ms_per_image=1.0,
        train_seconds=1.0,
        epochs=64,
        primary_branch=BRANCH,
        overrides=[f"model={model}", f"seed={seed}"],
        package_version=None,
        code_version=None,
        metrics={BRANCH: summarise(table)},
        test_images_seen=0,
    )


def _open(path: Path) -> Opened:
    """Opens the page in the chromium in PATH.

    The page tells the time itself, in its title: a browser that is driven (by Playwright, say) keeps a record of every
    exception, for which it reads Plotly's code a second time.
    """
    # The browser's children may still write into its profile when it has ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        timed, profile = Path(temporary) / "page.html", Path(temporary) / "profile"
        write_text(timed, path.read_text(encoding="utf-8") + TELLS_THE_TIME)
        # A container's root has no sandbox; the page is our own.
        options = ["--headless", "--no-sandbox", "--window-size=1280,900", "--remote-debugging-port=0"]
        command = ["chromium", *options, f"--user-data-dir={profile}", timed.as_uri()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                loaded_ms, drawn_ms = _title(browser, profile / "DevToolsActivePort").split()[1:]
            finally:
                browser.terminate()
    return Opened(float(loaded_ms) / 1e3, float(drawn_ms) / 1e3)


def _title(browser: subprocess.Popen[bytes], port_file: Path) -> str:
    """The title of the browser's page, once it tells the time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if browser.poll() is not None:
            raise RuntimeError(f"chromium ended with {browser.returncode} before it showed the page")
        if not port_file.exists() or not (port := port_file.read_text().partition("\n")[0]):
            continue
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
            titles = [str(target["title"]) for target in json.load(answer)]
        if told := [title for title in titles if title.startswith(TOLD)]:
            return told[0]
    raise TimeoutError(f"the page has not drawn its first plot after {PATIENCE_S} s")


if __name__ == "__main__":
    typer.run(main)
