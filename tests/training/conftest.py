"""Lets the tests here, and the processes they start, import ``toy``."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Starts real processes within milliseconds: what is slow to import was imported before the fork."""
    if sys.platform == "win32":
        pytest.skip("needs fork")
    before = {key: os.environ.get(key) for key in ("PYTHONPATH", "OMP_NUM_THREADS")}
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [HERE, before["PYTHONPATH"]])), "OMP_NUM_THREADS": "1"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toy", "timm.optim", "timm.utils.model_ema", "ssl_skel.training.event_file"])
    warm = context.Process(target=int)
    warm.start()
    warm.join()
    for key, value in before.items():
        if value is None:
            del os.environ[key]
        else:
            os.environ[key] = value
    return context
