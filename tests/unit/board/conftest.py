"""A sweep with one finished offline run, made once, and a W&B server on loopback that takes it."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import wandb

from fetal_lm.board import names
from fetal_lm.board.results import define_summaries, log_results
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

SWEEP = "phantom_sweep"
KEY = "f" * 40


class Endpoint:
    """As much of W&B's protocol as its client asks for. Notes what it is sent.

    Attributes:
        url: where it listens.
        asked: (name, variables) of every GraphQL request.
        files: what was uploaded, by path.
        streams: the parsed bodies of the file stream.
        refused: names of the GraphQL requests that are answered with an error.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.files: dict[str, bytes] = {}
        self.streams: list[dict[str, Any]] = []
        self.refused: set[str] = set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Keeps the tests' output clean."""

            def do_POST(self) -> None:
                body = self._body()
                if self.path.startswith("/graphql"):
                    self._answer(endpoint.graphql(json.loads(body)))
                    return
                if self.path.endswith("/file_stream"):
                    endpoint.streams.append(json.loads(body))
                self._answer({"exitcode": None, "limits": {}})

            def do_PUT(self) -> None:
                endpoint.files[self.path] = self._body()
                self._answer({})

            def _body(self) -> bytes:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

            def _answer(self, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that leaves in the middle is no error of the test."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def variables(self, name: str) -> list[dict[str, Any]]:
        """Of every request of that name."""
        return [variables for asked, variables in self.asked if asked == name]

    def graphql(self, request: dict[str, Any]) -> dict[str, Any]:
        name = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        assert name is not None, request["query"]
        variables = request.get("variables") or {}
        self.asked.append((name.group(1), variables))
        if name.group(1) in self.refused:
            return {"errors": [{"message": f"this server takes no {name.group(1)}"}], "data": None}
        return {"data": self._data(name.group(1), variables)}

    def _data(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        entity = {"id": "e", "name": "somebody"}
        match name:
            case "Viewer":
                return {
                    "viewer": {
                        "id": "u",
                        "entity": "somebody",
                        "username": "somebody",
                        "flags": "{}",
                        "teams": {"edges": []},
                    }
                }
            case "GetDefaultEntity":
                return {"viewer": {"id": "u", "entity": "somebody"}}
            case "UpsertBucket":
                project = {"id": "p", "name": variables["project"] or "fetal_lm", "entity": entity}
                bucket = {
                    "id": "b",
                    "name": variables["name"],
                    "displayName": variables["displayName"],
                    "description": "",
                    "config": "{}",
                    "sweepName": None,
                    "historyLineCount": 0,
                    "project": project,
                }
                return {"upsertBucket": {"bucket": bucket, "inserted": True}}
            case "CreateRunFiles":
                files = [{"name": file, "uploadUrl": f"{self.url}/run/{file}"} for file in variables["files"]]
                return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
            case "CreateArtifact":
                sequence = {"id": "s", "latestArtifact": None}
                return {"createArtifact": {"artifact": {"id": "a", "state": "PENDING", "artifactSequence": sequence}}}
            case "CreateArtifactManifest" | "UpdateArtifactManifest":
                file = {"id": "f", "name": "m", "uploadUrl": f"{self.url}/manifest", "uploadHeaders": []}
                kind = name[0].lower() + name[1:]
                return {kind: {"artifactManifest": {"id": "m", "file": file}}}
            case "CreateArtifactFiles":
                nodes = [
                    {
                        "id": str(number),
                        "name": file["name"],
                        "displayName": file["name"],
                        "uploadUrl": f"{self.url}/artifact/{file['name']}",
                        "uploadHeaders": [],
                        "uploadMultipartUrls": None,
                        "storagePath": "x",
                        "artifact": {"id": "a"},
                    }
                    for number, file in enumerate(variables["input"]["artifactFiles"])
                ]
                return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
            case "CommitArtifact":
                return {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}}
            case "GetProjects":
                node = {
                    "id": "p",
                    "name": "fetal_lm",
                    "entityName": "somebody",
                    "createdAt": "",
                    "isBenchmark": False,
                    "user": None,
                }
                page = {"endCursor": None, "hasNextPage": False}
                return {"models": {"edges": [{"node": node, "cursor": "c"}], "pageInfo": page}}
            case "ProjectInternalId":
                return {"project": {"id": "p", "internalId": "UHJvamVjdDox"}}
            case "UpsertView2":
                return {"upsertView": {"view": {"id": "v", "name": variables["name"]}, "inserted": True}}
            case "upsertView":
                view = {
                    "id": "VmlldzoxMjM=",
                    "type": variables["type"],
                    "name": variables["name"],
                    "displayName": variables["displayName"],
                    "description": variables["description"],
                    "project": {"id": "p", "name": variables["projectName"], "entityName": "somebody"},
                    "spec": variables["spec"],
                    "createdAt": None,
                    "updatedAt": None,
                }
                return {"upsertView": {"view": view, "inserted": True}}
        return {}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.close()


@pytest.fixture(scope="session")
def offline_sweep(tmp_path_factory: pytest.TempPathFactory, make_row: Callable[..., RunRow]) -> Path:
    """A sweep of one job whose phantom heads were found three pixels too far right; tracked offline."""
    folder = tmp_path_factory.mktemp("board") / SWEEP
    job = folder / "0"
    (job / "checkpoints").mkdir(parents=True)
    source = Phantom(images=4, seed=5)
    records = source.records()
    found = np.array([record.points_orig for record in records]) + np.array((3.0, 0.0))
    missed = found.copy()
    missed[0, 2] = np.nan
    table = prediction_table(records, {"heatmap": found, "coordinate": missed})
    row = make_row(
        table,
        model="hybrid_hourglass",
        hypothesis="H2",
        seed=7,
        split_digest="0123456789abcdef0123",
        parameters=1234,
        train_seconds=12.0,
        code_version=None,
    )
    write_predictions(table, job / "predictions.csv")
    pd.DataFrame({"epoch": [0, 1, 2], "val/mre_px": [9.0, 3.0, 5.0]}).to_csv(job / "history.csv", index=False)
    (job / "split.json").write_text("{}")
    (job / "config.yaml").write_text("seed: 7\n")
    (job / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    cv2.imwrite(str(job / "overlay.png"), source.read(records[0]))
    by_name = {record.image: record for record in records}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder.parent / "home"))
        patch.delenv("WANDB_DATA_DIR", raising=False)
        run = wandb.init(
            mode="offline",
            project="fetal_lm",
            name="hybrid_hourglass-7",
            group=SWEEP,
            job_type=row.model,
            dir=job,
            settings=wandb.Settings(silent=True, x_disable_stats=True, x_disable_meta=True, console="off"),
        )
        define_summaries(run)
        for epoch, error_px in enumerate((9.0, 3.0, 5.0)):
            run.log({"val/mre_px": error_px, names.STEP: 10 * epoch, names.EPOCH: epoch})
        log_results(run, row, table, job, lambda name: source.read(by_name[name]), overlays=6, models=True)
        run.finish()
    write_row(row, job / "row.json")
    (folder / "sweep.json").write_text(
        json.dumps({"jobs": [{"number": 0, "name": "hybrid_hourglass-7", "overrides": ["model=hybrid_hourglass"]}]})
    )
    return folder


@pytest.fixture
def sweep(offline_sweep: Path, tmp_path: Path) -> Path:
    """A copy of it, of which nothing was sent."""
    return Path(shutil.copytree(offline_sweep, tmp_path / SWEEP, symlinks=True))


@pytest.fixture
def client(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Endpoint:
    """Processes that are started from here on are logged in to the endpoint, and know no other server."""
    for name, value in {
        "WANDB_BASE_URL": endpoint.url,
        "WANDB_API_KEY": KEY,
        "HOME": str(tmp_path / "home"),
        "WANDB_ERROR_REPORTING": "false",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return endpoint
