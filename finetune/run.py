"""One evaluation, from encoders on disk to a report."""

from __future__ import annotations

import platform
import shlex
import shutil
import time
from importlib.metadata import version

import torch
from accelerate import Accelerator

from finetune.checks import Loaded, built_as, check_encoders, check_labels, split_facts
from finetune.config import FinetuneConfig
from finetune.protocols import PROTOCOLS, Candidate, Setting
from ssl_skel.backbones import SkeletonEncoder, build_encoder
from ssl_skel.backbones.card import load_encoder
from ssl_skel.config import dump_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.features import extract_features, whole_clips
from ssl_skel.evaluation.report import Measurement, Report, SplitFacts, fold_means
from ssl_skel.training.loop import TrainConfig, make_accelerator

PACKAGES = ("ssl-skel", "torch", "numpy", "scikit-learn", "faiss-cpu")


def run(config: FinetuneConfig, command: str = "") -> Report:
    """Measure encoders beside their baselines and leave ``report.json`` and ``report.md`` in ``<runs>/<name>``.

    Everything is checked before anything is computed. An evaluation repeated with the same config
    replaces its report.

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
    loaded = {paths: tuple(load_encoder(path) for path in paths) for paths in config.encoders.values()}
    splits = {name: load_split(store, name) for name in config.encoders}
    for name, paths in config.encoders.items():
        check_encoders(store, paths, loaded[paths])
        check_labels(store, splits[name])

    accelerator = make_accelerator(TrainConfig(device=config.device, precision=config.precision))
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "probes", ignore_errors=True)
        kept.write_text(text, "utf-8")
    setting = Setting(store, config.seeds, accelerator, config.data.resident, folder / "probes")
    protocols = [PROTOCOLS[row.name](row, setting) for row in config.protocols]
    bench = _Bench(config, store, accelerator)
    facts: list[SplitFacts] = []
    measurements: list[Measurement] = []
    for name, paths in config.encoders.items():
        facts.append(split_facts(store, splits[name], paths, loaded[paths]))
        for candidate in bench.candidates(loaded[paths]):
            for protocol in protocols:
                measurements += protocol.measure(candidate, splits[name])
    report = Report(
        name=config.name,
        store=str(config.data.store),
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(facts),
        measurements=(*measurements, *fold_means(measurements)),
        command=command or f"ssl-skel finetune {shlex.quote(str(kept))}",
        versions={"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
        seconds=time.perf_counter() - started,
    )
    if accelerator.is_main_process:
        report.save(folder)
    return report


class _Bench:
    """Computes each kind of features once, for all clips of the store; splits take their rows."""

    def __init__(self, config: FinetuneConfig, store: Store, accelerator: Accelerator) -> None:
        self.config, self.store, self.accelerator = config, store, accelerator
        self.autocast = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
        self._made: dict[str, Candidate] = {}

    def candidates(self, loaded: Loaded) -> list[Candidate]:
        """The baselines asked for, then the pretrained encoders."""
        found = []
        if "raw" in self.config.baselines:
            if "raw" not in self._made:
                self._made["raw"] = Candidate("raw", (raw_features(self.store),))
            found.append(self._made["raw"])
        if "untrained" in self.config.baselines:
            key = repr(built_as(loaded[0][1]))
            if key not in self._made:
                self._made[key] = self._encode("untrained", [_fresh(loaded[0][0], seed) for seed in self.config.seeds])
            found.append(self._made[key])
        key = repr([id(encoder) for encoder, _ in loaded])
        if key not in self._made:
            self._made[key] = self._encode("pretrained", [encoder for encoder, _ in loaded])
        return [*found, self._made[key]]

    def _encode(self, name: str, encoders: list[SkeletonEncoder]) -> Candidate:
        frames, data = encoders[0].backbone.num_frames, self.config.data
        for encoder in encoders:
            encoder.readout = self.config.readout
        loader = whole_clips(
            self.store,
            num_frames=frames,
            batch_size=data.batch_size,
            device=self.accelerator.device,
            resident=data.resident,
        )
        placed = tuple(encoder.to(self.accelerator.device) for encoder in encoders)
        features = tuple(extract_features(encoder, loader, autocast=self.autocast) for encoder in placed)
        return Candidate(name, features, placed, frames)


def _fresh(encoder: SkeletonEncoder, seed: int) -> SkeletonEncoder:
    """The same encoder with untrained weights."""
    net = encoder.backbone
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(
            net.config, net.layout, channels=net.channels, num_frames=net.num_frames, stream=encoder.stream
        )
