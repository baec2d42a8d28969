"""The workspace view and the report of a sweep.

Covered: the spec as wandb-workspaces 0.4.13 builds it; that a dry run asks nobody; that saving sends both to a W&B
server on loopback (`conftest.Endpoint`) in the requests of wandb 0.31, and prints the links that its answers make.

Not covered: whether the public server accepts the spec, and how its web page draws it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fetal_lm.board import dashboard as module
from fetal_lm.board.dashboard import dashboard
from fetal_lm.board.panels import table_columns
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.errors import InputError
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

from .conftest import SWEEP, Endpoint

pytest.importorskip("wandb_workspaces", reason="a dashboard needs the extra wandb-dashboard")

FILTER = {"key": {"section": "run", "name": "group"}, "op": "=", "value": SWEEP, "disabled": False}
BY_MODEL = [{"section": "run", "name": "jobType"}]
MODELS = {"H1": "single_hourglass", "H2": "hybrid_hourglass", "H3": "stacked_hourglass"}


@pytest.fixture(scope="module")
def spec(offline_sweep: Path) -> dict[str, Any]:
    """Of a dry run that knows neither an account nor the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wandb.Api", lambda *_, **__: pytest.fail("a dry run asked W&B"))
        patch.setattr(module, "require_login", lambda: pytest.fail("a dry run asked for a login"))
        text = dashboard(project="fetal_lm", entity="team", sweep=str(offline_sweep), dry_run=True)
    content: dict[str, Any] = json.loads(text)
    return content


def panels_of(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    bank = spec["workspace"]["spec"]["section"]["panelBankConfig"]
    return {section["name"]: section["panels"] for section in bank["sections"]}


def test_the_view_shows_the_sweeps_runs_by_model_with_the_tables_columns(spec: dict[str, Any]) -> None:
    assert (spec["workspace"]["project"], spec["workspace"]["entity"]) == ("fetal_lm", "team")
    (runs,) = spec["workspace"]["spec"]["section"]["runSets"]
    assert runs["filters"]["filters"] == [FILTER]
    assert runs["grouping"] == BY_MODEL
    assert runs["runFeed"]["columnOrder"] == ["run:displayName", *table_columns()]


def test_the_view_has_bars_curves_distribution_and_images(spec: dict[str, Any]) -> None:
    sections = panels_of(spec)
    assert list(sections) == ["The models compared", "Learning curves", "Error distribution", "Images"]
    bars = {panel["config"]["metrics"][0]: panel for panel in sections["The models compared"]}
    assert {"test/mean_px", "test/median_px", "biometry/bpd_mae_mm", "biometry/hc_mae_mm"} <= set(bars)
    lines = {panel["config"]["metrics"][0]: panel["config"] for panel in sections["Learning curves"]}
    assert {"train/loss", "val/loss", "val/mre_px"} <= set(lines)
    assert {line["xAxis"] for line in lines.values()} == {"epoch"}
    curves = [(panel["config"]["xAxis"], panel["config"]["metrics"]) for panel in sections["Error distribution"]]
    assert curves == [
        ("distribution/error_px", ["distribution/within_px"]),
        ("distribution/error_mm", ["distribution/within_mm"]),
    ]
    for panel in (*sections["The models compared"], *sections["Learning curves"], *sections["Error distribution"]):
        assert (panel["config"]["groupBy"], panel["config"]["groupAgg"]) == ("jobType", "mean")
    media, table = sections["Images"]
    assert media["config"]["mediaKeys"] == ["test/predictions"]
    assert "test/per_image" in json.dumps(table["config"])


def test_the_report_has_the_table_and_the_same_panels(spec: dict[str, Any]) -> None:
    blocks = spec["report"]["spec"]["blocks"]
    text = json.dumps([block for block in blocks if block["type"] == "markdown-block"])
    assert "H2 hybrid_hourglass" in text
    assert "BPD mm" in text
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    assert len(grids) == 4
    for grid, panels in zip(grids, panels_of(spec).values(), strict=True):
        (runs,) = grid["runSets"]
        assert runs["filters"]["filters"] == [FILTER]
        assert runs["grouping"] == BY_MODEL
        assert len(grid["panelBankSectionConfig"]["panels"]) == len(panels)


@pytest.fixture
def three_models(tmp_path: Path, make_row: Callable[..., RunRow]) -> Path:
    """A sweep of three models and two seeds, each model further off than the one before."""
    folder = tmp_path / "three_models"
    records = Phantom(images=4, seed=5).records()
    truth = np.array([record.points_orig for record in records])
    jobs: list[dict[str, Any]] = []
    for hypothesis, model in MODELS.items():
        for seed in (0, 1):
            number = len(jobs)
            job = folder / str(number)
            job.mkdir(parents=True)
            table = prediction_table(records, {"heatmap": truth + np.array((2.0 + number, 0.0))})
            overrides = [f"model={model}", f"seed={seed}"]
            write_predictions(table, job / "predictions.csv")
            pd.DataFrame({"epoch": [0], "val/mre_px": [3.0]}).to_csv(job / "history.csv", index=False)
            write_row(
                make_row(table, model=model, hypothesis=hypothesis, seed=seed, overrides=overrides), job / "row.json"
            )
            jobs.append({"number": number, "name": f"{model}-{seed}", "overrides": overrides})
    (folder / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    return folder


def test_three_models_are_three_groups_and_three_rows(three_models: Path) -> None:
    content = json.loads(dashboard(project="fetal_lm", entity="team", sweep=str(three_models), dry_run=True))
    shown = content["workspace"]["spec"]["section"]["runSets"]
    for block in content["report"]["spec"]["blocks"]:
        shown += block.get("metadata", {}).get("runSets", [])
    assert len(shown) == 5
    for runs in shown:
        assert runs["grouping"] == BY_MODEL
        assert [only["value"] for only in runs["filters"]["filters"]] == ["three_models"]
    (block,) = (block for block in content["report"]["spec"]["blocks"] if block["type"] == "markdown-block")
    text = block["content"]
    table = text[text.index("| Model |") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert [row[0].strip("*") for row in cells] == [
        f"{hypothesis} {model} (heatmap)" for hypothesis, model in MODELS.items()
    ]
    seeds = [cell.strip() for cell in table[0].strip("|").split("|")].index("Seeds")
    assert [row[seeds] for row in cells] == ["2", "2", "2"]


def test_a_sweep_that_lies_elsewhere_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads(dashboard(project="p", entity="", sweep="other_sweep", dry_run=True))
    assert content["workspace"]["displayName"] == "fetal_lm other_sweep"
    assert "markdown-block" not in {block["type"] for block in content["report"]["spec"]["blocks"]}
    with pytest.raises(InputError, match="no such folder"):
        dashboard(project="p", entity="", sweep="outputs/gone", dry_run=True)
    with pytest.raises(InputError, match="rename it"):
        dashboard(project="p", entity="", sweep="o'clock", dry_run=True)


def test_without_the_library_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(InputError, match="wandb-dashboard"):
        dashboard(project="p", entity="", sweep="s", dry_run=True)


def command(*options: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-c", "from fetal_lm.cli.app import app; app()", "dashboard", "--project", "fetal_lm"]
    return subprocess.run([*start, *options], capture_output=True, text=True, timeout=300, check=False)


def test_both_are_saved_and_their_links_printed(sweep: Path, client: Endpoint) -> None:
    done = command("--sweep", str(sweep))
    assert done.returncode == 0, done.stderr
    (view,) = client.variables("UpsertView2")
    assert (view["entityName"], view["projectName"], view["type"]) == ("somebody", "fetal_lm", "project-view")
    (report,) = client.variables("upsertView")
    assert report["displayName"] == f"fetal_lm {SWEEP}"
    assert '"internalId"' not in report["spec"]
    assert "UHJvamVjdDox" in report["spec"], "a panel grid names the project by the server's number"
    links = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert links["workspace"].startswith(f"{client.url}/somebody/fetal_lm?nw=")
    assert links["report"].startswith(f"{client.url}/somebody/fetal_lm/reports/fetal_lm-{SWEEP}--")


def test_a_server_that_refuses_is_one_clear_line(sweep: Path, client: Endpoint) -> None:
    client.refused = {"UpsertView2"}
    done = command("--sweep", sweep.name)
    assert done.returncode == 2
    assert "W&B did not take the dashboard of your own/fetal_lm" in done.stderr
    assert "Traceback" not in done.stderr
