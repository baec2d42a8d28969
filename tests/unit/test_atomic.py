from __future__ import annotations

import multiprocessing
import os
import stat
import tempfile
from pathlib import Path

import pytest

from fetal_lm.atomic import atomic_path, remove_leftovers, write_text

NOBODY = 65534


def test_a_file_appears_whole_with_ordinary_rights_and_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "folder" / "row.json"
    write_text(path, "größer\n")
    assert path.read_text(encoding="utf-8") == "größer\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["row.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_the_old_file_is_whole_until_the_block_ends(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def _write_many(path, letter):
    for _ in range(20):
        write_text(path, letter * 20_000)


def test_processes_that_write_at_once_never_mix(tmp_path):
    path = tmp_path / "row.json"
    write_text(path, "a" * 20_000)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        content = path.read_text()
        assert content in ("a" * 20_000, "b" * 20_000)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["row.json"]


def test_a_folder_that_cannot_be_written_raises():
    # Root may write everywhere, so that the test is somebody else meanwhile, whom pytest's own folders keep out.
    own = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        try:
            os.seteuid(own or NOBODY)
            with pytest.raises(PermissionError):
                write_text(Path(folder) / "row.json", "x")
        finally:
            os.seteuid(own)
        assert list(Path(folder).iterdir()) == []
        Path(folder).chmod(0o700)


def test_a_file_where_a_folder_should_be_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "row.json", "x")


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    _, left = tempfile.mkstemp(dir=tmp_path, prefix=".last-", suffix=".ckpt")
    kept = {"last.ckpt", ".lock", ".hydra", "history-2026.csv", ".a-b"}
    for name in kept:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert not Path(left).exists()
    assert {entry.name for entry in tmp_path.iterdir()} == kept
    remove_leftovers(tmp_path / "nowhere")
