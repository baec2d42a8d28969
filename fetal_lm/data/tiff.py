"""What a TIFF says about a page that neither of its decoders heeds."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from jaxtyping import UInt16

_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
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
    return np.asarray(~image if _photometric(content, page) == _WHITE_IS_ZERO else image)


def _photometric(content: bytes, page: int) -> int | None:
    order = "<" if content.startswith(b"II") else ">"
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    start, count, offset, entry_bytes, value_at = _BIG if version == _BIG_VERSION else _CLASSIC
    (at,) = struct.unpack_from(order + offset, content, start)
    for _ in range(page):
        (entries,) = struct.unpack_from(order + count, content, at)
        (at,) = struct.unpack_from(order + offset, content, at + struct.calcsize(f"<{count}") + entries * entry_bytes)
    (entries,) = struct.unpack_from(order + count, content, at)
    for entry in range(entries):
        entry_at = at + struct.calcsize(f"<{count}") + entry * entry_bytes
        if struct.unpack_from(f"{order}H", content, entry_at) == (_PHOTOMETRIC,):
            return int(struct.unpack_from(f"{order}H", content, entry_at + value_at)[0])
    return None
