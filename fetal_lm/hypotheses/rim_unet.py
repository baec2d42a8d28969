"""The rim of `RimHourglass`, whose first look is that of a U-Net whose way down knows photographs."""

from __future__ import annotations

from fetal_lm.hypotheses.rim_hourglass import RimHourglass


class RimUNet(RimHourglass):
    """All but the first network is `RimHourglass`."""

    label = "U-Net rim"
