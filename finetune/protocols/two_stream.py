"""EPAM-Net as its paper trains it: frames of a video and joints together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from finetune.classifiers.linear import Classifier
from finetune.classifiers.names import CLASSIFIER, HEAD
from finetune.protocols.base import EvalContext, FeatureSet
from finetune.protocols.configs.two_stream import TwoStreamConfig
from finetune.protocols.trained import Trained
from ssl_skel.backbones.xshift import PoseXShiftNet
from ssl_skel.batch import Batch
from ssl_skel.data.augment.config import FlipConfig
from ssl_skel.data.augment.space import Flip
from ssl_skel.data.splits import Split
from ssl_skel.data.subsets import Budget
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Measurement
from ssl_skel.video.cache import GIGABYTE, FrameCache
from ssl_skel.video.epam_net import EPAMNet
from ssl_skel.video.frames import find_videos


class TwoStreamClassifier(Classifier):
    """Cross-entropy of each stream, summed; the summed logits decide.

    Features of a clip's persons are averaged before attention and head. Departs from print: the paper draws all
    persons into one heat-map.

    Args:
        encoder: on a ``PoseXShiftNet``; made part of this module.
        num_classes: classes of the store.
        config: options.
    """

    head: EPAMNet  # type: ignore[assignment]  # in place of a linear layer

    def __init__(self, encoder: SkeletonEncoder, num_classes: int, config: TwoStreamConfig) -> None:
        looks_at_joints = config.streams == "both"
        super().__init__(encoder, num_classes, frozen=not looks_at_joints, label_smoothing=config.label_smoothing)
        dim = encoder.backbone.dim if looks_at_joints else 0
        self.head = EPAMNet(dim, num_classes, config.rgb_size, config.dropout, places=config.attention == "both")
        self.mirror = Flip(FlipConfig(probability=1.0), encoder.layout)
        self.config = config
        self.cache: FrameCache | None = None

    def take_videos(self, folder: Path, names: Sequence[str], room: Path) -> None:
        self.cache = _frame_cache(self.config, folder, room, np.arange(len(names)), names)
        self.cache.fill()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars of a batch, which is mirrored in part: ``loss``, a cross-entropy a stream, ``accuracy``."""
        coin = batch.rng.uniform() < self.config.flip
        x = batch.x[:, 0]
        x = torch.where(coin.view(-1, 1, 1, 1, 1), self.mirror(x, batch.rng), x)
        frames = self._frames(batch)
        logits = self._logits(batch, torch.where(coin.view(-1, 1, 1, 1, 1), frames.flip(4), frames), x)
        losses = [F.cross_entropy(one, batch.label, label_smoothing=self.label_smoothing) for one in logits]
        scalars = dict(zip(("cross_entropy_rgb", "cross_entropy_pose"), losses, strict=False))
        right = (torch.stack(logits).sum(0).argmax(1) == batch.label).float().mean()
        return {"loss": torch.stack(losses).sum(), **scalars, "accuracy": right}

    def logits(self, batch: Batch) -> Tensor:
        """(N, classes), the sum over streams."""
        return torch.stack(self._logits(batch, self._frames(batch), batch.x[:, 0])).sum(0)

    def _logits(self, batch: Batch, frames: Tensor, x: Tensor) -> list[Tensor]:
        if self.frozen:
            return self.head(frames, None)
        net = self.encoder.backbone
        assert isinstance(net, PoseXShiftNet)
        grid = pool_persons(self.encoder.forward_features(x, batch.present), batch.present)
        return self.head(frames, grid.unflatten(3, (net.grid_side, net.grid_side)))

    def _frames(self, batch: Batch) -> Tensor:
        if self.cache is None:
            raise UserError(
                "two_stream: this classifier looks at videos, and is given joints alone; name their folder (--videos)"
            )
        return self.cache.frames(batch.index)


class TwoStream(Trained[TwoStreamConfig]):
    """Frames and joints: EPAM-Net's two streams, the one guided by the other.

    Frames are decoded once, into ``<evaluation>/frames``. A pretrained encoder provides the pose stream.

    Raises:
        UserError: a clip of the splits has no video, their frames would take too much room, or ``rgb`` does not fit;
            or, with both streams, the encoder's heat-maps do not show what the videos show.
    """

    Config = TwoStreamConfig

    def __init__(self, config: TwoStreamConfig, context: EvalContext) -> None:
        sides = [rows for split in context.splits for rows in (split.train, split.test)]
        rows = np.unique(np.concatenate(sides))
        names = context.store.name[rows].tolist()
        self.cache = _frame_cache(config, config.videos, context.folder / "frames", rows, names)
        self.rgb, digest = _trained_rgb(config)
        inputs = hashlib.sha256(f"{self.cache.digest} {digest}".encode()).hexdigest()
        super().__init__(config.model_copy(update={"inputs": inputs}), context)

    @property
    def title(self) -> str:
        both = "two-stream" if self.config.attention == "both" else "two-stream, attention to times"
        return "frames alone" if self.config.streams == "rgb" else both

    @property
    def budgets(self) -> tuple[Budget | None, ...]:
        return (None,)

    @classmethod
    def classifier(cls, config: TwoStreamConfig, encoder: SkeletonEncoder, num_classes: int) -> TwoStreamClassifier:
        return TwoStreamClassifier(encoder, num_classes, config)

    def check(self, split: Split, encoder: SkeletonEncoder) -> None:
        name = encoder.backbone.config.name
        if not isinstance(encoder.backbone, PoseXShiftNet):
            raise UserError(f"two_stream: needs an encoder on xshift, whose features have places; this one is {name}")
        if self.config.streams == "both":
            self._check_pictures(encoder, encoder.backbone.mirrored)
        super().check(split, encoder)

    def _check_pictures(self, encoder: SkeletonEncoder, mirrored: bool) -> None:
        """Refuse joints whose heat-maps show another picture than the videos.

        Raises:
            UserError: no positions, or seen from elsewhere.
        """
        store, where = self.context.store, f"two_stream: {self.context.store.path}"
        if (stream := encoder.stream) != "joint":
            raise UserError(f"two_stream: stream: {stream}: heat-maps show where joints are; use an encoder of joint")
        if encoder.extent == "axis":
            raise UserError("two_stream: extent: axis stretches bodies beyond what videos show; use box or none")
        for option in ("orient", "align"):
            if store.normalization and getattr(store.normalization, option):
                turned = "bodies are turned from the camera's view"
                raise UserError(f"{where}: {option}: {turned}; convert again without --{option}")
        if store.provenance.format == "mediapipe" and mirrored:
            raise UserError(f"{where}: MediaPipe's joints would be drawn mirrored; build on backbone.mirrored: false")

    def measure(self, feature_set: FeatureSet, split: Split) -> list[Measurement]:
        if feature_set.encoders:
            if self.context.accelerator.is_main_process:
                self.cache.fill()
            self.context.accelerator.wait_for_everyone()
        return super().measure(feature_set, split)

    def task(self, encoder: SkeletonEncoder) -> TwoStreamClassifier:
        """The classifier for the store's classes, with the frames at hand."""
        task = self.classifier(self.config, encoder, self.context.store.num_classes)
        if self.rgb:
            task.head.rgb.load_state_dict(self.rgb)
        task.cache = self.cache
        return task


def _frame_cache(
    config: TwoStreamConfig, videos: Path, room: Path, rows: np.ndarray, names: Sequence[str]
) -> FrameCache:
    """The frames that ``config`` uses, of the named clips in these rows; none is decoded yet."""
    return FrameCache(
        room,
        rows,
        find_videos(videos, names, config.suffix),
        count=config.frames,
        side=config.side,
        crop=config.crop_frames,
        limit=int(config.cache_gb * GIGABYTE),
    )


def _trained_rgb(config: TwoStreamConfig) -> tuple[dict[str, Tensor], str]:
    """Weights that the stream of frames starts from, none for fresh ones, and their file's hash."""
    if config.rgb is None:
        return {}, ""
    path = (config.rgb / CLASSIFIER if (config.rgb / CLASSIFIER).is_dir() else config.rgb) / HEAD
    try:
        content = path.read_bytes()
        saved = safetensors.torch.load(content)
    except OSError as error:
        raise UserError(f"rgb: {path}: {error.strerror}; give a training of two_stream with save: true") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"rgb: {path}: is not a safetensors file ({error}); train with save: true again") from error
    weights = {name.removeprefix("rgb."): value for name, value in saved.items() if name.startswith("rgb.")}
    with torch.device("meta"):
        expected = EPAMNet(0, 1, config.rgb_size).rgb.state_dict()
    if {name: value.shape for name, value in weights.items()} != {name: v.shape for name, v in expected.items()}:
        raise UserError(f"rgb: {path}: holds no stream of frames of rgb_size: {config.rgb_size}; change one of the two")
    return weights, hashlib.sha256(content).hexdigest()
