"""The weights that come with the package are what their card says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fetal_lm import Predictor, geometry
from fetal_lm.data.adapters.hc18 import SPACING_CSV, Hc18, read_circumferences
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.predict.engine import open_engine
from fetal_lm.predict.released import CARD, EXPORTED, FOLDER
from fetal_lm.predict.torch_engine import TorchEngine
from fetal_lm.trained import load_run

ROOT = Path(__file__).parents[3]
ABSOLUTE_PATH = re.compile(rb"(?<![\w./:-])/\w+/\w[\w.-]*/")
LARGEST_BYTES = 8_000_000
DECIMALS = {
    "HC, mean absolute error, mm": ("hc_mae_mm", 2),
    "BPD, mean absolute error, mm": ("bpd_mae_mm", 2),
    "OFD, mean absolute error, mm": ("ofd_mae_mm", 2),
    "BPD, error / true length (`bpd_nme`)": ("bpd_nme", 4),
    "OFD, error / true length (`ofd_nme`)": ("ofd_nme", 4),
    "landmarks, median error, mm": ("median_mm", 2),
    "images with no landmark off by more than 0.1 OFD, share": ("found", 4),
}
LOOKS = (False, "half_turn")


@pytest.fixture(scope="module")
def row():
    return json.loads((FOLDER / "row.json").read_text())


def test_the_cards_figures_are_the_rows(row):
    card = (FOLDER / CARD).read_text()
    figures = row["metrics"][next(iter(row["metrics"]))]
    for label, (name, decimals) in DECIMALS.items():
        line = re.search(rf"^\| {re.escape(label)} \| (\S+) \[", card, re.MULTILINE)
        assert line, label
        assert line[1] == f"{figures[name]:.{decimals}f}", label
    assert f"{figures['images']:.0f} images" in card
    assert f"{row['parameters']:,} parameters" in card
    assert row["code_version"] in card


def test_the_readme_repeats_them(row):
    readme = " ".join((ROOT / "README.md").read_text().split())
    figures = row["metrics"][next(iter(row["metrics"]))]
    for name, text in (
        ("bpd_mae_mm", "BPD is {} mm off on average ["),
        ("ofd_mae_mm", "OFD {} ["),
        ("hc_mae_mm", "HC {} ["),
    ):
        assert text.format(f"{figures[name]:.2f}") in readme


def test_they_are_small_and_say_nothing_of_the_machine_that_made_them():
    weights = [path for path in FOLDER.iterdir() if path.suffix in (".safetensors", ".onnx")]
    assert sorted(path.name for path in weights) == [EXPORTED, "weights.safetensors"]
    assert max(path.stat().st_size for path in weights) <= LARGEST_BYTES
    for path in FOLDER.iterdir():
        assert ABSOLUTE_PATH.findall(path.read_bytes()) == [], path


def test_both_files_find_the_same_head():
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    source = Phantom(seed=0, images=4)
    by_torch, by_file = Predictor(engine="torch"), Predictor(engine="onnx")
    heads = [source.read(record) for record in source.records()]
    # And two in one image, which one of them is taken from.
    smaller = min(head.shape[0] for head in heads[:2])
    heads.append(np.hstack([head[:smaller] for head in heads[:2]]))
    for image in heads:
        points = [predictor.measure(image).points_orig for predictor in (by_torch, by_file)]
        assert points[0] == pytest.approx(points[1], abs=0.05, nan_ok=True)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_in_a_batch_only_what_leaves_doubts_is_looked_at_again(engine):
    if engine == "onnx":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    found = open_engine(None, engine)
    source = Phantom(seed=0, images=4)
    noise = np.random.default_rng(0).integers(0, 256, (540, 800), dtype=np.uint8)
    images = [source.read(record) for record in source.records()[:2]]
    batch = np.stack([geometry.fit_image(one, found.size_net, found.fit) for one in (images[0], noise, images[1])])
    points = found.find(batch).points
    for number in range(3):
        np.testing.assert_allclose(points[number], found.find(batch[number : number + 1]).points[0], atol=0.01)
    once, twice = (TorchEngine(load_run(FOLDER, flips=flips), bfloat16=False).find(batch) for flips in LOOKS)
    assert (np.abs(once.points - twice.points).max((1, 2)) > 0.02).all()
    np.testing.assert_allclose(points, np.where([[[False]], [[True]], [[False]]], twice.points, once.points), atol=0.01)


def test_real_heads_are_measured(hc18_root):
    # The weights were trained on them: no test of how good they are, but of the way from a file to millimetres.
    source, predictor = Hc18(root=hc18_root), Predictor()
    truths_mm = read_circumferences(hc18_root / SPACING_CSV)
    off_mm, flagged = [], 0
    for record in source.records()[::50]:
        head = predictor.measure(source.read(record), mm_per_px=record.mm_per_px)
        off_mm.append(abs(head.hc_mm - truths_mm[record.image]))
        flagged += not head.trusted
    assert np.mean(off_mm) < 3.0
    assert np.max(off_mm) < 15.0
    assert flagged <= 2
