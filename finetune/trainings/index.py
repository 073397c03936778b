"""Which training is behind which figure: ``trainings.json`` of an evaluation.

There may be more folders of trainings than the report uses, since a changed encoder is trained again; this file names
those that the figures rest on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydantic

from ssl_skel.config import Section
from ssl_skel.errors import UserError
from ssl_skel.evaluation.measures import FigureName, MeasureName
from ssl_skel.files.atomic import write_text

INDEX, TRAININGS = "trainings.json", "trainings"


class Training(Section):
    """One training behind one figure."""

    split: str
    """As in the report."""

    features: str
    """As in the report: ``scratch`` or ``pretrained``."""

    measure: MeasureName
    """As in the report."""

    stream: str
    """Stream of the encoder."""

    encoder: int
    """Number of the encoder among those of the split."""

    seed: int
    """Seed of the training."""

    folder: str
    """Its name below ``<evaluation>/trainings``; several splits may share it."""

    @property
    def figure(self) -> FigureName:
        """The figure that it is behind."""
        return FigureName(self.split, self.features, self.measure)


class _Index(Section):
    trainings: tuple[Training, ...]


def save_trainings(folder: Path, trainings: Sequence[Training]) -> None:
    """Write the index of an evaluation."""
    write_text(folder / INDEX, _Index(trainings=tuple(trainings)).model_dump_json(indent=1) + "\n")


def load_trainings(folder: Path) -> tuple[Training, ...]:
    """Read the index of an evaluation.

    Raises:
        UserError: it is missing, damaged, empty, or names a folder outside the evaluation.
    """
    path = folder / INDEX
    try:
        found = _Index.model_validate_json(path.read_bytes()).trainings
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; give the run of an evaluation, and repeat an older one by its command: "
            "nothing is trained again"
        ) from error
    except pydantic.ValidationError as error:
        raise UserError(f"{path}: is damaged or of another version; repeat the evaluation") from error
    if not found:
        raise UserError(
            f"{folder}: trained no classifier; give an evaluation with full, semi or psp, or linear with save: true"
        )
    for training in found:
        if Path(training.folder).name != training.folder or training.folder in ("", ".", ".."):
            raise UserError(f"{path}: folder: {training.folder!r} is not a name; repeat the evaluation")
    return found
