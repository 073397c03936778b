"""The folder of an evaluation, ahead of its report: whose it is, and its config."""

from __future__ import annotations

import shutil
from pathlib import Path

from finetune.config import FinetuneConfig
from finetune.trainings.index import TRAININGS
from finetune.trainings.predictions import PREDICTIONS
from ssl_skel.config import dump_config, parse_config, read_mapping
from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_text


def refuse_another(folder: Path, config: FinetuneConfig) -> None:
    """A folder may hold this very evaluation, also of a version with fewer options or without ``save``; no other.

    One that came to nothing, such as for an option that was refused late, does not count.

    Raises:
        UserError: it holds another.
    """
    kept = folder / "config.yaml"
    ends = ("report.json", f"{TRAININGS}/*/{PREDICTIONS}", f"{TRAININGS}/*/checkpoints/*")
    if not kept.exists() or not any(next(folder.glob(end), None) for end in ends):
        return
    aside = {"protocols": {"__all__": {"save"}}}
    try:
        began = parse_config(FinetuneConfig, read_mapping(kept), str(kept), written=True)
        same = began.model_dump(exclude=aside) == config.model_dump(exclude=aside)
    except UserError:
        same = False
    if not same:
        raise UserError(f"{folder}: holds another run; give this evaluation another name")


def begin(folder: Path, config: FinetuneConfig) -> None:
    """Keep the config; probes of an earlier time are measured again, trainings are not.

    Raises:
        UserError: nothing can be written there.
    """
    shutil.rmtree(folder / "probes", ignore_errors=True)
    write_text(folder / "config.yaml", dump_config(config), remedy="choose another folder for runs")
