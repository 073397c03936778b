"""One evaluation, from encoders on disk to a report."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from finetune.candidates import Candidates
from finetune.checks import Loaded, check_encoders, labelled_clips, split_facts
from finetune.config import FinetuneConfig
from finetune.protocols import PROTOCOLS, Protocol, Setting
from finetune.trainings import PREDICTIONS, TRAININGS, save_trainings
from finetune.transfer import transferred
from ssl_skel.backbones import build_encoder
from ssl_skel.backbones.card import EncoderCard, load_encoder
from ssl_skel.config import dump_config, load_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
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
    _refuse_another(folder / "config.yaml", config)
    chosen = config.encoders or dict.fromkeys(config.scratch.splits if config.scratch else (), ())
    loaded = {paths: _load(config, store, paths) for paths in chosen.values()}
    recorded, remark = store.layout, ""
    if config.data.transfer:
        store, remark = transferred(store, list(loaded.values()))
    splits, remarks, unlabelled = {}, {}, {}
    for name, paths in chosen.items():
        check_encoders(store, paths, loaded[paths], config.readout)
        whole = load_split(store, name)
        splits[name], told = labelled_clips(store, whole)
        unlabelled[name] = np.setdiff1d(whole.train, splits[name].train)
        remarks[name] = [*([remark] if remark else []), *told]

    accelerator = make_accelerator(TrainConfig(device=config.device, precision=config.precision))
    setting = Setting(
        store,
        tuple(splits.values()),
        config.seeds,
        accelerator,
        config.data.resident,
        folder,
        recorded,
        unlabelled,
    )
    protocols = [PROTOCOLS[row.name](row, setting) for row in config.protocols]
    _check_names(protocols)
    for protocol in protocols:
        for name, paths in chosen.items():
            protocol.check(splits[name], loaded[paths][0][0])
    if accelerator.is_main_process:
        _begin(folder, config)
    facts = [split_facts(store, splits[name], paths, loaded[paths], remarks[name]) for name, paths in chosen.items()]
    candidates = Candidates(config, setting)
    measurements = [
        row
        for name, paths in chosen.items()
        for candidate in candidates.of(loaded[paths])
        for protocol in protocols
        for row in protocol.measure(candidate, splits[name])
    ]
    report = Report(
        name=config.name,
        store=str(config.data.store),
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(facts),
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


def _check_names(protocols: Sequence[Protocol]) -> None:
    """Refuse two figures of one name: a report could not tell them apart."""
    names = [name for protocol in protocols for name in protocol.measures]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"protocols: {twice!r} is asked for twice; give one of them an evaluation of its own")


def _begin(folder: Path, config: FinetuneConfig) -> None:
    """Keep the config; probes of an earlier time are measured again, trainings are not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "probes", ignore_errors=True)
        beside = folder / ".config.yaml.partial"  # other processes may be reading the one that is there
        beside.write_text(dump_config(config), "utf-8")
        os.replace(beside, folder / "config.yaml")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}; choose another folder for runs") from error


def _refuse_another(kept: Path, config: FinetuneConfig) -> None:
    """The folder may hold this very evaluation, also of a version with fewer options or without ``save``; no other.

    One that came to nothing, such as for an option that was refused late, does not count.
    """
    ends = ("report.json", f"{TRAININGS}/*/{PREDICTIONS}", f"{TRAININGS}/*/checkpoints/*")
    if not kept.exists() or not any(next(kept.parent.glob(end), None) for end in ends):
        return
    aside = {"protocols": {"__all__": {"save"}}}
    try:
        same = load_config(FinetuneConfig, kept).model_dump(exclude=aside) == config.model_dump(exclude=aside)
    except UserError:
        same = False
    if not same:
        raise UserError(f"{kept.parent}: holds another run; give this evaluation another name")


def _load(config: FinetuneConfig, store: Store, paths: tuple[Path, ...]) -> Loaded:
    """Encoders from disk; with ``scratch``, one that shows how the fresh ones are built."""
    if config.scratch is None:
        return tuple(load_encoder(path) for path in paths)
    net, frames = config.scratch.backbone, config.scratch.num_frames
    encoder = build_encoder(net, store.layout, channels=store.channels, num_frames=frames, stream=config.scratch.stream)
    stride = encoder.backbone.t_stride
    if frames % stride:
        raise UserError(f"scratch.num_frames: {frames} is no multiple of {stride}, the stride of {net.name}")
    return ((encoder, EncoderCard.of(encoder, normalization=store.meta["normalization"])),)


def _selection(config: FinetuneConfig) -> str:
    """Which epoch is reported, in words."""
    if any(getattr(row, "select", "last") == "heldout" for row in config.protocols):
        return "last epoch; where noted, the best one on held-out training subjects"
    return "last epoch"
