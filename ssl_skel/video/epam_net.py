"""EPAM-Net: the joints' features say when to look at the frames and, if both show the same box, at which places.

Abdelkawy, Ali & Farag, Neurocomputing 2025 (arXiv 2408.05421); released code:
actionModels/{rgb_pose_action_recognition_model,attention_module}.py, mmaction/models/backbones/x3dTemporalshift.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_skel.backbones.configs.xshift import ArchSpec
from ssl_skel.backbones.xshift import XShiftNet
from ssl_skel.video.sizes import RGBSize

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of red, green and blue in 0..1; the paper's."""

# Saved classifiers name their size, so a row here must never change; add another instead.
RGB_PLANS: dict[str, ArchSpec] = {
    "tiny": ArchSpec(2, (8, 16), (1, 1), 8, 16),
    "small": ArchSpec(2, (24, 48, 96, 192), (1, 1, 2, 1), 8, 432),
    "base": ArchSpec(2, (24, 48, 96, 192), (3, 5, 11, 7), 8, 432),
}
"""``base``: the paper's X-ShiftNet for frames, 2.0 M parameters and 4.3 G multiply-adds on 16 frames of 224 x 224."""


class PoseAttention(nn.Module):
    """Weight the places of each frame, and the frames, by the features of the joints: A = A_S * A_T.

    EPAM-Net, released code: A_S = sigmoid(BN(conv 7x7([max, mean of channels]))) after CBAM (Woo et al., ECCV 2018),
    then A_T = sigmoid(conv of 7 frames(mean of A_S over places)), from A_S and no other features. The joints' features
    are those of T frames spread evenly: at 0, 3, ..., 45 of 48 for 16.

    Departs from print: A_S is in the box of a person, and is laid over the frames as they were cropped. In the paper
    both are one box of all persons. Here that of the frames is the same for all clips, all of the picture unless
    ``crop_frames`` says otherwise, so that a place in the one is not that place in the other.

    Args:
        places: with A_S; otherwise A = A_T.
    Shape:
        (N, D, T', h, w) -> (N, 1, T, h, w), each in 0..1
    """

    def __init__(self, places: bool = True) -> None:
        super().__init__()
        self.places = places
        self.space = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01))
        self.time = nn.Conv1d(1, 1, 7, padding=3, bias=False)

    def forward(self, features: Tensor, frames: int) -> Tensor:
        at = torch.arange(frames, device=features.device) * features.shape[2] // frames
        chosen = features[:, :, at].transpose(1, 2).flatten(0, 1)  # (N * T, D, h, w)
        both = torch.stack([chosen.amax(1), chosen.mean(1)], 1)
        places = self.space(both).sigmoid().unflatten(0, (-1, frames)).transpose(1, 2)  # A_S (N, 1, T, h, w)
        times = self.time(places.mean((3, 4))).sigmoid()  # A_T (N, 1, T)
        return (places if self.places else torch.ones_like(places)) * times[..., None, None]


class EPAMNet(nn.Module):
    """EPAM-Net without its pose stream: the stream of frames, the attention, and both heads.

    Frames' features f become f + f * A; a head is a mean over frames and places, dropout and a linear layer. The two
    heads are trained separately, and their logits are summed at test.

    Ours: where the grids of the two streams differ in size, A is resized to that of the frames, bilinearly.

    Args:
        pose_dim: D of the pose stream's features; 0: there is none, only frames are used.
        num_classes: of the heads.
        size: entry of ``RGB_PLANS``.
        dropout: before each linear layer (paper: 0.5).
        places: see ``PoseAttention``.
    """

    def __init__(
        self, pose_dim: int, num_classes: int, size: RGBSize = "base", dropout: float = 0.5, places: bool = True
    ) -> None:
        super().__init__()
        self.rgb = XShiftNet(3, RGB_PLANS[size])
        self.rgb_head = _head(RGB_PLANS[size].dim, num_classes, dropout)
        if pose_dim:
            self.attention = PoseAttention(places)
            self.pose_head = _head(pose_dim, num_classes, dropout)

    def forward(self, frames: Tensor, pose: Tensor | None) -> list[Tensor]:
        """Logits of frames, then of joints if there are any.

        Args:
            frames: (N, 3, T, H, W) uint8.
            pose: (N, D, T', h, w), or None.

        Returns:
            (N, classes) each.
        """
        grid = self.rgb(normalized(frames))
        if pose is None:
            return [self.rgb_head(grid.mean((2, 3, 4)))]
        weight = self.attention(pose, grid.shape[2])
        if weight.shape[3:] != grid.shape[3:]:
            weight = functional.interpolate(weight[:, 0], grid.shape[3:], mode="bilinear")[:, None]
        return [self.rgb_head((grid + grid * weight).mean((2, 3, 4))), self.pose_head(pose.mean((2, 3, 4)))]


def _head(dim: int, num_classes: int, dropout: float) -> nn.Sequential:
    """Dropout and a linear layer, which begins near zero (I3D's head in MMAction2, which the code takes)."""
    linear = nn.Linear(dim, num_classes)
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.Dropout(dropout), linear)


def normalized(frames: Tensor) -> Tensor:
    """Bytes (N, 3, T, H, W) to numbers with ImageNet's mean 0 and deviation 1."""
    mean, deviation = (torch.tensor(value, device=frames.device).view(3, 1, 1, 1) for value in (MEAN, DEVIATION))
    return (frames / 255 - mean) / deviation
