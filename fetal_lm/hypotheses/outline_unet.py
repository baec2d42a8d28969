"""The outline and heatmaps of `OutlineHourglass`, made by a U-Net whose way down knows photographs."""

from __future__ import annotations

from fetal_lm.hypotheses.outline_hourglass import OutlineHourglass


class OutlineUNet(OutlineHourglass):
    """Does what features learnt on ImageNet, and what the network, gain: all but the network is `OutlineHourglass`."""

    label = "U-Net outline"
