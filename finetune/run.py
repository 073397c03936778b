"""One evaluation, from encoders on disk to a report."""

from __future__ import annotations

import platform
import shlex
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from finetune.candidates import Candidates
from finetune.checks import Loaded, check_encoders, check_labels, split_facts
from finetune.config import FinetuneConfig
from finetune.protocols import PROTOCOLS, Setting
from ssl_skel.backbones import build_encoder
from ssl_skel.backbones.card import EncoderCard, load_encoder
from ssl_skel.config import dump_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts, fold_means
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
    folder, text = config.runs / config.name, dump_config(config)
    kept = folder / "config.yaml"
    if kept.exists() and kept.read_text("utf-8") != text:
        raise UserError(f"{folder}: holds another run; give this evaluation another name")
    store = Store.open(config.data.store)
    chosen = config.encoders or dict.fromkeys(config.scratch.splits if config.scratch else (), ())
    loaded = {paths: _load(config, store, paths) for paths in chosen.values()}
    splits = {name: load_split(store, name) for name in chosen}
    for name, paths in chosen.items():
        check_encoders(store, paths, loaded[paths])
        check_labels(store, splits[name])

    accelerator = make_accelerator(TrainConfig(device=config.device, precision=config.precision))
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "probes", ignore_errors=True)
        kept.write_text(text, "utf-8")
    setting = Setting(store, tuple(splits.values()), config.seeds, accelerator, config.data.resident, folder)
    protocols = [PROTOCOLS[row.name](row, setting) for row in config.protocols]
    for protocol in protocols:
        for split in splits.values():
            protocol.check(split)
    candidates = Candidates(config, setting)
    facts: list[SplitFacts] = []
    measurements: list[Measurement] = []
    for name, paths in chosen.items():
        facts.append(split_facts(store, splits[name], paths, loaded[paths]))
        for candidate in candidates.of(loaded[paths]):
            for protocol in protocols:
                measurements += protocol.measure(candidate, splits[name])
    report = Report(
        name=config.name,
        store=str(config.data.store),
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(facts),
        measurements=(*measurements, *fold_means(measurements)),
        selection=_selection(config),
        command=command or f"ssl-skel finetune {shlex.quote(str(kept))}",
        versions={"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        seconds=time.perf_counter() - started,
    )
    if accelerator.is_main_process:
        report.save(folder)
    return report


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
