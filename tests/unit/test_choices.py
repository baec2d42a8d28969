"""What switches ask for together."""

import pytest

from fetal_lm.choices import flips_of
from fetal_lm.errors import InputError


@pytest.mark.parametrize(
    ("flips", "half_turn", "expected"),
    [(None, False, None), (True, False, True), (False, False, False), (None, True, "half_turn")],
)
def test_switches_for_mirror_images(flips, half_turn, expected):
    assert flips_of(flips, half_turn) == expected


@pytest.mark.parametrize("flips", [True, False])
def test_half_a_turn_is_neither_all_nor_none(flips):
    with pytest.raises(InputError, match="--half-turn"):
        flips_of(flips, True)
