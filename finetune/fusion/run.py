"""``ssl-skel fuse``: from several evaluations to one report."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.fusion.members import Member, check_members, common_figures, fused_facts, load_member
from finetune.fusion.weights import fit_on_validation, fixed_weights
from finetune.run import versions
from finetune.trainings.predictions import load_logits
from ssl_skel.config import read_mapping
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import Answers, Guess, measured, save_answers
from ssl_skel.evaluation.folds import fold_means
from ssl_skel.evaluation.measures import FigureName
from ssl_skel.evaluation.report import Figure, Measurement, Report
from ssl_skel.files.atomic import write_text
from ssl_skel.files.exclusive import LOCK, only_worker
from ssl_skel.plain_yaml import dump_yaml
from ssl_skel.same_run import difference


def fuse(paths: Sequence[Path], name: str, weights: Sequence[float] = (), *, fit: bool = False, command: str) -> Report:
    """Fuse evaluations, leaving ``report.json`` and ``report.md`` in a folder beside the first one.

    The fused score of a class is the weighted mean of the streams' logits, as in the field's ensembles (CTR-GCN,
    AimCLR: weighted sums, which choose the same class); softmax comes after it, for calibration alone.

    Args:
        paths: run directories of evaluations, two or more, on one store and with the same seeds.
        name: of the fused run. One that holds the same fusion is replaced, any other refused.
        weights: one per path; default: ``WEIGHTS`` by stream.
        fit: fit the weights instead, on the validation subjects of ``select: validation``; see ``fit_weights``.
        command: the report names it as the command that made it.

    Raises:
        UserError: the evaluations do not fit each other, predictions are missing, or the store has changed.
    """
    started = time.perf_counter()
    if len({os.path.realpath(path) for path in paths}) < max(2, len(paths)):
        raise UserError("fuse: needs two evaluations or more, each named once")
    if fit and weights:
        raise UserError("fuse: --weights fixes what --fit would fit; give one of the two")
    members = [load_member(path) for path in paths]
    check_members(members)
    fixed = None if fit else fixed_weights(members, weights)
    store = Store.open(members[0].report.store)
    if store.sha256 != members[0].report.sha256:
        raise UserError(f"{store.path}: has changed since {paths[0]} was measured; repeat the evaluations")
    figures, missing = common_figures(members)
    fused = [_fuse_figure(members, figure, store, fixed, missing) for figure in figures]
    measurements = [one for one, _ in fused]
    splits = dict.fromkeys(figure.split for figure in figures)
    config = _config(members, list(splits), name, fixed)
    folder = members[0].path.parent / name
    report = Report(
        name=name,
        store=members[0].report.store,
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(fused_facts(members, split) for split in splits),
        measurements=(*measurements, *fold_means(measurements)),
        selection="; ".join(dict.fromkeys(member.report.selection for member in members)),
        command=command,
        versions=versions(),
        seconds=time.perf_counter() - started,
    )
    _refuse_another(folder, config)
    with only_worker(folder):
        write_text(folder / "config.yaml", dump_yaml(config))
        save_answers(folder, store, {one.figure_name: runs for one, runs in fused})
        report.save(folder)
    return report


def _fuse_figure(
    members: Sequence[Member],
    figure: FigureName,
    store: Store,
    fixed: np.ndarray | None,
    missing: dict[FigureName, str],
) -> tuple[Measurement, list[Answers]]:
    """One figure of all members together, over its encoders and seeds, and the answers behind it."""
    split = load_split(store, figure.split)
    truth, names = store.label[split.test], store.name[split.test]
    streams = [member.stream for member in members]
    notes = [f"left out: {', '.join(other)}, which {path} does not have" for other, path in missing.items()]
    guesses: list[Guess] = []
    alone: list[np.ndarray] = []  # (S,) accuracies of the streams, one per run
    for encoder, seed in members[0].trainings[figure]:
        folders = [member.trainings[figure][encoder, seed] for member in members]
        logits = np.stack([load_logits(folder, "", names) for folder in folders]).astype(np.float64)
        alone.append((logits.argmax(2) == truth).mean(1))
        if fixed is None:
            weights, clips = fit_on_validation(folders, store)
            of = _name_training(members[0], figure, encoder, seed)
            fitted = " + ".join(f"{stream} {weight:.3g}" for stream, weight in zip(streams, weights, strict=True))
            notes.append(f"{of}: weights {fitted}, fitted on {clips} clips of validation subjects")
        else:
            weights = fixed / fixed.sum()
        total = np.tensordot(weights, logits, 1)
        guesses.append(Guess(split.test, total.argmax(1), total))
    each = zip(streams, np.transpose(alone).tolist(), strict=True)
    accuracies = ", ".join(f"{stream} {Figure.of(values)}" for stream, values in each)
    notes.append(f"{figure.split}: accuracy of each stream alone: {accuracies} %")
    how = ", weights fitted" if fixed is None else " by " + " : ".join(f"{weight:g}" for weight in fixed)
    measure = f"{figure.measure}, fused {' + '.join(streams)}{how}"
    return measured(store, FigureName(figure.split, figure.features, measure), guesses, notes=tuple(notes))


def _name_training(member: Member, figure: FigureName, encoder: int, seed: int) -> str:
    """``seed 0``, or ``encoder 1, seed 0`` where several encoders were trained with one seed."""
    keys = member.trainings[figure].keys()
    shared = len({seed for _, seed in keys}) < len(keys)
    return f"encoder {encoder}, seed {seed}" if shared else f"seed {seed}"


def _config(members: Sequence[Member], splits: list[str], name: str, fixed: np.ndarray | None) -> dict[str, Any]:
    """What ``ssl-skel runs`` and ``report`` look for in a run's config."""
    weights = [None] * len(members) if fixed is None else fixed.tolist()
    config: dict[str, Any] = {
        "name": name,
        "fused": [
            {"run": str(member.path), "stream": member.stream, "weight": weight}
            for member, weight in zip(members, weights, strict=True)
        ],
        "protocols": [{"name": "fusion"}],
        "seeds": members[0].config.get("seeds"),
    }
    streams = " + ".join(member.stream for member in members)
    if all(member.config.get("scratch") for member in members):
        return config | {"scratch": members[0].config["scratch"] | {"splits": splits, "stream": streams}}
    return config | {"encoders": {split: list(fused_facts(members, split).encoders) for split in splits}}


def _refuse_another(folder: Path, config: dict[str, Any]) -> None:
    """Refuse a folder that holds anything but this fusion."""
    kept = folder / "config.yaml"
    if folder.exists() and {*os.listdir(folder)} - {LOCK}:
        change = difference(read_mapping(kept), config, free=()) if kept.exists() else "it has no config.yaml"
        if change is not None:
            raise UserError(f"{folder}: holds another run ({change}); give this fusion another name")
