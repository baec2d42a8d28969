"""What all hypotheses share: steps, metrics, optimiser. A hypothesis says what its losses and its points are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, cast

import pytorch_lightning as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric

from fetal_lm import checkpoints, landmarks
from fetal_lm.choices import HALF_TURN, WHEN_UNSURE, Flips
from fetal_lm.codecs import confidence
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.data.batch import Batch, to_original
from fetal_lm.errors import InputError
from fetal_lm.geometry import Size
from fetal_lm.hypotheses import mirror, turn
from fetal_lm.hypotheses.schedules import Schedule
from fetal_lm.losses import HeatmapLoss, Target
from fetal_lm.metrics.landmark_error import BiometryError, LandmarkError
from fetal_lm.networks.map_network import MapNetwork

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Reading(NamedTuple):
    """What one forward pass found.

    Attributes:
        heatmaps: non-negative, for the branch `heatmap`.
        regressed: landmarks in network pixels by further branch.
        areas: further maps by name, of no landmark in particular, 0 to 1.
    """

    heatmaps: Float[Tensor, "B 4 h w"]
    regressed: Mapping[str, Float[Tensor, "B 4 2"]] = MappingProxyType({})
    areas: Mapping[str, Float[Tensor, "B h w"]] = MappingProxyType({})


class Views(NamedTuple):
    """What was found in an image, its mirror images and turned ones, in the frame and with the names of the image.

    Attributes:
        heatmaps: as in `Reading`, for each view.
        regressed: as in `Reading`, for each view.
        areas: as in `Reading`, for each view.
        image: what was looked at.
    """

    heatmaps: Float[Tensor, "V B 4 h w"]
    regressed: dict[str, Float[Tensor, "V B 4 2"]]
    areas: dict[str, Float[Tensor, "V B h w"]]
    image: Float[Tensor, "B 1 H W"]


class Prediction(NamedTuple):
    """What is kept of a test batch.

    Attributes:
        points_orig: landmarks in original pixels by branch, NaN where nothing was decoded.
        heatmaps: for pictures: the mean of an image's views in its own frame, each map scaled to a maximum of 255.
        to_orig: affine maps from network to original pixels.
    """

    points_orig: dict[str, Float[Tensor, "B 4 2"]]
    heatmaps: UInt8[Tensor, "B 4 h w"]
    to_orig: Float[Tensor, "B 2 3"]


class Hypothesis(pl.LightningModule, ABC):
    """One way to find the four landmarks.

    A subclass sets `label` and implements `losses`; with a further branch it sets `branches` and overrides `read`.
    Validation logs the primary branch under `val/...`, which is what selects checkpoints, and where there are several
    each of them under `val/<branch>/...`.

    Args:
        network: makes the maps; its last stage is read.
        codec: points <-> heatmaps.
        loss: heatmap loss and its activation.
        optimizer: called with the parameters.
        schedule: learning rate over the run; see `hypotheses.schedules`.
        monitor: name of the metric that selects, for schedules that watch it; None where none does.
        size_net: height and width of the images.
        canonical: whether predictions are renamed to canonical order, as the labels are.
        isotropic: whether images keep their aspect ratio, so that a right angle in them is one.
        test_flips: whether predictions look at the image's mirror images too (four forward passes), at that which is
            half a turn (two), or at this one of images that leave doubts; see `choices.Flips`.
        test_rotations: degrees by which predictions turn the image too, and with `test_flips` each mirror image, so
            that n of them make n + 1 times as many forward passes; see `turn.checked`.

    Raises:
        InputError: joint decoding, which forgets names, without canonical order.
    """

    label: ClassVar[str]
    """The hypothesis as the study names it: H1, H2, H3."""

    branches: ClassVar[tuple[str, ...]] = ("heatmap",)
    """Names of what `points` returns; the first is the primary one."""

    def __init__(
        self,
        *,
        network: MapNetwork,
        codec: GaussianCodec,
        loss: HeatmapLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        monitor: str | None,
        size_net: Sequence[int],
        canonical: bool,
        isotropic: bool,
        test_flips: Flips,
        test_rotations: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.codec = codec
        self.heatmap_loss = loss
        height, width = size_net
        self.size_net: Size = (height, width)
        self._optimizer = optimizer
        self._schedule = schedule
        self._monitor = monitor
        self._canonical = canonical
        self.isotropic = isotropic
        self.test_flips = test_flips
        self.test_rotations = tuple(test_rotations)
        if not canonical and codec.joint:
            raise InputError(
                "data.order=labelled keeps the labels' names, but joint decoding forgets them; add codec.joint=false"
            )
        self.identity: dict[str, str] = {}
        self.landmark_errors = nn.ModuleDict({name: LandmarkError(size_net=self.size_net) for name in self.branches})
        self.biometry_errors = nn.ModuleDict({name: BiometryError() for name in self.branches})

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars of one batch; `loss` is the one to minimise, the others are logged."""

    def read(self, image: Float[Tensor, "B 1 H W"]) -> Reading:
        """What one forward pass found; here the maps of the last stage."""
        maps, _ = self.network(image)
        return Reading(self.heatmaps(maps))

    def heatmaps(self, maps: Float[Tensor, "B S 4 h w"]) -> Float[Tensor, "B 4 h w"]:
        """Non-negative heatmaps of the last stage."""
        return self.heatmap_loss.activate(maps[:, -1])

    def points(
        self, image: Float[Tensor, "B 1 H W"], *, flips: Flips, rotations: Sequence[float] = ()
    ) -> dict[str, Float[Tensor, "B 4 2"]]:
        """Landmarks in network pixels by branch, NaN where nothing was decoded.

        Args:
            image: grey, 0 to 1.
            flips: also look at mirror images: heatmaps are pooled and then decoded, coordinates are averaged.
            rotations: also turn each of these by so many degrees, pooled with them.
        """
        return self.located(self.views(image, flips=flips, rotations=rotations))

    def views(self, image: Float[Tensor, "B 1 H W"], *, flips: Flips, rotations: Sequence[float] = ()) -> Views:
        """What was found in the image, with `flips` in its mirror images, and in all of these turned by `rotations`.

        All is in the image's own frame; the image and its mirror images come first.
        """
        found = self._mirrored(image, flips=flips)
        if not rotations:
            return found
        # One after the other: together they would need that many times the memory.
        turned = [self._turned(image, degrees, found, flips=flips) for degrees in rotations]
        return Views(
            torch.cat([found.heatmaps.float(), *(views.heatmaps for views in turned)]),
            {name: torch.cat([points_net, *(views.regressed[name] for views in turned)])
             for name, points_net in found.regressed.items()},
            {name: torch.cat([area, *(views.areas[name] for views in turned)]) for name, area in found.areas.items()},
            image,
        )  # fmt: skip

    def _turned(self, image: Float[Tensor, "B 1 H W"], degrees: float, unturned: Views, *, flips: Flips) -> Views:
        views = self._mirrored(turn.images(image, degrees), flips=flips)
        return Views(
            turn.maps_back(views.heatmaps, degrees, unturned.heatmaps),
            {name: turn.points_back(points, degrees, self.size_net) for name, points in views.regressed.items()},
            {name: turn.maps_back(area.unsqueeze(2), degrees, unturned.areas[name].unsqueeze(2)).squeeze(2).clamp_max(1)
             for name, area in views.areas.items()},
            image,
        )  # fmt: skip

    def _mirrored(self, image: Float[Tensor, "B 1 H W"], *, flips: Flips) -> Views:
        if flips == WHEN_UNSURE:
            return self._looked_again(image)
        if flips == HALF_TURN:
            return self._seen(image, (*mirror.ALONE, *mirror.TURNED))
        if flips:
            return self._seen(image, mirror.ALL)
        reading = self.read(image)
        regressed, areas = (
            {name: one.unsqueeze(0) for name, one in found.items()} for found in (reading.regressed, reading.areas)
        )
        return Views(reading.heatmaps.unsqueeze(0), regressed, areas, image)

    def _looked_again(self, image: Float[Tensor, "B 1 H W"]) -> Views:
        """The images alone, and half a turn of those that leave doubts; of others the first view again.

        Of how many a batch has doubts is known when it is there. An exported graph holds no condition therefore, but a
        second pass over as many images, often none.
        """
        first = self._mirrored(image, flips=False)
        sure = confidence.before_decoding(first.heatmaps[0], stride=self.network.stride, sigma_px=self.codec.widest_px)
        again = (~(sure >= confidence.SURE)).nonzero().squeeze(1)
        turned = self._seen(image.index_select(0, again), mirror.TURNED)

        def both(one: Tensor, other: Tensor) -> Tensor:
            return torch.cat([one, one.index_copy(1, again, other)])

        return Views(
            both(first.heatmaps, turned.heatmaps),
            {name: both(points_net, turned.regressed[name]) for name, points_net in first.regressed.items()},
            {name: both(area, turned.areas[name]) for name, area in first.areas.items()},
            image,
        )

    def _seen(self, image: Float[Tensor, "B 1 H W"], flips: Sequence[mirror.Flip]) -> Views:
        reading = self.read(mirror.images(image, flips))
        return Views(
            mirror.maps_back(reading.heatmaps, flips),
            {name: mirror.points_back(points, self.size_net, flips) for name, points in reading.regressed.items()},
            {name: mirror.areas_back(area, flips) for name, area in reading.areas.items()},
            image,
        )

    def located(self, views: Views) -> dict[str, Float[Tensor, "B 4 2"]]:
        """The points of views, as `points` returns them."""
        # Under autocast what is regressed may be in bfloat16, which numpy does not know.
        found = {name: points_net.float() for name, points_net in self.decode(views).items()}
        if self._canonical:
            # What a network calls an end is not part of what it found: names are made canonical, as the labels' are.
            found = {name: landmarks.canonical_order(points_net) for name, points_net in found.items()}
        return {branch: found[branch] for branch in self.branches}

    def decode(self, views: Views) -> dict[str, Float[Tensor, "B 4 2"]]:
        """Landmarks of every branch: pooled heatmaps are decoded, regressed landmarks averaged.

        A branch that reads `areas` or the image again overrides this.
        """
        found = {name: mirror.mean_head(points_net) for name, points_net in views.regressed.items()}
        return found | {"heatmap": self.codec.decode_views(views.heatmaps, stride=self.network.stride)}

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Logs every loss under `train/`."""
        losses = self.losses(batch)
        for name, value in losses.items():
            self.log(
                f"train/{name}",
                value.detach(),
                on_step=False,
                on_epoch=True,
                batch_size=len(batch.image),
                sync_dist=True,
            )
        return losses["loss"]

    def validation_step(self, batch: Batch, _: int) -> None:
        """Updates the metrics of every branch, of the image alone: it runs every epoch and only has to select."""
        self.log("val/loss", self.losses(batch)["loss"], batch_size=len(batch.image), sync_dist=True)
        truth_orig = to_original(batch.points_net, batch.to_orig)
        for branch, points_net in self.points(batch.image, flips=False).items():
            points_orig = to_original(points_net, batch.to_orig)
            cast(LandmarkError, self.landmark_errors[branch]).update(points_net, batch.points_net)
            cast(BiometryError, self.biometry_errors[branch]).update(points_orig, truth_orig, batch.mm_per_px.double())

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of every branch."""
        for branch in self.branches:
            values: dict[str, Tensor] = {}
            for metrics in (self.landmark_errors, self.biometry_errors):
                metric = cast(Metric, metrics[branch])
                values |= metric.compute()
                metric.reset()
            if branch == self.branches[0]:
                self.log_dict({f"val/{name}": value for name, value in values.items()})
                self.log("val_mre_px", values["mre_px"], prog_bar=True, logger=False)
            if len(self.branches) > 1:
                self.log_dict({f"val/{branch}/{name}": value for name, value in values.items()})

    def predict_step(self, batch: Batch, _: int) -> Prediction:
        """What is found in a batch, with flips and rotations if they are on."""
        views = self.views(batch.image, flips=self.test_flips, rotations=self.test_rotations)
        points_orig = {
            branch: to_original(points_net, batch.to_orig) for branch, points_net in self.located(views).items()
        }
        maps = views.heatmaps.float().mean(0)
        highest = maps.amax((-2, -1), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
        return Prediction(points_orig, (maps / highest * 255).round().to(torch.uint8), batch.to_orig)

    def configure_optimizers(self) -> Any:
        """The optimiser with its schedule."""
        optimizer = self._optimizer(self.parameters())
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = self._schedule(optimizer, steps=steps, monitor=self._monitor)
        if isinstance(schedule["scheduler"], ReduceLROnPlateau):
            # At the end of an epoch Lightning would step it after the checkpoint was written, and a run that goes on
            # from there would miss that step; after the epoch's last batch comes validation, then this, then the file.
            schedule |= {"interval": "step", "frequency": int(self.trainer.num_training_batches)}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores what `checkpoints.check` asks for."""
        checkpoint[checkpoints.IDENTITY_KEY] = dict(self.identity)

    def target(self, batch: Batch) -> Target:
        """What the maps of a batch are compared with, made on its device.

        Landmarks outside the frame are not visible and left out of the losses.
        """
        points_net = batch.points_net
        far_edge = points_net.new_tensor([self.size_net[1], self.size_net[0]]) - 0.5
        stride = self.network.stride
        return Target(
            heatmaps=self.codec.encode(points_net, size_net=self.size_net, stride=stride),
            points_net=points_net,
            visible=((points_net >= -0.5) & (points_net <= far_edge)).all(-1),
            stride=stride,
        )
