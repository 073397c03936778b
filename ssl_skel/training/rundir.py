"""The folder of one run: its config, its log, its checkpoints, its results.

::

    runs/<name>/config.yaml   as resolved; never changed afterwards
                log.jsonl     one JSON object per line, one line per epoch
                tensorboard/  the same numbers
                checkpoints/  step_000000123/...
                encoder/      written when training is done
                report.json   report.md, answers.npz: of an evaluation
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ssl_skel.errors import UserError
from ssl_skel.files.atomic import write_text
from ssl_skel.files.exclusive import LOCK
from ssl_skel.files.temporary import cannot_write, sync
from ssl_skel.plain_json import parse_json
from ssl_skel.plain_yaml import read_yaml
from ssl_skel.same_run import completed, difference
from ssl_skel.training.checkpoint_folder import STATE, damaged, newest_checkpoint, read_state

if TYPE_CHECKING:
    from ssl_skel.training.event_file import EventFile

_NUMBERS = ("epoch", "loss", "seconds")  # of a record, where it has them


class RunDir:
    """One run on disk. Only rank 0 writes; on other ranks the writing methods do nothing.

    Args:
        path: the folder.
        config: the run's config as plain data.
        rank: of this process among all.
        again: what a message to a user who stops it says.
        inputs: what it is computed from: key of the config -> sha256; kept with every checkpoint.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        rank: int = 0,
        again: str = "resume=auto continues from there",
        inputs: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.config, self.writes, self.again = path, config, rank == 0, again
        self.inputs = inputs or {}
        self.checkpoints, self.tensorboard = path / "checkpoints", path / "tensorboard"
        self.encoder, self.log_file = path / "encoder", path / "log.jsonl"
        self._curves: EventFile | None = None
        self._step = 0

    @classmethod
    def create(
        cls,
        path: Path | str,
        config_yaml: str,
        *,
        resume: str = "",
        rank: int = 0,
        model: type[BaseModel] | None = None,
        **options: Any,
    ) -> RunDir:
        """Start a run, or open the existing one.

        Args:
            path: ``runs/<name>``.
            config_yaml: the resolved config.
            resume: "" refuses a folder that holds anything; ``auto`` continues it, or starts it if there is none.
                Continuing requires the config it began with; only the keys in ``same_run.FREE`` may differ.
            rank: only rank 0 checks and writes, so ranks do not take each other's folder for an older run.
            model: of the config; a run of an earlier release is compared by it, see ``completed``.
            options: further ones of ``RunDir``.

        Raises:
            UserError: the run exists, began with another config or from other inputs, or cannot be written.
        """
        run = cls(Path(path), read_yaml(config_yaml, "config"), rank, **options)
        cls.check(run.path, resume, rank)
        if not run.writes:
            return run
        checkpoint = newest_checkpoint(run.checkpoints)
        if checkpoint is None:
            if run.encoder.exists():
                raise UserError(
                    f"{run.path}: is finished, but its checkpoints are gone; "
                    "its encoder stays as it is, give this run another name"
                )
            write_text(run.path / "config.yaml", config_yaml, remedy="choose another folder for runs")
        else:
            run._refuse_another(checkpoint, model)
        return run

    def _refuse_another(self, checkpoint: Path, model: type[BaseModel] | None) -> None:
        """Refuse a checkpoint of other options or other inputs; earlier releases recorded no inputs."""
        state = read_state(checkpoint)
        began, inputs = state.get("config"), state.get("inputs", {})
        if not (isinstance(inputs, dict) and all(isinstance(value, str) for value in inputs.values())):
            raise damaged(checkpoint, STATE, ValueError("inputs"))
        if not isinstance(began, dict):
            raise damaged(checkpoint, STATE, ValueError("config"))
        if model:
            began = completed(began, model, f"{self.path}: began with")
        if (change := difference(began, self.config)) is not None:
            raise UserError(f"{self.path}: began with {change}; set it back, or give this run another name")
        for key, before in inputs.items():
            now = self.inputs.get(key, "missing")
            if now != before:
                raise UserError(
                    f"{self.path}: {key}: has changed since the run began (sha256 {before[:12]}, now {now[:12]}); "
                    "restore the former one, or give this run another name"
                )

    @staticmethod
    def check(path: Path, resume: str = "", rank: int = 0) -> None:
        """Refuse early what ``create`` would refuse without looking at the config; arguments as there.

        Raises:
            UserError: the run exists and ``resume`` is "", or is neither "" nor ``auto``.
        """
        if resume not in ("", "auto"):
            raise UserError(f"resume: unknown {resume!r}; the only value is auto")
        if rank == 0 and not resume and path.exists() and (not path.is_dir() or {*os.listdir(path)} - {LOCK}):
            raise UserError(f"{path}: exists already; resume=auto continues it, another name starts a new run")

    @classmethod
    def open(cls, path: Path | str) -> RunDir:
        """An existing run, for reading.

        Raises:
            UserError: there is no run.
        """
        path = Path(path)
        try:
            text = (path / "config.yaml").read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: holds no run (no readable config.yaml); give the folder of a run") from error
        config = read_yaml(text, str(path / "config.yaml"))
        if not isinstance(config, dict):
            raise UserError(f"{path / 'config.yaml'}: is damaged; give the folder of a run")
        return cls(path, config)

    def records(self) -> list[dict[str, Any]]:
        """What was logged, oldest first, without lines that were cut short or damaged.

        Raises:
            UserError: there is a log, and it cannot be read.
        """
        records: list[dict[str, Any]] = []
        if not self.log_file.exists():
            return records
        try:
            lines = self.log_file.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise UserError(f"{self.log_file}: cannot be read: {error.strerror}; move it away") from error
        for line in lines:
            with suppress(ValueError):
                record = parse_json(line)
                whole = isinstance(record, dict) and isinstance(record.get("step"), int)
                if whole and all(isinstance(record.get(key) or 0, int | float) for key in _NUMBERS):
                    records.append(record)
        return records

    def log(self, record: dict[str, Any]) -> None:
        """Add a record, which must have a ``step``, to ``log.jsonl`` and TensorBoard. Not-a-number becomes null.

        Raises:
            UserError: the disk refuses.
        """
        if not self.writes:
            return
        try:
            with self.log_file.open("ab") as file:
                file.write(json.dumps({key: _finite(value) for key, value in record.items()}).encode() + b"\n")
                sync(file)
            if self._curves is None:
                from ssl_skel.training.event_file import EventFile  # slow to import

                # Purging hides from TensorBoard what a killed process logged after the checkpoint.
                self._curves = EventFile(self.tensorboard, purge_step=self._step + 1)
            scalars = {key: value for key, value in record.items() if isinstance(value, int | float)}
            self._curves.add({key: value for key, value in scalars.items() if key != "step"}, record["step"])
        except OSError as error:
            raise cannot_write(self.path, error, f"make room; {self.again}") from error

    def rewind(self, step: int) -> None:
        """Forget what was logged after ``step``: it is about to be computed again."""
        self._step = step
        if not self.writes or not self.log_file.exists():
            return
        text = "".join(json.dumps(record) + "\n" for record in self.records() if record["step"] <= step)
        if text.encode() != self.log_file.read_bytes():
            write_text(self.log_file, text)

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._curves is not None:
            self._curves.close()
            self._curves = None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
