"""What a network costs: parameters, multiply-adds, and clips a second of training on this machine."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.config import Section, parse_config
from ssl_skel.layouts import LAYOUTS
from ssl_skel.plain_yaml import read_yaml

CLASSES = 60
"""Classes of the linear head that the field includes: NTU RGB+D's."""


class Published(Section):
    """What is known about a network's size, and under which conditions."""

    kind: Literal["printed", "counted"]
    """``printed`` in a paper, or ``counted`` from the authors' code."""
    parameters: float | None = None
    """In millions."""
    multiply_adds: float | None = None
    """For one clip, in 1e9; one multiply-add is one operation."""
    frames: int = 64
    """T."""
    persons: int = 2
    """M, all present."""
    layout: str = "ntu25"
    """Entry of ``LAYOUTS``."""
    source: str
    """Where it was published."""
    remark: str = ""
    """What a reader must know to compare."""


class Budget(NamedTuple):
    """Size of a network with its linear head.

    Attributes:
        parameters: how many.
        multiply_adds: of one clip: all persons' grids, their mean, the head.
        frames: T, as requested, rounded to a multiple of ``t_stride``.
        t_stride, keeps_joints: as of ``Backbone``.
    """

    parameters: int
    multiply_adds: int
    frames: int
    t_stride: int
    keeps_joints: bool


@cache
def load_published() -> dict[str, Published]:
    """Entry of ``BACKBONES`` -> what is known; entries without any published figure are missing."""
    path = Path(__file__).with_name("published.yaml")
    rows = read_yaml(path.read_text("utf-8"), path.name)
    return {row: parse_config(Published, data, f"{path.name}: {row}") for row, data in rows.items()}


class Whole(nn.Module):
    """A network and its head: (B, 3, T, V), the persons of clips, to class scores (B / persons, 60)."""

    def __init__(self, net: Backbone, persons: int) -> None:
        super().__init__()
        self.net, self.head, self.persons = net, nn.Linear(net.dim, CLASSES), persons

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net(x).mean((2, 3)).unflatten(0, (-1, self.persons)).mean(1))


def build(row: str, size: str, frames: int = 64, persons: int = 2, layout: str = "ntu25") -> Whole:
    """A network at one of its sizes, for about this many frames: the nearest number that its stride divides."""
    config = parse_config(BACKBONES.configs[row], {"name": row, "size": size}, row)
    stride = BACKBONES[row](config, LAYOUTS[layout], 3, frames).t_stride
    frames = max(1, round(frames / stride)) * stride
    return Whole(BACKBONES[row](config, LAYOUTS[layout], 3, frames), persons)


def measure(row: str, size: str, frames: int = 64, persons: int = 2, layout: str = "ntu25") -> Budget:
    """Count a network's parameters and the multiply-adds of one clip: matrix products, convolutions, attention."""
    whole = build(row, size, frames, persons, layout).eval()
    net = whole.net
    x = torch.zeros(persons, net.channels, net.num_frames, net.layout.num_joints)
    # Attention in plain products, which the counter sees on every machine.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        whole(x)
    parameters = sum(weight.numel() for weight in whole.parameters())
    return Budget(parameters, counter.get_total_flops() // 2, net.num_frames, net.t_stride, net.keeps_joints)


def training_rate(row: str, size: str, seconds: float = 3.0, clips: int = 8, persons: int = 2) -> float:
    """Clips a second of training with labels: forward, backward and a step of AdamW, on the CPU.

    Clips are of 64 frames and 25 joints. The fastest step counts: other work on the machine makes steps slower, nothing
    makes them faster. The first step is not measured.

    Args:
        row, size: the network.
        seconds: how long to measure; at least two steps.
        clips: in a step.
        persons: in a clip, all present.
    """
    whole = build(row, size, persons=persons)
    optimizer = torch.optim.AdamW(whole.parameters(), 1e-3)
    source = torch.Generator().manual_seed(0)
    net = whole.net
    x = torch.randn(clips * persons, net.channels, net.num_frames, net.layout.num_joints, generator=source)
    label = torch.arange(clips) % CLASSES
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        began = time.perf_counter()
        loss = nn.functional.cross_entropy(whole(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    return clips / min(times[1:])
