"""Runs `run.py` as a user does, in a process of its own, small enough for a test."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = (
    "trainer=smoke",
    "image_size=[64,64]",
    "model.network.channels=8",
    "data.source.images=30",
    "data.batch_size=8",
)


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """A function that starts `run.py` with some overrides and returns the process."""
    shared_cache = tmp_path_factory.mktemp("cache")

    def begin(*overrides, prefix=(), environment=None):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
        # No home: neither a login nor settings of whoever runs the tests.
        home = str(tmp_path_factory.mktemp("home"))
        return subprocess.Popen(
            [*prefix, sys.executable, str(ROOT / "run.py"), *overrides, f"paths.cache={shared_cache}"],
            cwd=ROOT,
            env={**inherited, "HOME": home, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


@pytest.fixture(scope="session")
def experiment(start):
    """A function that runs `run.py` with some overrides and returns exit code and output."""

    def run(*overrides, **options):
        with start(*overrides, **options) as process:
            out, err = process.communicate(timeout=300)
        return Finished(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def trained(experiment, tmp_path_factory):
    """The folder of a finished run; tests only read it."""
    folder = tmp_path_factory.mktemp("trained")
    assert experiment(*TINY, "logger=csv", f"hydra.run.dir={folder}").code == 0
    return folder
