"""The folder of an evaluation before there is a report: which evaluation owns it, and its config."""

from __future__ import annotations

import shutil
from pathlib import Path

from finetune.config import FinetuneConfig
from finetune.trainings.index import TRAININGS
from finetune.trainings.predictions import PREDICTIONS
from ssl_skel.config import dump_config, read_mapping
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_text
from ssl_skel.same_run import completed, difference


def refuse_another(folder: Path, config: FinetuneConfig) -> None:
    """A folder may hold this same evaluation, also with fewer options or without ``save``; no other.

    An evaluation that ended without results, for example because an option was refused late, does not count.

    Raises:
        UserError: it holds another.
    """
    kept = folder / "config.yaml"
    ends = ("report.json", f"{TRAININGS}/*/{PREDICTIONS}", f"{TRAININGS}/*/checkpoints/*")
    if not kept.exists() or not any(next(folder.glob(end), None) for end in ends):
        return
    try:
        before = completed(read_mapping(kept), FinetuneConfig, str(kept))
        change = difference(before, config.model_dump(mode="json"), {"protocols.*.save"})
    except UserError:
        change = "its config.yaml does not fit this release"
    if change is not None:
        raise UserError(f"{folder}: holds another run ({change}); give this evaluation another name")


def begin(folder: Path, config: FinetuneConfig) -> None:
    """Write the config; earlier probes are measured again, trainings are not.

    Raises:
        UserError: nothing can be written there.
    """
    shutil.rmtree(folder / "probes", ignore_errors=True)
    write_text(folder / "config.yaml", dump_config(config), remedy="choose another folder for runs")
