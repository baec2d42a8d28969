"""Sweeps on disk: what is missing or damaged is named, and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fetal_lm.errors import InputError
from fetal_lm.job import sitting
from fetal_lm.lock import locked
from fetal_lm.report.sweep import finished, read_sweep

from .conftest import MakeRun


def test_a_whole_sweep_has_no_problem(three_models: Path) -> None:
    sweep = read_sweep(three_models)
    assert not sweep.problems
    assert [run.name for run in sweep.runs][:3] == ["single_hourglass-0", "single_hourglass-1", "hybrid_hourglass-0"]


def test_a_job_that_never_started_is_missed(three_models: Path) -> None:
    shutil.rmtree(three_models / "5")
    (problem,) = read_sweep(three_models).problems
    assert problem.name == "stacked_hourglass-1"
    assert "never started" in problem.reason


def test_a_crashed_job_says_why(three_models: Path) -> None:
    (three_models / "1" / "row.json").unlink()
    (three_models / "1" / "run.log").write_text("epoch 1\nepoch 2\nepoch 3\n\nloss is [nan]\n")
    (problem,) = read_sweep(three_models).problems
    assert problem.name == "single_hourglass-1"
    assert "run.log ends with:\nepoch 2\nepoch 3\nloss is [nan]" in problem.reason
    (three_models / "1" / "error.txt").write_text("InputError: a.png is truncated\n")
    (problem,) = read_sweep(three_models).problems
    assert problem.reason.endswith("error.txt ends with:\nInputError: a.png is truncated")


def test_a_killed_job_says_how_to_go_on_and_a_running_one_that_it_runs(three_models: Path) -> None:
    job = three_models / "1"
    (job / "row.json").unlink()

    def interrupted() -> None:
        with locked(job, what="the job", advice=""), sitting(job, config_hash="abc"):
            (problem,) = read_sweep(three_models).problems
            assert "the job is running (this process)" in problem.reason
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (problem,) = read_sweep(three_models).problems
    assert problem.name == "single_hourglass-1"
    assert problem.reason.startswith("the job was interrupted, started 20")
    assert f"hydra.sweep.dir={three_models}" in problem.reason


@pytest.mark.parametrize("name", ["row.json", "predictions.csv", "history.csv"])
def test_a_damaged_file_is_named(three_models: Path, name: str) -> None:
    path = three_models / "2" / name
    path.write_text('{"model": "hybrid')
    sweep = read_sweep(three_models)
    (problem,) = sweep.problems
    assert problem.name == "hybrid_hourglass-0"
    assert str(path) in problem.reason
    # A run without its curves still has its results.
    assert problem.fatal == (name != "history.csv")
    assert len(sweep.runs) == 6 - problem.fatal


def test_a_cut_table_is_noticed(three_models: Path) -> None:
    path = three_models / "0" / "predictions.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert finished(three_models / "1")
    assert not finished(three_models / "0")
    (problem,) = read_sweep(three_models).problems
    assert "its images for heatmap is 1, row.json says 2" in problem.reason


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        (
            {"coordinate": {"images": None}, "heatmap": {"images": 2}},
            "its images for coordinate is 2, row.json says nan",
        ),
        ({"coordinate": {"images": 2}}, "row.json: expected figures of heatmap, which predictions.csv has"),
        (
            {"coordinate": {"images": 2}, "heatmap": {}},
            "row.json: expected figures of heatmap, which predictions.csv has",
        ),
        ({"coordinate": {"images": "2"}}, "row.json: expected a number or null in metrics.coordinate.images, got '2'"),
    ],
)
def test_figures_that_cannot_be_checked_are_damage(three_models: Path, metrics: dict[str, object], reason: str) -> None:
    path = three_models / "2" / "row.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": metrics}))
    (problem,) = read_sweep(three_models).problems
    assert problem.name == "hybrid_hourglass-0"
    assert problem.fatal
    assert reason in problem.reason


@pytest.mark.parametrize(("epoch", "read"), [("inf", "inf"), ("", "nan"), ("-inf", "-inf")])
def test_an_epoch_that_is_no_number_costs_the_curve_alone(three_models: Path, epoch: str, read: str) -> None:
    path = three_models / "2" / "history.csv"
    path.write_text(path.read_text().replace("\n2,", f"\n{epoch},"))
    sweep = read_sweep(three_models)
    (problem,) = sweep.problems
    assert not problem.fatal
    assert problem.reason == f"no learning curve: {path}, row 4: expected a number in 'epoch', got {read}"
    assert len(sweep.runs) == 6


def test_a_table_without_the_primary_branch_is_refused(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", primary_branch="coordinate", metrics={"coordinate": {"images": 2.0}})
    (problem,) = read_sweep(tmp_path / "s").problems
    assert "primary branch 'coordinate', got ['heatmap']" in problem.reason


@pytest.mark.parametrize("text", ["{", "[]", '{"jobs": [{"name": "x"}]}', '{"jobs": [1]}', '{"jobs": null}'])
def test_a_damaged_list_of_jobs_is_named_and_the_folders_are_read(three_models: Path, text: str) -> None:
    (three_models / "sweep.json").write_text(text)
    sweep = read_sweep(three_models)
    assert [problem.name for problem in sweep.problems] == ["sweep.json"]
    assert len(sweep.runs) == 6


def test_without_a_list_of_jobs_folders_count_in_numerical_order(tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("10", "9", "by-hand"):
        make_run(tmp_path / "s" / name, seed=len(name))
    (tmp_path / "s" / "11").mkdir()
    (tmp_path / "s" / "report").mkdir()
    sweep = read_sweep(tmp_path / "s")
    assert [run.name for run in sweep.runs] == ["9", "10", "by-hand"]
    assert [problem.name for problem in sweep.problems] == ["11"]


def test_a_run_beside_the_listed_jobs_is_read_too(three_models: Path, make_run: MakeRun) -> None:
    make_run(three_models / "6", seed=7)
    assert [run.name for run in read_sweep(three_models).runs][-1] == "6"


def test_a_single_run_is_a_sweep_of_one(tmp_path: Path, make_run: MakeRun) -> None:
    folder = make_run(tmp_path / "12-00-00")
    (folder / "checkpoints").mkdir()
    (run,) = read_sweep(folder).runs
    assert run.name == "12-00-00"
    (folder / "row.json").unlink()
    assert [problem.name for problem in read_sweep(folder).problems] == ["12-00-00"]


def test_a_log_beside_numbered_runs_does_not_make_a_single_run(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0")
    (tmp_path / "s" / "run.log").write_text("sweep\n")
    assert [run.name for run in read_sweep(tmp_path / "s").runs] == ["0"]


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_sweep(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no run in this folder"):
        read_sweep(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file, not a folder"):
        read_sweep(tmp_path / "file")
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": []}))
    with pytest.raises(InputError, match="no run in this folder"):
        read_sweep(tmp_path)
