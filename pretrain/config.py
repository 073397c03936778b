"""The options of a pretraining run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.config import EntryConfig, EntryOf, RunName, Section
from ssl_skel.data.augment import AUGMENTATIONS
from ssl_skel.data.balance import Balance, Batches
from ssl_skel.data.crop import Crop, NumFrames, Sampling
from ssl_skel.data.performances import Cameras
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.encoders.stream_names import Extent, Stream
from ssl_skel.pretexts import PRETEXTS
from ssl_skel.training.config import OptimConfig, TrainConfig


class DataConfig(Section):
    """Which clips, and what the encoder sees of them."""

    store: Path
    """Folder of the store, made by ``ssl-skel convert`` or ``ssl-skel synthetic``."""
    split: str = "all"
    """Pretrain on the training clips of this split; ``all`` is every clip. Labels are not read."""
    stream: Stream = "joint"
    """What the encoder computes from the joints before its first layer."""
    extent: Extent = "none"
    """How the encoder moves and scales each clip before that, in training (after augmentation) and in use. box: the box
    around the clip is centred, its longest edge is 1. axis: each coordinate runs from -1 to 1 (CTR-GCN and Predict &
    Cluster on NW-UCLA). It takes out where people stand and how large they are."""
    num_frames: NumFrames = 64
    """T, frames that each crop is resampled to (CTR-GCN, Chen et al., ICCV 2021: 64)."""
    sampling: Sampling = "crop"
    """Which frames a draw takes: a crop, resampled; or sorted, ``num_frames`` drawn at random from the whole clip, in
    order (CTR-GCN on NW-UCLA; PSP Learning, Xu & Shu, arXiv 2302.02327: 50), ignoring ``crop`` and ``min_frames``."""
    crop: Crop = (0.5, 1.0)
    """Smallest and largest share of a clip that is cropped, at a random place (CTR-GCN: 0.5 to 1)."""
    min_frames: Annotated[int, Field(ge=1)] = 16
    """A crop is never shorter than this, or than the clip. CTR-GCN takes 64 on NTU, whose clips are long."""
    max_frames: Annotated[int, Field(ge=1)] | None = None
    """Longer clips are first cut to a window of this many frames, at a random place that all draws share, and enter an
    epoch once for each window that it takes to cover them; null: clips are taken whole. For long takes (ours)."""
    cameras: Cameras = "own"
    """Which clips a pretext's draws of one motion show. others: the first draw shows the clip, the others what another
    camera recorded of the same performance at the same time, where several cameras did, as in NTU and NW-UCLA; so
    contrast learns what cameras have in common (Sermanet et al., arXiv 1704.06888). own: all show the clip."""
    balance: Balance = "none"
    """For merged stores: set draws each of the stores equally often; class also each class of a store, which reads the
    labels for that alone; none draws every clip. An epoch keeps its length (ours)."""
    batches: Batches = "mixed"
    """For merged stores: set fills each batch from one of the stores, so that contrast has to distinguish clips by
    their motion and not by sensor or room; mixed takes any clips (ours)."""
    resident: Literal["auto", "never", "always"] = "auto"
    """Whether the store's joints are moved whole to the device; auto does so where they fit easily."""

    @property
    def loading(self) -> dict[str, Any]:
        """Options of the ``ClipLoader``: all but those of the store and of the encoder."""
        return self.model_dump(exclude={"store", "split", "stream", "extent"})


class PretrainConfig(Section):
    """One pretraining run."""

    former: ClassVar[Mapping[str, str]] = {"init": "init_from"}
    elsewhere: ClassVar[Mapping[str, str]] = {"protocols": "finetune"}

    name: RunName
    """Name of the run; its folder is ``<runs>/<name>``."""
    data: DataConfig
    """Which clips."""
    augment: tuple[Annotated[EntryConfig, EntryOf(AUGMENTATIONS)], ...] = ()
    """Entries of ``AUGMENTATIONS``, applied in order."""
    backbone: Annotated[BackboneConfig, EntryOf(BACKBONES)]
    """Entry of ``BACKBONES``."""
    pooling: PoolingConfig | None = None
    """How the finished encoder makes one vector of a clip, unless whoever uses it says otherwise; null: as
    ``PoolingConfig.default`` says for the network."""
    init_from: Path | None = None
    """Run directory, or folder of an encoder, whose weights the encoder starts from. Any pretext may have trained it,
    but it must be built like this run's. It is read again when the run is resumed."""
    pretext: Annotated[EntryConfig, EntryOf(PRETEXTS)]
    """Entry of ``PRETEXTS``."""
    optim: OptimConfig = OptimConfig()
    """Optimiser and learning rate."""
    train: TrainConfig
    """Epochs, batch size, device, checkpoints."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, order, crops, augmentation and masks: everything random."""
    runs: Path = Path("runs")
    """Folder that run directories are made in."""
