"""The command line: exit codes, messages, help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fetal_lm.cli.app import app
from fetal_lm.data.records import Record
from fetal_lm.errors import InputError
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])


@pytest.fixture
def sweep(tmp_path: Path, make_row: Callable[..., RunRow]) -> Path:
    """A sweep of two jobs, both finished."""
    folder = tmp_path / "sweep"
    jobs = []
    for number, (hypothesis, model) in enumerate((("H1", "single_hourglass"), ("H3", "stacked_hourglass"))):
        run = folder / str(number)
        run.mkdir(parents=True)
        table = prediction_table([Record("a.png", "a", (200, 400), HEAD, 0.5)], {"heatmap": HEAD[None] + number})
        write_predictions(table, run / "predictions.csv")
        pd.DataFrame({"epoch": [0, 1], "train/loss": [2.0, 1.0]}).to_csv(run / "history.csv", index=False)
        row = make_row(table, model=model, hypothesis=hypothesis, overrides=[f"model={model}"])
        write_row(row, run / "row.json")
        jobs.append({"number": number, "name": f"{model}-0", "overrides": row.overrides})
    (folder / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    return folder


def test_a_whole_sweep_exits_with_0(sweep: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(sweep), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "H1 single_hourglass" in result.stdout
    assert str(tmp_path / "out" / "comparison.md") in result.stdout
    assert (tmp_path / "out" / "comparison.csv").is_file()


def test_a_missing_job_exits_with_1_and_the_survivors_are_shown(sweep: Path) -> None:
    (sweep / "1" / "row.json").unlink()
    (sweep / "1" / "run.log").write_text("killed\n")
    result = CliRunner().invoke(app, ["report", str(sweep)])
    assert result.exit_code == 1
    assert "MISSING: stacked_hourglass-0" in result.stdout
    assert "killed" in result.stdout
    assert "H1 single_hourglass" in result.stdout
    assert (sweep / "report" / "comparison.md").is_file()


@pytest.mark.parametrize("command", [["report"], ["evaluate", "--data", "hc18"]])
@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_wrong_folder_is_one_line_on_stderr_and_exits_with_2(tmp_path: Path, name: str, command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, str(tmp_path / name)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"fetal-lm: {tmp_path / name}: no ")
    assert result.stderr.count("\n") == 1


TOO_LONG = "a" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", TOO_LONG, "--output", "out"],
        ["predict", ".", "--model", TOO_LONG, "--output", "out"],
        ["report", TOO_LONG],
        ["package", TOO_LONG, "--output", "out"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_the_system_refuses_is_one_line_and_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("a.png", np.zeros((54, 80), np.uint8))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"fetal-lm: {TOO_LONG}")
    assert result.stderr.count("\n") == 1
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert isinstance(CliRunner().invoke(app, arguments).exception, OSError | InputError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["", "--output", "out"], "expected files, folders or patterns"), ([".", "--output", ""], "--output: expected")],
    ids=["paths", "output"],
)
def test_an_empty_path_is_not_taken_for_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("a.png", np.zeros((54, 80), np.uint8))
    result = CliRunner().invoke(app, ["predict", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"fetal-lm: {message}")
    assert "got an empty path" in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(PermissionError(13, "Permission denied", "scans/a.png"), "scans/a.png: Permission denied"), (OSError("x"), "x")],
)
def test_what_may_not_be_read_is_one_line_and_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("fetal_lm.predict.command.image_files", refuse)
    result = CliRunner().invoke(app, ["predict", str(tmp_path), "--output", str(tmp_path / "out")])
    assert (result.exit_code, result.stderr) == (2, f"fetal-lm: {said}\n")


def test_a_reader_that_has_gone_is_no_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("fetal_lm.predict.command.image_files", stop)
    assert CliRunner().invoke(app, ["predict", str(tmp_path), "--output", str(tmp_path / "out")]).stderr == ""


def test_one_switch_brings_the_traceback_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, InputError)


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"]])
def test_help(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "report" in result.stdout
    assert ("fetal-lm report outputs/three_models/" in result.stdout) == (arguments[0] == "report")


def test_help_of_export_has_an_example() -> None:
    result = CliRunner().invoke(app, ["export", "--help"])
    assert result.exit_code == 0
    assert "fetal-lm export outputs/single_hourglass/" in result.stdout


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("fetal-lm ")


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        ("import fetal_lm.cli.app", {"numpy", "pandas", "scipy", "matplotlib", "torch"}),
        ("import fetal_lm.data.convert, fetal_lm.data.sources", {"torch", "hydra", "pandas", "matplotlib"}),
        ("import fetal_lm.report.command", {"torch", "lightning", "pytorch_lightning", "hydra", "matplotlib.pyplot"}),
        ("import fetal_lm.predict.command, fetal_lm.predict.onnx_engine", {"torch", "pytorch_lightning", "hydra"}),
    ],
    ids=["cli", "convert", "report", "predict"],
)
def test_what_is_slow_or_forbidden_is_not_imported(statement: str, banned: set[str]) -> None:
    code = f"{statement}; import sys; print(*sorted({banned!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def invoke_convert(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_a_conversion_exits_with_0_and_says_how_to_read_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke_convert("phantom", "--set", "images=2", "--set", "seed=3", "--output", out)
    assert result.exit_code == 0, result.output
    assert f"{out / 'labels.csv'}: 2 images, 0 without a pixel spacing" in result.stdout
    assert f"python run.py data=folder data.root={out} 'data.source.archive=phantom seed 3'\n" in result.stdout
    assert sorted(path.suffix for path in (out / "images").iterdir()) == [".png", ".png"]
    again = invoke_convert("folder", "--root", out, "--output", tmp_path / "again", "--copy-images")
    assert again.exit_code == 0, again.output
    before = (out / "labels.csv").read_bytes()
    refused = invoke_convert("phantom", "--set", "images=1", "--output", out)
    assert refused.exit_code == 2
    assert "is there already" in refused.stderr
    assert (out / "labels.csv").read_bytes() == before
    assert invoke_convert("phantom", "--set", "images=1", "--output", out, "--force").exit_code == 0
    assert len((out / "labels.csv").read_text().splitlines()) == 2


def test_coco_is_converted_with_its_own_names(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((54, 80), np.uint8))
    keypoints = [10, -3, 2, 70, 22, 2, 41, 4, 2, 40, 50, 2]
    described = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": keypoints}],
        "categories": [{"id": 1, "keypoints": ["front", "back", "bpd_1", "bpd_2"]}],
    }
    (tmp_path / "mine.json").write_text(json.dumps(described))
    arguments = ("coco", "--root", tmp_path, "--csv", tmp_path / "mine.json", "--output", tmp_path / "out")
    unnamed = invoke_convert(*arguments)
    assert unnamed.exit_code == 2
    assert "got front, back, bpd_1, bpd_2" in unnamed.stderr
    named = (*arguments, "--keypoints", "ofd_1=front, ofd_2=back")
    outside = invoke_convert(*named)
    assert outside.exit_code == 2
    assert "data.source.outside=keep" in outside.stderr
    result = invoke_convert(*named, "--set", "outside=keep")
    assert result.exit_code == 0, result.output
    assert "1 images, 1 without a pixel spacing\n1 of them have points outside" in result.stdout
    assert "data.source.outside=keep" in result.stdout
    header, row = (tmp_path / "out" / "labels.csv").read_text().splitlines()
    assert header.startswith("image,ofd_1_x,ofd_1_y,")
    # Nobody says whose head it is, and the CSV does not either.
    assert row == "../a.png,10.0,-3.0,70.0,22.0,41.0,4.0,40.0,50.0,,,"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hc81"], "expected one of challenge, "),
        (["hc18"], "add --root DIR"),
        (["hc18", "--root", "nowhere"], "nowhere"),
        (["phantom", "--root", "nowhere"], "expected options among seed, images, got root"),
        (["phantom", "--set", "images"], "expected an option as KEY=VALUE, got 'images'"),
        (["coco", "--root", "nowhere", "--keypoints", "ofd_1"], "expected OURS=THEIRS, got 'ofd_1'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_conversion_of_bad_input_is_one_line_and_exits_with_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = invoke_convert(*arguments, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
