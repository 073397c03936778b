"""One evaluation, from encoders on disk to a report."""

from __future__ import annotations

import platform
import shlex
import time
from importlib.metadata import version
from typing import Any

from finetune.checks import check_names
from finetune.config import FinetuneConfig
from finetune.feature_sets import FeatureSets
from finetune.folder import begin, refuse_another
from finetune.material import Material, load_material
from finetune.protocols import PROTOCOLS
from finetune.protocols.base import EvalContext, Protocol
from finetune.seen import split_facts
from finetune.trainings.index import save_trainings
from ssl_skel.evaluation.answers import save_answers
from ssl_skel.evaluation.folds import fold_means
from ssl_skel.evaluation.report import Measurement, Report
from ssl_skel.files.exclusive import only_worker
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import TrainConfig

PACKAGES = ("ssl-skel", "torch", "numpy", "scikit-learn", "faiss-cpu")


def run(config: FinetuneConfig, command: str = "") -> Report:
    """Evaluate encoders against their baselines, into ``report.json``, ``report.md`` and ``answers.npz`` of the run.

    Everything is checked before anything is computed. An evaluation repeated with the same config
    replaces its report; finished trainings are kept, interrupted ones continue.

    Args:
        config: everything about the evaluation.
        command: the report names it as the command that made it; default: one with the config in the folder.

    Raises:
        UserError: config, store, encoders or splits do not fit, or another process works on this evaluation.
    """
    started = time.perf_counter()
    folder = config.runs / config.name
    refuse_another(folder, config)
    material = load_material(config)
    context = _context(config, material)
    protocols = _protocols(config, context, material)
    writes = context.accelerator.is_main_process
    with only_worker(folder, here=writes):
        if writes:
            begin(folder, config)
        measurements = _measure(config, context, material, protocols)
        report = Report(
            name=config.name,
            store=str(config.data.store),
            sha256=material.store.sha256,
            class_names=material.store.class_names,
            splits=tuple(split_facts(material, name) for name in material.clips),
            measurements=(*measurements, *fold_means(measurements)),
            selection=_selection(config),
            command=command or f"ssl-skel finetune {shlex.quote(str(folder / 'config.yaml'))}",
            versions=versions(),
            seconds=time.perf_counter() - started,
        )
        if writes:
            answers = {figure: runs for protocol in protocols for figure, runs in protocol.answers.items()}
            save_answers(folder, material.store, answers)
            save_trainings(folder, [training for protocol in protocols for training in protocol.trainings])
            report.save(folder)
    return report


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, for reports."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def _context(config: FinetuneConfig, material: Material) -> EvalContext:
    return EvalContext(
        store=material.store,
        splits=material.splits,
        seeds=config.seeds,
        accelerator=make_accelerator(TrainConfig(device=config.device, precision=config.precision)),
        resident=config.data.resident,
        folder=config.runs / config.name,
        recorded=material.recorded,
        unlabelled={name: found.unlabelled for name, found in material.clips.items()},
    )


def _protocols(config: FinetuneConfig, context: EvalContext, material: Material) -> list[Protocol[Any]]:
    """The protocols of a config, checked against each split and its encoders.

    Raises:
        UserError: two figures would have one name, or a protocol cannot be used.
    """
    protocols = [PROTOCOLS[options.name](options, context) for options in config.protocols]
    check_names([name for protocol in protocols for name in protocol.measures])
    for protocol in protocols:
        for name, found in material.clips.items():
            encoder, _ = material.encoders[name][0]
            protocol.check(found.split, encoder)
    return protocols


def _measure(
    config: FinetuneConfig, context: EvalContext, material: Material, protocols: list[Protocol[Any]]
) -> list[Measurement]:
    """Every protocol on every kind of features, split by split."""
    feature_sets = FeatureSets(config, context)
    return [
        measurement
        for name, found in material.clips.items()
        for feature_set in feature_sets.of(material.encoders[name])
        for protocol in protocols
        for measurement in protocol.measure(feature_set, found.split)
    ]


def _selection(config: FinetuneConfig) -> str:
    """Which epoch is reported, in words."""
    if any(getattr(options, "select", "last") == "validation" for options in config.protocols):
        return "last epoch; where noted, the best one on the validation subjects"
    return "last epoch"
