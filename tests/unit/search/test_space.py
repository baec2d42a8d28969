import sys

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fetal_lm.errors import InputError
from fetal_lm.search.space import parse_space


def test_every_kind_of_range_is_optunas():
    space = parse_space(
        [
            "lr=tag(log, interval(1e-4, 1e-2))", "sigma=interval(1, 2)", "depth=int(interval(1, 4))",
            "width=range(16, 49, 8)", "share=range(0.1, 0.5, 0.2)", "model=a,b", "size=choice(8, 16)",
        ]
    )  # fmt: skip
    assert dict(space.distributions) == {
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "sigma": FloatDistribution(1.0, 2.0),
        "depth": IntDistribution(1, 4),
        "width": IntDistribution(16, 48, step=8),
        "share": FloatDistribution(0.1, 0.3, step=0.2),
        "model": CategoricalDistribution(["a", "b"]),
        "size": CategoricalDistribution(["8", "16"]),
    }
    assert space.words()["lr"] == "0.0001 to 0.01, logarithmic"
    assert space.words()["width"] == "16 to 48 in steps of 8"
    assert space.words()["depth"] == "1 to 4, whole numbers"
    assert space.words()["model"] == "one of a, b"


def test_the_command_line_replaces_a_range_and_one_value_leaves_it_out():
    space = parse_space(
        ["lr=interval(1,2)", "width=range(1,9)", "seed=3", "~callbacks.pruning", "lr=interval(3,4)", "width=7"]
    )
    assert dict(space.distributions) == {"lr": FloatDistribution(3.0, 4.0)}
    assert set(space.fixed) == {"seed=3", "~callbacks.pruning", "width=7"}


def test_what_is_tried_without_a_search_is_known_where_it_is_in_the_space():
    space = parse_space(["lr=tag(log,interval(1e-3,1e-2))", "width=range(16,49,8)", "model=a,b"])
    present = {"lr": 3e-3, "width": 32, "model": "b"}
    assert space.known(present) == present
    for key, value in (("lr", 0.1), ("lr", "fast"), ("lr", None), ("width", 33), ("width", True), ("model", "c")):
        assert space.known({**present, key: value}) is None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=0"], "nothing to search"),
        ([], "nothing to search"),
        (["lr=interval(2,1)"], r"lr=interval\(2,1\): no range to search.*smaller number first"),
        (["lr=tag(log,interval(0,1))"], "no range to search"),
        (["width=range(9,9)"], "no range to search"),
        (["lr=interval(1"], "interval"),
        (["lr=interval(1,2)", "seed=0,1,2"], r"seed=0,1,2: seed says what is validated.*-m instead"),
        (["data.fold=range(5)"], r"data\.fold says what is validated"),
        (["+split=a,b"], "says what is validated"),
        (["image_size=choice([64,64],[128,128])"], "says what is validated"),
    ],
)
def test_what_is_no_space_says_what_to_do(overrides, message):
    with pytest.raises(InputError, match=message):
        parse_space(overrides)


@pytest.mark.parametrize(
    "key", ["loss", "loss.wing_weight", "codec", "codec.sigma_px", "model", "model@model", "model.coordinate_weight"]
)
def test_a_loss_is_not_searched_for_its_smallest_unit(key):
    space = [f"{key}=choice(1,2)", "optim.optimizer.lr=interval(1,2)", "model.network.channels=range(8,17,8)"]
    assert key in parse_space(space, monitor="val/mre_px").distributions
    with pytest.raises(InputError, match=rf"{key} says what the loss is of, .* lowest val/loss .*monitor=val/mre_px"):
        parse_space(space, monitor="val/loss")
    assert len(parse_space(space[1:], monitor="val/loss").distributions) == 2


def test_the_batch_size_may_be_searched():
    assert list(parse_space(["data.batch_size=choice(4,8)"]).distributions) == ["data.batch_size"]


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"a search needs optuna .*pip install -e '\.\[search\]'"):
        parse_space(["lr=interval(1,2)"])
