"""Rows that are kept from call to call."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetal_lm.errors import InputError
from fetal_lm.report.kept import named_folders, replaced


def test_rows_given_again_stay_in_their_place_and_new_ones_come_last() -> None:
    kept = [("a", 1), ("b", 1), ("b", 2), ("c", 1)]
    assert replaced(kept, "b", [("b", 3)], name_of=lambda row: row[0]) == [("a", 1), ("b", 3), ("c", 1)]
    assert replaced(kept, "d", [("d", 1)], name_of=lambda row: row[0]) == [*kept, ("d", 1)]
    assert replaced([], "a", [("a", 1)], name_of=lambda row: row[0]) == [("a", 1)]
    assert kept == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]


def test_folders_keep_their_order() -> None:
    assert list(named_folders(["b=x", "a=y/z=1"]).items()) == [("b", Path("x")), ("a", Path("y/z=1"))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["folder"], "expected NAME=FOLDER, got 'folder'"),
        (["=folder"], "expected NAME=FOLDER, got '=folder'"),
        (["name="], "expected NAME=FOLDER, got 'name='"),
        (["a=x", "b=y", "a=z"], "expected each name once, got 'a' for x and for z"),
    ],
)
def test_what_names_no_folder_is_refused(given: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        named_folders(given)
