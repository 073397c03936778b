"""Options of EPAM-Net's two streams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from finetune.protocols.configs.training import TrainingConfig
from ssl_skel.config import EntryConfig, EntryOf
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.crop import Crop
from ssl_skel.training.config import OptimConfig
from ssl_skel.video.sizes import RGBSize

Share = Annotated[float, Field(ge=0, le=1)]


class TwoStreamConfig(TrainingConfig):
    """Options of ``TwoStream``. Defaults: EPAM-Net's second stage (Abdelkawy et al., Neurocomputing 2025).

    The first stage trains each stream alone: joints by ``full`` with ``save: true``, whose classifiers are then the
    ``encoders``; frames by this row with ``streams: rgb`` and ``save: true``, one of which is then ``rgb``.
    Departs from print: heads of the first stage are dropped.
    """

    name: Literal["two_stream"] = "two_stream"
    videos: Path = Path("videos")
    """Folder with a video for each clip, ``<clip name><suffix>.mp4`` (or mov, avi, mkv, webm)."""
    suffix: str = ""
    """Between a clip's name and the ending: ``_rgb`` for NTU RGB+D, ``_color`` for UTD-MHAD."""
    streams: Literal["both", "rgb"] = "both"
    """``both``, or frames alone, for the first stage and as a baseline; joints are then not used."""
    rgb: Path | None = None
    """Folder of a training of this protocol with ``save: true``, whose stream of frames to start from; None: fresh
    weights."""
    rgb_size: RGBSize = "base"
    """Size of the stream of frames; ``base`` is the paper's."""
    frames: int = Field(16, ge=1)
    """Frames of a video, spread evenly (paper: 16)."""
    side: int = Field(224, ge=8)
    """Pixels of a frame's side (paper: 224)."""
    crop_frames: tuple[Share, Share, Share, Share] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, right and bottom edge of what is kept of each frame, as shares of its width and height. Departs from
    print: the paper crops frames and heat-maps to one box around the persons; where in a picture they stand is not
    known from normalised joints. The nearer this is to their box, the better the attention's places fit."""
    attention: Literal["both", "times"] = "both"
    """What the joints weight in the frames: places and times, as in the paper, or times alone, where persons stand
    anywhere in what is kept of a frame; see ``PoseAttention``."""
    cache_gb: float = Field(50.0, gt=0)
    """Most gigabytes of decoded frames to keep in the evaluation's folder; 16 of 224 x 224 take 2.4 MB a clip."""
    flip: Share = 0.5
    """Chance of a training clip being mirrored, frames and joints together (paper: 0.5)."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout before each head (paper: 0.5)."""
    optim: OptimConfig = OptimConfig(name="sgd", lr=0.0015, weight_decay=3e-4, clip_grad=40.0)
    """Paper: SGD with momentum 0.9, cosine without warm-up. A config that sets it sets all of it."""
    epochs: int = Field(10, ge=1)
    """Paper: 10, on streams that were trained alone before; far too few for fresh weights."""
    batch_size: int = Field(24, ge=2)
    """Clips per step over all ranks. Paper: 12 on each of 2 GPUs."""
    crop: Crop = (1.0, 1.0)
    """Whole clips, since frames and joints must cover the same time."""
    augment: tuple[Annotated[EntryConfig, EntryOf(AUGMENTATIONS)], ...] = ()
    """Entries of ``AUGMENTATIONS``, of joints alone (paper: none but ``flip``)."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Paper: none."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Learning rate of a stage of the pose stream relative to the next one (paper: none)."""
    eval_every: int = Field(5, ge=0)
    """Epochs between evaluations on the test clips, which ``best_on_test`` is the best of; 0: the last epoch only."""
    inputs: str = ""
    """Hash of the videos and of the weights of ``rgb``, filled in as the evaluation begins, so that a change of either
    starts a new training; leave it out."""

    @model_validator(mode="after")
    def _streams_stay_together(self) -> TwoStreamConfig:
        if self.crop != (1.0, 1.0):
            raise ValueError("crop: frames are of the whole clip, and joints must be too; leave it out")
        if self.sampling != "crop":
            raise ValueError("sampling: frames are spread evenly over the clip, and joints must be too; leave it out")
        apart = [row.name for row in self.augment if row.name in ("flip", "reverse", "time_warp")]
        if apart:
            remedy = "use the option flip" if apart[0] == "flip" else "leave it out"
            raise ValueError(f"augment: {apart[0]} would change joints without their frames; {remedy}")
        left, top, right, bottom = self.crop_frames
        if left >= right or top >= bottom:
            raise ValueError("crop_frames: needs left < right and top < bottom, as shares")
        return self
