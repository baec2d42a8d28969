"""The headline table as the page's template reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fetal_lm.report.columns import COLUMNS, best_rows, row_label
from fetal_lm.report.comparison import Comparison


def headline(comparison: Comparison) -> dict[str, Any]:
    """Headers, and for each row its label and cells: text, interval, value to sort by, whether it is the best."""
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in comparison.table.to_dict("records")
    ]
    best = [best_rows(rows, column) for column in COLUMNS]
    return {
        "headers": [column.header for column in COLUMNS],
        "rows": [
            {
                "label": row_label(row),
                "primary": bool(row["primary"]),
                "cells": [
                    {
                        "text": column.text(row),
                        "interval": column.interval(row),
                        "value": float(row[column.figure]) if np.isfinite(row[column.figure]) else None,
                        "best": number in marked,
                    }
                    for column, marked in zip(COLUMNS, best, strict=True)
                ],
            }
            for number, row in enumerate(rows)
        ],
    }
