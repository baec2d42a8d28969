"""Results on one data source, or from some views, are not overwritten by others."""

import pytest
from omegaconf import OmegaConf

from fetal_lm import evaluate
from fetal_lm.configuration import write_with_source
from fetal_lm.errors import InputError

SETTINGS = {"_target_": "fetal_lm.data.adapters.coco.Coco", "root": "A", "csv": None, "keypoints": {"ofd_1": "front"}}


def refuse(folder, settings, flips=None, rotations=None):
    evaluate._refuse_others(folder, settings, flips=flips, rotations=rotations)


@pytest.fixture
def folder(tmp_path):
    cfg = OmegaConf.create(
        {"test_flips": True, "data": {"name": "phantom", "source": {"_target_": "Phantom", "seed": 0}}}
    )
    write_with_source(cfg, tmp_path / "config.yaml", name="coco", settings=SETTINGS)
    (tmp_path / "row.json").write_text("{}")
    return tmp_path


def test_results_on_another_source_stay(folder, tmp_path):
    refuse(folder, SETTINGS)
    with pytest.raises(InputError, match=r"other results \(root was A and is B\).*--output"):
        refuse(folder, SETTINGS | {"root": "B"})
    with pytest.raises(InputError, match=r"keypoints was .*front.* and is None; seed was None and is 5"):
        refuse(folder, {**SETTINGS, "keypoints": None, "seed": 5})
    refuse(tmp_path / "new", SETTINGS)


def test_what_did_not_finish_is_no_result(folder):
    (folder / "row.json").unlink()
    refuse(folder, SETTINGS | {"root": "B"})


def test_a_folder_that_names_no_source_is_another_ones(folder):
    (folder / "config.yaml").write_text("data: {source: null}\n")
    with pytest.raises(InputError, match="other results"):
        refuse(folder, SETTINGS)


def test_results_from_other_views_stay(folder):
    refuse(folder, SETTINGS, flips=True, rotations=[])
    with pytest.raises(InputError, match=r"test_flips was True and is False"):
        refuse(folder, SETTINGS, flips=False)
    with pytest.raises(InputError, match=r"test_rotations was \[\] and is \[-10.0, 10.0\]"):
        refuse(folder, SETTINGS, rotations=[-10.0, 10.0])
