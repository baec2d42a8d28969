"""`fetal-lm audit` as a user starts it, in a process of its own, on drawn heads with a planted fault."""

import csv
import os
import subprocess
import sys

import cv2

from fetal_lm.data.adapters.challenge import LABEL_CSV, Challenge
from fetal_lm.data.adapters.phantom import Phantom


def audit(*arguments):
    command = [sys.executable, "-c", "from fetal_lm.cli.app import app; app()", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_faults_are_found_put_right_and_gone(tmp_path):
    source = Phantom(seed=1, images=3)
    root = tmp_path / "data"
    root.mkdir()
    with (root / LABEL_CSV).open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(Challenge.columns)
        for number, record in enumerate(source.records()):
            cv2.imwrite(str(root / record.image), source.read(record))
            points = record.points_orig[[2, 3, 0, 1]] if number == 1 else record.points_orig
            writer.writerow([record.image, *points.ravel().tolist()])
    out = tmp_path / "out"
    first = audit("challenge", "--root", root, "--output", out, "--clean")
    assert first.returncode == 1, first.stderr
    assert "names_swapped" in first.stdout
    assert "3/3" in first.stderr
    assert sorted(path.name for path in out.iterdir()) == ["cleaned.csv", "findings.csv", "rows.csv", "worst.png"]
    again = audit("challenge", "--root", root, "--csv", out / "cleaned.csv", "--output", tmp_path / "again")
    assert again.returncode == 0, again.stdout + again.stderr
    nothing = audit("challenge", "--root", tmp_path / "nowhere", "--output", tmp_path / "none")
    assert nothing.returncode == 2
    assert "Traceback" not in nothing.stderr
