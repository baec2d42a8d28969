"""The three-model sweep, whole: runs, files, table, W&B."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from .conftest import TINY

MODELS = ["single_hourglass", "hybrid_hourglass", "stacked_hourglass"]


@pytest.fixture(scope="module")
def sweep(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    done = experiment("experiment=three_models", *TINY, f"hydra.sweep.dir={folder}")
    assert done.code == 0, done.err[-3000:]
    return folder, done


def test_the_table_has_a_row_for_each_hypothesis(sweep):
    folder, done = sweep
    table = pd.read_csv(folder / "report" / "comparison.csv")
    assert list(table["model"].unique()) == MODELS
    assert set(table.loc[table["model"] == "hybrid_hourglass", "branch"]) == {"heatmap", "coordinate"}
    assert (folder / "report" / "predictions.png").stat().st_size > 10_000
    assert f"fetal-lm report {folder}" in done.out


def test_a_run_folder_is_complete(sweep):
    folder, _ = sweep
    for number, model in enumerate(MODELS):
        run = folder / str(number)
        row = json.loads((run / "row.json").read_text())
        assert row["model"] == model
        predictions = pd.read_csv(run / "predictions.csv")
        tested = json.loads((run / "split.json").read_text())
        assert len(predictions) == row["metrics"]["heatmap"]["images"] * predictions["branch"].nunique()
        assert {"ofd_1_x", "bpd_2_y", "bpd_mm", "hc_px", "error_px_ofd_1"} <= set(predictions.columns)
        assert tested
        assert list(pd.read_csv(run / "history.csv")["epoch"]) == [0, 1]
        assert yaml.safe_load((run / "config.yaml").read_text())["model"]["_target_"].startswith("fetal_lm.hypotheses")
        assert (run / "overlay.png").is_file()
        assert (run / "run.log").read_text()


def test_every_hypothesis_was_given_the_same_images(sweep):
    folder, _ = sweep
    assert len({json.loads((folder / str(n) / "row.json").read_text())["split_digest"] for n in range(3)}) == 1
    tested = [set(pd.read_csv(folder / str(n) / "predictions.csv")["image"]) for n in range(3)]
    assert tested[0] == tested[1] == tested[2]


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_checkpoints_hold_no_code(sweep, name):
    folder, _ = sweep
    for number in range(3):
        content = torch.load(folder / str(number) / "checkpoints" / name, weights_only=True)
        assert content["fetal_lm"]["model"] == MODELS[number]


def test_wandb_has_one_finished_run_a_job_with_its_metrics(sweep):
    folder, _ = sweep
    runs = sorted(folder.glob("*/wandb/offline-run-*"))
    assert len(runs) == 3
    for run, model in zip(runs, MODELS, strict=True):
        records = inspect(run)
        about = next(record["run"] for record in records if record["type"] == "run")
        assert about["display_name"] == f"{model}-0"
        assert about["run_group"] == folder.name
        assert about["config"]["update"]["model.network.channels"] == 8
        history = [record["history"]["item"] for record in records if record["type"] == "history"]
        logged = {key for item in history for key in item}
        assert {"train/loss", "val/loss", "val/mre_px", "val/bpd_mae_mm"} <= logged
        assert any(key.startswith("test/predictions") for key in logged)
        summary = {}
        for record in records:
            if record["type"] == "summary":
                summary |= record["summary"]["update"]
        row = json.loads((run.parents[1] / "row.json").read_text())
        assert about["job_type"] == model
        assert summary["test/heatmap/mean_px"] == pytest.approx(row["metrics"]["heatmap"]["mean_px"])
        assert summary["test/mean_px"] == summary["test/heatmap/mean_px"]
        assert summary["biometry/hc_mae_mm"] == pytest.approx(row["metrics"]["heatmap"]["hc_mae_mm"])
        best = pd.read_csv(run.parents[1] / "history.csv")["val/mre_px"].min()
        assert summary["val/mre_px"]["min"] == pytest.approx(best, rel=1e-4)
        kinds = {record["artifact"]["type"] for record in records if record["type"] == "artifact"}
        assert kinds == {"model", "split", "run_table"}
        last = pd.read_csv(run.parents[1] / "history.csv")["val/mre_px"].iloc[-1]
        assert history_values(history, "val/mre_px")[-1] == pytest.approx(last, rel=1e-4)
        exits = [record["exit"] for record in records if record["type"] == "exit"]
        assert len(exits) == 1
        assert exits[0].get("exit_code", 0) == 0


def test_a_missing_job_is_named_and_the_others_are_shown(sweep, tmp_path):
    folder, _ = sweep
    partial = tmp_path / "partial"
    partial.mkdir()
    (partial / "sweep.json").write_text((folder / "sweep.json").read_text())
    for number in (0, 2):
        (partial / str(number)).symlink_to(folder / str(number))
    command = [str(Path(sys.executable).parent / "fetal-lm"), "report", str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "hybrid_hourglass-0" in done.stdout + done.stderr
    assert list(pd.read_csv(partial / "report" / "comparison.csv")["hypothesis"]) == ["H1", "H3"]


def test_wandb_tells_settings_of_one_model_apart(experiment, tmp_path):
    swept = ["loss=mse,cross_entropy", "data.source.images=12", "trainer.max_epochs=1"]
    done = experiment("-m", *TINY, *swept, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.code == 0, done.err[-3000:]
    about = [
        next(record["run"] for record in inspect(run) if record["type"] == "run")
        for run in sorted((tmp_path / "sweep").glob("*/wandb/offline-run-*"))
    ]
    names = [f"loss={name}" for name in ("mse", "cross_entropy")]
    assert [run["job_type"] for run in about] == [f"single_hourglass {name}" for name in names]
    assert [run["display_name"] for run in about] == [f"single_hourglass-0-{name}" for name in names]


def inspect(run: Path) -> list[dict]:
    """The records of an offline W&B run."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(run)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def history_values(history: list[dict], key: str) -> list[float]:
    return [item[key] for item in history if key in item]
