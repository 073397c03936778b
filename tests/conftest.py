"""Fixtures for all tests: threads, real data where it is at hand, a small store of built-in motions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import ssl_skel  # noqa: F401 - before torch, so that threads which wait leave their core to others

import torch  # isort: skip

_THREADS = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"  # two workers share the two cores
torch.set_num_threads(int(os.environ.get("SSL_SKEL_THREADS", _THREADS)))

settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")  # how fast examples are drawn says nothing of the code on a busy machine


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, named by SSL_SKEL_DATA; the test is skipped where it is unset."""
    folder = os.environ.get("SSL_SKEL_DATA")
    if not folder:
        pytest.skip("SSL_SKEL_DATA is unset")
    return Path(folder).resolve()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in the order of other processes with one thread, and the time of one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run ``ssl-skel WORDS`` in this process: (exit code, stdout, stderr)."""
    from ssl_skel.cli import app

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ssl-skel", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            app.main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of built-in motions (two persons in some clips); read-only."""
    from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

    path = tmp_path_factory.mktemp("stores") / "motions"
    write_synthetic(path, SyntheticConfig(subjects=4, cameras=2, repetitions=1))
    return path
