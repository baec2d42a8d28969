"""`fetal-lm audit`: its sources by name, its exit codes and messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fetal_lm.cli.app import app
from fetal_lm.data import sources
from fetal_lm.data.adapters.challenge import Challenge
from fetal_lm.data.rows import Auditable

ROW = "001_2HC.png,41,9,40,46,70.5,28,12,26"


@pytest.fixture
def root(make_hc18) -> Path:
    folder = make_hc18()
    lines = [",".join(Challenge.columns), ROW]
    (folder / "role_challenge_dataset_ground_truth.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("name", sorted(path.stem for path in sources.CONF.glob("*.yaml")))
def test_every_source_of_the_configuration_can_be_audited(name: str, tmp_path: Path) -> None:
    source = sources.source_by_name(name, **({} if name == "phantom" else {"root": tmp_path}))
    assert isinstance(source, Auditable)
    assert source.name == name


def test_findings_exit_with_1_and_are_summed_up(root: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["audit", "challenge", "--root", str(root), "--output", str(tmp_path / "out"), "--clean"]
    )
    assert result.exit_code == 1, result.output
    assert "names_swapped" in result.stdout
    assert f"wrote {tmp_path / 'out' / 'findings.csv'}" in result.stdout
    assert (tmp_path / "out" / "cleaned.csv").read_text().splitlines()[1] == "001_2HC.png,12,26,70.5,28,41,9,40,46"


def test_nothing_found_exits_with_0(root: Path, tmp_path: Path) -> None:
    # Noise shows no skull, so that the outlines are judged by their shape alone.
    result = CliRunner().invoke(app, ["audit", "hc18", "--root", str(root), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "nothing found" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "got 'nowhere'"),
        (["challenge", "--root", "missing"], "missing"),
        (["hc18", "--root", "missing", "--clean"], "--clean"),
        (["phantom", "--models", "missing"], "no such folder"),
    ],
)
def test_what_cannot_be_read_exits_with_2_and_one_line(tmp_path: Path, arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(app, ["audit", *arguments, "--output", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("fetal-lm: ")] != []
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("out/*"))


def test_help_says_what_the_exit_codes_mean() -> None:
    result = CliRunner().invoke(app, ["audit", "--help"])
    assert result.exit_code == 0
    assert "fetal-lm audit challenge --root DIR" in result.stdout
    assert "no finding but notes" in " ".join(result.stdout.split())


def test_an_audit_needs_neither_torch_nor_hydra() -> None:
    code = "import fetal_lm.audit.command, fetal_lm.data.sources, sys; print(*{'torch', 'hydra'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
