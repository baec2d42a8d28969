"""Times that the project promises, measured in one run on this machine: `make bench`.

    python experiments/bench/bench.py measuring sweeping page   some parts alone

Prints and writes outputs/bench.md. Each figure is a median; what is compared is run in turn, so that both see the same
machine; a sweep is run once. The study's step is its configuration on this project's layers: full resolution, 64
channels, depth 4, three input channels, float32, batch of 8, targets drawn one by one as blurred discs.
"""

from __future__ import annotations

from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from measuring import measuring
from omegaconf import DictConfig
from report_page import page
from rich.console import Console
from rich.progress import Progress
from sweeping import sweeping
from timing import Step, autocast, in_turn
from torch import nn

from fetal_lm.atomic import write_text
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.batch import Batch
from fetal_lm.data.datamodule import LandmarkDataModule
from fetal_lm.data.splits import Split
from fetal_lm.networks.stacked_hourglass import StackedHourglass
from fetal_lm.precision import cpu_precision
from fetal_lm.train import build_model

ROOT = Path(__file__).resolve().parents[2]
SIZE_NET = (256, 256)
STUDY_BATCH = 8
LOADED_IMAGES = 96


class Part(StrEnum):
    """What can be measured alone."""

    training = auto()
    forward = auto()
    loader = auto()
    codec = auto()
    measuring = auto()
    sweeping = auto()
    page = auto()


def main(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; without any, all of it.")] = None,
) -> None:
    """Runs the measurements and writes the table."""
    torch.manual_seed(0)
    rows: list[tuple[str, str]] = []
    measurements = {
        Part.training: _training_steps, Part.forward: _forward, Part.loader: _loader, Part.codec: _codec,
        Part.measuring: measuring, Part.sweeping: sweeping, Part.page: page,
    }  # fmt: skip
    chosen = parts or list(Part)
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(chosen))
        for part in chosen:
            rows += measurements[part]()
            progress.advance(task)
    threads = torch.get_num_threads()
    lines = [
        f"{threads} threads, torch {torch.__version__}, precision {cpu_precision()}; medians.",
        "",
        "| what | measured |",
        "| --- | --- |",
        *(f"| {what} | {value} |" for what, value in rows),
        "",
    ]
    path = ROOT / "outputs" / "bench.md"
    write_text(path, "\n".join(lines))
    Console().print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    Console().print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def _training_steps() -> list[tuple[str, str]]:
    cfg = _config()
    ours, study = _our_step(cfg), _study_step()
    ours_s, study_s = in_turn([(ours, cfg.data.batch_size), (study, STUDY_BATCH)], repeats=3)
    return [
        ("training step of the default H1, ms per image", f"{1000 * ours_s:.1f}"),
        ("training step of the study's configuration, ms per image", f"{1000 * study_s:.0f}"),
        ("ratio", f"{study_s / ours_s:.0f}"),
    ]


def _forward() -> list[tuple[str, str]]:
    model = build_model(_config()).eval()
    one, many = torch.rand(1, 1, *SIZE_NET), torch.rand(16, 1, *SIZE_NET)

    def forward(image: torch.Tensor) -> Step:
        def step() -> object:
            with torch.inference_mode(), autocast():
                return model.points(image, flips=model.test_flips, rotations=model.test_rotations)

        return step

    one_s, many_s = in_turn([(forward(one), 1), (forward(many), 16)], repeats=15)
    return [
        ("default H1, one image and its mirror images to points, ms", f"{1000 * one_s:.1f}"),
        ("default H1, 16 images and their mirror images to points, ms per image", f"{1000 * many_s:.1f}"),
    ]


def _loader() -> list[tuple[str, str]]:
    cfg = _config()
    source = Phantom(seed=0, images=LOADED_IMAGES)
    records = source.records()
    everything = tuple(range(len(records)))
    data = LandmarkDataModule(
        source=source,
        records=records,
        split=Split(everything, everything, everything),
        augmentation=instantiate(cfg.augment, _convert_="all"),
        size_net=SIZE_NET,
        fit=cfg.data.fit,
        order=cfg.data.order,
        batch_size=cfg.data.batch_size,
        workers=0,
        cache_dir=ROOT / "outputs" / "cache",
        seed=0,
    )
    data.setup()

    def read() -> object:
        return [batch.image.shape for batch in data.train_dataloader()]

    (cached_s,) = in_turn([(read, LOADED_IMAGES)], repeats=5)
    return [("cached and augmented training images per second", f"{1 / cached_s:.0f}")]


def _codec() -> list[tuple[str, str]]:
    """32 x 4 maps of 64 x 64 on one thread, as other tools were measured."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    codec = GaussianCodec(sigma_px=8.0)
    points_net = 16 + torch.rand(32, 4, 2) * 224
    heatmaps = codec.encode(points_net, size_net=SIZE_NET, stride=4)
    try:
        encode_s, decode_s = in_turn(
            [
                (lambda: codec.encode(points_net, size_net=SIZE_NET, stride=4), 1),
                (lambda: codec.decode(heatmaps, stride=4), 1),
            ],
            repeats=50,
        )
    finally:
        torch.set_num_threads(threads)
    error = (codec.decode(heatmaps, stride=4) - points_net).abs().max().item()
    return [
        ("encode 32 x 4 maps of 64 x 64, one thread, ms", f"{1000 * encode_s:.2f}"),
        ("DARK decode of the same, map by map, ms", f"{1000 * decode_s:.2f}"),
        ("largest round-trip error, px of 256", f"{error:.4f}"),
    ]


def _our_step(cfg: DictConfig) -> Step:
    model = build_model(cfg)
    optim = instantiate(cfg.optim, _convert_="all")
    optimizer = optim["optimizer"](model.parameters())
    batch = _batch(cfg.data.batch_size)

    def step() -> object:
        with autocast():
            loss = model.losses(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        return optimizer.step()

    return step


def _study_step() -> Step:
    network = StackedHourglass(depth=4, channels=64, stride=1, in_channels=3)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    batch = _batch(STUDY_BATCH)

    def step() -> object:
        targets = np.stack([[_blurred_disc(x, y) for x, y in points] for points in batch.points_net.tolist()])
        maps, _ = network(batch.image)
        loss = criterion(maps[:, -1], torch.from_numpy(targets))
        optimizer.zero_grad()
        loss.backward()
        return optimizer.step()

    return step


def _blurred_disc(x: float, y: float) -> np.ndarray:
    """The study's target: a disc of radius 4 blurred with sigma 4, peak 1."""
    heatmap = np.zeros(SIZE_NET, np.float32)
    cv2.circle(heatmap, (round(x), round(y)), 4, 1.0, -1)
    blurred = cv2.GaussianBlur(heatmap, (0, 0), 4)
    return np.asarray(blurred / blurred.max(), dtype=np.float32)


def _batch(images: int) -> Batch:
    return Batch(
        image=torch.rand(images, 1, *SIZE_NET),
        points_net=32 + torch.rand(images, 4, 2) * 192,
        to_orig=torch.eye(2, 3, dtype=torch.float64).expand(images, 2, 3),
        mm_per_px=torch.ones(images),
        record=torch.arange(images),
    )


def _config() -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", ["data=phantom"])


if __name__ == "__main__":
    typer.run(main)
