"""Every option of every config group composes, and the rules for config files hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from fetal_lm.configuration import SWITCHES, check_numbers, check_switches
from fetal_lm.errors import InputError
from fetal_lm.tracking import flatten

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(path for path in CONF.glob("*/*.yaml"))
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())


def compose_job(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides), return_hydra_config=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_composes(path):
    cfg = compose_job(
        f"{path.parent.name}={path.stem}", "+data.root=somewhere" if path.parent.name != "data" else "seed=0"
    )
    assert cfg.monitor == "val/mre_px"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_a_group_reads_root_keys_and_never_a_sibling(path):
    if path.parent.name == "experiment":
        return  # An experiment is a delta over everything.
    for reference in re.findall(r"\$\{([^}]*)\}?", path.read_text()):
        root = re.split(r"[.:]", reference)[0]
        assert root in {"", "hydra", "oc", "paths"} or root not in GROUPS, f"{path} reads {reference}"


def test_every_switch_of_ours_is_checked():
    ours = {"": [CONF / "config.yaml"]}
    ours |= {f"{group}.": (CONF / group).glob("*.yaml") for group in ("codec", "data", "loss", "model", "split")}
    switches = {
        f"{group}{key}"
        for group, paths in ours.items()
        for path in paths
        for key, value in flatten(OmegaConf.to_container(OmegaConf.load(path))).items()
        if isinstance(value, bool) and not key.endswith("_partial_")
    }
    # The one that is more than a switch: `mirror.checked`.
    assert switches == SWITCHES | {"test_flips"}


@pytest.mark.parametrize("word", ["no", "maybe", None, 2, []])
def test_a_switch_is_on_or_off(word):
    check_switches({"split.drop_leaking": True, "codec.joint": 0, "paths.cache": word})
    with pytest.raises(InputError, match=r"split\.drop_leaking: expected true or false, got "):
        check_switches({"split.drop_leaking": word})


@pytest.mark.parametrize("split", sorted(path.stem for path in (CONF / "split").glob("*.yaml")))
def test_every_number_of_a_split_is_checked(split):
    numbers = flatten({"split": OmegaConf.to_container(OmegaConf.load(CONF / "split" / f"{split}.yaml"))})
    check_numbers(numbers)
    for key, value in numbers.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            with pytest.raises(InputError, match=f"{key}: expected .*, got 'x'"):
                check_numbers({key: "x"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_size", 64, "image_size: expected height and width in pixels, .*, got 64"),
        ("image_size", [64, 64, 1], "expected height and width"),
        ("image_size", [64, 0], "expected height and width"),
        ("data.batch_size", 0, "data.batch_size: expected a whole number, at least 1, got 0"),
        ("data.batch_size", 8.0, "expected a whole number"),
        ("data.workers", -1, "at least 0, got -1"),
        ("data.workers", None, "data.workers: expected a whole number, at least 0, got None"),
        ("data.folds", "x", "data.folds: expected a whole number, at least 1, got 'x'"),
        ("seed", "abc", "seed: expected a whole number, at least 0, got 'abc'"),
        ("seed", -1, "seed: expected a whole number"),
        ("seed", True, "seed: expected a whole number"),
        ("seed", 2**32, "seed: expected at most 4294967295"),
        ("split.val_fraction", "x", "split.val_fraction: expected a share, for example 0.1, got 'x'"),
        ("split.train_fraction", None, "split.train_fraction: expected a share"),
    ],
)
def test_a_number_is_one(key, value, message):
    with pytest.raises(InputError, match=message):
        check_numbers({key: value})


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "augment").glob("*.yaml")))
def test_every_augmentation_draws_an_image_with_four_landmarks(name):
    augmentation = instantiate(compose_job(f"augment={name}").augment, _convert_="all")
    image = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    points_net = np.array([[20.0, 30.0], [70.0, 32.0], [45.0, 12.0], [46.0, 50.0]])
    for seed in range(5):
        drawn, moved = augmentation(image, points_net, aspect=1.5, seed=seed)
        assert drawn.shape == image.shape
        assert drawn.dtype == np.uint8
        assert moved.shape == (4, 2)


def test_an_experiments_own_seed_wins_over_the_default(tmp_path):
    defaults = OmegaConf.load(CONF / "config.yaml").defaults
    assert defaults[0] == "_self_"
    assert "experiment" in defaults[-1]


def test_the_three_models_are_swept_over_seeds():
    params = compose_job("experiment=three_models", "data=hc18", "data.root=x").hydra.sweeper.params
    assert set(params.model.split(",")) == {"single_hourglass", "hybrid_hourglass", "stacked_hourglass"}
    assert params.seed == "0,1,2"


def test_the_study_of_accuracy_has_every_fold():
    cfg = compose_job("experiment=accuracy", "data.root=x")
    assert cfg.hydra.sweeper.params["data.fold"].split(",") == [str(fold) for fold in range(cfg.data.folds)]
    assert (cfg.hydra.mode.name, cfg.data.name, cfg.seed) == ("MULTIRUN", "hc18", 0)
    # The split is by examination, or the predictions would not be out of fold.
    assert cfg.split._target_ == "fetal_lm.data.splits.by_examination"


def test_an_unknown_option_lists_the_choices():
    with pytest.raises(MissingConfigException, match="stacked_hourglass"):
        compose_job("model=unet")


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'trainer\.max_epoch'"):
        compose_job("trainer.max_epoch=3")
