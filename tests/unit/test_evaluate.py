"""Results on one data source are not overwritten by those on another one."""

import pytest
from omegaconf import OmegaConf

from fetal_lm import evaluate
from fetal_lm.configuration import write_with_source
from fetal_lm.errors import InputError

SETTINGS = {"_target_": "fetal_lm.data.adapters.coco.Coco", "root": "A", "csv": None, "keypoints": {"ofd_1": "front"}}


@pytest.fixture
def folder(tmp_path):
    cfg = OmegaConf.create({"data": {"name": "phantom", "source": {"_target_": "Phantom", "seed": 0}}})
    write_with_source(cfg, tmp_path / "config.yaml", name="coco", settings=SETTINGS)
    (tmp_path / "row.json").write_text("{}")
    return tmp_path


def test_results_on_another_source_stay(folder, tmp_path):
    evaluate._refuse_another_source(folder, SETTINGS)
    with pytest.raises(InputError, match=r"another data source \(root was A and is B\).*--output"):
        evaluate._refuse_another_source(folder, SETTINGS | {"root": "B"})
    with pytest.raises(InputError, match=r"keypoints was .*front.* and is None; seed was None and is 5"):
        evaluate._refuse_another_source(folder, {**SETTINGS, "keypoints": None, "seed": 5})
    evaluate._refuse_another_source(tmp_path / "new", SETTINGS)


def test_what_did_not_finish_is_no_result(folder):
    (folder / "row.json").unlink()
    evaluate._refuse_another_source(folder, SETTINGS | {"root": "B"})


def test_a_folder_that_names_no_source_is_another_ones(folder):
    (folder / "config.yaml").write_text("data: {source: null}\n")
    with pytest.raises(InputError, match="another data source"):
        evaluate._refuse_another_source(folder, SETTINGS)
