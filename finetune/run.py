"""One evaluation, from encoders on disk to a report."""

from __future__ import annotations

import platform
import shlex
import time
from importlib.metadata import version
from pathlib import Path

from finetune.checks import Loaded, check_encoders, check_names, labelled_clips
from finetune.config import FinetuneConfig
from finetune.feature_sets import FeatureSets
from finetune.folder import begin, refuse_another
from finetune.protocols import PROTOCOLS
from finetune.protocols.base import EvalContext
from finetune.seen import split_facts
from finetune.trainings.index import save_trainings
from finetune.transfer import transferred
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Report, fold_means
from ssl_skel.training.loop import TrainConfig, make_accelerator

PACKAGES = ("ssl-skel", "torch", "numpy", "scikit-learn", "faiss-cpu")


def run(config: FinetuneConfig, command: str = "") -> Report:
    """Measure encoders beside their baselines and leave ``report.json`` and ``report.md`` in ``<runs>/<name>``.

    Everything is checked before anything is computed. An evaluation repeated with the same config
    replaces its report; trainings of it that are done are not done again, interrupted ones continue.

    Args:
        config: everything about the evaluation.
        command: what the report says it was made by; default: with the config kept in its folder.

    Raises:
        UserError: config, store, encoders or splits do not fit.
    """
    started = time.perf_counter()
    folder, store = config.runs / config.name, Store.open(config.data.store)
    refuse_another(folder, config)
    chosen = config.encoders or dict.fromkeys(config.scratch.splits if config.scratch else (), ())
    loaded = {paths: _load(config, store, paths) for paths in chosen.values()}
    recorded, remark = store.layout, ""
    if config.data.transfer:
        store, remark = transferred(store, list(loaded.values()))
    for paths, encoders in loaded.items():
        check_encoders(store, paths, encoders)
    clips = {name: labelled_clips(store, load_split(store, name)) for name in chosen}
    splits = {name: found.split for name, found in clips.items()}

    accelerator = make_accelerator(TrainConfig(device=config.device, precision=config.precision))
    seeds, resident, unlabelled = config.seeds, config.data.resident, {name: c.unlabelled for name, c in clips.items()}
    context = EvalContext(store, tuple(splits.values()), seeds, accelerator, resident, folder, recorded, unlabelled)
    protocols = [PROTOCOLS[row.name](row, context) for row in config.protocols]
    check_names([name for protocol in protocols for name in protocol.measures])
    for protocol in protocols:
        for name, paths in chosen.items():
            protocol.check(splits[name], loaded[paths][0][0])
    if accelerator.is_main_process:
        begin(folder, config)
    feature_sets = FeatureSets(config, context)
    measurements = [
        row
        for name, paths in chosen.items()
        for feature_set in feature_sets.of(loaded[paths])
        for protocol in protocols
        for row in protocol.measure(feature_set, splits[name])
    ]
    report = Report(
        name=config.name,
        store=str(config.data.store),
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(split_facts(store, clips[name], paths, loaded[paths], remark) for name, paths in chosen.items()),
        measurements=(*measurements, *fold_means(measurements)),
        selection=_selection(config),
        command=command or f"ssl-skel finetune {shlex.quote(str(folder / 'config.yaml'))}",
        versions=versions(),
        seconds=time.perf_counter() - started,
    )
    if accelerator.is_main_process:
        save_trainings(folder, [training for protocol in protocols for training in protocol.trainings])
        report.save(folder)
    return report


def versions() -> dict[str, str]:
    """Of Python and the packages that matter, for reports."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def _load(config: FinetuneConfig, store: Store, paths: tuple[Path, ...]) -> Loaded:
    """Encoders from disk; with ``scratch``, one that shows how the fresh ones are built."""
    if config.scratch is None:
        return tuple(load_encoder(path, config.used_pooling) for path in paths)
    net, frames = config.scratch.backbone, config.scratch.num_frames
    encoder = build_encoder(
        net,
        store.layout,
        channels=store.channels,
        num_frames=frames,
        stream=config.scratch.stream,
        pooling=config.used_pooling,
    )
    stride = encoder.backbone.t_stride
    if frames % stride:
        raise UserError(f"scratch.num_frames: {frames} is no multiple of {stride}, the stride of {net.name}")
    return ((encoder, EncoderCard.of(encoder, normalization=store.normalization)),)


def _selection(config: FinetuneConfig) -> str:
    """Which epoch is reported, in words."""
    if any(getattr(row, "select", "last") == "validation" for row in config.protocols):
        return "last epoch; where noted, the best one on the validation subjects"
    return "last epoch"
