"""Rows beside rows: duplicates, leaks, flips; each found once, at the later row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fetal_lm.audit.ledger import Ledger
from fetal_lm.audit.neighbours import Neighbours
from fetal_lm.data.rows import LabelRow

HEAD = np.array([[200.0, 270.0], [500.0, 290.0], [350.0, 150.0], [350.0, 390.0]])
ROW = LabelRow("a.png", 2, "a", "train", None, HEAD, 0.15)
OTHER = LabelRow("b.png", 3, "b", "test", None, HEAD, 0.15)


def found(*rows: tuple[LabelRow, str | None]) -> list[list[str]]:
    with Ledger() as ledger:
        neighbours = Neighbours(ledger)
        return [[finding.check for finding in neighbours.findings(row, digest)] for row, digest in rows]


def test_different_rows_have_nothing_in_common() -> None:
    assert found((ROW, "1"), (OTHER, "2")) == [[], []]


@pytest.mark.parametrize(("shift", "words"), [(0.0, "the same points"), (1.0, "other points")])
def test_a_row_that_comes_again(shift: float, words: str) -> None:
    again = replace(ROW, line=9, points_orig=HEAD + shift)
    with Ledger() as ledger:
        neighbours = Neighbours(ledger)
        assert neighbours.findings(ROW, "1") == []
        (finding,) = neighbours.findings(again, "1")
    assert (finding.check, finding.line) == ("duplicate_row", 9)
    assert "row 2" in finding.found
    assert words in finding.found


def test_an_image_under_two_names() -> None:
    assert found((ROW, "1"), (OTHER, "1")) == [[], ["duplicate_image"]]
    assert found((ROW, None), (OTHER, None)) == [[], []]


def test_an_examination_in_two_splits() -> None:
    assert found((ROW, "1"), (replace(OTHER, examination="a"), "2")) == [[], ["examination_in_two_parts"]]
    assert found((ROW, "1"), (replace(OTHER, examination="a", part="train"), "2")) == [[], []]
    assert found((replace(ROW, examination=""), "1"), (replace(OTHER, examination=""), "2")) == [[], []]


def test_ends_that_change_sides_within_an_examination() -> None:
    turned = replace(OTHER, examination="a", part="train", points_orig=HEAD[[1, 0, 3, 2]])
    assert found((ROW, "1"), (turned, "2"), (replace(turned, image="c.png"), "3")) == [[], ["order_flips"], []]
    assert found((ROW, "1"), (replace(turned, examination="b"), "2")) == [[], []]
    unknown = [replace(row, examination="") for row in (ROW, turned)]
    assert found((unknown[0], "1"), (unknown[1], "2")) == [[], []]
    upright = HEAD[:, ::-1] * [0.1, 1.0]
    flipped = replace(turned, points_orig=upright[[1, 0, 3, 2]])
    assert found((replace(ROW, points_orig=upright), "1"), (flipped, "2")) == [[], []]
