"""Commands that are killed and repeated leave what one that was never killed leaves; more by ``tests/fuzz kills``.

The kills are in a process of their own, since they are made by forks, which a process with threads must not make.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds orphans by /proc")
@pytest.mark.parametrize("command", ["pretrain", "convert -j 2", "index"])
def test_killed_and_repeated(command: str) -> None:
    words = [sys.executable, str(Path(__file__).parent), "kills", "--count", "3", "--only", command]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
