"""A program ends with the one that started it, by whatever that was ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_skel.lifeline import start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

CHILD = """
import pathlib, signal, sys, time
from ssl_skel.lifeline import follow
follow()
def stop(number, frame):
    pathlib.Path(sys.argv[1], "ended").write_text(str(number))
    sys.exit()
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1], "begun").touch()
time.sleep(600)
"""
PARENT = """
import pathlib, sys
from pydantic import BaseModel
from ssl_skel.experiments.sweep import Job, run_all
folder = pathlib.Path(sys.argv[1])
run_all([Job("one", folder / "run", (), {}, BaseModel)], [sys.executable, "-c", sys.argv[2], str(folder)])
"""


def appears(path: Path) -> bool:
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_run_of_a_sweep_ends_with_the_sweep(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), CHILD], stderr=subprocess.DEVNULL) as parent:
        assert appears(tmp_path / "begun")
        parent.send_signal(number)
        parent.wait()
    assert appears(tmp_path / "ended")
    assert (tmp_path / "ended").read_text() == str(int(signal.SIGTERM))


def test_what_nobody_started_so_follows_nobody(tmp_path: Path) -> None:
    """Its standard input is at its end from the start, and it goes on."""
    code = "from ssl_skel.lifeline import follow\nfollow()\nimport time\ntime.sleep(0.3)\nprint('whole')"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout.split() == [b"whole"]


def test_a_program_that_is_done_ends_by_itself() -> None:
    code = "import os\nfrom ssl_skel.lifeline import follow\nfollow()\nassert 'SSL_SKEL_LIFELINE' not in os.environ"
    with start([sys.executable, "-c", code]) as process:
        assert process.wait() == 0
