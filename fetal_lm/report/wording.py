"""How figures read in the tables: units, digits, intervals; the same in Markdown and on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

MISSING: Final = "–"

NOTES: Final = (
    "px: of the frame squashed to 256 x 256. Landmark errors are order-free: a half turn of the head is forgiven.",
    "Mean ± standard deviation over seeds, [95 % bootstrap interval over images, by examination, seeds averaged].",
    "A landmark without a prediction is charged the distance to the farthest corner of its frame and fails every SDR; "
    "its diameter is charged whole. Nothing is dropped.",
    "SDR: share of landmarks at most 1, 2, 3 and 4 mm off. BPD, OFD, HC: mean absolute error. "
    "Training: wall time of one run, on average.",
    "Relative error, over the true diameter: length is its own error (`bpd_nme`), ends the mean distance of its two "
    "ends from the true ones (`bpd_endpoint_nme`). Ends is BiometryNet's NME, published as a share ± deviation over "
    "images.",
)


def number(value: float) -> str:
    """Three significant digits, at most two decimals; NaN reads as a dash.

    Example:
        >>> number(24.69), number(0.0966), number(117.2), number(1234.0), number(float("nan"))
        ('24.7', '0.10', '117', '1234', '–')
    """
    if not math.isfinite(value):
        return MISSING
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"


def mean_and_spread(row: Mapping[str, Any], figure: str) -> str:
    """For example `5.51 ± 0.32`; without the deviation where there is one seed."""
    deviation = float(row[f"{figure}_sd"])
    return number(row[figure]) + (f" ± {number(deviation)}" if math.isfinite(deviation) else "")


def mean_and_spreads(row: Mapping[str, Any], figure: str) -> str:
    """For example `5.51 ± 0.32`, or `5.51 ± 0.32 / ± 0.80` over seeds and over folds where there are several folds."""
    if row["folds"] < 2:
        return mean_and_spread(row, figure)
    return f"{number(row[figure])} ± {number(row[f'{figure}_sd'])} / ± {number(row[f'{figure}_sd_folds'])}"


def interval(row: Mapping[str, Any], figure: str) -> str:
    """For example `[4.91, 6.30]`, or an empty string where it is unknown."""
    low, high = float(row[f"{figure}_low"]), float(row[f"{figure}_high"])
    return f"[{number(low)}, {number(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def signed(value: float) -> str:
    """A difference as in `number`, with its sign unless it reads as zero.

    Example:
        >>> signed(0.126), signed(-12.34), signed(-0.004), signed(float("nan"))
        ('+0.13', '-12.3', '0.00', '–')
    """
    text = number(value)
    if text.strip("-0.") == "":
        return text.lstrip("-")
    return f"+{text}" if value > 0 else text


def signed_interval(low: float, high: float) -> str:
    """For example `[-0.63, +0.10]`, or an empty string where it is unknown."""
    return f"[{signed(low)}, {signed(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def coefficient(value: float) -> str:
    """Four decimals, for coefficients near 1; NaN reads as a dash.

    Example:
        >>> coefficient(0.99468), coefficient(float("nan"))
        ('0.9947', '–')
    """
    return f"{value:.4f}" if math.isfinite(value) else MISSING


def p_value(p: float) -> str:
    """Three decimals; never zero.

    Example:
        >>> p_value(0.0494), p_value(0.00004), p_value(1.0), p_value(float("nan"))
        ('0.049', '< 0.001', '1.000', '–')
    """
    if not math.isfinite(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float) -> str:
    """A share as a percentage without the sign; what is not zero or all never reads as 0 or 100.

    Example:
        >>> percent(0.5), percent(0.0), percent(0.0004), percent(0.12345), percent(1.0), percent(0.9999)
        ('50.0', '0', '0.04', '12.3', '100', '99.99')
    """
    if not math.isfinite(share):
        return MISSING
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}"
    near_an_end = min(share, 1 - share) < 0.0005
    return f"{100 * share:.{2 if near_an_end else 1}f}"


def success_rates(row: Mapping[str, Any], separator: str) -> str:
    """The success rates within 1, 2, 3 and 4 mm in percent, whole numbers."""
    rates = [float(row[f"sdr_{threshold}mm"]) for threshold in (1, 2, 3, 4)]
    return separator.join(f"{100 * rate:.0f}" if math.isfinite(rate) else MISSING for rate in rates)


def millions(count: float) -> str:
    """A number of parameters, for example `1.32 M`."""
    return f"{count / 1e6:.2f} M" if math.isfinite(count) else MISSING


def duration(seconds: float) -> str:
    """A wall time, for example `45 s`, `18 min` or `2.5 h`."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
