"""What is left in a folder when a run begins or goes on there."""

import pytest

from fetal_lm.errors import InputError
from fetal_lm.run_folder import make_room

KEPT = ("row.json", "history.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt")


def run_folder(folder):
    """A run's folder whose files say whose they are."""
    (folder / "checkpoints").mkdir(parents=True)
    for name in KEPT:
        (folder / name).write_text(f"{folder.name} {name}")
    return folder


def contents(folder):
    return {name: (folder / name).read_text() for name in KEPT if (folder / name).exists()}


def test_a_run_that_begins_anew_finds_nothing_of_an_earlier_one(tmp_path):
    folder = run_folder(tmp_path / "run")
    make_room(folder, goes_on_from=None)
    assert contents(folder) == {}
    make_room(tmp_path / "new", goes_on_from=None)


def test_a_run_that_goes_on_keeps_its_own_and_brings_anothers(tmp_path):
    folder, other = run_folder(tmp_path / "run"), run_folder(tmp_path / "other")
    make_room(folder, goes_on_from=folder / "checkpoints" / "last.ckpt")
    assert contents(folder) == {name: f"run {name}" for name in KEPT[1:]}
    make_room(folder, goes_on_from=other / "checkpoints" / "last.ckpt")
    assert contents(folder) == {name: f"other {name}" for name in ("history.csv", "checkpoints/best.ckpt")}
    assert contents(other) == {name: f"other {name}" for name in KEPT}


def test_without_the_best_checkpoint_nothing_is_changed(tmp_path):
    folder, other = run_folder(tmp_path / "run"), run_folder(tmp_path / "other")
    (other / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(InputError, match=r"best\.ckpt: is missing"):
        make_room(folder, goes_on_from=other / "checkpoints" / "last.ckpt")
    assert contents(folder) == {name: f"run {name}" for name in KEPT}
