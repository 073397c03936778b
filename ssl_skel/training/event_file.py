"""Curves for TensorBoard, in its own file format (``tensorflow.core.util.Event`` in records).

TensorBoard's writer works in a thread, where a full disk ends in a traceback that nobody can catch; this one does not.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """One file of a run's curves; each start of the run adds one.

    Args:
        folder: made where it is missing.
        purge_step: TensorBoard hides what earlier files have from this step on.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"  # a form it looks for
        self._file = (folder / name).open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        self._records.flush()

    def add(self, scalars: dict[str, float], step: int) -> None:
        """Write scalars of one step through to the file.

        Raises:
            OSError: it cannot be written.
        """
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._write(Event(step=step, summary=Summary(value=values)))
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
