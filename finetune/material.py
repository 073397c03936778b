"""What an evaluation works on: a store, encoders and the labelled clips of each split, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from finetune.checks import Labelled, Loaded, check_baselines, check_encoders, labelled_clips
from finetune.config import FinetuneConfig, ScratchConfig
from finetune.transfer import transferred
from ssl_skel.data.adapted import COMMON
from ssl_skel.data.derived_splits import fold_names
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import SkeletonLayout


@dataclass(frozen=True, eq=False)
class Material:
    """What an evaluation works on.

    Attributes:
        store: its joints mapped to those of the encoders, with ``data.transfer`` or where those are for merged corpora.
        recorded: layout of the store on disk.
        remark: what a reader of figures should know of the mapping; "" without one.
        paths: of the encoders, by split; none for fresh weights.
        encoders: the encoders, by split; for fresh weights one that shows how they are built.
        clips: those with labels, by split.
    """

    store: Store
    recorded: SkeletonLayout
    remark: str
    paths: Mapping[str, tuple[Path, ...]]
    encoders: Mapping[str, Loaded]
    clips: Mapping[str, Labelled]

    @property
    def splits(self) -> tuple[Split, ...]:
        """All splits to measure on, in the order of the config."""
        return tuple(found.split for found in self.clips.values())


def load_material(config: FinetuneConfig) -> Material:
    """Open the store and the encoders of an evaluation, and check that they fit each other.

    Raises:
        UserError: something is missing or does not fit.
    """
    store = Store.open(config.data.store)
    recorded, remark = store.layout, ""
    named = dict.fromkeys(config.scratch.splits, ()) if config.scratch else config.encoders
    paths: dict[str, tuple[Path, ...]] = {fold: one for name, one in named.items() for fold in fold_names(store, name)}
    loaded: dict[tuple[Path, ...], Loaded]
    if config.scratch:
        loaded = {(): _fresh(config.scratch, store, config.used_pooling)}
    else:
        loaded = {one: tuple(load_encoder(path, config.used_pooling) for path in one) for one in paths.values()}
    if config.data.transfer or any(encoder.layout.name == COMMON for one in loaded.values() for encoder, _ in one):
        store, remark = transferred(store, list(loaded.values()))
    for one, encoders in loaded.items():
        check_encoders(store, one, encoders)
    check_baselines(store, config.baselines)
    clips = {name: labelled_clips(store, load_split(store, name)) for name in paths}
    return Material(store, recorded, remark, paths, {name: loaded[one] for name, one in paths.items()}, clips)


def _fresh(config: ScratchConfig, store: Store, pooling: PoolingConfig | None) -> Loaded:
    """An encoder that shows how fresh ones are built."""
    frames = config.num_frames
    encoder = build_encoder(
        config.backbone,
        store.layout,
        channels=store.channels,
        num_frames=frames,
        stream=config.stream,
        pooling=pooling,
        extent=config.extent,
    )
    stride = encoder.backbone.t_stride
    if frames % stride:
        raise UserError(f"scratch.num_frames: {frames} is not a multiple of {stride}, {config.backbone.name}'s stride")
    card = EncoderCard.of(encoder, normalization=store.normalization, conversions=store.conversions)
    return ((encoder, card),)
