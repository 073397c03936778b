"""One pretraining run, from a config to an encoder on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pretrain.config import PretrainConfig
from pretrain.init import load_initial_weights
from pretrain.monitor import watcher
from ssl_skel.config import dump_config
from ssl_skel.data.augment.pipeline import Augment
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store, hash_file
from ssl_skel.encoders.card import CARD, WEIGHTS, EncoderCard, find_encoder
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.encoders.model_card import write_model_card
from ssl_skel.encoders.training_data import TrainingData
from ssl_skel.errors import UserError
from ssl_skel.escaping import say
from ssl_skel.files.exclusive import only_worker
from ssl_skel.pretexts import build_pretext
from ssl_skel.pretexts.base import Pretext
from ssl_skel.same_run import fingerprint
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.loop import fit
from ssl_skel.training.rundir import RunDir


def run(config: PretrainConfig, resume: str = "") -> Path:
    """Pretrain an encoder and leave it, with its card, in ``<run>/encoder``.

    Nothing is written before everything that the config names has been checked. The final weights are those of the last
    step (their running average, with ``train.ema``); no figure chooses among epochs. The card of a finished run is
    never written again.

    Args:
        config: everything about the run.
        resume: ``auto`` continues a run that was stopped; "" refuses a run directory that exists.

    Returns:
        The run directory.

    Raises:
        UserError: the config does not fit the store, itself, ``init_from``, or the run being continued, or
            another process works on that.
    """
    store = Store.open(config.data.store)
    split = load_split(store, config.data.split)
    torch.manual_seed(config.seed)
    encoder = _new_encoder(config, store)
    origin = load_initial_weights(config.init_from, encoder) if config.init_from else None
    pretext = build_pretext(config.pretext, encoder)

    data = TrainingData.of(store, split)
    accelerator = make_accelerator(config.train)
    loader = _training_loader(config, store, split, pretext, accelerator)
    path, rank = config.runs / config.name, accelerator.process_index
    RunDir.check(path, resume, rank)
    with only_worker(path, here=rank == 0):
        folder = RunDir.create(
            path, dump_config(config), resume=resume, rank=rank, model=PretrainConfig, inputs=_inputs(config, data)
        )
        fit(
            pretext,
            loader,
            config.optim,
            config.train,
            accelerator=accelerator,
            run=folder,
            seed=config.seed,
            resume=bool(resume),
            on_epoch=watcher(config, store, split, pretext, accelerator),
        )
        if rank == 0 and not (folder.encoder / CARD).exists():
            fed = {"normalization": store.normalization, "conversions": store.conversions, "data": data, "init": origin}
            card = _card(config, encoder, folder, fed)
            write_model_card(path, folder.encoder, card, encoder)
            save_encoder(folder.encoder, encoder, card)
    accelerator.end_training()
    return path


def _new_encoder(config: PretrainConfig, store: Store) -> SkeletonEncoder:
    """A fresh encoder for the store's layout."""
    frames = config.data.num_frames
    encoder = build_encoder(
        config.backbone,
        store.layout,
        channels=store.channels,
        num_frames=frames,
        stream=config.data.stream,
        pooling=config.pooling,
        extent=config.data.extent,
    )
    stride = encoder.backbone.t_stride
    if frames % stride:
        raise UserError(f"data.num_frames: {frames} is not a multiple of {stride}, {config.backbone.name}'s stride")
    return encoder


def _training_loader(
    config: PretrainConfig, store: Store, split: Split, pretext: Pretext, accelerator: Accelerator
) -> ClipLoader:
    """This rank's share of the training clips, without labels; prints a line on stderr if a batch has all of them."""
    if config.data.cameras == "others" and pretext.num_views == 1:
        raise UserError(f"data.cameras: {config.pretext.name} sees one draw of each clip; give data.cameras own")
    batch_size = config.train.loader_batch(accelerator.num_processes)
    loader = ClipLoader(
        store,
        split.train,
        **config.data.loading,
        batch_size=batch_size,
        num_views=pretext.num_views,
        shuffle=True,
        drop_last=True,
        augment=Augment(config.augment, store.layout),
        seed=config.seed,
        device=accelerator.device,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        labels=False,
    )
    if accelerator.is_main_process and loader.batch_size < batch_size:
        say(f"warning: train.batch_size: {batch_size}, of {len(loader.rows)} clips; each step takes all", error=True)
    return loader


def _inputs(config: PretrainConfig, data: TrainingData) -> dict[str, str]:
    """sha256 of what must not change before a run continues, by the key that names it."""
    inputs = {"data.store": data.sha256, "data.split": fingerprint([data.names, data.content])}
    if config.init_from:
        inputs["init_from"] = hash_file(find_encoder(config.init_from) / WEIGHTS)
    return inputs


def _card(config: PretrainConfig, encoder: SkeletonEncoder, folder: RunDir, facts: dict[str, Any]) -> EncoderCard:
    """Card of the trained encoder."""
    seconds = sum(record.get("seconds", 0.0) for record in folder.records())
    pretext = config.pretext.model_dump(mode="json")
    return EncoderCard.of(encoder, pretext=pretext, seed=config.seed, seconds=seconds, **facts)
