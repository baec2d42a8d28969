"""What earlier rows were, so that a row can be compared with all before it while memory stays flat.

Kept in a temporary SQLite file that goes away with the audit.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final

_CACHE_KIB: Final = 4096

_TABLES: Final = """
    CREATE TABLE images (image TEXT PRIMARY KEY, line INTEGER, points BLOB) WITHOUT ROWID;
    CREATE TABLE contents (digest TEXT PRIMARY KEY, image TEXT, line INTEGER) WITHOUT ROWID;
    CREATE TABLE examinations (examination TEXT PRIMARY KEY, part TEXT, image TEXT) WITHOUT ROWID;
"""


class Ledger:
    """The first row of every image name, image content and examination; a context manager."""

    def __enter__(self) -> Ledger:
        self._folder = TemporaryDirectory(prefix="fetal-lm-audit-")
        self._database = sqlite3.connect(Path(self._folder.name) / "ledger.sqlite", isolation_level=None)
        # Nothing here is worth keeping after a crash.
        self._database.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB}; {_TABLES} BEGIN;"
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._folder.cleanup()

    def first_row(self, image: str, line: int, points: bytes) -> tuple[int, bool] | None:
        """The line of an earlier row of the same image and whether its points are the same; None if this is the first.

        Args:
            image: the name that the row gives.
            line: of this row.
            points: its points as bytes.
        """
        found = self._first("images", "image", (image, line, points), "line, points")
        return None if found is None else (int(found[0]), bool(found[1] == points))

    def first_content(self, digest: str, image: str, line: int) -> tuple[str, int] | None:
        """Name and line of an earlier row with the same image content; None if this is the first.

        Args:
            digest: of the image's content.
            image: the name that this row gives.
            line: of this row.
        """
        found = self._first("contents", "digest", (digest, image, line), "image, line")
        return None if found is None else (str(found[0]), int(found[1]))

    def first_part(self, examination: str, part: str, image: str) -> tuple[str, str] | None:
        """The split of the examination's first row and that row's image; None if this is the first.

        Args:
            examination: of this row.
            part: the split that this row is in.
            image: the name that this row gives.
        """
        found = self._first("examinations", "examination", (examination, part, image), "part, image")
        return None if found is None else (str(found[0]), str(found[1]))

    def _first(self, table: str, key: str, row: tuple[object, ...], wanted: str) -> tuple[Any, ...] | None:
        # Table and columns are this module's own words, never a user's.
        found: tuple[Any, ...] | None = self._database.execute(
            f"SELECT {wanted} FROM {table} WHERE {key} = ?", row[:1]
        ).fetchone()
        if found is None:
            self._database.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", row)
        return found
