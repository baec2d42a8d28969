"""Values of a DICOM dataset that may be damaged."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset


def value_of(dataset: Dataset, keyword: str) -> Any:
    """None where it is missing, and where it is damaged, which pydicom finds out when it is asked."""
    try:
        return dataset.get(keyword)
    except Exception:  # Which one depends on the damage. What cannot be read is not known.
        return None
