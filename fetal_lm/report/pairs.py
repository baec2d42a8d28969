"""Every pair of models, and of branches of a model, image by image: differences, intervals, tests, effect sizes.

A difference is the second one's error minus the first one's on the same image, each averaged over its seeds, so that a
negative one says that the second is better. What is said is about further images seen with these trained weights; how
much another training would move the figures is the spread over seeds (`report.spread`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from fetal_lm.report.entries import Entry
from fetal_lm.report.fairness import digest_of_test_set
from fetal_lm.report.multiplicity import holm
from fetal_lm.report.statistics import interval_of_mean

SIGNIFICANCE: Final = 0.05

FEWEST_EXAMINATIONS: Final = 6
"""With fewer, even differences that all have one sign have p = 2 / 2^5 > 0.05 and a test is idle."""

ROUNDED_TO: Final = 9
"""Decimals of a px or mm: what differs by less is the rounding of two sums and no difference."""

MOST_EVERY_TWO: Final = 16
"""Of so many models every two are compared (120 pairs); of more, each with the best: 250 have 31,125 pairs."""

Verdict = Literal[
    "second better",
    "second worse",
    "no clear difference",
    "no difference in any examination",
    "too few examinations",
    "no image with a pixel spacing",
]

PAIR_COLUMNS: Final = ("first", "first_branch", "second", "second_branch")
COLUMNS: Final = (
    *(*PAIR_COLUMNS, "figure", "images", "examinations"),
    *("difference", "low", "high", "p", "p_holm", "rank_biserial", "superiority", "verdict"),
)


class SignedRank(NamedTuple):
    """Wilcoxon's signed-rank test over examinations.

    Attributes:
        p: two-sided; NaN for fewer than `FEWEST_EXAMINATIONS` or where no examination differs.
        rank_biserial: from -1 (every examination has a negative difference) to 1; NaN where none differs.
        examinations: how many there are.
    """

    p: float
    rank_biserial: float
    examinations: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every pair that can be compared, and why others cannot.

    Attributes:
        table: a row per pair and figure, in the order of the figures; columns `COLUMNS`. first, second: labels of the
            entries, equal where two branches of one model are compared; images, examinations: those with a known
            difference; difference: mean over images, with the 95 % bootstrap interval low, high by examination; p:
            of `signed_rank`; p_holm: adjusted over all rows of one figure; rank_biserial; superiority: of the second;
            verdict.
        not_compared: a sentence for every pair without the same test images, and one if there are too many pairs.
    """

    table: pd.DataFrame
    not_compared: tuple[str, ...]


def compare_pairs(
    entries: Sequence[Entry], measured: Mapping[tuple[Entry, str], pd.DataFrame], figures: Sequence[str]
) -> Pairs:
    """Compares the primary branches of all entries two by two, then the branches of each entry that has several.

    Of more than `MOST_EVERY_TWO` entries each is compared with the one that has the smallest mean of the first figure.

    Args:
        entries: in the order of the sweep; of two, the earlier one is the first of its pair.
        measured: for each entry and branch, `statistics.averaged_over_seeds` of its images' measures.
        figures: columns of `measured`, each an error of an image (less is better).
    """
    primary = [(entry, entry.primary_branch) for entry in entries]
    couples = list(combinations(primary, 2))
    not_compared = []
    if len(primary) > MOST_EVERY_TWO:
        best = min(primary, key=lambda side: float(measured[side][figures[0]].mean()))
        couples = [couple for couple in couples if best in couple]
        not_compared.append(
            f"Of {len(primary)} models not every two are compared, but each with {best[0].label}, whose mean error is "
            "the smallest; having been chosen on these images it looks a little too good"
        )
    for entry in entries:
        couples += combinations([(entry, branch) for branch in entry.branches], 2)
    sides = dict.fromkeys(side for couple in couples for side in couple)
    digests = {side: digest(*side) for side in sides}
    rows: list[dict[str, Any]] = []
    for first, second in couples:
        reason = why_not(measured[first], measured[second], digests[first] == digests[second])
        if reason:
            within = first[0] is second[0]
            names = [f"{entry.label} ({branch})" if within else entry.label for entry, branch in (first, second)]
            not_compared.append(f"{names[1]} is not compared with {names[0]}: {reason}")
            continue
        names_of_pair = {
            "first": first[0].label,
            "first_branch": first[1],
            "second": second[0].label,
            "second_branch": second[1],
        }
        examinations = measured[first]["examination"].tolist()
        for figure in figures:
            difference = (measured[second][figure] - measured[first][figure]).to_numpy(dtype=np.float64)
            rows.append({**names_of_pair, "figure": figure, **paired_figures(difference, examinations)})
    return Pairs(with_verdicts(rows, figures), tuple(not_compared))


def with_verdicts(rows: Iterable[Mapping[str, Any]], figures: Sequence[str]) -> pd.DataFrame:
    """A `Pairs.table` of rows that lack `p_holm` and `verdict`, sorted by figure.

    Args:
        rows: names of the pair, figure, and what `paired_figures` says; other keys are left out.
        figures: in the order of the table; the rows of one are one family of tests.
    """
    place = {figure: number for number, figure in enumerate(figures)}
    ordered = sorted(rows, key=lambda row: place[row["figure"]])
    table = pd.DataFrame(ordered, columns=list(COLUMNS)).astype({"p_holm": np.float64})
    for figure in figures:
        family = table["figure"] == figure
        table.loc[family, "p_holm"] = holm(table.loc[family, "p"].to_numpy(dtype=np.float64))
    table["verdict"] = [verdict(row) for row in table.to_dict("records")]
    return table


def paired_figures(difference: Float[np.ndarray, " N"], examinations: Sequence[str]) -> dict[str, int | float]:
    """What the differences of N images say, test and effect sizes included.

    Args:
        difference: the second one's error minus the first one's, per image, in px or mm; NaN is left out.
        examinations: whose head each image shows, N of them.

    Returns:
        images, examinations, difference, low, high, p, rank_biserial and superiority as in `Pairs.table`; NaN where
        nothing is known.
    """
    # A zero of either sign is zero.
    difference = np.round(difference, ROUNDED_TO) + 0.0
    known = ~np.isnan(difference)
    test = signed_rank(difference, examinations)
    low, high = interval_of_mean(difference, examinations)
    return {
        "images": int(known.sum()),
        "examinations": test.examinations,
        "difference": float(difference[known].mean()) if known.any() else float("nan"),
        "low": low,
        "high": high,
        "p": test.p,
        "rank_biserial": test.rank_biserial,
        "superiority": superiority(difference),
    }


def signed_rank(difference: Float[np.ndarray, " N"], examinations: Sequence[str]) -> SignedRank:
    """Wilcoxon's signed-rank test on the mean difference of each examination, and its effect size.

    The test takes its values for independent. Frames of one examination are not: counted one by one they would make p
    too small. So each examination enters once, with the mean over its frames. Examinations without any difference are
    left out of the ranks, as Wilcoxon did.

    The effect size is the matched-pairs rank-biserial correlation: the share of the rank sum that is positive minus the
    share that is negative. Source: Kerby, The simple difference formula, Comprehensive Psychology 3 (2014).

    Args:
        difference: per image; NaN is left out.
        examinations: whose head each image shows, N of them.

    Example:
        Ranks 1 to 6, of which 2 is negative: (19 - 2) / 21.

        >>> test = signed_rank(np.array([1.0, -2.0, 3.0, 4.0, 5.0, 6.0]), list("abcdef"))
        >>> round(test.p, 6), round(test.rank_biserial, 6), test.examinations
        (0.09375, 0.809524, 6)
    """
    known = ~np.isnan(difference)
    codes, unique = pd.factorize(np.asarray(examinations, dtype=object)[known])
    counts = np.bincount(codes, minlength=len(unique))
    # Rounded, so that equal differences are ties and what cancels within an examination is zero.
    means = np.round(np.bincount(codes, weights=difference[known], minlength=len(unique)) / counts, ROUNDED_TO)
    moved = means[means != 0]
    if not len(moved):
        return SignedRank(float("nan"), float("nan"), len(unique))
    ranks = stats.rankdata(np.abs(moved))
    effect = float((ranks * np.sign(moved)).sum() / ranks.sum())
    p = float(stats.wilcoxon(moved).pvalue) if len(unique) >= FEWEST_EXAMINATIONS else float("nan")
    return SignedRank(p, effect, len(unique))


def superiority(difference: Float[np.ndarray, " N"]) -> float:
    """The share of images on which the second one's error is the smaller, equal ones counted half.

    The probability of superiority for paired values. Source: Grissom and Kim, Effect Sizes for Research (2005).

    Args:
        difference: the second one's error minus the first one's, per image; NaN is left out.

    Returns:
        0.5 for no difference; NaN if nothing is known.

    Example:
        >>> superiority(np.array([-1.0, -2.0, 0.0, 5.0]))
        0.625
    """
    known = difference[~np.isnan(difference)]
    return float((known < 0).mean() + (known == 0).mean() / 2) if known.size else float("nan")


def verdict(row: Mapping[Any, Any]) -> Verdict:
    """Whether a difference is clear: test and interval must both say so, and in the same direction.

    The interval is about the mean, which a few bad images can carry; the test is about ranks, which they cannot.

    Args:
        row: of `Pairs.table`.
    """
    if not row["images"]:
        return "no image with a pixel spacing"
    if np.isnan(row["rank_biserial"]):
        return "no difference in any examination"
    if row["examinations"] < FEWEST_EXAMINATIONS:
        return "too few examinations"
    if row["p_holm"] < SIGNIFICANCE:
        if row["high"] < 0 and row["rank_biserial"] < 0:
            return "second better"
        if row["low"] > 0 and row["rank_biserial"] > 0:
            return "second worse"
    return "no clear difference"


def digest(entry: Entry, branch: str) -> str:
    """`fairness.digest_of_test_set` of all images that a branch of an entry was tested on."""
    pooled = pd.concat(entry.tables(branch).values(), ignore_index=True)
    return digest_of_test_set(pooled.drop_duplicates("image"))


def why_not(first: pd.DataFrame, second: pd.DataFrame, same_labels: bool) -> str | None:
    """Why the rows of two frames of measures, both sorted by image, are not pairs; None if they are."""
    ours, theirs = set(first["image"]), set(second["image"])
    if ours != theirs:
        return (
            f"they are tested on different images ({len(theirs)} and {len(ours)}, {len(ours & theirs)} shared; for "
            f"example {min(ours ^ theirs)} by one of them alone)"
        )
    if not same_labels:
        return "their test images have different labels or pixel spacings"
    # Checked as a list: an image under two examinations would have two rows.
    columns = ["image", "examination"]
    if first[columns].to_numpy().tolist() != second[columns].to_numpy().tolist():
        return "their test images belong to different examinations"
    return None
