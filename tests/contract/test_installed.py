"""What a wheel must carry beside the code."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_type_checkers_of_others_see_our_types():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["fetal_lm"]
    assert ROOT / "fetal_lm" / "py.typed" in {
        path for pattern in patterns for path in (ROOT / "fetal_lm").glob(pattern)
    }
