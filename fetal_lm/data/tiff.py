"""What a TIFF says about its pages that neither of its decoders heeds, or that one of them does not know."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import UInt16

from fetal_lm.geometry import Size

STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a file, classic and big, in both orders of bytes."""

_WIDTH: Final = 256
_HEIGHT: Final = 257
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_WHOLE_NUMBERS: Final = {3: "H", 4: "I", 16: "Q"}
"""By the number of an entry's type."""
# Of a classic and a big TIFF: where the first directory's offset stands, the types of a count of entries and of an
# offset, the bytes of an entry and where its value stands in it.
_CLASSIC: Final = (4, "H", "I", 12, 8)
_BIG: Final = (8, "Q", "Q", 20, 12)
_BIG_VERSION: Final = 43


def black_is_zero(content: bytes, page: int, image: np.ndarray) -> UInt16[np.ndarray, "..."]:
    """A page as OpenCV decodes it, with black at 0.

    OpenCV inverts pages of 8 bits whose 0 is white, and leaves those of 10 to 16 bits as they are; Pillow knows few of
    the latter.

    Args:
        content: the file.
        page: from 0.
        image: the page, of 16 bits.

    Raises:
        struct.error: the file ends before the page is described.
    """
    for number, described in enumerate(_directories(content)):
        if number == page:
            return np.asarray(~image if described.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else image)
    raise struct.error(f"page {page + 1} is not described")


def page_sizes(content: bytes) -> list[Size]:
    """Height and width of each page, 0 where it does not say.

    Raises:
        struct.error: the file ends before a page is described.
    """
    return [(described.get(_HEIGHT, 0), described.get(_WIDTH, 0)) for described in _directories(content)]


def _directories(content: bytes) -> Iterator[dict[int, int]]:
    """The pages' entries that are whole numbers, by tag."""
    order = "<" if content.startswith(b"II") else ">"
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    start, count, offset, entry_bytes, value_at = _BIG if version == _BIG_VERSION else _CLASSIC
    (at,) = struct.unpack_from(order + offset, content, start)
    seen: set[int] = set()
    # A damaged one may lead back to where it came from.
    while at and at not in seen:
        # Which `unpack_from` says in its own way of a place that no index reaches.
        if at >= len(content):
            raise struct.error(f"a directory would lie at byte {at} of {len(content)}")
        seen.add(at)
        (entries,) = struct.unpack_from(order + count, content, at)
        first, found = at + struct.calcsize(f"<{count}"), {}
        for entry_at in range(first, first + entries * entry_bytes, entry_bytes):
            tag, kind = struct.unpack_from(f"{order}HH", content, entry_at)
            if kind in _WHOLE_NUMBERS:
                (found[tag],) = struct.unpack_from(order + _WHOLE_NUMBERS[kind], content, entry_at + value_at)
        yield found
        (at,) = struct.unpack_from(order + offset, content, first + entries * entry_bytes)
