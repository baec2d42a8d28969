"""What is no run is said in words that help."""

import pytest

from fetal_lm.errors import InputError
from fetal_lm.trained import load_run


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "there is no such folder"),
        ("empty", "holds no row.json, so that no run finished in it"),
        ("a" * 300, r"cannot be read \(File name too long\)"),
        ("run/checkpoints/best.ckpt", "weights alone do not say what network they are of"),
    ],
)
def test_what_is_no_finished_run_is_named(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message) as raised:
        load_run(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
