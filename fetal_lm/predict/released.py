"""The weights that come with the package: what measures where no model is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from fetal_lm.choices import EngineName
from fetal_lm.errors import InputError
from fetal_lm.report.row import FILE_NAME as ROW_FILE

FOLDER: Final = Path(__file__).resolve().parents[1] / "released"
"""As `fetal-lm package` writes one; `experiments/accuracy/release.py` made it."""

EXPORTED: Final = "model.onnx"
CARD: Final = "MODEL_CARD.md"
CARD_PATH: Final = FOLDER / CARD


def released(engine: str | None, folder: Path = FOLDER) -> Path:
    """The released model for an engine; without one the exported file, which starts sooner, if onnxruntime is there.

    Raises:
        InputError: this version has no released weights.
    """
    if not (folder / ROW_FILE).is_file():
        raise InputError(
            "a model is needed: train one with `python run.py` (it prints its folder), and give that folder as "
            "--model FOLDER, in Python as Predictor(FOLDER)"
        )
    if engine is None:
        engine = EngineName.onnx if importlib.util.find_spec("onnxruntime") else EngineName.torch
    return folder / EXPORTED if engine == EngineName.onnx else folder
