"""The evaluations that are fused, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.trainings.index import TRAININGS, load_trainings
from ssl_skel.errors import UserError
from ssl_skel.evaluation.measures import FigureName
from ssl_skel.evaluation.report import Report, SplitFacts
from ssl_skel.training.rundir import RunDir


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
    trainings: dict[FigureName, dict[tuple[int, int], Path]]


def load_member(path: Path) -> Member:
    """Read an evaluation.

    Raises:
        UserError: it has no report, kept no trainings, or its trainings are of several streams.
    """
    report, config = Report.load(path), RunDir.open(path).config
    trainings: dict[FigureName, dict[tuple[int, int], Path]] = {}
    found = load_trainings(path)
    for training in found:
        folder = path / TRAININGS / training.folder
        trainings.setdefault(training.figure, {})[training.encoder, training.seed] = folder
    streams = sorted({training.stream for training in found})
    if len(streams) > 1:
        raise UserError(f"{path}: holds trainings of several streams ({', '.join(streams)}); evaluate them separately")
    return Member(path, report, config, streams[0], trainings)


def check_members(members: Sequence[Member]) -> None:
    """Refuse evaluations of other clips or classes than the first one's.

    Raises:
        UserError: naming the evaluation.
    """
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


def common_figures(members: Sequence[Member]) -> tuple[list[FigureName], dict[FigureName, str]]:
    """Figures that all members have, and those that one lacks, with its path.

    Raises:
        UserError: they have none in common, or the trainings behind one differ in encoders or seeds.
    """
    common, missing = [], {}
    for figure in dict.fromkeys(figure for member in members for figure in member.trainings):
        lacking = [member for member in members if figure not in member.trainings]
        if lacking:
            missing[figure] = str(lacking[0].path)
        else:
            common.append(figure)
    if not common:
        figure, path = next(iter(missing.items()))
        raise UserError(
            f"{path}: has no {', '.join(figure)}, nor any other figure that all have; measure the same splits"
        )
    for figure in common:
        for other in members[1:]:
            mine, theirs = members[0].trainings[figure], other.trainings[figure]
            if mine.keys() != theirs.keys():
                raise UserError(
                    f"{other.path}: {figure.split}, {figure.measure}: {_pairs(theirs)} do not match {_pairs(mine)} of "
                    f"{members[0].path}; repeat the evaluation that has fewer"
                )
    return common, missing


def fused_facts(members: Sequence[Member], split: str) -> SplitFacts:
    """What a split's fused figures rest on: everything that its members' figures rest on."""
    found = [facts for member in members for facts in member.report.splits if facts.name == split]
    return SplitFacts(
        name=split,
        train=found[0].train,
        test=found[0].test,
        encoders=tuple(path for facts in found for path in facts.encoders),
        pretrained_on="; ".join(dict.fromkeys(facts.pretrained_on for facts in found)),
        warnings=tuple(dict.fromkeys(warning for facts in found for warning in facts.warnings)),
    )


def _pairs(trainings: dict[tuple[int, int], Path]) -> str:
    """Such as ``seeds 0, 1 (of 2 encoders)``."""
    seeds = ", ".join(str(seed) for seed in dict.fromkeys(seed for _, seed in trainings))
    encoders = len({encoder for encoder, _ in trainings})
    return f"seeds {seeds}" + (f" (of {encoders} encoders)" if encoders > 1 else "")
