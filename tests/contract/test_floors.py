"""Imports point down only: lower floors know nothing of higher ones, pure rooms know no framework."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "fetal_lm"
FLOORS = (
    {
        "errors",
        "console",
        "lock",
        "orphan",
        "threads",
        "choices",
        "incidental",
        "configuration",
        "atomic",
        "landmarks",
        "geometry",
        "biometry",
        "precision",
        "provenance",
        "checkpoints",
        "trusted",
    },
    {"codecs", "networks", "losses", "metrics", "muon"},
    {
        "data",
        "hypotheses",
        "report",
        "audit",
        "callbacks",
        "job",
        "resume",
        "run_folder",
        "sweep",
        "board",
        "tracking",
        "search",
        "pretrained",
    },
    {"measure"},
    {"train", "start", "trained", "evaluate", "predict", "export", "cli"},
)
ALLOWED = {
    # What only these rooms may import.
    "pytorch_lightning": {"data", "hypotheses", "metrics", "measure", "train", "tracking", "callbacks", "search"},
    "torchmetrics": {"metrics", "hypotheses"},
    "hydra": {"train", "start", "sweep", "search"},
    "omegaconf": {"configuration", "train", "start", "trained", "resume", "sweep", "data", "search"},
    "albumentations": {"data"},
    "wandb": {"tracking", "board"},
    "wandb_workspaces": {"board"},
    "typer": {"cli"},
    "pydicom": {"predict"},
    "optuna": {"search"},
    "onnx": {"export"},
    "onnxruntime": {"predict"},
    "safetensors": {"checkpoints"},
    "torch": {
        "codecs",
        "networks",
        "losses",
        "metrics",
        "muon",
        "data",
        "hypotheses",
        "measure",
        "predict",
        "export",
        "train",
        "trained",
        "start",
        "checkpoints",
        "callbacks",
        "precision",
    }
    | {"landmarks", "biometry"},  # For a type alone, never when they run.
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(level for level, names in enumerate(FLOORS) if name in names)


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if node.module == "fetal_lm":
                yield from (f"fetal_lm.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    name = room(path)
    if name == "__init__":
        return
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "fetal_lm" and rest and not rest.startswith("__"):
            target = rest.split(".")[0]
            assert floor(target) <= floor(name), f"{name} is below {target}"
        assert name in ALLOWED.get(top, {name}), f"{name} must not import {top}"


def test_networks_know_no_codec():
    for path in FILES:
        if room(path) == "networks":
            assert not any("codecs" in module or "data" in module for module in imports(path))


def test_data_knows_no_model():
    for path in FILES:
        if room(path) == "data":
            assert not any(
                module.startswith(("fetal_lm.networks", "fetal_lm.hypotheses", "fetal_lm.codecs", "fetal_lm.losses"))
                for module in imports(path)
            )
