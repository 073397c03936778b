"""PSP Learning as its paper trains it: labels of few clips and the contrast of all, in one stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finetune.classifiers.linear import Classifier
from finetune.protocols.configs.psp import PSPSemiConfig
from finetune.protocols.trained import FewLabels
from finetune.trainings.spec import TrainingSpec
from finetune.trainings.supervised import training_clips
from ssl_skel.batch import Batch, Rng
from ssl_skel.data.loader import ClipLoader
from ssl_skel.data.splits import Split
from ssl_skel.encoders.encoder import SkeletonEncoder, pool_persons
from ssl_skel.errors import UserError
from ssl_skel.pretexts.base import encode_views
from ssl_skel.pretexts.psp import PSP
from ssl_skel.training.loop import Loader

UNLABELLED = 1
"""Beside a training's seed: unlabelled clips have random numbers of their own."""


class PSPClassifier(Classifier):
    """Cross-entropy on labelled clips, plus the weighted contrast of PSP on those without a label.

    PSP Learning (Xu & Shu, arXiv 2302.02327; released code): CE(FC(f_joint) + FC(f_motion)) + 0.2 CCL. One layer FC
    classifies all views; f is the mean of the encoder's output, without PPA. The summed logits also decide at test.

    Paper silent: whether labelled and unlabelled clips, and the views, pass a network with BatchNorm together. Here
    they do.

    Args:
        encoder: made part of this module; how it pools does not matter, the mean is read.
        num_classes: classes of the store.
        config: options.

    Raises:
        UserError: as ``PSP``.
    """

    def __init__(self, encoder: SkeletonEncoder, num_classes: int, config: PSPSemiConfig) -> None:
        super().__init__(encoder, num_classes, frozen=False, label_smoothing=config.label_smoothing)
        self.weight = config.weight
        self.head = nn.Sequential(nn.Linear(encoder.backbone.dim, num_classes))
        self.pretext = PSP(config.pretext, encoder, encoder.layout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars of a batch whose unlabelled clips have the label -1; with none of these, the cross-entropy alone.

        ``loss`` is the sum of ``cross_entropy`` and the weighted ``contrast``; ``accuracy`` is that of labelled clips,
        ``positive`` and ``negative`` are mean cosines. The clips are drawn once a view.
        """
        known = batch.label >= 0
        labelled, others = _part(batch, known), _part(batch, ~known)
        mine, theirs = self.pretext.views(labelled), self.pretext.views(others)
        features = encode_views(self.encoder.backbone, [*mine, *theirs])
        logits = torch.stack([self._classify(features[view], labelled.present) for view in mine]).sum(0)
        loss = F.cross_entropy(logits, labelled.label, label_smoothing=self.label_smoothing)
        right = (logits.argmax(1) == labelled.label).float().mean()
        scalars = {"loss": loss, "cross_entropy": loss, "accuracy": right}
        if len(others.label):
            found = self.pretext.loss(others, theirs, [features[view] for view in theirs])
            contrast = found.pop("loss")
            scalars |= {"loss": loss + self.weight * contrast, "contrast": contrast, **found}
        return scalars

    def logits(self, batch: Batch) -> Tensor:
        """(N, classes): the sum over views, each of a draw of its own, or all of the one there is."""
        draws = batch.x.expand(-1, self.pretext.num_views, -1, -1, -1, -1)
        views = self.pretext.views(replace(batch, x=draws))
        return torch.stack([self._classify(self.encoder.backbone(view.x), batch.present) for view in views]).sum(0)

    def after_step(self, progress: float) -> None:
        """Move the contrast's momentum network, if it has one."""
        self.pretext.after_step(progress)

    def _classify(self, grid: Tensor, present: Tensor) -> Tensor:
        logits: Tensor = self.head(pool_persons(grid.mean((2, 3)), present))
        return logits


class PairedLoader:
    """Labelled clips, then unlabelled ones, in each batch: an epoch is one of the unlabelled loader.

    The labelled loader repeats on its own, from where the previous epoch left it. What a step holds depends only on its
    number. All ranks hold equal numbers of either kind.

    Args:
        labelled: full batches only.
        unlabelled: full batches only; their labels become -1.
        alone: batches hold the labelled clips only, as many steps an epoch as otherwise.
    """

    drop_last = True

    def __init__(self, labelled: ClipLoader, unlabelled: ClipLoader, *, alone: bool = False) -> None:
        self.labelled, self.unlabelled, self.alone = labelled, unlabelled, alone

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.unlabelled)

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Batches of one epoch, from step ``start`` on."""
        rounds = self._rounds(epoch * len(self) + start)
        if self.alone:
            for _ in range(start, len(self)):
                yield next(rounds)
        else:
            for others in self.unlabelled.epoch(epoch, start):
                yield _joined(next(rounds), others)

    def _rounds(self, step: int) -> Iterator[Batch]:
        """Endless labelled batches, from a step of the whole training on."""
        number, first = divmod(step, len(self.labelled))
        while True:
            yield from self.labelled.epoch(number, first)
            number, first = number + 1, 0


class PSPSemi(FewLabels[PSPSemiConfig]):
    """PSP Learning's semi-supervised training: few labels, and the other training clips without theirs.

    The unlabelled clips are all training clips, the labelled ones among them and those that never had a label; with
    ``select: validation`` those of the held-out subjects are left out. Test clips are never among them.

    Departs from print: a random crop of a clip, resampled, where the paper draws 50 frames (as ``sampling: sorted``
    does); labels are a share of each class, where the paper counts (33 of each are 5 % of NTU 60 X-Sub; ``per_class``
    does that).
    """

    Config = PSPSemiConfig

    @property
    def title(self) -> str:
        return "psp" if self.config.weight else "psp without unlabelled clips"

    def check(self, split: Split, encoder: SkeletonEncoder) -> None:
        super().check(split, encoder)
        with torch.random.fork_rng(devices=[]):
            pretext = PSP(self.config.pretext, encoder, encoder.layout)  # refuses a network that it does not fit
        self.check_shared(pretext.head, "the pretext (its norm or projection_norm)")
        ranks = self.context.accelerator.num_processes
        if self.config.unlabelled % ranks:
            raise UserError(
                f"psp: unlabelled: {self.config.unlabelled} clips cannot be shared evenly by {ranks} ranks; "
                "take a multiple"
            )

    @classmethod
    def classifier(cls, config: PSPSemiConfig, encoder: SkeletonEncoder, num_classes: int) -> PSPClassifier:
        return PSPClassifier(encoder, num_classes, config)

    def unlabelled(self, split: Split, validation: np.ndarray) -> np.ndarray:
        subject, none = self.context.store.subject, split.train[:0]
        rows = np.union1d(split.train, self.context.unlabelled.get(split.name, none))
        return rows[~np.isin(subject[rows], subject[validation])]

    def loader(self, spec: TrainingSpec) -> Loader:
        """This rank's share of labelled and unlabelled clips."""
        config, views = self.config, len(self.config.pretext.views)
        other = int(np.random.SeedSequence((spec.seed, UNLABELLED)).generate_state(1)[0])
        clips = partial(training_clips, config, self.context, spec, num_views=views)
        labelled = clips(spec.train, batch_size=config.batch_size, seed=spec.seed)
        unlabelled = clips(spec.unlabelled, batch_size=config.unlabelled, seed=other, labels=False)
        return PairedLoader(labelled, unlabelled, alone=config.weight == 0)


def _part(batch: Batch, chosen: Tensor) -> Batch:
    """Some clips of a batch; its random numbers are not cut, for PSP draws none."""
    return replace(
        batch, x=batch.x[chosen], present=batch.present[chosen], label=batch.label[chosen], index=batch.index[chosen]
    )


def _joined(first: Batch, second: Batch) -> Batch:
    """This rank's shares of two global batches as its share of one."""
    one, two = first.rng, second.rng
    rows, start, total = one.rows + two.rows, one.start + two.start, one.total + two.total
    return Batch(
        x=torch.cat([first.x, second.x]),
        present=torch.cat([first.present, second.present]),
        label=torch.cat([first.label, second.label]),
        index=torch.cat([first.index, second.index]),
        rng=Rng(two.key, rows, start=start, total=total, device=first.x.device),
    )
