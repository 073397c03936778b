"""Several streams, one answer: weighted sums of the logits that finished evaluations kept.

What is fused is what trainings said of the test clips, encoder by encoder and seed by seed; nothing is computed again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import minimize
from scipy.special import logsumexp

from finetune.run import versions
from finetune.trainings.index import TRAININGS, load_trainings
from finetune.trainings.predictions import load_array
from ssl_skel.config import read_mapping
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.evaluation.metrics import score
from ssl_skel.evaluation.report import Figure, Measurement, Report, SplitFacts, fold_means
from ssl_skel.evaluation.scores import Scores
from ssl_skel.files.atomic import write_text
from ssl_skel.same_run import difference
from ssl_skel.training.rundir import RunDir

WEIGHTS = dict.fromkeys(("joint", "bone", "hop1", "hop2"), 0.6) | dict.fromkeys(
    ("joint_motion", "bone_motion", "hop1_motion", "hop2_motion"), 0.4
)
"""Fixed beforehand: 0.6 : 0.6 : 0.4 of AimCLR (Guo et al., AAAI 2022; joint, bone, motion), motion of bones as that of
joints; hops as 1.5 : 1 of InfoGCN (Chi et al., CVPR 2022; positions, motions), which is the same."""

Row = tuple[str, str, str]
"""Split, features and measure of a figure."""


@dataclass(frozen=True, eq=False)
class Member:
    """One evaluation that takes part.

    Attributes:
        path: its run directory.
        report, config: as found there.
        stream: of its encoders.
        trainings: of each figure, folders by (number of the encoder, seed).
    """

    path: Path
    report: Report
    config: dict[str, Any]
    stream: str
    trainings: dict[Row, dict[tuple[int, int], Path]]


def fuse(paths: Sequence[Path], name: str, weights: Sequence[float] = (), *, fit: bool = False, command: str) -> Report:
    """Fuse evaluations, leaving ``report.json`` and ``report.md`` in a folder beside the first one.

    The fused score of a class is the weighted mean of the streams' logits, as in the field's ensembles (CTR-GCN,
    AimCLR: weighted sums, which choose the same class); softmax comes after it, for calibration alone.

    Args:
        paths: run directories of evaluations, two or more, on one store and with the same seeds.
        name: of the fused run. One that holds the same fusion is replaced, any other refused.
        weights: one a path; default: ``WEIGHTS`` by stream.
        fit: fit the weights instead, on the validation subjects of ``select: validation``; see ``fit_weights``.
        command: what the report says it was made by.

    Raises:
        UserError: the evaluations do not fit each other, predictions are missing, or the store has changed.
    """
    started = time.perf_counter()
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise UserError("fuse: needs two evaluations or more, each named once")
    members = [_member(path) for path in paths]
    _check_alike(members)
    given = _weights(members, weights, fit)
    store = Store.open(members[0].report.store)
    if store.sha256 != members[0].report.sha256:
        raise UserError(f"{store.path}: has changed since {paths[0]} was measured; repeat the evaluations")
    rows, left = _common(members)
    measurements = [_fused(members, row, store, given, left) for row in rows]
    splits = dict.fromkeys(split for split, _, _ in rows)
    config = _config(members, list(splits), name, given)
    folder = _folder(members[0].path.parent / name, config)
    report = Report(
        name=name,
        store=members[0].report.store,
        sha256=store.sha256,
        class_names=store.class_names,
        splits=tuple(_facts(members, split) for split in splits),
        measurements=(*measurements, *fold_means(measurements)),
        selection="; ".join(dict.fromkeys(member.report.selection for member in members)),
        command=command,
        versions=versions(),
        seconds=time.perf_counter() - started,
    )
    report.save(folder)
    return report


def fit_weights(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weights from 0 to 10 by which the weighted sum of logits has the least cross-entropy; a convex problem.

    Paper silent: papers choose such weights on the test clips.

    Args:
        logits: (S, N, classes), of S streams.
        label: (N,) int64.

    Returns:
        (S,) float64.
    """
    logits, at = logits.astype(np.float64), np.arange(len(label))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.tensordot(weights, logits, 1)
        log_prob = total - logsumexp(total, axis=1, keepdims=True)
        residual = np.exp(log_prob)
        residual[at, label] -= 1
        return -float(log_prob[at, label].mean()), (logits * residual).sum((1, 2)) / len(label)

    start = np.full(len(logits), 1 / len(logits))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 10.0)] * len(logits))
    weights: np.ndarray = found.x if found.x.sum() > 0 else start  # streams that know nothing weigh the same
    return weights


def _member(path: Path) -> Member:
    """Read an evaluation."""
    report, config = Report.load(path), RunDir.open(path).config
    trainings: dict[Row, dict[tuple[int, int], Path]] = {}
    found = load_trainings(path)
    for training in found:
        folder = path / TRAININGS / training.folder
        trainings.setdefault(training.figure, {})[training.encoder, training.seed] = folder
    streams = sorted({training.stream for training in found})
    if len(streams) > 1:
        raise UserError(f"{path}: holds trainings of several streams ({', '.join(streams)}); evaluate them apart")
    return Member(path, report, config, streams[0], trainings)


def _check_alike(members: Sequence[Member]) -> None:
    first = members[0]
    sizes = {facts.name: facts.test for facts in first.report.splits}
    for other in members[1:]:
        if other.report.sha256 != first.report.sha256:
            raise UserError(
                f"{other.path}: was measured on another store ({other.report.store}) than {first.path} "
                f"({first.report.store}); fuse evaluations of one store"
            )
        if other.report.class_names != first.report.class_names:
            raise UserError(f"{other.path}: has other class names than {first.path}; repeat the older evaluation")
        for facts in other.report.splits:
            if facts.test != sizes.get(facts.name, facts.test):
                raise UserError(
                    f"{other.path}: split {facts.name!r}: another test set, {facts.test} clips, than {first.path}, "
                    f"{sizes[facts.name]}; repeat the older evaluation"
                )


def _weights(members: Sequence[Member], weights: Sequence[float], fit: bool) -> np.ndarray | None:
    """(S,) as given or by stream; None where they are fitted."""
    if fit:
        if weights:
            raise UserError("fuse: --weights fixes what --fit would fit; give one of the two")
        return None
    if not weights:
        unknown = [member for member in members if member.stream not in WEIGHTS]
        if unknown:
            raise UserError(
                f"{unknown[0].path}: stream {unknown[0].stream} has no weight of its own; give --weights, one a run"
            )
        weights = [WEIGHTS[member.stream] for member in members]
    if len(weights) != len(members):
        raise UserError(f"--weights: {len(weights)} for {len(members)} runs; give one a run, in their order")
    found = np.array(weights, np.float64)
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise UserError("--weights: must not be negative, and not all zero")
    return found


def _common(members: Sequence[Member]) -> tuple[list[Row], dict[Row, str]]:
    """Figures that all members have, and those that one lacks, with its path.

    Raises:
        UserError: there are none, or the trainings behind one differ in encoders or seeds.
    """
    rows, left = [], {}
    for row in dict.fromkeys(row for member in members for row in member.trainings):
        lacking = [member for member in members if row not in member.trainings]
        if lacking:
            left[row] = str(lacking[0].path)
        else:
            rows.append(row)
    if not rows:
        row, path = next(iter(left.items()))
        raise UserError(f"{path}: has no {', '.join(row)}, nor any other figure that all have; measure the same splits")
    for row in rows:
        for other in members[1:]:
            mine, theirs = members[0].trainings[row], other.trainings[row]
            if mine.keys() != theirs.keys():
                raise UserError(
                    f"{other.path}: {row[0]}, {row[2]}: {_pairs(theirs)} do not match {_pairs(mine)} of "
                    f"{members[0].path}; repeat the evaluation that has fewer"
                )
    return rows, left


def _pairs(trainings: dict[tuple[int, int], Path]) -> str:
    """Such as ``seeds 0, 1 (of 2 encoders)``."""
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(seed for _, seed in trainings))
    encoders = len({encoder for encoder, _ in trainings})
    return f"seeds {seeds}" + (f" (of {encoders} encoders)" if encoders > 1 else "")


def _fused(
    members: Sequence[Member], row: Row, store: Store, given: np.ndarray | None, left: dict[Row, str]
) -> Measurement:
    """One figure of all members together."""
    split = load_split(store, row[0])
    truth, names = store.label[split.test], store.name[split.test]
    runs: list[Scores] = []
    alone: list[list[float]] = [[] for _ in members]
    notes = [f"left out: {', '.join(other)}, which {path} does not have" for other, path in left.items()]
    streams = [member.stream for member in members]
    several = len({seed for _, seed in members[0].trainings[row]}) < len(members[0].trainings[row])
    for encoder, seed in members[0].trainings[row]:
        folders = [member.trainings[row][encoder, seed] for member in members]
        logits = np.stack([_logits(folder, "", names) for folder in folders]).astype(np.float64)
        for values, one in zip(alone, logits, strict=True):
            values.append(float((one.argmax(1) == truth).mean()))
        if given is None:
            weights, clips = _fit_on_validation(folders, store)
            told = " + ".join(f"{stream} {weight:.3g}" for stream, weight in zip(streams, weights, strict=True))
            of = f"encoder {encoder}, " if several else ""
            notes.append(f"{of}seed {seed}: weights {told}, fitted on {clips} clips of validation subjects")
        else:
            weights = given / given.sum()
        total = np.tensordot(weights, logits, 1)
        runs.append(score(truth, total.argmax(1), store.num_classes, total))
    told = ", ".join(f"{stream} {Figure.of(values)}" for stream, values in zip(streams, alone, strict=True))
    how = ", weights fitted" if given is None else " by " + " : ".join(f"{weight:g}" for weight in given)
    notes.append(f"{row[0]}: accuracy of each stream alone: {told} %")
    return Measurement.of(row[0], row[1], f"{row[2]}, fused {' + '.join(streams)}{how}", runs, notes=tuple(notes))


def _fit_on_validation(folders: Sequence[Path], store: Store) -> tuple[np.ndarray, int]:
    """Weights fitted on the clips that all trainings kept aside, and how many these are."""
    names = load_array(folders[0], "validation_name")
    for folder in folders:
        if not len(load_array(folder, "validation_name")):
            raise UserError(
                f"{folder}: kept no subjects aside; evaluate with select: validation, or fuse by fixed weights"
            )
        if set(load_array(folder, "validation_name")) != set(names):
            raise UserError(
                f"{folder}: kept other clips aside than {folders[0]}; evaluate both with one validation_share"
            )
    row = {name: at for at, name in enumerate(store.name.tolist())}
    label = store.label[[row[name] for name in names.tolist()]]
    logits = np.stack([_logits(folder, "validation_", names) for folder in folders])
    return fit_weights(logits, label), len(names)


def _logits(folder: Path, kind: str, names: np.ndarray) -> np.ndarray:
    """(len(names), classes) of a training, in the order of the names; kind is "" for test clips or ``validation_``."""
    known = {name: at for at, name in enumerate(load_array(folder, f"{kind}name").tolist())}
    lacking = [name for name in names.tolist() if name not in known]
    if lacking:
        raise UserError(f"{folder}: does not tell of clip {lacking[0]!r}; repeat the evaluation")
    return load_array(folder, f"{kind}logits")[[known[name] for name in names.tolist()]]


def _facts(members: Sequence[Member], split: str) -> SplitFacts:
    """What a split's fused figures rest on: all that its members' do."""
    found = [facts for member in members for facts in member.report.splits if facts.name == split]
    return SplitFacts(
        name=split,
        train=found[0].train,
        test=found[0].test,
        encoders=tuple(path for facts in found for path in facts.encoders),
        pretrained_on="; ".join(dict.fromkeys(facts.pretrained_on for facts in found)),
        warnings=tuple(dict.fromkeys(warning for facts in found for warning in facts.warnings)),
    )


def _config(members: Sequence[Member], splits: list[str], name: str, given: np.ndarray | None) -> dict[str, Any]:
    """What ``ssl-skel runs`` and ``report`` look for in a run's config."""
    weights = [None] * len(members) if given is None else given.tolist()
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
    return config | {"encoders": {split: list(_facts(members, split).encoders) for split in splits}}


def _folder(folder: Path, config: dict[str, Any]) -> Path:
    """The fused run's folder, with its config.

    Raises:
        UserError: it holds something else.
    """
    kept = folder / "config.yaml"
    if folder.exists():
        change = difference(read_mapping(kept), config, free=()) if kept.exists() else "it has no config.yaml"
        if change is not None:
            raise UserError(f"{folder}: holds another run ({change}); give this fusion another name")
    write_text(kept, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return folder
