"""Programs that end when the one that started them ends, in whatever way.

The child's standard input is a pipe whose other end its parent holds and never writes to. When the parent is gone, by
``kill -9`` too, the pipe ends, and the child sends itself SIGTERM: a training writes a checkpoint and stops.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

_TOLD = "SSL_SKEL_LIFELINE"


def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program that calls ``follow``.

    It gets a session of its own, so that a terminal's Ctrl-C reaches it through its parent alone.

    Args:
        command: program and words.
    """
    return subprocess.Popen(  # noqa: S603 - a user's own words
        command, stdin=subprocess.PIPE, start_new_session=True, env=os.environ | {_TOLD: "1"}
    )


def follow() -> None:
    """End with the parent, if this process was begun by ``start``; processes that this one starts are not affected."""
    if os.environ.pop(_TOLD, None):
        threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 1):  # nothing is ever written
        pass
    os.kill(os.getpid(), signal.SIGTERM)
