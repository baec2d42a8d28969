"""`row.json` survives the disk, and a damaged one is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fetal_lm.errors import InputError
from fetal_lm.report.row import read_row, write_row

from .conftest import MakeRun


def test_a_row_survives_its_file(tmp_path: Path, make_run: MakeRun) -> None:
    folder = make_run(tmp_path / "run", fold=3, split={"by": "examination"}, code_version=None)
    row = replace(read_row(folder / "row.json"), ms_per_image=math.nan, metrics={"heatmap": {"mean_mm": math.nan}})
    write_row(row, tmp_path / "row.json")
    again = read_row(tmp_path / "row.json")
    assert math.isnan(again.ms_per_image)
    assert math.isnan(again.metrics["heatmap"]["mean_mm"])
    assert replace(again, metrics={}, ms_per_image=0.0) == replace(row, metrics={}, ms_per_image=0.0)
    # Strict readers refuse NaN.
    assert "NaN" not in (tmp_path / "row.json").read_text()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: "{", "not readable as JSON"),
        (lambda _: "[1]", "expected a JSON object, got list"),
        (lambda row: json.dumps({key: row[key] for key in row if key != "seed"}), "expected the key 'seed'"),
        (lambda row: json.dumps(row | {"seed": "0"}), "a whole number in 'seed', got '0'"),
        (lambda row: json.dumps(row | {"seed": True}), "a whole number in 'seed', got True"),
        (lambda row: json.dumps(row | {"overrides": [1]}), "a list of strings in 'overrides'"),
        (lambda row: json.dumps(row | {"metrics": {"heatmap": 3}}), r"an object in metrics\.heatmap"),
        (
            lambda row: json.dumps(row | {"metrics": {"heatmap": {"images": "2"}}}),
            r"a number or null in metrics\.heatmap\.images, got '2'",
        ),
        (
            lambda row: json.dumps(row | {"metrics": {"heatmap": {"mean_px": True}}}),
            r"a number or null in metrics\.heatmap\.mean_px, got True",
        ),
        (lambda row: json.dumps(row | {"metrics": {}}), r"primary branch 'heatmap' in 'metrics', got \[\]"),
        (lambda row: json.dumps(row | {"metrics": {"heatmap": {}}}), r"figures of the primary branch 'heatmap'"),
    ],
)
def test_a_damaged_row_is_named(
    tmp_path: Path, make_run: MakeRun, damage: Callable[[dict[str, Any]], str], message: str
) -> None:
    path = make_run(tmp_path / "run") / "row.json"
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(InputError, match=message) as raised:
        read_row(path)
    assert str(path) in str(raised.value)
