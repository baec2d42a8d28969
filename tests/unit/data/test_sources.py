"""A run's test images are read from where they were."""

import pytest
from omegaconf import OmegaConf

from fetal_lm.configuration import read_configuration, write_with_source
from fetal_lm.data import sources
from fetal_lm.data.sources import source_of_run
from fetal_lm.errors import InputError

PHANTOM = "fetal_lm.data.adapters.phantom.Phantom"


def test_the_judges_images_were_tested(tmp_path):
    path = tmp_path / "config.yaml"
    source = {"_target_": PHANTOM, "seed": 0, "images": 2}
    cfg = OmegaConf.create({"data": {"name": "phantom", "source": source, "judge": {**source, "seed": 1}}})
    OmegaConf.save(cfg, path)
    assert source_of_run(path).archive == "phantom seed 1"
    write_with_source(read_configuration(path), path, name="phantom", settings={**source, "seed": 2})
    assert source_of_run(path).archive == "phantom seed 2"


def test_a_package_without_configurations_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CONF", tmp_path / "conf")
    with pytest.raises(InputError, match=r"not installed with the package.*pip install -e"):
        sources.source_settings("phantom")
