"""Sending offline runs, against a W&B server on loopback (`conftest.Endpoint`).

Covered: that W&B's own client reads what a run of ours leaves, logs in with a key, and sends its settings, metrics,
summary, media, the table and every artifact with its files in the requests that the public server takes (wandb 0.31);
that its mark is put only after that; what happens when the server refuses.

Not covered: whether the public server accepts, stores and draws it (the endpoint answers every known request with what
the client needs to go on); TLS, proxies, rate limits, uploads in several parts, and a server that breaks off in the
middle of a file.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from fetal_lm.board import login
from fetal_lm.board import sync as module
from fetal_lm.board.names import name_of
from fetal_lm.board.runs import QUIET_S, local_runs
from fetal_lm.board.sync import SOME_FAILED, sync
from fetal_lm.errors import InputError
from fetal_lm.job import Pruned, sitting
from fetal_lm.lock import locked
from fetal_lm.report.columns import COLUMNS

from .conftest import KEY, SWEEP, Endpoint


@pytest.fixture(autouse=True)
def logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; the client asks for itself."""
    monkeypatch.setattr(module, "require_login", lambda: None)


def send(folder: Path, timeout_s: float = 120.0) -> tuple[int, str]:
    out = io.StringIO()
    code = sync(folder, timeout_s=timeout_s, console=Console(file=out, width=200))
    return code, out.getvalue()


def streamed(endpoint: Endpoint, name: str) -> list[dict[str, Any]]:
    """The rows of one file of the file stream."""
    chunks = [stream["files"][name]["content"] for stream in endpoint.streams if name in stream.get("files", {})]
    return [json.loads(line) for chunk in chunks for line in chunk]


def test_a_run_is_sent_whole_and_once(sweep: Path, client: Endpoint) -> None:
    (run,) = local_runs(sweep)
    code, out = send(sweep)
    assert code == 0, out
    assert out.splitlines()[-1] == f"W&B runs of {sweep}: 1 sent"
    assert run.sent

    settings = client.variables("UpsertBucket")[0]
    assert (settings["groupName"], settings["jobType"]) == (SWEEP, "hybrid_hourglass")
    assert (settings["project"], settings["displayName"]) == ("fetal_lm", "hybrid_hourglass-7")

    history = streamed(client, "wandb-history.jsonl")
    assert [row["val/mre_px"] for row in history if "val/mre_px" in row] == [9.0, 3.0, 5.0]
    curve = [row["distribution/within_px"] for row in history if "distribution/within_px" in row]
    assert len(curve) == 40
    assert (curve[0], curve[-1]) == (0.0, 1.0)

    summary = streamed(client, "wandb-summary.json")[-1]
    assert summary["val/mre_px"] == {"min": 3}, "the best, not the last"
    row = json.loads((sweep / "0" / "row.json").read_text())
    for column in COLUMNS:
        if column.figure == "seeds":
            continue
        expected = row.get(column.figure, row["metrics"]["heatmap"].get(column.figure))
        assert summary[name_of(column.figure)] == pytest.approx(expected), column.figure
    missed = summary["test/coordinate/undecoded_rate"]
    assert (missed, summary["test/heatmap/undecoded_rate"]) == (pytest.approx(1 / 16), 0)

    artifacts = {asked["input"]["artifactTypeName"]: asked["input"] for asked in client.variables("CreateArtifact")}
    assert {"model", "split", "run_table"} <= set(artifacts)
    assert "split-0123456789ab" in json.dumps(artifacts["split"])
    assert {alias["alias"] for alias in artifacts["model"]["aliases"]} == {"best", "latest"}
    assert len(client.variables("CommitArtifact")) == len(artifacts)
    assert client.files["/artifact/best.ckpt"] == b"weights"
    assert client.files["/artifact/split.json"] == b"{}"
    overlays = [content for path, content in client.files.items() if path.startswith("/artifact/media/images/")]
    assert 1 <= len(overlays) <= 6
    for content in overlays:
        assert len(content) < 40_000
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert max(picture.shape) == 320

    before = len(client.asked)
    code, out = send(sweep)
    assert (code, len(client.asked)) == (0, before)
    assert out.splitlines()[-1] == f"W&B runs of {sweep}: 0 sent, 1 had been sent before"


def test_what_the_server_refuses_is_named_and_tried_again(sweep: Path, client: Endpoint) -> None:
    client.refused = {"UpsertBucket"}
    code, out = send(sweep)
    assert code == SOME_FAILED
    assert "this server takes no UpsertBucket" in out
    assert out.splitlines()[-1] == f"W&B runs of {sweep}: 0 sent, 1 failed"
    assert local_runs(sweep)[0].state(time.time()) == "waiting"


def test_a_refused_artifact_is_a_failure_although_wandb_calls_it_the_end(sweep: Path, client: Endpoint) -> None:
    client.refused = {"CreateArtifact"}
    code, out = send(sweep)
    assert code == SOME_FAILED, out
    assert "this server takes no CreateArtifact" in out
    (run,) = local_runs(sweep)
    assert run.state(time.time()) == "waiting"
    client.refused = set()
    assert send(sweep)[0] == 0
    assert run.sent
    assert client.files["/artifact/best.ckpt"] == b"weights"


def test_a_server_that_never_answers_costs_the_timeout(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    code, out = send(sweep, timeout_s=5.0)
    assert code == SOME_FAILED
    assert "no end after 5 s" in out


def test_a_training_that_goes_on_is_left_alone(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("half a run was sent"))
    (sweep / "0" / "row.json").unlink()
    (run,) = local_runs(sweep)
    now = time.time()
    os.utime(run.record, (now, now))
    code, out = send(sweep)
    assert code == 0
    assert out.splitlines()[-1] == f"W&B runs of {sweep}: 0 sent, 1 left because their training goes on"
    assert run.state(now + QUIET_S + 60.0) == "waiting", "a killed job writes neither row.json nor error.txt"
    (sweep / "0" / "error.txt").write_text("it crashed")
    assert run.state(now) == "waiting"
    (sweep / "0" / "error.txt").unlink()
    with sitting(sweep / "0", config_hash=""):
        assert run.state(now) == "training"
        raise Pruned("after epoch 2")
    assert run.state(now) == "waiting"


def test_what_another_process_uses_is_left_alone(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a run was sent twice at the same time"))
    (run,) = local_runs(sweep)
    with locked(run.job / "wandb", what="its W&B record", advice="wait"):
        code, out = send(sweep)
    assert code == SOME_FAILED
    assert "in use" in out
    # Its row is written before W&B's record is closed.
    with locked(run.job, what="the job", advice="wait"):
        code, out = send(sweep)
    assert code == 0
    assert "0 sent, 1 left because their training goes on" in out


def test_an_online_run_is_sent_again_only_if_it_is_marked(sweep: Path) -> None:
    (run,) = local_runs(sweep)
    online = run.folder.rename(run.folder.with_name(run.folder.name.removeprefix("offline-")))
    with pytest.raises(InputError, match="no offline W&B run"):
        local_runs(sweep)
    (online / "unsent.txt").write_text("")
    assert [found.was_online for found in local_runs(sweep)] == [True]


def test_a_single_run_is_found_and_a_wrong_folder_refused(sweep: Path, tmp_path: Path) -> None:
    assert len(local_runs(sweep / "0")) == 1
    with pytest.raises(InputError, match="no such folder"):
        local_runs(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("mode", "outcome", "message"),
    [
        ("online", False, "not logged in.*wandb login"),
        ("online", ValueError, "refuses the login"),
        ("offline", True, "WANDB_MODE=offline"),
    ],
)
def test_without_a_login_the_reason_is_given(
    monkeypatch: pytest.MonkeyPatch, mode: str, outcome: Any, message: str
) -> None:
    def answer(**options: Any) -> bool:
        assert options == {"prompt": False, "verify": False}
        if outcome is ValueError:
            raise login.wandb.errors.AuthenticationError("not a key")
        return bool(outcome)

    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setattr(login.wandb, "login", answer)
    with pytest.raises(InputError, match=message):
        login.require_login()


def test_a_login_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(login.wandb, "login", lambda **_: True)
    login.require_login()
