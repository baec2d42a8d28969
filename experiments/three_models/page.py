"""The README's picture of a report page: `python experiments/three_models/page.py PAGE.html`.

The table, and the gallery of the first model with its heatmaps, as chromium shows them; needs chromium in PATH.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from playwright.sync_api import sync_playwright

from fetal_lm.atomic import atomic_path

OUTPUT = Path(__file__).with_name("page.png")
WIDTH_PX = 1280
SHOWN = ("section[aria-labelledby=table-title]", "section[aria-labelledby=gallery-title]")


def main(page: Annotated[Path, typer.Argument(help="What `fetal-lm report SWEEP --html PAGE` wrote.")]) -> None:
    """Writes page.png beside this script."""
    parts: list[np.ndarray] = []
    with sync_playwright() as driver:
        # A container's root has no sandbox; the page is our own.
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme="light")
        opened.goto(page.resolve().as_uri())
        opened.locator("#filters [name=series]").select_option("0")
        opened.locator("section .draw [data-kind=heatmap]").check()
        # It sticks to the top and would cover what is pictured.
        opened.evaluate("document.getElementById('filters').style.display = 'none'")
        for selector in SHOWN:
            content = np.frombuffer(opened.locator(selector).screenshot(), dtype=np.uint8)
            parts.append(np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR)))
        browser.close()
    with atomic_path(OUTPUT) as temporary:
        cv2.imwrite(str(temporary), np.vstack(parts), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    typer.echo(f"wrote {OUTPUT}")


if __name__ == "__main__":
    typer.run(main)
