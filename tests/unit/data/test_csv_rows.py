from __future__ import annotations

import math
import tracemalloc

import pytest

from fetal_lm.data.adapters.csv_rows import count_rows, read_rows, stream_rows
from fetal_lm.errors import InputError


def test_a_good_file_is_the_same_either_way(tmp_path):
    path = tmp_path / "good.csv"
    path.write_text("\ufeffname, x ,extra\r\na.png, 1.5 ,2\r\n\r\n b.png ,-3,4\r\n", encoding="utf-8", newline="")
    strict = read_rows(path, ("name", "x"), key="name")
    assert list(stream_rows(path, ("name", "x"))) == list(strict.values())
    assert [(row.line, row.number("x")) for row in strict.values()] == [(2, 1.5), (4, -3.0)]
    assert count_rows(path) == 3


def test_what_is_wrong_with_a_row_is_said_and_the_next_one_is_read(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("name,x,y\na.png,1\nb.png,1,2,3\na.png,one,nan\nc.png,5,6\n")
    rows = list(stream_rows(path, ("name", "x", "y")))
    assert [len(row.problems) for row in rows] == [1, 1, 0, 0]
    assert "expected 3 cells as in the first line, got 2" in rows[0].problems[0]
    assert rows[0].number_or_problem("x") == (1.0, ())
    for column, cell in (("x", "'one'"), ("y", "'nan'")):
        value, (problem,) = rows[2].number_or_problem(column)
        assert math.isnan(value)
        assert cell in problem
    assert rows[3].number_or_problem("y") == (6.0, ())


def test_rows_come_before_the_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "long.csv"
    path.write_bytes(b"name,x\n" + b"a.png,1\n" * 20_000 + b"\xff,2\n")
    rows = stream_rows(path, ("name", "x"))
    tracemalloc.start()
    for _ in range(19_000):
        next(rows)
    with pytest.raises(InputError, match="UTF-8"):
        sum(1 for _ in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000  # the file has 160,000 bytes


@pytest.mark.parametrize("reader", [stream_rows, lambda path, columns: read_rows(path, columns, key="name")])
def test_a_file_that_is_none_is_an_error(tmp_path, reader):
    path = tmp_path / "labels.csv"
    bad = {b"name\na\n": "'x'", b"name,x,x\na,1,2\n": "more than once", b"name,x\n": "at least one"}
    for content, expected in bad.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=expected):
            list(reader(path, ("name", "x")))
    with pytest.raises(InputError, match="cannot be read"):
        list(reader(tmp_path / "missing.csv", ("name", "x")))
