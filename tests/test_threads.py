"""Threads that wait leave their core to others, unless the user says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import ssl_skel, os; print(os.environ['OMP_WAIT_POLICY'], os.environ['OPENBLAS_THREAD_TIMEOUT'])"


@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE 4"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE 4")])
def test_waiting_is_passive_by_default(given: dict[str, str], expected: str) -> None:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "OPENBLAS_"))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=own | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
