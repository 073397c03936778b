"""SkeletonMAE: hide most of a motion and predict it from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ssl_skel.batch import Batch
from ssl_skel.encoders.encoder import SkeletonEncoder
from ssl_skel.encoders.streams import motion, on_coordinates
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout
from ssl_skel.pretexts.base import Pretext, View, encode_views
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.decoders import DECODERS
from ssl_skel.pretexts.focus import focus_weights
from ssl_skel.pretexts.losses import masked_cosine, masked_mse, normalize_patches, to_patches
from ssl_skel.pretexts.masking import MASKS
from ssl_skel.pretexts.masking.draw import cells_with_hidden, hide_highest, wholly_hidden


def face_camera(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """Turn each clip about the upright axis so that its first person's ``across`` line is along x.

    The line is the sum of its directions in the first eighth of the frames, at least one; left comes to be at smaller
    x, as in someone who faces a Kinect. A body without such a line stays as it is.

    Args:
        x: joints (N, 3, T, V, M), y up.
    """
    left, right = layout.across
    frames = max(1, x.shape[2] // 8)
    line = x[:, 0::2, :frames, right, 0] - x[:, 0::2, :frames, left, 0]
    cos, sin = functional.normalize(functional.normalize(line, dim=1).sum(2), dim=1).unbind(1)
    cos = torch.where((cos == 0) & (sin == 0), torch.ones_like(cos), cos)
    cos, sin = (value.view(-1, 1, 1, 1) for value in (cos, sin))
    across, up, depth = x.unbind(1)
    return torch.stack([cos * across + sin * depth, up, cos * depth - sin * across], 1)


class SkeletonMAE(Pretext[SkeletonMAEConfig]):
    """Masked autoencoding of a skeleton sequence, on any backbone.

    SkeletonMAE (Wu et al., ICMEW 2023); targets and motion-aware masks of MAMP (Mao et al., ICCV 2023); fewer, larger
    targets with errors weighted by motion energy of AMR (Sun et al., CVPR 2026): ``decoder_span`` and ``focus``;
    regions, cosine error and graph decoder of the other SkeletonMAE (Yan et al., ICCV 2023), whose encoder is ``gin``.
    Departs from print: the encoder gets the whole grid and a mask, rather than visible tokens only;
    convolutions need the grid, and the contract of backbones keeps hidden input out. A transformer may drop what
    is hidden, as ``st_transformer`` does; ``encode: visible`` drops whole frames for any network.
    Paper silent: ratios, decoder and loss; see the options.

    What is hidden is the *stream* at a unit. With a bone stream the vector to a hidden parent still
    stands at its visible child, and with a motion stream the last visible frame holds the step into
    the first hidden one; long tubes and blocks make both matter little.

    Absent persons are ignored, and each clip counts once, however many persons it holds.

    Raises:
        UserError: frames that the unit does not divide, a mask that hides nothing or everything, or a
            decoder width that its heads do not divide.
    """

    Config: ClassVar = SkeletonMAEConfig

    def __init__(self, config: SkeletonMAEConfig, encoder: SkeletonEncoder, layout: SkeletonLayout) -> None:
        super().__init__(config, encoder, layout)
        net = encoder.backbone
        if net.num_frames % config.unit:
            raise UserError(f"pretext.unit: {net.num_frames} frames are not a multiple of {config.unit}; change one")
        if config.decoder_dim % config.decoder_heads:
            raise UserError(f"pretext.decoder_dim: must be a multiple of decoder_heads = {config.decoder_heads}")
        if config.target_frame == "body" and (encoder.channels != 3 or layout.score):
            has = encoder.channels
            raise UserError(f"pretext.target_frame: body needs 3 coordinates, the store has {has}; use input")
        if config.target == "motion" and config.motion_stride >= net.num_frames:
            raise UserError(f"pretext.motion_stride: must be below the {net.num_frames} frames of a clip")
        steps = net.num_frames // net.t_stride
        if steps % config.decoder_span:
            raise UserError(f"pretext.decoder_span: {config.decoder_span} does not divide the features' {steps} frames")
        if config.encode == "visible" and config.unit % net.t_stride:
            raise UserError(f"pretext.unit: encode visible needs a multiple of the network's stride {net.t_stride}")
        if config.encode == "visible" and net.drops_hidden:
            raise UserError(f"pretext.encode: {net.config.name} computes only what is visible already; write all")
        self.mask = MASKS[config.mask.name](config.mask, layout)
        self.mask.check(net.num_frames // config.unit)
        self.decoder = DECODERS[config.decoder](
            net.dim,
            config.decoder_dim,
            config.decoder_depth,
            config.decoder_heads,
            grid=(steps, layout.num_joints),
            out=net.t_stride * net.channels,
            token=config.decoder == "cross" or config.decoder_input == "visible",
            span=config.decoder_span,
            layout=layout,
        )

    def views(self, batch: Batch) -> list[View]:
        """The first draw of each clip, with some of it hidden."""
        return [self._hide(batch, self.mask, self.config.unit, self.config.encode == "visible")]

    def loss(self, batch: Batch, views: Sequence[View], features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Scalar ``loss``: squared or cosine error of the units that count."""
        (view,), (feature,) = views, features
        assert view.mask is not None
        facing = view.x
        if self.config.target_frame == "body":
            facing = self.encoder.pack(face_camera(batch.x[:, 0], self.layout), batch.present)
        counts = view.mask if self.config.loss_on == "hidden" else torch.ones_like(view.mask)
        if self.config.decoder_sample < 1:
            counts = self._sample(batch, counts)
        prediction = self.decode(feature, view.mask, counts)
        found = prediction, self.target(facing), counts, batch.present
        if self.config.error == "cosine":
            return {"loss": masked_cosine(*found, self.config.cosine_power)}
        return {"loss": masked_mse(*found, self._focus(view.x))}

    def predict(self, packed: Tensor, mask: Tensor) -> Tensor:
        """Stream (B, C, T, V) and mask (B, U, V), True = HIDDEN -> predicted units (B, U, V, u * C)."""
        view = View(packed, mask, drops_frames=self.config.encode == "visible")
        return self.decode(encode_views(self.encoder.backbone, [view])[view], mask)

    def decode(self, features: Tensor, mask: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Predicted units of a stream.

        Args:
            features: (B, D, Tp, Vp), of the stream with that mask.
            mask: (B, U, V) bool, True = HIDDEN.
            wanted: (B, U, V) bool, units that will be used; others may be anything finite. None: all.

        Returns:
            (B, U, V, u * C).
        """
        if self.config.decoder_input == "pooled":
            features = features.mean((2, 3), keepdim=True).expand(-1, -1, features.shape[2], self.layout.num_joints)
        hidden, length = None, self.config.unit * mask.shape[1]
        if self.config.decoder_input == "visible" and features.shape[3] == mask.shape[2]:
            hidden = wholly_hidden(mask, length, features.shape[2])
        used = None if wanted is None else cells_with_hidden(wanted, length, (features.shape[2], wanted.shape[2]))
        cells = self.decoder(features, hidden, used)
        frames = torch.unflatten(cells, 3, (-1, self.encoder.backbone.channels)).permute(0, 4, 1, 3, 2).flatten(2, 3)
        return to_patches(frames, self.config.unit)

    def target(self, packed: Tensor) -> Tensor:
        """Stream (B, C, T, V) -> what should be predicted, (B, U, V, u * C).

        The change from a frame to the one ``motion_stride`` later is zero where the clip ends (MAMP).
        """
        if self.config.target == "motion":
            packed = on_coordinates(packed, self.layout, partial(motion, stride=self.config.motion_stride))
        patches = to_patches(packed, self.config.unit)
        return self._normalized(patches) if self.config.normalize else patches

    def _normalized(self, patches: Tensor) -> Tensor:
        """The coordinates of each unit (B, U, V, u * C) by their own mean and deviation; scores as they are."""

        def scale(coordinates: Tensor) -> Tensor:
            values = normalize_patches(coordinates.movedim(1, 4).flatten(3), self.config.normalize_eps)
            return torch.unflatten(values, 3, (self.config.unit, -1)).movedim(4, 1)

        cells = torch.unflatten(patches, 3, (self.config.unit, -1)).movedim(4, 1)  # (B, C, U, V, u)
        return on_coordinates(cells, self.layout, scale).movedim(1, 4).flatten(3)

    def _focus(self, packed: Tensor) -> Tensor | None:
        """Weights of the errors of a stream (B, C, T, V), (B, U, V, u * C); None: all equal."""
        if self.config.focus is None:
            return None
        weights = focus_weights(packed[:, : self.layout.coordinates(packed.shape[1])], self.config.focus)
        return to_patches(weights[:, None].expand_as(packed), self.config.unit)

    def _sample(self, batch: Batch, counts: Tensor) -> Tensor:
        """A random sample of the units that count, as many for each person: (B, U, V) bool -> the same."""
        units, joints = counts.shape[1:]
        total = units * joints if self.config.loss_on == "all" else self.mask.hidden(units)
        scores = batch.rng.uniform(batch.x.shape[5], units, joints)[batch.present]
        chance = scores.masked_fill(~counts, -1.0).flatten(1)
        return hide_highest(chance, max(1, round(self.config.decoder_sample * total))).view_as(counts)
