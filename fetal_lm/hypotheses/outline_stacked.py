"""H3 with a fifth map in every stage, of the head's inside, and the landmarks read off the last one's ellipse."""

from __future__ import annotations

from fetal_lm.hypotheses.outline_hourglass import OutlineHourglass


class OutlineStacked(OutlineHourglass):
    """All but the number of stages is `OutlineHourglass`."""

    label = "H3 outline"
    stacked = True
