"""What switches ask for together."""

import pytest

from fetal_lm.choices import flips_of
from fetal_lm.errors import InputError


@pytest.mark.parametrize(
    ("flips", "half_turn", "when_unsure", "expected"),
    [
        (None, False, False, None),
        (True, False, False, True),
        (False, False, False, False),
        (None, True, False, "half_turn"),
        (None, False, True, "when_unsure"),
    ],
)
def test_switches_for_mirror_images(flips, half_turn, when_unsure, expected):
    assert flips_of(flips, half_turn=half_turn, when_unsure=when_unsure) == expected


@pytest.mark.parametrize(
    ("flips", "half_turn", "when_unsure"), [(True, True, False), (False, False, True), (None, True, True)]
)
def test_they_exclude_each_other(flips, half_turn, when_unsure):
    with pytest.raises(InputError, match="--half-turn and --when-unsure"):
        flips_of(flips, half_turn=half_turn, when_unsure=when_unsure)
