"""Hydra's side of a search, over the real configuration, with trainings that take no time."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import setup_globals
from hydra.errors import CompactHydraException, ConfigCompositionException
from hydra.types import HydraContext

from fetal_lm.lock import locked
from fetal_lm.search.sweeper import SearchSweeper
from fetal_lm.sweep import SweepManifest

CONF = Path(__file__).parents[3] / "conf"


@pytest.fixture
def search(training, monkeypatch):
    """A function that does what Hydra does for `run.py experiment=search`, but for the training."""
    monkeypatch.setattr(SweepManifest, "folder", None)
    monkeypatch.setattr(SweepManifest, "fresh", False)
    setup_globals()
    training.config = None

    def run(*overrides):
        given = ["experiment=search", f"hydra.sweep.dir={training.folder}", *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", [one for one in given if "(" not in one], return_hydra_config=True)
            options = {key: value for key, value in cfg.hydra.sweeper.items() if key != "_target_"}
            sweeper = SearchSweeper(**options)
            context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks(cfg))
            sweeper.setup(hydra_context=context, task_function=lambda _: None, config=cfg)
            sweeper.launcher = SimpleNamespace(launch=lambda jobs, **_: training(jobs))
            SweepManifest().on_multirun_start(cfg)
            try:
                sweeper.sweep([override for override in given if not override.startswith("hydra.")])
            finally:
                SweepManifest.end()

    return run


def test_a_search_begins_with_what_is_trained_without_one_and_fresh_discards_it(search, training, monkeypatch):
    search("search.trials=2", "codec.sigma_px=5")
    about = json.loads((training.folder / "sweep.json").read_text())
    first, second = about["jobs"]
    assert first["parameters"] == {"optim.optimizer.lr": 3e-3, "model.network.channels": 32}
    assert "codec.sigma_px=5" in second["overrides"]
    assert first["config_hash"] != second["config_hash"]
    assert about["search"]["space"]["model.network.channels"] == "16 to 48 in steps of 8"
    assert SweepManifest.folder == training.folder
    monkeypatch.setattr(SweepManifest, "fresh", True)
    search("search.trials=1")
    assert len(json.loads((training.folder / "sweep.json").read_text())["jobs"]) == 1
    assert not (training.folder / "1").exists()
    assert training.launched == [["0"], ["1"], ["0"]]


def test_a_second_search_into_the_folder_is_refused(search, training):
    with (
        locked(training.folder, what="the sweep", advice=""),
        pytest.raises(CompactHydraException, match=r"the sweep is in use by this process.*another hydra\.sweep\.dir"),
    ):
        search()


@pytest.mark.parametrize("option", ["search.trials=0", "search.trials=few", "search.at_once=2.5"])
def test_counts_are_whole_and_positive(search, training, option):
    name = option.partition("=")[0]
    with pytest.raises(CompactHydraException, match=rf"{name}: expected a whole number, at least 1, got "):
        search(option)
    assert not training.folder.exists()


def test_what_cannot_be_searched_is_refused_before_anything_is_touched(search, training):
    with pytest.raises(ConfigCompositionException, match=r"optim\.optimizer\.rate"):
        search("optim.optimizer.rate=interval(1,2)")
    with pytest.raises(CompactHydraException, match="nothing to search"):
        search("optim.optimizer.lr=1", "codec.sigma_px=2", "model.network.channels=8")
    assert not training.folder.exists()
